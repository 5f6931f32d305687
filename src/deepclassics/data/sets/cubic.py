"""The cubic that six ReLUs are set by hand to follow, from -2 to 2.

x³ + x² - x - 1, after B. Fortuner's example (2018), which the notes take over without the curve itself.
"""

from pathlib import Path
from typing import Any

KIND = "function"
LICENCE = "no work of anybody's"
FILES = ()
COUNTS = {"variables": 1, "points": 0}


def read(paths: dict[str, Path]) -> Any:
    from dataclasses import replace

    from deepclassics.data.kinds.function import from_words

    return replace(from_words("x**3 + x**2 - x - 1"), bounds=((-2.0, 2.0),))
