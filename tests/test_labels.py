"""Labels and their normalisation, against hand-worked numbers and SciPy."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from maury.errors import MauryError
from maury.labels import HARPS_LABELS, LABELS, LabelSet, Normalizer


def test_the_six_labels_of_a_harps_spectrum():
    assert HARPS_LABELS.names == ("teff", "logg", "mh", "rv", "berv", "airmass")
    assert [label.unit for label in HARPS_LABELS] == ["K", "dex", "dex", "km/s", "km/s", ""]
    intrinsic = [label.name for label in HARPS_LABELS if label.group == "intrinsic"]
    assert intrinsic == ["teff", "logg", "mh"]
    assert HARPS_LABELS.index("rv") == 3
    assert HARPS_LABELS["rv"] is HARPS_LABELS[3] is LABELS["rv"]
    assert len(HARPS_LABELS) == 6
    assert LabelSet.from_names(HARPS_LABELS.names) == HARPS_LABELS
    assert "pwv" not in HARPS_LABELS


def test_every_range_rises():
    assert all(label.lower < label.upper for label in LABELS.values())


def test_unknown_and_repeated_labels_are_refused():
    with pytest.raises(MauryError, match="No label is called 'vsini'; the labels are teff"):
        LabelSet.from_names(("vsini",))
    with pytest.raises(MauryError, match="No label is called 'pwv'"):
        HARPS_LABELS.index("pwv")
    with pytest.raises(MauryError, match="named twice"):
        LabelSet([LABELS["rv"], LABELS["rv"]])


def test_constants_agree_with_numpy_and_scipy_where_labels_are_missing():
    rng = np.random.default_rng(1)
    values = rng.normal([5500.0, 4.4], [700.0, 0.2], size=(300, 2))
    values[rng.random(values.shape) < 0.4] = np.nan
    mean = Normalizer.fit(values, ("teff", "logg"))
    np.testing.assert_allclose(mean.center, np.nanmean(values, axis=0))
    np.testing.assert_allclose(mean.scale, np.nanstd(values, axis=0))
    median = Normalizer.fit(values, ("teff", "logg"), "median-mad")
    np.testing.assert_allclose(median.center, np.nanmedian(values, axis=0))
    expected = stats.median_abs_deviation(values, axis=0, nan_policy="omit")
    np.testing.assert_allclose(median.scale, expected)


NORMALIZER = Normalizer((5500.0, 4.4, 0.0), (700.0, 0.2, 0.3), ("teff", "logg", "mh"))


@settings(deadline=None, derandomize=True)
@given(arrays(np.float64, (4, 3), elements=st.floats(-1e5, 1e5)))
def test_there_and_back_for_arrays_and_tensors(values):
    back = NORMALIZER.denormalize(NORMALIZER.normalize(values))
    np.testing.assert_allclose(back, values, rtol=1e-12, atol=1e-9)
    tensor = torch.tensor(values)
    normalized = NORMALIZER.normalize(tensor)
    assert isinstance(normalized, torch.Tensor)
    np.testing.assert_allclose(normalized.numpy(), NORMALIZER.normalize(values))
    torch.testing.assert_close(NORMALIZER.denormalize(normalized), tensor)


def test_precision_and_missing_labels_are_kept():
    tensor = torch.tensor([[5800.0, float("nan"), 0.1]], dtype=torch.float32)
    normalized = NORMALIZER.normalize(tensor)
    assert normalized.dtype == torch.float32
    assert torch.isnan(normalized).tolist() == [[False, True, False]]


def test_a_normalizer_survives_its_card():
    assert Normalizer.from_dict(json.loads(json.dumps(NORMALIZER.to_dict()))) == NORMALIZER
    with pytest.raises(MauryError, match="damaged"):
        Normalizer.from_dict({"names": ["teff"]})


@pytest.mark.parametrize(
    ("values", "method", "message"),
    [
        ([[np.nan], [np.nan]], "mean-std", "no known value"),
        ([[4.4], [4.4]], "mean-std", "does not vary"),
        ([[4.4, 1.0]], "mean-std", "shape"),
        ([[4.4], [4.5]], "max", "unknown"),
    ],
)
def test_unusable_training_labels_are_refused(values, method, message):
    with pytest.raises(MauryError, match=message):
        Normalizer.fit(values, ("logg",), method)


@pytest.mark.parametrize(
    ("center", "scale", "message"),
    [((1.0,), (0.0,), "'logg' is not a usable"), ((1.0, 2.0), (1.0,), "one centre and one scale")],
)
def test_unusable_constants_are_refused(center, scale, message):
    with pytest.raises(MauryError, match=message):
        Normalizer(center, scale, ("logg",))
