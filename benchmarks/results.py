"""The ledger of measured results: results.jsonl, a line a run, and results.md, written from it and never by hand.

python benchmarks/results.py RUN...       adds finished runs, in place of earlier ones of the same command
python benchmarks/results.py              writes results.md again
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from deepclassics.errors import UserError
from deepclassics.flags import typed
from deepclassics.progress import duration, figure
from deepclassics.recipe import Recipe, find
from deepclassics.run import Run

HERE = Path(__file__).resolve().parent
LEDGER, PAGE = HERE / "results.jsonl", HERE / "results.md"


def entry(run: Run) -> dict[str, Any]:
    """What is kept of a finished run."""
    result = run.result()
    if result is None:
        raise UserError(f"{run.path} must be finished to be added; it is not. Run its command again to go on.")
    facts, host = run.facts(), run.host()
    return {
        "system": facts["system"],
        "knobs": facts["knobs"],
        "version": facts["version"],
        "commit": host["commit"],
        "machine": f"{host['device_name']}, {host['threads']} thread{'s' if host['threads'] > 1 else ''}",
        "precision": host["precision"],
        "torch": host["torch"],
        **{key: result[key] for key in ("data", "steps", "seconds", "selection", "examples", "parameters", "scores")},
        "published": [
            {key: row[key] for key in ("score", "value", "source", "verified", "differs")}
            for row in result["published"]
        ],
    }


def command(entry: dict[str, Any]) -> str:
    """What was typed, but for seeds and folders: the knobs that are not the default ones. All folds are one command."""
    fields = find(entry["system"]).model_fields
    words = [f"deepclassics run {entry['system']}"]
    for name, value in entry["knobs"].items():
        default = fields[name].default if name in fields else None
        if name == "seed" or value == (list(default) if isinstance(default, tuple) else default):
            continue
        words += ["--fold K"] if name == "fold" else typed(name, value)
    settled = find(entry["system"]).work is not Recipe.work  # by the host, which may take bf16 unasked
    if settled or entry["precision"] != "fp32":
        words.append(f"--precision {entry['precision']}")
    return " ".join(words)


def which(entry: dict[str, Any]) -> tuple[int, int]:
    """The seed of a run and its fold, -1 for none."""
    fold = entry["knobs"].get("fold")
    return entry["knobs"]["seed"], -1 if fold is None else fold


def _told(row: dict[str, Any]) -> str:
    """Whether a published figure is unverified, and how its data differ from ours, which makes it one of something
    else; of the first runs that is not kept."""
    told = [each for each in row.get("differs", ()) if each.startswith(("training examples", "pictures"))]
    return ("" if row["verified"] else " (unverified)") + (f"; but {'; '.join(told)}" if told else "")


def page(entries: list[dict[str, Any]]) -> str:
    """A row for every command: its seeds, the mean of its test scores, published beside measured, time and machine."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in sorted(entries, key=lambda each: (each["system"], command(each), which(each))):
        groups.setdefault(command(each), []).append(each)
    lines = [
        "# Results",
        "",
        "Written by `python benchmarks/results.py RUN...` from run folders, never by hand; the runs are lines of",
        "[results.jsonl](results.jsonl), with their knobs, scores, machines and commits. Errors are fractions.",
        "A mean has its standard deviation over the seeds, or folds of ten, behind it; seconds are medians, of",
        "training alone. Published figures that were not read in their source or a copy of it are marked unverified.",
        "",
        "| command | seeds | measured | published | time | machine |",
        "|---|---|---|---|---:|---|",
    ]
    for line, group in groups.items():
        names = [name for name in group[0]["scores"] if name.startswith("test/")]
        names = names or list(group[0]["scores"])
        measured = []
        for name in names:
            values = [each["scores"][name] for each in group if name in each["scores"]]
            spread = f" ± {figure(statistics.stdev(values))}" if len(values) > 1 else ""
            measured.append(f"{name} {figure(statistics.fmean(values))}{spread}")
        published = [
            f"{row['score']} {figure(row['value'])}: {row['source']}{_told(row)}" for row in group[0]["published"]
        ]
        seeds = ", ".join(dict.fromkeys(str(seed) for seed, _ in map(which, group)))
        if folds := [fold for _, fold in map(which, group) if fold >= 0]:
            seeds += f"; folds {', '.join(map(str, folds))}"
        seconds = duration(statistics.median(each["seconds"] for each in group))
        cells = [
            f"`{line}`",
            seeds,
            "<br>".join(measured),
            "<br>".join(published) or "none",
            seconds,
            group[0]["machine"],
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", metavar="RUN", nargs="*", help="finished run folders")
    given = parser.parse_args()
    entries = [json.loads(line) for line in LEDGER.read_text(encoding="utf-8").splitlines()] if LEDGER.exists() else []
    try:
        for path in given.runs:
            new = entry(Run.open(path))
            entries = [each for each in entries if (command(each), which(each)) != (command(new), which(new))]
            entries.append(new)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    entries.sort(key=lambda each: (each["system"], command(each), which(each)))
    LEDGER.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in entries), encoding="utf-8")
    PAGE.write_text(page(entries), encoding="utf-8")
    print(f"{len(entries)} runs in {PAGE.name}")


if __name__ == "__main__":
    main()
