"""The report of a run: one page that explains itself, with its pictures beside it.

It needs no script, no font and no address from elsewhere: it reads the same from a memory stick in ten years.
"""

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from typing import Any

from deepclassics.errors import UserError
from deepclassics.flags import flag, shown, typed
from deepclassics.metrics import FALLING, RISING
from deepclassics.progress import duration, figure, many
from deepclassics.recipe import Picture, Recipe
from deepclassics.report.evidence import Evidence
from deepclassics.report.html import save, section, table, whole
from deepclassics.report.style import has_letters, settings
from deepclassics.run import Run
from deepclassics.systems import docstring

MISSING = "The fonts of this machine lack some of the letters; boxes stand for them."


def write(run: Run, tell: Callable[[str], object] = lambda warning: None) -> Path:
    """Writes RUN/report/index.html and returns its path. The report that was there before stays until all is written.

    A picture that cannot be drawn, because the data are gone or for another reason of the user's, becomes a note. What
    the pictures warn of stands where the page begins, and goes to `tell`.
    """
    evidence = Evidence(run)
    name = run.facts()["system"]
    place = run.path / "report"
    with replacing(place, "Make room there, or copy the run folder to where you can write.") as fresh:
        pictures, warnings = _pictures(evidence, fresh)
        page = whole(f"{name} on {evidence.recipe.data}", "\n".join(_sections(evidence, name, pictures, warnings)))
        with writing(place):
            (fresh / "index.html").write_text(page, encoding="utf-8")
    for warning in warnings:
        tell(warning)
    return place / "index.html"


@contextmanager
def replacing(place: Path, advice: str) -> Iterator[Path]:
    """A fresh folder for a page and its pictures, which takes the place of `place` once all is written."""
    fresh, old = (place.with_name(f"{place.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    try:
        with writing(place, advice):
            fresh.mkdir(parents=True)
        yield fresh
        with writing(place, advice):
            if place.exists():
                place.rename(old)
            fresh.rename(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def writing(place: Path, advice: str = "Make room there.") -> Iterator[None]:
    """Tells in a sentence why what is written inside it could not be."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{place} could not be written: {reason}. {advice}") from None


def _sections(evidence: Evidence, name: str, pictures: str, warnings: Sequence[str]) -> Iterable[str]:
    recipe, result = evidence.recipe, evidence.result
    first, rest = _explained(docstring(name))
    title, _, sentence = " ".join(first[0].split()).partition(": ") if first else (name, "", "")
    yield f"<header><h1>{escape(title)} on {escape(str(evidence.spec['data']))}</h1>"
    yield f'<p class="lead">{escape(sentence[:1].upper() + sentence[1:])}</p>'
    yield "".join(map(_paragraph, first[1:]))
    yield f"<p>{escape(_what_ran(evidence))}</p>"
    yield "".join(f'<p class="verdict">{escape(line)}</p>' for line in verdict(evidence.run.path, result))
    yield "".join(f'<p class="note">{escape(warning)}</p>' for warning in warnings)
    yield "".join(f"<p>{escape(remark)}</p>" for remark in (result or {}).get("remarks", [])) + "</header>"
    yield "<main>"
    if result and result["published"]:
        yield section("Measured beside published", _published(result["published"]))
    yield section("Scores", _scores(evidence))
    yield section("Pictures", pictures)
    yield section("Knobs", _knobs(recipe, evidence.spec))
    yield section("Data", _data(evidence.spec))
    yield section("Where it ran", _host(evidence))
    yield section("From here", _commands(recipe, evidence.spec, evidence.run.path, finished=result is not None))
    if rest:
        yield section("About the system", "".join(map(_paragraph, rest)))
    yield "</main>"


# --- what is told in words


def _explained(text: str) -> tuple[list[str], list[str]]:
    """The paragraphs of a system's docstring before its first heading, and those from it on.

    The letters for shapes, defined last, are for readers of the file.
    """
    blocks = [block.strip() for block in re.split(r"\n\s*\n", text) if block.strip()]
    blocks = [block for block in blocks if not block.startswith("Letters:")]
    heading = next((k for k, block in enumerate(blocks) if block.startswith("Source:")), len(blocks))
    return blocks[:heading], blocks[heading:]


def _paragraph(block: str) -> str:
    """A paragraph of a docstring: with its heading, if it has one ("Source: ..."), and its list, if it ends in one."""
    heading = re.match(r"([A-Z][a-z ]{2,40}):\s+", block)
    told, *items = re.split(r"(?:^|\n)\s*- ", block[heading.end() :] if heading else block)
    parts = [f"<h3>{escape(heading[1])}</h3>"] if heading else []
    parts += [f"<p>{_coded(told)}</p>"] if told.strip() else []
    parts += ["<ul>", *[f"<li>{_coded(item)}</li>" for item in items], "</ul>"] if items else []
    return "".join(parts)


def _coded(text: str) -> str:
    """Text of a docstring as HTML, with what stands between backquotes as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split())))


def _what_ran(evidence: Evidence) -> str:
    names = {"train": "training", "valid": "validation"}
    counts = ", ".join(
        f"{count:,} {names.get(split, split)}" for split, count in evidence.spec["examples"].items() if count
    )
    told = f"Run on {evidence.spec['data']}" + (f" ({counts}{_unit(evidence.spec)})" if counts else "")
    result = evidence.result
    if result is None:
        steps = evidence.metrics[-1]["step"] if evidence.metrics else 0
        return f"{told}. It has not finished: {many(steps, 'update')} so far."
    ended = {
        "planned": "as planned",
        "patience": "when the watched score no longer fell",
        "done": "having nothing left to learn",
    }
    parameters = f"{many(result['parameters'], 'parameter')}, " if result["parameters"] else ""  # none of what is built
    return (
        f"{told}: {parameters}{many(result['steps'], 'update')} in "
        f"{duration(result['seconds'])}, ended {ended.get(result['ended'], result['ended'])}. "
        f"Judged: {result['selection']}."
    )


def _unit(spec: dict[str, Any]) -> str:
    """What the examples of a data set are counted in, with a space before; a world says it itself: "25 states"."""
    return {"text": f" {spec.get('unit', 'character')}s", "world": ""}.get(spec["kind"], " examples")


def verdict(path: Path, result: dict[str, Any] | None) -> list[str]:
    """A sentence for every published figure: reached or not, by how much, and whether the protocol was the same."""
    if result is None:
        return [f"Not finished: `deepclassics run` with --out {path} goes on with it."]
    lines = []
    for row in result["published"]:
        published = f"published {figure(row['value'])} ({row['source']})"
        if row["measured"] is None:
            lines.append(f"{row['score']}: {published}; not measured here.")
            continue
        differs = len(row["differs"])
        protocol = f"the protocol differs in {many(differs, 'point')}" if differs else "by the published protocol"
        ending = _ending(row["score"], row["measured"] - row["value"])
        lines.append(f"{row['score']} {figure(row['measured'])}, {published}: {ending}; {protocol}.")
    return lines or ["No published figure is known for these data."]


def _ending(score: str, distance: float) -> str:
    """How a score that lies `distance` above the published one has done."""
    name = score.rpartition("/")[2]
    if name in RISING | FALLING:
        better = distance >= 0 if name in RISING else distance <= 0
        return "reached" if better else f"missed by {figure(abs(distance))}"
    return f"{figure(abs(distance))} {'above' if distance > 0 else 'below'} it" if distance else "the same"


# --- what is told in tables


def _published(rows: Sequence[dict[str, Any]]) -> str:
    def differs(row: dict[str, Any]) -> str:
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in row["differs"])
        return f"<ul>{items}</ul>" if items else "nothing that is known"

    cells = [
        [
            escape(row["score"]),
            "not measured" if row["measured"] is None else figure(row["measured"]),
            figure(row["value"]),
            escape(row["source"]) + ("" if row["verified"] else " <em>(not verified)</em>"),
            differs(row),
        ]
        for row in rows
    ]
    return table(
        ["score", "measured", "published", "source", "what differs"],
        cells,
        "Errors and accuracies are fractions. “Not verified”: not read in the source or in a copy that quotes it.",
        numbers=(1, 2),
    )


def _scores(evidence: Evidence) -> str:
    """A row a score and a column a split."""
    result = evidence.result
    scores: dict[str, float] = dict(result["scores"]) if result else {}
    if not result:
        for row in evidence.metrics:
            scores.update({name: value for name, value in row.items() if "/" in name})
    if not scores:
        return "<p>None yet.</p>"
    pairs = [name.split("/", 1) for name in scores]
    splits = sorted({split for split, _ in pairs}, key=lambda split: ("train valid test".find(split), split))
    cells = [
        [escape(score), *[figure(scores[key]) if (key := f"{split}/{score}") in scores else "" for split in splits]]
        for score in dict.fromkeys(score for _, score in pairs)
    ]
    told = "At the end of the run" if result else "The newest, of a run that has not finished"
    caption = f"{told}. Training scores are means over the last updates; the others are over all examples of the split."
    return table(["score", *splits], cells, caption, numbers=range(1, len(splits) + 1))


def _knobs(recipe: Recipe, spec: dict[str, Any]) -> str:
    cells, chosen = [], recipe.chosen(spec)
    for name, field in type(recipe).model_fields.items():
        value, usual = getattr(recipe, name), field.get_default(call_default_factory=True)
        changed = value != usual
        told = (
            f"<strong>{escape(shown(value))}</strong> (default {escape(shown(usual))})"
            if changed
            else escape(shown(value) + (f": {chosen[name]}" if name in chosen else ""))
        )
        cells.append([f"<code>{flag(name)}</code>", told, escape(field.description or "")])
    return table(["knob", "value", "what it is"], cells, "Everything that decides the result. Strong: not the default.")


def _data(spec: dict[str, Any]) -> str:
    cells = [["data", escape(str(spec["data"]))]]
    cells += [[f"{split}{_unit(spec)}", f"{count:,}"] for split, count in spec["examples"].items()]
    if "shape" in spec:
        cells.append(["shape", " × ".join(map(str, spec["shape"])) + " (channels, height, width)"])
    for bag in (column for column in spec.get("columns", ()) if column["kind"] == "bag"):
        common = ", ".join(bag["values"][:8])
        cells.append([f"words of {escape(bag['name'])}", f"{len(bag['values']):,}, the commonest: {escape(common)}"])
    if spec.get("feature_names"):
        names = spec["feature_names"]
        more = f" and {len(names) - 12} more" if len(names) > 12 else ""
        cells.append(["features", escape(", ".join(names[:12]) + more)])
    if "vocabulary" in spec:
        unit = spec.get("unit", "word" if spec["kind"] in ("sentence", "tagged") else "character")
        cells.append(["vocabulary", many(len(spec["vocabulary"]), unit)])
    target = spec.get("target", {})
    if target.get("kind") == "class":
        classes = target["classes"]
        # Pictures call by its number a class whose name they cannot write.
        numbered = not all(map(has_letters, classes))
        words = [f"#{k} {word}" if numbered else word for k, word in enumerate(classes)]
        of = f" of {escape(target['name'])}" if target["name"] else ""
        cells.append([f"classes{of}", escape(", ".join(words))])
    elif target.get("kind") == "number":
        told = f"{target['name']}, mean {figure(target['mean'])}, standard deviation {figure(target['std'])}"
        cells.append(["target", escape(told)])
    return table(["fact", "value"], cells, "Statistics are of the training examples alone.")


def _host(evidence: Evidence) -> str:
    facts = {**evidence.run.host(), "run folder": str(evidence.run.path)}
    cells = [[escape(name.replace("_", " ")), escape(shown(value))] for name, value in facts.items()]
    return table(["fact", "value"], cells, "Where it ran changes a result by rounding only.")


def _commands(recipe: Recipe, spec: dict[str, Any], path: Path, finished: bool) -> str:
    run, name = shlex.quote(str(path)), recipe.name()
    question = {
        "image": "picture.png", "table": "rows.csv", "text": "'Some text'", "world": "0", "word": "1 2 3",
        "boolean": "rows.csv", "function": "places.csv", "region": "0.5,0.2", "network": "0.35,0.9",
        "matrix": "picture.png", "tagged": "'Some sentence.'", "sentence": "'Some text.'",
        "nearest": "'king - man + woman'",
    }  # fmt: skip
    asked = recipe.question(spec) or question[recipe.asked or spec["kind"]]
    lines = [
        ("Print the result again" if finished else "Go on with the run", command(recipe, path)),
        ("Ask it about new input", f"deepclassics predict {run} {asked}"),
        ("Compare it with another run", f"deepclassics compare {run} OTHER_RUN"),
        ("Five seeds, and their spread", f"{command(recipe)} --seeds 5"),
        ("What the knobs mean", f"deepclassics show {name}"),
    ]
    return "".join(f"<p>{escape(what)}:</p><pre><code>{escape(line)}</code></pre>" for what, line in lines)


def command(recipe: Recipe, path: Path | None = None) -> str:
    """What to type for this run, and for its folder if one is given."""
    words = ["deepclassics", "run", recipe.name()]
    for name, field in type(recipe).model_fields.items():
        value = getattr(recipe, name)
        if value != field.get_default(call_default_factory=True):
            words += typed(name, value)
    return shlex.join(words + (["--out", str(path)] if path else []))


# --- what is told in pictures


def _pictures(evidence: Evidence, folder: Path) -> tuple[str, list[str]]:
    """The pictures as PNGs in `folder` and the HTML that shows them, and what they warn of."""
    try:
        pictures = evidence.recipe.pictures(evidence)
    except UserError as error:
        return f'<p class="note">{escape(str(error))}</p>', []
    html = "\n".join(drawn(picture, place, folder) for place, picture in enumerate(pictures, 1)) or "<p>None.</p>"
    warnings = []
    for picture in pictures:
        with suppress(UserError):  # it stands where the picture would be
            warnings.append(picture.warning())
    return html, list(filter(None, warnings))


def drawn(picture: Picture, place: int, folder: Path, group: str = "") -> str:
    """A picture as a PNG in `folder`, numbered by its place in its `group`, and the HTML that shows it; a note where it
    cannot be."""
    heading = f"<h3>{escape(picture.title)}</h3>"
    words = re.sub(r"[^a-z0-9]+", "-", picture.title.lower()).strip("-")
    file = folder / f"{group}{'-' if group else ''}{place:02d}-{words[:40]}.png"
    caption = f"<figcaption>{escape(picture.caption)}</figcaption>"
    with settings():
        try:
            content = picture.draw()
        except UserError as error:
            return f'{heading}<p class="note">Not drawn: {escape(str(error))}</p>'
        if isinstance(content, str):
            return f'{heading}<figure class="text"><pre>{escape(content)}</pre>{caption}</figure>'
        with writing(file):
            missing = save(content, file)
    width, height = (round(96 * inches) for inches in content.get_size_inches())
    image = f'<img src="{file.name}" width="{width}" height="{height}" alt="{escape(picture.title)}">'
    note = f'<p class="note">{MISSING}</p>' if missing else ""
    return f"{heading}<figure>{image}{caption}</figure>{note}"
