"""The double pentagon: two pentagons side by side, which ten lines bound.

After B. Raj's lectures on what perceptrons can represent (CMU 11-785), as the notes have them: ten threshold units for
the lines, two that AND five of them each, one that ORs the two. The corners are on circles of radius 1; one pentagon
stands on its tip, lest two of the ten lines be the same.
"""

import math
from pathlib import Path
from typing import Any

KIND = "region"
LICENCE = "no work of anybody's"
FILES = ()
COUNTS = {"polygons": 2, "corners": 10}


def read(paths: dict[str, Path]) -> Any:
    from deepclassics.data.kinds.region import Region, polygon

    angles = [math.pi / 2 + 2 * math.pi * k / 5 for k in range(5)]
    corners = [[[x + math.cos(a), up * math.sin(a)] for a in angles] for x, up in ((-1.25, 1), (1.25, -1))]
    return Region(tuple(polygon(each, "pentagons") for each in corners))
