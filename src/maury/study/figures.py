"""The figures of the study, from what was measured and from spectra of its networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import nn

from maury.datasets.starlight import Starlight
from maury.datasets.stored_exposures import StoredExposures
from maury.datasets.training_source import ObservedExposures
from maury.errors import MauryError
from maury.evaluation.doppler import shift
from maury.evaluation.figures import (
    LINES,
    Curve,
    Layer,
    compare_spectra,
    kiel_diagram,
    label_error_densities,
    label_title,
    label_weight_curves,
    latent_traversal,
    network_diagram,
    reconstruction_densities,
    residual_grid,
    save,
    score_boxes,
    score_curves,
)
from maury.evaluation.metrics import Estimate, estimate
from maury.figures import Region
from maury.grid import HARPS, WavelengthGrid
from maury.labels import HARPS_LABELS, LABELS, Normalizer
from maury.models.plain import plain
from maury.models.zoo import ZOO, build
from maury.study.exposures import TestExposures
from maury.study.networks import StudiedNetwork
from maury.study.plan import (
    BOTTLENECK,
    BOTTLENECK_FREE,
    ITEMS,
    LABEL_WEIGHT,
    MODELS,
)
from maury.study.results import Results, group_error, score
from maury.training.scale import SCALES

__all__ = ["Drawing", "draw"]

INTRINSIC = ("teff", "mh", "logg")
PREDICTED = (*INTRINSIC, "rv", "berv", "airmass")
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
VSINI, VMAC, VMIC = 2.0, 3.0, 1.0  # km/s, of the star that is computed for comparison


@dataclass(frozen=True, eq=False)
class Drawing:
    """What figures are drawn from.

    Parameters
    ----------
    results : Results
        What was measured.
    exposures : TestExposures
        The test exposures.
    runs : Path
        Folder of the study's runs.
    scale : str
        Key of `maury.training.scale.SCALES`.
    """

    results: Results
    exposures: TestExposures
    runs: Path
    scale: str

    @property
    def grid(self) -> WavelengthGrid:
        """Of all spectra."""
        return SCALES[self.scale].grid

    @property
    def observed(self) -> ObservedExposures:
        """The observed test exposures."""
        assert self.exposures.observed is not None
        return self.exposures.observed

    @property
    def simulated(self) -> StoredExposures:
        """The simulated test exposures."""
        assert self.exposures.simulated is not None
        return self.exposures.simulated

    def network(self, name: str) -> StudiedNetwork:
        """The network of a model."""
        return StudiedNetwork.load(self.runs / name / f"{name}.json")

    @cached_property
    def example(self) -> int:
        """A slow star of which all labels are known, by its number among the observed ones."""
        source = self.observed
        names = source.labels.names
        known = [names.index(name) for name in PREDICTED]
        values = source.values[:, known]
        complete = np.flatnonzero(np.isfinite(values).all(axis=1))
        if not complete.size:
            raise MauryError("No observed test exposure has all labels.")
        # Bright enough that noise does not hide what differs.
        rows = {row["index"]: row for row in source.store.catalogue.to_pylist()}
        ratio = np.array([rows[i].get("snr") or 0.0 for i in source.indices[complete].tolist()])
        clear = complete[ratio >= np.median(ratio)]
        return int(
            source.indices[clear[np.argmin(np.abs(source.values[clear, names.index("rv")]))]]
        )


def draw(name: str, drawing: Drawing, folder: Path) -> list[tuple[str, str]]:
    """Draw the figures of an item as PNG and PDF.

    Parameters
    ----------
    name
        Key of `maury.study.plan.ITEMS`.
    drawing
        What from.
    folder
        Where they come to be.

    Returns
    -------
    list of (str, str)
        Name and caption of each; none for a table, and none where nothing of it is trained.
    """
    item, results = ITEMS[name], drawing.results
    lacking = (item.models and not set(item.models) & set(results.models)) or any(
        len(results.sweeps.get(sweep, ())) < 2 for sweep in item.sweeps
    )
    if name not in _FIGURES or lacking:
        return []
    drawn = []
    for part, caption, figure in _FIGURES[name](drawing):
        called = f"{name}-{part}" if part else name
        save(figure, folder, called)
        drawn.append((called, f"{ITEMS[name].title}. {caption}".strip()))
    return drawn


Drawn = Iterator[tuple[str, str, Figure]]


def _catalogue(drawing: Drawing) -> Drawn:
    rows = [row for row in drawing.observed.store.catalogue.to_pylist() if row["status"] == "done"]
    values = {
        name: np.array([row.get(name) for row in rows], dtype=np.float64) for name in INTRINSIC
    }
    kind = "mock" if drawing.exposures.mock else "observed"
    yield (
        "",
        f"Each point is one of the {kind} exposures whose temperature and gravity are known.",
        kiel_diagram(values["teff"], values["logg"], values["mh"]),
    )


def _bottleneck(drawing: Drawing) -> Drawn:
    titles = {BOTTLENECK_FREE: "AE", BOTTLENECK: "AE, u supervised"}
    sweeps = drawing.results.sweeps
    for part, what, values in (
        ("", "RVIS", "rvis"),
        ("true", "true RVIS", "true_rvis"),
    ):
        curves = {
            title: _curve(
                {size: score(getattr(found, values)) for size, found in sweeps[name].items()}
            )
            for name, title in titles.items()
        }
        caption = (
            "Mean over spectra and velocities, and its standard error over spectra."
            if not part
            else "The same against simulated spectra of the other velocity, which a blurry "
            "decoder cannot please."
        )
        yield part, caption, score_curves(curves, y_title=f"mean {what}")


def _label_errors(drawing: Drawing) -> Drawn:
    models = _models(drawing, "fig3")
    errors = {
        label: {MODELS[name].legend: _errors(found, label) for name, found in models.items()}
        for label in PREDICTED
    }
    yield "", "Kernels of Scott's width, 1st to 99th percentile.", label_error_densities(errors)


def _residuals(drawing: Drawing) -> Drawn:
    models = _models(drawing, "fig4")
    first = next(iter(models.values()))
    true = {label: first.true[:, first.names.index(label)] for label in INTRINSIC}
    predicted = {
        MODELS[name].legend: {
            label: found.predicted[:, found.names.index(label)] for label in INTRINSIC
        }
        for name, found in models.items()
    }
    yield "", "Observed test exposures; predicted minus true.", residual_grid(true, predicted)


def _decoders(drawing: Drawing) -> Drawn:
    source = drawing.simulated
    teff = np.array([row["teff"] for row in source.rows])
    speed = np.array([abs(row["rv"]) for row in source.rows])
    number = int(np.argmin(np.abs(teff - 5500.0) / 500.0 + speed / 50.0))
    exposure = source.batch([number], noise=False)
    spectra: dict[str, Any] = {}
    for name in _models(drawing, "fig5"):
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


def _reconstruction(drawing: Drawing) -> Drawn:
    models = _models(drawing, "fig6")
    errors = {MODELS[name].legend: m.reconstruction["observed"] for name, m in models.items()}
    yield "", "Observed test exposures.", reconstruction_densities(errors)


def _velocity_boxes(drawing: Drawing) -> Drawn:
    models = _models(drawing, "fig7")
    scores = {
        "rv": {
            MODELS[name].legend: {
                kind: np.nanmean(values, axis=1)
                for kind, values in (
                    ("RVIS", m.rvis),
                    ("shifted input", m.shifted_input),
                    ("true RVIS", m.true_rvis),
                )
            }
            for name, m in models.items()
        }
    }
    caption = (
        "RVIS as in the paper compares a network with itself; beside it the shifted input "
        "spectrum, noise included, and simulated spectra of the other velocity."
    )
    yield "", caption, score_boxes(scores, "mean absolute difference of a spectrum")


def _intervention_boxes(drawing: Drawing) -> Drawn:
    models = _models(drawing, "fig8")
    scores = {
        label: {
            MODELS[name].legend: {"GIS": m.gis[label].constrained, "true GIS": m.gis[label].true}
            for name, m in models.items()
        }
        for label in INTRINSIC
    }
    caption = "Generative set; GIS compares a network with itself, true GIS with the simulation."
    yield "", caption, score_boxes(scores, "mean absolute difference of a spectrum")


def _label_weights(drawing: Drawing) -> Drawn:
    sweep = drawing.results.sweeps[LABEL_WEIGHT]
    intrinsic, extrinsic = (
        _curve({weight: group_error(found, group) for weight, found in sweep.items()})
        for group in ("intrinsic", "extrinsic")
    )
    reconstruction = _curve(
        {weight: estimate(found.reconstruction["observed"]) for weight, found in sweep.items()}
    )
    yield "", "Observed test exposures.", label_weight_curves(intrinsic, extrinsic, reconstruction)


def _architectures(drawing: Drawing) -> Drawn:
    for name in ("encoder", "cnn-decoder", "resnet-decoder", "film-decoder"):
        caption = "Layers, their outputs and parameters on the full HARPS grid."
        yield name, caption, network_diagram(_layers(name), name)


def _traversal(drawing: Drawing) -> Drawn:
    for name in _models(drawing, "traversal"):
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


def _observed_spectra(drawing: Drawing) -> Drawn:
    exposure = drawing.observed.at([drawing.example])
    spectra: dict[str, Any] = {}
    for name in _models(drawing, "spectra"):
        network = drawing.network(name)
        given = network.normalize(exposure.flux, exposure.valid)
        if not spectra:
            spectra["observed"] = _masked(given[0], exposure.valid)
        spectra[MODELS[name].legend] = _masked(
            network.decode(network.encode(given))[0], exposure.valid
        )
    known = dict(zip(drawing.observed.labels.names, exposure.labels[0].tolist(), strict=True))
    spectra["first principles"] = _masked(_computed(known, drawing), exposure.valid)
    kind = "mock" if drawing.exposures.mock else "observed"
    caption = (
        f"An exposure of the {kind} archive ({_told(known)}), its reconstructions, and the star "
        "as computed from its labels, without air and instrument."
    )
    yield "", caption, compare_spectra(drawing.grid.wavelength, spectra)


def _kiel(drawing: Drawing) -> Drawn:
    for name, found in _models(drawing, "kiel").items():
        teff, logg, mh = (found.predicted[:, found.names.index(label)] for label in
                          ("teff", "logg", "mh"))  # fmt: skip
        legend = MODELS[name].legend
        yield (
            f"{name}-mh",
            f"Predictions of {legend}, coloured by predicted [M/H].",
            kiel_diagram(teff, logg, mh, marginals=False),
        )
        yield (
            f"{name}-error",
            f"Predictions of {legend}, coloured by the error of Teff.",
            kiel_diagram(
                teff,
                logg,
                _errors(found, "teff"),
                f"error of {label_title('teff')}",
                marginals=False,
                logarithmic=True,
            ),
        )


_FIGURES: Mapping[str, Callable[[Drawing], Drawn]] = {
    "fig1": _catalogue,
    "fig2": _bottleneck,
    "fig3": _label_errors,
    "fig4": _residuals,
    "fig5": _decoders,
    "fig6": _reconstruction,
    "fig7": _velocity_boxes,
    "fig8": _intervention_boxes,
    "figB": _architectures,
    "figD1": _label_weights,
    "traversal": _traversal,
    "spectra": _observed_spectra,
    "kiel": _kiel,
}


def _models(drawing: Drawing, item: str) -> dict[str, Any]:
    """Those of an item that are trained, in its order."""
    found = drawing.results.models
    return {name: found[name] for name in ITEMS[item].models if name in found}


def _errors(found: Any, label: str) -> NDArray[np.float64]:
    column = found.names.index(label)
    return np.abs(found.predicted[:, column] - found.true[:, column])


def _curve(values: Mapping[Any, Estimate]) -> Curve:
    x = sorted(values)
    return Curve(x, [values[v].value for v in x], [values[v].error for v in x])


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
    """A star's spectrum from first principles over its median, shifted by its velocity."""
    solver = "table" if SCALES[drawing.scale].needs_stores else "emulator"
    star = {name: labels[name] for name in ("teff", "logg", "mh")}
    row = {**star, "vmic": VMIC, "vsini": VSINI, "vmac": VMAC, "noise_seed": 0}
    flux, _ = Starlight(grid=drawing.grid, solver=solver)(row)  # type: ignore[arg-type]
    moved = shift(flux[None].astype(np.float64), drawing.grid.wavelength, labels["rv"])[0]
    return moved / np.nanmedian(moved)


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
