"""Answers that are numbers.

Letters: N examples.
"""

from pathlib import Path
from typing import Any

from deepclassics.data.streams import Batch


def show(answer: Batch, names: list[str], spec: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Rows of "name" and "value", in the unit of the column learnt from. `answer` has "number", (N,) in that unit."""
    return [{"name": name, "value": value} for name, value in zip(names, answer["number"].tolist(), strict=True)]
