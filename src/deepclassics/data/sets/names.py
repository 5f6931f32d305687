"""Names: 32,033 given names, a line each, in lower case.

As gathered by A. Karpathy for makemore from lists of the United States' government: 29,494 different ones.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File, content

if TYPE_CHECKING:
    from deepclassics.data.kinds.text import Text

KIND = "text"
LICENCE = "MIT; from public lists"
COUNTS = {"all": 228_145, "vocabulary": 27}
FILES = (
    File(
        "names/names.txt",
        228_145,
        "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
        urls=("https://raw.githubusercontent.com/karpathy/makemore/master/names.txt",),
    ),
)


def read(paths: dict[str, Path]) -> "Text":
    from deepclassics.data.kinds.text import Text

    return Text({"all": content(paths["names/names.txt"]).decode()})
