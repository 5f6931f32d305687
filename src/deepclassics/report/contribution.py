"""What each word of a text contributes to the answer: how the answer changes where the word is unknown.

Letters: T words of a text, N texts, K classes.
"""

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.data.streams import Columns
from deepclassics.recipe import Picture
from deepclassics.report.style import BLUE, FAINT, INK, VERMILLION, has_letters, percent, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

COLUMNS = 96  # letters of a line
LONGEST = 120  # words of a text that is shown
CERTAIN = 1e-6  # probabilities nearer to 0 and 1 than this are taken for it


def picture(evidence: "Evidence", split: str = "test", each: int = 4) -> Picture:
    """Texts of a split that were given the right class and a wrong one, their words coloured."""

    def draw() -> "Figure":
        answer, right = evidence.answers(split)
        ids = right["ids"]
        fits = (ids.lengths > 3) & (ids.lengths <= LONGEST)
        texts = []
        for wrong in (False, True):
            mine = fits & ((answer["label"] != right["label"]) == wrong)
            sure = answer["probability"].max(1).values.masked_fill(~mine, -1)
            order = sure.argsort(descending=True, stable=True)[: min(each, int(mine.sum()))]
            texts += [(int(number), wrong) for number in order]
        classes = evidence.spec["target"]["classes"]
        rows = []
        for number, wrong in texts:
            label = int(answer["label"][number])
            words = ids[number]
            given = f"given {classes[label]} ({percent(float(answer['probability'][number, label]))})"
            told = f"{given}, right is {classes[int(right['label'][number])]}" if wrong else given
            rows.append(
                (told, [evidence.spec["vocabulary"][word] for word in words], contributions(evidence, words, label))
            )
        return coloured(rows)

    return Picture(
        "What each word contributes",
        f"{split.capitalize()} texts whose class is surest, right ones first, then wrong ones. Blue: where the word is "
        "unknown the class given is less likely; orange: more likely. The depth of a colour is the change of the log "
        "odds, in proportion to the largest of the text.",
        draw,
    )


def contributions(evidence: "Evidence", words: Tensor, label: int) -> Tensor:  # (T,) of int64 -> (T,)
    """How much the log odds of a class, in nats, fall where a word is replaced by an unknown one."""
    without = words.repeat(len(words) + 1, 1)
    without[torch.arange(len(words)), torch.arange(len(words))] = 1
    probability = evidence.ask(Columns(ids=without))["probability"][:, label].double()
    odds = probability.clamp(CERTAIN, 1 - CERTAIN).logit()
    return odds[-1] - odds[:-1]


def coloured(texts: Sequence[tuple[str, Sequence[str], Tensor]]) -> "Figure":
    """Texts as (head, words, a number for each word): words on a ground that is blue above 0 and orange below."""
    from matplotlib.colors import to_rgb

    lines: list[tuple[int, str, tuple[float, ...] | None, bool]] = []  # column, word, ground, whether it begins a line
    for head, words, values in texts:
        lines.append((0, head, None, True))
        most = float(values.abs().max()) or 1.0
        column, fresh = 0, True
        for word, value in zip(words, values.tolist(), strict=True):
            shown = word if has_letters(word) else "?" * len(word)
            width = wide(shown)
            if column and column + width > COLUMNS:
                column, fresh = 0, True
            depth = min(1.0, abs(value) / most)
            tone = to_rgb(BLUE if value > 0 else VERMILLION)
            lines.append((column, shown, tuple(1 - 0.75 * depth * (1 - part) for part in tone), fresh))
            column, fresh = column + width + 1, False
    count = sum(fresh for *_, fresh in lines) + 0.5 * len(texts)
    figure = sheet(8.6, 0.3 + 0.19 * count)
    axes = figure.subplots()
    row = 0.0
    for column, word, ground, fresh in lines:
        row += fresh + 0.5 * (ground is None)
        box = None if ground is None else {"facecolor": ground, "edgecolor": "none", "pad": 1.2}
        axes.text(column, row, word, fontsize=7.5, family="monospace" if ground else None, va="center",
                  color=INK if ground else FAINT, weight="normal" if ground else "bold", bbox=box)  # fmt: skip
    axes.set_xlim(0, COLUMNS)
    axes.set_ylim(row + 1, 0)
    axes.axis("off")
    return figure


def wide(word: str) -> int:
    """How many columns a word takes: an ideograph takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in word)
