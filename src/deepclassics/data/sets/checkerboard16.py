"""The checkerboard of sixteen lines: eight upright ones and eight level ones.

After B. Raj's lectures (CMU 11-785), as the notes have them. Of the 81 squares that they make, one is black where
an odd number of lines have it on their right or upper side: 40 are, 41 are not. The outer squares go on for ever.
"""

from pathlib import Path
from typing import Any

KIND = "region"
LICENCE = "no work of anybody's"
FILES = ()
COUNTS = {"polygons": 0, "lines": 16}


def read(paths: dict[str, Path]) -> Any:
    import torch

    from deepclassics.data.kinds.region import Region

    upright = [[1.0, 0.0, place] for place in range(1, 9)]
    level = [[0.0, 1.0, place] for place in range(1, 9)]
    return Region(lines=torch.tensor(upright + level, dtype=torch.float64))
