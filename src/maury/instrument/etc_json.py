"""Output of ESO's exposure-time calculators (ETC 2.0, JSON): Appendix A from ESO's own numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from maury.errors import ReadError
from maury.grid import Medium, WavelengthGrid
from maury.instrument.photoelectrons import Photoelectrons
from maury.wavelength import vacuum_to_air

__all__ = ["EtcOrder", "photoelectrons_on_grid", "read_etc_json"]

METRE = 1e10  # Angstrom
# Where an order's arrays lie below "data" of its detector, and what they are here.
SERIES = {
    "wavelength": ("wavelength", "wavelength"),
    "target_sed": ("sed", "target"),
    "signal": ("signals", "obstarget"),
    "sky": ("signals", "obssky"),
    "atmosphere": ("throughput", "atmosphere"),
    "blaze": ("throughput", "blaze"),
    "dispersion": ("dispersion", "dispersion"),
}
NOISE = ("nspat", "nspec", "ndit", "dit", "dark", "ron2")


@dataclass(frozen=True, eq=False)
class EtcOrder:
    """One order on one detector, in the observatory frame.

    Parameters
    ----------
    name : str
        ESO's name of the order; Appendix A numbers the orders as they come.
    wavelength : float64[n]
        Angstrom in air, ascending.
    target_sed : float64[n]
        The star outside the atmosphere, in ESO's unit.
    signal, sky : float64[n]
        Electrons in a spectral pixel and in all integrations.
    atmosphere, blaze : float64[n]
        Transmission and blaze function.
    dispersion : float64[n]
        Angstrom a pixel (in the file: metres).
    nspat, nspec, ndit, dit, dark, ron2 : float
        Pixels across and along, integrations, seconds of one, electrons a second and detector
        pixel, and the variance of the readout of one.
    """

    name: str
    wavelength: NDArray[np.float64]
    target_sed: NDArray[np.float64]
    signal: NDArray[np.float64]
    sky: NDArray[np.float64]
    atmosphere: NDArray[np.float64]
    blaze: NDArray[np.float64]
    dispersion: NDArray[np.float64]
    nspat: float
    nspec: float
    ndit: float
    dit: float
    dark: float
    ron2: float


def read_etc_json(path: str | Path, *, medium: Medium = "air") -> tuple[EtcOrder, ...]:
    """Read what ``etc_cli.py`` or the web form's download button writes.

    The file holds ``data.orders[].detectors[].data``, and below it groups of series, each with its
    array under ``data``; wavelengths and dispersions are in metres.

    Parameters
    ----------
    path : str or Path
        The file.
    medium : {"air", "vacuum"}
        Of its wavelengths, which it does not say; the paper's authors took them as in air. Those
        in vacuum are converted.

    Returns
    -------
    tuple of EtcOrder
        In the order of the file.

    Raises
    ------
    ReadError
        If the file cannot be read, is no such output, or lacks an array of Appendix A's list.
    """
    name = Path(path).name
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ReadError(f"{name} cannot be opened: {error.strerror or error}.") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ReadError(f"{name} is not a JSON file.") from error
    orders = _get(content, ("data", "orders"), name)
    if not isinstance(orders, list) or not orders:
        raise ReadError(f"{name} has no orders below data.orders.")
    return tuple(
        _order(order, detector, name, medium)
        for order in orders
        for detector in _get(order, ("detectors",), name)
    )


def _get(values: Any, path: tuple[str, ...], name: str) -> Any:
    """What lies at the end of a path of keys."""
    for i, key in enumerate(path):
        if not isinstance(values, Mapping) or key not in values:
            raise ReadError(f"{name} is not an output of ESO's ETC: no {'.'.join(path[: i + 1])}.")
        values = values[key]
    return values


def _order(order: Any, detector: Any, name: str, medium: Medium) -> EtcOrder:
    label = str(_get(order, ("order",), name))
    data = _get(detector, ("data",), name)
    arrays: dict[str, Any] = {}
    for key, (group, series) in SERIES.items():
        try:
            array = np.array(_get(data, (group, series, "data"), name), dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ReadError(
                f"{name}, order {label}: {group}.{series} is not an array of numbers."
            ) from error
        if array.ndim != 1 or array.shape != arrays.get("wavelength", array).shape:
            raise ReadError(
                f"{name}, order {label}: {group}.{series} has the shape {array.shape}, not that of "
                "the wavelengths."
            )
        arrays[key] = array
    wave = arrays["wavelength"]
    if wave.size < 2 or not (np.isfinite(wave).all() and (np.diff(wave) > 0).all() and wave[0] > 0):
        raise ReadError(f"{name}, order {label}: the wavelengths do not rise.")
    noise = _get(data, ("snr", "noise_components", "noise_info"), name)
    try:
        numbers: dict[str, Any] = {key: float(_get(noise, (key,), name)) for key in NOISE}
    except (TypeError, ValueError) as error:
        raise ReadError(f"{name}, order {label}: noise_info holds what is no number.") from error
    arrays["wavelength"] = vacuum_to_air(wave * METRE) if medium == "vacuum" else wave * METRE
    arrays["dispersion"] = arrays["dispersion"] * METRE
    return EtcOrder(name=label, **arrays, **numbers)


def photoelectrons_on_grid(orders: tuple[EtcOrder, ...], grid: WavelengthGrid) -> Photoelectrons:
    """Appendix A's terms on a grid, observatory frame: every other order is A, the rest B.

    Between pixels of an order linearly. The noise is that of the first order, as for one
    instrument it is that of all.

    Raises
    ------
    ReadError
        If two orders of the same parity overlap.
    """
    keys = ("signal", "sky", "blaze", "dispersion")
    joined = {f"{key}_{half}": np.zeros(grid.size) for key in keys for half in "ab"}
    sed, atmosphere = np.zeros(grid.size), np.zeros(grid.size)
    for i, order in enumerate(orders):
        half = "ab"[i % 2]
        wave = order.wavelength
        part = slice(*np.searchsorted(grid.wavelength, (wave[0], np.nextafter(wave[-1], np.inf))))
        inside = grid.wavelength[part]
        if joined[f"blaze_{half}"][part].any():
            raise ReadError(f"Order {order.name} overlaps the one before the last.")
        for key in keys:
            joined[f"{key}_{half}"][part] = np.interp(inside, wave, getattr(order, key))
        sed[part] = np.interp(inside, wave, order.target_sed)
        atmosphere[part] = np.interp(inside, wave, order.atmosphere)
    first = orders[0]

    def tensor(values: Any) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32).reshape(1, -1)

    return Photoelectrons(
        target_sed=tensor(sed),
        atmosphere=tensor(atmosphere),
        **{key: tensor(value) for key, value in joined.items()},
        readout_noise=tensor(np.sqrt(first.ron2)),
        ndit=tensor(first.ndit),
        dark=tensor(first.dark),
        dit=tensor(first.dit),
        spatial_pixels=first.nspat,
        spectral_pixels=first.nspec,
    )
