"""The cards of a FITS header that are asked for, out of the thousands that pipelines write."""

from __future__ import annotations

import re

import numpy as np

__all__ = ["without_unused_cards"]

_CARD, _BLOCK = 80, 2880
_HIERARCH = np.frombuffer(b"HIERARCH", np.uint64)[0]
# Every name of more than one word that `maury.readers.headers` and the formats look for.
_USED = re.compile(
    rb"HIERARCH (?:ESO (?:DRS (?:BERV|BARYCORR|VERSION|CCF RV|SPE EXT SN50)|QC |DPR TYPE"
    rb"|TEL\d? AIRM|OBS (?:TARG NAME|PROG ID)|PRO (?:CATG|REC1 PIPE))"
    rb"|TNG (?:DRS (?:BERV|VERSION|CCF RV|SPE EXT SN50)|OBS TARG NAME|DPR TYPE))"
)


def without_unused_cards(content: bytes) -> bytes:
    """A FITS file whose first header lacks the HIERARCH cards that no reader looks for.

    Astropy takes 5 microseconds a card, and HARPS writes 3,000. All other cards, and all that
    follows the first header, stay as they are. A header that does not end, or whose texts go on
    in the next card, is left alone.

    Examples
    --------
    >>> cards = [b"SIMPLE  = T", b"HIERARCH ESO DET WIN1 ST = T", b"HIERARCH ESO DRS BERV = 1.5"]
    >>> header = b"".join(card.ljust(80) for card in [*cards, b"END"]).ljust(2880)
    >>> shorter = without_unused_cards(header + b"data")
    >>> [shorter[start : start + 80].strip() for start in range(0, 240, 80)]
    [b'SIMPLE  = T', b'HIERARCH ESO DRS BERV = 1.5', b'END']
    >>> len(shorter), shorter[2880:]
    (2884, b'data')
    """
    end = content.find(b"END     ")
    while end >= 0 and end % _CARD:
        end = content.find(b"END     ", end + 1)
    body = (end // _BLOCK + 1) * _BLOCK
    if end < 0 or content.find(b"CONTINUE", 0, end) >= 0:
        return content
    first_words = np.frombuffer(content, np.uint64, end // 8)[:: _CARD // 8]
    kept = set((np.flatnonzero(first_words != _HIERARCH) * _CARD).tolist())
    kept |= {
        match.start() for match in _USED.finditer(content, 0, end) if match.start() % _CARD == 0
    }
    if len(kept) == first_words.size:
        return content
    cards = [content[start : start + _CARD] for start in sorted(kept)]
    cards.append(b"END".ljust(_CARD))
    cards.append(b" " * (-len(cards) * _CARD % _BLOCK))
    return b"".join([*cards, memoryview(content)[body:]])
