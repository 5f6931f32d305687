"""The MLP: parity with a net written out by hand, activations, both kinds of target."""

from pathlib import Path

import pytest
import torch
from torch import nn

from deepclassics.host import Host
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.systems.foundations.mlp import ACTIVATIONS, MLP, Maxout, judge, objective

HOST = Host(device="cpu", threads=1)


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "maxout"])
def test_equals_the_layers_written_out(activation: str) -> None:
    """S051: f(x) = f_L(... f_2(f_1(x)))."""
    torch.manual_seed(0)
    model = MLP(4, (5, 3), 2, activation)
    first, second, last = (layer for layer in model.layers if isinstance(layer, nn.Linear))
    act = Maxout() if activation == "maxout" else ACTIVATIONS[activation]()
    x = torch.randn(7, 4)
    h = act(x @ first.weight.T + first.bias)
    h = act(h @ second.weight.T + second.bias)
    torch.testing.assert_close(model(x), h @ last.weight.T + last.bias)


def test_maxout_takes_the_larger_of_each_pair() -> None:
    assert Maxout()(torch.tensor([[1.0, 2.0, -3.0, -4.0]])).tolist() == [[2.0, -3.0]]


def test_counts_its_weights() -> None:
    """784-800-10 has 784 * 800 + 800 + 800 * 10 + 10 of them."""
    assert sum(p.numel() for p in MLP(784, (800,), 10).parameters()) == 636_010


def test_dropout_is_off_when_it_is_judged() -> None:
    model = MLP(4, (50,), 2, dropout=0.5, input_dropout=0.2)
    x = torch.randn(3, 4)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_numbers_are_answered_in_the_users_unit() -> None:
    torch.manual_seed(0)
    model = MLP(2, (), 1, centre=100.0, spread=10.0)
    nn.init.zeros_(model.layers[0].weight)
    batch = {"features": torch.zeros(4, 2), "number": torch.tensor([100.0, 110.0, 90.0, 100.0])}
    assert model(batch["features"]).flatten().tolist() == [100.0] * 4
    assert float(objective(model, batch)["loss"].detach()) == pytest.approx(0.5)  # (0 + 1 + 1 + 0) / 4 of the variance
    scores = judge(model, [batch])
    assert float(scores["rmse"].detach()) == pytest.approx(50**0.5)
    assert float(scores["r2"].detach()) == pytest.approx(0.0)


def test_xor_needs_the_hidden_layer(tmp_path: Path) -> None:
    """S023, S024, C139: one layer cannot, two can."""
    settings = {"data": "xor", "epochs": 800, "lr": 0.05, "schedule": "constant", "batch": 4}
    without = carry_out(find("mlp")(hidden=(), **settings), tmp_path / "without", HOST)
    within = carry_out(find("mlp")(hidden=(8,), activation="tanh", **settings), tmp_path / "within", HOST)
    assert without["scores"]["train/loss"] > 0.69
    assert within["scores"]["train/loss"] < 0.01


def test_a_number_is_learnt_about_as_well_as_by_ridge_regression(tmp_path: Path) -> None:
    from sklearn.linear_model import RidgeCV

    recipe = find("mlp")(data="diabetes")
    ours = carry_out(recipe, tmp_path / "run", HOST)["scores"]["test/r2"]
    data = recipe.load()
    train, test = data.train.columns, data.test.columns  # type: ignore[attr-defined]
    theirs = RidgeCV().fit(train["features"], train["number"]).score(test["features"], test["number"])
    assert ours > theirs - 0.1, (ours, theirs)
