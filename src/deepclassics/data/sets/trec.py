"""TREC: 5,952 questions by what they ask for, such as a person or a number.

Li, Roth 2002, their six coarse classes, in the preparation of Kim 2014: blanks around every mark. The standard split.

Not verified here: the files themselves were never read; their sizes, sums and counts were taken over.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File
from deepclassics.data.sets.mr import ADDRESS, labelled

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "none stated; for research (cite Li and Roth 2002)"
COUNTS = {"train": 5_452, "test": 500, "classes": 6, "columns": 2, "missing": 0}
CLASSES = ["description", "entity", "abbreviation", "human", "location", "number"]
FILES = (
    File(
        "sentence_classification/TREC.train.all.gz",
        109_470,
        "cce2c84819f4d0a3e1491bcd9e50513e34e06d8c3fcb08f6ca9925bff4dcd711",
        urls=(f"{ADDRESS}TREC.train.all",),
        content_sha256=("c8183fd8c2a5cc4a9a1c56548d7c6410a8b71ed7843df9ef1f0a05cd7cf2fb3e",),
    ),
    File(
        "sentence_classification/TREC.test.all.gz",
        7_273,
        "cd57b53bc4cc1d29f0be85299e604b7866422823231c3b6330c713bff5d6921c",
        urls=(f"{ADDRESS}TREC.test.all",),
        content_sha256=("92a6a3cede5678b447ef5f1d7ec474134fcda211e6590e6fa627b4a2c68e4566",),
    ),
)


def read(paths: dict[str, Path]) -> "Table":
    from deepclassics.data.kinds.table import Table

    found = [labelled(paths[file.path], CLASSES) for file in FILES]
    return Table({"train": found[0], "test": found[1]}, target="label")
