"""ESO's calculator's output: read as it is laid out, and refused in one sentence where damaged."""

import json
from pathlib import Path

import numpy as np
import pytest

from maury.errors import ReadError
from maury.grid import WavelengthGrid
from maury.instrument.etc_json import photoelectrons_on_grid, read_etc_json
from maury.instrument.photoelectrons import mean_flux, variance
from maury.wavelength import vacuum_to_air

EXAMPLE = Path(__file__).parent / "data" / "etc_two_orders.json"
GRID = WavelengthGrid(start=5500.0, step=0.5, size=9)


def example() -> dict:
    return json.loads(EXAMPLE.read_text())


def test_orders_as_the_file_has_them() -> None:
    first, second = read_etc_json(EXAMPLE)
    assert (first.name, second.name) == ("111", "110")
    assert first.wavelength == pytest.approx([5500.0, 5501.0, 5502.0])
    assert first.dispersion == pytest.approx([0.0150, 0.0151, 0.0152])
    assert second.signal == pytest.approx([900.0, 1000.0, 1100.0])
    assert (first.nspat, first.ron2, first.dit) == (4.0, 25.0, 60.0)


def test_vacuum_becomes_air() -> None:
    (first, _), (air, _) = read_etc_json(EXAMPLE, medium="vacuum"), read_etc_json(EXAMPLE)
    assert first.wavelength == pytest.approx(vacuum_to_air(air.wavelength), abs=1e-9)
    assert np.all(air.wavelength - first.wavelength > 1.0)


def test_appendix_a_by_hand() -> None:
    terms = photoelectrons_on_grid(read_etc_json(EXAMPLE), GRID)
    mean, spread = mean_flux(terms)[0], variance(terms)[0]
    n = 4 * 1 * 1 * (60 * 0.01 + 25)
    # 5501 A: the first order alone; 5501.5 A: both, halfway between pixels of the first.
    h = 0.9 * 0.0151
    assert mean[2].item() == pytest.approx(1000 / h, rel=1e-6)
    assert spread[2].item() == pytest.approx((1000 + 12 + n) / h**2, rel=1e-6)
    a, b = 0.85 * 0.01515, 0.5 * 0.0160
    assert mean[3].item() == pytest.approx((1100 / a + 900 / b) / 2, rel=1e-6)
    both = (1100 + 13 + n) / a**2 + (900 + 9 + n) / b**2
    assert spread[3].item() == pytest.approx(both / 4, rel=1e-6)
    assert mean[8].item() == spread[8].item() == 0.0


def damaged(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "etc.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def without(*path: str | int) -> dict:
    content = here = example()
    for key in path[:-1]:
        here = here[key]
    del here[path[-1]]
    return content


def with_value(value: object, *path: str | int) -> dict:
    content = here = example()
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    return content


DATA = ("data", "orders", 0, "detectors", 0, "data")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("not json", "not a JSON file"),
        ([], "no data"),
        ({"data": {"orders": []}}, "no orders"),
        (without(*DATA, "signals"), "no signals"),
        (without(*DATA, "snr", "noise_components", "noise_info", "ron2"), "no ron2"),
        (with_value([1.0], *DATA, "sed", "target", "data"), "shape"),
        (with_value(["a", "b", "c"], *DATA, "throughput", "blaze", "data"), "array of numbers"),
        (with_value([3e-7, 2e-7, 1e-7], *DATA, "wavelength", "wavelength", "data"), "do not rise"),
        (with_value("much", *DATA, "snr", "noise_components", "noise_info", "dark"), "no number"),
    ],
)
def test_damage_is_told_in_a_sentence(tmp_path: Path, content: object, says: str) -> None:
    with pytest.raises(ReadError) as caught:
        read_etc_json(damaged(tmp_path, content))
    message = str(caught.value)
    assert "etc.json" in message
    assert says in message
    assert "\n" not in message


def test_missing_file() -> None:
    with pytest.raises(ReadError, match=r"nowhere\.json cannot be opened"):
        read_etc_json("nowhere.json")


def test_orders_that_overlap_their_next_but_one() -> None:
    first, second = read_etc_json(EXAMPLE)
    with pytest.raises(ReadError, match="overlaps"):
        photoelectrons_on_grid((first, second, first), GRID)
