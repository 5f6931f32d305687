"""Adult (census income): who earned over $50,000 in 1994, 48,842 people.

Kohavi 1996, from the US census of 1994 (UCI). The standard split of 32,561 and 16,281. Unknown values are missing.
`fnlwgt` is the census's weight of a person, not a property of them.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File, content

if TYPE_CHECKING:
    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "CC BY 4.0 (UCI)"
COUNTS = {"train": 32_561, "test": 16_281, "classes": 2, "columns": 15, "missing": 6_465}
COLUMNS = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
]
FILES = (
    File(
        "tabular/adult-train.csv.gz",
        408_969,
        "c7a2b4716a97f930123e0baf879188d701e798172631a654fc703d4b082907f3",
        urls=("https://archive.ics.uci.edu/ml/machine-learning-databases/adult/adult.data",),
        content_sha256=("5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",),
    ),
    File(
        "tabular/adult-test.csv.gz",
        205_233,
        "41743e91fe4d25fd353ea754bfdb850444d050bd14aaee06a5be952b6dbfa3ec",
        urls=("https://archive.ics.uci.edu/ml/machine-learning-databases/adult/adult.test",),
        content_sha256=(
            "72567b94f5c1a6f8501377dd80f93892c3848ff071cf91ba47e00b0785a28074",
            "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",  # UCI's, with a remark as first line
        ),
    ),
)


def read(paths: dict[str, Path]) -> "Table":
    import pandas as pd

    from deepclassics.data.kinds.table import Table

    parts = {}
    for part in ("train", "test"):
        parts[part] = pd.read_csv(
            io.BytesIO(content(paths[f"tabular/adult-{part}.csv.gz"])),
            names=COLUMNS,
            skipinitialspace=True,
            na_values="?",
            comment="|",
        )
        parts[part]["income"] = parts[part]["income"].str.rstrip(".")  # only the test file ends them with a full stop
    return Table(parts, target="income")
