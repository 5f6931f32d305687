"""IMDB: 50,000 reviews of films that liked or disliked them.

Maas et al. 2011, the labelled part of the Large Movie Review Dataset in the layout of its authors, packed anew; the
standard split of 25,000 and 25,000. Negative reviews gave at most 4 points of 10, positive ones at least 7.
"""

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "none stated; reviews belong to their writers (cite Maas et al. 2011)"
COUNTS = {"train": 25_000, "test": 25_000, "classes": 2, "columns": 2, "missing": 0}
FILES = (
    File(
        "imdb/aclImdb_labelled.tar.xz",
        18_526_016,
        "7b859fe003e31a782d689b3dcf69b2c22d7e439952151ed80ad770d356c3f027",
        urls=("https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",),
        other_sha256=("c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",),  # with the unlabelled part
    ),
)
FOLDERS = {"neg": "negative", "pos": "positive"}


def read(paths: dict[str, Path]) -> "Table":
    import pandas as pd

    from deepclassics.data.kinds.table import Table

    rows: dict[str, list[tuple[str, str, str]]] = {"train": [], "test": []}
    with tarfile.open(paths["imdb/aclImdb_labelled.tar.xz"], "r:*") as archive:
        for member in archive:
            place = member.name.split("/")  # aclImdb/train/pos/0_9.txt
            content = archive.extractfile(member) if len(place) == 4 and place[2] in FOLDERS else None
            if content is not None:  # a file, not a folder
                text = content.read().decode("utf-8").replace("<br />", "\n")
                rows[place[1]].append((FOLDERS[place[2]], place[3], text))
    parts = {part: pd.DataFrame(sorted(found), columns=["opinion", "file", "review"]) for part, found in rows.items()}
    return Table({part: frame[["review", "opinion"]] for part, frame in parts.items()}, target="opinion")
