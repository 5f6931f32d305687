"""The character RNN: its cells by the formulas, "hello", sampling."""

import json
import math
from pathlib import Path

import pytest
import torch

from deepclassics import cli
from deepclassics.host import Host
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.systems.language.char_rnn import CharRNN, Sampling

HOST = Host(device="cpu", threads=1)


def net(cell: str, layers: int = 1) -> CharRNN:
    torch.manual_seed(0)
    return CharRNN(5, cell, embedding=4, hidden=3, layers=layers, dropout=0.0)


def test_the_lstm_is_the_notes_lstm() -> None:
    """S206: i, f, o by sigmoids, g by tanh, c = f c + i g, h = o tanh(c)."""
    model = net("lstm")
    r = model.recurrent
    ids = torch.tensor([[0, 3, 1, 4]])
    h = c = torch.zeros(1, 3)
    outs = []
    for t in range(4):
        gates = model.embed(ids[:, t]) @ r.weight_ih_l0.T + r.bias_ih_l0 + h @ r.weight_hh_l0.T + r.bias_hh_l0
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outs.append(model.output(h))
    torch.testing.assert_close(model(ids)[0], torch.stack(outs, 1))


def test_the_rnn_is_the_notes_rnn() -> None:
    """S196: h_t = tanh(W_hh h + W_xh x), the same at every step."""
    model = net("rnn")
    r = model.recurrent
    ids = torch.tensor([[2, 2, 0]])
    h = torch.zeros(1, 3)
    for t in range(3):
        x = model.embed(ids[:, t])
        h = torch.tanh(x @ r.weight_ih_l0.T + r.bias_ih_l0 + h @ r.weight_hh_l0.T + r.bias_hh_l0)
    torch.testing.assert_close(model(ids)[0][:, -1], model.output(h))


def test_the_gru_has_three_quarters_of_the_lstms_recurrent_weights() -> None:
    """S211."""
    count = {cell: sum(p.numel() for p in net(cell).recurrent.parameters()) for cell in ("lstm", "gru", "rnn")}
    assert count["gru"] * 4 == count["lstm"] * 3
    assert count["rnn"] * 4 == count["lstm"]


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_chunks_with_the_state_carried_equal_the_whole(cell: str) -> None:
    """S198."""
    model = net(cell, layers=2)
    ids = torch.randint(5, (2, 12))
    whole, _ = model(ids)
    first, state = model(ids[:, :5])
    second, _ = model(ids[:, 5:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)


def test_temperature_zero_takes_the_likeliest_and_one_follows_the_softmax() -> None:
    """S202."""
    model = net("lstm").eval()
    with torch.no_grad():
        model.output.bias[2] = 5.0
        assert model.sample(torch.tensor([0]), 20, 0.0).tolist() == [2] * 20
        torch.manual_seed(1)
        drawn = torch.cat([model.sample(torch.tensor([0]), 1, 1.0) for _ in range(2000)])
        share = float((drawn == 2).double().mean())
        expected = float(model(torch.tensor([[0]]))[0][0, -1].softmax(0)[2])
    assert share == pytest.approx(expected, abs=5 * math.sqrt(expected * (1 - expected) / 2000))


def test_hello_is_learnt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S201: loss below 0.05, "ello" after h; the two l need the memory of where one is."""
    settings = {"data": "hello", "chunk": 4, "hidden": 16, "embedding": 8, "dropout": 0.0, "epochs": 300, "lr": 0.02}
    result = carry_out(find("char_rnn")(**settings), tmp_path / "run", HOST)
    assert result["scores"]["train/loss"] < 0.05
    with pytest.raises(SystemExit) as end:
        cli.main(["predict", str(tmp_path / "run"), "h", "--length", "4", "--temperature", "0", "--json"])
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out)["text"] == "hello"
    with pytest.raises(SystemExit) as end:
        cli.main(["predict", str(tmp_path / "run"), "house"])
    assert end.value.code == 2
    assert "got 's', 'u'" in capsys.readouterr().err


def test_the_first_loss_is_that_of_knowing_nothing() -> None:
    """S201: about ln 4 a character for four of them."""
    recipe = find("char_rnn")(data="hello", chunk=4, dropout=0.0)
    data = recipe.load()
    torch.manual_seed(0)
    learner = recipe.learner(recipe.model(data.spec))
    loss = learner.objective(learner.model, data.train.at(0), None)[0]["loss"]
    assert float(loss.detach()) == pytest.approx(math.log(4), abs=0.15)


def test_options_have_bounds() -> None:
    assert Sampling().length == 200
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Sampling(length=0)
