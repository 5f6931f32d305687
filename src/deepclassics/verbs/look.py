"""`look`: a classifier of pictures seen from inside, as a page with its pictures beside it.

The data set is needed for the training pictures alone that excite a unit, and for what is asked without pictures.
"""

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import torch

from deepclassics.data.kinds import image as kind
from deepclassics.data.kinds import label
from deepclassics.data.streams import Batch
from deepclassics.errors import UserError
from deepclassics.learn import untraced
from deepclassics.recipe import Picture
from deepclassics.report import explanations, seeing, stages
from deepclassics.report.evidence import Evidence
from deepclassics.report.html import section, whole
from deepclassics.report.page import drawn
from deepclassics.report.style import drawable
from deepclassics.run import Run
from deepclassics.verbs import predict

MOST = 24  # pictures a time: each takes a second or more, and a place on the page
MAPPED = 3  # pictures whose maps are shown
LOOKED = 10_000  # training pictures looked through


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

    `units` are LAYER:NUMBER; `of_class` is the class explained, where it is not the one answered; `layer` is where
    Grad-CAM looks. `shortcut`, "background", "mark" or "both", and `fragility` put the net to the test; where only
    they are asked for, nothing else is drawn.
    """
    evidence = Evidence(run)
    seeing.check(evidence)
    model, spec = evidence.model, evidence.spec
    wanted = seeing.units_of(evidence, units) or seeing.default_units(evidence)
    target = None if of_class is None else seeing.class_of(evidence, of_class)
    if layer is not None:
        stages.with_maps(model, spec["shape"], layer)
    names, question = kind.read(inputs, spec) if inputs else ([], {})
    if len(names) > MOST:
        raise UserError(f"`look` explains at most {MOST} pictures a time; got {len(names)}. Give fewer.")
    rows: list[dict[str, Any]] = []
    parts: list[tuple[str, str]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tests = shortcut is not None or fragility
        if names or units or not tests:
            pictures = []
            if names:
                answer = _answer(evidence, question)
                shown = answer["label"].tolist() if target is None else [target] * len(names)
                rows += _rows(names, answer, shown, spec, target is not None)
                rows += _without_captum()
                pictures += _of_pictures(evidence, names, question["image"], answer, shown, layer)
            excited = [seeing.Excited(evidence, each, LOOKED) for each in wanted]
            pictures += [] if units else [seeing.first_kernels(evidence)]
            pictures += [picture for each in excited for picture in each.pictures()]
            parts.append(("Pictures", "\n".join(drawn(each, k, folder) for k, each in enumerate(pictures, 1))))
            rows += [row for each in excited for row in each.rows()] if units else []
        if shortcut is not None:
            from deepclassics.report import shortcut as shortcuts

            html, findings = shortcuts.section(evidence, folder, kind=shortcut)
            parts.append(("Shortcuts", html))
            rows += findings
        if fragility:
            from deepclassics.report import fragility as attacks

            html, findings = attacks.section(evidence, folder)
            parts.append(("Fragility", html))
            rows += findings
        title = f"{evidence.recipe.name()} on {spec['data']}, seen from inside"
        body = f"<header><h1>{escape(title)}</h1><p>{escape(_told(run))}</p></header>\n<main>"
        body += "".join(section(*part) for part in parts) + "</main>"
        (folder / "index.html").write_text(whole(title, body), encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{folder} could not be written: {reason}. Give another folder with --to.") from None
    return rows, folder / "index.html"


def text(rows: Sequence[dict[str, Any]], page: Path) -> str:
    """The rows to read, and where the page is."""
    return "\n".join([*map(predict.text, rows), str(page)])


def _answer(evidence: Evidence, question: Batch) -> Batch:
    """What the run answers: "label", "probability" and, of the net itself, "score"."""
    recipe, model = evidence.recipe, evidence.model
    with untraced(model, seed=recipe.seed):
        return recipe.answer(model, question, recipe.options()) | {"score": model(question["image"])}


def _rows(
    names: Sequence[str], answer: Batch, shown: Sequence[int], spec: dict[str, Any], asked: bool
) -> list[dict[str, Any]]:
    """The rows of `predict`, with the class that is explained, where it was `asked` for, and the score explained."""
    classes = spec["target"]["classes"]
    rows = label.show(answer, list(names), spec, Path())
    for k, (row, target) in enumerate(zip(rows, shown, strict=True)):
        if asked:
            row["explained"] = classes[target]
        row["score"] = float(answer["score"][k, target])
    return rows


def _without_captum() -> list[dict[str, Any]]:
    try:
        explanations.attribution()
    except UserError as error:
        return [{"missing": str(error)}]
    return []


def _of_pictures(
    evidence: Evidence,
    names: Sequence[str],
    image: torch.Tensor,
    answer: Batch,
    shown: Sequence[int],
    layer: str | None,
) -> list[Picture]:  # image (N, C, H, W) in [0, 1]
    """What the answers about pictures rest on, and the maps of the first pictures."""
    model, spec = evidence.model, evidence.spec
    classes = drawable(spec["target"]["classes"], 16)
    share = answer["probability"].max(1).values.tolist() if "probability" in answer else [None] * len(names)
    asked = []
    for k, (one, target) in enumerate(zip(image, shown, strict=True)):
        given = int(answer["label"][k])
        said = explanations.words(classes[given], share[k], explained=classes[target] if target != given else "")
        asked.append(explanations.Asked(one, target, f"{drawable([Path(names[k]).name])[0]}\n{said}"))
    pictures = [
        Picture(
            "What the answers rest on",
            f"Under the name of each picture the answer and its probability. {explanations.CAPTION}",
            lambda: explanations.figure(model, asked, spec["mean"], layer),
        )
    ]
    for name, one in list(zip(names, image, strict=True))[:MAPPED]:
        told = f"What the layers make of the picture, from the first to the last. {seeing.MAPS}"
        draw = partial(seeing.feature_maps, evidence, one)
        pictures.append(Picture(f"Feature maps of {Path(name).name}", told, draw))
    return pictures


def _told(run: Run) -> str:
    return (
        f"What the net of the run {run.path} looks for, what excites its units, and which pixels its answers rest on. "
        f"Looking changes nothing in the run."
    )
