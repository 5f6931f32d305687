"""How well a language model gives common and rare words."""

import itertools
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.data.words import END, UNKNOWN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RARITY = (
    "Perplexity of the test words, parted by how common they are in the training text, on a logarithmic scale; beside "
    "it what counting words alone would give. How many test words there are stands under each."
)


def by_rarity(words: Tensor, logs: dict[str, Tensor], train: Tensor, vocabulary: list[str]) -> "Figure":
    """Bars of perplexity over classes of words; `logs` are those of their probabilities, in nats, by model."""
    from matplotlib.ticker import FuncFormatter

    from deepclassics.report.style import PALETTE, grid, sheet

    counts = torch.bincount(train.long(), minlength=len(vocabulary)).double() + 1
    alone = (counts / counts.sum()).log()[words]
    special = sum(word in (UNKNOWN, END) for word in vocabulary[:2])
    rank = words - special  # the vocabulary is in the order of frequency
    edges = [0, 10, 100, 1_000, 10_000, 100_000, 10**9]
    classes = [(word, words == place) for place, word in enumerate(vocabulary[:special])]
    classes += [
        (f"{low + 1:,} to {min(high, len(vocabulary) - special):,}", (rank >= low) & (rank < high))
        for low, high in itertools.pairwise(edges)
    ]
    shown = [(name, chosen) for name, chosen in classes if bool(chosen.any())]
    figure = sheet(7.6, 3.4)
    panel = figure.subplots()
    bars = {"counting words alone": alone, **logs}
    width = 0.84 / len(bars)
    for place, (model, found) in enumerate(bars.items()):
        heights = [math.exp(-float(found[chosen].double().mean())) for _, chosen in shown]
        places = [k + (place - (len(bars) - 1) / 2) * width for k in range(len(shown))]
        drawn = panel.bar(places, heights, width, label=model, color="#c8c8c8" if not place else PALETTE[place - 1])
        panel.bar_label(drawn, [_short(height) for height in heights], size=6.5)
    panel.set_yscale("log")
    panel.margins(y=0.1)
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    panel.set_xticks(range(len(shown)), [f"{name}\n{int(chosen.sum()):,}" for name, chosen in shown], size=8)
    panel.set_xlabel("rank of the word in the training text, and how many are judged")
    panel.set_ylabel("perplexity")
    figure.legend(loc="outside upper left", ncols=len(bars))
    grid(panel)
    return figure


def _short(number: float) -> str:
    """Three digits, thousands as "23.5k"."""
    return f"{number:.3g}" if number < 1000 else f"{number / 1000:.3g}k" if number < 1e6 else f"{number / 1e6:.3g}M"
