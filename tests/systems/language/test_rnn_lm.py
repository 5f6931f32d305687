"""The RNN language model: Elman's net by the notes' formula, tied weights, the cache, learning while it is tested."""

import json
import math
import typing
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from deepclassics import cli
from deepclassics.data.streams import Data, Passage
from deepclassics.layers import recurrent
from deepclassics.learn import look, untraced
from deepclassics.recipe import Rule, find
from deepclassics.report.neighbours import families
from deepclassics.report.rarity import by_rarity
from deepclassics.systems.language import rnn_lm
from deepclassics.systems.language.rnn_lm import THETAS, WEIGHTS, WordRNN, cached, learning_on, walk

WORDS = 7


def net(cell: str = "lstm", layers: int = 1, tied: bool = False, bound: float = 0.5) -> WordRNN:
    torch.manual_seed(0)
    return WordRNN(WORDS, cell, embedding=4, hidden=4, layers=layers, dropout=0.0, tied=tied, bound=bound)


def text(length: int) -> torch.Tensor:
    return torch.randint(WORDS, (length,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layers", [1, 2])
def test_the_sigmoid_net_is_the_notes_elman_net(layers: int) -> None:
    """S217, S262: x(t) = [w(t), s(t-1)], s = sigmoid(U x), y = softmax(V s), forward and backward."""
    model = net("sigmoid", layers)
    ids = text(12).view(2, 6)
    states = [torch.zeros(2, 4) for _ in range(layers)]
    outs = []
    for t in range(6):
        below = model.embed(ids[:, t])
        for layer in range(layers):
            w, u, b = (model.recurrent.get_parameter(f"{n}_l{layer}") for n in ("weight_ih", "weight_hh", "bias"))
            below = states[layer] = torch.sigmoid(torch.cat([below, states[layer]], 1) @ torch.cat([w, u], 1).T + b)
        outs.append(below @ model.output.T + model.bias)
    expected = torch.stack(outs, 1)
    scores, state = model(ids)
    torch.testing.assert_close(scores, expected)
    torch.testing.assert_close(state, torch.stack(states))
    weights = list(model.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(scores.logsumexp(2).sum(), weights),
        torch.autograd.grad(expected.logsumexp(2).sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_lstm_is_torchs() -> None:
    model, theirs = net("lstm", 2), torch.nn.LSTM(4, 4, 2, batch_first=True)
    theirs.load_state_dict(model.recurrent.state_dict())
    ids = text(10).view(2, 5)
    torch.testing.assert_close(model.read(ids)[0], theirs(model.embed(ids))[0])


def test_looking_a_word_up_is_multiplying_its_one_hot_vector() -> None:
    """S254, S256."""
    model, ids = net(), text(5)
    torch.testing.assert_close(model.embed(ids), F.one_hot(ids, WORDS).float() @ model.embed.weight)


@pytest.mark.parametrize("cell", ["sigmoid", "lstm"])
def test_chunks_with_the_state_carried_equal_the_whole(cell: str) -> None:
    model, ids = net(cell, 2), text(24).view(2, 12)
    whole, _ = model(ids)
    first, state = model(ids[:, :5])
    second, _ = model(ids[:, 5:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)


def test_tied_weights_are_one_matrix_and_must_fit(capsys: pytest.CaptureFixture[str]) -> None:
    tied, apart = (sum(p.numel() for p in net(tied=tied).parameters()) for tied in (True, False))
    assert apart - tied == WORDS * 4
    model = net(tied=True)
    hidden = torch.randn(3, 4)
    torch.testing.assert_close(model.score(hidden), hidden @ model.embed.weight.T + model.bias)
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "rnn_lm", "--tie", "--embedding", "10", "--hidden", "20"])
    assert end.value.code == 2
    assert "embedding must be hidden, 20" in capsys.readouterr().err


def test_another_optimizer_wants_a_rate_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """A rate of 20 is sgd's: with it Adam's test perplexity overflows."""
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "rnn_lm", "--optimizer", "adam"])
    assert end.value.code == 2
    assert "lr must be chosen with the optimizer adam: 20 is a rate for sgd; for example --lr 0.002" in (
        capsys.readouterr().err
    )
    rules = typing.get_args(typing.get_args(Rule)[0])
    assert {"sgd", *rnn_lm.USUAL} == set(rules)
    assert all(find("rnn_lm")(optimizer=rule, lr=rate).lr == rate for rule, rate in rnn_lm.USUAL.items())


def test_every_published_figure_is_told_once() -> None:
    told = [(each.on, each.score, each.value, each.source) for each in find("rnn_lm").published]
    assert len(set(told)) == len(told)


def test_the_small_net_has_the_parameters_of_zarembas() -> None:
    """Two layers of 200 with one bias a gate, embedding and softmax over 10,000 words; torch keeps two biases."""
    count = sum(p.numel() for p in WordRNN(10_000, "lstm", 200, 200, 2, 0.0, False, 0.1).parameters())
    assert count == 10_000 * 200 + 2 * (8 * 200 * 200 + 2 * 800) + 201 * 10_000


def test_every_word_but_the_first_is_judged_and_perplexity_is_the_exponential() -> None:
    model, ids = net(), text(503)
    with untraced(model):
        scores = rnn_lm.judge(model, Passage(ids, 1, 50))
        expected = F.cross_entropy(model(ids[None, :-1])[0][0], ids[1:])
    assert float(scores["loss"]) == pytest.approx(float(expected), rel=1e-5)
    assert float(scores["perplexity"]) == pytest.approx(math.exp(float(expected)), rel=1e-5)


def test_the_cache_is_its_formula() -> None:
    """Grave et al. 2017, eq. 2, word by word; a theta of 0 counts, a weight of 0 changes nothing."""
    model, ids, words = net(bound=1.0), text(60), 7
    with untraced(model):
        found = cached(model, Passage(ids, 1, 9), words)
        hidden, targets, logs = (
            torch.cat(pieces, 1)[0] for pieces in zip(*walk(model, Passage(ids, 1, 9)), strict=True)
        )
    for place, theta in enumerate(THETAS):
        losses = torch.zeros(len(WEIGHTS), dtype=torch.float64)
        for t, word in enumerate(targets.tolist()):
            past = range(max(0, t - words), t)
            mass = [math.exp(theta * float(hidden[t] @ hidden[i])) for i in past]
            share = sum(m for i, m in zip(past, mass, strict=True) if targets[i] == word) / sum(mass) if mass else None
            for k, weight in enumerate(WEIGHTS):
                p = math.exp(float(logs[t]))
                losses[k] -= math.log(p if share is None else (1 - weight) * p + weight * share)
        torch.testing.assert_close(found[place], losses / len(targets), rtol=1e-5, atol=1e-6)
    assert float(found[0, 0]) == pytest.approx(float(rnn_lm.judge(model, Passage(ids, 1))["loss"].detach()), rel=1e-5)


def test_learning_while_it_is_tested_leaves_no_trace_and_follows_the_text() -> None:
    """Mikolov et al. 2010: a text that repeats itself is foretold ever better."""
    model, ids = net("sigmoid"), torch.tensor([0, 1, 2, 3, 4] * 60)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fixed = float(rnn_lm.judge(model, Passage(ids, 1))["loss"].detach())
    assert learning_on(model, Passage(ids, 1), 5, 0.0, None) == pytest.approx(fixed, rel=1e-5)
    assert learning_on(model, Passage(ids, 1), 5, 1.0, None) < 0.8 * fixed
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_gradients_are_bounded_while_it_learns_on() -> None:
    model, ids = net(bound=3.0), text(200)
    bounded = learning_on(model, Passage(ids, 1), 5, 50.0, None, 1e-9)
    assert bounded == pytest.approx(learning_on(model, Passage(ids, 1), 5, 0.0, None), rel=1e-4)
    assert learning_on(model, Passage(ids, 1), 5, 50.0, None) > 2 * bounded


def test_a_rate_at_which_it_diverges_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """exp of such a loss is no number. Not to learn on is a rate too, 0."""
    losses = {0.0: 1.5, 0.5: 2.0, 2.0: math.nan, 8.0: 1e6}
    monkeypatch.setattr(rnn_lm, "learning_on", lambda model, text, chunk, rate, *bounds: losses[rate])
    own = find("rnn_lm")(cache=0)
    learner, some = own.learner(net()), Passage(text(50), 1)
    data = Data({}, some, some, some)
    scores, remarks = own.conclude(learner, data)
    assert scores == {"test/perplexity_learning_on": pytest.approx(math.exp(1.5))}
    assert "at a rate of 0 as is best" in remarks[0]
    tested = iter([1.5, 2.0, 2.0, 2.0, math.nan])
    monkeypatch.setattr(rnn_lm, "learning_on", lambda *anything: next(tested))
    scores, remarks = own.conclude(learner, data)
    assert scores == {}
    assert "the net diverged" in remarks[0]


@pytest.mark.parametrize("cell", ["sigmoid", "lstm"])
def test_a_kernel_is_told_whether_a_gradient_will_be_asked_of_it(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN refuses to go back where it was not told, and a copy that learns on is in evaluation mode."""
    told: list[bool] = []

    def noted(kernel: Any) -> Any:
        def run(*given: Any) -> Any:
            told.append(given[6])
            return kernel(*given)

        return run

    monkeypatch.setattr(torch, "rnn_tanh", noted(torch.rnn_tanh))
    monkeypatch.setitem(recurrent.FUSED, "lstm", noted(torch.lstm))
    model = net(cell).eval()
    model(text(6)[None])
    with torch.no_grad():
        model(text(6)[None])
    assert told == [True, False]


def test_sampling_skips_the_unknown_and_temperature_zero_takes_the_likeliest() -> None:
    model = net().eval()
    with torch.no_grad():
        model.bias[0], model.bias[3] = 9.0, 5.0
        assert model.sample(torch.tensor([1]), 8, 0.0, never=0).tolist() == [3] * 8
        assert 0 not in model.sample(torch.tensor([1]), 200, 1.0, never=0)


def test_a_text_of_two_lines_is_learnt_and_written_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S262: what comes after "a" is told only by the word before it. Whole run: scores, remarks, predict."""
    file = tmp_path / "text.txt"
    file.write_text("the cat saw a mouse\nthe dog saw a bone\n" * 300)
    knobs = ["--hidden", "16", "--embedding", "16", "--layers", "1", "--epochs", "6", "--valid", "0.1"]
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "rnn_lm", "--data", str(file), *knobs, "--out", str(tmp_path / "run"), "--threads", "1"])
    assert end.value.code == 0
    scores = json.loads((tmp_path / "run" / "result.json").read_text())["scores"]
    assert scores["test/perplexity"] < 1.3  # two lines of six words by chance: 2 ** (1 / 6) = 1.12 at best
    assert scores["test/perplexity"] == pytest.approx(math.exp(scores["test/loss"]))
    assert {"test/perplexity_with_cache", "test/perplexity_learning_on"} <= scores.keys()
    capsys.readouterr()
    asked = ["the dog saw a", "--length", "1", "--temperature", "0", "--json"]
    with pytest.raises(SystemExit) as end:
        cli.main(["predict", str(tmp_path / "run"), *asked])
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out)["text"] == "the dog saw a bone"


def test_the_pictures_show_rare_words_and_neighbours() -> None:
    vocabulary = ["<unk>", "<eos>", *(f"w{k}" for k in range(20))]
    train = torch.arange(22).repeat(3)
    words = torch.tensor([0, 1, 2, 21])
    figure = by_rarity(words, {"this net": torch.full((4,), -math.log(8.0))}, train, vocabulary)
    panel = figure.axes[0]
    names = [label.get_text() for label in panel.get_xticklabels()]
    assert names == ["<unk>\n1", "<eos>\n1", "1 to 10\n1", "11 to 20\n1"]
    assert [bar.get_height() for bar in panel.containers[1]] == pytest.approx([8.0] * 4)
    assert [bar.get_height() for bar in panel.containers[0]] == pytest.approx([22.0] * 4)
    table = torch.eye(22, 23)
    table[5:9, 22] = 5.0
    first = families(table, vocabulary).splitlines()[0].split(":")
    assert {first[0].strip(), *(part.split()[0] for part in first[1].split(",")[:3])} == {"w3", "w4", "w5", "w6"}


def test_a_look_leaves_the_carried_state() -> None:
    recipe = find("rnn_lm")(hidden=8, embedding=8)
    data = recipe.load()
    learner = recipe.learner(recipe.model(data.spec))
    assert data.valid is not None
    small = Passage(data.valid.ids[:300], 1)
    assert look(learner, small) == look(learner, small)
