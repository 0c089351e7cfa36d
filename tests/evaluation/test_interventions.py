"""What must hold of interventions, on models whose scores are known beforehand."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from maury.errors import MauryError
from maury.evaluation.interventions import (
    VELOCITIES,
    WINDOW,
    do,
    general_intervention_scores,
    shift,
    true_velocity_intervention_scores,
    velocity_intervention_scores,
)

C = 299792.458
WAVELENGTH = 6040.0 + 0.02 * np.arange(11001)
INSIDE = (WINDOW[0] <= WAVELENGTH) & (WAVELENGTH <= WINDOW[1])  # noqa: SIM300
# Among them lines that only come into the window by a shift.
LINES = np.array([6049.5, 6060.0, 6100.3, 6162.2, 6201.1, 6250.5])
SCALE = 16.0
NODES = np.array([[0.3, 0.0], [-0.2, 1.5], [0.1, -0.7]], dtype=np.float32)


def star(velocity: float) -> NDArray[np.float64]:
    """Gaussian lines of 0.2 A full width, evaluated at the wavelengths in the star's frame."""
    rest = WAVELENGTH * np.sqrt((1 - velocity / C) / (1 + velocity / C))
    return 1 - 0.5 * np.exp(-(((rest[:, None] - LINES) / 0.12) ** 2)).sum(axis=1)


def moving(nodes: NDArray) -> NDArray[np.float32]:
    """A decoder whose node 1 is the radial velocity over `SCALE`."""
    return np.array([star(SCALE * float(row[1])) for row in nodes], dtype=np.float32)


def still(nodes: NDArray) -> NDArray[np.float32]:
    """A decoder that shows the star at rest, whatever its nodes."""
    return np.repeat(star(0.0)[None], len(nodes), axis=0)


def flat(nodes: NDArray) -> NDArray[np.float32]:
    """A decoder that shows no line."""
    return np.ones((len(nodes), WAVELENGTH.size), dtype=np.float32)


# The operator


def test_an_intervention_adds_to_one_node_of_a_copy():
    nodes = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=np.float32)
    before = nodes.copy()
    np.testing.assert_array_equal(do(nodes, 0.5, 2), [[1, 2, 3.5], [4, 5, 6.5]])
    np.testing.assert_array_equal(do(nodes, np.array([1.0, -1.0]), 0), [[2, 2, 3], [3, 5, 6]])
    np.testing.assert_array_equal(nodes, before)
    assert do(nodes, 0.5, 2).dtype == np.float32


@pytest.mark.parametrize("node", [-1, 3])
def test_a_node_that_is_not_there_is_refused(node):
    with pytest.raises(MauryError, match=f"Node {node} cannot be changed: there are nodes 0-2"):
        do(np.zeros((1, 3)), 1.0, node)


def test_the_paper_s_velocities_and_window():
    assert VELOCITIES.size == 20
    assert VELOCITIES[0] == -40.0 and VELOCITIES[-1] == 40.0
    np.testing.assert_allclose(np.diff(VELOCITIES), 80 / 19)
    with pytest.raises(ValueError, match="read-only"):
        VELOCITIES[0] = 0.0


# Radial velocity


def test_a_decoder_that_shifts_exactly_scores_zero_by_either_truth():
    scores = velocity_intervention_scores(moving, NODES, WAVELENGTH, node=1, scale=SCALE)
    assert scores.shape == (3, 20) and scores.dtype == np.float64
    assert scores.max() < 1e-6
    simulated = true_velocity_intervention_scores(
        moving,
        NODES,
        lambda rows, velocity: moving(do(NODES[rows], velocity / SCALE, 1)),
        WAVELENGTH,
        node=1,
        scale=SCALE,
    )
    assert simulated.max() == 0.0
    observed = true_velocity_intervention_scores(
        moving, NODES, moving(NODES), WAVELENGTH, node=1, scale=SCALE
    )
    assert observed.max() < 1e-6


def test_a_decoder_that_ignores_velocity_scores_what_a_shifted_spectrum_differs():
    scores = velocity_intervention_scores(still, NODES, WAVELENGTH, node=1, scale=SCALE)
    direct = [np.abs(star(0.0) - star(velocity))[INSIDE].mean() for velocity in VELOCITIES]
    np.testing.assert_allclose(scores, np.repeat([direct], 3, axis=0), atol=1e-6)
    assert min(direct) > 5e-4
    moved = shift(star(0.0)[None], WAVELENGTH, VELOCITIES[0])[0]
    assert scores[0, 0] == pytest.approx(np.abs(star(0.0) - moved)[INSIDE].mean(), abs=1e-12)


def test_a_scale_that_is_wrong_or_runs_backwards_shows():
    scores = velocity_intervention_scores(
        moving, NODES[:1], WAVELENGTH, node=1, scale=-SCALE, velocities=[10.0]
    )
    direct = np.abs(star(-10.0) - star(10.0))[INSIDE].mean()
    assert scores[0, 0] == pytest.approx(direct, abs=1e-6)


def test_a_decoder_without_lines_is_perfect_by_itself_and_bad_in_truth():
    spectra = moving(NODES)
    own = velocity_intervention_scores(flat, NODES, WAVELENGTH, node=1, scale=SCALE)
    assert own.max() < 1e-12
    true = true_velocity_intervention_scores(flat, NODES, spectra, WAVELENGTH, node=1, scale=SCALE)
    for row, velocity in ((0, 0), (1, 7), (2, 19)):
        moved = star(SCALE * float(NODES[row, 1]) + VELOCITIES[velocity])
        assert true[row, velocity] == pytest.approx((1 - moved)[INSIDE].mean(), abs=1e-6)


def test_the_noise_of_the_observed_spectrum_is_in_the_true_score():
    random = np.random.default_rng(3)
    noise = random.normal(0, 0.02, (1, WAVELENGTH.size))
    scores = true_velocity_intervention_scores(
        moving, NODES[:1], moving(NODES[:1]) + noise, WAVELENGTH, node=1, scale=SCALE,
        velocities=[0.0],
    )  # fmt: skip
    assert scores[0, 0] == pytest.approx(np.abs(noise[0, INSIDE]).mean(), rel=1e-4)


@pytest.mark.parametrize("each", [False, True])
def test_pixels_that_are_not_valid_do_not_count_and_are_not_shifted_into_others(each):
    valid = np.ones((3, WAVELENGTH.size), dtype=bool)
    valid[:, [500, 3010, 3011]] = False
    valid[:, 8000:8400] = False
    if each:
        valid[1, 5000:5100] = False

    def spoiled(nodes: NDArray) -> NDArray[np.float64]:
        return np.where(valid[: len(nodes)], moving(nodes), 1e3)

    arguments = {"node": 1, "scale": SCALE, "velocities": [-33.0, 5.0]}
    mask = valid if each else valid[0]
    own = velocity_intervention_scores(spoiled, NODES, WAVELENGTH, valid=mask, **arguments)
    assert own.max() < 1e-5
    spectra = np.where(valid, moving(NODES), 1e3)
    true = true_velocity_intervention_scores(
        moving, NODES, spectra, WAVELENGTH, valid=mask, **arguments
    )
    assert true.max() < 1e-5


def test_a_spectrum_without_a_valid_pixel_has_no_score():
    valid = np.ones((3, WAVELENGTH.size), dtype=bool)
    valid[1] = False
    scores = velocity_intervention_scores(
        moving, NODES, WAVELENGTH, node=1, scale=SCALE, velocities=[1.0], valid=valid
    )
    assert np.isnan(scores).tolist() == [[False], [True], [False]]


def test_a_truth_that_is_unknown_in_part_counts_where_it_is_known():
    def truth(rows: NDArray, velocity: float) -> NDArray[np.float64]:
        spectra = np.full((len(rows), WAVELENGTH.size), 0.9)
        spectra[:, 4000:7000] = np.nan
        spectra[:, :4000] = 1.0 - velocity / 100
        return spectra

    scores = true_velocity_intervention_scores(
        flat, NODES, truth, WAVELENGTH, node=1, scale=SCALE, velocities=[20.0, 30.0]
    )
    before, after = INSIDE[:4000].sum(), INSIDE[7000:].sum()
    expected = [(v * before + 0.1 * after) / (before + after) for v in (0.2, 0.3)]
    np.testing.assert_allclose(scores, np.repeat([expected], 3, axis=0), rtol=1e-6)


def test_a_decoder_that_fails_has_no_score():
    def failing(nodes: NDArray) -> NDArray[np.float32]:
        return np.where(nodes[:, 1:] > 1, np.nan, moving(nodes))

    scores = velocity_intervention_scores(
        failing, NODES[[0]], WAVELENGTH, node=1, scale=SCALE, velocities=[-20.0, 20.0]
    )
    assert np.isnan(scores).tolist() == [[False, True]]


def test_batches_are_bounded_and_change_nothing():
    sizes, asked = [], []
    spectra = moving(NODES)

    def decode(nodes: NDArray) -> NDArray[np.float32]:
        assert nodes.dtype == np.float32
        sizes.append(len(nodes))
        return moving(nodes * np.float32(0.9))

    def truth(rows: NDArray, velocity: float) -> NDArray[np.float32]:
        asked.append((rows.tolist(), velocity))
        return spectra[rows]

    arguments = {"node": 1, "scale": SCALE, "velocities": [-5.0, 8.0]}
    whole = velocity_intervention_scores(decode, NODES, WAVELENGTH, **arguments)
    assert sizes == [3, 3, 3]
    sizes.clear()
    parts = velocity_intervention_scores(decode, NODES, WAVELENGTH, batch=2, **arguments)
    assert sizes == [2, 2, 2, 1, 1, 1]
    np.testing.assert_array_equal(whole, parts)
    true_velocity_intervention_scores(decode, NODES, truth, WAVELENGTH, batch=2, **arguments)
    assert asked == [([0, 1], -5.0), ([0, 1], 8.0), ([2], -5.0), ([2], 8.0)]


def test_a_window_off_the_grid_a_scale_of_zero_and_too_few_true_spectra_are_refused():
    with pytest.raises(MauryError, match="No pixel lies in the window 3000-3100 A"):
        velocity_intervention_scores(
            moving, NODES, WAVELENGTH, node=1, scale=SCALE, window=(3000.0, 3100.0)
        )
    with pytest.raises(MauryError, match="other than zero, not 0"):
        velocity_intervention_scores(moving, NODES, WAVELENGTH, node=1, scale=0.0)
    with pytest.raises(MauryError, match="3 spectra need as many true ones, not 2"):
        true_velocity_intervention_scores(
            moving, NODES, np.ones((2, WAVELENGTH.size)), WAVELENGTH, node=1, scale=SCALE
        )


# Other labels: a line of the depth v beside one of a depth that a core has for itself

PROFILES = np.zeros((2, 40), dtype=np.float32)
PROFILES[0, 5:15] = np.exp(-0.5 * (np.arange(10) - 5.0) ** 2)
PROFILES[1, 25:35] = np.exp(-0.5 * (np.arange(10) - 5.0) ** 2)
VALUES = np.array([0.1, 0.3, 0.2, 0.1, 0.2, 0.3])
CORES = np.array([7, 7, 7, 3, 3, 3])
CENTER, UNIT = 0.2, 0.05  # of the label, whose node is (v - CENTER) / UNIT


def simulate(values: NDArray, cores: NDArray) -> NDArray[np.float64]:
    return 1 - np.stack([values, 0.1 * cores], axis=1) @ PROFILES


def read(spectra: NDArray) -> NDArray[np.float32]:
    """The perfect encoder: the depths of both lines."""
    return np.stack([(1 - spectra[:, 10] - CENTER) / UNIT, 1 - spectra[:, 30]], axis=1)


def show(nodes: NDArray) -> NDArray[np.float32]:
    """The perfect decoder."""
    return 1 - np.stack([CENTER + UNIT * nodes[:, 0], nodes[:, 1]], axis=1) @ PROFILES


def test_a_perfect_simulator_scores_zero():
    spectra = simulate(VALUES, CORES)
    scores = general_intervention_scores(
        read, show, spectra, CORES, VALUES, node=0, scale=UNIT, truth=spectra
    )
    assert scores.constrained.max() < 1e-6
    assert scores.true is not None and scores.true.max() < 1e-6
    assert np.abs(scores.change).min() > 0.05


def test_pairs_do_not_cross_cores_of_equal_labels_and_come_in_order():
    scores = general_intervention_scores(
        read, show, simulate(VALUES, CORES), CORES, VALUES, node=0, scale=UNIT
    )
    assert scores.true is None
    assert scores.core.tolist() == [3] * 6 + [7] * 6
    changes = [0.1, 0.2, -0.1, 0.1, -0.2, -0.1]
    np.testing.assert_allclose(scores.change[:6], changes)
    np.testing.assert_allclose(scores.change[6:], [0.1, 0.2, -0.2, -0.1, -0.1, 0.1])


def test_a_label_that_is_spread_over_two_nodes_scores_half_its_effect():
    def encode(spectra: NDArray) -> NDArray[np.float32]:
        return read(spectra)[:, [0, 0, 1]]

    def decode(nodes: NDArray) -> NDArray[np.float32]:
        return show(np.stack([(nodes[:, 0] + nodes[:, 1]) / 2, nodes[:, 2]], axis=1))

    spectra = simulate(VALUES, CORES)
    scores = general_intervention_scores(
        encode, decode, spectra, CORES, VALUES, node=0, scale=UNIT, truth=spectra
    )
    # The line comes out too weak or too strong by half the change.
    by_hand = np.abs(scores.change) / 2 * PROFILES[0].mean()
    np.testing.assert_allclose(scores.constrained, by_hand, atol=1e-6)
    np.testing.assert_allclose(scores.true, by_hand, atol=1e-6)


def test_what_a_model_always_gets_wrong_is_in_the_true_score_alone():
    spectra = simulate(VALUES, CORES)
    scores = general_intervention_scores(
        read, lambda nodes: show(nodes) + 0.01, spectra, CORES, VALUES, node=0, scale=UNIT,
        truth=spectra,
    )  # fmt: skip
    assert scores.constrained.max() < 1e-6
    np.testing.assert_allclose(scores.true, 0.01, atol=1e-6)


def test_an_encoder_misled_by_noise_is_judged_by_the_spectrum_without_it():
    spectra = simulate(VALUES, CORES)
    noisy = spectra.copy()
    noisy[1, 10] -= 0.04  # the encoder reads 0.34 where the label is 0.3
    scores = general_intervention_scores(
        read, show, noisy, CORES, VALUES, node=0, scale=UNIT, truth=spectra
    )
    pairs = list(zip(scores.core.tolist(), scores.change.round(3).tolist(), strict=True))
    profile = 0.04 * PROFILES[0].mean()
    to, back = pairs.index((7, 0.2)), pairs.index((7, -0.2))
    assert scores.constrained[to] == pytest.approx(profile, abs=1e-6)
    assert scores.true[to] == pytest.approx(0.0, abs=1e-6)
    assert scores.constrained[back] == pytest.approx(profile, abs=1e-6)
    assert scores.true[back] == pytest.approx(profile, abs=1e-6)


def test_valid_pixels_of_the_second_spectrum_count():
    spectra = simulate(VALUES[:2], CORES[:2])
    valid = np.ones(spectra.shape, dtype=bool)
    valid[1, 20:] = False
    valid[0] = False
    scores = general_intervention_scores(
        read, lambda nodes: 0 * show(nodes) + nodes[:, :1], spectra, CORES[:2], VALUES[:2],
        node=0, scale=2 * UNIT, truth=spectra, valid=valid,
    )  # fmt: skip
    # The node goes from -2 by 0.2 / 0.1 to 0; the second spectrum's own is 2.
    assert scores.constrained[0] == pytest.approx(2.0, rel=1e-6)
    assert scores.true[0] == pytest.approx(spectra[1, :20].mean(), rel=1e-6)
    assert np.isnan(scores.constrained[1])
    shared = general_intervention_scores(
        read, show, spectra, CORES[:2], VALUES[:2], node=0, scale=2 * UNIT, valid=valid[1]
    )
    by_hand = 0.1 * PROFILES[0, :20].mean()
    np.testing.assert_allclose(shared.constrained, by_hand, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 2, 32])
def test_spectra_are_encoded_once_and_equal_interventions_decoded_once(batch):
    encoded, decoded = [], []

    def encode(spectra: NDArray) -> NDArray[np.float32]:
        assert spectra.dtype == np.float32
        encoded.append(len(spectra))
        return read(spectra)

    def decode(nodes: NDArray) -> NDArray[np.float32]:
        assert nodes.dtype == np.float32
        decoded.append(len(nodes))
        return show(nodes)

    values, cores = np.array([0.1, 0.1, 0.2, 0.3]), np.array([0, 0, 0, 1])
    scores = general_intervention_scores(
        encode, decode, simulate(values, cores), cores, values, node=0, scale=UNIT, batch=batch
    )
    assert scores.core.tolist() == [0] * 6
    assert scores.constrained.max() < 1e-6
    assert sum(encoded) == 3  # the fourth has no partner
    assert sum(decoded) == 3 + 5  # themselves; from 0.1 and 0.1 to both values, from 0.2 to one
    assert max(encoded + decoded) <= batch


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=2, max_size=12))
def test_pairs_are_all_that_a_core_has(spectra):
    cores = np.array([core for core, _ in spectra])
    values = np.array([value / 10 for _, value in spectra])
    expected = sorted(
        (int(cores[i]), round(values[j] - values[i], 6))
        for i, j in permutations(range(len(spectra)), 2)
        if cores[i] == cores[j]
    )
    arguments = read, show, simulate(values, cores), cores, values
    if not expected:
        with pytest.raises(MauryError, match="need a core of at least two spectra"):
            general_intervention_scores(*arguments, node=0, scale=UNIT)
        return
    scores = general_intervention_scores(*arguments, node=0, scale=UNIT, batch=4)
    found = zip(scores.core.tolist(), scores.change.round(6).tolist(), strict=True)
    assert sorted(found) == expected
    assert scores.constrained.max() < 1e-6


def test_labels_that_are_missing_and_arrays_that_do_not_fit_are_refused():
    spectra = simulate(VALUES, CORES)
    missing = np.where(np.arange(6) == 4, np.nan, VALUES)
    with pytest.raises(MauryError, match="The label of spectrum 4 is nan"):
        general_intervention_scores(read, show, spectra, CORES, missing, node=0, scale=UNIT)
    with pytest.raises(MauryError, match="must be equally many, not 6, 6, 6, 5"):
        general_intervention_scores(
            read, show, spectra, CORES, VALUES, node=0, scale=UNIT, truth=spectra[:5]
        )
    with pytest.raises(MauryError, match="other than zero, not nan"):
        general_intervention_scores(read, show, spectra, CORES, VALUES, node=0, scale=np.nan)
