"""Scores of interventions on single nodes: does a decoder change a spectrum as nature would?

Sect. 3.6 of Cvrcek et al. (2024, arXiv:2412.09002). `encode` maps spectra, float32[batch, pixel],
to nodes, float[batch, node]; `decode` maps nodes, float32[batch, node], to spectra, float[batch,
pixel]. Scores are mean absolute differences of spectra normalised by their median. They are given
for each spectrum or pair, so that their distribution can be drawn; their mean is the paper's score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from maury.errors import MauryError
from maury.evaluation.doppler import ShiftedSpectra, Window, shift

__all__ = [
    "VELOCITIES",
    "WINDOW",
    "GeneralScores",
    "do",
    "general_intervention_scores",
    "shift",
    "true_velocity_intervention_scores",
    "velocity_intervention_scores",
]

Encode = Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]]
Decode = Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]]
TrueSpectra = Callable[[NDArray[np.intp], float], NDArray[np.floating[Any]]]

VELOCITIES: NDArray[np.float64] = np.linspace(-40.0, 40.0, 20)
"""Interventions in radial velocity, km/s: the 20 of Eq. 16, evenly over -40 to 40."""
VELOCITIES.flags.writeable = False

WINDOW = (6050.0, 6250.0)
"""Where Eq. 16 looks, Angstrom in air: hardly any telluric lines, which would not move."""


class GeneralScores(NamedTuple):
    """Scores of interventions in one label, one for each ordered pair of spectra of a core.

    Parameters
    ----------
    core : int64[pair]
        Core that both spectra of the pair belong to.
    change : float64[pair]
        By how much the label was changed, in its unit.
    constrained : float64[pair]
        Difference from the model's own reconstruction of the second spectrum, Eq. 17.
    true : float64[pair] or None
        Difference from the true second spectrum; None where no true spectra were given.
    """

    core: NDArray[np.int64]
    change: NDArray[np.float64]
    constrained: NDArray[np.float64]
    true: NDArray[np.float64] | None


def do(nodes: NDArray[np.floating[Any]], change: ArrayLike, node: int) -> NDArray[np.floating[Any]]:
    """Nodes after an intervention on one of them, Eq. 15; a copy.

    Parameters
    ----------
    nodes : float[batch, node]
        Latent representations.
    change : float or float[batch]
        What is added, in units of the node: the change of the label over its scale.
    node : int
        Which node is changed.

    Returns
    -------
    float[batch, node]
        Of the same type as `nodes`.

    Raises
    ------
    MauryError
        If there is no such node.

    Examples
    --------
    >>> do(np.zeros((2, 3)), [0.5, -1.0], 1)
    array([[ 0. ,  0.5,  0. ],
           [ 0. , -1. ,  0. ]])
    """
    if not 0 <= node < nodes.shape[1]:
        raise MauryError(f"Node {node} cannot be changed: there are nodes 0-{nodes.shape[1] - 1}.")
    changed = np.array(nodes)
    changed[:, node] += np.asarray(change)
    return changed


def velocity_intervention_scores(
    decode: Decode,
    nodes: NDArray[np.floating[Any]],
    wavelength: ArrayLike,
    *,
    node: int,
    scale: float,
    velocities: ArrayLike = VELOCITIES,
    window: tuple[float, float] = WINDOW,
    valid: NDArray[np.bool_] | None = None,
    batch: int = 32,
) -> NDArray[np.float64]:
    """Radial velocity intervention scores (RVIS), Eq. 16 before its mean.

    What the decoder makes of a change of the velocity's node is compared with its own spectrum,
    shifted. A decoder that shows no lines thus scores well; see
    `true_velocity_intervention_scores`. Where pixels are 0.06 A wide and lines of half depth and
    0.15 A width stand 1 A apart, `shift` itself is worth 3e-4.

    Parameters
    ----------
    decode : callable
        From nodes to spectra.
    nodes : float[spectrum, node]
        Latent representations of spectra.
    wavelength : float[pixel]
        Wavelengths of the pixel centres, Angstrom, increasing.
    node : int
        The node of the radial velocity.
    scale : float
        Radial velocity per unit of its node, km/s; negative if the node runs against it.
    velocities : float[velocity]
        Interventions, km/s.
    window : (float, float)
        Wavelengths that count, from and to, in the medium and frame of `wavelength`. The shift
        takes pixels from beyond it.
    valid : bool[pixel] or bool[spectrum, pixel], optional
        Pixels that count. One counts where it is valid and what is shifted to it comes from valid
        pixels.
    batch : int
        Spectra that are decoded at once. Beside them only what the window needs is kept.

    Returns
    -------
    float64[spectrum, velocity]
        NaN where no pixel counts.

    Raises
    ------
    MauryError
        If the window has no pixel, the scale is zero, or there is no such node.
    """
    nodes = np.asarray(nodes, dtype=np.float32)
    view = Window.of(wavelength, window, velocities, len(nodes), valid)

    def own(rows: NDArray[np.intp]) -> Callable[[float], NDArray[np.float64]]:
        spectra = decode(nodes[rows])[:, view.part]
        return ShiftedSpectra(np.where(view.known[rows], spectra, np.nan), view.wavelength)

    return _velocity_scores(decode, nodes, own, view, velocities, node, scale, batch)


def true_velocity_intervention_scores(
    decode: Decode,
    nodes: NDArray[np.floating[Any]],
    truth: NDArray[np.floating[Any]] | TrueSpectra,
    wavelength: ArrayLike,
    *,
    node: int,
    scale: float,
    velocities: ArrayLike = VELOCITIES,
    window: tuple[float, float] = WINDOW,
    valid: NDArray[np.bool_] | None = None,
    batch: int = 32,
) -> NDArray[np.float64]:
    """Radial velocity intervention scores against the right spectra instead of the model's own.

    Eq. 16 with the shifted spectrum replaced by one that is true, so that a decoder without lines
    scores badly. The score has the reconstruction's error in it, and, where the truth is the
    observed spectrum, also that spectrum's noise, which is the same for all models.

    Parameters
    ----------
    truth : float[spectrum, pixel] or callable
        Either the spectra that the nodes were encoded from, which are shifted; NaN where they are
        not known. Or a function that takes indices of spectra, int[batch], and a velocity in
        km/s and returns these spectra, float[batch, pixel], as they are after the intervention,
        such as simulated anew; pixels that it gives as NaN do not count.
    decode, nodes, wavelength, node, scale, velocities, window, valid, batch
        See `velocity_intervention_scores`.

    Returns
    -------
    float64[spectrum, velocity]
        NaN where no pixel counts.

    Raises
    ------
    MauryError
        As there, or if there are not as many true spectra as nodes.
    """
    nodes = np.asarray(nodes, dtype=np.float32)
    if not callable(truth) and len(truth) != len(nodes):
        raise MauryError(f"{len(nodes)} spectra need as many true ones, not {len(truth)}.")
    view = Window.of(wavelength, window, velocities, len(nodes), valid)

    def right(rows: NDArray[np.intp]) -> Callable[[float], NDArray[np.floating[Any]]]:
        if callable(truth):
            return lambda velocity: truth(rows, velocity)[:, view.part]
        spectra = truth[rows, view.part]
        return ShiftedSpectra(np.where(view.known[rows], spectra, np.nan), view.wavelength)

    return _velocity_scores(decode, nodes, right, view, velocities, node, scale, batch)


def general_intervention_scores(
    encode: Encode,
    decode: Decode,
    spectra: NDArray[np.floating[Any]],
    core: NDArray[np.integer[Any]],
    values: ArrayLike,
    *,
    node: int,
    scale: float,
    valid: NDArray[np.bool_] | None = None,
    truth: NDArray[np.floating[Any]] | None = None,
    batch: int = 32,
) -> GeneralScores:
    r"""General intervention scores (GIS) of one label, Eq. 17 before its mean.

    For all ordered pairs of different spectra i and j of a core,

    .. math:: |p(do(q(s_i), (v_j - v_i) / scale, k)) - p(q(s_j))|

    averaged over valid pixels, where q encodes, p decodes and v is the label. Each spectrum is
    encoded once, and each pair of a spectrum and a new value is decoded once. If `encode` samples,
    as Sect. 3.6 has it for a probabilistic encoder, the sample of a spectrum serves all its pairs;
    whether it samples or gives the mean is the caller's choice.

    Parameters
    ----------
    encode, decode : callable
        From spectra to nodes and back.
    spectra : float[spectrum, pixel]
        Simulated spectra of which those of a core differ in this label alone.
    core : int[spectrum]
        Core of each spectrum. Spectra are paired by it and never by their labels.
    values : float[spectrum]
        The label, in its unit.
    node : int
        The node of the label.
    scale : float
        Label per unit of its node; negative if the node runs against it.
    valid : bool[pixel] or bool[spectrum, pixel], optional
        Pixels that count; of a pair, those of its second spectrum.
    truth : float[spectrum, pixel], optional
        The same spectra without noise, normalised alike, for the true score.
    batch : int
        Spectra that are encoded or decoded at once. Beside them the reconstructions of one core
        are kept.

    Returns
    -------
    GeneralScores
        Ordered by core, first spectrum and change; NaN where no pixel counts.

    Raises
    ------
    MauryError
        If a value is not finite, no core has two spectra, the scale is zero, there is no such
        node, or the arrays differ in their number of spectra.

    Examples
    --------
    A model whose single node is the only label, and the brightness of all pixels, is perfect.

    >>> spectra = np.outer([1.0, 2.0, 5.0], np.ones(4))
    >>> scores = general_intervention_scores(
    ...     lambda spectra: spectra[:, :1], lambda nodes: nodes @ np.ones((1, 4)), spectra,
    ...     np.array([0, 0, 1]), [1.0, 2.0, 5.0], node=0, scale=1.0,
    ... )  # fmt: skip
    >>> scores.core, scores.change, scores.constrained
    (array([0, 0]), array([ 1., -1.]), array([0., 0.]))
    """
    values = np.asarray(values, dtype=np.float64)
    _check_scale(scale)
    _check_generative(values, core, spectra, truth)
    counts = np.broadcast_to(True if valid is None else valid, spectra.shape)
    cores, changes, constrained, true = [], [], [], []
    for index in np.unique(core):
        rows = np.flatnonzero(core == index)
        if rows.size < 2:
            continue
        nodes = _batched(encode, spectra[rows], batch)
        own = _batched(decode, nodes, batch)
        interventions = _interventions(decode, nodes, values[rows], node, scale, batch)
        for first, second, found in interventions:
            row = rows[second]
            cores.append(index)
            changes.append(values[row] - values[rows[first]])
            constrained.append(_difference(found, own[second], counts[row]))
            if truth is not None:
                true.append(_difference(found, truth[row], counts[row]))
    if not cores:
        raise MauryError("Interventions need a core of at least two spectra, and there is none.")
    return GeneralScores(
        np.array(cores, dtype=np.int64),
        np.array(changes),
        np.array(constrained),
        None if truth is None else np.array(true),
    )


def _velocity_scores(
    decode: Decode,
    nodes: NDArray[np.float32],
    reference: Callable[[NDArray[np.intp]], Callable[[float], NDArray[np.floating[Any]]]],
    view: Window,
    velocities: ArrayLike,
    node: int,
    scale: float,
    batch: int,
) -> NDArray[np.float64]:
    """Scores against what `reference` makes of spectra and, then, a velocity."""
    _check_scale(scale)
    velocities = np.asarray(velocities, dtype=np.float64)
    scores = np.empty((len(nodes), velocities.size))
    for rows in _batches(len(nodes), batch):
        expected = reference(rows)
        for column, velocity in enumerate(velocities):
            moved = decode(do(nodes[rows], velocity / scale, node))[:, view.part]
            right = expected(float(velocity))
            counts = view.known[rows] & view.inside & np.isfinite(right)
            scores[rows, column] = _difference(moved, right, counts)
    return scores


def _interventions(
    decode: Decode,
    nodes: NDArray[np.float32],
    values: NDArray[np.float64],
    node: int,
    scale: float,
    batch: int,
) -> Iterator[tuple[int, int, NDArray[np.floating[Any]]]]:
    """Ordered pairs of a core's spectra, and the first one as decoded with the second's value."""
    pairs: dict[tuple[int, float], list[int]] = {}
    for first in range(values.size):
        for second in np.argsort(values, kind="stable"):
            if second != first:
                pairs.setdefault((first, values[second]), []).append(second)
    firsts = np.array([first for first, _ in pairs])
    changes = np.array([value for _, value in pairs]) - values[firsts]
    seconds = list(pairs.values())
    for few in _batches(len(pairs), batch):
        moved = decode(do(nodes[firsts[few]], changes[few] / scale, node))
        for index, found in zip(few, moved, strict=True):
            for second in seconds[index]:
                yield firsts[index], second, found


def _batched(
    function: Encode, inputs: NDArray[np.floating[Any]], batch: int
) -> NDArray[np.floating[Any]]:
    inputs = inputs.astype(np.float32, copy=False)
    return np.concatenate([function(inputs[few]) for few in _batches(len(inputs), batch)])


def _batches(count: int, batch: int) -> list[NDArray[np.intp]]:
    return [np.arange(start, min(start + batch, count)) for start in range(0, count, batch)]


def _difference(
    found: NDArray[np.floating[Any]],
    expected: NDArray[np.floating[Any]],
    counts: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Mean absolute difference over the last axis of the pixels that count."""
    total = np.abs(found - expected).sum(axis=-1, where=counts, dtype=np.float64)
    number = counts.sum(axis=-1)
    mean = np.full(number.shape, np.nan)
    np.divide(total, number, out=mean, where=number > 0)
    return mean


def _check_scale(scale: float) -> None:
    if not (np.isfinite(scale) and scale != 0):
        raise MauryError(f"The scale of a label must be a number other than zero, not {scale:g}.")


def _check_generative(values: NDArray[np.float64], *arrays: NDArray[Any] | None) -> None:
    sizes = [len(values), *(len(array) for array in arrays if array is not None)]
    if len(set(sizes)) > 1:
        raise MauryError(
            "Labels, cores, spectra and true spectra must be equally many, not "
            f"{', '.join(map(str, sizes))}."
        )
    for spectrum in np.flatnonzero(~np.isfinite(values)):
        raise MauryError(
            f"The label of spectrum {spectrum} is {values[spectrum]}: an intervention needs it."
        )
