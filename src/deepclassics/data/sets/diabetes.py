"""Diabetes: the disease's progression in a year, a number, for 442 patients.

Efron, Hastie, Johnstone, Tibshirani 2004; comes with scikit-learn. In the units measured, not in those of the
paper, which were scaled with the mean and spread of all patients, those to be tested on among them.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "none stated; cite Efron et al. 2004"
FILES: tuple[File, ...] = ()
COUNTS = {"all": 442, "columns": 11, "missing": 0}


def read(paths: dict[str, Path]) -> "Table":
    from sklearn.datasets import load_diabetes

    from deepclassics.data.kinds.table import Table

    patients = load_diabetes(as_frame=True, scaled=False)
    return Table({"all": patients.data.assign(progression=patients.target)}, target="progression")
