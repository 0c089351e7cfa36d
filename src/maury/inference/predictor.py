"""From spectra to labels: the network's answer, refined by a fit of computed spectra."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from maury.errors import GridError, MauryError, SpectrumError
from maury.inference.doubts import (
    LARGEST_AIRMASS,
    POOR_FIT,
    STELLAR,
    disagree,
    doubts_of_fit,
    doubts_of_pixels,
)
from maury.inference.fit import Fit, Fitter
from maury.inference.generation import generate
from maury.inference.network import STANDARD_NETWORK, NetworkEstimate, NetworkEstimator
from maury.inference.prediction import FLAGS, Estimate, Prediction, to_table
from maury.inference.telluric_fit import TelluricFit, fit_tellurics
from maury.labels import LABELS
from maury.readers import read
from maury.spectrum import Spectrum, doppler_factor
from maury.synthesis.emulator import Emulator
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["RESOLVING_POWERS", "STANDARD_NETWORK", "Predictor", "load", "sentence"]

RESOLVING_POWERS = {"HARPS": 115_000.0, "HARPN": 115_000.0, "ESPRESSO": 140_000.0}
"""Resolving powers by the start of the instrument's name in the header, in the usual mode.

Mayor et al. 2003 (The Messenger 114, 20), Cosentino et al. 2012 (SPIE 8446), Pepe et al. 2021
(A&A 645, A96).
"""


class Predictor:
    """Teff, log g, [M/H], radial velocity, BERV and airmass of observed spectra.

    The network answers first (Cvrcek et al. 2024, trained on our own simulated exposures). Its
    answer is where a robust fit of the emulator of computed spectra starts; a fit that ends badly
    is tried again from other starts, and the one with the smaller residual is kept. The star is
    then divided out, and the telluric lines that remain give BERV and airmass.

    One standard deviation of a refined label is that of the fit and, added in quadrature, the
    scatter of fits of simulated spectra whose lines have wrong strengths, as the emulator's card
    gives it; of a label by the network alone it is that of its validation.

    Parameters
    ----------
    estimator : NetworkEstimator
        The network.
    emulator : Emulator
        The computed spectra.
    resolving_power : float, optional
        Of the spectra; by default that of the instrument in the header.
    """

    def __init__(
        self,
        estimator: NetworkEstimator,
        emulator: Emulator,
        *,
        resolving_power: float | None = None,
    ) -> None:
        if resolving_power is not None and not 5_000 <= resolving_power <= 1_000_000:
            raise GridError(
                f"A resolving power of {resolving_power:g} cannot be used; it must be 5000 to 1e6."
            )
        self.estimator, self.emulator = estimator, emulator
        self.resolving_power = resolving_power
        self._fitters: dict[float, Fitter] = {}
        self._ranges = estimator.trained_ranges

    def predict(
        self,
        spectra: Spectrum | str | Path | Iterable[Spectrum | str | Path],
        *,
        refine: bool = True,
    ) -> Table:
        """Labels of spectra, one row each.

        Parameters
        ----------
        spectra : Spectrum, path, or several of them
            What was observed; files are read with `maury.read`.
        refine : bool
            Fit the computed spectra, or give the network's answer as it is.

        Returns
        -------
        astropy.table.Table
            With units; see `maury.inference.prediction.to_table`. A spectrum that cannot be used
            has a sentence in the column ``error`` and does not stop the others.
        """
        several = [spectra] if isinstance(spectra, Spectrum | str | Path) else spectra
        return to_table(self.stream(several, refine=refine))

    def stream(
        self, spectra: Iterable[Spectrum | str | Path], *, refine: bool = True
    ) -> Iterator[Prediction]:
        """Predict one spectrum after the other; one that cannot be used gives an error."""
        for source in spectra:
            name = source.meta.path or "" if isinstance(source, Spectrum) else str(source)
            try:
                spectrum = source if isinstance(source, Spectrum) else read(source)
                yield replace(self.examine(spectrum, refine=refine), file=name)
            except MauryError as error:
                yield Prediction(name, error=sentence(name, error))

    def generate(
        self, labels: Mapping[str, Any], n: int = 1, seed: int = 0
    ) -> Spectrum | list[Spectrum]:
        """Spectra of given labels, by a network that has a decoder; without noise.

        Parameters
        ----------
        labels : mapping
            Values by name, as numbers in the labels' units (K, dex, km/s, mm) or as astropy
            quantities; those that are missing are taken from the centre of the training labels.
        n : int
            How many; they differ in their unknown factors u alone.
        seed : int
            Of the unknown factors, see `maury.inference.generation.generate`.

        Returns
        -------
        Spectrum or list of Spectrum
            One spectrum, or a list if `n` is above one; barycentric, masked where the network was
            not trained. The instrument of its ``meta`` tells where u comes from.

        Raises
        ------
        MauryError
            If the network cannot generate, or was not trained on such labels.
        """
        generation = generate(self.estimator, labels, n=n, seed=seed)
        spectra = [generation.spectrum(index) for index in range(n)]
        return spectra[0] if n == 1 else spectra

    def fitter(self, spectrum: Spectrum) -> tuple[Fitter, bool]:
        """The fitter for a spectrum, and whether its resolving power had to be assumed."""
        power, assumed = self.resolving_power, False
        if power is None:
            instrument = (spectrum.meta.instrument or "").upper()
            known = [
                value for name, value in RESOLVING_POWERS.items() if instrument.startswith(name)
            ]
            power, assumed = (known[0], False) if known else (RESOLVING_POWERS["HARPS"], True)
        if power not in self._fitters:
            self._fitters[power] = Fitter(self.emulator, power)
        return self._fitters[power], assumed

    def examine(self, spectrum: Spectrum, *, refine: bool = True) -> Prediction:
        """Predict one spectrum.

        Raises
        ------
        MauryError
            If it cannot be used.
        """
        watch = _Watch()
        flags: set[str] = set()
        try:
            (network,) = self.estimator.estimate([spectrum])
        except GridError:
            if not refine:
                raise
            network = None
            flags.add("no-network")
        watch.lap("network")
        by_network = {} if network is None else _network_labels(network, spectrum)
        prediction = Prediction(
            file=spectrum.meta.path or "", network=by_network, object=spectrum.meta.object
        )
        if refine:
            prediction = self._refine(prediction, spectrum, network, flags, watch)
        else:
            prediction = replace(prediction, labels=by_network)
        if not prediction.refined:
            assert network is not None
            flags |= doubts_of_pixels(network.coverage, spectrum.meta.snr)
            prediction = replace(prediction, at_edge=self._beyond_training(network))
            if prediction.at_edge:
                flags.add("outside-grid")
        if spectrum.frame != "barycentric":
            flags.add(f"{spectrum.frame}-frame")
        ordered = tuple(flag for flag in FLAGS if flag in flags)
        return replace(prediction, flags=ordered, seconds=watch.seconds)

    def _refine(
        self,
        prediction: Prediction,
        spectrum: Spectrum,
        network: NetworkEstimate | None,
        flags: set[str],
        watch: _Watch,
    ) -> Prediction:
        """The prediction with the labels of the fit; it adds to the flags."""
        fitter, assumed = self.fitter(spectrum)
        watch.lap("preparation")
        try:
            fit = self._fit(fitter, spectrum, network)
        except GridError as error:
            if network is None:
                where = spectrum.meta.path or "The spectrum"
                raise GridError(f"{where} cannot be used: {error}.") from error
            flags.add("not-refined")
            return replace(prediction, labels=prediction.network)
        watch.lap("fit")
        telluric = fit_tellurics(spectrum, fit, fitter)
        watch.lap("tellurics")
        floors = self.emulator.card.get("fit_scatter", {})
        labels = _fit_labels(fit, telluric, floors, spectrum)
        for name in ("berv", "airmass"):
            if telluric is None and name in prediction.network:
                labels[name] = prediction.network[name]
        at_edge = tuple(name for name in fit.at_edge if name in STELLAR)
        if telluric is not None and telluric.airmass > LARGEST_AIRMASS:
            at_edge += ("airmass",)
        flags |= doubts_of_fit(spectrum, fitter, fit) | doubts_of_pixels(fit.coverage, fit.snr)
        checks = {
            "airmass-at-edge": "airmass" in at_edge,
            "network-disagrees": disagree(labels, prediction.network),
            "no-tellurics": telluric is None,
            "resolution-assumed": assumed,
        }
        flags |= {name for name, holds in checks.items() if holds}
        facts = {name: fit.values[name] for name in ("vmic", "vsini")}
        facts |= {"residual": fit.residual, "snr": fit.snr, "coverage": fit.coverage}
        if telluric is not None:
            facts["pwv"] = telluric.pwv
        return replace(
            prediction, labels=labels, refined=True, at_edge=at_edge, facts=facts, fit=fit
        )

    def _fit(self, fitter: Fitter, spectrum: Spectrum, network: NetworkEstimate | None) -> Fit:
        """The fit from the network's answer, or a better one from other starts."""
        first = None
        if network is not None and self._inside_emulator(network):
            start = {name: network.values[name] for name in STELLAR}
            first = _attempt(fitter, spectrum, start)
            if first and first.converged and not first.at_edge and first.residual <= POOR_FIT:
                return first
        again = _attempt(fitter, spectrum, None)
        fits = [fit for fit in (first, again) if fit is not None]
        if not fits:
            name = spectrum.meta.path or "The spectrum"
            raise SpectrumError(f"{name} is so unlike a star that no spectrum can be fitted to it.")
        return min(fits, key=lambda fit: fit.residual)

    def _inside_emulator(self, network: NetworkEstimate) -> bool:
        if not set(STELLAR) <= set(network.values):
            return False
        values = np.array([network.values[name] for name in STELLAR])
        index = [self.emulator.names.index(name) for name in STELLAR]
        lower, upper = self.emulator.lower.numpy()[index], self.emulator.upper.numpy()[index]
        return bool(np.all((values >= lower) & (values <= upper)))

    def _beyond_training(self, network: NetworkEstimate) -> tuple[str, ...]:
        """Labels that it was not trained on; extrinsic ones only if by more than their scatter."""
        found = []
        for name, value in network.values.items():
            lower, upper = self._ranges[name]
            slack = 0.0 if LABELS[name].group == "intrinsic" else network.uncertainties[name]
            if not lower - slack <= value <= upper + slack:
                found.append(name)
        return tuple(found)


def load(
    name_or_path: str | Path | None = None, *, resolving_power: float | None = None
) -> Predictor:
    """A predictor with the weights of that name.

    Parameters
    ----------
    name_or_path : str or Path, optional
        The card of a network (``.json``) or the name of one that comes with the package; by
        default `STANDARD_NETWORK`.
    resolving_power : float, optional
        Of the spectra; by default that of the instrument in each header.

    Raises
    ------
    WeightsError
        If there are no such weights or they cannot be used.
    """
    estimator = NetworkEstimator.find(name_or_path)
    return Predictor(estimator, Emulator.load(), resolving_power=resolving_power)


def sentence(name: str, error: MauryError) -> str:
    """What went wrong with a spectrum, with its name."""
    return str(error) if name in str(error) else f"{name}: {error}"


class _Watch:
    """Time since the last lap, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self._last
        self._last = now


def _attempt(fitter: Fitter, spectrum: Spectrum, start: dict[str, float] | None) -> Fit | None:
    """A fit, or None where the spectrum is so unlike a star that it breaks down."""
    try:
        with np.errstate(all="ignore"):
            fit = fitter.fit(spectrum, start)
    except ValueError:
        # Singular matrices and numbers that are not finite.
        return None
    return fit if np.isfinite([*fit.values.values(), *fit.errors.values()]).all() else None


def _network_labels(network: NetworkEstimate, spectrum: Spectrum) -> dict[str, Estimate]:
    labels = {
        name: Estimate.of(name, value, network.uncertainties[name])
        for name, value in network.values.items()
    }
    return _in_barycentric_frame(labels, spectrum)


def _fit_labels(
    fit: Fit, telluric: TelluricFit | None, floors: Mapping[str, float], spectrum: Spectrum
) -> dict[str, Estimate]:
    pairs = {name: (fit.values[name], fit.errors[name]) for name in (*STELLAR, "rv")}
    if telluric is not None:
        pairs["berv"] = (telluric.berv, telluric.berv_error)
        pairs["airmass"] = (telluric.airmass, telluric.airmass_error)
    labels = {
        name: Estimate.of(name, value, math.hypot(error, floors.get(name, 0.0)))
        for name, (value, error) in pairs.items()
    }
    return _in_barycentric_frame(labels, spectrum)


def _in_barycentric_frame(labels: dict[str, Estimate], spectrum: Spectrum) -> dict[str, Estimate]:
    """Velocities of a spectrum in another frame: what it cannot tell goes, what can be is turned.

    In the star's frame telluric lines are shifted by BERV less radial velocity; in the
    observatory's they are not shifted, and BERV is the header's.
    """
    if spectrum.frame == "barycentric":
        return labels
    labels = {name: estimate for name, estimate in labels.items() if name != "berv"}
    berv = spectrum.meta.berv
    if spectrum.frame == "observatory" and berv is not None:
        labels["berv"] = Estimate.of("berv", berv, 0.0)
        if "rv" in labels:
            rv = labels["rv"]
            factor = float(doppler_factor(rv.value)) * (1 + berv / SPEED_OF_LIGHT)
            velocity = SPEED_OF_LIGHT * (factor**2 - 1) / (factor**2 + 1)
            labels["rv"] = Estimate.of("rv", velocity, rv.sigma)
    return labels
