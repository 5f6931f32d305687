"""`look`: a classifier of pictures seen from inside, as a page with its pictures beside it.

The data set is needed for the training pictures alone that excite a unit, and for what is asked without pictures.
"""

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from deepclassics.data.kinds import image as kind
from deepclassics.data.kinds import label
from deepclassics.data.streams import Batch
from deepclassics.errors import UserError
from deepclassics.learn import untraced
from deepclassics.recipe import Picture
from deepclassics.report import explanations, seeing, stages
from deepclassics.report.evidence import Evidence
from deepclassics.report.html import section, whole
from deepclassics.report.page import drawn, replacing, writing
from deepclassics.report.style import drawable
from deepclassics.run import Run
from deepclassics.verbs import predict

MOST = 24  # pictures a time: each takes a second or more, and a place on the page
MAPPED = 3  # pictures whose maps are shown
LOOKED = 10_000  # training pictures looked through
MARK = "seen from inside"  # by which a page of `look` is known


def write(
    run: Run,
    inputs: Sequence[str],
    folder: Path,
    *,
    units: Sequence[str] = (),
    of_class: str | None = None,
    layer: str | None = None,
    shortcut: str | None = None,
    fragility: bool = False,
) -> tuple[list[dict[str, Any]], Path]:
    """Writes folder/index.html. Returns a row for each picture, unit and finding, and the path of the page.

    Without pictures and units: the first kernels, and what excites the classes and some units of a middle layer. With
    `units`, LAYER:NUMBER, what excites these instead. With pictures also what their answers rest on, of the class
    `of_class` if it is given, with Grad-CAM at `layer` if it is given. `shortcut`, "background", "mark" or "both", and
    `fragility` put the net to the test; where only they are asked for, nothing else is drawn.
    """
    evidence = Evidence(run)
    seeing.check(evidence)
    wanted = seeing.units_of(evidence, units) or seeing.default_units(evidence)
    target = None if of_class is None else seeing.class_of(evidence, of_class)
    if layer is not None:
        stages.with_maps(evidence.model, evidence.spec["shape"], layer)
    names, question = kind.read(inputs, evidence.spec) if inputs else ([], {})
    if len(names) > MOST:
        raise UserError(f"`look` explains at most {MOST} pictures a time; got {len(names)}. Give fewer.")
    if not names and (of_class is not None or layer is not None):
        flag = "--class" if of_class is not None else "--layer"
        raise UserError(
            f"{flag} is about the answers to pictures; got no picture. Give one: `look RUN IMAGE {flag} ...`."
        )
    _check_place(folder)
    tests = shortcut is not None or fragility
    sections: list[str] = []
    rows: list[dict[str, Any]] = []

    def add(title: str, html: str, found: Sequence[dict[str, Any]]) -> None:
        sections.append(section(title, html))
        rows.extend(found)

    with replacing(folder.absolute(), "Give another folder with --to.") as fresh:
        if names or units or not tests:
            pictures, found = _explained(evidence, names, question, target, layer) if names else ([], [])
            excited = seeing.excited(evidence, wanted, LOOKED)
            pictures += [] if units else [seeing.first_kernels(evidence)]
            pictures += [picture for each in excited for picture in each.pictures()]
            found += [row for each in excited for row in each.rows()] if units else []
            add("Pictures", "\n".join(drawn(each, k, fresh) for k, each in enumerate(pictures, 1)), found)
        if shortcut is not None:
            from deepclassics.report import shortcut as shortcuts

            add("Shortcuts", *shortcuts.section(evidence, fresh, kind=shortcut))
        if fragility:
            from deepclassics.report import fragility as attacks

            add("Fragility", *attacks.section(evidence, fresh))
        title = f"{evidence.recipe.name()} on {evidence.spec['data']}, {MARK}"
        body = f"<header><h1>{escape(title)}</h1><p>{escape(_told(run))}</p></header>\n<main>{''.join(sections)}</main>"
        with writing(folder):
            (fresh / "index.html").write_text(whole(title, body), encoding="utf-8")
    return rows, folder / "index.html"


def _check_place(folder: Path) -> None:
    """Refuses a place that holds anything but an earlier page: the new one replaces all that is there."""
    if not folder.exists():
        return
    page = folder / "index.html"
    kinds = {file.suffix for file in folder.iterdir()} if folder.is_dir() else {""}
    if kinds and not (kinds <= {".html", ".png"} and page.exists() and MARK in page.read_text(encoding="utf-8")):
        raise UserError(
            f"{folder} must be a new folder, or hold a page of `look` alone, which is replaced. Give another with --to."
        )


def text(rows: Sequence[dict[str, Any]], page: Path) -> str:
    """The rows to read, and where the page is."""
    return "\n".join([*map(predict.text, rows), str(page)])


def _explained(
    evidence: Evidence, names: Sequence[str], question: Batch, target: int | None, layer: str | None
) -> tuple[list[Picture], list[dict[str, Any]]]:
    """What the answers rest on, of class `target` or of the one answered, the maps of the first pictures, and the rows
    of `predict` with the score explained."""
    model, spec = evidence.model, evidence.spec
    classes, answer = spec["target"]["classes"], _answer(evidence, question)
    rows = label.show(answer, list(names), spec, Path())
    words = drawable(classes, 16)
    share = answer["probability"].max(1).values.tolist() if "probability" in answer else [None] * len(names)
    asked = []
    for k, (row, given) in enumerate(zip(rows, answer["label"].tolist(), strict=True)):
        shown = given if target is None else target
        row |= {} if target is None else {"explained": classes[shown]}
        row["score"] = float(answer["score"][k, shown])
        said = explanations.words(words[given], share[k], explained=words[shown] if shown != given else "")
        asked.append(explanations.Asked(question["image"][k], shown, f"{drawable([Path(names[k]).name])[0]}\n{said}"))
    pictures = [
        Picture(
            "What the answers rest on",
            f"Under the name of each picture the answer and its probability. {explanations.CAPTION}",
            lambda: explanations.figure(model, asked, spec["mean"], layer),
        )
    ]
    for name, each in list(zip(names, asked, strict=True))[:MAPPED]:
        told = f"What the layers make of the picture, from the first to the last. {seeing.MAPS}"
        draw = partial(seeing.feature_maps, evidence, each.image)
        pictures.append(Picture(f"Feature maps of {Path(name).name}", told, draw))
    return pictures, rows + _without_captum()


def _answer(evidence: Evidence, question: Batch) -> Batch:
    """What the run answers: "label", "probability" and, of the net itself, "score"."""
    recipe, model = evidence.recipe, evidence.model
    with untraced(model, seed=recipe.seed):
        return recipe.answer(model, question, recipe.options()) | {"score": model(question["image"])}


def _without_captum() -> list[dict[str, Any]]:
    try:
        explanations.attribution()
    except UserError as error:
        return [{"missing": str(error)}]
    return []


def _told(run: Run) -> str:
    return (
        f"What the net of the run {run.path} looks for, what excites its units, and which pixels its answers rest on. "
        f"Looking changes nothing in the run."
    )
