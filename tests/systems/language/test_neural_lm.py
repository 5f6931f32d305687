"""The neural language model: equation 1 by hand, what it cannot see, the mixture with counts."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from deepclassics import cli
from deepclassics.data.streams import InOrder
from deepclassics.recipe import find
from deepclassics.systems.language.neural_lm import WEIGHTS, NeuralLM, judge, mixed, windows

WORDS, ORDER = 7, 4


def net(direct: bool = False) -> NeuralLM:
    torch.manual_seed(0)
    model = NeuralLM(WORDS, ORDER, embedding=3, hidden=5, direct=direct, dropout=0.0, end=1)
    if model.direct is not None:
        torch.nn.init.normal_(model.direct.weight)
    return model


def text(length: int) -> torch.Tensor:
    return torch.randint(WORDS, (length,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("direct", [False, True])
def test_it_is_equation_1_with_one_hot_words(direct: bool) -> None:
    """S261; S256: y = b + Wx + U tanh(d + Hx), x the rows of C that one-hot words pick."""
    model = net(direct)
    context = text(6).view(2, 3)
    x = (F.one_hot(context, WORDS).float() @ model.embed.weight).flatten(1)
    y = model.output.bias + (model.hidden.bias + x @ model.hidden.weight.T).tanh() @ model.output.weight.T
    if model.direct is not None:
        y = y + x @ model.direct.weight.T
    torch.testing.assert_close(model(context), y)


@pytest.mark.parametrize("direct", [False, True])
def test_the_parameters_are_the_papers_count(direct: bool) -> None:
    """Bengio et al. 2003, section 2: |V|(1 + nm + h) + h(1 + (n - 1)m), of which the direct ones are |V|(n - 1)m."""
    n, m, h, v = 5, 30, 100, 1000
    count = sum(p.numel() for p in NeuralLM(v, n, m, h, direct, 0.0, 0).parameters())
    whole = v * (1 + n * m + h) + h * (1 + (n - 1) * m)
    assert count == (whole if direct else whole - v * (n - 1) * m)


def test_what_lies_beyond_n_words_has_no_effect() -> None:
    """S261; C176: the context is fixed."""
    model = net().eval()
    recent = text(ORDER - 1)
    for far in ([], [2, 5], [6, 6, 6, 0, 4]):
        torch.manual_seed(3)
        written = model.sample(torch.cat([torch.tensor(far, dtype=torch.int64), recent]), 12, 1.0, never=0)
        torch.manual_seed(3)
        assert torch.equal(written, model.sample(recent, 12, 1.0, never=0))
    near = model(torch.stack([recent, (recent + torch.tensor([1, 0, 0])) % WORDS]))
    assert not torch.allclose(near[0], near[1])


def test_windows_are_every_word_with_those_before_it() -> None:
    ids = torch.tensor([5, 6, 2, 1], dtype=torch.int32)
    assert windows(ids, 3, 1)["window"].tolist() == [[1, 1, 5], [1, 5, 6], [5, 6, 2], [6, 2, 1]]


def test_every_word_is_judged_and_perplexity_is_the_exponential() -> None:
    model, ids = net(), text(50)
    columns = windows(ids, ORDER, 1)
    with torch.no_grad():
        scores = judge(model, InOrder(columns, 8))
        expected = F.cross_entropy(model(columns["window"][:, :-1]), ids)
    assert float(scores["loss"]) == pytest.approx(float(expected), rel=1e-5)
    assert float(scores["perplexity"]) == pytest.approx(math.exp(float(expected)), rel=1e-5)


def test_the_mixture_is_between_and_can_beat_both() -> None:
    net_logs = torch.tensor([0.5, 0.1], dtype=torch.float64).log()
    counts = torch.tensor([0.1, 0.5], dtype=torch.float64)
    losses = mixed(net_logs, counts)
    assert float(losses[0]) == pytest.approx(-(math.log(0.5) + math.log(0.1)) / 2)
    assert float(losses[-1]) == pytest.approx(float(losses[0]))
    assert WEIGHTS[int(losses.argmin())] == 0.5
    assert float(losses.min()) == pytest.approx(-math.log(0.3))


def test_counts_forgive_words_the_net_knows_and_the_other_way() -> None:
    """The n-gram that it is mixed with gives every word of the training text a probability, over all words 1."""
    recipe = find("neural_lm")(order=3)
    data = recipe.load()
    counted = recipe.counted(data.train.columns["window"][:5000, -1], data.spec)
    assert counted.order == 3
    assert float(counted.after([5, 9]).sum()) == pytest.approx(1.0, abs=1e-6)
    found, _ = counted(data.train.columns["window"][:5000, -1].long())
    assert bool((found > 0).all())


def test_a_text_of_two_lines_is_learnt_and_written_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whole run: scores, remarks, predict. A word that only one further back tells is out of reach for a bigram."""
    file = tmp_path / "text.txt"
    file.write_text("the cat saw a mouse\nthe dog saw a bone\n" * 200)
    scores = {}
    for order in (2, 5):
        knobs = ["--order", str(order), "--embedding", "8", "--hidden", "16", "--batch", "32", "--epochs", "6"]
        out = tmp_path / f"run{order}"
        with pytest.raises(SystemExit) as end:
            cli.main(["run", "neural_lm", "--data", str(file), *knobs, "--lr", "0.01", "--out", str(out)])
        assert end.value.code == 0
        scores[order] = json.loads((out / "result.json").read_text())["scores"]
    assert scores[5]["test/perplexity"] < 1.1 < 1.2 < scores[2]["test/perplexity"]
    assert scores[5]["test/perplexity_of_mixture"] <= scores[5]["test/perplexity"] + 1e-9
    capsys.readouterr()
    asked = ["the dog saw a", "--length", "1", "--temperature", "0", "--json"]
    with pytest.raises(SystemExit) as end:
        cli.main(["predict", str(tmp_path / "run5"), *asked])
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out)["text"] == "the dog saw a bone"
