"""Model atmospheres of users: ATLAS9 and ATLAS12 decks, and MARCS models."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from maury.errors import SynthesisError
from maury.synthesis.atmosphere import Atmosphere
from maury.synthesis.constants import BOLTZMANN
from maury.synthesis.text_files import numbers, read_text

__all__ = ["read_atmosphere"]

FEWEST_LAYERS = 10
TEMPERATURES = (1000.0, 100_000.0)  # K; what the partition functions are tabulated for
#: log10(n_X / n_nuclei) of the Sun in ATLAS decks, for elements on which Anders & Grevesse 1989
#: (Kurucz's models) and Grevesse & Sauval 1998 (Castelli's) agree: Cr and Ni; Mg, Si and Ca.
ATLAS_IRON_PEAK = {24: -6.37, 28: -5.79}
ATLAS_ALPHA = {12: -4.46, 14: -4.49, 20: -5.68}


def read_atmosphere(path: str | Path) -> Atmosphere:
    """Read a model atmosphere as ATLAS or MARCS write it.

    Parameters
    ----------
    path
        An ATLAS9 or ATLAS12 deck (``TEFF``, ``ABUNDANCE SCALE``, ``READ DECK6``; the first model
        where a file holds several) or a MARCS ``.mod`` file, plane-parallel or spherical; either
        may be packed by gzip.

    Returns
    -------
    Atmosphere
        Layers from the top down: column mass (g cm-2), temperature (K), gas pressure (dyn cm-2)
        and electron density (cm-3), with Teff, log g, [M/H], [alpha/M] and the microturbulence
        that the model was computed with.

    Raises
    ------
    SynthesisError
        If the file is no such model, is cut short, or holds impossible values.

    Notes
    -----
    [M/H] of an ATLAS deck is its ``ABUNDANCE SCALE``, plus what ``ABUNDANCE CHANGE`` does to Cr and
    Ni; [alpha/M] is what it does to Mg, Si and Ca beyond that. MARCS (Gustafsson et al. 2008,
    A&A 486, 951) states both. A spherical model keeps its layers but is solved as a plane one.
    """
    lines = read_text(path)
    if any(line.startswith("READ DECK") for line in lines):
        return _atlas(path, lines)
    if any(line.strip() == "Model structure" for line in lines):
        return _marcs(path, lines)
    if any(line.startswith("TEFF") for line in lines[:20]):
        raise SynthesisError(f"{path} is cut short: an ATLAS model has a line READ DECK6.")
    if any("Surface gravity" in line for line in lines[:20]):
        raise SynthesisError(f"{path} is cut short: a MARCS model has a line Model structure.")
    raise SynthesisError(
        f"{path} is no model atmosphere: allowed are ATLAS decks (with a line READ DECK6) and "
        "MARCS models (with a line Model structure)."
    )


def _value(path: str | Path, lines: list[str], pattern: str, what: str) -> float:
    for line in lines:
        match = re.search(pattern, line)
        if match and (found := numbers(match[1])):
            return found[0]
    raise SynthesisError(f"{path} does not say {what} where its kind of model does.")


def _rows(
    path: str | Path, lines: list[str], first: int, count: int, columns: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """The named columns of ``count`` layers from line ``first`` on."""
    if count < FEWEST_LAYERS:
        raise SynthesisError(
            f"{path} announces {count} layers, but at least {FEWEST_LAYERS} are needed."
        )
    values = []
    for i in range(first, first + count):
        row = numbers(lines[i]) if i < len(lines) else []
        if len(row) <= max(columns.values()):
            raise SynthesisError(
                f"{path} is cut short: it announces {count} layers, but line {i + 1} is not the "
                f"complete layer {i - first + 1}."
            )
        values.append([row[c] for c in columns.values()])
    return dict(zip(columns, np.array(values).T.copy(), strict=True))


def _checked(path: str | Path, model: Atmosphere) -> Atmosphere:
    wrong = np.flatnonzero(
        ~((model.temperature >= TEMPERATURES[0]) & (model.temperature <= TEMPERATURES[1]))
    )
    if wrong.size:
        raise SynthesisError(
            f"{path} has T = {model.temperature[wrong[0]]:g} K in layer {wrong[0] + 1}; allowed "
            f"is {TEMPERATURES[0]:g} to {TEMPERATURES[1]:g} K."
        )
    for name, values, unit in (
        ("column mass", model.rhox, "g cm-2"),
        ("gas pressure", model.pressure, "dyn cm-2"),
        ("electron density", model.electron_density, "cm-3"),
    ):
        wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if wrong.size:
            raise SynthesisError(
                f"{path} has a {name} of {values[wrong[0]]:g} {unit} in layer {wrong[0] + 1}, "
                "but it must be positive and finite."
            )
    wrong = np.flatnonzero(np.diff(model.rhox) <= 0)
    if wrong.size:
        raise SynthesisError(
            f"{path} has a column mass of {model.rhox[wrong[0] + 1]:g} g cm-2 in layer "
            f"{wrong[0] + 2}, but it must increase from layer to layer."
        )
    for name, value, lower, upper in (
        ("Teff", model.teff, 1000.0, 100_000.0),
        ("log g", model.logg, -2.0, 10.0),
        ("[M/H]", model.mh, -6.0, 2.0),
        ("[alpha/M]", model.alpha, -2.0, 2.0),
    ):
        if not lower <= value <= upper:
            raise SynthesisError(
                f"{path} has {name} = {value:g}; allowed is {lower:g} to {upper:g}."
            )
    return model


def _atlas(path: str | Path, lines: list[str]) -> Atmosphere:
    deck = next(i for i, line in enumerate(lines) if line.startswith("READ DECK"))
    header = lines[:deck]
    teff = _value(path, header, r"TEFF\s+(\S+)", "TEFF")
    logg = _value(path, header, r"GRAVITY\s+(\S+)", "GRAVITY")
    scale = _value(path, header, r"ABUNDANCE SCALE\s+(\S+)", "ABUNDANCE SCALE")
    if not scale > 0:
        raise SynthesisError(f"{path} has ABUNDANCE SCALE {scale:g}, but it must be positive.")
    changes: dict[int, float] = {}
    for line in header:
        _, found, rest = line.partition("ABUNDANCE CHANGE")
        if found:
            row = numbers(rest)
            listed = zip(row[::2], row[1::2], strict=False)
            changes.update({int(z): value for z, value in listed if 1 <= z <= 99})
    metals = _median_change(changes, ATLAS_IRON_PEAK)
    alpha = _median_change(changes, ATLAS_ALPHA)

    words = re.match(r"READ DECK\d*\s+(\d{1,6})\s+(.*)", lines[deck])
    names = [name.strip() for name in words[2].split(",")] if words else []
    needed = ("RHOX", "T", "P", "XNE")
    if words is None or not set(needed) <= set(names):
        raise SynthesisError(
            f"{path} has the line {lines[deck].strip()!r}, but READ DECK6 must be followed by the "
            f"number of layers and the columns, with {', '.join(needed)} among them."
        )
    columns = {name: names.index(name) for name in (*needed, "VTURB") if name in names}
    layers = _rows(path, lines, deck + 1, int(words[1]), columns)
    turbulence = layers.get("VTURB")
    model = Atmosphere(
        layers["RHOX"],
        layers["T"],
        layers["P"],
        layers["XNE"],
        teff,
        logg,
        mh=round(float(np.log10(scale)) + metals, 3),
        alpha=round(alpha - metals, 3),
        vmic=None if turbulence is None else float(np.median(turbulence)) / 1e5,
    )
    return _checked(path, model)


def _median_change(changes: Mapping[int, float], sun: Mapping[int, float]) -> float:
    """By how many dex the elements differ from the Sun's; 0 where the deck does not list them."""
    found = [changes[z] - value for z, value in sun.items() if z in changes]
    return float(np.median(found)) if found else 0.0


def _marcs(path: str | Path, lines: list[str]) -> Atmosphere:
    start = next(i for i, line in enumerate(lines) if line.strip() == "Model structure")
    header = lines[:start]
    teff = _value(path, header, r"(.*)Teff", "Teff")
    gravity = _value(path, header, r"(.*)Surface gravity", "the surface gravity")
    vmic = _value(path, header, r"(.*)Microturbulence", "the microturbulence")
    mh = _value(path, header, r"(.*)Metallicity", "the metallicity")
    alpha = _value(path, header, r"\S+\s+(\S+)\s+Metallicity .*alpha", "[alpha/Fe]")
    announced = _value(path, header, r"(.*)Number of depth", "the number of depth points")
    count = int(min(announced, 10**6))
    if not gravity > 0:
        raise SynthesisError(
            f"{path} has a surface gravity of {gravity:g} cm s-2, but it must be positive."
        )
    blocks = {}
    for wanted, what in ((("T", "Pe", "Pg"), "T Pe Pg"), (("RHOX",), "RHOX")):
        for i in range(start + 1, len(lines)):
            names = lines[i].split()
            if names[:1] == ["k"] and set(wanted) <= set(names):
                columns = {name: names.index(name) for name in wanted}
                blocks.update(_rows(path, lines, i + 1, count, columns))
                break
        else:
            raise SynthesisError(f"{path} is cut short: it has no table with the columns {what}.")
    # A temperature of 0 is told below.
    with np.errstate(all="ignore"):
        electron_density = blocks["Pe"] / (BOLTZMANN * blocks["T"])
    return _checked(
        path,
        Atmosphere(
            blocks["RHOX"],
            blocks["T"],
            blocks["Pg"],
            electron_density,
            teff,
            round(float(np.log10(gravity)), 3),
            mh,
            alpha,
            vmic,
        ),
    )
