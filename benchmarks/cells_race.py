"""Recurrent cells at equal parameters on characters, after K. Greff et al., LSTM: a search space odyssey (2015). C115.

    deepclassics run char_rnn --data tinyshakespeare --cell CELL --parameters 150000 ... --out RUN   (for every cell)
    python benchmarks/cells_race.py RUN...

Writes cells_race.md from finished run folders of char_rnn, a row for every cell and depth: how many weights are learnt,
the test loss by its mean and standard deviation over the seeds, the seconds of training by their median.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepclassics.errors import UserError
from deepclassics.run import Run
from deepclassics.systems.language.char_rnn import CALLED, CharRNNRecipe
from results import command, entry

PAGE = Path(__file__).resolve().parent / "cells_race.md"


def race(path: str) -> dict[str, Any]:
    """What is kept of a run: its entry in the ledger, how many units a layer has, and how many weights are learnt."""
    run = Run.open(path)
    recipe, spec = run.recipe(), run.spec()
    if not isinstance(recipe, CharRNNRecipe):
        raise UserError(f"{path} must be a run of char_rnn; it is one of {recipe.name()}.")
    return entry(run) | {"hidden": recipe.units(spec), "learnt": recipe.model(spec).learnt()}


def page(runs: Sequence[dict[str, Any]]) -> str:
    """The table, the lowest loss first."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["knobs"]["cell"], run["knobs"]["layers"]), []).append(run)
    for (cell, layers), group in groups.items():
        if len({command(run) for run in group}) > 1:
            raise UserError(f"Runs of one cell must differ in the seed alone; those of {cell}, {layers} deep, do not.")
    means = {key: statistics.fmean(run["scores"]["test/loss"] for run in group) for key, group in groups.items()}
    first = runs[0]
    lines = [
        "# Cells at equal parameters",
        "",
        "Written by `python benchmarks/cells_race.py RUN...` from run folders, never by hand; after Greff et al. 2015.",
        f"{first['examples']['train']:,} characters of {first['data']} to learn from, {first['steps']:,} updates, on",
        f"{first['machine']}, {first['precision']}. Test loss in nats a character, mean ± standard deviation over the",
        "seeds; seconds of training by their median. A clockwork cell's weights that are 0 by design are not counted.",
        "",
        "| cell | layers × units | learnt weights | rate | seeds | test loss | beside the best | seconds |",
        "|---|---:|---:|---:|---|---:|---:|---:|",
    ]
    best = min(means.values())
    for key in sorted(means, key=lambda key: means[key]):
        cell, layers = key
        group = sorted(groups[key], key=lambda run: run["knobs"]["seed"])
        losses = [run["scores"]["test/loss"] for run in group]
        spread = f" ± {statistics.stdev(losses):.3f}" if len(losses) > 1 else ""
        row = [
            CALLED[cell].split(" ", 1)[1],
            f"{layers} × {group[0]['hidden']}",
            f"{group[0]['learnt']:,}",
            f"{group[0]['knobs']['lr']:g}",
            ", ".join(str(run["knobs"]["seed"]) for run in group),
            f"{means[key]:.3f}{spread}",
            f"+{means[key] / best - 1:.1%}",
            f"{statistics.median(run['seconds'] for run in group):.0f}",
        ]
        lines.append("| " + " | ".join(row) + " |")
    lines += ["", "The commands, but for seeds and folders:", ""]
    lines += [f"    {line}" for line in sorted({command(run) for run in runs})]
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="finished run folders of char_rnn")
    given = parser.parse_args()
    try:
        PAGE.write_text(page([race(path) for path in given.runs]), encoding="utf-8")
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(f"{len(given.runs)} runs in {PAGE.name}")


if __name__ == "__main__":
    main()
