"""As and bs: lines of n a's and as many b's, a language that takes counting.

n is from 1 to 10 by chance.

Gers and Schmidhuber 2001, "LSTM recurrent networks learn simple context-free and context-sensitive languages", who
train with n up to 10 too. A line costs ln 10 nats by chance, and has 12 characters in the mean: 0.192 nats a character
are the least that any reader comes to. Notes: S208.
"""

import random
from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.text import Text

KIND = "text"
LICENCE = "no work of anybody's"
FILES: tuple[File, ...] = ()
LINES = 25_000
LONGEST = 10  # a's of a line
COUNTS = {"all": (295_000, 305_000), "vocabulary": 3}


def read(paths: dict[str, Path]) -> "Text":
    from deepclassics.data.kinds.text import Text

    chance = random.Random(0)
    return Text({"all": "".join(line(1 + int(LONGEST * chance.random())) for _ in range(LINES))}, unit="character")


def line(n: int) -> str:
    """n a's, n b's, and the end of the line."""
    return "a" * n + "b" * n + "\n"
