"""Predictions of simulated exposures, whose truth is known, and what is flagged or refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u

from maury.errors import GridError, MauryError, SpectrumError, WeightsError
from maury.inference.doubts import likeness
from maury.inference.fit import SOLAR_LINE_SHIFT
from maury.inference.prediction import FLAGS, Estimate, Prediction, to_table
from maury.inference.predictor import Predictor, load
from maury.spectrum import Observation, Spectrum, doppler_shift

TRUTH = {"teff": 6100.0, "logg": 4.1, "mh": -0.3, "berv": -11.0, "airmass": 1.6}
CLOSE = {"teff": 25.0, "logg": 0.04, "mh": 0.03, "berv": 0.5, "airmass": 0.15}


@pytest.fixture(scope="module")
def exposure(expose):
    return expose()


@pytest.fixture(scope="module")
def refined(predictor, exposure):
    return predictor.examine(exposure)


def assert_true(prediction, names=tuple(TRUTH)):
    for name in names:
        assert prediction.labels[name].value == pytest.approx(TRUTH[name], abs=CLOSE[name]), name
    rv = prediction.labels["rv"].value
    assert rv + SOLAR_LINE_SHIFT == pytest.approx(17.0, abs=0.05)


def test_a_refined_prediction_finds_what_was_simulated(refined):
    assert_true(refined)
    assert refined.refined and refined.error is None and refined.flags == ()
    assert refined.facts["vmic"] == pytest.approx(1.2, abs=0.1)
    assert refined.facts["vsini"] == pytest.approx(5.0, abs=0.5)
    assert refined.facts["residual"] < 0.01
    assert set(refined.seconds) == {"network", "preparation", "fit", "tellurics"}


def test_the_range_adds_the_scatter_of_the_card_to_the_error_of_the_fit(refined):
    error = refined.fit.errors["teff"]
    teff = refined.labels["teff"]
    assert teff.sigma == pytest.approx(np.hypot(error, 30.0))
    assert teff.upper - teff.value == pytest.approx(teff.value - teff.lower)


def test_without_refinement_the_network_answers_with_its_validations_scatter(predictor, exposure):
    prediction = predictor.examine(exposure, refine=False)
    assert not prediction.refined and prediction.fit is None and prediction.facts == {}
    assert prediction.labels == prediction.network
    assert prediction.labels["teff"].value == pytest.approx(5700.0, abs=1.0)
    assert prediction.labels["teff"].sigma == pytest.approx(80.0)
    assert prediction.labels["airmass"].unit == ""


def test_the_same_spectrum_gives_the_same_numbers(predictor, exposure, refined):
    assert predictor.examine(exposure).labels == refined.labels


def test_other_starts_are_tried_where_the_network_is_lost(predictor, exposure, monkeypatch):
    (lost,) = predictor.estimator.estimate([exposure])
    lost = replace(lost, values=lost.values | {"teff": 12_000.0})
    monkeypatch.setattr(predictor.estimator, "estimate", lambda spectra: [lost])
    prediction = predictor.examine(exposure)
    assert_true(prediction)
    assert prediction.flags == ("network-disagrees",)
    alone = predictor.examine(exposure, refine=False)
    assert alone.flags == ("outside-grid",) and alone.at_edge == ("teff",)
    assert alone.show("teff") == "12000 (edge)"


def test_a_star_outside_the_grid_is_flagged(predictor, expose):
    prediction = predictor.examine(expose(teff=8600.0))
    assert "outside-grid" in prediction.flags
    assert "teff" in prediction.at_edge
    assert prediction.show("teff") == "8000 (edge)"


def test_a_spectrum_that_looks_like_no_model_is_flagged(predictor, exposure):
    rng = np.random.default_rng(3)
    foreign = np.ones(len(exposure))
    for center in rng.uniform(5896, 6334, 900):
        foreign -= 0.5 * np.exp(-0.5 * ((exposure.wavelength - center) / 0.12) ** 2)
    flux = exposure.flux * np.clip(foreign, 0.05, None)
    prediction = predictor.examine(replace(exposure, flux=flux, uncertainty=None))
    assert "poor-fit" in prediction.flags


def test_what_is_no_star_is_flagged_or_refused(predictor, exposure):
    rng = np.random.default_rng(5)
    noise = replace(exposure, flux=1 + 0.3 * rng.standard_normal(len(exposure)), uncertainty=None)
    assert "no-lines" in predictor.examine(noise).flags
    flat = replace(exposure, flux=np.ones(len(exposure)), uncertainty=None)
    with pytest.raises(SpectrumError, match="so unlike a star"):
        predictor.examine(flat)
    with pytest.raises(SpectrumError, match=r"median flux of -.* the flux of a star is positive"):
        predictor.examine(replace(exposure, flux=-exposure.flux))


def test_where_few_pixels_count_no_likeness_arises(predictor, exposure):
    fitter, _ = predictor.fitter(exposure)
    fit = fitter.fit(exposure)
    pixels = np.arange(len(exposure))
    # Wide gaps with a good pixel here and there must not look like lines.
    mask = exposure.mask | ((pixels // 9000 % 2 == 1) & (pixels % 300 > 6))
    flat = replace(exposure, flux=1 + 1e-4 * np.sin(pixels), mask=mask, uncertainty=None)
    assert abs(likeness(flat, fitter, fit)) < 0.1


def test_noise_is_flagged(predictor, expose):
    assert "low-snr" in predictor.examine(expose(snr=8.0)).flags
    assert "low-snr" in predictor.examine(expose(snr=8.0), refine=False).flags


def test_a_part_of_the_range_is_flagged(predictor, exposure):
    prediction = predictor.examine(exposure.between(5896.0, 6200.0))
    assert "partial-coverage" in prediction.flags
    assert_true(prediction, ("teff", "logg", "mh"))


def test_where_the_network_has_no_say_the_fit_answers_alone(predictor, exposure):
    prediction = predictor.examine(exposure.between(5896.0, 6080.0))
    assert {"no-network", "partial-coverage"} <= set(prediction.flags)
    assert prediction.network == {}
    with pytest.raises(GridError, match="at least 50%"):
        predictor.examine(exposure.between(5896.0, 6080.0), refine=False)


def test_without_telluric_lines_berv_and_airmass_are_the_networks(predictor, expose):
    dry = expose(snr=np.inf, airmass=1.0, pwv=0.0)
    oxygen = (dry.wavelength > 6270) & (dry.wavelength < 6335)
    prediction = predictor.examine(replace(dry, mask=dry.mask | oxygen))
    assert "no-tellurics" in prediction.flags
    assert prediction.labels["berv"] == prediction.network["berv"]
    assert prediction.labels["airmass"].value == pytest.approx(1.4, abs=0.01)


def test_velocities_from_the_observatorys_frame_are_corrected(predictor, exposure):
    seen = doppler_shift(exposure, 11.0, frame="observatory")
    prediction = predictor.examine(seen)
    assert_true(prediction)
    assert prediction.flags == ("observatory-frame",)
    assert prediction.labels["berv"] == Estimate.of("berv", -11.0, 0.0)
    unknown = predictor.examine(replace(seen, meta=replace(seen.meta, berv=None)))
    assert "berv" not in unknown.labels
    rv = unknown.labels["rv"].value + SOLAR_LINE_SHIFT
    assert rv == pytest.approx(28.0, abs=0.05)


def test_a_rest_frame_tells_no_berv(predictor, exposure):
    prediction = predictor.examine(doppler_shift(exposure, -17.0, frame="rest"))
    assert prediction.flags == ("rest-frame",)
    assert "berv" not in prediction.labels
    rv = prediction.labels["rv"].value + SOLAR_LINE_SHIFT
    assert rv == pytest.approx(0.0, abs=0.05)
    assert to_table([prediction])[0]["berv"] is np.ma.masked


def test_an_unknown_instrument_is_flagged_unless_its_resolution_is_given(predictor, exposure):
    other = replace(exposure, meta=replace(exposure.meta, instrument="Hamilton"))
    assert predictor.examine(other).flags == ("resolution-assumed",)
    known = Predictor(predictor.estimator, predictor.emulator, resolving_power=115_000)
    assert known.examine(other).flags == ()
    with pytest.raises(GridError, match="100 cannot be used; it must be 5000"):
        Predictor(predictor.estimator, predictor.emulator, resolving_power=100)


def test_a_spectrum_elsewhere_is_refused_in_a_sentence(predictor):
    wavelength = np.arange(3300.0, 4500.0, 0.02)
    blue = Spectrum(wavelength, np.ones_like(wavelength), meta=Observation(path="blue.fits"))
    with pytest.raises(MauryError, match=r"^blue.fits cannot be used: .*3300.0-4500.0 A"):
        predictor.examine(blue)


def test_one_bad_spectrum_does_not_stop_the_others(predictor, exposure, tmp_path):
    empty = tmp_path / "empty.fits"
    empty.touch()
    table = predictor.predict([exposure, empty, tmp_path / "none.fits"], refine=False)
    assert len(table) == 3
    assert table["teff"].unit == u.K and table["rv_error"].unit == u.km / u.s
    assert list(table["teff"].mask) == [False, True, True]
    assert list(table["error"].mask) == [True, False, False]
    assert "is empty" in table["error"][1] and "does not exist" in table["error"][2]
    assert len(predictor.predict(exposure, refine=False)) == 1


def test_json_holds_what_the_design_asks_and_no_nan(refined):
    labels = dict(refined.labels) | {"rv": Estimate.of("rv", float("nan"), 1.0)}
    record = replace(refined, labels=labels, flags=("low-snr",), error="It broke.").to_dict()
    text = json.dumps(record, allow_nan=False)
    assert list(json.loads(text)) == ["file", "labels", "flags", "error"]
    assert set(record["labels"]) == {"teff", "logg", "mh", "berv", "airmass"}
    assert set(record["labels"]["teff"]) == {"value", "lower", "upper", "unit"}
    assert record["flags"] == ["low-snr"]
    assert "error" not in refined.to_dict()


def test_every_flag_is_documented(refined):
    assert all(meaning and not meaning.endswith(".") for meaning in FLAGS.values())
    assert Prediction("a").show("teff") == "-"


def test_weights_are_found_by_path_and_name(card, monkeypatch):
    assert load(card).estimator.card.labels[0] == "teff"
    for name in ("no-such-network", "../data/lines"):
        with pytest.raises(WeightsError, match=r"No network is called '.*harps-small"):
            load(name)
    with pytest.raises(WeightsError, match="cannot be read"):
        load("nowhere.json")
