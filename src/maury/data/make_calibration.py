"""Write the Sun's corrections to the lines and how well each pixel is understood.

Run as ``python -m maury.data.make_calibration FOLDER``, where FOLDER is what ``maury calibrate``
made of the atlas of Kurucz et al. 1984 and the embedded, original lines. Rerun both whenever
``lines.npz`` or the physics changes::

    maury calibrate ../shared/data/solar_atlas/kurucz1984_flux_3770_6930.npz --out FOLDER
    python -m maury.data.make_calibration FOLDER
"""

import json
import sys
from pathlib import Path

import numpy as np
from astropy.table import Table

HERE = Path(__file__).parent
CITATION = (
    "Kurucz, Furenlid, Brault & Testerman 1984, Solar Flux Atlas from 296 to 1300 nm "
    "(NSO/Kitt Peak FTS data produced by NSF/NOAO)"
)


def main() -> None:
    """Condense the folder named on the command line."""
    folder = Path(sys.argv[1])
    card = json.loads((folder / "card.json").read_text())
    pixels = Table.read(folder / "pixels.fits")
    with np.load(folder / "lines.npz") as lines:
        corrections = {
            "delta_log_gf": np.round(lines["delta_log_gf"], 2).astype(np.float16),
            "delta_log_vdw": np.round(lines["delta_log_vdw"], 2).astype(np.float16),
            "flag": lines["flag"],
        }
    thousandths = np.clip(np.round(np.asarray(pixels["after"]) * 500), -126, 126)
    np.savez_compressed(
        HERE / "solar_calibration.npz",
        **corrections,
        lines_sha256=card["lines_sha256"],
        start=float(pixels["wavelength"][0]),
        step=2 * float(pixels["wavelength"][1] - pixels["wavelength"][0]),
        # In steps of 0.02 A; 127 where the atlas cannot tell.
        residual=np.where(pixels["used"], thousandths, 127).astype(np.int8)[::2],
        residual_unit=1 / 500,
        citation=CITATION,
    )


if __name__ == "__main__":
    main()
