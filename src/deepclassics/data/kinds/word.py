"""Words as they were typed, for systems that only need something to begin from or read it themselves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepclassics.data.streams import Batch


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """{"text": [the words]}."""
    return list(inputs), {"text": list(inputs)}


def show(answer: Batch, names: list[str], spec: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Rows of "name" and what is said of it: `answer` has "word", a row of {column: value} for each."""
    return [{"name": name, **said} for name, said in zip(names, answer["word"], strict=True)]
