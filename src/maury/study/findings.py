"""What the paper found, and whether it holds here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maury.evaluation.metrics import Estimate, estimate
from maury.evaluation.report import Finding
from maury.evaluation.significance import compare
from maury.evaluation.tables import format_value
from maury.labels import LABELS
from maury.study.measure import Measurements
from maury.study.plan import BOTTLENECK, BOTTLENECK_FREE, LABEL_WEIGHT, MODELS, UNSUPERVISED
from maury.study.results import Results, group_error, score

__all__ = ["findings"]

# Label errors that differ by less than this are called alike.
ALIKE = 0.2
INSENSITIVE = (0.1, 20.0)
SMALL_BOTTLENECK = 12
LABEL_AWARE = ("cnn-real", "cnn-mix", "ae-real", "ae-mix", "info-vae-mix", "cnn-etc")


def findings(results: Results) -> list[Finding]:
    """The paper's findings, each with the numbers that speak for or against it.

    A finding whose networks are not all there is left open.
    """
    return [
        Finding(claim, *_judge(judge, needs, results), source)
        for claim, source, needs, judge in _CLAIMS
    ]


Verdict = tuple[bool | None, str]


def _judge(judge: Callable[[Results], Verdict], needs: Sequence[str], results: Results) -> Verdict:
    # One value of a sweep tells nothing yet.
    missing = [
        name
        for name in needs
        if name not in results.models and len(results.sweeps.get(name, ())) < 2
    ]
    if missing:
        return None, f"Not trained yet: {', '.join(missing)}."
    return judge(results)


def _label_aware(results: Results) -> Verdict:
    aware = [name for name in LABEL_AWARE if name != "cnn-etc"]
    best = min(UNSUPERVISED, key=lambda name: _intrinsic(results, name).value)
    winners = [
        name
        for name in aware
        if _intrinsic(results, name).value < _intrinsic(results, best).value
        and _beats(results, name, best, ("teff",))
    ]
    return winners == aware, (
        f"{len(winners)} of {len(aware)} label-aware models beat the best unsupervised one in "
        f"intrinsic NMAE and, significantly, in Teff. NMAE: {_listed(results, aware)}; "
        f"unsupervised {_listed(results, UNSUPERVISED)}. Teff: {_teff(results, aware)}; "
        f"unsupervised {_teff(results, UNSUPERVISED)} (K)."
    )


def _mixing(results: Results) -> Verdict:
    few_real, few_mixed = (_intrinsic(results, f"cnn-{d}-1percent") for d in ("real", "mix"))
    all_real, all_mixed = (_intrinsic(results, f"cnn-{d}") for d in ("real", "mix"))
    helps = few_mixed.value + few_mixed.error < few_real.value - few_real.error
    change = all_mixed.value / all_real.value - 1
    names = [name for name in results.models["cnn-real-1percent"].names if name != "pwv"]
    single = ", ".join(
        " ".join(
            (
                name,
                *(f"{_mae(results, f'cnn-{d}-1percent', name).value:.3g}" for d in ("real", "mix")),
            )
        )
        for name in names
    )
    return helps and abs(change) < ALIKE, (
        f"Intrinsic NMAE of the CNN with 1% of the labels: real {_text(few_real)}, mixed "
        f"{_text(few_mixed)} ({few_mixed.value / few_real.value - 1:+.0%}); with all: real "
        f"{_text(all_real)}, mixed {_text(all_mixed)} ({change:+.0%}; within {ALIKE:.0%} counts "
        f"as hardly). MAE with 1% by label, real and mixed: {single}."
    )


def _semi_supervision(results: Results) -> Verdict:
    names = {"berv": "BERV", "teff": "Teff"}
    better = all(_mae(results, "ae-mix-1percent", name).value
                 < _mae(results, "cnn-mix-1percent", name).value for name in names)  # fmt: skip
    told = "; ".join(
        f"{title} {_text(_mae(results, 'cnn-mix-1percent', name))} by the CNN, "
        f"{_text(_mae(results, 'ae-mix-1percent', name))} by the AE ({LABELS[name].unit})"
        for name, title in names.items()
    )
    return better, f"MAE with 1% of the labels, mixed data: {told}."


def _resnet(results: Results) -> Verdict:
    errors = {
        name: results.models[name].reconstruction["simulated"]
        for name in ("cnn-decoder", "resnet-decoder")
    }
    cnn, resnet = (estimate(values) for values in errors.values())
    tested = compare(errors)
    return tested.best == "resnet-decoder" and tested.significant, (
        f"Reconstruction error on simulated spectra: CNN {_text(cnn)}, ResNet {_text(resnet)} "
        f"(p = {max(tested.adjusted.values()):.1g}; the paper has 0.0139 and 0.0064)."
    )


def _bottleneck(results: Results) -> Verdict:
    free, zero = (_by_size(results, name, _rvis) for name in (BOTTLENECK_FREE, BOTTLENECK))
    best = min(free, key=lambda size: free[size].value)
    small = best <= SMALL_BOTTLENECK and best < max(free)
    true_free, true_zero = (
        _by_size(results, name, _true_rvis) for name in (BOTTLENECK_FREE, BOTTLENECK)
    )
    return small and _span(zero) < _span(free), (
        f"RVIS by size: free u {_curve(free)}; u = 0 supervised {_curve(zero)}. Lowest at {best} "
        f"with free u; largest over smallest {_span(free):.2f} with free u, {_span(zero):.2f} with "
        f"u = 0. True RVIS: free u {_curve(true_free)}; u = 0 supervised {_curve(true_zero)}."
    )


def _label_weight(results: Results) -> Verdict:
    low, high = INSENSITIVE
    inside = {w: m for w, m in results.sweeps[LABEL_WEIGHT].items() if low <= w <= high}
    if len(inside) < 2:
        return None, f"Fewer than two weights between {low:g} and {high:g} are trained yet."
    found = {
        group: {weight: group_error(m, group) for weight, m in sorted(inside.items())}
        for group in ("intrinsic", "extrinsic")
    }
    spans = {group: _span(curve) for group, curve in found.items()}
    told = "; ".join(
        f"{group} " + ", ".join(f"{weight:g}: {_text(value)}" for weight, value in curve.items())
        for group, curve in found.items()
    )
    return max(spans.values()) < 1 + ALIKE, (
        f"NMAE by weight: {told}. Largest over smallest {spans['intrinsic']:.2f} and "
        f"{spans['extrinsic']:.2f} (below {1 + ALIKE:.1f} counts as insensitive)."
    )


def _simulated_alone(results: Results) -> Verdict:
    groups = ("intrinsic", "extrinsic")
    others = [name for name in LABEL_AWARE if name != "cnn-etc"]
    holds = all(
        group_error(results.models["cnn-etc"], group).value
        > group_error(results.models[name], group).value
        for group in groups
        for name in others
    )
    told = "; ".join(
        f"{group} {_listed(results, ['cnn-etc'], group)}, others {_listed(results, others, group)}"
        for group in groups
    )
    own = group_error(results.models["cnn-etc"], "intrinsic", observed=False)
    return holds, (
        f"NMAE on observed spectra: {told}. On simulated spectra the intrinsic NMAE of "
        f"{MODELS['cnn-etc'].legend} is {_text(own)}."
    )


def _beyond(model: str, architecture: str) -> Callable[[Results], Verdict]:
    def judge(results: Results) -> Verdict:
        ours, theirs = results.models[model], results.models["ae-mix"]
        rvis = [score(_true_rvis(found)).value for found in (ours, theirs)]
        errors = [estimate(found.reconstruction["observed"]) for found in (ours, theirs)]
        if architecture not in results.resources or "resnet-decoder" not in results.resources:
            return None, "Times were not measured."
        times = [results.resources[name].fast_cpu_ms for name in (architecture, "resnet-decoder")]
        holds = (
            rvis[0] <= rvis[1] / 3
            and errors[0].value <= errors[1].value
            and times[0] <= times[1] / 3
        )
        return holds, (
            f"True RVIS {rvis[0]:.4f} and {rvis[1]:.4f} of the ResNet AE (ratio "
            f"{rvis[0] / rvis[1]:.2f}, 0.33 wanted); reconstruction error {_text(errors[0])} and "
            f"{_text(errors[1])}; decoding takes {times[0]:.0f} and {times[1]:.0f} ms a spectrum "
            f"({times[1] / times[0]:.1f} times faster, 3 wanted)."
        )

    return judge


_CLAIMS: tuple[tuple[str, str, tuple[str, ...], Callable[[Results], Verdict]], ...] = (
    (
        "Label-aware learning beats unsupervised learning in the prediction of labels.",
        "Sect. 4.1, Tables 4 and 6",
        (*LABEL_AWARE[:-1], *UNSUPERVISED),
        _label_aware,
    ),
    (
        "Mixing in simulated spectra helps with 1% of the labels and hardly matters with all.",
        "Sect. 4.1, Table 5",
        ("cnn-real", "cnn-mix", "cnn-real-1percent", "cnn-mix-1percent"),
        _mixing,
    ),
    (
        "Semi-supervision helps BERV and Teff with 1% of the labels.",
        "Sect. 4.1, Table 5",
        ("cnn-mix-1percent", "ae-mix-1percent"),
        _semi_supervision,
    ),
    (
        "The ResNet decoder reconstructs better than the CNN.",
        "Sect. 4.2.1, Table 7",
        ("cnn-decoder", "resnet-decoder"),
        _resnet,
    ),
    (
        "RVIS has its minimum at a small bottleneck, and supervising u = 0 flattens it.",
        "Sect. 3.7, Fig. 2",
        (BOTTLENECK, BOTTLENECK_FREE),
        _bottleneck,
    ),
    (
        "The label error is insensitive to lambda_lab between 0.1 and 20.",
        "Appendix D, Fig. D.1",
        (LABEL_WEIGHT,),
        _label_weight,
    ),
    (
        "Models trained on simulated spectra alone lose most on observed ones.",
        "Sect. 4.1, Tables 4 and 5",
        LABEL_AWARE,
        _simulated_alone,
    ),
    (
        "Wanted of the Doppler decoder: a third of the true RVIS of the ResNet AE, no worse "
        "reconstruction, three times as fast.",
        "not in the paper",
        ("ae-mix", "ae-doppler-mix"),
        _beyond("ae-doppler-mix", "doppler-decoder"),
    ),
    (
        "Wanted of the FiLM decoder: a third of the true RVIS of the ResNet AE, no worse "
        "reconstruction, three times as fast.",
        "not in the paper",
        ("ae-mix", "ae-film-mix"),
        _beyond("ae-film-mix", "film-decoder"),
    ),
)


def _intrinsic(results: Results, name: str) -> Estimate:
    return group_error(results.models[name], "intrinsic")


def _mae(results: Results, model: str, label: str) -> Estimate:
    return estimate(_absolute(results, model, label))


def _absolute(results: Results, model: str, label: str) -> NDArray[np.float64]:
    found = results.models[model]
    assert found.true is not None and found.predicted is not None
    column = found.names.index(label)
    return np.abs(found.predicted[:, column] - found.true[:, column])


def _beats(results: Results, better: str, other: str, labels: Sequence[str]) -> bool:
    """Whether one model's errors are significantly smaller than another's."""
    tests = (
        compare({name: _absolute(results, name, label) for name in (better, other)})
        for label in labels
    )
    return all(test.best == better and test.significant for test in tests)


def _rvis(found: Measurements) -> NDArray[np.float64]:
    assert found.rvis is not None
    return found.rvis


def _true_rvis(found: Measurements) -> NDArray[np.float64]:
    assert found.true_rvis is not None
    return found.true_rvis


def _by_size(
    results: Results, sweep: str, values: Callable[[Measurements], NDArray[np.float64]]
) -> dict[Any, Estimate]:
    return {size: score(values(found)) for size, found in sorted(results.sweeps[sweep].items())}


def _curve(curve: Mapping[Any, Estimate]) -> str:
    return ", ".join(f"{size}: {value.value:.4f}" for size, value in curve.items())


def _span(curve: Mapping[Any, Estimate]) -> float:
    values = [value.value for value in curve.values()]
    return max(values) / min(values)


def _listed(results: Results, names: Iterable[str], group: str = "intrinsic") -> str:
    return ", ".join(
        f"{MODELS[name].legend} {_text(group_error(results.models[name], group))}" for name in names
    )


def _teff(results: Results, names: Iterable[str]) -> str:
    return ", ".join(
        f"{MODELS[name].legend} {_text(_mae(results, name, 'teff'))}" for name in names
    )


def _text(value: Estimate) -> str:
    return format_value(value.value, value.error)
