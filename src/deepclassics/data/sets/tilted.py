"""A quadratic bowl turned by 45 degrees: curvatures 1 and 9 along the diagonals.

The Hessian is ((5, 4), (4, 5)). Scaling the axes is not enough here: they must be rotated too (S110).
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

    formula = "0.5*(5*x**2 + 8*x*y + 5*y**2)"
    return replace(from_words(formula), bounds=((-3.0, 3.0), (-3.0, 3.0)))
