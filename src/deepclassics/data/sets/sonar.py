"""Sonar: echoes of 111 mines and 97 rocks, the energy in 60 bands of frequency.

Gorman, Sejnowski 1988 (UCI). Columns are numbered from the lowest band; no standard split.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File, content

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "CC BY 4.0 (UCI)"
COUNTS = {"all": 208, "classes": 2, "columns": 61, "missing": 0}
FILES = (
    File(
        "tabular/sonar.csv",
        87_775,
        "3079c09b5d2789a0f96aff82c28e5164fafe2495c5f8da96c6c256c1bd25763f",
        urls=(
            "https://raw.githubusercontent.com/jbrownlee/Datasets/master/sonar.csv",
            "https://archive.ics.uci.edu/ml/machine-learning-databases/undocumented/connectionist-bench/sonar/"
            "sonar.all-data",
        ),
        # UCI's, which ends with a line feed
        content_sha256=("e90434cdbf00fcf93ffa911fe447ae25606979658e60f1d32e155c3b5240234d",),
    ),
)


def read(paths: dict[str, Path]) -> "Table":
    import pandas as pd

    from deepclassics.data.kinds.table import Table

    columns = [str(band) for band in range(1, 61)]
    table = pd.read_csv(io.BytesIO(content(paths["tabular/sonar.csv"])), names=[*columns, "object"])
    table["object"] = table["object"].map({"M": "mine", "R": "rock"})
    return Table({"all": table}, target="object")
