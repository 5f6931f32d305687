"""Subj: 10,000 sentences that judge a film, or tell its story.

Pang, Lee 2004, "subjectivity" 1.0, in the preparation of Kim 2014: a sentence a line, lower case, blanks around every
mark. Sentences of reviews count as subjective, those of plot summaries as objective. There is no test part: results
are told of ten folds (--fold).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File
from deepclassics.data.sets.mr import ADDRESS, labelled

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "none stated; for research (cite Pang and Lee 2004)"
COUNTS = {"all": 10_000, "classes": 2, "columns": 2, "missing": 0}
FILES = (
    File(
        "sentence_classification/subj.all.gz",
        517_252,
        "5d9ac695a3036a1534674c4bfa5e7e72891e6db3edfdb029ccaaccfe72c17668",
        urls=(f"{ADDRESS}subj.all",),
        content_sha256=("f3ffbe2aa8e4f3ba3e63e46dce51613854edbca122fb3aa758b9bce047ded23c",),
    ),
)


def read(paths: dict[str, Path]) -> "Table":
    from deepclassics.data.kinds.table import Table

    return Table({"all": labelled(paths[FILES[0].path], ["subjective", "objective"])}, target="label")
