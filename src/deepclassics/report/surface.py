"""What a model says everywhere, where it learns from two features.

Letters: N examples, G points of a grid, K classes.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from deepclassics.data.streams import Columns
from deepclassics.errors import UserError
from deepclassics.learn import untraced
from deepclassics.progress import figure as worded
from deepclassics.progress import many
from deepclassics.recipe import Picture
from deepclassics.report.style import drawable, marks, percent, sheet, thin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

SIDE = 200  # points of the grid along each feature
MOST = 1500  # examples shown
PANELS = 6  # moments of a run shown side by side


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


def learning(evidence: "Evidence") -> Picture:
    """The surface at a few moments of the run, from snapshots that are the model's weights."""

    def draw() -> "Figure":
        snapshots = evidence.snapshots
        if not snapshots:
            raise UserError("The run folder has no snapshots to show it by.")
        columns = evidence.splits().train
        mean, std = _units(evidence.spec["columns"])
        points, target = columns["features"] * std + mean, evidence.spec["target"]
        kept = torch.tensor(list(thin(len(points), MOST // PANELS)))
        chosen = [snapshots[place] for place in moments(len(snapshots), PANELS)]
        grid, x, y = _grid(points)
        extent = (float(x[0]), float(x[-1]), float(y[0]), float(y[-1]))
        figure = sheet(7.2, 2.5 * -(-len(chosen) // 3) + 0.2)
        panels = figure.subplots(-(-len(chosen) // 3), 3, sharex=True, sharey=True, squeeze=False).flatten()
        for axes in panels[len(chosen) :]:
            axes.set_axis_off()
        model = evidence.recipe.model(evidence.spec)
        for axes, (step, weights) in zip(panels, chosen, strict=False):
            model.load_state_dict(weights)
            with untraced(model):
                said, right = (
                    evidence.recipe.answer(model, {"features": features}, evidence.recipe.options())
                    for features in ((grid - mean) / std, columns["features"])
                )
            if target["kind"] == "class":
                looks = marks(len(target["classes"]))
                _classes(axes, said["probability"], x, y, looks)
                for k, (colour, _) in enumerate(looks):
                    own = points[kept][columns["label"][kept] == k].numpy()
                    axes.plot(own[:, 0], own[:, 1], "o", color=colour, markersize=2, linestyle="")
                wrong = float((right["label"] != columns["label"]).double().mean())
                axes.set_title(f"update {step:,}: {percent(wrong)} wrong")
            else:
                number = columns["number"]
                low, high = float(number.min()), float(number.max())
                board = said["number"].view(SIDE, SIDE).numpy()
                axes.imshow(board, origin="lower", extent=extent, aspect="auto", cmap="cividis", vmin=low, vmax=high)
                seen, height = points[kept].numpy(), number[kept].numpy()
                axes.scatter(seen[:, 0], seen[:, 1], s=9, c=height, cmap="cividis", vmin=low, vmax=high,
                             edgecolors="white", linewidths=0.4)  # fmt: skip
                off = float((right["number"] - number).square().mean().sqrt())
                axes.set_title(f"update {step:,}: {worded(off)} off")
        figure.supxlabel(drawable(evidence.spec["feature_names"], 40)[0], fontsize=9)
        figure.supylabel(drawable(evidence.spec["feature_names"], 40)[1], fontsize=9)
        return figure

    return Picture(
        "The surface as it is learnt",
        "The same at moments of the run that lie ever further apart, from the first weights to the last; the figures "
        "are of the training examples (of numbers: the root of the mean squared error).",
        draw,
    )


def moments(count: int, most: int) -> list[int]:
    """At most `most` of the places 0 ... count - 1: the first, the last, and between them steps of equal ratio."""
    last = count - 1
    return sorted({0, *[round(last ** (k / (most - 1))) for k in range(1, most)]} if last else {0})


def decision_surface(
    answer: Callable[[Tensor], Tensor],
    points: Tensor,
    label: Tensor,
    classes: Sequence[str],
    names: Sequence[str] = ("feature 1", "feature 2"),
) -> "Figure":  # answer: (G, 2) -> (G, K) probabilities; (N, 2), (N,) int64
    """Classes as colours, deeper where the probability is higher, with lines between; wrong examples have a ring."""
    figure = sheet(5.8, 4.7)
    axes = figure.subplots()
    grid, x, y = _grid(points)
    looks = marks(len(classes))
    _classes(axes, answer(grid), x, y, looks)
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


def _classes(
    axes: "Axes", probability: Tensor, x: Tensor, y: Tensor, looks: Sequence[tuple[str, str]]
) -> None:  # (G, K), (SIDE,), (SIDE,)
    """The colour of the likeliest class everywhere, and lines where two are equally likely."""
    from matplotlib.colors import to_rgb

    best, given = probability.max(1)
    colours = torch.tensor([to_rgb(colour) for colour, _ in looks])
    # From nearly white where no class is ahead to half of the full colour where one is certain.
    depth = 0.10 + 0.45 * ((best - 1 / len(looks)) / (1 - 1 / len(looks))).clamp(0, 1)
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
