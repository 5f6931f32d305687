"""`predict`: a run folder, or several whose answers are averaged, asked about new input. The data set is not needed.

With `--test` it is read again, and the runs are asked about its test examples: then what each gets wrong stands beside
what the average gets wrong.

Letters: N examples, D features, K classes, M runs.
"""

import csv
import importlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepclassics import metrics
from deepclassics.data.streams import LOOK, Batch, Columns, InOrder, Ragged
from deepclassics.errors import UserError
from deepclassics.learn import untraced
from deepclassics.progress import figure
from deepclassics.recipe import Recipe
from deepclassics.run import Run

BATCH = 500  # pictures answered at a time, of large ones fewer
# What an input may be, by the kind of data that is asked about: for --help.
INPUTS = {
    "boolean": "a row as 1,0,1 or a=1,b=0,c=1, or a file of rows",
    "function": "a place as 0.5,0.2 or x=0.5,y=0.2, or a table of places",
    "image": "a picture, a folder of pictures, or a pattern such as '*.png'",
    "matrix": "a picture, a file of numbers, or a matrix as '5 2 3; 1 4 2'",
    "nearest": "a word, an analogy as 'king - man + woman', or a text file of them, one a line",
    "network": "numbers between commas as 0.35,0.9: the inputs, and perhaps the targets after them",
    "region": "a point as 0.5,0.2 or x=0.5,y=0.2, or a table of points",
    "sentence": "a text, a text file with a text a line, or a table with the column that was learnt from",
    "table": "a row as 5.1,3.5 or width=5.1,height=3.5, or a table of rows",
    "tagged": "a sentence, a text file with a sentence a line, or a file of words as those learnt from",
    "text": "a text to go on from, or a text file",
    "word": "a word or words",
    "world": "a state, by its name or number",
}
PLACES = 1 << 17  # words of the texts answered at a time, each text as long as the longest of them


def kind(name: str) -> Any:
    """The module of a kind of data or of answer."""
    return importlib.import_module(f"deepclassics.data.kinds.{name}")


def asked_with(recipe: Recipe, spec: dict[str, Any]) -> str:
    """What an input of a run may be, with an example where only some will do."""
    example = recipe.question(spec)
    told = INPUTS[recipe.asked or spec["kind"]] + (f", say {example}" if example else "")
    return f"{told}; - reads standard input, an INPUT a line"


def answers(
    runs: Sequence[Run], inputs: Sequence[str], options: Any, folder: Path, skipped: dict[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """One row for each thing asked about, as JSON, while they are answered. Pictures that are answers are written to
    `folder`.

    Of several runs the answers are averaged, and a row tells what "each" of them answers (S138). Pictures that cannot
    be read raise UserError, or are left out and noted in `skipped`, {file: why}.
    """
    if len(runs) > 1:
        _refuse_unlike(runs)
    recipes, specs = [run.recipe() for run in runs], [run.spec() for run in runs]
    models = [recipe.model(spec) for recipe, spec in zip(recipes, specs, strict=True)]
    for run, model in zip(runs, models, strict=True):
        run.load_into(model)
    for asked in _questions(recipes, specs, inputs, skipped):
        names = asked[0][0]
        found = [
            _answer(recipe, model, question, options)
            for recipe, model, (_, question) in zip(recipes, models, asked, strict=True)
        ]
        whole = found[0] if len(runs) == 1 else average(found)
        given = kind(next(name for name in recipes[0].gives if name in whole))
        rows = given.show(whole, names, specs[0], folder)
        if len(runs) == 1:
            yield from rows
            continue
        singles = [given.show(answer, names, specs[0], folder) for answer in found]
        for row, *each in zip(rows, *singles, strict=True):
            yield row | {"each": [single["value" if "value" in single else "label"] for single in each]}


def _questions(
    recipes: Sequence[Recipe], specs: Sequence[dict[str, Any]], inputs: Sequence[str], skipped: dict[str, str] | None
) -> Iterator[tuple[tuple[list[str], Batch], ...]]:
    """The names of what is asked about, and the question as each run takes it, batch by batch.

    Only texts of words, and pictures that get labels, come in several batches. Runs on pictures of one shape are asked
    the same question, which is read once.
    """
    kinds = [recipe.asked or spec["kind"] for recipe, spec in zip(recipes, specs, strict=True)]
    if kinds[0] != "image":
        if skipped is not None:
            raise UserError("--skip-bad leaves out pictures that cannot be read; this run is not asked about pictures.")
        if kinds[0] not in ("sentence", "tagged"):
            yield tuple(kind(name).read(inputs, spec) for name, spec in zip(kinds, specs, strict=True))
            return
        read = [kind(name).read_rows(inputs, spec) for name, spec in zip(kinds, specs, strict=True)]
        for piece in pieces(torch.stack([found["ids"].lengths for _, found in read]).amax(0), PLACES):
            yield tuple((names[piece], {name: row[piece] for name, row in found.items()}) for names, found in read)
        return
    largest = max(prod(spec["shape"]) for spec in specs)
    batch = max(1, min(BATCH, LOOK // largest)) if recipes[0].gives[0] == "label" else 0
    shapes = [tuple(spec["shape"]) for spec in specs]
    readers = {
        shape: kind("image").read_in_batches(inputs, spec, batch, skipped)
        for shape, spec in zip(shapes, specs, strict=True)
    }
    for asked in zip(*readers.values(), strict=True):
        found = dict(zip(readers, asked, strict=True))
        yield tuple(found[shape] for shape in shapes)


def pieces(lengths: Tensor, most: int) -> Iterator[slice]:  # (N,) of int64
    """Rows in order, as many together as fill up to `most` places, or one that is longer."""
    begin, longest = 0, 0
    for number, length in enumerate(lengths.tolist()):
        longest = max(longest, length)
        if number > begin and (number - begin + 1) * longest > most:
            yield slice(begin, number)
            begin, longest = number, length
    yield slice(begin, len(lengths))


def _answer(recipe: Recipe, model: nn.Module, question: Batch, options: Any) -> Batch:
    with untraced(model, seed=recipe.seed):
        own = options if isinstance(options, recipe.options) else recipe.options()  # averaged systems may differ
        answer = recipe.answer(model, question, own)
    return {key: _here(value) for key, value in answer.items()}


def tested(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What each run, and the average of their answers, gets wrong on the test examples; of several also the mean of
    the single ones and the gain on it. Rows of "name" and scores, as `judged` gives them."""
    from deepclassics.report.evidence import Evidence

    if len(runs) == 1:
        _learnt(runs[0], "tested")
    else:
        _refuse_unlike(runs, shape=True)
    found, parts = zip(*[Evidence(run).answers("test") for run in runs], strict=True)
    texts = [run.spec().get("tested", "") for run in runs]
    for run, part, own in zip(runs[1:], parts[1:], texts[1:], strict=True):
        if own != texts[0] or not same_examples(parts[0], part, bool(own)):
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


def same_examples(one: Columns, other: Columns, texts: bool = False) -> bool:
    """Whether two test parts hold the same examples in the same order; of their `texts`, it is known that they do, for
    each run numbers words by its own training texts.

    Runs of other seeds learn other means and deviations of the features from their training examples, so each feature
    need be the same but for its scale and its zero. What is right is in the user's unit and must be the same.
    """
    if one.tensors.keys() != other.tensors.keys() or len(one) != len(other):
        return False
    for name in one.tensors:
        if name == "image":  # which may lie on the disk
            if one[name].shape != other[name].shape:
                return False
            pairs = zip(InOrder(one), InOrder(other), strict=True)
            if not all(torch.equal(first[name], second[name]) for first, second in pairs):
                return False
            continue
        if name in ("label", "number"):
            if not torch.equal(one[name], other[name]):
                return False
            continue
        if isinstance(one[name], Ragged):
            same = [torch.equal(getattr(one[name], what), getattr(other[name], what)) for what in ("starts", "values")]
            if not texts and not all(same):
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


def _refuse_unlike(runs: Sequence[Run], shape: bool = False) -> None:
    """Answers can be averaged where all are numbers of one column, or shares of the same classes, of the same input.

    The `shape` of pictures may differ where each run reads the files itself.
    """
    first = _learnt(runs[0], "averaged", shape)
    for run in runs[1:]:
        other = _learnt(run, "averaged", shape)
        for what in first:
            if first[what] != other[what]:
                raise UserError(
                    f"Runs whose answers are averaged must have learnt the same classes or numbers of one column, from "
                    f"the same input; {run.path} has other {what} than {runs[0].path}. Leave one out."
                )


def _learnt(run: Run, done: str, shape: bool = True) -> dict[str, Any]:
    """What a run has learnt, and from what input: what must be the same where runs are averaged; with the `shape` of
    pictures or without.

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
        "inputs": [spec["kind"], *(spec.get(facts) for facts in ("order", "names"))],
        **({"shapes of pictures": spec.get("shape")} if shape else {}),
    }


# What a row holds of a text that was gone on with, and of one whose names were marked: its own name is in the text.
WRITTEN = {"name", "text", "next", "probability", "words", "tags", "entities"}


def text(row: dict[str, Any]) -> str:
    """A row to read: a text as it is, with what may come next, or with its names in brackets; words, each with its
    cosine; another as a line of "name: value". Of probabilities the first will do."""
    if "text" in row and row.keys() <= WRITTEN:
        following = _pairs(row.get("next", ()), map(_short, row.get("probability", ())))
        return f"{row['text']}\nnext: {following}" if following else str(row["text"])
    if "cosines" in row:
        return f"{row['name']}: {_pairs(row['words'], (f'{cosine:.2f}' for cosine in row['cosines']))}"
    cells = [f"{key} {_short(value)}" for key, value in row.items() if key not in ("name", "probabilities")]
    return f"{row['name']}: {', '.join(cells)}" if "name" in row else ", ".join(cells)


def written(rows: Iterable[dict[str, Any]], form: str) -> Iterator[str]:
    """The rows as lines of text: "text" to read, "json" with an object a line, "csv" under a line of heads."""
    heads: list[str] = []
    for row in rows:
        if form != "csv":
            yield json.dumps(row, ensure_ascii=False) if form == "json" else text(row)
            continue
        cells = flat(row)
        if not heads:
            heads = list(cells)
            yield _comma_separated(heads)
        assert set(cells) <= set(heads), f"rows of one answer must have the same columns; {cells.keys()}, {heads}"
        yield _comma_separated(["" if cells.get(head) is None else cells[head] for head in heads])


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row as cells of a table: what holds several values takes a column for each.

    Probabilities stand under the classes' own names; a class called as another column is "probability of" it. Words of
    a text and their tags are a cell each, with blanks between them, and the names in it another, as JSON: texts differ
    in how many they have.
    """
    cells: dict[str, Any] = {}
    for key, value in row.items():
        if key == "next" and "probabilities" in row:
            continue  # two of them again
        if key == "probabilities":
            cells |= {name if name not in row else f"probability of {name}": share for name, share in value.items()}
        elif key in ("words", "tags") and isinstance(value, list) and "cosines" not in row:
            cells[key] = " ".join(value)
        elif key == "entities":
            cells[key] = json.dumps(value, ensure_ascii=False)
        elif isinstance(value, dict):
            cells |= {f"{key} {name}": inner for name, inner in value.items()}
        elif isinstance(value, list):
            cells |= {f"{key} {number}": inner for number, inner in enumerate(value, 1)}
        else:
            cells[key] = value
    return cells


def _comma_separated(cells: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # cells that hold either are quoted only with both here
    return line.getvalue()[:-2]


def _pairs(words: Iterable[str], figures: Iterable[str]) -> str:
    """Words, each before its figure; those that are blank or hold a comma are quoted."""
    pairs = zip(words, figures, strict=True)
    return ", ".join(f"{word if word.strip() and ',' not in word else repr(word)} {told}" for word, told in pairs)


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
