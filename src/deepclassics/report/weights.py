"""The weights of one layer of sums: which inputs speak for what, and the way that descent took to them.

Letters: D inputs, K outputs, S snapshots, N examples.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.errors import UserError
from deepclassics.progress import many
from deepclassics.recipe import Picture
from deepclassics.report.style import BLUE, INK, VERMILLION, drawable, grid, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

MOST = 24  # inputs shown, those of the largest weights
SIDE = 60  # points of the grid along each direction


def picture(evidence: "Evidence") -> Picture:
    """The weights of `evidence.model`: a picture each where the inputs are pixels, else those of the named inputs."""
    spec, target = evidence.spec, evidence.spec["target"]

    def draw() -> "Figure":
        weight = evidence.model.weight
        assert isinstance(weight, Tensor)
        if spec["kind"] == "image":
            return pixels(weight.detach(), spec["shape"], target["classes"])
        outputs = [target["name"]] if target["kind"] == "number" else target["classes"]
        return named(weight.detach(), names(spec), outputs)

    if spec["kind"] == "image":
        told = "For every class its weights where the pixels are: orange speaks for the class, blue against it."
    elif target["kind"] == "number":
        told = "The inputs of the largest weights, in deviations of the target for a deviation of the input."
    else:
        told = "The inputs of the largest weights: what speaks for a class, and what against it."
    return Picture("Weights", told, draw)


def names(spec: dict) -> list[str]:
    """The names of all inputs of a table, words last."""
    bags = [column for column in spec["columns"] if column["kind"] == "bag"]
    words = [f"{column['name']}: {word}" if len(bags) > 1 else word for column in bags for word in column["values"]]
    return [*spec["feature_names"], *words]


def named(weight: Tensor, inputs: list[str], outputs: list[str], what: str = "weight") -> "Figure":  # (K, D)
    """Bars for one row of weights, a board for several; the inputs of the largest weights first."""
    chosen = weight.abs().amax(0).topk(min(MOST, weight.shape[1])).indices
    if len(weight) == 1:
        chosen = chosen[weight[0, chosen].argsort()]
        values = weight[0, chosen].tolist()
        figure = sheet(6.2, 0.8 + 0.22 * len(values))
        axes = figure.subplots()
        axes.barh(range(len(values)), values, color=[VERMILLION if value > 0 else BLUE for value in values])
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlabel(f"for {drawable(outputs)[-1]}" if len(outputs) == 1 else "   ".join(
            [f"← {drawable(outputs)[0]}", f"{drawable(outputs)[1]} →"]))  # fmt: skip
        axes.set_yticks(range(len(values)), drawable([inputs[k] for k in chosen]))
        axes.margins(y=0.01)
        axes.set_axisbelow(True)
        axes.grid(True, axis="x")
        return figure
    board = weight[:, chosen].T
    figure = sheet(2.2 + 0.5 * len(weight), 1.2 + 0.22 * len(board))
    axes = figure.subplots()
    most = float(board.abs().max()) or 1.0
    shown = axes.imshow(board.numpy(), cmap="PuOr_r", vmin=-most, vmax=most, aspect="auto")
    words = drawable(outputs, 12)
    crowded = max(map(len, words)) > 5
    axes.set_xticks(range(len(words)), words, rotation=45 if crowded else 0, ha="right" if crowded else "center")
    axes.set_yticks(range(len(board)), drawable([inputs[k] for k in chosen]))
    axes.spines[:].set_visible(False)
    figure.colorbar(shown, ax=axes, label=what, shrink=0.6)
    return figure


def pixels(weight: Tensor, shape: list[int], classes: list[str]) -> "Figure":  # (K, C H W)
    """A tile a row of weights, summed over the colours; of two classes the one row speaks for the second."""
    from deepclassics.report.tiles import tiles

    boards = weight.view(len(weight), *shape).sum(1, keepdim=True)
    heads = drawable(classes, 10) if len(weight) > 1 else drawable(classes[-1:], 24)
    if len(boards) > 10:
        return tiles(boards, scale="all")
    return tiles(boards[None], heads=heads, scale="all")


def path(evidence: "Evidence", l2: float) -> Picture:
    """The way of a linear regression's weights over the hills of the squared error that they descended."""

    def draw() -> "Figure":
        snapshots = [(step, torch.cat([each["weight"][0], each["bias"]])) for step, each in evidence.snapshots]
        if len(snapshots) < 3:
            raise UserError("A way needs three looks at the weights or more; this run has fewer. Give more --epochs.")
        train = evidence.splits().train
        if "words" in train.tensors:
            raise UserError("The way over the hills is drawn for features only, not for bags of words.")
        centre, spread = evidence.spec["target"]["mean"], evidence.spec["target"]["std"]
        x = torch.cat([train["features"], torch.ones(len(train), 1)], 1).double()
        y = ((train["number"] - centre) / spread).double()
        return hills(x, y, torch.stack([weights for _, weights in snapshots]).double(), l2)

    return Picture(
        "The way down",
        "Lines of equal loss on the plane through the weights' way that holds the most of it; the way seen from above. "
        "All examples at once go straight across the lines, single ones stagger.",
        draw,
    )


def hills(x: Tensor, y: Tensor, way: Tensor, l2: float) -> "Figure":  # (N, P), (N,), (S, P), the bias last
    """Contours of 1/(2N) |x w - y|² + l2/2 |w|² around the way of w, over its two principal directions."""
    ridge = l2 * torch.eye(x.shape[1], dtype=x.dtype)
    ridge[-1, -1] = 0
    hessian = x.T @ x / len(x) + ridge
    best = torch.linalg.lstsq(hessian, (x.T @ y / len(x))[:, None], driver="gelsd").solution[:, 0]
    plane = torch.linalg.svd(way - best, full_matrices=False).Vh[:2]
    # Directions, not signs, are what a decomposition finds: the way shall begin at the upper right.
    plane = plane * torch.where(((way[0] - best) @ plane.T) < 0, -1.0, 1.0)[:, None]
    seen = (way - best) @ plane.T
    low, high = seen.min(0).values.clamp(max=0), seen.max(0).values.clamp(min=0)
    room = 0.15 * (high - low).clamp(min=0.15 * float((high - low).max()) or 1e-3)
    (left, bottom), (right, top) = (low - room).tolist(), (high + room).tolist()
    across, up = torch.linspace(left, right, SIDE).double(), torch.linspace(bottom, top, SIDE).double()
    points = torch.stack(torch.meshgrid(across, up, indexing="xy"), -1)
    excess = torch.einsum("ijk,kl,ijl->ij", points, plane @ hessian @ plane.T, points) / 2

    figure = sheet(5.8, 4.4)
    axes = figure.subplots()
    levels = (torch.linspace(0.03, 1, 12).square() * float(excess.max())).tolist()
    axes.contour(across.numpy(), up.numpy(), excess.numpy(), levels=levels, colors="#b5b5b5", linewidths=0.8)
    axes.plot(*seen.T.numpy(), "-o", color=BLUE, markersize=2.5, linewidth=1.2, label=many(len(seen), "look"))
    axes.plot(*seen[0].numpy(), "s", color=INK, markersize=6, label="first weights")
    axes.plot(0, 0, "P", color=VERMILLION, markersize=9, label="optimum without L1")
    axes.set_xlabel("along the first direction of the way")
    axes.set_ylabel("along the second")
    figure.legend(loc="outside upper left", ncols=3)
    grid(axes)
    return figure
