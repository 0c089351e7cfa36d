"""The paper's findings, told from made-up measurements in which they hold and in which not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from maury.evaluation.report import Finding
from maury.study.findings import LABEL_AWARE, findings
from maury.study.measure import Measurements
from maury.study.plan import UNSUPERVISED
from maury.study.resources import Resources
from maury.study.results import Results

NAMES = ("teff", "logg", "mh", "rv", "berv", "airmass")
SPREAD = np.array([800.0, 0.3, 0.3, 20.0, 15.0, 0.3])
COUNT = 300
NUMBERS = (
    "label-aware",
    "mixing",
    "semi-supervision",
    "resnet",
    "bottleneck",
    "label weight",
    "simulated alone",
    "doppler",
    "film",
)
"""What each finding is called here, in order."""


def labelled(error: float, simulated: float | None = None, seed: int = 1) -> Measurements:
    """A model that misses all labels by so much of their spread, on average."""
    random = np.random.default_rng(seed)
    true = random.normal(size=(COUNT, len(NAMES)))
    true /= true.std(axis=0)
    # The mean of the absolute value of a uniform variable between -2 and 2 is one.
    noise = random.uniform(-2, 2, true.shape)
    noise /= np.abs(noise).mean(axis=0)
    other = error if simulated is None else simulated
    return Measurements(
        NAMES,
        true=true * SPREAD,
        predicted=(true + error * noise) * SPREAD,
        simulated_true=true * SPREAD,
        simulated_predicted=(true + other * noise) * SPREAD,
    )


def spectra(mean: float, seed: int = 1) -> NDArray[np.float64]:
    values = np.random.default_rng(seed).uniform(0.5, 1.5, 200)
    return mean * values / values.mean()


def velocities(mean: float) -> NDArray[np.float64]:
    return np.repeat(spectra(mean)[:, None], 4, axis=1)


def by_paradigm(aware: float, unsupervised: float) -> Results:
    names = [name for name in LABEL_AWARE if name != "cnn-etc"]
    better = {name: labelled(aware, seed=seed) for seed, name in enumerate(names)}
    worse = {name: labelled(unsupervised, seed=seed) for seed, name in enumerate(UNSUPERVISED, 9)}
    return Results(better | worse)


def by_data(real: float, mixed: float, few_real: float, few_mixed: float) -> Results:
    errors = {"real": real, "mix": mixed, "real-1percent": few_real, "mix-1percent": few_mixed}
    return Results({f"cnn-{name}": labelled(error) for name, error in errors.items()})


def with_few_labels(cnn: float, ae: float) -> Results:
    return Results({"cnn-mix-1percent": labelled(cnn), "ae-mix-1percent": labelled(ae)})


def decoders(cnn: float, resnet: float) -> Results:
    return Results(
        {
            name: Measurements(NAMES, reconstruction={"simulated": spectra(error, seed)})
            for seed, (name, error) in enumerate((("cnn-decoder", cnn), ("resnet-decoder", resnet)))
        }
    )


def bottlenecks(free: Mapping[int, float], zero: Mapping[int, float]) -> Results:
    curves = {"sweep-bottleneck-free": free, "sweep-bottleneck": zero}
    return Results(
        {},
        {
            name: {
                size: Measurements(NAMES, rvis=velocities(v), true_rvis=velocities(9 * v))
                for size, v in curve.items()
            }
            for name, curve in curves.items()
        },
    )


def weights(errors: Mapping[float, float]) -> Results:
    return Results({}, {"sweep-label-weight": {w: labelled(e) for w, e in errors.items()}})


def alone(etc: float, others: float, simulated: float = 0.05) -> Results:
    models = {name: labelled(others) for name in LABEL_AWARE}
    return Results(models | {"cnn-etc": labelled(etc, simulated)})


def architectures(
    name: str, *, rvis: float = 0.3, error: float = 0.95, time: float = 0.3
) -> Results:
    """A decoder by its ratios to the ResNet."""
    ours, theirs = (
        Measurements(
            NAMES, reconstruction={"observed": spectra(0.02 * e)}, true_rvis=velocities(0.01 * r)
        )
        for r, e in ((rvis, error), (1.0, 1.0))
    )
    times = {
        "resnet-decoder": Resources(None, 999.0, 300.0, 11.0),
        f"{name}-decoder": Resources(None, 999.0, 300.0 * time, 3.0),
    }
    return Results({"ae-mix": theirs, f"ae-{name}-mix": ours}, {}, times)


FREE, FLAT = {7: 2e-3, 9: 1e-3, 12: 2e-3, 20: 4e-3}, {7: 1e-3, 9: 9e-4, 12: 1e-3, 20: 1.1e-3}

HOLDS = {
    "label-aware": by_paradigm(0.1, 0.5),
    "mixing": by_data(0.1, 0.11, 0.6, 0.3),
    "semi-supervision": with_few_labels(0.5, 0.4),
    "resnet": decoders(0.02, 0.01),
    "bottleneck": bottlenecks(FREE, FLAT),
    # Beyond 20 and below 0.1 anything may happen.
    "label weight": weights({0.01: 0.9, 0.1: 0.2, 1: 0.21, 20: 0.19, 100: 0.9}),
    "simulated alone": alone(0.8, 0.2),
    "doppler": architectures("doppler"),
    "film": architectures("film"),
}
DOES_NOT_HOLD = [
    ("label-aware", by_paradigm(0.5, 0.1)),
    # Better, but no more than by chance.
    ("label-aware", by_paradigm(0.3, 0.301)),
    ("mixing", by_data(0.1, 0.1, 0.3, 0.6)),
    ("mixing", by_data(0.1, 0.1, 0.3, 0.3)),
    ("mixing", by_data(0.1, 0.13, 0.6, 0.3)),
    ("mixing", by_data(0.1, 0.07, 0.6, 0.3)),
    ("semi-supervision", with_few_labels(0.4, 0.5)),
    ("resnet", decoders(0.01, 0.02)),
    ("resnet", decoders(0.0101, 0.01)),
    # The minimum is at the largest, or not small.
    ("bottleneck", bottlenecks({7: 4e-3, 9: 3e-3, 12: 1e-3}, FLAT)),
    ("bottleneck", bottlenecks({9: 4e-3, 15: 1e-3, 20: 3e-3}, FLAT)),
    # It is not flatter.
    ("bottleneck", bottlenecks(FREE, FREE)),
    ("bottleneck", bottlenecks(FLAT, FREE)),
    ("label weight", weights({0.1: 0.2, 1: 0.25, 20: 0.2})),
    ("simulated alone", alone(0.1, 0.2)),
    ("doppler", architectures("doppler", rvis=0.34)),
    ("doppler", architectures("doppler", error=1.01)),
    ("doppler", architectures("doppler", time=0.34)),
    ("film", architectures("film", rvis=0.34)),
    ("film", architectures("film", error=1.01)),
    ("film", architectures("film", time=0.34)),
]


def found(name: str, results: Results) -> Finding:
    return findings(results)[NUMBERS.index(name)]


@pytest.mark.parametrize("name", NUMBERS)
def test_what_holds_is_said_to_hold(name: str) -> None:
    assert found(name, HOLDS[name]).holds is True


@pytest.mark.parametrize(("name", "results"), DOES_NOT_HOLD)
def test_what_does_not_hold_is_said_not_to_hold(name: str, results: Results) -> None:
    assert found(name, results).holds is False


@pytest.mark.parametrize("name", NUMBERS)
def test_without_one_of_its_networks_a_finding_is_left_open(name: str) -> None:
    results = HOLDS[name]
    for lacking in results.models:
        models = {key: value for key, value in results.models.items() if key != lacking}
        told = found(name, replace(results, models=models))
        assert told.holds is None
        assert told.evidence == f"Not trained yet: {lacking}."
    for lacking, sweep in results.sweeps.items():
        # One value of a sweep is no curve.
        for part in ({}, dict(list(sweep.items())[:1])):
            told = found(name, replace(results, sweeps={**results.sweeps, lacking: part}))
            assert told.holds is None
            assert told.evidence == f"Not trained yet: {lacking}."


def test_one_label_aware_network_that_is_bad_is_enough() -> None:
    results = HOLDS["label-aware"]
    models = {**results.models, "ae-mix": labelled(0.7)}
    told = found("label-aware", Results(models))
    assert told.holds is False and "AE (mix) 0.7" in told.evidence
    assert "4 of 5 label-aware models" in told.evidence


def test_both_labels_must_be_helped_by_semi_supervision() -> None:
    results = with_few_labels(0.5, 0.4)
    ours = results.models["ae-mix-1percent"]
    assert ours.predicted is not None and ours.true is not None
    predicted = ours.predicted.copy()
    berv = NAMES.index("berv")
    predicted[:, berv] = ours.true[:, berv] + 10 * SPREAD[berv]
    models = {**results.models, "ae-mix-1percent": replace(ours, predicted=predicted)}
    assert found("semi-supervision", Results(models)).holds is False


def test_both_groups_of_labels_must_be_lost_by_simulation_alone() -> None:
    results = alone(0.8, 0.2)
    ours = results.models["cnn-etc"]
    assert ours.predicted is not None and ours.true is not None
    predicted = ours.predicted.copy()
    predicted[:, 3:] = ours.true[:, 3:]
    models = {**results.models, "cnn-etc": replace(ours, predicted=predicted)}
    assert found("simulated alone", Results(models)).holds is False


def test_a_label_that_simulation_alone_does_not_learn_is_left_out() -> None:
    results = alone(0.8, 0.2)
    ours = results.models["cnn-etc"]
    assert ours.predicted is not None
    predicted = ours.predicted.copy()
    predicted[:, NAMES.index("berv")] = np.nan
    models = {**results.models, "cnn-etc": replace(ours, predicted=predicted)}
    assert found("simulated alone", Results(models)).holds is True


def test_one_weight_in_the_range_tells_nothing_of_it() -> None:
    for part in ({0.01: 0.3, 0.1: 0.2}, {50: 0.2, 100: 0.3}):
        told = found("label weight", weights(part))
        assert told.holds is None
        assert told.evidence == "Fewer than two weights between 0.1 and 20 are trained yet."


def test_a_decoder_is_not_judged_before_it_is_timed() -> None:
    for lacking in ("resnet-decoder", "doppler-decoder"):
        results = HOLDS["doppler"]
        times = {name: time for name, time in results.resources.items() if name != lacking}
        told = found("doppler", replace(results, resources=times))
        assert (told.holds, told.evidence) == (None, "Times were not measured.")


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        (
            "label-aware",
            ("5 of 5", "CNN (real) 0.100", "betaVAE (U) 0.50", "CNN (real) 80.0", "(K)"),
        ),
        ("mixing", ("real 0.60", "mixed 0.30", "(-50%)", "(+10%; within 20%")),
        ("semi-supervision", ("BERV 7.50", " by the CNN, 6.00", "(km/s)", "Teff 400")),
        ("resnet", ("CNN 0.02000 ± ", "ResNet 0.01000 ± ", "p = ")),
        ("bottleneck", ("free u 7: 0.0020, 9: 0.0010", "Lowest at 9", "4.00 with free u", "1.22")),
        ("bottleneck", ("True RVIS: free u 7: 0.0180", "u = 0 supervised 7: 0.0090")),
        ("label weight", ("intrinsic 0.1: 0.2000 ± ", "1: 0.2100", "20: 0.1900", "1.11 and 1.11")),
        ("simulated alone", ("CNN (ETC) 0.80", "others CNN (real) 0.20", "CNN (ETC) is 0.0500")),
        ("doppler", ("0.0030 and 0.0100", "ratio 0.30", "90 and 300 ms", "3.3 times faster")),
    ],
)
def test_the_evidence_has_the_numbers(name: str, numbers: tuple[str, ...]) -> None:
    told = found(name, HOLDS[name]).evidence
    assert told.endswith((".", ").")) and "nan" not in told
    for number in numbers:
        assert number in told, told


def test_nothing_is_found_where_nothing_is_trained() -> None:
    told = findings(Results({}))
    assert len(told) == len(NUMBERS)
    assert all(finding.holds is None for finding in told)
    assert all(finding.evidence.startswith("Not trained yet: ") for finding in told)
    assert len({finding.claim for finding in told}) == len(told)
    assert all(finding.source for finding in told)
