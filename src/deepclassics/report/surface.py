"""What a model says everywhere, where it learns from two features.

Letters: N examples, G points of a grid, K classes.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from deepclassics.data.streams import Columns
from deepclassics.errors import UserError
from deepclassics.recipe import Picture
from deepclassics.report.style import drawable, many, marks, sheet, thin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

SIDE = 200  # points of the grid along each feature
MOST = 1500  # examples shown


def picture(evidence: "Evidence", split: str = "train") -> Picture:
    """The decision surface, or the regression surface, over the two features of a table."""

    def draw() -> "Figure":
        if evidence.spec.get("features") != 2:
            raise UserError("A surface needs data of exactly two features.")
        columns = getattr(evidence.splits(), split)
        names, target = evidence.spec["feature_names"], evidence.spec["target"]
        mean, std = _units(evidence.spec["columns"])
        points = columns["features"] * std + mean

        def ask(column: str) -> Callable[[Tensor], Tensor]:
            return lambda points: evidence.ask(Columns(features=(points - mean) / std))[column]

        if target["kind"] == "class":
            return decision_surface(ask("probability"), points, columns["label"], target["classes"], names)
        return number_surface(ask("number"), points, columns["number"], target["name"], names)

    return Picture(
        "What it says everywhere",
        f"The answer of the model over the two features, with the {split} examples.",
        draw,
    )


def decision_surface(
    answer: Callable[[Tensor], Tensor],
    points: Tensor,
    label: Tensor,
    classes: Sequence[str],
    names: Sequence[str] = ("feature 1", "feature 2"),
) -> "Figure":  # answer: (G, 2) -> (G, K) probabilities; (N, 2), (N,) int64
    """Classes as colours, deeper where the probability is higher, with lines between; wrong examples have a ring."""
    from matplotlib.colors import to_rgb

    figure = sheet(5.8, 4.7)
    axes = figure.subplots()
    grid, x, y = _grid(points)
    probability = answer(grid)
    best, given = probability.max(1)
    looks = marks(len(classes))
    colours = torch.tensor([to_rgb(colour) for colour, _ in looks])
    # From nearly white where no class is ahead to half of the full colour where one is certain.
    depth = 0.10 + 0.45 * ((best - 1 / len(classes)) / (1 - 1 / len(classes))).clamp(0, 1)
    shade = 1 - depth[:, None] * (1 - colours[given])
    extent = (float(x[0]), float(x[-1]), float(y[0]), float(y[-1]))
    axes.imshow(
        shade.view(SIDE, SIDE, 3).numpy(), origin="lower", extent=extent, aspect="auto", interpolation="bilinear"
    )
    for k in given.unique()[1:].tolist():
        # How far class k is ahead of the best other one: 0 on its borders, which so are smooth between grid points.
        others = torch.cat([probability[:, :k], probability[:, k + 1 :]], 1).max(1).values
        ahead = (probability[:, k] - others).view(SIDE, SIDE)
        axes.contour(x.numpy(), y.numpy(), ahead.numpy(), levels=[0.0], colors="#333333", linewidths=0.9)

    kept = torch.tensor(list(thin(len(points), MOST)))
    wrong = answer(points[kept]).argmax(1) != label[kept]
    for k, (colour, marker) in enumerate(looks):
        own = points[kept][label[kept] == k].numpy()
        axes.plot(own[:, 0], own[:, 1], marker, color=colour, markersize=5, markeredgecolor="white",
                  markeredgewidth=0.6, linestyle="", label=drawable(classes)[k])  # fmt: skip
    if bool(wrong.any()):
        missed = points[kept][wrong].numpy()
        axes.plot(missed[:, 0], missed[:, 1], "o", fillstyle="none", color="black", markersize=9, markeredgewidth=0.9,
                  linestyle="", label=f"wrong ({int(wrong.sum()):,})")  # fmt: skip
    _frame(axes, names, len(kept), len(points))
    figure.legend(loc="outside right upper")
    return figure


def number_surface(
    answer: Callable[[Tensor], Tensor],
    points: Tensor,
    number: Tensor,
    name: str,
    names: Sequence[str] = ("feature 1", "feature 2"),
) -> "Figure":  # answer: (G, 2) -> (G,); (N, 2), (N,)
    """The number as a colour, the examples in the colours of their true numbers: where the two differ, it is wrong."""
    figure = sheet(5.8, 4.4)
    axes = figure.subplots()
    grid, across, up = _grid(points)
    board = answer(grid).view(SIDE, SIDE)
    low = float(torch.minimum(board.min(), number.min()))
    high = float(torch.maximum(board.max(), number.max()))
    high = high if high > low else low + 1
    extent = (float(across[0]), float(across[-1]), float(up[0]), float(up[-1]))
    image = axes.imshow(
        board.numpy(), origin="lower", extent=extent, aspect="auto", cmap="cividis", vmin=low, vmax=high
    )
    if float(board.max() - board.min()) > 1e-3 * (high - low):
        axes.contour(across.numpy(), up.numpy(), board.numpy(), levels=7, colors="white", linewidths=0.6, alpha=0.7)
    kept = torch.tensor(list(thin(len(points), MOST)))
    x, y = points[kept].T.numpy()
    axes.scatter(x, y, s=22, c=number[kept].numpy(), cmap="cividis", vmin=low, vmax=high, edgecolors="white",
                 linewidths=0.7)  # fmt: skip
    figure.colorbar(image, ax=axes, label=drawable([name], 40)[0])
    _frame(axes, names, len(kept), len(points))
    return figure


def _units(columns: Sequence[dict[str, Any]]) -> tuple[Tensor, Tensor]:  # -> (2,), (2,)
    """The mean and deviation that were taken from two columns of numbers: undone, they are in the user's units again.

    Features of any other kind stay as the model sees them.
    """
    plain = len(columns) == 2 and all(column["kind"] == "number" and not column["log"] for column in columns)
    if not plain:
        return torch.zeros(2), torch.ones(2)
    return torch.tensor([column["mean"] for column in columns]), torch.tensor([column["std"] for column in columns])


def _grid(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (N, 2) -> (G, 2), (SIDE,), (SIDE,)
    """A grid over the points and a little beyond."""
    low, high = points.min(0).values, points.max(0).values
    room = 0.08 * (high - low).clamp(min=1e-6)
    x, y = (torch.linspace(float(low[d] - room[d]), float(high[d] + room[d]), SIDE) for d in (0, 1))
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns.flatten(), rows.flatten()], 1), x, y


def _frame(axes: "Axes", names: Sequence[str], shown: int, all_: int) -> None:
    axes.set_xlabel(drawable(names, 40)[0])
    axes.set_ylabel(drawable(names, 40)[1])
    if shown < all_:
        axes.set_title(f"{many(shown, 'example')} of {all_:,}")
