"""How well names are marked: which types are taken for which, where a tagger fails, and what tags it lets follow.

Letters: S words of all sentences, Y types of names, K tags.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.data.kinds.tagged import decode
from deepclassics.data.kinds.tags import marked
from deepclassics.data.tags import Entity, Scheme, entities, may_follow, numbered
from deepclassics.metrics import precision_recall_f1
from deepclassics.progress import many
from deepclassics.recipe import Picture
from deepclassics.report.confusion import confusion
from deepclassics.report.style import BLUE, INK, VERMILLION, drawable, grid, percent, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

NONE = "no name"
LENGTHS = ((1, 9), (10, 19), (20, 29), (30, 10**9))  # words of a sentence
SHOWN, READABLE = 24, 30  # sentences that are shown, and the words of the longest of them


@dataclass(frozen=True)
class Sentence:
    """A sentence of a split with the names that are right and those that were given."""

    words: list[str]
    unknown: list[bool]  # which of them do not come in training
    right: list[Entity]
    given: list[Entity]


def sentences(evidence: "Evidence", split: str = "test") -> list[Sentence]:
    """Those of a split, answered."""
    answer, columns = evidence.answers(split)
    known = numbered(evidence.spec["target"]["types"], "BIO")
    given, right = ([known[tag] for tag in tags.tolist()] for tags in (answer["tags"], columns["tags"].values))
    letters, unknown = columns["letters"].values.tolist(), (columns["ids"].values == 1).tolist()
    starts = columns["ids"].starts.tolist()
    return [
        Sentence(
            [decode(word, evidence.spec) for word in letters[begin:end]],
            unknown[begin:end],
            entities(right[begin:end]),
            entities(given[begin:end]),
        )
        for begin, end in pairwise(starts)
    ]


def pictures(evidence: "Evidence", split: str = "test") -> list[Picture]:
    """The types taken for each other, F1 where it differs, and sentences that are wrong."""
    found: list[Sentence] = []

    def held() -> list[Sentence]:
        found.extend([] if found else sentences(evidence, split))
        return found

    return [
        Picture(
            "Types taken for each other",
            f"Names of the {split} part whose first and last word are right, by their right type (rows) and the type "
            f'given (columns). The row "{NONE}" holds what was marked and is no name, or has other first or last '
            f'words than one; the column "{NONE}" the names that were missed, or marked with other words. Where both '
            "meet, on grey, there is nothing to count.",
            lambda: types(held(), evidence.spec["target"]["types"]),
        ),
        Picture(
            "Where names are found",
            "F1 in percent by conlleval's rule: a name is right if its first word, its last and its type are. Beneath "
            'each bar, how many names there are. "Unknown" words do not come in training: one such word makes '
            "the name unknown.",
            lambda: parts(held(), evidence.spec["target"]["types"]),
        ),
        Picture(
            "Sentences that it gets wrong",
            f"Above what is right, beneath it what was given; of up to {READABLE} words, spread evenly over the "
            f"{split} part.",
            lambda: mistakes(held()),
        ),
    ]


def types(held: Sequence[Sentence], names: Sequence[str]) -> "Figure":
    """Beside how many names are right, how many were marked that are none."""
    found = counts(held, names)
    right, there, in_vain = int(found.diag().sum()), int(found[:-1].sum()), int(found[-1].sum())
    title = (
        f"{right:,} of {many(there, 'name')} right ({percent(right / max(there, 1), 1)}),\n{in_vain:,} marked in vain"
    )
    return confusion(found, [*names, NONE], what="type", title=title, open_end=True)


def counts(held: Sequence[Sentence], names: Sequence[str]) -> Tensor:  # -> (Y + 1, Y + 1), row the right type
    """How often names of each type, and NONE, were given each."""
    place = {name: number for number, name in enumerate([*names, NONE])}
    found = torch.zeros(len(place), len(place), dtype=torch.int64)
    for sentence in held:
        right, given = ({each[:2]: each[2] for each in row} for row in (sentence.right, sentence.given))
        for span in right.keys() | given.keys():
            found[place[right.get(span, NONE)], place[given.get(span, NONE)]] += 1
    return found


def parts(held: Sequence[Sentence], names: Sequence[str]) -> "Figure":
    """F1 by type, by whether a name's words are known, and by the length of the sentence."""
    figure = sheet(9.0, 3.1)
    first, second, third = figure.subplots(1, 3, sharey=True, width_ratios=[len(names), 2, len(LENGTHS)])

    def of_type(name: str) -> Callable[[Entity, Sentence], bool]:
        return lambda each, sentence: each[2] == name

    def unknown(each: Entity, sentence: Sentence) -> bool:
        return any(sentence.unknown[each[0] : each[1]])

    _bars(first, "type", drawable(names), [score(held, of_type(name)) for name in names])
    _bars(second, "words of the name", ["all known", "unknown"],
          [score(held, lambda *each: not unknown(*each)), score(held, unknown)])  # fmt: skip
    _bars(
        third,
        "words of the sentence",
        [f"{low} to {high}" if high < 10**9 else f"{low} or more" for low, high in LENGTHS],
        [score([each for each in held if low <= len(each.words) <= high]) for low, high in LENGTHS],
    )
    first.set_ylabel("F1, percent")
    first.set_ylim(0, 100)
    return figure


def score(
    held: Iterable[Sentence], chosen: Callable[[Entity, Sentence], bool] = lambda *each: True
) -> tuple[float, int]:
    """F1 over the names that are `chosen`, and how many there are."""
    both = given = there = 0
    for sentence in held:
        right = {each for each in sentence.right if chosen(each, sentence)}
        said = {each for each in sentence.given if chosen(each, sentence)}
        both, given, there = both + len(right & said), given + len(said), there + len(right)
    return precision_recall_f1(torch.tensor([both, given, there]))[2], there


def _bars(axes: "Axes", title: str, names: Sequence[str], scores: Sequence[tuple[float, int]]) -> None:
    """A bar for each that has names at all."""
    kept = [(name, *score) for name, score in zip(names, scores, strict=True) if score[1]]
    heights = [100 * score for _, score, _ in kept]
    axes.bar(range(len(kept)), heights, color=BLUE, width=0.62)
    for place, height in enumerate(heights):
        inside = height > 10
        axes.text(place, height - 6 if inside else height + 2, f"{height:.1f}", ha="center", fontsize=8.5,
                  color="white" if inside else INK)  # fmt: skip
    axes.set_xticks(range(len(kept)), [f"{name}\n{count:,}" for name, _, count in kept], fontsize=8)
    axes.tick_params(axis="x", length=0)
    axes.set_title(f"by {title}")
    grid(axes)


def mistakes(held: Sequence[Sentence]) -> str:
    """Right above given, the words of names in brackets."""
    wrong = [each for each in held if each.right != each.given]
    short = [each for each in wrong if len(each.words) <= READABLE] or wrong
    kept = short[:: -(-len(short) // SHOWN)] if short else []
    told = f"{len(wrong):,} of {len(held):,} sentences are wrong."
    pairs = [f"right: {marked(each.words, each.right)}\ngiven: {marked(each.words, each.given)}" for each in kept]
    return "\n\n".join([told, *pairs])


def transitions(first: Tensor, between: Tensor, last: Tensor, names: Sequence[str], scheme: Scheme) -> "Figure":
    """The scores of a conditional random field, (K,), (K, K) and (K,): row the earlier tag, column the later."""
    size = len(names)
    table = torch.full((size + 1, size + 1), float("nan"))
    table[0, :size], table[1:, :size], table[1:, size] = first, between, last
    reach = float(table.nan_to_num().abs().max()) or 1.0
    side = 0.27 * (size + 1)
    figure = sheet(side + 1.9, side + 1.2)
    axes = figure.subplots()
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("score", [VERMILLION, "#ffffff", BLUE])
    image = axes.imshow(table.numpy(), cmap=colours, vmin=-reach, vmax=reach, interpolation="nearest")
    for row, before in enumerate(["", *names]):
        for column, after in enumerate([*names, ""]):
            if (before or after) and not may_follow(before, after, scheme):
                axes.text(column, row, "×", ha="center", va="center", fontsize=8, color=INK)
    axes.set_xticks(range(size + 1), [*drawable(names), "end"], rotation=90, fontsize=7.5)
    axes.set_yticks(range(size + 1), ["beginning", *drawable(names)], fontsize=7.5)
    axes.tick_params(length=0)
    axes.set_xlabel("the later tag")
    axes.set_ylabel("the earlier tag")
    bar = figure.colorbar(image, ax=axes, shrink=0.7)
    bar.set_label("score, nats")
    return figure
