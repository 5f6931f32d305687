"""Beale's function: plateaus, steep walls, and a minimum at (3, 0.5).

E. Beale 1958; J. More, B. Garbow, K. Hillstrom, Testing unconstrained optimization software, 1981, problem 5.
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

    formula = "(1.5 - x + x*y)**2 + (2.25 - x + x*y**2)**2 + (2.625 - x + x*y**3)**2"
    return replace(from_words(formula), bounds=((-4.0, 4.0), (-2.0, 2.0)))
