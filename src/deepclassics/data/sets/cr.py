"""CR: 3,775 sentences of customers who praise or blame a product.

Hu, Liu 2004, in the preparation of Kim 2014: lower case, blanks around every mark. There is no test part: results are
told of ten folds (--fold).

Not verified here: the file itself was never read; its size, sums and counts were taken over.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File
from deepclassics.data.sets.mr import ADDRESS, labelled

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "none stated; for research (cite Hu and Liu 2004)"
COUNTS = {"all": 3_775, "classes": 2, "columns": 2, "missing": 0}
FILES = (
    File(
        "sentence_classification/custrev.all.gz",
        127_336,
        "e14a9176807cbdbb5f367a19505a0fb04923a11e6a9fac4fcb4993f6618d4b08",
        urls=(f"{ADDRESS}custrev.all",),
        content_sha256=("a3839a79bd3285177a07158c6104b49038a7a06ab2abe897734cde5d22e5e325",),
    ),
)


def read(paths: dict[str, Path]) -> "Table":
    from deepclassics.data.kinds.table import Table

    return Table({"all": labelled(paths[FILES[0].path], ["negative", "positive"])}, target="label")
