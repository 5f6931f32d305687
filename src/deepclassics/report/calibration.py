"""Whether a classifier that says 80 % is right four times in five.

Letters: N examples, K classes.
"""

from typing import TYPE_CHECKING

from torch import Tensor

from deepclassics.metrics import expected_calibration_error, reliability, wilson
from deepclassics.progress import many
from deepclassics.recipe import Picture
from deepclassics.report.style import BLUE, FAINT, grid, percent, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

BINS = 15  # Guo et al. 2017, section 2 and table 1


def picture(evidence: "Evidence", split: str = "test") -> Picture:
    """The reliability diagram of a classifier on a split."""

    def draw() -> "Figure":
        given, right = evidence.answers(split)
        return calibration(given["probability"], right["label"])

    return Picture(
        "Calibration",
        f"Above: the {split} examples in {BINS} bins by the probability of the class given; a point is a bin's mean "
        "probability and the share of it that is right, with the 95 % interval (Wilson 1927). On the diagonal "
        "probabilities mean what they say; below it they promise too much. Beneath: how many examples are in a bin. "
        "The expected calibration error is the mean distance from the diagonal, weighted by examples (Guo et al. 2017, "
        "eq. 3).",
        draw,
    )


def calibration(probability: Tensor, label: Tensor) -> "Figure":  # (N, K), (N,) int64
    """A reliability diagram over the counts of its bins."""
    confidence, accuracy, count = reliability(probability, label, BINS)
    held = count > 0
    x, y = confidence[held].numpy(), accuracy[held].numpy()
    low, high = (ends.numpy() for ends in wilson(accuracy[held], count[held]))

    figure = sheet(4.8, 5.4)
    above, beneath = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
    above.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    above.errorbar(x, y, yerr=[y - low, high - y], color=BLUE, fmt="o", markersize=5, elinewidth=0.9,
                   capsize=2)  # fmt: skip
    above.set_xlim(0, 1.01)
    above.set_ylim(-0.02, 1.03)
    above.set_ylabel("share that is right")
    error = float(expected_calibration_error(probability, label, BINS))
    above.set_title(f"expected calibration error {percent(error, 2)}\n{many(len(label), 'example')}")
    grid(above)

    edges = [(m + 0.5) / BINS for m in range(BINS)]
    beneath.bar(edges, count.tolist(), width=0.92 / BINS, color=BLUE)
    beneath.set_yscale("log")
    beneath.set_ylim(0.7, 3 * float(count.max()))
    beneath.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    beneath.set_ylabel("examples")
    beneath.set_xlabel("probability of the class given")
    figure.align_ylabels()
    return figure
