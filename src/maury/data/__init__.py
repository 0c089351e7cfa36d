"""Embedded tables: every file here is written by a script of this folder and carries its citation.

``make_synthesis.py`` writes the tables of the synthesis, ``make_titanium_oxide.py`` the lines of
TiO, ``make_photoionization.py`` the continua of metals, ``make_calibration.py`` what the Sun says
of the lines, ``make_telluric.py`` and ``make_spectrographs.py`` those of air and instrument,
``make_stars.py`` the stars of mock archives. A table is a compressed NumPy archive without Python
objects.
"""

from importlib.resources import files

import numpy as np

__all__ = ["load_table"]


def load_table(name: str) -> dict[str, np.ndarray]:
    """Read an embedded table.

    Parameters
    ----------
    name
        File name without the suffix, such as ``"atmospheres"``.

    Returns
    -------
    dict
        The arrays of the table by name; ``citation`` says where they come from.
    """
    with (files(__name__) / f"{name}.npz").open("rb") as file, np.load(file) as archive:
        return {key: archive[key] for key in archive.files}
