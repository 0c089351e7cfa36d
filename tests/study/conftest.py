"""A study that is small enough for tests, on the package's own emulator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from maury.datasets import splits
from maury.study.exposures import TestExposures, training_stores
from maury.study.settings import SETTINGS
from maury.training.scale import SCALES


def _shrink(patch: pytest.MonkeyPatch) -> None:
    tiny = replace(SCALES["tiny"], spectra=8, validation=8, stars=24, exposures=1.0)
    settings = replace(
        SETTINGS["tiny"],
        overrides=("epochs=1", "training.batch=4", "optimizer.lr=1e-3"),
        stars=8,
        simulated=8,
        observed=6,
        cores=2,
        variations=2,
        shifted=3,
    )
    for module in (
        "training.scale",
        "training.recipe",
        "study.exposures",
        "study.program",
        "study.figures",
    ):
        patch.setattr(f"maury.{module}.SCALES", {"tiny": tiny})
    for module in ("exposures", "plan", "program"):
        patch.setattr(f"maury.study.{module}.SETTINGS", {"tiny": settings})
    # Of 20 stars one would be tested.
    patch.setattr(splits, "TRAIN", 0.4)
    patch.setattr(splits, "VALIDATION", 0.2)


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
