"""Wine: three cultivars of one region by chemical analysis, 178 wines.

Forina et al. 1988 (UCI); comes with scikit-learn.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "CC BY 4.0 (UCI)"
FILES: tuple[File, ...] = ()
COUNTS = {"all": 178, "classes": 3, "columns": 14, "missing": 0}


def read(paths: dict[str, Path]) -> "Table":
    from sklearn.datasets import load_wine

    from deepclassics.data.kinds.table import Table

    wine = load_wine(as_frame=True)
    return Table({"all": wine.data.assign(cultivar=wine.target_names[wine.target])}, target="cultivar")
