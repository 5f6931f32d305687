"""Words as they were typed, for systems that only need something to begin from."""

from collections.abc import Sequence
from typing import Any

from deepclassics.data.streams import Batch


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """{"text": [the words]}."""
    return list(inputs), {"text": list(inputs)}
