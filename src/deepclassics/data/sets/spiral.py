"""Spiral: two arms wound into each other, one turn and three quarters.

TensorFlow's playground (Smilkov et al. 2017), without noise, except that the places along the arms are drawn by chance
where the playground spaces them evenly: 500 points to learn from and 1,000 more, drawn alike, to be tested on.
"""

import math
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
        along = draw.uniform(0, 1, count)
        blue = np.arange(count) % 2 == 0
        angle = 1.75 * along * 2 * math.pi + np.where(blue, 0.0, math.pi)
        parts[part] = pd.DataFrame(
            {
                "x": 5 * along * np.sin(angle),
                "y": 5 * along * np.cos(angle),
                "colour": np.where(blue, "blue", "orange"),
            }
        )
    return Table(parts, target="colour")
