"""`run`: where a run goes, what is printed at its end, and several seeds of it side by side."""

import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from deepclassics.errors import UserError
from deepclassics.flags import shown, typed
from deepclassics.host import Host
from deepclassics.idle import cores
from deepclassics.progress import duration, figure, many
from deepclassics.recipe import Recipe


def folder(recipe: Recipe) -> Path:
    """Where a run goes unless told: runs/NAME and the knobs that are not the default ones.

    The same command therefore finds its run again, to go on with it or to print its result.
    """
    fields = type(recipe).model_fields
    parts = []
    for key, value in recipe.model_dump(mode="json").items():
        if value != _plain(fields[key].default):
            word = shown(value)
            if key == "data" and "/" in word.replace(os.sep, "/"):
                word = f"{Path(word).name}.{hashlib.sha256(str(Path(word).resolve()).encode()).hexdigest()[:6]}"
            elif key == "data" and re.search(r"[^\w.,:+ -]", word):  # a formula: its signs mean something to a shell
                plain = re.sub(r"\W+", "_", word).strip("_")
                word = f"{plain}.{hashlib.sha256(word.encode()).hexdigest()[:6]}"
            parts.append(f"{key}={word.replace(' ', ',').replace('/', '_')}")
    name = "-".join([recipe.name(), *parts])
    if len(name) > 120:
        name = f"{name[:100]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    return Path("runs") / name


def text(result: dict[str, Any], path: Path) -> str:
    """A finished run to read: scores, measured beside published, what differs, and what can be done with it."""
    ended = {"done": "nothing left to learn", "patience": "no better for a while", "planned": "as planned"}
    lines = [
        f"{result['system']} on {result['data']}: {many(result['steps'], 'update')} in {duration(result['seconds'])} "
        f"({ended[result['ended']]}; {result['selection']})",
        "",
    ]
    width = max((len(name) for name in result["scores"]), default=0)
    lines += [f"  {name:{width}}  {figure(value)}" for name, value in sorted(result["scores"].items(), key=_order)]
    lines += ["", *result["remarks"]] if result["remarks"] else []
    if result["published"]:
        lines += ["", "Measured beside published:"]
    for row in result["published"]:
        measured = "not measured" if row["measured"] is None else figure(row["measured"])
        mark = "" if row["verified"] else ", unverified"
        lines.append(f"  {row['score']}  measured {measured}, published {figure(row['value'])} ({row['source']}{mark})")
        lines += [f"      {sentence}" for sentence in row["differs"]]
    if not result["published"]:
        lines += ["", f"No figure is published for {result['system']} on {result['data']}."]
    folder = shlex.quote(str(path))
    lines += ["", f"deepclassics report {folder}    deepclassics predict {folder} INPUT..."]
    return "\n".join(lines)


def several(recipe: Recipe, seeds: int, out: Path | None, host: Host, quiet: bool = False) -> dict[str, Any]:
    """`seeds` runs with consecutive seeds, in processes of one thread each, as many at once as there are cores.

    Returns {"system", "data", "seeds", "runs", "scores": {name: {"mean", "sd", "values"}}, "published"}.
    """
    first = recipe.seed
    recipes = [recipe.model_copy(update={"seed": first + number}) for number in range(seeds)]
    folders = [out / f"seed={each.seed}" if out else folder(each) for each in recipes]
    given = {**recipe.model_dump(mode="json"), **host.model_dump(mode="json"), "threads": host.threads or 1}
    # One accelerator serves one run at a time; on the processor every core takes one.
    at_once = max(1, cores() // given["threads"]) if host.device in ("auto", "cpu") and not _accelerated() else 1

    def one(each: Recipe, path: Path) -> dict[str, Any]:
        words = [sys.executable, "-m", "deepclassics", "run", recipe.name(), "--json", "--out", str(path)]
        for key, value in {**given, "seed": each.seed}.items():
            words += typed(key, value)
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"Seed {each.seed} ended with: {done.stderr.strip() or f'exit status {done.returncode}'}")
        if not quiet:
            print(f"seed {each.seed} is done: {path}", file=sys.stderr)
        return json.loads(done.stdout)

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        results = list(pool.map(one, recipes, folders))
    scores = {}
    for name in results[0]["scores"]:
        values = [result["scores"][name] for result in results]
        spread = statistics.stdev(values) if seeds > 1 else 0.0
        scores[name] = {"mean": statistics.fmean(values), "sd": spread, "values": values}
    return {
        "system": recipe.name(),
        "data": results[0]["data"],
        "seeds": [each.seed for each in recipes],
        "runs": [str(path) for path in folders],
        "seconds": [result["seconds"] for result in results],
        "scores": scores,
        "published": [
            row | {"measured": scores[row["score"]]["mean"], "inside": _inside(row["value"], scores[row["score"]])}
            for row in results[0]["published"]
            if row["score"] in scores
        ],
    }


def spread(summary: dict[str, Any]) -> str:
    """Several seeds to read: mean and spread, and whether the published figure lies inside it."""
    seeds = len(summary["seeds"])
    lines = [f"{summary['system']} on {summary['data']}: {seeds} seeds, mean ± standard deviation", ""]
    width = max(len(name) for name in summary["scores"])
    for name, score in sorted(summary["scores"].items(), key=_order):
        low, high = min(score["values"]), max(score["values"])
        lines.append(
            f"  {name:{width}}  {figure(score['mean'])} ± {figure(score['sd'])}  ({figure(low)} to {figure(high)})"
        )
    lines += ["", "Measured beside published:"] if summary["published"] else []
    for row in summary["published"]:
        where = "inside" if row["inside"] else "outside"
        mark = "" if row["verified"] else ", unverified"
        lines.append(
            f"  {row['score']}  measured {figure(row['measured'])}, published {figure(row['value'])} "
            f"({row['source']}{mark}): {where} two standard deviations"
        )
        lines += [f"      {sentence}" for sentence in row["differs"]]
    return "\n".join([*lines, "", "Runs: " + " ".join(summary["runs"])])


def _inside(published: float, score: dict[str, Any]) -> bool:
    return abs(published - score["mean"]) <= 2 * score["sd"]


def _order(item: tuple[str, Any]) -> tuple[int, str]:
    """Training first, then validation, then test."""
    order = ["train", "valid", "test"]
    split = item[0].partition("/")[0]
    return (order.index(split) if split in order else len(order), item[0])


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _accelerated() -> bool:
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()
