"""What a report may look at: all that a run folder holds, and the model's answers, never a live object."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from deepclassics.data.streams import (
    Batch,
    Chunks,
    Columns,
    InOrder,
    Opened,
    Passage,
    Shuffled,
    Splits,
    Stream,
    Whole,
    World,
)
from deepclassics.errors import UserError
from deepclassics.learn import untraced
from deepclassics.recipe import Recipe
from deepclassics.run import Run, difference

BATCH = 500  # examples answered at a time, of large ones fewer


class Evidence:
    """A run folder as a recipe's pictures see it. Everything is read when first asked for, and once."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._answers: dict[str, tuple[Batch, Columns]] = {}

    @cached_property
    def recipe(self) -> Recipe:
        return self.run.recipe()

    @cached_property
    def spec(self) -> dict[str, Any]:
        return self.run.spec()

    @cached_property
    def model(self) -> nn.Module:
        """The model with the weights that the run stands by, in evaluation mode, on the CPU."""
        model = self.recipe.model(self.spec)
        self.run.load_into(model)
        return model.eval()

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl."""
        return self.run.metrics()

    @cached_property
    def snapshots(self) -> list[tuple[int, dict[str, Tensor]]]:
        """(updates done, what the learner's `snapshot` gave then), in order."""
        return self.run.snapshots()

    @cached_property
    def result(self) -> dict[str, Any] | None:
        """What result.json holds; None where the run has not finished."""
        return self.run.result()

    def splits(self) -> Splits:
        """The data of the run, read again. Raises UserError where they are gone, or are no longer the same."""
        if isinstance(self._splits, UserError):
            raise self._splits
        return self._splits

    @cached_property
    def _splits(self) -> Splits | UserError:
        """The data, or why there are none: a dead address is tried once, not once a picture."""
        try:
            data = self.recipe.reload(self.spec)
        except UserError as error:
            return error
        changed = difference(self.spec, data.spec, "")
        if changed:
            return UserError(
                f"{self.recipe.data} must hold the data that this run learnt from; {changed} has changed since. "
                f"Put them back, or run again in another --out."
            )
        return Splits(self.spec, _held(data.train), _held(data.valid), _held(data.test))

    def answers(self, split: str = "test") -> tuple[Batch, Columns]:
        """What the model answers to every example of a split, and the split itself with what is right.

        The first holds the columns of `recipe.answer` ("label", "probability", "number", ...), the second those of
        the data ("image" or "features", and "label" or "number"), row for row.
        """
        if split not in self._answers:
            columns = getattr(self.splits(), split)
            if not isinstance(columns, Columns) or not len(columns):
                raise UserError(f"This run has no {split} examples that could be answered.")
            self._answers[split] = (self.ask(columns), columns)
        return self._answers[split]

    def ask(self, columns: Columns) -> Batch:
        """The model's answers to examples: those columns of `recipe.answer` that are tensors."""
        options = self.recipe.options()
        pieces = []
        with untraced(self.model):
            for question in InOrder(columns, BATCH):
                pieces.append(self.recipe.answer(self.model, question, options))
        names = [name for name, value in pieces[0].items() if isinstance(value, Tensor)]
        return {name: torch.cat([piece[name] for piece in pieces]) for name in names}


def _held(stream: Stream | None) -> Any:
    """What a stream draws its batches from."""
    if isinstance(stream, Shuffled | InOrder | Whole | Opened):
        return stream.columns
    if isinstance(stream, Chunks | Passage):
        return stream.ids
    return stream.world if isinstance(stream, World) else None
