"""Recipes: everything that decides the result of a run, as one frozen, typed object; found by the system's name.

The one class derived from `Recipe` in a system's file is its recipe.
"""

import importlib
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from deepclassics.flags import Knobs
from deepclassics.systems import check, names

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure
    from torch import nn

    from deepclassics.data.streams import Batch, Data
    from deepclassics.learn import Learner
    from deepclassics.loop import Plan
    from deepclassics.report.evidence import Evidence

# Knobs that many recipes share: one name, one meaning, one bound everywhere.
Rate = Annotated[float, Field(gt=0, description="learning rate")]
BatchSize = Annotated[
    int, Field(ge=1, description="examples per update, over all ranks; as many as there are, or more: all of them")
]
Epochs = Annotated[float, Field(gt=0, description="passes over the training examples")]
Share = Annotated[float, Field(ge=0, lt=1)]
Decay = Annotated[float, Field(ge=0)]
Rule = Annotated[
    Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw"],
    Field(description="torch's optimizer of that name"),
]
Course = Annotated[
    Literal["constant", "linear", "cosine", "step", "exponential", "halving", "inverse", "onecycle"],
    Field(description="of the learning rate over the run"),
]
Clip = Annotated[float | None, Field(gt=0)]


@dataclass(frozen=True)
class Published:
    """A figure somebody published, to stand beside ours.

    `on` is the data set, `score` the name of our score that means the same ("test/error"), `verified` whether the
    figure was read in its source or in a copy that quotes it. `protocol` says under what circumstances it was got,
    {"epochs": 20, "selection": "last weights", ...}; what of it differs from a run is printed beside that run. Keys
    that are knobs of the recipe, or that its `protocol` method or the loop gives, are compared; the others are told.
    """

    on: str
    score: str
    value: float
    source: str
    verified: bool = True
    protocol: dict[str, Any] = field(default_factory=dict)
    when: dict[str, Any] = field(default_factory=dict)  # circumstances without which it is a figure of something else


@dataclass(frozen=True)
class Picture:
    """One picture of a report. `draw` makes it when the page is written, so a missing data set costs one picture.

    What is best read, as samples of text, is a picture too: then `draw` gives the text, shown as it is. `warning` is
    what nobody may overlook, told where the page begins; "" where there is nothing to warn of.
    """

    title: str
    caption: str
    draw: "Callable[[], Figure | str]"
    warning: Callable[[], str] = lambda: ""


class Recipe(Knobs):
    """One system with its settings: data, model, learner and plan, and what predict and report need of it."""

    takes: ClassVar[
        tuple[str, ...]
    ]  # kinds of data it learns from and is asked with: "image", "table", "text", "world"
    gives: ClassVar[tuple[str, ...]]  # kinds of answer, the one whose column is there: "label", "number", "image" ...
    asked: ClassVar[str] = ""  # what predict is given, where that is not the kind of the data
    answers_target: ClassVar[bool] = True  # whether labels or numbers it gives are the target's; clusters are not
    published: ClassVar[tuple[Published, ...]] = ()
    options: ClassVar[type[Knobs]] = Knobs  # what `predict` can be told besides its input

    data: str = Field(description="a named data set (`deepclassics data list`), or a path to your own")
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="of the first weights, the order of the examples, and their split"
    )

    @classmethod
    def name(cls) -> str:
        """The system's name: the name of its file."""
        return cls.__module__.rpartition(".")[2]

    @abstractmethod
    def load(self) -> "Data":
        """The data it learns from, as streams of batches."""

    def reload(self, spec: dict[str, Any]) -> "Data":
        """The data of a run that has begun, read again. Their facts were `spec`; what it started from may be gone."""
        return self.load()

    @abstractmethod
    def model(self, spec: dict[str, Any]) -> "nn.Module":
        """The net for data of these facts. Needs nothing but `spec`."""

    def inherit(self, model: "nn.Module", spec: dict[str, Any]) -> None:
        """Gives a new model what it starts from besides its first weights. Not called where a run goes on."""

    @abstractmethod
    def learner(self, model: "nn.Module") -> "Learner":
        """Whoever trains `model`."""

    @abstractmethod
    def plan(self, data: "Data") -> "Plan":
        """How long, how often to look, and when to stop."""

    @abstractmethod
    def answer(self, model: "nn.Module", question: "Batch", options: Any) -> "Batch":
        """What predict shows for a batch of user's input, in evaluation mode and without gradients: the columns that
        the kind of answer in `gives` shows."""

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        """The pictures of its report."""
        return []

    def conclude(self, learner: "Learner", data: "Data") -> tuple[dict[str, float], list[str]]:
        """What can be said once, at the end: scores by full name ("train/mistakes"), and remarks in whole sentences."""
        return {}, []

    def files(self, model: "nn.Module", spec: dict[str, Any]) -> "dict[str, Callable[[Path], None]]":
        """Files that other programs read, for the run folder once the run ends: by name, what writes it at a path."""
        return {}

    def chosen(self, spec: dict[str, Any]) -> dict[str, Any]:
        """What the knobs left to "auto" come to on data of these facts: {"backward": "written", ...}."""
        return {}

    def question(self, spec: dict[str, Any]) -> str:
        """What predict may be asked, quoted for a shell; "" where any question of its kind will do."""
        return ""

    def work(self, spec: dict[str, Any]) -> float:
        """Multiply-adds that an update takes for an example, forward and backward; 0 where the host need not know.

        What is large gets bfloat16, where the machine has it: only for nets whose errors are the same with it.
        """
        return 0.0

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Circumstances beyond the knobs that published figures differ in: {"preprocessing": ..., ...}."""
        return {}


def find(name: str) -> type[Recipe]:
    """The recipe of a system. Imports its file, and with it torch."""
    module = importlib.import_module(names()[check(name)])
    own = [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Recipe) and thing.__module__ == module.__name__
    ]
    assert len(own) == 1, f"{module.__name__} must hold exactly one Recipe; it holds {len(own)}"
    return own[0]
