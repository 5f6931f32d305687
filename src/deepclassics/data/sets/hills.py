"""Two round hills and a hollow over a square: a function of two variables.

Three Gaussian bells, of heights 1, 0.7 and -0.8, between -2 and 2.
"""

from pathlib import Path
from typing import Any

KIND = "function"
LICENCE = "no work of anybody's"
FILES = ()
COUNTS = {"variables": 2, "points": 0}

TEXT = "exp(-2*(x-0.8)**2 - 2*(y-0.6)**2) + 0.7*exp(-3*(x+1)**2 - 3*(y-0.9)**2) - 0.8*exp(-2*(x+0.2)**2 - 2*(y+0.9)**2)"


def read(paths: dict[str, Path]) -> Any:
    from dataclasses import replace

    from deepclassics.data.kinds.function import from_words

    return replace(from_words(TEXT), bounds=((-2.0, 2.0), (-2.0, 2.0)))
