"""XOR: the truth table of "either, but not both", which no single line separates.

Minsky, Papert 1969. Four rows, all to learn from: there is nothing beyond them to be tested on.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "no work of anybody's"
FILES: tuple[File, ...] = ()
COUNTS = {"train": 4, "classes": 2, "columns": 3, "missing": 0}


def read(paths: dict[str, Path]) -> "Table":
    import pandas as pd

    from deepclassics.data.kinds.table import Table

    table = pd.DataFrame({"a": [0, 0, 1, 1], "b": [0, 1, 0, 1], "xor": ["false", "true", "true", "false"]})
    return Table({"train": table}, target="xor")
