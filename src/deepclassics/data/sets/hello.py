"""Hello: the word "hello", from which the notes learn to say the next letter.

Karpathy 2015, "The unreasonable effectiveness of recurrent neural networks": four letters, four steps.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.text import Text

KIND = "text"
LICENCE = "no work of anybody's"
FILES: tuple[File, ...] = ()
COUNTS = {"all": 5, "vocabulary": 4}


def read(paths: dict[str, Path]) -> "Text":
    from deepclassics.data.kinds.text import Text

    return Text({"all": "hello"}, unit="character")
