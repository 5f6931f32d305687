"""The letter R: three polygons that overlap, the bowl's not convex.

Stem, bowl and leg are drawn on a board of 6 by 8.
"""

from pathlib import Path
from typing import Any

KIND = "region"
LICENCE = "no work of anybody's"
FILES = ()
COUNTS = {"polygons": 3, "corners": 20}

STEM = [[0, 0], [1.5, 0], [1.5, 8], [0, 8]]
BOWL = [[1, 8], [1, 6.5], [3.5, 6.5], [4, 6], [4, 5.5], [3.5, 5], [1, 5], [1, 3.5], [4.25, 3.5], [5.5, 4.75],
        [5.5, 6.75], [4.25, 8]]  # fmt: skip
LEG = [[2, 4], [4, 0], [5.75, 0], [3.75, 4]]


def read(paths: dict[str, Path]) -> Any:
    from deepclassics.data.kinds.region import Region, polygon

    return Region(tuple(polygon(corners, "letter") for corners in (STEM, BOWL, LEG)))
