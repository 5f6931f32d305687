"""Runs side by side: scores, what was published, the knobs that differ, and why the scores may."""

from collections.abc import Sequence
from typing import Any

from deepclassics.errors import UserError
from deepclassics.flags import shown
from deepclassics.progress import duration, figure
from deepclassics.run import Run

# What of host.json can move a result, if only by rounding; the rest tells of time and place.
ROUNDING = ("device", "device_name", "precision", "compile", "layout", "ranks", "torch")


def compare(runs: Sequence[Run]) -> dict[str, Any]:
    """Everything that sets runs apart, as plain JSON: {"runs", "scores", "published", "knobs", "why"}.

    "runs" has their folders; of "scores", "published" and "knobs" each row is {"name", "values"} with a value for each
    run, None where it has none; rows of "published" have their "source" besides, and "knobs" holds those alone that
    differ. "why" is a list of sentences.
    """
    facts = [run.facts() for run in runs]
    results = [run.result() or {} for run in runs]
    scores = [result.get("scores") or _newest(run) for run, result in zip(runs, results, strict=True)]
    knobs = [{name.rstrip("_"): value for name, value in fact["knobs"].items()} for fact in facts]  # "from", as typed
    published = [
        {(row["score"], row["source"]): row["value"] for row in result.get("published", [])} for result in results
    ]
    return {
        "runs": [str(run.path) for run in runs],
        "scores": [*_rows(scores), *_rows([{"seconds": result.get("seconds")} for result in results])],
        "published": [
            {"name": row["name"][0], "source": row["name"][1], "values": row["values"]} for row in _rows(published)
        ],
        "knobs": _rows(
            [{"system": fact["system"], **knob} for fact, knob in zip(facts, knobs, strict=True)], differing=True
        ),
        "why": _why(runs, facts, results),
    }


def text(table: dict[str, Any]) -> str:
    """The comparison as aligned text, a column a run."""
    heads = _told_apart(table["runs"])
    lines = []
    for row in table["scores"]:
        name, tell = row["name"], _time if row["name"] == "seconds" else _number
        lines.append((name, [tell(value) for value in row["values"]]))
        for known in [known for known in table["published"] if known["name"] == name]:
            source = known["source"] if len(known["source"]) <= 36 else f"{known['source'][:35]}…"
            lines.append((f"  {source}", [_number(value) for value in known["values"]]))
    blocks = [_columns("score, and published", heads, lines)]
    if table["knobs"]:
        knobs = [
            (row["name"], ["-" if value is None else shown(value) for value in row["values"]]) for row in table["knobs"]
        ]
        blocks.append(_columns("knob that differs", heads, knobs))
    blocks.append("\n".join(["Why they may differ:", *[f"  {sentence}" for sentence in table["why"]]]))
    return "\n\n".join(blocks)


def _why(runs: Sequence[Run], facts: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]]) -> list[str]:
    """Sentences from the weightiest cause to the lightest."""
    names = _told_apart([str(run.path) for run in runs])
    sentences = [
        f"{name} has not finished; its scores are the newest."
        for name, result in zip(names, results, strict=True)
        if not result
    ]
    specs = [_or_none(run.spec) for run in runs]
    hosts = [_or_none(run.host) for run in runs]

    def differ(what: str, values: Sequence[Any]) -> bool:
        """Adds a sentence where the values are not all the same, and says whether it did."""
        if len({repr(value) for value in values}) < 2:
            return False
        told = ", ".join(f"{_told(value)} ({name})" for name, value in zip(names, values, strict=True))
        sentences.append(f"{what}: {told}.")
        return True

    systems = differ("The systems", [fact["system"] for fact in facts])
    if differ("The data", [spec.get("data") for spec in specs]):
        sentences[-1] += " Scores on different data do not compare."
    elif differ("The examples", [spec.get("examples") for spec in specs]):
        sentences[-1] += " Scores over different examples compare roughly at best."
    own = ("system", "data")
    differing = _rows([fact["knobs"] for fact in facts], differing=True)
    knobs = [row["name"].rstrip("_") for row in differing if row["name"] not in own]
    if knobs == ["seed"]:
        sentences.append("Of the knobs the seed alone: what it changes is chance.")
    elif knobs and not systems:
        sentences.append(f"The knobs: {', '.join(knobs)}.")
    differ("The weights judged", [result.get("selection") for result in results])
    differ("The updates done", [result.get("steps") for result in results])
    differ("The versions of deepclassics", [fact.get("version") for fact in facts])
    differ("The commits", [host.get("commit") for host in hosts])
    before = len(sentences)
    for name in ROUNDING:
        differ(f"The host's {name.replace('_', ' ')}", [host.get(name) for host in hosts])
    if len(sentences) > before:
        sentences.append(
            "The host changes results by rounding only; over a long run rounding grows to the size of chance."
        )
    return sentences or ["Nothing that was recorded differs: the runs are the same."]


def _rows(columns: Sequence[dict[Any, Any]], differing: bool = False) -> list[dict[str, Any]]:
    """Dicts side by side: a row for every key, in the order of their first appearance."""
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [{"name": name, "values": [column.get(name) for column in columns]} for name in names]
    return [row for row in rows if not differing or len({repr(value) for value in row["values"]}) > 1]


def _newest(run: Run) -> dict[str, float]:
    return {name: value for row in run.metrics() for name, value in row.items() if "/" in name}


def _or_none(read: Any) -> dict[str, Any]:
    """The facts, or none where the run stopped before it wrote them."""
    try:
        return read()
    except UserError:
        return {}


def _told_apart(paths: Sequence[str]) -> list[str]:
    """The folders' own names where they tell the runs apart, else the whole paths."""
    names = [path.rstrip("/").rpartition("/")[2] for path in paths]
    return names if len(set(names)) == len(names) else list(paths)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{count:,} {name}" for name, count in value.items())
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else shown(value)


def _number(value: float | None) -> str:
    return "-" if value is None else figure(value)


def _time(value: float | None) -> str:
    return "-" if value is None else duration(value)


def _columns(title: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    first = max(len(title), *[len(name) for name, _ in rows]) if rows else len(title)
    widths = [
        max(len(head), *[len(values[k]) for _, values in rows]) if rows else len(head) for k, head in enumerate(heads)
    ]
    lines = [(title, list(heads)), *rows]
    return "\n".join(
        f"{name:{first}}  " + "  ".join(value.rjust(width) for value, width in zip(values, widths, strict=True))
        for name, values in lines
    )
