"""Scores in the course of a run: one panel a score, with all its splits."""

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deepclassics.metrics import FALLING, RISING
from deepclassics.recipe import Picture
from deepclassics.report.style import BLUE, FAINT, GREEN, VERMILLION, grid, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

COLOURS = {"train": BLUE, "valid": VERMILLION, "test": GREEN}


def picture(evidence: "Evidence") -> Picture:
    """The curves of all scores of a run."""
    return Picture(
        "Scores in the course of the run",
        "Training and validation scores over updates. Strong lines through many points are running means; rings mark "
        "the best validation score. A validation curve that turns away from the training curve is overfitting.",
        lambda: curves(evidence.metrics),
    )


def curves(metrics: Sequence[dict[str, Any]], scores: Sequence[str] = ()) -> "Figure":
    """A panel for each score ("loss", "error", ... without the split), all that are in `metrics` if none is named.

    `metrics` holds rows as of metrics.jsonl: {"step": 100, "epoch": 0.2, "train/loss": 2.1, ...}; a row need not have
    every score. A score that is positive and spans more than a factor of 20 gets a logarithmic scale.
    """
    from matplotlib.axes import Axes

    names = {key: None for row in metrics for key in row if "/" in key}
    split_of: dict[str, list[str]] = {}
    for name in names:
        split, _, score = name.partition("/")
        split_of.setdefault(score, []).append(split)
    shown = [score for score in (scores or split_of) if score in split_of]

    across = min(2, max(1, len(shown)))
    down = max(1, -(-len(shown) // across))
    figure = sheet(7.6 if across == 2 else 5.6, 0.3 + 2.75 * down)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for panel, score in itertools.zip_longest(panels, shown):
        assert isinstance(panel, Axes)
        if score is None:
            panel.set_axis_off()
        else:
            _panel(panel, score, split_of[score], metrics)
    if not shown:
        panels[0].text(0.5, 0.5, "No scores were logged.", ha="center", va="center", transform=panels[0].transAxes)
    return figure


def _panel(panel: "Axes", score: str, splits: list[str], metrics: Sequence[dict[str, Any]]) -> None:
    values: list[float] = []
    for split in sorted(splits, key=lambda split: (list(COLOURS).index(split) if split in COLOURS else 9, split)):
        points = [(row["step"], row[f"{split}/{score}"]) for row in metrics if f"{split}/{score}" in row]
        points = [(step, value) for step, value in points if math.isfinite(value)]
        if not points:
            continue
        steps, line = zip(*points, strict=True)
        colour = COLOURS.get(split, FAINT)
        if len(line) > 80:
            panel.plot(steps, line, color=colour, linewidth=0.6, alpha=0.3)
        strong = _smooth(line) if len(line) > 80 else line
        marker = "o" if len(line) <= 25 else ""
        panel.plot(steps, strong, color=colour, linewidth=1.6, marker=marker, markersize=3, label=split)
        values += strong
        if split == "valid" and score in RISING | FALLING and len(line) > 1:
            best = (max if score in RISING else min)(line)
            panel.plot(steps[line.index(best)], best, "o", markersize=9, fillstyle="none", color=colour,
                       label=f"best: {best:.4g}", linestyle="")  # fmt: skip
    if values:
        _scale(panel, values)
        _epochs(panel, metrics)
        panel.legend(loc="best")
    panel.set_title(score)
    panel.set_xlabel("update")
    grid(panel)


def _smooth(line: Sequence[float]) -> list[float]:
    """The mean over a window of a thirtieth of the points, shorter at the ends."""
    reach = max(1, len(line) // 60)
    total = [0.0, *itertools.accumulate(line)]
    spans = [(max(0, place - reach), min(len(line), place + reach + 1)) for place in range(len(line))]
    return [(total[end] - total[begin]) / (end - begin) for begin, end in spans]


def _scale(panel: "Axes", values: Sequence[float]) -> None:
    """Scales by the strong lines' values: single batches far off would press everything else flat."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    panel.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
    low, high = min(values), max(values)
    if low > 0 and high / low > 20:
        panel.set_yscale("log")
        panel.set_ylim(low / (high / low) ** 0.08, high * (high / low) ** 0.08)
        panel.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 1000 else (1.0, 2.0, 5.0)))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.yaxis.set_minor_formatter(NullFormatter())
    elif high > low:
        panel.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))


def _epochs(panel: "Axes", metrics: Sequence[dict[str, Any]]) -> None:
    """A second axis on top, where the rows tell the epoch: it is in proportion to the step."""
    known = [row for row in metrics if row.get("epoch") and row["step"]]
    if not known:
        return
    rate = known[-1]["epoch"] / known[-1]["step"]
    top = panel.secondary_xaxis("top", functions=(lambda step: step * rate, lambda epoch: epoch / rate))
    top.set_xlabel("epoch", fontsize=8, color=FAINT)
    top.tick_params(labelsize=7.5, colors=FAINT)
