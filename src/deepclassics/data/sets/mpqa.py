"""MPQA: 10,606 phrases of news articles that speak well or ill of something.

Wiebe, Wilson, Cardie 2005, in the preparation of Kim 2014: lower case, blanks around every mark. There is no test
part: results are told of ten folds (--fold).

Not verified here: the file itself was never read; its size, sums and counts were taken over.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File
from deepclassics.data.sets.mr import ADDRESS, labelled

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "none stated; for research (cite Wiebe et al. 2005)"
COUNTS = {"all": 10_606, "classes": 2, "columns": 2, "missing": 0}
FILES = (
    File(
        "sentence_classification/mpqa.all.gz",
        78_465,
        "94409beb8e291c0eb4191f02ecd69c913765a504bbb9a8dcaee5373debd34385",
        urls=(f"{ADDRESS}mpqa.all",),
        content_sha256=("661de8a069da4b9845fc8b9ae59cc97ffe554f3018fa6bf0e640e3d626a4eaf7",),
    ),
)


def read(paths: dict[str, Path]) -> "Table":
    from deepclassics.data.kinds.table import Table

    return Table({"all": labelled(paths[FILES[0].path], ["negative", "positive"])}, target="label")
