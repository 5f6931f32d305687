"""Two wells of one variable, the left one deeper.

The minima are near -1.04 and 0.96, the hill between them is near 0.08. A large learning rate jumps it (C072).
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
COUNTS = {"variables": 1, "points": 0}


def read(paths: dict[str, Path]) -> "Function":
    from deepclassics.data.kinds.function import from_words

    formula = "(x**2 - 1)**2 + 0.3*x"
    return replace(from_words(formula), bounds=((-1.5, 1.6),))
