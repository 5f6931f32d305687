"""Ten million words of Wikipedia: 3,392 articles, lower case, letters alone.

The articles of the lowest numbers in a dump of the English Wikipedia of spring 2015, one a line, prepared as text8 is:
only a to z and blanks, accents stripped, digits spelled out. 51,751 words come five times or more. With it come the
questions that vectors of words are judged by (`deepclassics.data.questions`).
"""

import lzma
from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data import questions
from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.text import Text

KIND = "text"
LICENCE = "CC BY-SA 3.0 (Wikipedia contributors); the questions: Apache-2.0, CC BY 4.0, and free with citation"
COUNTS = {"all": 10_008_149, "vocabulary": 166_561}  # the ends of lines included

TEXT = File(
    "wiki_text/wiki10m.txt.xz",
    13_918_920,
    "1d6862e06e29f67d37aaadbde12a71bd960c4463a9b5589c752d7c7c6c6e8f9a",
    urls=(),  # made from a copy of the dump: no address serves it
)
FILES = (TEXT, *questions.FILES)


def read(paths: dict[str, Path]) -> "Text":
    from deepclassics.data.kinds.text import Text

    return Text({"all": lzma.decompress(paths[TEXT.path].read_bytes()).decode()}, unit="word")
