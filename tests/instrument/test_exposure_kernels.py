"""The compiled loops round alike whether they were just compiled or were found on disk."""

import os
import subprocess
import sys
from pathlib import Path

EXPOSE = """
import hashlib
import torch
from maury.grid import WavelengthGrid
from maury.instrument.calculator import ExposureCalculator
from maury.instrument.settings import Settings

calculator = ExposureCalculator(WavelengthGrid(start=5290.0, step=0.01, size=6000))
settings = Settings(magnitude=8.0, exposure=100.0, pwv=5.0, rv=20.0, berv=-10.0)
star = 1 + 0.5 * torch.sin(torch.arange(6000) / 30)
terms = calculator(star[None], settings, flux_v=1.0, seeds=[1])
print(*(hashlib.sha256(term.numpy().tobytes()).hexdigest() for term in terms))
"""


def test_code_from_the_cache_gives_the_same_bits_as_fresh_code(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    fresh, cached = (
        subprocess.run(
            [sys.executable, "-c", EXPOSE],
            env=environment, capture_output=True, text=True, check=True,
        ).stdout
        for _ in range(2)
    )  # fmt: skip
    assert any(tmp_path.rglob("*.nbc"))
    assert len(fresh.split()) == 2
    assert fresh == cached
