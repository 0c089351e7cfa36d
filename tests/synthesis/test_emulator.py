"""The emulator: it finds spectra again that a formula made, survives disk, and refuses damage."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from maury.errors import WeightsError
from maury.synthesis import emulator_training
from maury.synthesis.emulator import Emulator, log_wavelength, quadratic_terms
from maury.synthesis.emulator_training import LOWER, UPPER, design, fit_emulator
from maury.synthesis.opacity_grid import OpacityGrid
from maury.synthesis.synthesize import synthesize

SIZE = 1500
TRAINING, KEPT_ASIDE = 128, 32


def toy_spectra(labels: np.ndarray) -> np.ndarray:
    """Forty Gaussian lines whose strengths follow the labels in curves and crosswise."""
    x = np.arange(SIZE)
    rng = np.random.default_rng(11)
    centre, bend = rng.uniform(0, SIZE, 40), rng.normal(0, 0.5, (40, 4))
    scaled = (labels - LOWER) / (UPPER - LOWER)
    strength = np.exp(scaled @ bend.T - 1.0 + 0.5 * np.sin(2 * scaled[:, :1] * bend[:, 3]))
    profile = np.exp(-0.5 * ((x - centre[:, None]) / 4.0) ** 2)
    return np.exp(-strength @ profile).astype(np.float32)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.concatenate([design(TRAINING, seed=1), design(KEPT_ASIDE, seed=2)])


@pytest.fixture(scope="module")
def emulator(labels: np.ndarray) -> Emulator:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emulator_training, "SIZE", SIZE)
        return fit_emulator(labels, toy_spectra(labels), components=20, kept_aside=KEPT_ASIDE)


@pytest.fixture
def saved(emulator: Emulator, tmp_path: Path) -> Path:
    emulator.save(tmp_path / "toy")
    return tmp_path / "toy"


def test_design_fills_the_box(labels: np.ndarray) -> None:
    assert np.all((labels >= LOWER) & (labels <= UPPER))
    scaled = (labels[:TRAINING] - LOWER) / (UPPER - LOWER)
    # Denser at the faces: the arcsine distribution has a spread of 1 / sqrt(8).
    np.testing.assert_allclose(scaled.std(axis=0), 8**-0.5, atol=0.02)
    np.testing.assert_allclose(scaled.mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_array_equal(design(16, seed=1), design(16, seed=1))


def test_spectra_kept_aside_are_predicted(emulator: Emulator, labels: np.ndarray) -> None:
    test = labels[TRAINING:]
    with torch.no_grad():
        flux = emulator.flux(torch.from_numpy(test).float()).numpy()
    error = np.sqrt(np.mean((flux - toy_spectra(test)) ** 2))
    assert error < 2e-3
    assert emulator.card["held_out_rms"] == pytest.approx(error, rel=1e-3)
    # The mean of the training spectra would be far worse.
    assert np.std(toy_spectra(test) - toy_spectra(labels).mean(axis=0)) > 20 * error


def test_wavelengths_are_even_in_velocity(emulator: Emulator) -> None:
    assert emulator.names == ("teff", "logg", "mh", "vmic")
    assert emulator.wavelength.size == SIZE
    velocity = np.diff(np.log(emulator.wavelength)) * 299792.458
    np.testing.assert_allclose(velocity, emulator.velocity_step, rtol=1e-9)
    np.testing.assert_array_equal(
        emulator.wavelength, log_wavelength(emulator.start, emulator.velocity_step, SIZE)
    )


def test_gradients_are_slopes(emulator: Emulator) -> None:
    at = torch.tensor([[5800.0, 4.4, -0.1, 1.1]])
    jacobian = torch.autograd.functional.jacobian(emulator.flux, at)[0, :, 0]
    step = torch.tensor([100.0, 0.1, 0.1, 0.1])
    for i in range(4):
        change = torch.zeros(4)
        change[i] = step[i]
        slope = (emulator.flux(at + change) - emulator.flux(at - change))[0] / (2 * step[i])
        assert torch.isfinite(jacobian[:, i]).all()
        assert torch.allclose(jacobian[:, i], slope, atol=0.02 * float(slope.abs().max()))


def test_quadratic_terms() -> None:
    terms = quadratic_terms(torch.tensor([[2.0, 3.0]]))
    assert terms.tolist() == [[1.0, 2.0, 3.0, 4.0, 6.0, 9.0]]


def test_disk_costs_no_more_than_the_quantisation(emulator: Emulator, saved: Path, labels) -> None:
    again = Emulator.load(saved)
    at = torch.from_numpy(labels[:20]).float()
    scale = emulator.components.abs().amax(dim=1)
    levels = torch.where(torch.arange(len(scale)) < 16, 32767.0, 127.0)
    bound = 0.5 / 32767 + (emulator.amplitudes(at).abs() * 0.51 * scale / levels).sum(dim=1)
    error = (again.flux(at) - emulator.flux(at)).abs().amax(dim=1)
    assert (error <= bound + 1e-6).all()
    assert float(error.max()) < 2e-3
    np.testing.assert_array_equal(again.wavelength, emulator.wavelength)
    assert again.names == emulator.names
    assert again.card["held_out_rms"] == emulator.card["held_out_rms"]
    assert (again.card["medium"], again.card["frame"]) == ("air", "rest")


def test_the_suns_residuals_come_along(emulator: Emulator, saved: Path) -> None:
    again = Emulator.load(saved).model_error
    known = torch.isfinite(emulator.model_error)
    assert torch.equal(torch.isfinite(again), known)
    assert torch.allclose(again[known], emulator.model_error[known], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("magic", "somebody-else", "says somebody-else version 1; allowed is maury-emulator"),
        ("format_version", 99, "version 99"),
        ("magic", None, "says None"),
        ("sha256", None, "sha256"),
        ("start", None, "start"),
        ("names", None, "names"),
    ],
)
def test_a_card_of_another_kind_is_refused(saved: Path, entry, value, message) -> None:
    card = saved.with_suffix(".json")
    content = json.loads(card.read_text())
    if value is None:
        del content[entry]
    else:
        content[entry] = value
    card.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=message):
        Emulator.load(saved)


@pytest.mark.parametrize("text", ["{", "[1, 2]", '"text"', ""])
def test_a_card_that_is_none_is_refused(saved: Path, text: str) -> None:
    saved.with_suffix(".json").write_text(text)
    with pytest.raises(WeightsError, match=r"toy\.json"):
        Emulator.load(saved)


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_missing_file_is_named(saved: Path, suffix: str) -> None:
    saved.with_suffix(suffix).unlink()
    with pytest.raises(WeightsError, match=r"one of them is missing"):
        Emulator.load(saved)


def test_a_damaged_file_is_refused(saved: Path) -> None:
    weights = saved.with_suffix(".safetensors")
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        Emulator.load(saved)


def test_a_file_of_something_else_is_refused_even_with_its_checksum(saved: Path) -> None:
    weights, card = saved.with_suffix(".safetensors"), saved.with_suffix(".json")
    weights.write_bytes(b"no tensors at all")
    content = json.loads(card.read_text())
    content["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    card.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=r"toy\.safetensors"):
        Emulator.load(saved)


def test_the_sun_is_computed_once_and_kept(tmp_path: Path, monkeypatch) -> None:
    """A file that is there is not made again, so that a killed run goes on."""
    labels = np.array([[5777.0, 4.44, 0.0, 1.0]])
    monkeypatch.setattr(emulator_training, "SIZE", 50)
    opacities = OpacityGrid(span=(4789.0, 4792.0), folder=tmp_path)
    monkeypatch.setattr(emulator_training, "_opacities", lambda calibrated: opacities)
    folder = tmp_path / "spectra"
    folder.mkdir()
    path = emulator_training._compute(labels[0], folder / "00000.npy", True)
    wavelength = log_wavelength(4790.0, 1.0, 50)
    direct = synthesize(teff=5777, logg=4.44, wavelength=wavelength, normalized=True)
    spectrum = np.load(path) / 65535
    assert spectrum.shape == (50,)
    np.testing.assert_allclose(spectrum, direct.flux, atol=0.002)
    stamp = path.stat().st_mtime_ns
    assert list(emulator_training.compute_spectra(labels, folder, workers=1)) == [1]
    assert path.stat().st_mtime_ns == stamp
    assert [p.name for p in folder.iterdir()] == ["00000.npy"]
