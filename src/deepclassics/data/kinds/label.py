"""Answers that are classes.

Letters: N examples, K classes.
"""

from heapq import nlargest
from pathlib import Path
from typing import Any

from deepclassics.data.streams import Batch


def show(answer: Batch, names: list[str], spec: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Rows of "name" and "label"; where there are probabilities, its "probability", the two "next" candidates, and the
    "probabilities" of all classes.

    `answer` has "label", (N,) of int64, and perhaps "probability", (N, K).
    """
    classes = spec["target"]["classes"]
    rows: list[dict[str, Any]] = [
        {"name": name, "label": classes[label]} for name, label in zip(names, answer["label"].tolist(), strict=True)
    ]
    if "probability" in answer:
        for row, label, shares in zip(rows, answer["label"].tolist(), answer["probability"].tolist(), strict=True):
            others = nlargest(3, range(len(classes)), key=shares.__getitem__)
            row["probability"] = shares[label]
            row["next"] = {classes[other]: shares[other] for other in [each for each in others if each != label][:2]}
            row["probabilities"] = dict(zip(classes, shares, strict=True))
    return rows
