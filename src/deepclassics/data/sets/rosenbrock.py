"""Rosenbrock's valley, curved and flat along its floor: the minimum is at (1, 1).

H. Rosenbrock, An automatic method for finding the greatest or least value of a function, 1960. Its start is (-1.2, 1).
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

    formula = "(1 - x)**2 + 100*(y - x**2)**2"
    return replace(from_words(formula), bounds=((-2.0, 2.0), (-1.0, 3.0)))
