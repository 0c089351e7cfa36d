"""Tables 3 to 9 of Cvrcek et al. (2024), and numbers that only its text gives.

Cvrček, V., Romaniello, M., Šára, R., Freudling, W. & Ballester, P. 2024, "Stellar parameter
prediction and spectral simulation using machine learning", A&A, arXiv:2412.09002. The test set is
of observed HARPS spectra unless a table says otherwise, and models were trained for 1000 epochs.

Rows are called as in `maury.study.plan`, so that ours stand beside them: "CNN (real)" is "CNN 1.00
(real)" in Table 5 of the paper, and "betaVAE" is written with a Greek letter in all but Table 6. So
are labels: radial velocity is "Radvel" there. Tables 4 to 6, three parts each, are put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from maury.evaluation.tables import Cell, Table
from maury.labels import LABELS

__all__ = ["LABEL_COLUMNS", "PAPER_TABLES", "PAPER_TEXT"]

Columns = Sequence[tuple[str, str | None]]

HEADERS = {
    "teff": "Teff",
    "mh": "[M/H]",
    "logg": "log g",
    "rv": "RV",
    "berv": "BERV",
    "airmass": "airmass",
}

LABEL_COLUMNS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {name: (header, LABELS[name].unit) for name, header in HEADERS.items()}
)
"""Header and unit of each label, by its name and in the order of Tables 4 to 6."""

MODEL = ("model type", None)
PARADIGM = ("learning paradigm", None)
ARCHITECTURE = ("architecture", None)
BOTTLENECK = ("bottleneck", "")
DATASET = ("dataset", None)
AVAILABLE = ("available labels", "%")
INTRINSIC = [*(LABEL_COLUMNS[name] for name in ("teff", "mh", "logg")), ("All (intrinsic)", "")]
EXTRINSIC = [*(LABEL_COLUMNS[name] for name in ("rv", "berv", "airmass")), ("All (extrinsic)", "")]

NO_BOLD = "The paper's bold marks, of the significantly best models, are left out."
SPREAD = "± is the standard deviation of the estimate."
SEDAGHAT = "betaVAE (U*) is the model of Sedaghat et al. (2021)."


def _table(
    name: str,
    title: str,
    columns: Columns,
    *parts: str,
    notes: Sequence[str] = (),
    corner: str = "model",
) -> Table:
    """A table from its parts side by side, each of them lines of cells with "|" between them."""
    cells: dict[str, list[str]] = {}
    for part in parts:
        for line in part.strip().splitlines():
            label, *words = (word.strip() for word in line.split("|"))
            cells.setdefault(label, []).extend(words)
    rows = [
        (label, [_cell(word, unit) for word, (_, unit) in zip(words, columns, strict=True)])
        for label, words in cells.items()
    ]
    return Table(name, f"{title} (Cvrcek et al. 2024)", columns, rows, notes, corner)


def _cell(text: str, unit: str | None) -> Cell:
    if text == "–":
        return Cell(None)
    if unit is None:
        return Cell(text)
    value, _, error = text.partition("±")
    return Cell(float(value), float(error) if error else None)


_TABLES = (
    _table(
        "table3",
        "Table 3: Label prediction by supervised, semi-supervised and unsupervised models",
        [*INTRINSIC[:-1], AVAILABLE, DATASET, ("details", None)],
        """
        supervised and semi-supervised | 50   | 0.03 | 0.04 | 100 | mixed | Table 4
        supervised                     | 155  | 0.05 | 0.07 | 1   | real  | Table 5
        semi-supervised                | 75   | 0.03 | 0.06 | 1   | mixed | Table 5
        unsupervised                   | 1000 | 0.17 | 0.18 | 0   | real  | Table 6
        """,
        notes=['The paper has "~" before each error.'],
        corner="models (real data)",
    ),
    _table(
        "table4",
        "Table 4: Mean absolute errors of labels by learning paradigm and architecture",
        [MODEL, PARADIGM, ARCHITECTURE, BOTTLENECK, DATASET, *INTRINSIC, *EXTRINSIC],
        """
        betaVAE (U*)  | betaVAE | unsupervised    | CNN-CNN    | 128 | real
        CNN (mix)     | encoder | supervised      | CNN        | 6   | mixed
        AE (real)     | AE      | semi-supervised | CNN-ResNet | 9   | real
        AE (mix)      | AE      | semi-supervised | CNN-ResNet | 9   | mixed
        infoVAE (mix) | infoVAE | semi-supervised | CNN-ResNet | 32  | mixed
        CNN (ETC)     | encoder | supervised      | CNN        | 7   | ETC
        """,
        """
        betaVAE (U*)  | 978.0 ± 13.0 | 0.1578 ± 0.0027   | 0.1798 ± 0.0025   | 1.548 ± 0.013
        CNN (mix)     | 50.21 ± 0.82 | 0.02118 ± 0.00064 | 0.03957 ± 0.00085 | 0.1793 ± 0.0022
        AE (real)     | 50.32 ± 0.83 | 0.02478 ± 0.00056 | 0.03898 ± 0.00089 | 0.1844 ± 0.0022
        AE (mix)      | 49.74 ± 0.77 | 0.02292 ± 0.00055 | 0.04139 ± 0.00087 | 0.1867 ± 0.0021
        infoVAE (mix) | 43.68 ± 0.73 | 0.03424 ± 0.00058 | 0.04005 ± 0.00087 | 0.1986 ± 0.0021
        CNN (ETC)     | 273.1 ± 4.2  | 0.1222 ± 0.0011   | 0.4994 ± 0.0044   | 1.7029 ± 0.0091
        """,
        """
        betaVAE (U*)  | 31.07 ± 0.27  | 16.01 ± 0.096   | 0.181 ± 0.0019    | 1.5751 ± 0.0074
        CNN (mix)     | 2.375 ± 0.061 | 0.1671 ± 0.002  | 0.01069 ± 0.00022 | 0.0815 ± 0.001
        AE (real)     | 1.94 ± 0.069  | 0.1214 ± 0.0021 | 0.00885 ± 0.00018 | 0.0664 ± 0.0011
        AE (mix)      | 1.918 ± 0.063 | 0.1697 ± 0.0024 | 0.0103 ± 0.00022  | 0.0709 ± 0.0011
        infoVAE (mix) | 1.967 ± 0.071 | 0.1855 ± 0.0024 | 0.01023 ± 0.00021 | 0.0722 ± 0.0011
        CNN (ETC)     | 25.43 ± 0.27  | NaN ± NaN       | 1.6827 ± 0.0054   | 6.932 ± 0.016
        """,
        notes=[SPREAD, NO_BOLD, SEDAGHAT],
    ),
    _table(
        "table5",
        "Table 5: Mean absolute errors of labels by quantity of labels and by data",
        [MODEL, PARADIGM, ARCHITECTURE, DATASET, AVAILABLE, *INTRINSIC, *EXTRINSIC],
        """
        CNN (real)      | encoder | supervised      | CNN        | real  | 100
        CNN 0.01 (real) | encoder | supervised      | CNN        | real  | 1
        CNN (mix)       | encoder | supervised      | CNN        | mixed | 100
        CNN 0.01 (mix)  | encoder | supervised      | CNN        | mixed | 1
        AE (real)       | AE      | semi-supervised | CNN-ResNet | real  | 100
        AE 0.01 (real)  | AE      | semi-supervised | CNN-ResNet | real  | 1
        AE (mix)        | AE      | semi-supervised | CNN-ResNet | mixed | 100
        AE 0.01 (mix)   | AE      | semi-supervised | CNN-ResNet | mixed | 1
        """,
        """
        CNN (real)      | 51.27 ± 0.81 | 0.02109 ± 0.00064 | 0.04102 ± 0.00085 | 0.1837 ± 0.0022
        CNN 0.01 (real) | 154.4 ± 5.8  | 0.049 ± 0.0012    | 0.0712 ± 0.0014   | 0.3954 ± 0.0061
        CNN (mix)       | 50.21 ± 0.82 | 0.02118 ± 0.00064 | 0.03957 ± 0.00085 | 0.1793 ± 0.0022
        CNN 0.01 (mix)  | 108.6 ± 5.6  | 0.04468 ± 0.00081 | 0.05083 ± 0.00098 | 0.2984 ± 0.0051
        AE (real)       | 50.32 ± 0.83 | 0.02478 ± 0.00056 | 0.03898 ± 0.00089 | 0.1844 ± 0.0022
        AE 0.01 (real)  | 100.2 ± 1.7  | 0.082 ± 0.0012    | 0.0848 ± 0.0013   | 0.4439 ± 0.0038
        AE (mix)        | 49.74 ± 0.77 | 0.02292 ± 0.00055 | 0.04139 ± 0.00087 | 0.1867 ± 0.0021
        AE 0.01 (mix)   | 75.2 ± 2.8   | 0.02934 ± 0.00081 | 0.0567 ± 0.0011   | 0.2578 ± 0.0037
        """,
        """
        CNN (real)      | 1.994 ± 0.058 | 0.1764 ± 0.0018 | 0.01163 ± 0.00022 | 0.07591 ± 0.00098
        CNN 0.01 (real) | 4.4 ± 0.19    | 0.7122 ± 0.0071 | 0.06974 ± 0.00066 | 0.2839 ± 0.0031
        CNN (mix)       | 2.375 ± 0.061 | 0.1671 ± 0.002  | 0.01069 ± 0.00022 | 0.0815 ± 0.001
        CNN 0.01 (mix)  | 3.91 ± 0.14   | 0.787 ± 0.011   | 0.04042 ± 0.00063 | 0.2047 ± 0.0026
        AE (real)       | 1.94 ± 0.069  | 0.1214 ± 0.0021 | 0.00885 ± 0.00018 | 0.0664 ± 0.0011
        AE 0.01 (real)  | 5.19 ± 0.19   | 0.4659 ± 0.0063 | 0.07247 ± 0.00073 | 0.3002 ± 0.0032
        AE (mix)        | 1.918 ± 0.063 | 0.1697 ± 0.0024 | 0.0103 ± 0.00022  | 0.0709 ± 0.0011
        AE 0.01 (mix)   | 3.53 ± 0.15   | 0.3719 ± 0.0062 | 0.05555 ± 0.00058 | 0.221 ± 0.0026
        """,
        notes=[SPREAD, NO_BOLD],
    ),
    _table(
        "table6",
        "Table 6: Mean absolute errors of labels by unsupervised models",
        [PARADIGM, ARCHITECTURE, BOTTLENECK, DATASET, *INTRINSIC, *EXTRINSIC],
        """
        betaVAE (U*)     | unsupervised | CNN-CNN    | 128 | real
        betaVAE (U)      | unsupervised | CNN-ResNet | 128 | real
        infoVAE (U)      | unsupervised | CNN-ResNet | 128 | real
        betaVAE (mix, U) | unsupervised | CNN-ResNet | 128 | mixed
        infoVAE (mix, U) | unsupervised | CNN-ResNet | 128 | mixed
        """,
        """
        betaVAE (U*)     | 978.0 ± 13.0  | 0.1578 ± 0.0027 | 0.1798 ± 0.0025 | 1.548 ± 0.013
        betaVAE (U)      | 986.0 ± 13.0  | 0.1579 ± 0.0027 | 0.1829 ± 0.0025 | 1.563 ± 0.013
        infoVAE (U)      | 999.0 ± 13.0  | 0.1529 ± 0.0027 | 0.1817 ± 0.0025 | 1.562 ± 0.013
        betaVAE (mix, U) | 1017.0 ± 13.0 | 0.154 ± 0.0027  | 0.186 ± 0.0025  | 1.59 ± 0.013
        infoVAE (mix, U) | 990.0 ± 13.0  | 0.1648 ± 0.0026 | 0.1846 ± 0.0025 | 1.583 ± 0.013
        """,
        """
        betaVAE (U*)     | 31.07 ± 0.27 | 16.01 ± 0.096  | 0.181 ± 0.0019  | 1.5751 ± 0.0074
        betaVAE (U)      | 32.15 ± 0.28 | 16.125 ± 0.097 | 0.1827 ± 0.0019 | 1.6056 ± 0.0075
        infoVAE (U)      | 31.26 ± 0.28 | 16.077 ± 0.097 | 0.181 ± 0.0019  | 1.5811 ± 0.0075
        betaVAE (mix, U) | 31.72 ± 0.28 | 16.265 ± 0.1   | 0.1798 ± 0.0019 | 1.5935 ± 0.0076
        infoVAE (mix, U) | 31.81 ± 0.28 | 16.39 ± 0.1    | 0.1809 ± 0.0019 | 1.6017 ± 0.0076
        """,
        notes=[SPREAD, NO_BOLD, SEDAGHAT],
    ),
    _table(
        "table7",
        "Table 7: Decoders on simulated spectra",
        [MODEL, PARADIGM, ARCHITECTURE, ("reconstruction error", "")],
        """
        CNN (simulation)    | decoder | supervised | CNN    | 0.0139 ± 0.0026
        ResNet (simulation) | decoder | supervised | ResNet | 0.0064 ± 0.0011
        """,
        notes=["Mean absolute error of Eq. 14."],
    ),
    _table(
        "table8",
        "Table 8: Generative results",
        [(header, "") for header in ("RV", "Teff", "[M/H]", "log g")],
        """
        betaVAE (U*)  | 0.063 | –      | –      | –
        AE (real)     | 0.019 | 0.0078 | 0.017  | 0.036
        AE (mix)      | 0.017 | 0.0041 | 0.0069 | 0.0077
        infoVAE (mix) | 0.02  | 0.0051 | 0.0065 | 0.0062
        """,
        notes=[
            "RV is RVIS of Eq. 16 on observed spectra, others are GIS of Eq. 17 on simulated ones.",
            "Sect. 5 says that GIS is at most 0.0078, which two values of AE (real) exceed.",
            SEDAGHAT,
        ],
    ),
    _table(
        "table9",
        "Table 9: Time and memory",
        [MODEL, ARCHITECTURE, BOTTLENECK, ("GPU", "ms"), ("CPU", "ms"), ("parameters", "M")],
        """
        betaVAE (U*)        | betaVAE | CNN-CNN    | 128 | 0.386 | 113.8 | 7.0
        infoVAE (mix)       | infoVAE | CNN-ResNet | 32  | 3.970 | 779.6 | 14.0
        AE (mix)            | AE      | CNN-ResNet | 9   | 3.910 | 795.0 | 13.3
        CNN (mix)           | encoder | CNN        | 6   | 0.190 | 38.4  | 1.5
        CNN (simulation)    | decoder | CNN        | 6   | 0.217 | 76.3  | 1.7
        ResNet (simulation) | decoder | ResNet     | 6   | 3.694 | 729.9 | 11.6
        """,
        notes=[
            "Time of a batch of 32 spectra over 32, on an NVIDIA GeForce RTX 3090 and on one core "
            "of an AMD Ryzen 9 3900X.",
            "ATLAS9 takes 89 s for one spectrum on that core.",
            SEDAGHAT,
        ],
    ),
)

PAPER_TABLES: Mapping[str, Table] = MappingProxyType({table.name: table for table in _TABLES})
"""Tables 3 to 9 by the name of the item: "table3" to "table9"."""

PAPER_TEXT: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "fig2": {
            "supervised nodes": 7,
            "bottleneck with the lowest RVIS": 9,
            "bottleneck at which RVIS is hardly worse": 10,
        },
        "fig7": {"RVIS of semi-supervised models": 0.02, "RVIS of betaVAE (U*)": 0.063},
        "fig8": {"largest GIS of Teff": 0.0078},
        "figD1": {
            "lowest label weight": 0.01,
            "highest label weight": 100.0,
            "errors are alike from": 0.1,
            "errors are alike to": 20.0,
        },
        "table9": {"ATLAS9, s": 89.0, "ETC with its download, s": 27.0},
    }
)
"""Numbers that the text gives (Sects. 3.7, 4.2.3, 4.3 and 5, App. D), by item."""
