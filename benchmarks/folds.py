"""Ten-fold cross validation as a table: the mean over the folds of each data set beside the published figure.

    python benchmarks/folds.py RUN... [--write benchmarks/folds.md]

Reads finished run folders that judged by "test/error". Runs of one system on one data set that differ in nothing but
`fold`, `seed` and the place of their vectors make one row: how many folds and seeds, the share of test examples that
are right, as a mean over the runs in per cent, and its standard deviation from run to run (of N - 1). Runs that have
not finished are told and left out.
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
        groups[result["system"], result["data"], json.dumps(knobs, sort_keys=True)].append((result, recipe["knobs"]))
    told = []
    for (system, data, _), runs in sorted(groups.items()):
        right = [100 * (1 - result["scores"]["test/error"]) for result, _ in runs]
        folds = [knobs["fold"] for _, knobs in runs if knobs.get("fold") is not None]
        figure = next((row for row in runs[0][0]["published"] if row["score"] == "test/error"), None)
        told.append(
            {
                "system": system,
                "data": data,
                "variant": runs[0][1].get("variant", ""),
                "runs": many(len(set(folds)), "fold") if folds else many(len(runs), "run"),
                "right": statistics.mean(right),
                "deviation": statistics.stdev(right) if len(right) > 1 else None,
                "published": None if figure is None else 100 * (1 - figure["value"]),
                "source": "" if figure is None else figure["source"],
                "minutes": sum(result["seconds"] for result, _ in runs) / 60,
            }
        )
    return told


def table(found: list[dict[str, Any]]) -> str:
    """The rows in Markdown, and the mean difference from the published figures for each variant."""
    lines = [
        "| system | data | variant | runs | right, % | deviation | published, % | difference | minutes |",
        "|---|---|---|---|---:|---:|---:|---:|---:|",
    ]
    apart: dict[str, list[float]] = defaultdict(list)
    for row in found:
        spread = "" if row["deviation"] is None else f"{row['deviation']:.1f}"
        theirs = difference = ""
        if row["published"] is not None:
            theirs, difference = f"{row['published']:.1f}", f"{row['right'] - row['published']:+.1f}"
            apart[f"{row['system']} {row['variant']}".strip()].append(row["right"] - row["published"])
        cells = [row["system"], row["data"], row["variant"], row["runs"], f"{row['right']:.1f}", spread, theirs]
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
