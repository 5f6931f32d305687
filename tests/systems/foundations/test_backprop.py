"""Backpropagation, number by number: the notes' worked examples and every equation of it there, with autograd beside.

The names of the tests hold the labels of the notes' inventory; where a line of the notes is wrong, its printed form is
put to the same test and fails (E...).
"""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deepclassics import cli
from deepclassics.data import catalog
from deepclassics.data.kinds import network
from deepclassics.data.kinds.network import Unit
from deepclassics.data.streams import Columns, Shuffled
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.layers import gradients
from deepclassics.layers.losses import pull_of_cross_entropy
from deepclassics.learn import Clock, look
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.report import page
from deepclassics.report.style import settings as drawing
from deepclassics.report.trace import drawn, lines, table
from deepclassics.run import Run
from deepclassics.systems.foundations.backprop import (
    BackpropLearner,
    BackpropRecipe,
    Net,
    differences,
    first_of,
    followed,
    written_out,
)
from deepclassics.systems.foundations.mlp import objective

HOST = Host(device="cpu", threads=1)
CLOSE = pytest.approx


def close(one: Tensor, other: Tensor, within: float = 1e-12) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=within)


def built(raw: network.Network) -> tuple[Net, dict[str, Any], Columns]:
    splits = network.splits(raw, seed=0, valid=0.0, test=0.0)
    return Net(splits.spec), splits.spec, splits.train


def updated(name: str, order: str = "correct", lr: float = 1.0) -> tuple[Net, dict[str, Any], dict[str, Tensor]]:
    """A named network after one update, its spec, and the numbers of that update."""
    net, spec, columns = built(catalog.read(name))
    learner = BackpropLearner(net, lr, order)
    learner.step(columns.take(slice(None)), Clock(0, 1, 1))
    return net, spec, learner.trace.value


def by_name(spec: dict[str, Any], update: dict[str, Tensor]) -> dict[str, dict[str, float]]:
    """The numbers of an update by the names of units and weights."""
    units, weights = [unit["name"] for unit in spec["units"]], network.connections(spec)
    values = update["value"][0].tolist()[1:]
    return {
        "out": dict(zip([*spec["inputs"], *units], values, strict=True)),
        "delta": dict(zip(units, update["delta"][0].tolist(), strict=True)),
        "sum": dict(zip(units, update["sum"][0].tolist(), strict=True)),
        "before": dict(zip(weights, update["before"].tolist(), strict=True)),
        "after": dict(zip(weights, update["after"].tolist(), strict=True)),
    }


def error(net: Net) -> float:
    """t - o of the worked example."""
    return 0.5 - float(net(torch.tensor([[0.35, 0.9]], dtype=torch.float64)).detach())


# --- the worked example, N001 (S088, C146)


def test_n001_bp_example_at_full_precision() -> None:
    net, spec, update = updated("bp_example")
    numbers = by_name(spec, update)
    assert numbers["sum"] == CLOSE({"top": 0.755, "bottom": 0.68, "final": 0.80144498667351205}, abs=1e-15)
    assert numbers["out"] == CLOSE(
        {
            "x1": 0.35,
            "x2": 0.9,
            "top": 0.68026719669864855,
            "bottom": 0.66373869740435276,
            "final": 0.69028349290764435,
        },
        abs=1e-15,
    )
    assert numbers["delta"] == CLOSE(
        {"top": -0.0026544890308847421, "bottom": -0.0081716450641298698, "final": -0.040681125112339032}, abs=1e-15
    )
    assert numbers["after"] == CLOSE(
        {
            "x1→top": 0.099070928839190345, "x2→top": 0.79761095987220376,
            "x1→bottom": 0.39713992422755456, "x2→bottom": 0.59264551944228305,
            "top→final": 0.27232596506128215, "bottom→final": 0.87299836300899258,
        },
        abs=1e-15,
    )  # fmt: skip
    assert error(net) == CLOSE(-0.18201858326429421, abs=1e-15)


def test_n001_bp_example_in_the_order_of_the_notes() -> None:
    """S088: hidden deltas from weights that are updated already."""
    net, spec, update = updated("bp_example", "notes")
    numbers = by_name(spec, update)
    assert numbers["delta"]["top"] == CLOSE(-0.0024096209569342505, abs=1e-15)
    assert numbers["delta"]["bottom"] == CLOSE(-0.0079264808489732108, abs=1e-15)
    assert numbers["after"] == CLOSE(
        {
            "x1→top": 0.099156632665073019, "x2→top": 0.7978313411387592,
            "x1→bottom": 0.39722573170285941, "x2→bottom": 0.59286616723592411,
            "top→final": 0.27232596506128215, "bottom→final": 0.87299836300899258,
        },
        abs=1e-15,
    )  # fmt: skip
    assert error(net) == CLOSE(-0.18203120274604656, abs=1e-15)
    right = by_name(spec, updated("bp_example")[2])
    assert abs(numbers["delta"]["top"] - right["delta"]["top"]) > 2e-4, "which is not the gradient"


def test_n001_bp_example_as_printed_is_the_order_of_the_notes_rounded_at_every_line() -> None:
    """What the notes print comes out when their factors are rounded as theirs; δ2 -7.916e-3 is a slip for -7.912e-3."""
    out, slope = 0.69, 0.68 * (1 - 0.68)
    delta = -0.0406  # of (0.5 - 0.69)(1 - 0.69) 0.69 = -0.040641
    assert (0.5 - out) * (1 - out) * out == CLOSE(delta, abs=5e-5)
    w1, w2 = 0.3 + delta * 0.68, 0.9 + delta * 0.6637
    assert round(w1, 6) == 0.272392
    assert round(w2, 5) == 0.87305
    one, two = delta * w1 * slope, delta * w2 * (1 - 0.6637) * 0.6637
    assert one == CLOSE(-0.0024064634675, abs=1e-12)
    assert two == CLOSE(-0.0079116253903, abs=1e-12)
    after = [0.1 + one * 0.35, 0.8 + one * 0.9, 0.4 + two * 0.35, 0.6 + two * 0.9]
    assert [round(w, 4) for w in after] == [0.0992, 0.7978, 0.3972, 0.5929]  # the notes cut off 0.59288 at 0.5928
    net = built(catalog.read("bp_example"))[0]
    with torch.no_grad():
        net.weight.copy_(torch.tensor([*after, w1, w2], dtype=torch.float64))
    assert error(net) == CLOSE(-0.1820495189311947, abs=1e-14)
    assert round(error(net), 5) == -0.18205


def test_c146_bp_example_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for order, after in (("correct", 0.18201858326429421), ("notes", 0.18203120274604656)):
        with pytest.raises(SystemExit) as end:
            cli.main(["run", "backprop", "--sequence", order, "--out", str(tmp_path / order)])
        assert end.value.code == 0
        out = capsys.readouterr().out
        scores = Run.open(tmp_path / order).result()["scores"]
        assert scores["train/error"] == CLOSE(0.19028349290764435, abs=1e-15)
        assert scores["test/error"] == CLOSE(after, abs=1e-15)
        assert scores["train/loss"] == CLOSE(0.018103903836566768, abs=1e-15)
        assert scores["train/gradient_difference"] < 1e-15
        assert scores["train/jacobian_difference"] < 1e-12
        assert scores["train/written_difference"] < 1e-10
        assert "-0.190283 before the update" in out
        assert "-0.182019" in out
        assert "-0.182031" in out
        assert "which is no gradient" in out
    assert scores["test/loss"] == CLOSE(0.18203120274604656**2 / 2, abs=1e-15)


# --- the other examples


def test_s087_bp_letters() -> None:
    """The twelve updates and five deltas as the notes write them; hidden deltas take the old output weights."""
    lr = 0.5
    numbers = by_name(*updated("bp_letters", lr=lr)[1:])
    out, delta, w, new = (numbers[key] for key in ("out", "delta", "before", "after"))
    targets = {"α": 0.9, "β": 0.1}
    for k, target in targets.items():
        assert delta[k] == CLOSE(out[k] * (1 - out[k]) * (target - out[k]), abs=1e-15)
    for j in "ABC":
        back = delta["α"] * w[f"{j}→α"] + delta["β"] * w[f"{j}→β"]
        assert delta[j] == CLOSE(out[j] * (1 - out[j]) * back, abs=1e-15)
        for k in targets:
            assert new[f"{j}→{k}"] == CLOSE(w[f"{j}→{k}"] + lr * delta[k] * out[j], abs=1e-15)
        for m in "λΩ":
            assert new[f"{m}→{j}"] == CLOSE(w[f"{m}→{j}"] + lr * delta[j] * out[m], abs=1e-15)
    assert len(new) == 12


def matrices(spec: dict[str, Any], names: Sequence[str], heard: Sequence[str]) -> tuple[Tensor, Tensor]:
    """W and b of some units over what they hear."""
    units = {unit["name"]: unit for unit in spec["units"]}
    rows = [[units[name]["inputs"][source] for source in heard] for name in names]
    biases = [units[name]["bias"] or 0.0 for name in names]
    return torch.tensor(rows, dtype=torch.float64), torch.tensor(biases, dtype=torch.float64)


def test_s084_bp_one_and_c184_delta() -> None:
    """δ = U ⊙ f'(z) = ∂ŷ/∂z, ∂ŷ/∂W = δ xᵀ, ∂ŷ/∂b = δ, ∂ŷ/∂x_j = δᵀ W_:,j; E068 is of misprinted indices."""
    net, spec, update = updated("bp_one")
    a, x = ["a1", "a2", "a3"], ["x1", "x2", "x3"]
    (W, b), U = matrices(spec, a, x), matrices(spec, ["ŷ"], a)[0][0]
    value = torch.tensor([1.0, 0.5, -1.0], dtype=torch.float64)
    W, b, value = (tensor.requires_grad_() for tensor in (W, b, value))
    z = W @ value + b
    y = U @ z.sigmoid()
    dz, dW, db, dx = torch.autograd.grad(y, [z, W, b, value])
    delta = U * z.sigmoid() * (1 - z.sigmoid())
    close(update["delta"][0, :3], delta.detach())
    close(delta, dz)
    close(torch.outer(delta, value), dW)
    close(update["product"][:12].view(3, 4)[:, :3], dW)
    close(delta, db)
    close(update["product"][:12].view(3, 4)[:, 3], db)
    close(W.T @ delta, dx)
    close(W[:, 1] @ delta, dx[1])
    back = gradients.linear_backward(delta[None], value[None], W)
    for one, other in zip(back, (dx[None], dW, db), strict=True):
        close(one, other)
    loss = float(net.judged(*net.passes(value.detach()[None], net.weight), None)["loss"].detach())
    assert -loss > float(y.detach()), "the score was raised"


def test_s085_bp_two_and_e069_e070_e071_n068() -> None:
    """δ¹ = (W²ᵀ δ²) ⊙ f'(z¹) and ∂ŷ/∂W^l = δ^l a^(l-1)ᵀ; with f or f' at z², and with a², it is no gradient."""
    _, spec, update = updated("bp_two")
    one, two, x = ["a1.1", "a1.2"], ["a2.1", "a2.2"], ["x1", "x2"]
    (W1, b1), (W2, b2) = matrices(spec, one, x), matrices(spec, two, one)
    U = matrices(spec, ["ŷ"], two)[0][0]
    a0 = torch.tensor([1.0, -0.5], dtype=torch.float64)
    W1, W2 = W1.requires_grad_(), W2.requires_grad_()
    z1 = W1 @ a0 + b1
    a1 = z1.tanh()
    z2 = W2 @ a1 + b2
    a2 = z2.tanh()
    d1, d2, dW1, dW2 = torch.autograd.grad(U @ a2, [z1, z2, W1, W2])
    last = U * (1 - a2**2)
    found = gradients.recursion(last[None], [W1, W2], [(1 - a1**2)[None], (1 - a2**2)[None]])
    for mine, right in zip(found, (d1, d2), strict=True):
        close(mine[0], right)
    close(update["delta"][0, :4], torch.cat([d1, d2]))
    close(torch.outer(last, a1), dW2)
    close(torch.outer(found[0][0], a0), dW1)
    products = update["product"][:12].view(2, 2, 3)[:, :, :2]
    close(products, torch.stack([dW1, dW2]))
    for printed in (a2, 1 - a2**2):  # E070: f(z²), and f'(z²)
        assert float(((W2.T @ last) * printed - d1).abs().max().detach()) > 0.02
    assert float((torch.outer(last, a2) - dW2).abs().max().detach()) > 0.02  # E069: a²
    assert float((W1.T @ found[0][0] * (1 - a1**2) - d1).abs().max().detach()) > 0.02  # E071: W^l and δ^l on the right


# --- any network


@st.composite
def nets(draw: st.DrawFn, losses: Sequence[str] = network.LOSSES) -> network.Network:
    """Networks without loops: every unit hears some of the inputs and earlier units."""
    inputs = [f"x{k}" for k in range(draw(st.integers(1, 3)))]
    loss = draw(st.sampled_from(losses))
    number = st.integers(-20, 20).map(lambda whole: whole / 10)
    smooth = st.sampled_from([name for name in network.ACTIVATIONS if name not in ("softmax", "relu", "leaky")])
    known, units = list(inputs), []
    for k in range(draw(st.integers(1, 5))):
        heard = draw(st.lists(st.sampled_from(known), min_size=1, unique=True))
        bias = draw(st.none() | number)
        units.append(Unit(f"u{k}", tuple((name, draw(number)) for name in heard), bias, draw(smooth)))
        known.append(f"u{k}")
    last = "sigmoid" if loss == "cross_entropy" else draw(smooth)
    if loss == "cross_entropy" and draw(st.booleans()):
        last = "softmax"
    outputs = [f"y{k}" for k in range(draw(st.integers(1, 3)))]
    for name in outputs:
        heard = draw(st.lists(st.sampled_from(known), min_size=1, unique=True))
        units.append(Unit(name, tuple((source, draw(number)) for source in heard), draw(st.none() | number), last))
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        x = [draw(number) for _ in inputs]
        target = [float(k == 0) for k in range(len(outputs))] if last == "softmax" else [0.25] * len(outputs)
        rows.append((x, None if loss == "score" else target))
    return network.network("a network", inputs, units, rows, outputs, loss)


@settings(max_examples=60, deadline=None)
@given(nets())
def test_s082_s092_random_graphs_equal_autograd(raw: network.Network) -> None:
    net, _, columns = built(raw)
    found = differences(net, columns.take(slice(None)), net.weight)
    assert found["gradient"] < 1e-10
    assert found["jacobian"] < 1e-12


@settings(max_examples=20, deadline=None)
@given(nets(), st.sampled_from([0.01, 0.3]))
def test_s090_a_weights_gradient_is_the_source_times_the_signal_at_the_target(raw: network.Network, lr: float) -> None:
    """And S098: w⁺ = w - lr ∂L/∂w of the loss L, where the notes once print ∂f/∂θ of the net's output (E065)."""
    net, spec, columns = built(raw)
    learner = BackpropLearner(net, lr, "correct")
    batch = columns.take(slice(None))
    weight = net.weight.detach().clone().requires_grad_()
    (right,) = torch.autograd.grad(net.judged(*net.passes(batch["input"], weight), batch.get("target"))["loss"], weight)
    learner.step(batch, Clock(0, 1, 1))
    update = learner.trace.value
    close(update["after"], weight.detach() - lr * right, 1e-10)
    places = [*["1"], *spec["inputs"], *[unit["name"] for unit in spec["units"]]]
    pairs = [
        (source if source != "bias" else "1", k)
        for k, unit in enumerate(spec["units"])
        for source in [*unit["inputs"], *(["bias"] if unit["bias"] is not None else [])]
    ]
    told = torch.stack([update["value"][:, places.index(name)] * update["delta"][:, k] for name, k in pairs], 1)
    close(told.mean(0), update["product"])


def test_s092_a_graph_with_a_loop_is_refused() -> None:
    units = [Unit("a", (("x", 1.0), ("b", 1.0))), Unit("b", (("a", 1.0),))]
    with pytest.raises(UserError, match=r"must have no loop.*a ← b ← a"):
        network.network("a network", ["x"], units, [([1.0], [1.0])], ["b"])


def xor(activation: str, weights: Sequence[float], lr: float) -> network.Network:
    names = ["a", "b"]
    hidden = [
        Unit(f"h{k}", tuple(zip(names, weights[3 * k : 3 * k + 2], strict=True)), weights[3 * k + 2], activation)
        for k in range(3)
    ]
    out = Unit("y", tuple((f"h{k}", weights[9 + k]) for k in range(3)), 0.0)
    rows = [([float(a), float(b)], [float(a != b)]) for a in (0, 1) for b in (0, 1)]
    return network.network("xor", names, [*hidden, out], rows, lr=lr)


def test_s086_bp_f3_solves_xor() -> None:
    """Δw = lr δ_k h_j and lr δ_j x_m with δ_j = f'(net_j) Σ_k δ_k w_kj, E = ½ Σ (y - d)²."""
    torch.manual_seed(0)
    net, _, columns = built(xor("tanh", torch.randn(12).tolist(), 2.0))
    learner, stream = BackpropLearner(net, net.lr, "correct"), Shuffled(columns, 4, 0)
    before = look(learner, stream)["loss"]
    for step in range(900):
        learner.step(stream.at(step), Clock(step, 900, 1))
    assert before > 0.1
    assert look(learner, stream)["loss"] < 0.002


def test_s100_batch_mode_equals_torch_and_e025() -> None:
    """w -= lr/T Σ dErr/dw over all T examples: the mean, with a minus; the notes' E025 is its mini-batch form."""
    torch.manual_seed(1)
    start = torch.randn(12).tolist()
    net, _, columns = built(xor("sigmoid", start, 0.7))
    learner, batch = BackpropLearner(net, net.lr, "correct"), columns.take(slice(None))
    first, second = torch.nn.Linear(2, 3).double(), torch.nn.Linear(3, 1).double()
    weights = torch.tensor(start, dtype=torch.float64)
    with torch.no_grad():
        first.weight.copy_(weights[:9].view(3, 3)[:, :2])
        first.bias.copy_(weights[:9].view(3, 3)[:, 2])
        second.weight.copy_(weights[None, 9:])
        second.bias.zero_()
    sgd = torch.optim.SGD([*first.parameters(), *second.parameters()], 0.7)
    for step in range(20):
        learner.step(batch, Clock(step, 20, 1))
        sgd.zero_grad()
        out = second(first(batch["input"]).sigmoid()).sigmoid()
        (0.5 * (out - batch["target"]).square().sum(1).mean()).backward()
        sgd.step()
    theirs = torch.cat([torch.cat([first.weight, first.bias[:, None]], 1).flatten(), second.weight[0], second.bias])
    close(net.weight.detach(), theirs.detach(), 1e-13)


def test_s101_all_three_ways_of_fitting_a_graph_come_to_the_same_optimum() -> None:
    """The whole data set, some of it, or one instance at a time, on a linear unit whose examples can all be met."""
    rows = [([a, b], [2 * a - b + 0.5]) for a, b in ((0.0, 1.0), (1.0, 0.5), (-1.0, 1.0), (0.5, -1.0))]
    units = [Unit("y", (("a", 0.0), ("b", 0.0)), 0.0, "linear")]
    for batch in (4, 2, 1):
        net, _, columns = built(network.network("line", ["a", "b"], units, rows))
        learner, stream = BackpropLearner(net, 0.3, "correct"), Shuffled(columns, batch, 0)
        for step in range(600):
            learner.step(stream.at(step), Clock(step, 600, len(stream)))
        close(net.weight.detach(), torch.tensor([2.0, -1.0, 0.5]).double(), 1e-6)


def test_s098_descent_converges_below_two_over_the_largest_curvature() -> None:
    """For one linear unit E = ½ mean (w·x - t)²: the loss falls for lr < 2/λ and rises above."""
    rows = [([1.0, 2.0], [1.0]), ([-1.0, 1.0], [0.0]), ([2.0, 0.5], [-1.0])]
    raw = network.network("line", ["a", "b"], [Unit("y", (("a", 3.0), ("b", -2.0)), None, "linear")], rows)
    x = raw.x
    limit = 2 / float(torch.linalg.eigvalsh(x.T @ x / len(x)).max())
    for lr, falls in ((0.95 * limit, True), (1.05 * limit, False)):
        net, _, columns = built(raw)
        learner, batch = BackpropLearner(net, lr, "correct"), columns.take(slice(None))
        losses = [float(learner.step(batch, Clock(step, 60, 1))["loss"]) for step in range(60)]
        assert (losses[-1] < losses[30]) == falls


def chain(depth: int, width: int, activation: str, weight: Callable[[], float]) -> network.Network:
    heard, units = [f"x{k}" for k in range(width)], []
    for layer in range(depth):
        names = [f"h{layer}.{k}" for k in range(width)]
        units += [Unit(name, tuple((source, weight()) for source in heard), None, activation) for name in names]
        heard = names
    units.append(Unit("y", tuple((source, weight()) for source in heard), None, "linear"))
    return network.network("a chain", [f"x{k}" for k in range(width)], units, [([0.5] * width, None)], loss="score")


def test_s089_going_back_once_is_linear_in_the_weights_and_paths_are_exponential_in_depth() -> None:
    for depth in (1, 2, 5, 10):
        net = Net(built(chain(depth, 2, "tanh", lambda: 1.0))[1])
        once, paths = net.costs()
        inner = 4 * (depth - 1) + 2  # weights between units
        assert once == inner + 4 * depth + 2
        by_layer = [2 ** (depth - 1 - layer) * (depth + 1 - layer) for layer in range(depth)]  # of one weight into it
        assert paths == 4 * sum(by_layer) + 2
    assert paths > 50 * once


def test_s091_gradients_vanish_through_sigmoids() -> None:
    """At most 0.25 a layer: 0.25^5 = 9.77e-4; seven layers of unit-scale weights leave less than a thousandth."""
    assert CLOSE(9.77e-4, rel=1e-3) == 0.25**5
    z = torch.linspace(-10, 10, 2001, dtype=torch.float64)
    slope = gradients.SLOPES["sigmoid"](z, z.sigmoid())
    assert float(slope.max()) == 0.25
    assert float(slope[-1]) == CLOSE(4.54e-5, rel=1e-3)
    generator = torch.Generator().manual_seed(0)
    width = 8
    raw = chain(7, width, "sigmoid", lambda: float(torch.randn((), generator=generator)) / math.sqrt(width))
    net, _, columns = built(raw)
    deltas = followed(net, columns.take(slice(None)), net.weight.detach())[2][0, : 7 * width].view(7, width)
    norms = deltas.norm(dim=1)
    assert float(norms[0] / norms[-1]) < 1e-3


# --- Jacobians


def test_s093_the_jacobian_equals_finite_differences_row_by_row() -> None:
    net, _, columns = built(catalog.read("bp_letters"))
    x, weight = columns["input"], net.weight.detach()
    found = net.jacobian(x[0], weight)
    for place in range(len(weight)):
        step = torch.zeros_like(weight)
        step[place] = 1e-6
        ends = [net.passes(x, weight + sign * step)[1][0, net.outputs] for sign in (1, -1)]
        close(found[:, place], (ends[0] - ends[1]) / 2e-6, 1e-9)


def test_s094_the_error_of_the_first_order_approximation_is_of_second_order() -> None:
    """f(w + ε) ≈ f(w) + J ε: a tenth of the step leaves a hundredth of the error."""
    net, _, columns = built(catalog.read("bp_letters"))
    x, weight = columns["input"], net.weight.detach()
    here, jacobian = net.passes(x, weight)[1][0, net.outputs], net.jacobian(x[0], weight)
    direction = torch.randn(len(weight), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left = [
        float((net.passes(x, weight + h * direction)[1][0, net.outputs] - here - jacobian @ (h * direction)).norm())
        for h in (1e-2, 1e-3)
    ]
    assert math.log10(left[0] / left[1]) == CLOSE(2, abs=0.05)


def test_s095_and_c183_jacobians_multiply_along_a_chain() -> None:
    """J_x^z = J_y^z J_x^y, down to a layer's own weights θ_l: ∂f_L/∂f_(L-1) ... ∂f_l/∂θ_l."""
    generator = torch.Generator().manual_seed(3)
    weights = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((4, 3), (5, 4), (2, 5))]
    x = torch.randn(3, generator=generator, dtype=torch.float64)
    values, jacobians = [x], []
    for weight in weights:
        values.append((weight @ values[-1]).tanh())
        jacobians.append((1 - values[-1] ** 2)[:, None] * weight)

    def whole(x: Tensor, first: Tensor) -> Tensor:
        return (weights[2] @ (weights[1] @ (first @ x).tanh()).tanh()).tanh()

    by_x, by_first = torch.autograd.functional.jacobian(whole, (x, weights[0]))
    close(jacobians[2] @ jacobians[1] @ jacobians[0], by_x)
    slopes = torch.diag(1 - values[1] ** 2)
    close(jacobians[2] @ jacobians[1] @ slopes @ gradients.weight_jacobian(x, 4), by_first.flatten(1))
    close(gradients.kronecker(jacobians[2] @ jacobians[1] @ slopes, x), by_first.flatten(1))


def test_n042_toeplitz_and_s097_kron() -> None:
    """W 2×3 -> J 2×6 with x in blocks; J_W2 = J_w ⊗ vᵀ and J_W1 = J_u ⊗ xᵀ with the activation's slopes in J_u."""
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    assert gradients.weight_jacobian(x, 2).tolist() == [[1, 2, 3, 0, 0, 0], [0, 0, 0, 1, 2, 3]]
    generator = torch.Generator().manual_seed(5)
    W1, W2 = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((4, 3), (2, 4)))

    def outputs(W1: Tensor, W2: Tensor) -> Tensor:
        return (W2 @ (W1 @ x).sigmoid()).softmax(0)

    by_first, by_second = torch.autograd.functional.jacobian(outputs, (W1, W2))
    u = W1 @ x
    v = u.sigmoid()
    later = gradients.softmax_jacobian((W2 @ v).softmax(0)[None])[0]
    close(gradients.kronecker(later, v), by_second.flatten(1))
    close(later @ gradients.weight_jacobian(v, 2), by_second.flatten(1))
    without = later @ W2
    close(gradients.kronecker(without * (v * (1 - v)), x), by_first.flatten(1))
    assert float((gradients.kronecker(without, x) - by_first.flatten(1)).abs().max()) > 0.01, (
        "without the slopes it fails"
    )


def test_s096_product_rule_and_e066() -> None:
    """(f g)' = f g' + f' g, for f = x², g = sin at 0.7: 1.2767; the notes print f g' + g' f, which is 0.7495."""
    x = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    (right,) = torch.autograd.grad(x**2 * x.sin(), x)
    f, df, g, dg = 0.7**2, 2 * 0.7, math.sin(0.7), math.cos(0.7)
    assert float(right) == CLOSE(f * dg + df * g, abs=1e-15)
    assert float(right) == CLOSE(1.2767, abs=5e-5)
    assert f * dg + dg * f == CLOSE(0.7495, abs=5e-5)


def test_s099_the_gradient_is_the_steepest_way_and_e015() -> None:
    """ΔY = ∇ · ΔX = |∇| |ΔX| cos θ: the best of 360 directions is the gradient's, and across it nothing changes."""
    unit = Unit("y", (("a", 0.4), ("b", -0.9)))
    net, _, columns = built(network.network("a unit", ["a", "b"], [unit], [([1.0, 0.3], None)], loss="score"))
    x, weight = columns["input"], net.weight.detach()
    gradient = net.jacobian(x[0], weight)[0]
    angles = torch.arange(360) * math.pi / 180
    ways = torch.stack([angles.cos(), angles.sin()], 1).double()
    rise = torch.stack([net.passes(x, weight + 1e-4 * way)[1][0, net.outputs[0]] for way in ways])
    rise = (rise - net.passes(x, weight)[1][0, net.outputs[0]]) / 1e-4
    close(rise, ways @ gradient, 1e-4)
    assert int(rise.argmax()) == CLOSE(math.degrees(math.atan2(float(gradient[1]), float(gradient[0]))) % 360, abs=1)


# --- other layers


def test_every_written_backward_pass_equals_autograd() -> None:
    found = written_out(0)
    assert {"dense layer", "softmax with cross entropy", "batch normalisation", "convolution"} < set(found)
    assert max(found.values()) < 1e-10
    assert set(gradients.SLOPES) == set(network.ACTIVATIONS) - {"softmax"}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9), st.sampled_from([1e-5, 1e-3, 0.1]))
def test_s140_bn_forward_and_backward(seed: int, count: int, eps: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, gain, bias, dy = (
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in ((count, 4), (4,), (4,), (count, 4))
    )
    y, normal = gradients.batch_norm(x.detach(), gain.detach(), bias.detach(), eps)
    theirs = F.batch_norm(x, None, None, gain, bias, training=True, eps=eps)
    close(y, theirs.detach(), 1e-10)
    close(normal.mean(0), torch.zeros(4).double(), 1e-10)
    right = torch.autograd.grad(theirs, [x, gain, bias], dy.detach())
    found = gradients.batch_norm_backward(dy.detach(), x.detach(), normal, gain.detach(), eps)
    for mine, other in zip(found, right, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)


def test_softmax_with_cross_entropy_is_safe_where_the_softmax_overflows() -> None:
    z = torch.tensor([[1000.0, 0.0, -1000.0], [0.1, 0.2, 0.3]], dtype=torch.float64, requires_grad=True)
    label = torch.tensor([1, 2])
    loss, dz = pull_of_cross_entropy(z.detach(), label)
    right = F.cross_entropy(z, label)
    assert float(loss) == CLOSE(float(right.detach()), rel=1e-14)
    close(dz, torch.autograd.grad(right, z)[0])


# --- as a system


def test_the_first_update_of_a_run_of_mlp_is_that_runs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One example an update and plain descent: then the trace ends in the weights that the run has after one step."""
    monkeypatch.chdir(tmp_path)
    mlp = find("mlp")(data="iris", hidden=(3, 2), activation="tanh", optimizer="sgd", batch=1, lr=0.1, epochs=1 / 105)
    carry_out(mlp, tmp_path / "mlp", HOST)
    result = carry_out(BackpropRecipe(data="mlp"), tmp_path / "run", HOST)
    assert result["steps"] == 1
    assert result["remarks"][0] == "This is the first update of the run itself, in double precision."
    theirs = Run.open(tmp_path / "mlp").checkpoint()["parts"]["model"]
    layers = [
        torch.cat([theirs[f"layers.{k}.weight"], theirs[f"layers.{k}.bias"][:, None]], 1).flatten() for k in (0, 2, 4)
    ]
    close(Run.open(tmp_path / "run").weights()["weight"], torch.cat(layers).double(), 1e-6)
    assert result["scores"]["test/loss"] < result["scores"]["train/loss"]
    page.write(Run.open(tmp_path / "run"))


@pytest.mark.parametrize(
    ("data", "loss"),
    [("diabetes", "auto"), ("digits", "auto"), ("digits", "binary_cross_entropy"), ("digits", "squared_error")],
)
def test_runs_of_mlp_on_numbers_and_on_pictures(data: str, loss: str, tmp_path: Path) -> None:
    mlp = find("mlp")(data=data, hidden=(4,), epochs=0.01, dropout=0.5, l2=0.1, warmup=0.5, loss=loss)
    carry_out(mlp, tmp_path / "mlp", HOST)
    raw = first_of(tmp_path / "mlp")
    assert "averages over 64 examples and is by adam and has the rate 0 and has dropout 0.5 and has l2 0.1" in raw.note
    found = mlp.load()
    torch.manual_seed(mlp.seed)
    model, batch = mlp.model(found.spec), found.train.at(0)
    net, _, columns = built(raw)
    scores = net.judged(*net.passes(columns["input"], net.weight), columns["target"])
    model.eval()
    first = {name: column[:1] for name, column in batch.items()}
    right = objective(model, first, "cross_entropy" if loss == "auto" else loss)["loss"]
    assert float(scores["loss"].detach()) == CLOSE(float(right.detach()), rel=1e-4)


@pytest.mark.parametrize(
    ("knobs", "sentence"),
    [
        ({"hidden": (800,)}, "at most 300 inputs and units and 5,000 connections.*got 874 and 59,200"),
        ({"hidden": (4,), "batch_norm": True}, "must be without batch normalisation"),
        ({"hidden": (4,), "activation": "maxout"}, "it has 'maxout'"),
    ],
)
def test_a_run_that_cannot_be_followed_is_refused(knobs: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    recipe = find("mlp")(epochs=0.01, **knobs)
    run = Run.begin(tmp_path / "mlp", recipe)
    run.describe(recipe, recipe.load().spec, {})
    with pytest.raises(UserError, match=sentence):
        first_of(tmp_path / "mlp")


def test_a_folder_does_not_hide_a_named_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bp_example").mkdir()
    monkeypatch.chdir(tmp_path)
    assert BackpropRecipe().load().spec["outputs"] == ["final"]


def test_folders_that_are_no_run_of_mlp_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="must be a run folder"):
        BackpropRecipe(data=str(tmp_path / "empty")).load()
    recipe = BackpropRecipe()
    Run.begin(tmp_path / "other", recipe).describe(recipe, recipe.load().spec, {})
    with pytest.raises(UserError, match=r"follows runs of mlp; .* is a run of 'backprop'"):
        BackpropRecipe(data=str(tmp_path / "other")).load()


def test_a_users_network_runs_and_is_reported_and_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two examples, three layers, a skipping connection; `--epochs 3 --batch 2` follows three updates."""
    told = {
        "inputs": ["a", "b"],
        "units": [
            {"name": "h", "inputs": {"a": 1, "b": -1}, "bias": 0.1, "activation": "relu"},
            {"name": "k", "inputs": {"h": 2, "b": 0.5}, "activation": "tanh"},
            {"name": "yes", "inputs": {"h": 1, "k": -1}, "activation": "softmax"},
            {"name": "no", "inputs": {"k": 1}, "bias": 0, "activation": "softmax"},
        ],
        "examples": [{"inputs": [1, 0], "target": [1, 0]}, {"inputs": [0, 1], "target": [0, 1]}],
        "loss": "cross_entropy",
        "lr": 0.2,
        "order": "notes",
    }
    (tmp_path / "net.json").write_text(json.dumps(told))
    recipe = BackpropRecipe(data=str(tmp_path / "net.json"), batch=2, epochs=3)
    result = carry_out(recipe, tmp_path / "run", HOST)
    assert result["steps"] == 3
    assert result["scores"]["test/loss"] < result["scores"]["train/loss"]
    assert any("with --sequence correct" in remark for remark in result["remarks"])
    text = page.write(Run.open(tmp_path / "run")).read_text()
    assert "Update 1, drawn" in text
    assert "Update 3, every number" in text
    assert "Not drawn" not in text
    assert "b→k" in text
    with pytest.raises(SystemExit) as end:
        cli.main(["predict", str(tmp_path / "run"), "1,0,1,0", "--json"])
    assert end.value.code == 0
    row = json.loads(capsys.readouterr().out)
    assert row["output"]["yes"] + row["output"]["no"] == CLOSE(1)
    assert row["delta"]["yes"] == CLOSE(1 - row["output"]["yes"])
    assert row["gradient"]["k→no"] == CLOSE(-row["delta"]["no"] * row["output"]["k"])


def test_the_table_and_the_lines_tell_every_number() -> None:
    _, spec, update = updated("bp_example")
    text = table(spec, update, 1.0)
    for number in ("0.6802671966986485", "-0.002654489030884742", "0.8729983630089926", "-0.02767403493871787"):
        assert number in text
    assert lines(spec, update)[2] == (
        "final (sigmoid): sum 0.801445, output 0.690283, delta -0.0406811; "
        "weights top 0.3 → 0.272326, bottom 0.9 → 0.872998."
    )


def test_a_table_of_many_examples_is_cut() -> None:
    raw = network.network("many", ["x"], [Unit("y", (("x", 1.0),))], [([float(k)], [0.0]) for k in range(25)])
    net, spec, columns = built(raw)
    learner = BackpropLearner(net, 0.1, "correct")
    learner.step(columns.take(slice(None)), Clock(0, 1, 1))
    text = table(spec, learner.trace.value, 0.1)
    assert "Example 20\n" in text
    assert "Example 21" not in text
    assert "... and 5 examples more." in text


def test_the_drawing_tells_sums_outputs_deltas_and_weights() -> None:
    _, spec, update = updated("bp_one")
    with drawing():
        words = [text.get_text() for axes in drawn(spec, update).axes for text in axes.texts]
    assert "Σ 0.3665\nout 0.3665\nδ 1" in words
    assert "0.7 →\n1.188" in words
    assert any(word.endswith("bias 0.1\n→ 0.2749") for word in words)


@pytest.mark.long
def test_two_ranks_in_the_notes_order_see_the_whole_batch(forks: Any, tmp_path: Path) -> None:
    """There weights are used in the middle of an update, so the ranks must agree before."""
    import socket

    import recipes

    torch.manual_seed(0)
    raw = xor("tanh", torch.randn(12).tolist(), 1.0)
    units = network.splits(raw, seed=0, valid=0, test=0).spec["units"]
    rows = [{"inputs": x, "target": t} for x, t in zip(raw.x.tolist(), raw.target.tolist(), strict=True)]
    (tmp_path / "net.json").write_text(json.dumps({"inputs": ["a", "b"], "units": units, "examples": rows}))
    knobs = {"data": str(tmp_path / "net.json"), "batch": 4, "sequence": "notes"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = str(tmp_path / "together")
    assert forks(recipes.rank, [("backprop", knobs, together, number, 2, port) for number in range(2)]) == [0, 0]
    alone = recipes.train(BackpropRecipe(**knobs), tmp_path / "alone").model.state_dict()
    checkpoint = Run.open(together).checkpoint()
    close(checkpoint["parts"]["model"]["weight"], alone["weight"], 1e-12)
    # What is shown of an update: its gradient is of all examples, the deltas are those of each rank's own.
    wholes = Run.open(tmp_path / "alone").snapshots()
    for (step, shared), (_, whole) in zip(Run.open(together).snapshots(), wholes, strict=True):
        if step:
            close(shared["product"], whole["product"], 1e-12)
            close(whole["product"], (whole["after"] - whole["before"]) / raw.lr, 1e-12)
    traces = [rank["parts"]["trace"]["value"] for rank in checkpoint["ranks"]]
    assert sorted(torch.cat([trace["example"] for trace in traces]).tolist()) == [0, 1, 2, 3]
