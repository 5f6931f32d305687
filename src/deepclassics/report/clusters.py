"""Clusters: their centres, the examples around them, and how the error of three methods varies.

Letters: N examples, D features, K clusters, R orders of the examples, M looks.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from deepclassics.data.streams import inputs
from deepclassics.recipe import Picture
from deepclassics.report.style import PALETTE, drawable, grid, marks, sheet, thin
from deepclassics.report.tiles import tiles
from deepclassics.report.weights import named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

MOST = 1500  # examples shown
RACED = 600  # examples that the methods are compared on
ORDERS, PASSES = 8, 3
CALLED = {"lloyd": "all examples", "minibatch": "a few at a time", "macqueen": "one at a time"}


def centres(evidence: "Evidence") -> Picture:
    """The centres as pictures, or as a board of features."""

    def draw() -> "Figure":
        model, spec = evidence.model, evidence.spec
        found: Tensor = model.centres[model.chosen]  # type: ignore[index]
        if spec["kind"] == "image":
            return tiles(found.view(len(found), *spec["shape"]))
        return named(found, spec["feature_names"], [str(number) for number in range(1, len(found) + 1)], "value")

    told = "as pictures" if evidence.spec["kind"] == "image" else "in deviations of each feature from its mean"
    return Picture("Centres", f"The mean of each cluster, {told}.", draw)


def plane(evidence: "Evidence") -> Picture:
    """The training examples by cluster, on the plane on which they differ most."""

    def draw() -> "Figure":
        answers, columns = evidence.answers("train")
        x = inputs(columns.take(slice(None))).float().flatten(1)
        model = evidence.model
        found: Tensor = model.centres[model.chosen]  # type: ignore[index]
        return scatter(x, answers["label"], found, evidence.spec)

    return Picture(
        "Clusters",
        "Training examples by cluster, and the centres, seen on the plane on which the examples differ most.",
        draw,
    )


def scatter(x: Tensor, label: Tensor, found: Tensor, spec: dict[str, Any]) -> "Figure":  # (N, D), (N,), (K, D)
    mean = x.mean(0)
    axes_of = torch.eye(2) if x.shape[1] == 2 else torch.linalg.svd(x[:5000] - mean, full_matrices=False).Vh[:2]
    if len(axes_of) < 2:
        axes_of = torch.cat([axes_of, torch.zeros(1, x.shape[1])])
    points, middles = (x - mean) @ axes_of.T, (found - mean) @ axes_of.T
    figure = sheet(5.8, 4.6)
    axes = figure.subplots()
    kept = torch.tensor(list(thin(len(points), MOST)))
    for number, (colour, marker) in enumerate(marks(len(found))):
        own = points[kept][label[kept] == number]
        axes.plot(*own.T.numpy(), marker, color=colour, markersize=3.5, alpha=0.6, markeredgewidth=0, linestyle="")
        ring = {"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": colour, "linewidth": 1.6}
        across, up = middles[number].tolist()
        axes.text(across, up, str(number + 1), ha="center", va="center", fontsize=9, weight="bold", bbox=ring)
    names = drawable(spec["feature_names"], 40) if x.shape[1] == 2 else ["first principal component", "second"]
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    grid(axes)
    return figure


def variance(evidence: "Evidence", race: Callable[..., dict[Any, Any]]) -> Picture:
    """The error of the three methods from the same first centres, with its deviation over orders of the examples.

    `race(x, clusters, orders, passes)` gives for every method `seen`, `own` and `all`, as that of K-means does.
    """
    told = (
        f"K-means in three ways on {RACED:,} of the training examples at most, all from the same first centres, in "
        f"{ORDERS} orders of the examples. Lines are means, bars one standard deviation over the orders. On the left "
        "the error of just the examples that an update sees, on the right that of all examples at the same time."
    )

    def draw() -> "Figure":
        train = evidence.splits().train
        batch = train.take(torch.tensor(list(thin(len(train), RACED))))
        x = (batch["features"] if "features" in batch else batch["image"]).flatten(1)
        model: Any = evidence.model
        return bars(race(x, min(model.centres.shape[1], len(x)), ORDERS, PASSES))

    return Picture("How the error varies", told, draw)


def bars(raced: dict[Any, Any]) -> "Figure":  # method -> seen (M), own (R, M), all (R, M)
    figure = sheet(7.6, 3.6)
    panels = figure.subplots(1, 2)
    for axes, which, title in zip(panels, ("own", "all"), ("examples of an update", "all examples"), strict=True):
        for colour, (method, course) in zip(PALETTE, reversed(raced.items()), strict=False):
            inertia = getattr(course, which)
            axes.errorbar(course.seen, inertia.mean(0).tolist(), inertia.std(0).tolist(), color=colour, linewidth=1.3,
                          elinewidth=0.9, capsize=2, marker="o", markersize=3,
                          label=CALLED[method] if which == "own" else None)  # fmt: skip
        axes.set_xlabel("examples seen")
        axes.set_ylabel(f"inertia of {title}")
        grid(axes)
    figure.legend(loc="outside upper left", ncols=3)
    return figure
