"""What states are worth and what to do in them: a map with arrows, or bars where a world has no map; and the residual.

Letters: S states, A actions.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from deepclassics.progress import many
from deepclassics.recipe import Picture
from deepclassics.report.style import BLUE, FAINT, INK, SKY, drawable, grid, sheet, thin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

# (right, down) by the name of an action, in a picture whose first row is on top.
DIRECTIONS = {
    **dict.fromkeys(("up", "north", "n", "u"), (0, -1)),
    **dict.fromkeys(("down", "south", "s", "d"), (0, 1)),
    **dict.fromkeys(("right", "east", "e", "r"), (1, 0)),
    **dict.fromkeys(("left", "west", "w", "l"), (-1, 0)),
}
NUMBERED, ARROWED = 12, 40  # rows or columns up to which cells have room for a number, for an arrow
BARS = 40  # states that are shown as bars, at most
TIE = 1e-7  # of the greatest value: actions closer to the best are drawn as equally good


def picture(evidence: "Evidence", ties: bool, caption: str) -> Picture:
    """Values and policy of the run's model, which has the tables `values`, `q` and `policy`.

    With `ties` every action that is as good as the best is drawn, else the policy's own alone: at discount 1 an
    action may be as good and lead nowhere.
    """

    def draw() -> "Figure":
        model: Any = evidence.model
        chosen = choices(model.q, model.policy[0], ties)
        if evidence.spec["layout"]:
            return chart(evidence.spec, model.values.tolist(), chosen)
        return bars(evidence.spec, model.values.tolist(), chosen)

    return Picture("Values and policy", caption, draw)


def residuals(evidence: "Evidence", discount: float) -> Picture:
    """The residual of every update; with a discount of 0 < γ < 1, beside it the line that shrinks by γ each."""
    what = "By how much a sweep changes a value, at most"
    rate = ""
    if 0 < discount < 1:
        what = "Half the span of the change by a sweep, what all values have in common left out"
        rate = ": a sweep shrinks it by the discount at least, as the dashed line does"
    caption = (
        f"{what}; where several updates were logged together, their mean. A straight line on this scale is a steady "
        f"rate{rate}."
    )
    return Picture("Residual", caption, lambda: decline(evidence.metrics, discount))


def choices(q: Tensor, policy: Tensor, ties: bool) -> list[list[int]]:  # (A, S), (S,) -> S lists of actions
    """The actions to draw in each state."""
    if not ties:
        return [[action] for action in policy.tolist()]
    finite = q[q.isfinite()]
    near = q >= q.amax(0) - TIE * max(1.0, float(finite.abs().max()))
    found: list[list[int]] = [[] for _ in range(q.shape[1])]
    for state, action in near.T.nonzero().tolist():
        found[state].append(action)
    return found


def chart(spec: dict[str, Any], values: Sequence[float], chosen: Sequence[Sequence[int]]) -> "Figure":
    """The cells of the layout: coloured by value, with number, arrows and mark; terminal ones grey, gaps dark."""
    from matplotlib.colors import LinearSegmentedColormap

    rows, columns = len(spec["layout"]), len(spec["layout"][0])
    side = 0.85 if max(rows, columns) <= NUMBERED else 8.5 / max(rows, columns)
    figure = sheet(max(3.0, columns * side) + 1.2, max(2.0, rows * side) + 0.2)
    axes = figure.subplots()
    ends = set(spec["terminal"])
    shades = [
        [math.nan if state is None or state in ends else values[state] for state in row] for row in spec["layout"]
    ]
    colours = LinearSegmentedColormap.from_list("values", ["#ffffff", SKY]).with_extremes(bad="#d9d9d9")
    image = axes.imshow(shades, cmap=colours)
    figure.colorbar(image, ax=axes, label="value", shrink=0.8, aspect=30).outline.set_visible(False)
    for row, states in enumerate(spec["layout"]):
        for column, state in enumerate(states):
            if state is None:
                axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, color="#555555", linewidth=0)
            elif max(rows, columns) <= ARROWED:
                _cell(axes, spec, column, row, state, values, chosen[state], max(rows, columns) <= NUMBERED)
    axes.set_xticks([place - 0.5 for place in range(columns + 1)], labels=[])
    axes.set_yticks([place - 0.5 for place in range(rows + 1)], labels=[])
    axes.tick_params(length=0)
    if max(rows, columns) <= ARROWED:
        axes.grid(True, color="#bbbbbb", linewidth=0.8)
    axes.spines[:].set_visible(True)
    return figure


def _cell(
    axes: "Axes",
    spec: dict[str, Any],
    x: int,
    y: int,
    state: int,
    values: Sequence[float],
    chosen: Sequence[int],
    numbered: bool,
) -> None:
    mark = spec["marks"].get(spec["states"][state], "")
    if state in spec["terminal"]:
        axes.text(x, y, mark or "end", ha="center", va="center", fontsize=13 if mark and numbered else 7, color=INK)
        return
    for action in chosen:
        name = spec["actions"][action]
        centre = y - 0.08 if numbered else y
        if name.lower() in DIRECTIONS:
            right, down = DIRECTIONS[name.lower()]
            tail, tip = (0.03, 0.27) if len(chosen) > 1 else (-0.17, 0.25)
            axes.annotate(
                "",
                (x + tip * right, centre + tip * down),
                (x + tail * right, centre + tail * down),
                arrowprops={
                    "arrowstyle": "->",
                    "color": INK,
                    "linewidth": 1.3 if numbered else 0.6,
                    "mutation_scale": 9 if numbered else 4,
                    "shrinkA": 0,
                    "shrinkB": 0,
                },
            )
        elif numbered and len(spec["actions"]) > 1:
            axes.text(x, centre, drawable([name], 9)[0], ha="center", va="center", fontsize=8, color=INK)
    if numbered:
        axes.text(x, y + 0.36, _number(values[state], values), ha="center", va="center", fontsize=9, color=INK)
        axes.text(x - 0.45, y - 0.44, mark, ha="left", va="top", fontsize=10, weight="bold", color=INK)


def bars(spec: dict[str, Any], values: Sequence[float], chosen: Sequence[Sequence[int]]) -> "Figure":
    """A bar for each state's value with what to do there; of more than 40 states some, evenly spread."""
    shown = list(thin(len(values), BARS))
    figure = sheet(6.4, 0.8 + 0.27 * len(shown))
    axes = figure.subplots()
    axes.barh(range(len(shown)), [values[state] for state in shown], color=SKY, height=0.7)
    axes.axvline(0, color=INK, linewidth=0.8)
    names = drawable(spec["states"])
    actions = drawable(spec["actions"])
    axes.set_yticks(range(len(shown)), labels=[names[state] for state in shown])
    for place, state in enumerate(shown):
        doing = " or ".join(actions[action] for action in chosen[state]) if len(actions) > 1 else ""
        text = "end" if state in spec["terminal"] else f"{_number(values[state], values)}  {doing}".strip()
        axes.annotate(
            text,
            (max(values[state], 0.0), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=FAINT if state in spec["terminal"] else INK,
        )
    axes.margins(x=0.25, y=0.01)
    axes.invert_yaxis()
    axes.set_xlabel("value" if len(shown) == len(values) else f"value ({len(shown)} of {many(len(values), 'state')})")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure


def decline(metrics: Sequence[dict[str, Any]], discount: float) -> "Figure":
    """The residual over the updates, on a logarithmic scale. `metrics` holds rows as of metrics.jsonl."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    points = [(row["step"], row["train/residual"]) for row in metrics if row.get("train/residual", 0) > 0]
    figure = sheet(5.6, 3.2)
    axes = figure.subplots()
    axes.set_xlabel("update")
    axes.set_ylabel("residual")
    if not points:
        axes.text(0.5, 0.5, "No update changed a value.", ha="center", va="center", transform=axes.transAxes)
        return figure
    steps, line = zip(*points, strict=True)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.plot(steps, line, color=BLUE, linewidth=1.6, marker="o" if len(line) <= 40 else "", markersize=3.5)
    if 0 < discount < 1:
        bound = [line[0] * discount ** (step - steps[0]) for step in steps]
        axes.plot(steps, bound, "--", color=FAINT, linewidth=1.2, label=f"× {discount:g} an update")
        axes.legend(loc="upper right")
        axes.set_ylim(bottom=min(line) / 3)
    if len(steps) <= 12:
        axes.set_xticks(steps)
    grid(axes)
    return figure


def _number(value: float, values: Sequence[float]) -> str:
    """With so many digits that the greatest of the values has three or four."""
    greatest = max(map(abs, values), default=0.0)
    digits = min(3, max(0, 3 - math.ceil(math.log10(greatest)))) if greatest > 0 else 1
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # + 0.0: no minus before zero
