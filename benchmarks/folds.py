"""Ten-fold cross validation as a table: the mean over the folds of each data set beside the published figure.

    python benchmarks/folds.py RUN... [--write benchmarks/folds.md]

Reads finished run folders that judged by "test/error". Runs of one system on one data set that differ in nothing but
`fold`, `seed` and the folder of their vectors make one row: how many folds and seeds, the share of test examples that
are right in per cent, and its standard deviation (of N - 1). Several seeds of one fold are averaged first: mean and
deviation are over the folds, or over the runs where there are none. Runs that have not finished are told and left out.
"""

import argparse
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deepclassics.progress import many
from deepclassics.recipe import find

APART = ("data", "fold", "seed", "vectors")


def rows(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """A row for each group of runs: system, data, knobs that tell it from the others, runs, mean, deviation, ..."""
    groups: dict[tuple[str, str, str], list[tuple[dict[str, Any], dict[str, Any]]]] = defaultdict(list)
    for folder in folders:
        if not (folder / "result.json").is_file():
            print(f"{folder} is left out: it has not finished.", file=sys.stderr)
            continue
        result, recipe = (json.loads((folder / f"{name}.json").read_text()) for name in ("result", "recipe"))
        knobs = {name: value for name, value in recipe["knobs"].items() if name not in APART}
        knobs["vectors"] = _file(recipe["knobs"])
        groups[result["system"], result["data"], json.dumps(knobs, sort_keys=True)].append((result, recipe["knobs"]))
    told = []
    for (system, data, _), runs in sorted(groups.items()):
        by_fold: dict[Any, list[float]] = defaultdict(list)
        for number, (result, knobs) in enumerate(runs):
            fold = knobs.get("fold")
            by_fold[f"run {number}" if fold is None else fold].append(100 * (1 - result["scores"]["test/error"]))
        right = [statistics.mean(each) for each in by_fold.values()]
        folds = runs[0][1].get("fold") is not None
        seeds = len({knobs["seed"] for _, knobs in runs})
        figure = next((row for row in runs[0][0]["published"] if row["score"] == "test/error"), None)
        told.append(
            {
                "system": system,
                "data": data,
                "variant": _called(system, runs[0][1]),
                "vectors": _file(runs[0][1]),
                "runs": many(len(right), "fold" if folds else "run")
                + (f", {seeds} seeds" if folds and seeds > 1 else ""),
                "right": statistics.mean(right),
                "deviation": statistics.stdev(right) if len(right) > 1 else None,
                "published": None if figure is None else 100 * (1 - figure["value"]),
                "source": "" if figure is None else figure["source"],
                "minutes": sum(result["seconds"] for result, _ in runs) / 60,
            }
        )
    return told


def _called(system: str, knobs: dict[str, Any]) -> str:
    """The variant or method, and what else is not the default; but how words are cut and how often the data set is
    gone through may be its own."""
    apart = {*APART, "variant", "method", "target", "rule", "epochs"}
    defaults = find(system)().model_dump(mode="json")
    told = sorted(defaults.keys() & knobs.keys() - apart)
    other = [f"{name} {knobs[name]}" for name in told if knobs[name] != defaults[name]]
    return ", ".join(filter(None, [knobs.get("variant") or knobs.get("method"), *other]))


def _file(knobs: dict[str, Any]) -> str:
    """The name of the file of vectors, or of the run folder: where they lie is no difference."""
    return Path(knobs.get("vectors") or "").name


def table(found: list[dict[str, Any]]) -> str:
    """The rows in Markdown, and the mean difference from the published figures for each variant."""
    lines = [
        "| system | data | variant | vectors | runs | right, % | deviation | published, % | difference | minutes |",
        "|---|---|---|---|---|---:|---:|---:|---:|---:|",
    ]
    apart: dict[str, list[float]] = defaultdict(list)
    for row in found:
        spread = "" if row["deviation"] is None else f"{row['deviation']:.1f}"
        theirs = difference = ""
        if row["published"] is not None:
            theirs, difference = f"{row['published']:.1f}", f"{row['right'] - row['published']:+.1f}"
            apart[" ".join(filter(None, (row["system"], row["variant"], row["vectors"])))].append(
                row["right"] - row["published"]
            )
        cells = [
            row["system"],
            row["data"],
            row["variant"],
            row["vectors"],
            row["runs"],
            f"{row['right']:.1f}",
            spread,
            theirs,
        ]
        lines.append(f"| {' | '.join([*cells, difference, format(row['minutes'], '.1f')])} |")
    for name, gaps in apart.items():
        lines.append(f"\n{name}: {statistics.mean(gaps):+.1f} points on average over {len(gaps)} data sets.")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--write", type=Path, help="write it to this file too")
    arguments = parser.parse_args()
    text = table(rows(arguments.runs))
    print(text)
    if arguments.write:
        about = (__doc__ or "").partition("\n")[0]
        arguments.write.write_text(f"# Folds\n\n{about} Written by `benchmarks/folds.py`.\n\n{text}\n")


if __name__ == "__main__":
    main()
