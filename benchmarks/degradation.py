"""Deeper plain nets learn their training examples worse, residual ones do not (C019, C155; He et al. 2015, figure 6).

    deepclassics run resnet --data cifar10_small --epochs 12 --valid 0 [--depth 56] [--plain] --out RUN   (four times)
    python benchmarks/degradation.py RUN RUN RUN RUN --to docs/degradation.png

Prints for every run the error on its training pictures, as they are, and on its test pictures; draws the training loss
over the passes.
"""

import argparse
from pathlib import Path

from deepclassics import metrics
from deepclassics.report.evidence import Evidence
from deepclassics.report.style import BLUE, VERMILLION, grid, settings, sheet
from deepclassics.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--to", type=Path, help="a PNG")
    given = parser.parse_args()
    with settings():
        figure = sheet(6.4, 3.6)
        axes = figure.subplots()
        for path in given.runs:
            evidence = Evidence(Run.open(path))
            knobs = evidence.run.facts()["knobs"]
            errors = {}
            for split in ("train", "test"):
                answer, right = evidence.answers(split)
                errors[split] = float(metrics.error_rate(answer["label"], right["label"]))
            name = f"{'plain' if knobs['plain'] else 'residual'}, {knobs['depth']} layers"
            print(
                f"{name}: wrong {errors['train']:.1%} of the training, {errors['test']:.1%} of the test pictures",
                flush=True,
            )
            rows = [row for row in evidence.metrics if "train/loss" in row]
            axes.plot(
                [row["epoch"] for row in rows],
                [row["train/loss"] for row in rows],
                color=VERMILLION if knobs["plain"] else BLUE,
                linewidth=2.2 if knobs["depth"] > 20 else 0.9,
                label=f"{name}: {errors['train']:.1%} of training pictures wrong at the end",
            )
        axes.set_xlabel("passes over the training pictures")
        axes.set_ylabel("training loss, nats")
        axes.set_ylim(bottom=0)
        grid(axes)
        axes.legend(fontsize=8)
        if given.to:
            figure.savefig(given.to, dpi=120)


if __name__ == "__main__":
    main()
