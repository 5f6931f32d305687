"""Gaussians: two round clouds that a line can part.

TensorFlow's playground (Smilkov et al. 2017), without noise: normal with variance 0.5 around (2, 2) for blue and around
(-2, -2) for orange, 500 points to learn from and 1,000 more, drawn alike, to be tested on.
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
        blue = np.arange(count) % 2 == 0
        x, y = draw.normal(np.where(blue, 2.0, -2.0), math.sqrt(0.5), (2, count))
        parts[part] = pd.DataFrame({"x": x, "y": y, "colour": np.where(blue, "blue", "orange")})
    return Table(parts, target="colour")
