"""What made a spectrum: the code's version, and a fingerprint that changes with the physics."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.resources import files

__all__ = ["code_fingerprint", "code_version"]

# Package and ending of the files that spectra follow from.
SOURCES = (("maury", "wavelength.py"), ("maury.synthesis", ".py"), ("maury.data", ".npz"))


def code_version() -> str:
    """Version of the installed package.

    Examples
    --------
    >>> code_version().count(".") >= 1
    True
    """
    return version("maury")


@cache
def code_fingerprint() -> str:
    """Fingerprint of the synthesis's source and tables, 16 hexadecimal digits.

    Two installations with the same fingerprint compute the same spectra (to rounding on another
    kind of processor); it needs no repository, and changes with any edit.

    Examples
    --------
    >>> len(code_fingerprint())
    16
    """
    digest = hashlib.sha256()
    for package, ending in SOURCES:
        for entry in sorted(files(package).iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(ending):
                content = entry.read_bytes()
                digest.update(f"{package}/{entry.name}:{len(content)}\n".encode())
                digest.update(content)
    return digest.hexdigest()[:16]
