"""The separating line of a perceptron, or of several, as it moves over two features.

Letters: N examples, D = 2 features, K units.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from deepclassics.report.style import PALETTE, drawable, grid, marks, sheet, thin

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 40  # lines of one unit: more are a blot


def line(
    points: Tensor,
    label: Tensor,
    snapshots: Sequence[tuple[int, dict[str, Tensor]]],
    classes: Sequence[str],
    names: Sequence[str] = ("feature 1", "feature 2"),
) -> "Figure":  # (N, 2), (N,) int64
    """Where weight · x + bias = 0 for each unit, in each snapshot {"weight": (K, 2), "bias": (K,)}.

    The first lines are faint, the last one is thick. A unit that is still 0 everywhere has no line. With one unit the
    line is black, with one a class it has the colour of its class.
    """
    figure = sheet(5.6, 4.6)
    axes = figure.subplots()
    words = drawable(classes)
    for k, (colour, marker) in enumerate(marks(len(classes))):
        own = points[label == k].numpy()
        axes.plot(own[:, 0], own[:, 1], marker, color=colour, markersize=5, markeredgecolor="white",
                  markeredgewidth=0.5, linestyle="", label=words[k])  # fmt: skip
    low, high = points.min(0).values, points.max(0).values
    room = 0.12 * (high - low).clamp(min=1e-6)
    (left, bottom), (right, top) = (low - room).tolist(), (high + room).tolist()

    kept = [snapshots[k] for k in sorted({*thin(len(snapshots), MOST), len(snapshots) - 1})] if snapshots else []
    for place, (_, tensors) in enumerate(kept):
        last = place == len(kept) - 1
        age = (place + 1) / len(kept)
        for k, (weight, bias) in enumerate(zip(tensors["weight"].tolist(), tensors["bias"].tolist(), strict=True)):
            ends = _ends(weight, bias, left, right, bottom, top)
            if ends is None:
                continue
            colour = "black" if len(tensors["bias"]) == 1 else PALETTE[k % len(PALETTE)]
            axes.plot(*zip(*ends, strict=True), color=colour, linewidth=2.4 if last else 0.8,
                      alpha=1.0 if last else 0.08 + 0.5 * age, zorder=3 if last else 1)  # fmt: skip
    if kept:
        axes.plot([], [], color="black", linewidth=2.4, label=f"after update {kept[-1][0]:,}")
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_xlabel(drawable(names, 40)[0])
    axes.set_ylabel(drawable(names, 40)[1])
    figure.legend(loc="outside upper left", ncols=4)
    grid(axes)
    return figure


def _ends(
    weight: Sequence[float], bias: float, left: float, right: float, bottom: float, top: float
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Two points of the line outside the frame, or none where both weights are 0."""
    a, b = weight
    if a == 0 and b == 0:
        return None
    # Along the axis in which the line is longer on the picture, so that no division is by a number near 0.
    if abs(b) * (top - bottom) >= abs(a) * (right - left):
        return (left, -(a * left + bias) / b), (right, -(a * right + bias) / b)
    return (-(b * bottom + bias) / a, bottom), (-(b * top + bias) / a, top)
