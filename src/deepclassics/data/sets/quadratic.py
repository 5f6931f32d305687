"""A quadratic bowl whose axes are the axes: curvatures 1 along x and 9 along y.

Gradient descent converges below a learning rate of 2/9, and fastest at 2/(1 + 9) = 0.2, by a factor of 0.8 an update
(N025).
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

    formula = "0.5*(x**2 + 9*y**2)"
    return replace(from_words(formula), bounds=((-3.0, 3.0), (-2.0, 2.0)))
