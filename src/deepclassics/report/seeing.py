"""A classifier of pictures seen from inside: kernels, maps, what excites its units, and what its answers rest on.

The report shows a few of these, `deepclassics look` all of them, for pictures and units of the user's choice. Notes:
S164, S165, S309.

Letters: C channels, H by W pixels.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from deepclassics.errors import UserError, meant
from deepclassics.recipe import Picture
from deepclassics.report import exciting, explanations, features, kernels, stages
from deepclassics.report.explanations import Asked, words
from deepclassics.report.maximise import maximise
from deepclassics.report.stages import SCORES, Layer
from deepclassics.report.style import drawable, sheet
from deepclassics.report.tiles import spread, tiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

CLASSES = 20  # class units shown where no others are asked for
UNITS = 8  # units shown of the middle layer
LAYERS = 8  # layers of which maps are shown
STEPS = 100  # of the climb to the input that excites a unit
LOOKED = 2000  # training pictures looked through for the report
ORDINARY = 2e8  # multiply-adds of a training step for a picture, up to which a net gets all this; one larger gets less
BEYOND = (0.78, 0.87, 0.95)  # colour of what lies beyond a picture's edge
EXPLAINED = 6  # test pictures explained in the report


@dataclass(frozen=True)
class Units:
    """Some units of one layer, with what each is called."""

    layer: Layer
    numbers: tuple[int, ...]
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "the classes" if self.layer.name == SCORES else f"units of {self.layer.name}"


def pictures(evidence: "Evidence") -> list[Picture]:
    """For the report of a classifier of pictures; some 15 seconds for a ResNet-20 on one core."""
    spec = evidence.spec

    def maps() -> "Figure":
        return feature_maps(evidence, evidence.answers()[1].take(slice(0, 1))["image"][0])

    def reasons() -> "Figure":
        explanations.attribution()  # before the test examples are answered: without it all that would be for nothing
        return explanations.figure(evidence.model, _some_tested(evidence), spec["mean"])

    return [
        first_kernels(evidence),
        Picture("Feature maps", f"What the layers make of the first test picture. {MAPS}", maps),
        *[picture for each in excited(evidence, default_units(evidence), LOOKED) for picture in each.pictures()],
        Picture(
            "What the answers rest on",
            f"Test pictures, those answered wrongly with the most confidence first. {explanations.CAPTION}",
            reasons,
        ),
    ]


# --- what is asked for


def check(evidence: "Evidence") -> None:
    """Refuses runs that cannot be looked into: they must learn classes of pictures, and score every class."""
    recipe, spec = evidence.recipe, evidence.spec
    target = spec.get("target") or {}
    if spec["kind"] != "image" or "label" not in recipe.gives or not recipe.answers_target or "classes" not in target:
        raise UserError(
            f"`look` sees inside nets that tell the class of a picture; {evidence.run.path}, a run of {recipe.name()} "
            f"on {spec['data']}, is no such net. Give a run on pictures with classes, say of lenet5."
        )
    with torch.no_grad():
        scores = evidence.model(torch.full((1, *spec["shape"]), 0.5))
    if not isinstance(scores, Tensor) or scores.shape != (1, len(target["classes"])):
        raise UserError(
            f"`look` needs a net that gives each class of a picture a score; {recipe.name()} does not. "
            f"Give a run of another system on pictures, say of lenet5."
        )


def units_of(evidence: "Evidence", asked: Sequence[str]) -> list[Units]:
    """The units that are asked for as LAYER:NUMBER, by layer."""
    chosen: dict[str, list[int]] = {}
    for word in asked:
        name, colon, number = word.rpartition(":")
        if not colon or not name or not number.isdecimal():
            raise UserError(
                f"--unit must be a layer and a number with a colon between them, as {_example(evidence)}; got '{word}'."
            )
        layer = stages.find(evidence.model, evidence.spec["shape"], name)
        if int(number) >= layer.units:
            raise UserError(f"{name} has {layer.units} units, numbered from 0 to {layer.units - 1}; got --unit {word}.")
        chosen.setdefault(name, []).append(int(number))
    layers = {name: stages.find(evidence.model, evidence.spec["shape"], name) for name in chosen}
    return [
        Units(layers[name], tuple(numbers), tuple(f"{name}:{number}" for number in numbers))
        for name, numbers in ((name, dict.fromkeys(numbers)) for name, numbers in chosen.items())
    ]


def default_units(evidence: "Evidence") -> list[Units]:
    """The scores of the classes, and the first units of a middle layer."""
    classes = evidence.spec["target"]["classes"]
    count = min(bounded(evidence, CLASSES, least=4), len(classes))
    chosen = [Units(Layer(SCORES, (len(classes),)), tuple(range(count)), tuple(drawable(classes, 16)[:count]))]
    layer = stages.middle(evidence.model, evidence.spec["shape"])
    if layer is not None:
        numbers = tuple(range(min(bounded(evidence, UNITS, least=4), layer.units)))
        chosen.append(Units(layer, numbers, tuple(f"{layer.name}:{number}" for number in numbers)))
    return chosen


def bounded(evidence: "Evidence", most: int, *, least: int) -> int:
    """`most`, or of a net that takes more work than is ordinary fewer in proportion, but `least`."""
    return max(least, min(most, int(most * ORDINARY / max(evidence.recipe.work(evidence.spec), 1.0))))


def class_of(evidence: "Evidence", name: str) -> int:
    """The number of the class of that name; one that is not there is refused with those that are."""
    classes: list[str] = evidence.spec["target"]["classes"]
    if name not in classes:
        more = f" and {len(classes) - stages.MANY} more" if len(classes) > stages.MANY else ""
        raise UserError(
            f"There is no class '{name}' in this run.{meant(name, classes)} "
            f"Its classes are {', '.join(classes[: stages.MANY])}{more}."
        )
    return classes.index(name)


# --- the pictures


def first_kernels(evidence: "Evidence") -> Picture:
    shape = evidence.spec["shape"]
    return Picture("First-layer kernels", kernels.caption(shape), lambda: kernels.figure(evidence.model, shape))


MAPS = (
    "Every layer has one scale: white is 0, orange above and blue below it, the deepest colour its largest magnitude. "
    "Early maps still look like the picture; later ones tell where something was found, and last that it was."
)


def feature_maps(evidence: "Evidence", image: Tensor) -> "Figure":  # (C, H, W) in [0, 1]
    path = [layer.name for layer in stages.stages(evidence.model, evidence.spec["shape"])]
    return features.features(evidence.model, image, [path[place] for place in spread(len(path), LAYERS)])


def excited(evidence: "Evidence", chosen: Sequence[Units], most: int) -> list["Excited"]:
    """What excites the chosen units. Of the training pictures `most` are looked through, of a large net fewer, once
    for all units and when first asked for."""
    most = min(bounded(evidence, most, least=100), evidence.spec["examples"]["train"])

    @cache
    def strongest() -> dict[str, exciting.Strongest]:
        wanted = {units.layer.name: units.numbers for units in chosen}
        return exciting.strongest(evidence.model, evidence.splits().train, wanted, most=most)

    return [Excited(evidence, units, most, strongest) for units in chosen]


class Excited:
    """What excites some units: inputs that are made, and the training pictures out of `most` that do so most.

    `strongest` finds the latter, by layer, and raises UserError where the data are gone.
    """

    def __init__(
        self, evidence: "Evidence", units: Units, most: int, strongest: Callable[[], dict[str, exciting.Strongest]]
    ) -> None:
        self.evidence, self.units, self.most = evidence, units, most
        self.strongest = lambda: strongest()[units.layer.name]

    @cached_property
    def made(self) -> tuple[Tensor, Tensor]:  # (U, C, h, w), (U,)
        """The inputs, cut to the receptive field of the middle of a map, and how much they excite."""
        spec, units = self.evidence.spec, self.units
        return maximise(
            self.evidence.model, units.layer, units.numbers, spec["shape"], spec["mean"],
            seed=self.evidence.recipe.seed, steps=bounded(self.evidence, STEPS, least=40),
        )  # fmt: skip

    def pictures(self) -> list[Picture]:
        layer, units = self.units.layer, self.units
        train = self.evidence.spec["examples"]["train"]
        some = f"{self.most:,} of the {train:,} training pictures, evenly spread"
        through = f"all {train:,} training pictures" if train <= self.most else some
        unit, plural = ("class", "classes") if layer.name == SCORES else ("unit", "units")
        number = "the score of the class, before the softmax" if unit == "class" else "how much it excites the unit"
        where = ", at the middle of its map" if layer.has_maps else ""
        cut = "cut to what the unit sees, pale blue beyond the edge of the picture" if layer.has_maps else "whole"
        count = (
            f" {len(units.numbers)} of {layer.units:,} {plural} are shown." if len(units.numbers) < layer.units else ""
        )
        return [
            Picture(
                f"Inputs made to excite {units}",
                f"What each {unit} asks for: climbed to from noise, up the slope of its answer, with a pull towards "
                f"the mean colour and away from fine detail (activation maximisation)"
                f"{', and cut to what the unit sees' if layer.has_maps else ''}. It need not look like any picture of "
                f"the data. The number is {number}{where}; where a climb ends early and a training picture gets a "
                f"larger one, that stands beneath it.{count}",
                self._draw_made,
            ),
            Picture(
                f"The training pictures that excite {units} most",
                f"A row for each {unit}, the strongest first, {cut}, out of {through}. What the pictures of a row "
                f"share is what the {unit} stands for. The number is {number}, of the first.{count}",
                self._draw_strongest,
            ),
        ]

    def rows(self) -> list[dict[str, Any]]:
        """{"unit", "made": how much the input made for it excites it, "training": how much the strongest ones do}"""
        made = self.made[1].tolist()
        try:
            training = self.strongest().value.tolist()
        except UserError:
            return [{"unit": name, "made": value} for name, value in zip(self.units.names, made, strict=True)]
        return [
            {"unit": name, "made": value, "training": values}
            for name, value, values in zip(self.units.names, made, training, strict=True)
        ]

    def _draw_made(self) -> "Figure":
        image, reached = self.made
        heads = _numbered(self.units.names, reached)
        with suppress(UserError):  # without the data there is nothing to compare with
            best = self.strongest().value[:, 0]
            heads = [
                f"{head}\ntraining: {value:.3g}" if more else head
                for head, value, more in zip(heads, best.tolist(), (best > reached).tolist(), strict=True)
            ]
        return _named(image, heads)

    def _draw_strongest(self) -> "Figure":
        best, columns = self.strongest(), self.evidence.splits().train
        image = columns.take(best.index.flatten())["image"].unflatten(0, best.index.shape)
        shown = exciting.crops(self.evidence.model, self.units.layer, self.units.numbers, image)
        shown = shown.expand(-1, -1, 3, -1, -1)
        shown = torch.where(shown.isnan(), torch.tensor(BEYOND).view(3, 1, 1), shown)
        return tiles(shown, rows=_numbered(self.units.names, best.value[:, 0]))


def _numbered(names: Sequence[str], values: Tensor) -> list[str]:  # (U,)
    return [f"{name}: {value:.3g}" for name, value in zip(names, values.tolist(), strict=True)]


def _named(image: Tensor, heads: Sequence[str]) -> "Figure":  # (U, C, H, W) in [0, 1]
    """Pictures with their names above them."""
    longest = max(len(line) for head in heads for line in head.splitlines())
    across = min(len(heads), max(3, min(8, 90 // longest)))
    down = -(-len(heads) // across)
    cell = min(1.3, 8.4 / across)
    drawn = sheet(cell * across, down * (cell * image.shape[2] / image.shape[3] + 0.25))
    panels = drawn.subplots(down, across, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, one, head in zip(panels, image, heads, strict=False):
        axes.imshow(one.expand(3, -1, -1).movedim(0, -1).numpy(), interpolation="nearest")
        axes.set_title(head, fontsize=8, fontweight="normal")
    return drawn


def _some_tested(evidence: "Evidence") -> list[Asked]:
    """Test pictures for the report: half of them wrong ones, as far as there are any, the surest first."""
    given, part = evidence.answers()
    share = given["probability"].max(1).values
    order = share.argsort(descending=True, stable=True)
    count = bounded(evidence, EXPLAINED, least=2)
    wrong = order[(given["label"] != part["label"])[order]][: count // 2]
    right = order[(given["label"] == part["label"])[order]]
    # Right ones as they come, not the surest: these are all of the easiest class.
    right = right.sort().values[: count - len(wrong)]
    chosen = torch.cat([wrong, right])
    names = drawable(evidence.spec["target"]["classes"], 16)
    asked = []
    for image, place in zip(part.take(chosen)["image"], chosen.tolist(), strict=True):
        answer, label = int(given["label"][place]), int(part["label"][place])
        said = words(names[answer], float(share[place]), names[label] if answer != label else "")
        asked.append(Asked(image, answer, said))
    return asked


def _example(evidence: "Evidence") -> str:
    layer = stages.middle(evidence.model, evidence.spec["shape"])
    return f"{layer.name}:0" if layer else "LAYER:0"
