"""`predict`: a run folder, or several whose answers are averaged, asked about new input. The data set is not needed.

With `--test` it is read again, and the runs are asked about its test examples: then what each gets wrong stands beside
what the average gets wrong.

Letters: N examples, D features, K classes, M runs.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepclassics import metrics
from deepclassics.data.streams import Batch, Columns
from deepclassics.errors import UserError
from deepclassics.learn import untraced
from deepclassics.progress import figure
from deepclassics.recipe import Recipe
from deepclassics.run import Run


def kind(name: str) -> Any:
    """The module of a kind of data or of answer."""
    return importlib.import_module(f"deepclassics.data.kinds.{name}")


def answers(run: Run, recipe: Recipe, inputs: Sequence[str], options: Any, folder: Path) -> list[dict[str, Any]]:
    """One row for each thing asked about, as JSON. Pictures among the answers are written to `folder`."""
    names, answer = _asked(run, recipe, inputs, options)
    given = next(name for name in recipe.gives if name in answer)
    return kind(given).show(answer, names, run.spec(), folder)


def together(runs: Sequence[Run], inputs: Sequence[str], options: Any, folder: Path) -> list[dict[str, Any]]:
    """The average of several runs' answers, as the rows of `answers`, with what "each" of them answers (S138)."""
    _refuse_unlike(runs)
    asked = [_asked(run, run.recipe(), inputs, options) for run in runs]
    found = [answer for _, answer in asked]
    given = kind("number" if "number" in found[0] else "label")
    spec, names = runs[0].spec(), asked[0][0]
    rows = given.show(average(found), names, spec, folder)
    each = [given.show(answer, names, spec, folder) for answer in found]
    return [
        row | {"each": [single["value" if "value" in single else "label"] for single in singles]}
        for row, *singles in zip(rows, *each, strict=True)
    ]


def tested(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What each run, and the average of their answers, gets wrong on the test examples; of several also the mean of
    the single ones and the gain on it. Rows of "name" and scores, as `judged` gives them."""
    from deepclassics.report.evidence import Evidence

    if len(runs) == 1:
        _learnt(runs[0], "tested")
    else:
        _refuse_unlike(runs)
    found, parts = zip(*[Evidence(run).answers("test") for run in runs], strict=True)
    for run, part in zip(runs[1:], parts[1:], strict=True):
        if not same_examples(parts[0], part):
            raise UserError(
                f"Runs that are averaged must be tested on the same examples; those of {run.path} are others than "
                f"those of {runs[0].path}. Take data that have a test part of their own, or the same --seed and "
                f"other knobs."
            )
    singles = [judged(answer, parts[0]) for answer in found]
    rows: list[dict[str, Any]] = [{"name": str(run.path), **single} for run, single in zip(runs, singles, strict=True)]
    if len(runs) == 1:
        return rows
    mean = {name: sum(single[name] for single in singles) / len(runs) for name in singles[0]}
    whole = judged(average(found), parts[0])
    gain = {name: (whole[name] - mean[name]) * (1 if name in metrics.RISING else -1) for name in mean}
    return [
        *rows,
        {"name": f"mean of the {len(runs)}", **mean},
        {"name": f"average of their answers, over {len(parts[0]):,} examples", **whole},
        {"name": "gain", **gain},
    ]


def average(found: Sequence[Batch]) -> Batch:  # "probability" (N, K) or "number" (N,) of M runs -> the same
    """Σ_m y_m / M, of probabilities or numbers, with the label that is likeliest by it (S138)."""
    if "number" in found[0]:
        return {"number": torch.stack([answer["number"] for answer in found]).mean(0)}
    if any("probability" not in answer for answer in found):
        raise UserError(
            "Runs whose answers are averaged must answer with probabilities; these answer with classes alone."
        )
    probability = torch.stack([answer["probability"] for answer in found]).mean(0)
    return {"label": probability.argmax(1), "probability": probability}


def judged(answer: Batch, part: Columns) -> dict[str, float]:
    """Scores of answers: the error rate and the cross-entropy in nats of classes; of numbers the root of the mean
    squared error and R²."""
    if "number" in answer:
        error = answer["number"].double() - part["number"]
        r2 = metrics.r_squared(answer["number"], part["number"])
        return {"rmse": float(error.square().mean().sqrt()), "r2": float(r2)}
    found = {"error": float(metrics.error_rate(answer["label"], part["label"]))}
    if "probability" in answer:
        right = answer["probability"].double().gather(1, part["label"][:, None])
        found["loss"] = float(-right.clamp_min(1e-12).log().mean())
    return found


def same_examples(one: Columns, other: Columns) -> bool:
    """Whether two test parts hold the same examples in the same order.

    Runs of other seeds learn other means and deviations of the features from their training examples, so each feature
    need be the same but for its scale and its zero. What is right is in the user's unit and must be the same.
    """
    if one.tensors.keys() != other.tensors.keys():
        return False
    for name in one.tensors:
        if name in ("label", "number"):
            if not torch.equal(one[name], other[name]):
                return False
            continue
        first, second = (_scaled(part[name]) for part in (one, other))
        if first.shape != second.shape or not torch.allclose(first, second, atol=1e-3):
            return False
    return True


def _scaled(column: Tensor) -> Tensor:  # (N, ...) -> (N, D), each feature with mean 0 and deviation 1, or all 0
    values = column.reshape(len(column), -1).double()
    values = values - values.mean(0)
    spread = values.square().mean(0).sqrt()
    return values / torch.where(spread > 1e-9, spread, 1.0)


def _asked(run: Run, recipe: Recipe, inputs: Sequence[str], options: Any) -> tuple[list[str], Batch]:
    """The names of what is asked about, and what the run answers."""
    spec = run.spec()
    names, question = kind(recipe.asked or spec["kind"]).read(inputs, spec)
    model = recipe.model(spec)
    run.load_into(model)
    with untraced(model, seed=recipe.seed):
        answer = recipe.answer(model, question, options)
    return names, {key: _here(value) for key, value in answer.items()}


def _refuse_unlike(runs: Sequence[Run]) -> None:
    """Answers can be averaged where all are numbers of one column, or shares of the same classes, of the same input."""
    first = _learnt(runs[0], "averaged")
    for run in runs[1:]:
        other = _learnt(run, "averaged")
        for what in first:
            if first[what] != other[what]:
                raise UserError(
                    f"Runs whose answers are averaged must have learnt the same classes or numbers of one column, from "
                    f"the same input; {run.path} has other {what} than {runs[0].path}. Leave one out."
                )


def _learnt(run: Run, done: str) -> dict[str, Any]:
    """What a run has learnt, and from what input: what must be the same where runs are averaged.

    Raises:
        UserError: its answers are no classes or numbers of the data's target. `done` says what is done to them.
    """
    recipe, spec = run.recipe(), run.spec()
    target = spec.get("target")
    if target is None or recipe.gives[0] not in ("label", "number") or not recipe.answers_target:
        raise UserError(
            f"Answers that are {done} must be classes or numbers of a column that was learnt; those of {run.path}, a "
            f"run of {recipe.name()}, are of another kind."
        )
    return {
        "targets": (target["kind"], target["name"]),
        "classes": target.get("classes"),
        "inputs": [spec["kind"], *(spec.get(facts) for facts in ("order", "shape", "names"))],
    }


def text(rows: list[dict[str, Any]]) -> str:
    """The rows to read: a text alone as it is, others as lines of "name: value"."""
    lines = []
    for row in rows:
        if set(row) == {"name", "text"}:
            lines.append(row["text"])
            continue
        cells = [f"{key} {_short(value)}" for key, value in row.items() if key != "name"]
        lines.append(f"{row.get('name', '')}: {', '.join(cells)}" if "name" in row else ", ".join(cells))
    return "\n".join(lines)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return figure(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(_short(inner) for inner in value)
    return str(value)


def _here(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value
