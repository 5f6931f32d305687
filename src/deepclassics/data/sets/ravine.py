"""A ravine: a quadratic bowl a hundred times as steep across as along.

Its condition number is 100: gradient descent needs some hundreds of updates, momentum about its root of them (C079).
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

    formula = "0.5*(x**2 + 100*y**2)"
    return replace(from_words(formula), bounds=((-3.0, 3.0), (-1.0, 1.0)))
