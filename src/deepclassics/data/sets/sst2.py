"""SST-2: 9,613 sentences of film reviews that liked or disliked the film.

The Stanford Sentiment Treebank, Socher et al. 2013, without what is neutral. To learn from there are, as in Kim 2014,
the sentences and all their phrases, each once (77,616); to choose by and to judge with, the sentences alone (872 and
1,821).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.sets import sst1

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = sst1.LICENCE
COUNTS = {"train": 77_616, "valid": 872, "test": 1_821, "classes": 2, "columns": 2, "missing": 0}
FILES = sst1.FILES
OPINIONS = ["negative", "negative", "", "positive", "positive"]


def read(paths: dict[str, Path]) -> "Table":
    return sst1.trees(paths, OPINIONS.__getitem__)
