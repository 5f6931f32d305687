"""How much of each class is found, and how much of what is called so is right.

Letters: N examples, K classes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.metrics import confusion_matrix, wilson
from deepclassics.progress import many
from deepclassics.recipe import Picture
from deepclassics.report.style import BLUE, FAINT, INK, ORANGE, drawable, percent, sheet

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

MOST = 200  # classes on one picture


def picture(evidence: "Evidence", split: str = "test") -> Picture:
    """Recall and precision of the classes on a split."""

    def draw() -> "Figure":
        classes = evidence.spec["target"]["classes"]
        given, right = evidence.answers(split)
        return recall(confusion_matrix(given["label"], right["label"], len(classes)), classes)

    count = len(evidence.spec["target"]["classes"])
    some = f", the {MOST} worst of {count:,}" if count > MOST else ""
    return Picture(
        "Recall and precision by class",
        f"The worst class first{some}. Bars: recall, the share of the {split} examples of a class that are given it. "
        "Diamonds: precision, the share that is right of the examples given the class. Lines: the 95 % intervals "
        "(Wilson 1927). Beside them the shares and the counts.",
        draw,
    )


def recall(counts: Tensor, classes: Sequence[str]) -> "Figure":  # (K, K) int64, rows the right class
    """A bar a class, from the lowest recall to the highest; beyond `MOST` classes the worst ones."""
    of, called, hits = counts.sum(1), counts.sum(0), counts.diag()
    found, precise = hits / of.clamp(min=1), hits / called.clamp(min=1)
    known = torch.nonzero(of).flatten()  # a class without examples has no recall
    order = known[found[known].argsort(stable=True)][:MOST]

    size = len(order)
    height = 0.23 if size <= 60 else 0.135  # inches of a row
    letters = 8.5 if size <= 60 else 6.0
    words = drawable(classes, 24)
    figure = sheet(8.4, 1.1 + height * max(size, 2))
    axes = figure.subplots()
    rows = torch.arange(size).numpy()
    share, reach = _interval(hits[order], of[order])
    axes.barh(rows, share, height=0.76, color=BLUE, alpha=0.85, label="recall")
    axes.errorbar(share, rows - 0.14, xerr=reach, fmt="none", ecolor=INK, elinewidth=0.9)
    given = torch.nonzero(called[order]).flatten()
    right, reach = _interval(hits[order][given], called[order][given])
    axes.errorbar(right, given.numpy() + 0.18, xerr=reach, fmt="D", color=ORANGE, ecolor=ORANGE, elinewidth=0.9,
                  markeredgecolor="white", markeredgewidth=0.6, markersize=5.5 if size <= 60 else 4,
                  label="precision")  # fmt: skip
    axes.set_yticks(rows, [words[k] for k in order.tolist()], fontsize=letters)
    for row, k in enumerate(order.tolist()):
        for place, part, whole in ((1.02, found[k], of[k]), (1.3, precise[k], called[k])):
            told = f"{percent(float(part))}  {int(hits[k]):,} of {int(whole):,}" if whole else "none given"
            axes.text(place, row, told, va="center", fontsize=letters, color=INK)
    for place, head in ((1.02, "recall"), (1.3, "precision")):
        axes.annotate(head, (place, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
                      fontsize=8.5, color=INK, fontweight="bold")  # fmt: skip
    axes.set_xlim(0, 1.56)  # the counts stand beside the bars
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.spines["bottom"].set_bounds(0, 1)
    axes.set_ylim(max(size, 2) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    axes.grid(axis="x")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2, handletextpad=0.5)
    mean = percent(float(found[known].mean())) if len(known) else "none"
    worst = f"; the {MOST} worst of them" if len(known) > MOST else ""
    told = f"mean recall {mean}, over {many(len(known), 'class', 'classes')}{worst}"
    figure.suptitle(told, x=0.01, ha="left", fontsize=9.5, fontweight="bold")
    axes.spines["left"].set_color(FAINT)
    return figure


def _interval(hits: Tensor, count: Tensor) -> tuple["np.ndarray", "np.ndarray"]:  # (K,), (K,) -> (K,), (2, K)
    """Shares, and how far their 95 % intervals reach below and above them."""
    share = hits / count
    low, high = wilson(share, count)
    return share.numpy(), torch.stack([share - low, high - share]).numpy()
