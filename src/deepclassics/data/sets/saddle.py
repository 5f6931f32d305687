"""A saddle between two minima: downhill along y from the ridge, uphill along x.

The saddle is at (0, 0), the minima at (0, -1) and (0, 1), a quarter lower. Newton's method goes to the saddle.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.function import Function

KIND = "function"
LICENCE = "no work of anybody's"
FILES: tuple[File, ...] = ()
COUNTS = {"variables": 2, "points": 0}


def read(paths: dict[str, Path]) -> "Function":
    from deepclassics.data.kinds.function import from_words

    formula = "0.5*x**2 + 0.25*y**4 - 0.5*y**2"
    return replace(from_words(formula), bounds=((-1.6, 1.6), (-1.6, 1.6)))
