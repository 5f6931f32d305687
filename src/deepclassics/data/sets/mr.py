"""MR: 10,662 sentences of film reviews that liked or disliked the film.

Pang, Lee 2005, "sentence polarity" 1.0, in the preparation of Kim 2014: a sentence a line, lower case, blanks around
every mark. There is no test part: results are told of ten folds (--fold).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File, content

if TYPE_CHECKING:
    import pandas as pd

    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "none stated; for research (cite Pang and Lee 2005)"
COUNTS = {"all": 10_662, "classes": 2, "columns": 2, "missing": 0}
ADDRESS = "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/master/data/"
FILES = (
    File(
        "sentence_classification/rt-polarity.all.gz",
        485_883,
        "32f48374f459e5fa6cd80683f45c44f0d9e47b83a281786d4f1f9319ef826ce4",
        urls=(f"{ADDRESS}rt-polarity.all",),
        content_sha256=("b8846c3bbd59241f901efdc58f7c515e4b280ab3561fd1858caa5aa48da95a8a",),
    ),
)


def read(paths: dict[str, Path]) -> "Table":
    from deepclassics.data.kinds.table import Table

    return Table({"all": labelled(paths[FILES[0].path], ["negative", "positive"])}, target="label")


def labelled(path: Path, classes: list[str]) -> "pd.DataFrame":
    """The lines "0 a sentence" of a file as rows of "text" and "label"; the number stands for a class."""
    import pandas as pd

    # Not splitlines: some of the bytes beyond ASCII are ends of lines to it.
    pairs = [line.partition(" ") for line in content(path).decode("latin-1").split("\n") if line.strip()]
    return pd.DataFrame([(text.strip(), classes[int(number)]) for number, _, text in pairs], columns=["text", "label"])
