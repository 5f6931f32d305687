"""A five-pointed star: a polygon of ten corners, five of which point inwards.

The inner corners are where the lines between outer ones cross, so the ten edges lie on five lines. The outer ones are
on a circle of radius 1.
"""

import math
from pathlib import Path
from typing import Any

KIND = "region"
LICENCE = "no work of anybody's"
FILES = ()
COUNTS = {"polygons": 1, "corners": 10}


def read(paths: dict[str, Path]) -> Any:
    from deepclassics.data.kinds.region import Region, polygon

    inner = math.cos(2 * math.pi / 5) / math.cos(math.pi / 5)
    radii = [1.0, inner] * 5
    angles = [math.pi / 2 + math.pi * k / 5 for k in range(10)]
    corners = [[r * math.cos(angle), r * math.sin(angle)] for r, angle in zip(radii, angles, strict=True)]
    return Region((polygon(corners, "star"),))
