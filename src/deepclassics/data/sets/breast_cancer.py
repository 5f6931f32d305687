"""Breast cancer (Wisconsin): 569 tumours by 30 measures of their cells' nuclei.

Street, Wolberg, Mangasarian 1993 (UCI); comes with scikit-learn.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "CC BY 4.0 (UCI)"
FILES: tuple[File, ...] = ()
COUNTS = {"all": 569, "classes": 2, "columns": 31, "missing": 0}


def read(paths: dict[str, Path]) -> "Table":
    from sklearn.datasets import load_breast_cancer

    from deepclassics.data.kinds.table import Table

    tumours = load_breast_cancer(as_frame=True)
    return Table({"all": tumours.data.assign(diagnosis=tumours.target_names[tumours.target])}, target="diagnosis")
