"""Fixtures for the tests of several rooms."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor

from maury.cli import main
from maury.wavelength import SPEED_OF_LIGHT

# Test modules are imported by their paths; the package `stand_in`, which several share, by name.
sys.path.append(str(Path(__file__).parent / "archive"))

if TYPE_CHECKING:
    from outside import Outside


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--network``."""
    parser.addoption(
        "--network", action="store_true", help="also run the tests that ask the real services"
    )


def pytest_configure() -> None:
    """Let interrupts through to the processes that tests start.

    A shell has what it starts in the background ignore them, and children inherit that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what asks the real services, unless it is asked for."""
    if config.getoption("--network"):
        return
    skip = pytest.mark.skip(reason="asks the real services: only with --network")
    for item in items:
        if "network" in item.keywords:
            item.add_marker(skip)


class LineForest:
    """A stand-in for the emulator: Gaussian lines whose depths follow the labels.

    It has the emulator's interface, takes no time to make, and its spectra determine the labels.
    """

    names = ("teff", "logg", "mh", "vmic")
    velocity_step = 1.0

    def __init__(self, start: float = 4960.0, stop: float = 6040.0, lines: int = 100) -> None:
        self.lower = torch.tensor([4000.0, 3.5, -1.5, 0.5])
        self.upper = torch.tensor([8000.0, 5.0, 0.5, 2.5])
        number = int(np.log(stop / start) * SPEED_OF_LIGHT / self.velocity_step)
        self.wavelength = start * np.exp(np.arange(number) * self.velocity_step / SPEED_OF_LIGHT)
        self.model_error = torch.full((number,), torch.inf)
        rng = np.random.default_rng(1)
        centers = rng.uniform(0, number, lines)
        offset = np.arange(number) - centers[:, None]
        self.profiles = torch.from_numpy(np.exp(-0.5 * (offset / 4) ** 2)).float()
        self.weights = torch.from_numpy(rng.normal(0, 0.7, (lines, 4))).float()
        self.weights[:, 2] += 1.0

    def flux(self, labels: Tensor) -> Tensor:
        position = 2 * (labels - self.lower) / (self.upper - self.lower) - 1
        strength = 0.2 * torch.exp(position @ self.weights.T)
        return torch.exp(-strength @ self.profiles)


@pytest.fixture(scope="session")
def line_forest() -> LineForest:
    """A stand-in for the emulator of intrinsic spectra."""
    return LineForest()


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["maury", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def services() -> Iterator[Outside]:
    """A local server that plays ESO, SIMBAD, MAST and SWEET-Cat, for one test.

    ``services.services`` are the addresses for `maury.archive`, ``services.session`` a session that
    is not patient, and ``services.environment`` the same addresses for a process or `monkeypatch`.
    What the services hold is in ``services.eso`` (``.products``, ``.users``, ``.content(dp_id)``),
    ``.simbad``, ``.mast`` and ``.sweetcat``, and may be changed. Failures are switched on by::

        from stand_in import failures

        services.fail("eso_files", failures.cut(0.5), times=2, matching=dp_id)

    and what was asked is in ``services.asked("eso_files")``; see `stand_in.world.StandIn`.
    """
    from outside import Outside

    outside = Outside()
    yield outside
    outside.close()
    assert not outside.defects, outside.defects[0]
