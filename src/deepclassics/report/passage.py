"""What a model wrote at each look of its training, as text to read: no figure says it better."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deepclassics.recipe import Picture

if TYPE_CHECKING:
    from deepclassics.report.evidence import Evidence


def picture(evidence: "Evidence", caption: str) -> Picture:
    """What was written at each look: the snapshots' "text", numbers of characters or of words."""

    def draw() -> str:
        from deepclassics.data.kinds.text import decode

        written = [(step, decode(tensors["text"], evidence.spec)) for step, tensors in evidence.snapshots]
        return passage(written, evidence.metrics)

    return Picture("What it wrote while it learnt", caption, draw)


def passage(
    samples: Sequence[tuple[int, str]], metrics: Sequence[dict[str, Any]] = (), score: str = "valid/loss"
) -> str:
    """Samples as (updates done, text), each under a line that tells the update and, where `metrics` has it, the score.

    For the `draw` of a picture. At most eight are shown, evenly spread on a logarithmic scale: a net learns more
    between updates 100 and 200 than between 1,100 and 1,200.
    """
    known = {row["step"]: row[score] for row in metrics if score in row}
    blocks = []
    for step, text in _chosen(samples):
        told = f", {score} {known[step]:.3f}" if step in known else ""
        blocks.append(f"── update {step:,}{told} ──\n{text.strip()}")
    return "\n\n".join(blocks)


def _chosen(samples: Sequence[tuple[int, str]], most: int = 8) -> list[tuple[int, str]]:
    if len(samples) <= most:
        return list(samples)
    ratio = (len(samples) - 1) ** (1 / (most - 2))
    places = {0, len(samples) - 1, *(round(ratio**power) for power in range(most - 2))}
    return [samples[place] for place in sorted(places)]
