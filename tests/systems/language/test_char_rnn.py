"""The character RNN: its cells by the formulas, "hello", sampling."""

import json
import math
from pathlib import Path
from typing import get_args

import pytest
import torch
from matplotlib.colors import to_rgb
from torch import nn

from deepclassics import cli
from deepclassics.data import catalog
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.layers.recurrent import Cell, Recurrent
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.report import activity
from deepclassics.report.gradients_in_time import magnitudes, reach
from deepclassics.report.style import ORANGE, SKY
from deepclassics.systems.language import char_rnn
from deepclassics.systems.language.char_rnn import COUNTED, CharRNN, Sampling, counted, counter

HOST = Host(device="cpu", threads=1)
CELLS = get_args(Cell)


def net(cell: str, layers: int = 1) -> CharRNN:
    torch.manual_seed(0)
    return CharRNN(5, cell, embedding=4, hidden=4, layers=layers, dropout=0.0)


def test_the_lstm_is_the_notes_lstm() -> None:
    """S206: i, f, o by sigmoids, g by tanh, c = f c + i g, h = o tanh(c)."""
    model = net("lstm")
    r = model.recurrent
    ids = torch.tensor([[0, 3, 1, 4]])
    h = c = torch.zeros(1, 4)
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
    h = torch.zeros(1, 4)
    for t in range(3):
        x = model.embed(ids[:, t])
        h = torch.tanh(x @ r.weight_ih_l0.T + r.bias_ih_l0 + h @ r.weight_hh_l0.T + r.bias_hh_l0)
    torch.testing.assert_close(model(ids)[0][:, -1], model.output(h))


def test_the_gru_has_three_quarters_of_the_lstms_recurrent_weights() -> None:
    """S211, S214."""
    count = {cell: sum(p.numel() for p in net(cell).recurrent.parameters()) for cell in ("lstm", "gru", "rnn")}
    assert count["gru"] * 4 == count["lstm"] * 3
    assert count["rnn"] * 4 == count["lstm"]


@pytest.mark.parametrize(("cell", "module"), [("rnn", nn.RNN), ("lstm", nn.LSTM), ("gru", nn.GRU)])
def test_the_nets_are_those_of_torchs_modules_to_the_bit(cell: str, module: type[nn.Module]) -> None:
    """Runs from before the cells were our own go on as they were: names, first values and outputs."""
    torch.manual_seed(3)
    theirs = module(4, 6, 2, batch_first=True)
    torch.manual_seed(3)
    ours = CharRNN(5, cell, embedding=4, hidden=6, layers=2, dropout=0.0).recurrent
    assert list(ours.state_dict()) == list(theirs.state_dict())
    torch.manual_seed(3)
    ours = Recurrent(cell, 4, 6, 2)
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))
    x = torch.randn(2, 9, 4)
    assert torch.equal(ours(x)[0], theirs(x)[0])


def test_every_cell_has_a_name_in_words() -> None:
    assert tuple(sorted(char_rnn.CALLED)) == tuple(sorted(CELLS))


@pytest.mark.parametrize("cell", CELLS)
def test_parameters_says_how_many_weights_there_are(cell: str) -> None:
    recipe = find("char_rnn")(data="hello", chunk=4, cell=cell, layers=2, parameters=30_000)
    spec = recipe.load().spec
    model = recipe.model(spec)
    assert model.learnt() == pytest.approx(30_000, rel=0.02)
    units = recipe.units(spec)
    assert recipe.chosen(spec) == {"hidden": units}
    hand = recipe.model_copy(update={"parameters": None})
    others = [hand.model_copy(update={"hidden": units + step}).model(spec).learnt() for step in (-1, 1)]
    assert all(abs(model.learnt() - 30_000) <= abs(other - 30_000) for other in others)
    if cell != "clockwork":
        assert model.learnt() == sum(p.numel() for p in model.parameters())


def test_too_few_parameters_are_refused_with_how_many_it_takes() -> None:
    recipe = find("char_rnn")(data="hello", chunk=4, parameters=100)
    spec = recipe.load().spec
    with pytest.raises(UserError, match="parameters must be 2,676 or more, for 4 units"):
        recipe.model(spec)
    assert recipe.model_copy(update={"parameters": 2676}).units(spec) == 4


def test_a_depth_gate_without_a_layer_below_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S212."""
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "char_rnn", "--data", "anbn", "--cell", "depth_gated", "--out", str(tmp_path / "run")])
    assert end.value.code == 2
    assert "must have 2 layers or more" in capsys.readouterr().err


def test_units_are_found_without_a_net(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = find("char_rnn")(data="hello", chunk=4, layers=2, parameters=100_000_000)
    spec = recipe.load().spec
    monkeypatch.setattr(nn.Module, "__init__", lambda self: pytest.fail("a module was made"))
    assert recipe.units(spec) == recipe.chosen(spec)["hidden"] == 2865
    assert "2 layers of 2865" in recipe.protocol(spec)["model"]


@pytest.mark.parametrize("cell", CELLS)
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


# --- how far back


def test_an_elman_nets_gradient_falls_as_the_product_of_its_slopes() -> None:
    """S204: for one unit ∂h_T/∂h_(T-k) = Π w (1 - h²)."""
    torch.manual_seed(0)
    cell = Recurrent("rnn", 2, 1)
    x = torch.randn(1, 12, 2)
    out = cell(x)[0][0, :, 0]
    slopes = cell.weight_hh_l0[0, 0] * (1 - out.square())
    expected = torch.cat([torch.ones(1), slopes.flip(0).cumprod(0)])[:9].abs()
    torch.testing.assert_close(magnitudes(cell, x, 8)[:, 0], expected.detach())


def test_an_lstm_without_recurrent_weights_carries_by_its_forget_gates_alone() -> None:
    """S218, C118: then ∂c_T/∂c_(T-k) = Π f, slower than an Elman net's, not for ever."""
    torch.manual_seed(0)
    cell = Recurrent("lstm", 2, 1)
    nn.init.zeros_(cell.weight_hh_l0)
    x = torch.randn(1, 12, 2)
    f = (x[0] @ cell.weight_ih_l0[1] + cell.bias_ih_l0[1] + cell.bias_hh_l0[1]).sigmoid()
    expected = torch.cat([torch.ones(1), f.flip(0).cumprod(0)])[:9]
    torch.testing.assert_close(magnitudes(cell, x, 8)[:, 0], expected.detach())


@pytest.mark.parametrize("cell", CELLS)
def test_magnitudes_are_those_of_the_jacobian(cell: str) -> None:
    """S205: the mean over many directions of the noise is the Jacobian's Frobenius norm over √H."""
    torch.manual_seed(0)
    recurrent = Recurrent(cell, 2, 4, 2).double()
    x = torch.randn(1, 7, 2, dtype=torch.float64)
    with torch.no_grad():
        state = recurrent(x[:, :4])[1]
    whole = activity.carried(state)

    def last(carried: torch.Tensor) -> torch.Tensor:
        begun = carried
        if isinstance(state, tuple):
            begun = (state[0], carried) if activity.celled(state) else (carried, state[1])
        return activity.carried(recurrent(x[:, 4:], begun)[1])[-1, 0]

    whole = whole.clone().requires_grad_()
    rows = [torch.autograd.grad(last(whole)[unit], whole)[0][:, 0] for unit in range(4)]  # H of (L, H)
    exact = torch.stack(rows).square().sum((0, 2)).sqrt() / 2
    found = magnitudes(recurrent, x.expand(4000, -1, -1).contiguous(), 3)[3]
    torch.testing.assert_close(found, exact, rtol=0.05, atol=1e-12)


def test_reach_is_the_last_lag_above_a_thousandth() -> None:
    assert reach(torch.tensor([1.0, 0.1, 1e-4, 0.01, 1e-5, 1e-6])) == 4
    assert reach(torch.tensor([1.0, 0.5])) == 2


# --- what units follow


def test_states_are_cells_where_there_are_some_and_hidden_units_else() -> None:
    x = torch.randn(2, 5, 4)
    for cell in ("rnn", "gru", "clockwork"):
        recurrent = net(cell).recurrent
        torch.testing.assert_close(activity.states(recurrent, x), recurrent(x)[0].detach())
    lstm = net("lstm", layers=2).recurrent
    torch.testing.assert_close(activity.states(lstm, x)[:, -1], lstm(x)[1][1].movedim(1, 0).flatten(1).detach())


def test_correlations_are_pearsons() -> None:
    torch.manual_seed(0)
    units, features = torch.randn(50, 3), torch.randn(50, 2)
    features[:, 1] += 2 * units[:, 2]
    expected = torch.corrcoef(torch.cat([units, features], 1).T.double())[:3, 3:]
    torch.testing.assert_close(activity.correlations(units, features), expected)
    assert activity.correlations(torch.ones(9, 1), torch.randn(9, 1)).item() == 0


def test_features_of_a_text() -> None:
    text = 'He (a\n\nKING: "no"\n  99'
    found = {name: line.int().tolist() for name, line in activity.features(text).items()}
    assert found["place in the line"] == [1, 2, 3, 4, 5, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4]
    assert found["inside parentheses"] == [0, 0, 0, 1, 1, 1] + [0] * 16
    assert found["inside double quotes"] == [0] * 13 + [1, 1, 1, 0] + [0] * 5
    assert found["a word in capitals"] == [0] * 8 + [1, 1, 1] + [0] * 11
    assert found["the line after an empty one"] == [0] * 7 + [1] * 11 + [0] * 4
    assert found["indentation"] == [0] * 18 + [1, 2, 2, 2]
    assert found["place in the word"] == [1, 2, 0, 0, 1, 0, 0, 1, 2, 3, 4, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 2]
    assert "inside brackets" not in found


def test_a_feature_is_looked_for_unless_it_hardly_ever_changes() -> None:
    def known(line: str) -> set[str]:
        return {name for name in activity.features(50 * line) if name in ("a digit", "place in the sentence")}

    assert known("a" * 148 + "1.") == {"place in the sentence"}  # an end in 150 characters is enough, a digit is not
    assert known("a" * 88 + "1.") == {"a digit", "place in the sentence"}
    assert known("a" * 298 + "1.") == set()


def test_activity_is_blue_above_0_and_orange_below() -> None:
    """As what words contribute to an answer is."""
    board = activity.coloured([("a unit", "abc", torch.tensor([1.0, -1.0, 0.0]))]).axes[0].images[0].get_array()
    colours = [torch.tensor(board[0, column]) for column in range(3)]
    for colour, name in zip(colours, (SKY, ORANGE, "white"), strict=True):
        torch.testing.assert_close(colour.double(), torch.tensor(to_rgb(name)).double())


def test_a_text_whose_parts_are_all_short_is_reported(tmp_path: Path) -> None:
    """Nothing is watched over where no part has a thousand characters: of 2,400 they have 864, 576 and 960."""
    text, run = tmp_path / "text.txt", tmp_path / "run"
    text.write_text(("To be, or not to be: that is the question.\n" * 70)[:2400])
    knobs = {"data": str(text), "chunk": 5, "batch": 4, "hidden": 8, "embedding": 4, "epochs": 0.1}
    carry_out(find("char_rnn")(**knobs, valid=0.4, test=0.4), run, HOST)
    with pytest.raises(SystemExit) as end:
        cli.main(["report", str(run)])
    assert end.value.code == 0
    page = (run / "report" / "index.html").read_text()
    assert "What it wrote while it learnt" in page
    assert "How far back" not in page


# --- a^n b^n


def test_anbn_is_what_it_says() -> None:
    text = catalog.read("anbn").parts["all"]
    lines = text.splitlines()
    lengths = [len(line) // 2 for line in lines]
    assert all(line == "a" * n + "b" * n for line, n in zip(lines, lengths, strict=True))
    assert set(lengths) == set(range(1, 11))
    chance = len(lines) * math.log(10) / len(text)
    assert chance == pytest.approx(0.192, abs=0.001)


def by_hand() -> CharRNN:
    """An LSTM of one cell that adds 1 for an a, takes 1 for a b, and forgets at the end of the line (S208)."""
    model = CharRNN(3, "lstm", embedding=3, hidden=1, layers=1, dropout=0.0)
    sure = 50.0  # whose sigmoid and tanh are 1 in float32
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.embed.weight.copy_(torch.eye(3))  # end of line, a, b
        r = model.recurrent
        r.weight_ih_l0[0] = torch.tensor([-2 * sure, 0, 0])  # i: nothing is added at the end
        r.weight_ih_l0[1] = torch.tensor([-2 * sure, 0, 0])  # f
        r.weight_ih_l0[2] = torch.tensor([0, sure, -sure])  # g: 1 for a, -1 for b
        r.bias_ih_l0.copy_(torch.tensor([sure, sure, 0, sure]))
        model.output.weight.copy_(torch.tensor([[-1.0], [0], [1]]))  # c = 0: the end; c > 0: b
        model.output.bias.copy_(torch.tensor([0.5, -9.0, 0]))
    return model.eval()


def test_weights_set_by_hand_count_exactly() -> None:
    vocabulary = ["\n", "a", "b"]
    model = by_hand()
    with torch.no_grad():
        assert counted(model, vocabulary) == [True] * COUNTED
        unit, share, counts, values = counter(model, vocabulary)
    assert unit == 0
    assert share == pytest.approx(1)
    assert torch.equal(counts, values)
    with torch.no_grad():
        model.recurrent.weight_ih_l0[2, 2] = 0  # b's are not taken away
        assert counted(model, vocabulary) == [False] * COUNTED


@pytest.mark.parametrize("cell", ["lstm", "clockwork"])
def test_a_run_on_anbn_tells_how_far_it_counts(cell: str, tmp_path: Path) -> None:
    knobs = {"data": "anbn", "cell": cell, "hidden": 8, "embedding": 4, "epochs": 0.02}
    result = carry_out(find("char_rnn")(**knobs), tmp_path / "run", HOST)
    assert {"test/counts_to", "test/counter_r2"} <= result["scores"].keys()
    assert "tells all further b's" in result["remarks"][0]
    with pytest.raises(SystemExit) as end:
        cli.main(["report", str(tmp_path / "run")])
    assert end.value.code == 0
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "The unit that counts" in page
    assert "How far back" in page


@pytest.mark.long
def test_an_lstm_learns_to_count(tmp_path: Path) -> None:
    """S208, C114: trained with n up to 10, right for n up to 15, and a cell is linear in the count."""
    knobs = {"data": "anbn", "hidden": 32, "embedding": 8, "lr": 0.01, "dropout": 0.0}
    result = carry_out(find("char_rnn")(**knobs), tmp_path / "run", HOST)
    assert result["scores"]["test/counts_to"] >= 15
    assert result["scores"]["test/counter_r2"] > 0.95
    assert result["scores"]["test/loss"] < 0.21
