"""Answers that are actions: what to do in a state, and what the state is worth.

Letters: N states.
"""

from pathlib import Path
from typing import Any

from deepclassics.data.streams import Batch


def show(answer: Batch, names: list[str], spec: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Rows of "name", the "action" by its name, None in a terminal state, and the "value" of the state.

    `answer` has "action", (N,) of int64, and "value", (N,).
    """
    ends = {spec["states"][state] for state in spec["terminal"]}
    return [
        {"name": name, "action": None if name in ends else spec["actions"][action], "value": value}
        for name, action, value in zip(names, answer["action"].tolist(), answer["value"].tolist(), strict=True)
    ]
