"""Playground XOR: four squares, coloured as a chessboard's.

TensorFlow's playground (Smilkov et al. 2017), without noise: blue where x and y have the same sign, and 0.3 left free
on either side of the axes; 500 points to learn from and 1,000 more, drawn alike, to be tested on. The truth table alone
is the set `xor`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "no work of anybody's"
FILES: tuple[File, ...] = ()
COUNTS = {"train": 500, "test": 1000, "classes": 2, "columns": 3, "missing": 0}


def read(paths: dict[str, Path]) -> "Table":
    import numpy as np
    import pandas as pd

    from deepclassics.data.kinds.table import Table

    draw = np.random.RandomState(0)  # whose numbers are the same in every version of NumPy
    parts = {}
    for part, count in (("train", 500), ("test", 1000)):
        x, y = draw.uniform(-5, 5, (2, count))
        x, y = x + np.where(x > 0, 0.3, -0.3), y + np.where(y > 0, 0.3, -0.3)
        parts[part] = pd.DataFrame({"x": x, "y": y, "colour": np.where(x * y >= 0, "blue", "orange")})
    return Table(parts, target="colour")
