"""Figures of spectra by the study's networks, and of the networks themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from torch import nn

from maury.datasets.starlight import Starlight
from maury.evaluation.doppler import shift
from maury.evaluation.figures import (
    LINES,
    Layer,
    compare_spectra,
    latent_traversal,
    network_diagram,
)
from maury.figures import Region
from maury.grid import HARPS, WavelengthGrid
from maury.labels import HARPS_LABELS, LABELS, Normalizer
from maury.models.plain import plain
from maury.models.zoo import ZOO, build
from maury.study.drawing import Drawing
from maury.study.plan import MODELS
from maury.training.scale import SCALES

__all__ = [
    "Drawn",
    "draw_architectures",
    "draw_decoders",
    "draw_observed_spectra",
    "draw_traversal",
]

MOVED = {
    "teff": np.linspace(4200.0, 6800.0, 7),
    "mh": np.linspace(-1.0, 0.3, 7),
    "logg": np.linspace(3.6, 4.9, 7),
    "rv": np.linspace(-40.0, 40.0, 7),
}
# The first of these that lies on the grid: that of the paper's Fig. 5, and one for reduced grids.
DECODER_WINDOWS = (
    Region("as in the paper", 4795.0, 4803.0, ()),
    Region("near Fe I 6065", 6062.0, 6070.0, (6065.482,)),
)
TELLURIC = Region("O$_2$", 6276.0, 6290.0, ())
# A shift of some km/s is lost in wider windows.
NARROW = (
    Region("Fe I 6065", 6062.0, 6069.0, (6065.482,)),
    Region("Na D", 5886.5, 5893.5, (5889.951,)),
    TELLURIC,
)
LEVEL = 20.0  # Angstrom over which it is brought to the observed level
VSINI, VMAC, VMIC = 2.0, 3.0, 1.0  # km/s, of the star that is computed for comparison

Drawn = Iterator[tuple[str, str, Figure]]
"""Part of the name, caption and figure."""


def draw_decoders(drawing: Drawing) -> Drawn:
    source = drawing.simulated
    teff = np.array([row["teff"] for row in source.rows])
    speed = np.array([abs(row["rv"]) for row in source.rows])
    number = int(np.argmin(np.abs(teff - 5500.0) / 500.0 + speed / 50.0))
    exposure = source.batch([number], noise=False)
    spectra: dict[str, Any] = {}
    for name in drawing.models("fig5"):
        network = drawing.network(name)
        if not spectra:
            truth = network.normalize(exposure.flux, exposure.valid)[0]
            spectra["simulated"] = _masked(truth, exposure.valid)
        columns = [source.labels.index(label) for label in network.names]
        made = network.decode(network.nodes_of(exposure.labels.numpy()[:, columns]))[0]
        spectra[MODELS[name].legend] = _masked(made, exposure.valid)
    window = next(w for w in DECODER_WINDOWS if _covered(w, drawing.grid))
    row = source.rows[number]
    yield (
        "",
        f"A simulated test spectrum without noise ({_told(row)}) and what the decoders make of "
        "its labels.",
        compare_spectra(drawing.grid.wavelength, spectra, (window,)),
    )


def draw_architectures(drawing: Drawing) -> Drawn:
    for name in ("encoder", "cnn-decoder", "resnet-decoder"):
        caption = "Layers, their outputs and parameters on the full HARPS grid."
        yield name, caption, network_diagram(_layers(name), name)


def draw_traversal(drawing: Drawing) -> Drawn:
    for name in drawing.models("traversal"):
        network = drawing.network(name)
        exposure = drawing.observed.at([drawing.example])
        nodes = network.encode(network.normalize(exposure.flux, exposure.valid))
        for label, values in MOVED.items():
            node = network.names.index(label)
            moved = np.repeat(nodes, len(values), axis=0)
            moved[:, node] = network.nodes_of(
                np.repeat(network.labels(nodes), len(values), axis=0)
                + (np.arange(len(network.names)) == node)
                * (values[:, None] - network.labels(nodes))
            )[:, node]
            spectra = np.where(exposure.valid.numpy(), network.decode(moved), np.nan)
            caption = (
                f"{MODELS[name].legend}: an observed test exposure is encoded, the node of "
                f"{LABELS[label].name} is moved, and the result is decoded."
            )
            regions = NARROW if label == "rv" else (*LINES, TELLURIC)
            figure = latent_traversal(drawing.grid.wavelength, spectra, values, label, regions)
            yield f"{name}-{label}", caption, figure


def draw_observed_spectra(drawing: Drawing) -> Drawn:
    exposure = drawing.observed.at([drawing.example])
    spectra: dict[str, Any] = {}
    for name in drawing.models("spectra"):
        network = drawing.network(name)
        given = network.normalize(exposure.flux, exposure.valid)
        if not spectra:
            spectra["observed"] = _masked(given[0], exposure.valid)
        spectra[MODELS[name].legend] = _masked(
            network.decode(network.encode(given))[0], exposure.valid
        )
    known = dict(zip(drawing.observed.labels.names, exposure.labels[0].tolist(), strict=True))
    spectra["first principles"] = _levelled(_computed(known, drawing), spectra["observed"], drawing)
    kind = "mock" if drawing.exposures.mock else "observed"
    caption = (
        f"An exposure of the {kind} archive ({_told(known)}), its reconstructions, and the star "
        "as computed from its labels, without air, at the observed level over 20 Å."
    )
    yield "", caption, compare_spectra(drawing.grid.wavelength, spectra)


def _masked(spectrum: NDArray[np.floating], valid: torch.Tensor) -> NDArray[np.floating]:
    return np.where(valid.numpy()[0], spectrum, np.nan)


def _covered(region: Region, grid: WavelengthGrid) -> bool:
    return bool(grid.start <= region.lower and region.upper <= grid.stop)


def _told(labels: Mapping[str, float]) -> str:
    return (
        f"{labels['teff']:.0f} K, log g {labels['logg']:.2f}, [M/H] {labels['mh']:+.2f}, "
        f"{labels['rv']:+.1f} km/s"
    )


def _computed(labels: Mapping[str, float], drawing: Drawing) -> NDArray[np.float64]:
    """A star's spectrum from first principles, shifted by its velocity."""
    solver = "table" if SCALES[drawing.scale].needs_stores else "emulator"
    star = {name: labels[name] for name in ("teff", "logg", "mh")}
    row = {**star, "vmic": VMIC, "vsini": VSINI, "vmac": VMAC, "noise_seed": 0}
    flux, _ = Starlight(grid=drawing.grid, solver=solver)(row)  # type: ignore[arg-type]
    return shift(flux[None].astype(np.float64), drawing.grid.wavelength, labels["rv"])[0]


def _levelled(
    spectrum: NDArray[np.float64], observed: NDArray[np.floating], drawing: Drawing
) -> NDArray[np.float64]:
    """A spectrum with the broad shape of an observed one, which air and instrument have changed."""
    known = np.isfinite(observed) & np.isfinite(spectrum)
    width = LEVEL / drawing.grid.step
    level = [
        gaussian_filter1d(np.where(known, values, 0.0), width) for values in (observed, spectrum)
    ]
    return np.where(known, spectrum * level[0] / np.where(level[1] > 0, level[1], np.nan), np.nan)


def _layers(name: str) -> list[Layer]:
    """Layers of a part of the zoo on the full grid; nothing is computed."""
    normalizer = Normalizer((0.0,) * 6, (1.0,) * 6, HARPS_LABELS.names)
    with torch.device("meta"):
        network = build(name, grid=HARPS, labels=HARPS_LABELS, normalizer=normalizer)
        part = plain(network.encoder if ZOO[name].encoder else network.decoder)
        inputs = torch.zeros(1, HARPS.size if ZOO[name].encoder else network.nodes)
    layers: list[Layer] = []

    def note(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        shape = (output.shape[1], output.shape[2] if output.ndim > 2 else 1)
        size = sum(parameter.numel() for parameter in module.parameters())
        layers.append(Layer(_kind(module), *shape, size))

    for module in part.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.ConvTranspose1d):
            module.register_forward_hook(note)
    part(inputs)
    return layers


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.Linear):
        return "linear"
    assert isinstance(module, nn.Conv1d | nn.ConvTranspose1d)
    kind = "conv" if isinstance(module, nn.Conv1d) else "transposed"
    return f"{kind} {module.kernel_size[0]}"
