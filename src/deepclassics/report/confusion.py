"""Which class was taken for which.

Letters: K classes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from deepclassics.metrics import confusion_matrix
from deepclassics.progress import many
from deepclassics.recipe import Picture
from deepclassics.report.style import BLUE, INK, VERMILLION, drawable, percent, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

GROUND = "#eeeeee"  # of a cell in which nothing can be counted


def picture(evidence: "Evidence", split: str = "test") -> Picture:
    """The confusion matrix of a classifier on a split."""

    def draw() -> "Figure":
        classes = evidence.spec["target"]["classes"]
        given, right = evidence.answers(split)
        return confusion(confusion_matrix(given["label"], right["label"], len(classes)), classes)

    return Picture(
        "Confusion matrix",
        f"Rows: the right class, with the number of its {split} examples; columns: the class given. Blue, on the "
        "diagonal: right. Orange: errors. The depth of a colour is the share of the row, of errors in proportion to "
        "the most frequent one.",
        draw,
    )


def confusion(
    counts: Tensor, classes: Sequence[str], *, what: str = "class", title: str = "", open_end: bool = False
) -> "Figure":  # (K, K) int64, rows the right class
    """Counts and shares of rows. Beyond 12 classes cells are too small for numbers, and a list tells the errors.

    With an `open_end` the last class is that of what is none, which nobody counts where it is taken for none: this
    cell is left out. The `title` is the count of the errors, where none is given.
    """
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    size = len(classes)
    rows = counts.sum(1)
    share = counts / rows.clamp(min=1)[:, None]
    worst = float((share - share.diag().diag()).max())
    words = drawable(classes, 18)

    written = size <= 12
    cell = 0.56 if written else max(0.075, 0.3 - 0.004 * size)  # inches
    letters = 9 if written else max(4.5, min(8.5, 60 * cell))
    margin = 0.25 + 0.0085 * letters * max(map(len, words))
    side = max(2.2, cell * size)
    list_width = 0.0 if written else 3.2
    figure = sheet(side + margin + 0.9 + list_width, side + margin + 0.7)
    if written:
        axes = figure.subplots()
    else:
        axes, beside = figure.subplots(1, 2, width_ratios=[side + margin, list_width])
        _list(beside, counts, words, list_width)
        axes.set_anchor("N")

    blues = LinearSegmentedColormap.from_list("right", ["#ffffff", BLUE])
    oranges = LinearSegmentedColormap.from_list("wrong", ["#ffffff", VERMILLION])
    shades = oranges((share / worst if worst else share).numpy())
    for k in range(size):
        shades[k, k] = blues(float(share[k, k]))
    if open_end:
        shades[-1, -1] = to_rgba(GROUND)
    axes.imshow(shades, interpolation="nearest")
    if written:
        for i in range(size):
            for j in range(size):
                if counts[i, j] or (i == j and not (open_end and i == size - 1)):
                    deep = share[i, j] > 0.55 if i == j else share[i, j] > 0.75 * worst
                    _cell(axes, i, j, int(counts[i, j]), float(share[i, j]), "white" if deep else INK)
    level = max(map(len, words)) * 0.0085 * letters < side / size
    axes.set_xticks(range(size), words, rotation=0 if level else 90, fontsize=letters)
    counted = [f"{word}  ({int(n):,})" if written else word for word, n in zip(words, rows, strict=True)]
    axes.set_yticks(range(size), counted, fontsize=letters)
    axes.tick_params(length=0)
    axes.set_xticks([k - 0.5 for k in range(1, size)], minor=True)
    axes.set_yticks([k - 0.5 for k in range(1, size)], minor=True)
    axes.grid(which="minor", color="#e4e4e4", linewidth=0.5 if size <= 40 else 0.25)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(True)
    axes.set_xlabel(f"{what} given")
    axes.set_ylabel(f"right {what}")
    total, wrong = int(counts.sum()), int(counts.sum() - counts.diag().sum())
    rate = percent(wrong / max(total, 1), 2)
    # In two lines where the matrix is small: one would be wider than the picture.
    line = "\n" if len(counts) < 4 else " "
    axes.set_title(title or f"{many(wrong, 'error')} in {many(total, 'example')}{line}({rate})")
    return figure


def _cell(axes: "Axes", row: int, column: int, count: int, share: float, colour: str) -> None:
    told = f"{share:.1%}" if 0 < share < 0.9995 else f"{share:.0%}"
    for words, letters, up in ((f"{count:,}", 8.5, 5), (told, 6.5, -6)):
        axes.annotate(words, (column, row), (0, up), textcoords="offset points", ha="center", va="center",
                      fontsize=letters, color=colour)  # fmt: skip


def _list(axes: "Axes", counts: Tensor, words: Sequence[str], width: float, most: int = 16) -> None:
    """The most frequent errors as bars."""
    wrong = (counts - counts.diag().diag()).flatten()
    count, place = wrong.sort(descending=True, stable=True)
    kept = [(int(n), divmod(int(k), len(words))) for n, k in zip(count[:most], place[:most], strict=True) if n]
    axes.barh(range(len(kept)), [n for n, _ in kept], color=VERMILLION, height=0.7)
    axes.set_yticks(range(len(kept)), [f"{words[i]} → {words[j]}" for _, (i, j) in kept], fontsize=8)
    for place_, (n, _) in enumerate(kept):
        axes.text(n, place_, f" {n:,}", va="center", fontsize=8)
    axes.set_xticks([])
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title("Most frequent errors" if kept else "No errors")
    axes.set_ylim(most - 0.5, -0.5)
    axes.set_box_aspect(most * 0.19 / (width / 2))
    axes.set_anchor("NW")
