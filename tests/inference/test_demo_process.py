"""What `make run` starts, as a process of its own, with its worker processes and its figures."""

import os
import shutil
import subprocess
import sys

from maury.inference.example import write_example


def test_the_demo_predicts_and_draws_in_worker_processes(tmp_path):
    spectra = tmp_path / "spectra"
    spectra.mkdir()
    first = write_example(spectra)
    shutil.copy(first, spectra / f"second_{first.name}")
    result = subprocess.run(
        [sys.executable, "-m", "maury.demo"],
        cwd=tmp_path,
        env={**os.environ, "SPECTRA": str(spectra), "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "could not be used" not in result.stdout
    assert len(list((tmp_path / "plots").glob("*.png"))) == 2
