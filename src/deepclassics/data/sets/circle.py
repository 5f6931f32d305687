"""Circle: a disc inside a ring, both around the same point.

TensorFlow's playground (Smilkov et al. 2017), without noise: distances from the centre of 0 to 2.5 for blue and of 3.5
to 5 for orange, 500 points to learn from and 1,000 more, drawn alike, to be tested on.
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
        angle = draw.uniform(0, 2 * math.pi, count)
        blue = np.arange(count) % 2 == 0
        radius = np.where(blue, draw.uniform(0, 2.5, count), draw.uniform(3.5, 5, count))
        parts[part] = pd.DataFrame(
            {
                "x": radius * np.sin(angle),
                "y": radius * np.cos(angle),
                "colour": np.where(blue, "blue", "orange"),
            }
        )
    return Table(parts, target="colour")
