"""Spectra of any star from opacity tables: [M/H] interpolated, microturbulence put in exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.linelist import LineList, standard_lines
from maury.synthesis.opacity import OpacityTable, check_vmic
from maury.synthesis.opacity_nodes import metallicities
from maury.synthesis.opacity_transfer import STEP, emergent_spectrum
from maury.synthesis.synthesize import COVERAGE

__all__ = ["LOWEST_VMIC", "OpacityGrid"]

LOWEST_VMIC = 0.5  # km/s


class OpacityGrid:
    """Spectra of any star from opacity tables 0.25 dex of [M/H] apart.

    A star takes the three tables about its [M/H], quadratic in ln opacity; they are made when
    first needed and kept on disk. The tables are made with the lowest microturbulence. A higher
    one widens every line by a Gaussian of one velocity, and so its opacity is exactly the tables'
    convolved with that Gaussian.

    Parameters
    ----------
    alpha
        [alpha/M], dex; changes the abundances, not the model's structure.
    lines, span, folder
        See `OpacityTable.cached`.
    workers
        Threads.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.0,
        lines: LineList | None = None,
        span: tuple[float, float] = COVERAGE,
        folder: Path | None = None,
        workers: int = 1,
    ) -> None:
        self.alpha, self.span, self.folder, self.workers = alpha, span, folder, workers
        self.lines = standard_lines() if lines is None else lines
        self._tables: dict[float, OpacityTable] = {}

    @property
    def wavelength(self) -> np.ndarray:
        """Angstrom in air, stellar rest frame, shape (pixel,)."""
        size = round((self.span[1] - self.span[0]) / STEP) + 1
        return self.span[0] + STEP * np.arange(size)

    def table(self, mh: float) -> OpacityTable:
        """The table of one [M/H], made and kept on disk if it is not there yet."""
        if mh not in self._tables:
            self._tables[mh] = OpacityTable.cached(
                mh=mh,
                alpha=self.alpha,
                vmic=LOWEST_VMIC,
                lines=self.lines,
                span=self.span,
                folder=self.folder,
            )
        return self._tables[mh]

    def flux(
        self, teff: float, logg: float, mh: float, vmic: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Flux and continuum flux at a star's surface.

        Parameters
        ----------
        teff, logg, mh
            K, log10 of cm s-2, dex; as `model_atmosphere` takes them.
        vmic
            Microturbulence, 0.5 to 5 km/s.

        Returns
        -------
        flux, continuum
            erg s-1 cm-2 A-1, float32, shape (pixel,) each, at `wavelength`.

        Raises
        ------
        SynthesisError
            If a parameter is out of range, or a table cannot be written.
        """
        turbulence = check_vmic(vmic, LOWEST_VMIC)
        atmosphere = model_atmosphere(teff, logg, mh)
        nodes, shares = metallicities(mh)
        tables = [self.table(node) for node in nodes]
        return emergent_spectrum(tables, shares, atmosphere, turbulence, self.workers)
