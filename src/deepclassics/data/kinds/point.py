"""Answers that are points of a surface: where a descent leads.

Letters: N examples, D variables.
"""

import math
from pathlib import Path
from typing import Any

from deepclassics.data.streams import Batch


def show(answer: Batch, names: list[str], spec: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Rows of "name", the heights "from" and "to", and the point "at" which it ends; None for what is no number.

    `answer` has "from" and "to", (N,), and "point", (N, D) in the order of the spec's "names".
    """
    rows = []
    for place, name in enumerate(names):
        heights = {end: float(answer[end][place]) for end in ("from", "to")}
        rows.append(
            {
                "name": name,
                **{end: height if math.isfinite(height) else None for end, height in heights.items()},
                "at": dict(zip(spec["names"], answer["point"][place].tolist(), strict=True)),
            }
        )
    return rows
