"""A study that is small enough for tests, on the package's own emulator."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from maury.datasets import splits
from maury.study.exposures import TestExposures, training_stores
from maury.study.settings import SETTINGS
from maury.training.scale import SCALES


def _replace(patch: pytest.MonkeyPatch, old: object, new: object) -> None:
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith(("maury.study", "maury.training")):
            for name in [name for name, value in vars(module).items() if value is old]:
                patch.setattr(module, name, new)


def _shrink(patch: pytest.MonkeyPatch) -> None:
    tiny = replace(SCALES["tiny"], spectra=8, validation=8, stars=24, exposures=1.0)
    settings = replace(
        SETTINGS["tiny"],
        overrides=("epochs=1", "training.batch=4", "optimizer.lr=1e-3"),
        stars=8,
        simulated=8,
        observed=10,
        cores=2,
        variations=2,
        shifted=2,
    )
    _replace(patch, SCALES, {"tiny": tiny})
    _replace(patch, SETTINGS, {"tiny": settings})
    # Of 20 stars one would be tested.
    patch.setattr(splits, "TRAIN", 0.3)
    patch.setattr(splits, "VALIDATION", 0.2)


@pytest.fixture(scope="session")
def shrink() -> Callable[[pytest.MonkeyPatch], None]:
    """Makes the smallest scale smaller, for what is made once for all tests."""
    return _shrink


@pytest.fixture(scope="session")
def replaced() -> Callable[[pytest.MonkeyPatch, object, object], None]:
    """Puts something in the place of something else, wherever the study has imported it."""
    return _replace


@pytest.fixture
def smallest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest scale, made smaller: two steps an epoch, one epoch."""
    _shrink(monkeypatch)


def silent(*_: object) -> None:
    """Progress that nobody wants to see."""


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a study that has its exposures and nothing else."""
    folder = tmp_path_factory.mktemp("study") / "study"
    with pytest.MonkeyPatch.context() as patch:
        _shrink(patch)
        training_stores("tiny", folder, None, silent)
        TestExposures.open("tiny", folder, None, silent)
    return folder


@pytest.fixture(scope="session")
def exposures(stores: Path) -> TestExposures:
    """The test exposures of that study."""
    with pytest.MonkeyPatch.context() as patch:
        _shrink(patch)
        return TestExposures.open("tiny", stores, None, silent)
