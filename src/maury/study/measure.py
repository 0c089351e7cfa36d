"""Everything that is measured of one network, once, and kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maury.datasets.stored_exposures import StoredExposures
from maury.datasets.training_source import ObservedExposures
from maury.evaluation.interventions import (
    VELOCITIES,
    GeneralScores,
    general_intervention_scores,
    true_velocity_intervention_scores,
    velocity_intervention_scores,
)
from maury.evaluation.latents import LatentSummary, summarize_latents
from maury.evaluation.lines import line_pixels
from maury.evaluation.metrics import reconstruction_errors
from maury.study.exposures import JUDGED, TestExposures
from maury.study.networks import StudiedNetwork

__all__ = [
    "Measurements",
    "measure",
    "slow_exposures",
    "true_velocity_scores",
    "velocity_arguments",
]

BATCH = 32
SEED = 1
FASTEST = 60.0  # km/s: shifted by 40 these stay within the velocities of the training exposures

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measurements:
    """What was measured of one network.

    Parameters
    ----------
    names : tuple of str
        Labels, in the order of the columns below.
    true, predicted : float64[observed, label] or None
        Labels of the observed test exposures; NaN where unknown, and in columns that the network
        does not predict. None for a decoder alone.
    simulated_true, simulated_predicted : float64[simulated, label] or None
        The same of the simulated ones.
    reconstruction : mapping of float64[spectrum]
        Mean absolute error of each spectrum: of all valid pixels ("observed", "simulated"), of
        those in lines ("observed-line", ...) and of the others ("observed-continuum", ...), and of
        simulated spectra from what they are without noise ("noise-free").
    rvis : float64[spectrum, velocity] or None
        Eq. 16 on observed spectra; None unless the network encodes and decodes.
    shifted_input : float64[spectrum, velocity] or None
        The same spectra, from the shifted input spectrum, whose noise counts.
    true_rvis : float64[spectrum, velocity] or None
        On simulated spectra, from what a new simulation with the other velocity gives, without
        noise; for a decoder alone from their true labels.
    gis : mapping of GeneralScores
        Eq. 17 by label, on the generative set.
    latents : LatentSummary or None
        Of the nodes of observed spectra, of two at least.
    """

    names: tuple[str, ...]
    true: Array | None = None
    predicted: Array | None = None
    simulated_true: Array | None = None
    simulated_predicted: Array | None = None
    reconstruction: Mapping[str, Array] = field(default_factory=dict)
    rvis: Array | None = None
    shifted_input: Array | None = None
    true_rvis: Array | None = None
    gis: Mapping[str, GeneralScores] = field(default_factory=dict)
    latents: LatentSummary | None = None


def measure(
    network: StudiedNetwork,
    exposures: TestExposures,
    shifted: int,
    *,
    interventions: bool = True,
) -> Measurements:
    """Measure a network on the test exposures.

    Parameters
    ----------
    network
        What is measured.
    exposures
        On what.
    shifted
        Number of spectra for RVIS.
    interventions
        Whether GIS is wanted; RVIS always is.

    Raises
    ------
    MauryError
        If spectra of the network are not finite.
    """
    values: dict[str, Any] = {}
    if network.encodes and exposures.observed is not None:
        values |= _observed(network, exposures.observed, shifted)
    if exposures.simulated is not None:
        values |= _simulated(network, exposures.simulated)
    errors = values.pop("observed_errors", {}) | values.pop("simulated_errors", {})
    if network.decodes and "rv" in network.names and exposures.simulated is not None:
        numbers = slow_exposures(exposures.simulated, shifted)
        values["true_rvis"] = true_velocity_scores(network, exposures.simulated, numbers)
    if interventions and network.encodes and network.decodes and exposures.generative is not None:
        values["gis"] = _general(network, exposures.generative)
    return Measurements(network.names, reconstruction=errors, **values)


def _observed(network: StudiedNetwork, source: ObservedExposures, shifted: int) -> dict[str, Any]:
    columns = _columns(network.names, source.labels.names)
    chosen = np.random.default_rng(SEED).permutation(len(source.indices))[:shifted]
    kept = set(source.indices[chosen].tolist())
    nodes, variances, true, inputs, masks = ([] for _ in range(5))
    places: list[int] = []
    errors = _Errors(network)
    for indices in _pieces(source.indices):
        batch = source.at(indices)
        spectra, valid = network.normalize(batch.flux, batch.valid), batch.valid.numpy()
        encoded = network.encode(spectra)
        nodes.append(encoded)
        true.append(batch.labels.numpy()[:, columns])
        variance = network.log_variance(spectra)
        if variance is not None:
            variances.append(variance)
        errors.add(spectra, encoded, valid)
        picked = [row for row, index in enumerate(indices.tolist()) if index in kept]
        places += [len(nodes) * BATCH - BATCH + row for row in picked]
        inputs.append(spectra[picked])
        masks.append(valid[picked])
    all_nodes, labels = np.concatenate(nodes), np.concatenate(true).astype(np.float64)
    own = all_nodes[:, -network.network.nodes :]
    values: dict[str, Any] = {
        "true": labels,
        "predicted": network.labels(all_nodes),
    }
    # How nodes vary cannot be told from a single exposure.
    if len(own) > 1:
        values["latents"] = summarize_latents(
            own,
            labels,
            log_variance=np.concatenate(variances) if variances else None,
            seed=SEED,
        )
    if network.decodes:
        values["observed_errors"] = errors.of("observed")
        if "rv" in network.names:
            at = all_nodes[places]
            common = velocity_arguments(network) | {"valid": np.concatenate(masks)}
            values["rvis"] = velocity_intervention_scores(network.decode, at, **common)
            values["shifted_input"] = true_velocity_intervention_scores(
                network.decode, at, np.concatenate(inputs), **common
            )
    return values


def _simulated(network: StudiedNetwork, source: StoredExposures) -> dict[str, Any]:
    columns = _columns(network.names, source.labels.names)
    true, predicted = [], []
    errors, noise_free = _Errors(network), []
    for numbers in _pieces(np.arange(len(source))):
        noisy = source.batch(numbers)
        clean = source.batch(numbers, noise=False)
        valid = noisy.valid
        spectra = network.normalize(noisy.flux, valid)
        labels = noisy.labels.numpy()[:, columns]
        true.append(labels)
        if network.encodes:
            nodes = network.encode(spectra)
            predicted.append(network.labels(nodes))
        else:
            nodes = network.nodes_of(labels)
        if network.decodes:
            template = network.normalize(clean.flux, valid)
            made = errors.add(spectra, nodes, valid.numpy(), template)
            noise_free.append(reconstruction_errors(template, made, valid.numpy()))
    values: dict[str, Any] = {}
    if network.encodes:
        values["simulated_true"] = np.concatenate(true).astype(np.float64)
        values["simulated_predicted"] = np.concatenate(predicted)
    if network.decodes:
        found = errors.of("simulated") | {"noise-free": np.concatenate(noise_free)}
        values["simulated_errors"] = found
    return values


def slow_exposures(source: StoredExposures, most: int) -> NDArray[np.int64]:
    """Places of so many simulated exposures, at random but always the same, of slow stars.

    Shifted by 40 km/s they stay within the velocities of the training exposures.
    """
    velocity = np.array([row["rv"] for row in source.rows])
    slow = np.flatnonzero(np.abs(velocity) <= FASTEST)
    return np.sort(np.random.default_rng(SEED).permutation(slow)[:most])


def true_velocity_scores(
    network: StudiedNetwork, source: StoredExposures, numbers: NDArray[np.int64]
) -> NDArray[np.float64]:
    """True RVIS of simulated exposures, float64[spectrum, velocity].

    What the network makes of a change of velocity is held against what a new simulation with that
    velocity gives, without noise.

    Parameters
    ----------
    network
        One that decodes. If it does not encode, nodes are the true labels.
    source
        Simulated exposures.
    numbers
        Places of those that are shifted.
    """
    columns = _columns(network.names, source.labels.names)
    velocity = np.array([source.rows[number]["rv"] for number in numbers])
    nodes, masks = [], []
    for few in _pieces(numbers):
        batch = source.batch(few)
        masks.append(batch.valid.numpy())
        if network.encodes:
            nodes.append(network.encode(network.normalize(batch.flux, batch.valid)))
        else:
            nodes.append(network.nodes_of(batch.labels.numpy()[:, columns]))

    def truth(rows: NDArray[np.intp], change: float) -> NDArray[np.float32]:
        batch = source.batch(numbers[rows], noise=False, rv=velocity[rows] + change)
        return network.normalize(batch.flux, batch.valid)

    return true_velocity_intervention_scores(
        network.decode,
        np.concatenate(nodes),
        truth,
        valid=np.concatenate(masks),
        **velocity_arguments(network),
    )


def _general(network: StudiedNetwork, source: StoredExposures) -> dict[str, GeneralScores]:
    scores = {}
    for name in (label for label in JUDGED if label in network.names):
        numbers = np.array([n for n, row in enumerate(source.rows) if row["label"] == name])
        spectra, truth, masks = [], [], []
        for few in _pieces(numbers):
            noisy = source.batch(few)
            clean = source.batch(few, noise=False)
            spectra.append(network.normalize(noisy.flux, noisy.valid))
            truth.append(network.normalize(clean.flux, noisy.valid))
            masks.append(noisy.valid.numpy())
        rows = [source.rows[number] for number in numbers]
        node = network.names.index(name)
        scores[name] = general_intervention_scores(
            network.encode,
            network.decode,
            np.concatenate(spectra),
            np.array([row["core"] for row in rows]),
            np.array([row[name] for row in rows]),
            node=node,
            scale=float(network.scale[node]),
            valid=np.concatenate(masks),
            truth=np.concatenate(truth),
        )
    return scores


class _Errors:
    """Reconstruction errors of batches, of all pixels and by kind."""

    def __init__(self, network: StudiedNetwork) -> None:
        self.network = network
        self.wavelength = network.network.grid.wavelength
        self.found: dict[str, list[NDArray[np.float64]]] = {"": [], "-line": [], "-continuum": []}

    def add(
        self,
        spectra: NDArray[np.float32],
        nodes: NDArray[np.float32],
        valid: NDArray[np.bool_],
        template: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """What the network makes of nodes; lines are told by the template if there is one."""
        if not self.network.decodes:
            return spectra
        made = self.network.decode(nodes)
        lines = line_pixels(spectra if template is None else template, valid, self.wavelength)
        for kind, pixels in (("", None), ("-line", lines), ("-continuum", ~lines)):
            self.found[kind].append(reconstruction_errors(spectra, made, valid, pixels))
        return made

    def of(self, name: str) -> dict[str, NDArray[np.float64]]:
        return {name + kind: np.concatenate(parts) for kind, parts in self.found.items()}


def velocity_arguments(network: StudiedNetwork) -> dict[str, Any]:
    """What scores of interventions in velocity need to know of a network."""
    node = network.names.index("rv")
    return {
        "wavelength": network.network.grid.wavelength,
        "node": node,
        "scale": float(network.scale[node]),
        "velocities": VELOCITIES,
    }


def _columns(names: tuple[str, ...], known: tuple[str, ...]) -> list[int]:
    return [known.index(name) for name in names]


def _pieces(numbers: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(numbers), BATCH):
        yield numbers[start : start + BATCH]
