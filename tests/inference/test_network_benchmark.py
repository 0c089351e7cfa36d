"""``maury bench encoder``, ``decoder`` and ``train`` on a small grid."""

import json
import re

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from maury.cli import app
from maury.errors import MauryError
from maury.grid import GRIDS
from maury.inference.network_benchmark import DECODERS
from maury.models.benchmark import checked_device, medians, traffic, untrained
from maury.models.plain import plain
from maury.training.benchmark import drawn_exposures

SMALL = ["--grid", "harps-tiny", "--batch", "2", "--repeats", "1"]
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
with_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")


def bench(*arguments):
    return CliRunner().invoke(app, ["bench", *arguments])


@pytest.mark.parametrize("name", ["encoder", "decoder", "train"])
def test_the_benchmark_says_what_it_measured(name):
    result = bench(name, *SMALL, "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["name"] == name and record["unit"] == "spectra/s/core"
    assert record["ratio"] == pytest.approx(record["ours"] / record["reference"], rel=1e-2)
    assert "16,384 pixels" in record["conditions"]
    differences = re.findall(r"\d\.\de-\d\d", record["conditions"])
    assert differences and all(float(difference) <= 1e-4 for difference in differences)
    parts = {"encoder": {"encoder"}, "decoder": set(DECODERS), "train": {"float32", "bfloat16"}}
    steps = record["breakdown_ms"]
    assert parts[name] <= set(steps) and any("plain" in step for step in steps)


@with_gpu
@pytest.mark.parametrize("name", ["encoder", "decoder", "train"])
def test_a_gpu_is_named_with_what_it_reaches(name):
    record = json.loads(bench(name, *SMALL, "--device", "cuda", "--json").stdout)
    assert record["unit"] == "spectra/s"
    assert torch.cuda.get_device_name() in record["conditions"]
    told = "an epoch of 42,000" if name == "train" else "of the memory's bandwidth"
    assert told in record["conditions"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["encoder", "--grid", "espresso"], r"No grid is called 'espresso'; the grids are harps"),
        (["encoder", "--device", "tpu"], r"No device is called 'tpu'; there are cpu and cuda\."),
        (["store", "--batch", "3"], r"--batch belongs to the benchmarks encoder, decoder, train\."),
        (["train", "star.fits"], r"The benchmark 'train' takes no files, but star.fits was given"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(arguments, reason):
    result = bench(*arguments)
    assert result.exit_code != 0
    assert isinstance(result.exception, MauryError)
    assert re.match(reason, str(result.exception))


@no_gpu
def test_a_gpu_that_is_not_there_is_told():
    with pytest.raises(MauryError, match="finds no GPU"):
        checked_device("cuda")


def test_traffic_is_what_layers_read_and_write():
    layer = nn.Conv1d(2, 4, 3, padding=1)
    read_and_written = 5 * 2 * 100 + 4 * 2 * 3 + 4 + 5 * 4 * 100
    assert traffic(layer, torch.zeros(5, 2, 100)) == 4 * read_and_written
    encoder = untrained("encoder", GRIDS["harps-tiny"]).encoder
    spectra = torch.zeros(1, encoder.pixels)
    # The layout in memory makes no difference.
    assert traffic(encoder, spectra) == traffic(plain(encoder), spectra)


def test_exposures_are_drawn_anew_and_prepared():
    draw = drawn_exposures(GRIDS["harps-tiny"], 2, torch.device("cpu"))
    first, second = draw(), draw()
    assert first.shape == (2, GRIDS["harps-tiny"].size) and not torch.equal(first, second)
    # As in Eq. 2 of the paper, the median of those with signal is one.
    torch.testing.assert_close(
        first[0][first[0] != 0].median(), torch.tensor(1.0), atol=0.01, rtol=0
    )


def test_sides_take_turns():
    seen = []
    sides = {name: lambda name=name: seen.append(name) for name in ("ours", "theirs")}
    times = medians(sides, 3, torch.device("cpu"))
    assert seen == ["ours", "theirs"] * 3
    assert set(times) == {"ours", "theirs"} and min(times.values()) >= 0
