"""Spectra by Turbospectrum itself, written as it writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import maury
from maury.readers import READERS, Source

FIXTURES = Path(__file__).parents[2].parent / "shared" / "fixtures" / "turbospectrum"

pytestmark = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason="the spectra by Turbospectrum are not beside the checkout"
)


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("*.npz")), ids=lambda file: file.stem)
@pytest.mark.parametrize("part", [slice(None, 20_000), slice(270_000, 285_000)])
def test_turbospectrum_is_known_and_read_in_full(file, part, tmp_path):
    with np.load(file) as data:
        wavelength = data["wave0"] + data["dwave"] * np.arange(data["flux"].size)
        rows = np.column_stack((wavelength, data["norm"], data["flux"]))[part]
    path = tmp_path / "star.spec"
    # Format 1964 of bsynb.f, version 19.1.
    np.savetxt(path, rows, fmt=("%11.3f", "%10.5f", "%12.5E"))
    source = Source.open(path)
    claims = [name for name, reader in READERS.items() if reader.identifies(source)]
    assert claims == ["turbospectrum", "text"]
    spectrum = maury.read(path)
    assert (spectrum.medium, spectrum.frame) == ("air", "rest")
    assert spectrum.valid.all()
    np.testing.assert_allclose(spectrum.wavelength, rows[:, 0], atol=5.1e-4)
    np.testing.assert_allclose(spectrum.flux, rows[:, 2], rtol=6e-6)


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("*.npz")), ids=lambda file: file.stem)
def test_the_same_spectra_as_synthe_would_write_them(file, tmp_path):
    with np.load(file) as data:
        part = slice(100_000, 115_000)
        wavelength = (data["wave0"] + data["dwave"] * np.arange(data["flux"].size))[part]
        flux, relative = (data[key][part].astype(float) for key in ("flux", "norm"))
    # F per A to H per Hz: over 4 pi, times wavelength^2 / c.
    per_hertz = wavelength**2 / 2.99792458e18 / (4 * np.pi)
    rows = np.column_stack((wavelength, flux * per_hertz, flux / relative * per_hertz, relative))
    path = tmp_path / "star.asc"
    np.savetxt(path, rows, fmt=("%11.4f", "%19.8E", "%19.8E", "%12.6f"))
    source = Source.open(path)
    claims = [name for name, reader in READERS.items() if reader.identifies(source)]
    assert claims == ["synthe", "text"]
    spectrum = maury.read(path)
    assert (spectrum.medium, spectrum.frame) == ("air", "rest")
    np.testing.assert_allclose(spectrum.flux, flux, rtol=1e-6)
