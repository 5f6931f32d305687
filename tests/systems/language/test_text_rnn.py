"""Text RNN: padding changes nothing, summaries are what they say, and both directions are read (S199, S216, S221)."""

from typing import get_args

import pytest
import torch

from deepclassics.layers.recurrent import Cell
from deepclassics.learn import Clock
from deepclassics.systems.language.text_rnn import TextRNN, TextRNNRecipe


def net(summary: str = "max", bidirectional: bool = True, cell: str = "lstm", seed: int = 0) -> TextRNN:
    torch.manual_seed(seed)
    return TextRNN(9, 3, cell, 5, 4, 2, bidirectional, summary, 0.0).eval()


@pytest.mark.parametrize("summary", ["last", "mean", "max"])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("cell", get_args(Cell))
def test_what_fills_a_text_up_changes_nothing(summary: str, bidirectional: bool, cell: str) -> None:
    model = net(summary, bidirectional, cell)
    texts = [[3, 1, 4], [2], [5, 6, 7, 8, 1]]
    together = torch.tensor([text + [0] * (7 - len(text)) for text in texts])
    alone = torch.cat([model(torch.tensor([text])) for text in texts])
    assert torch.allclose(model(together), alone, atol=1e-6)


def test_summaries_are_what_they_say() -> None:
    ids = torch.tensor([[3, 1, 4, 0], [5, 6, 7, 8]])
    model = net()
    states = model.states(ids)
    for row, length in ((0, 3), (1, 4)):
        inside = states[row, :length]
        model.summary = "mean"
        assert torch.allclose(model.summed(states, ids)[row], inside.mean(0), atol=1e-6)
        model.summary = "max"
        assert torch.equal(model.summed(states, ids)[row], inside.amax(0))
        model.summary = "last"
        assert torch.equal(model.summed(states, ids)[row], torch.cat([inside[-1, :4], inside[0, 4:]]))


def test_many_to_one_a_word_at_either_end_is_heard() -> None:
    """S199, S216: the answer depends on the first word and on the last."""
    model = net("last")
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    for place in (0, 4):
        other = ids.clone()
        other[0, place] = 8
        assert not torch.allclose(model(ids), model(other))


def test_a_text_without_words_is_answered() -> None:
    model = net()
    assert model(torch.tensor([[0, 0], [3, 4]])).isfinite().all()
    zeros, _ = model.recurrent(torch.zeros(1, 1, 5))  # a word of zeros
    torch.testing.assert_close(model(torch.tensor([[0, 0]])), model.output(zeros[:, 0]))


def test_it_learns_what_stands_in_the_middle() -> None:
    """S221: the class is whether word 7 comes; 32 texts of 12 words learnt by heart in a hundred updates."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 7, (32, 12), generator=generator)
    label = torch.arange(32) % 2
    ids[label == 1, 5] = 7
    recipe = TextRNNRecipe(hidden=8, embedding=8, dropout=0.0, lr=0.01, schedule="constant")
    torch.manual_seed(0)
    model = recipe.model({"vocabulary": [""] * 9, "target": {"classes": ["without", "with"]}})
    learner = recipe.learner(model)
    for step in range(100):
        scores = learner.step({"ids": ids, "label": label}, Clock(step, 100, 1))
    assert float(scores["error"]) == 0
    assert float(scores["loss"]) < 0.05
