"""Iris: three species by the sizes of their sepals and petals, 150 flowers.

Anderson 1935, Fisher 1936; comes with scikit-learn.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "CC BY 4.0 (UCI)"
FILES: tuple[File, ...] = ()
COUNTS = {"all": 150, "classes": 3, "columns": 5, "missing": 0}


def read(paths: dict[str, Path]) -> "Table":
    from sklearn.datasets import load_iris

    from deepclassics.data.kinds.table import Table

    iris = load_iris(as_frame=True)
    return Table({"all": iris.data.assign(species=iris.target_names[iris.target])}, target="species")
