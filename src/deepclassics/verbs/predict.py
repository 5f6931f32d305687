"""`predict`: a run folder asked about new input. The data set is not needed."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from deepclassics.learn import untraced
from deepclassics.progress import figure
from deepclassics.recipe import Recipe
from deepclassics.run import Run


def kind(name: str) -> Any:
    """The module of a kind of data or of answer."""
    return importlib.import_module(f"deepclassics.data.kinds.{name}")


def answers(run: Run, recipe: Recipe, inputs: Sequence[str], options: Any, folder: Path) -> list[dict[str, Any]]:
    """One row for each thing asked about, as JSON. Pictures among the answers are written to `folder`."""
    spec = run.spec()
    names, question = kind(recipe.asked or spec["kind"]).read(inputs, spec)
    model = recipe.model(spec)
    run.load_into(model)
    with untraced(model, seed=recipe.seed):
        answer = recipe.answer(model, question, options)
    given = next(name for name in recipe.gives if name in answer)
    return kind(given).show({key: _here(value) for key, value in answer.items()}, names, spec, folder)


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
