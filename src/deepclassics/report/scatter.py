"""The numbers a regression gives against the right ones.

Letters: N examples.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.metrics import r_squared
from deepclassics.progress import many
from deepclassics.recipe import Picture
from deepclassics.report.style import BLUE, FAINT, drawable, grid, sheet, thin

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

MOST = 5000  # points shown; the figures in the title are of all


def picture(evidence: "Evidence", split: str = "test") -> Picture:
    """Predicted against true, on a split."""

    def draw() -> "Figure":
        given, right = evidence.answers(split)
        return scatter(given["number"], right["number"], evidence.spec["target"]["name"])

    return Picture(
        "Predicted against true",
        f"A point is one of the {split} examples; on the line it is exactly right. R² is the share of the variance "
        "explained; RMSE is the root of the mean squared error, in the units of the target.",
        draw,
    )


def scatter(given: Tensor, number: Tensor, name: str) -> "Figure":  # (N,), (N,)
    """Points around the line of right answers."""
    figure = sheet(4.8, 4.7)
    axes = figure.subplots()
    kept = torch.tensor(list(thin(len(number), MOST)))
    alpha = 0.7 if len(kept) < 500 else 0.25  # a few points may overlap and still be seen; thousands must be fainter
    axes.plot(number[kept].numpy(), given[kept].numpy(), "o", color=BLUE, markersize=4, alpha=alpha, markeredgewidth=0,
              linestyle="")  # fmt: skip
    low, high = float(torch.minimum(given.min(), number.min())), float(torch.maximum(given.max(), number.max()))
    room = 0.04 * (high - low) or 1.0
    ends = (low - room, high + room)
    axes.plot(ends, ends, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_xlim(ends)
    axes.set_ylim(ends)
    axes.set_aspect("equal")
    label = drawable([name], 40)[0]
    axes.set_xlabel(f"true {label}")
    axes.set_ylabel(f"predicted {label}")
    root = float((given.double() - number.double()).square().mean().sqrt())
    axes.set_title(f"R² {float(r_squared(given, number)):.3f}, RMSE {root:.4g}, {many(len(number), 'example')}")
    grid(axes)
    return figure
