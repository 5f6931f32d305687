"""Equations of the notes' first chapters that belong to no single system, each by its label in the inventory."""

import math

import pytest
import torch
from torch import Tensor, nn

from deepclassics.layers.gradients import batch_norm, batch_norm_backward
from deepclassics.learn import Clock
from deepclassics.recipe import find
from deepclassics.systems.foundations.mlp import MLP
from deepclassics.systems.foundations.perceptron import Perceptron, decide

SPEC = {"kind": "table", "features": 2, "target": {"kind": "number", "name": "y", "mean": 0.0, "std": 1.0}}


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_perceptron_model() -> None:
    """S007: ŷ = φ(Σ w x + b), which is +1, the second class, where the sum is exactly 0."""
    unit = Perceptron(2, 1)
    unit.weight.data, unit.bias.data = torch.tensor([[1.0, -1.0]]), torch.tensor([-0.5])
    x = torch.tensor([[1.0, 0.5], [1.0, 0.4], [1.0, 0.6]])
    torch.testing.assert_close(unit(x), (x @ torch.tensor([[1.0], [-1.0]])) - 0.5)
    assert decide(unit(x)).tolist() == [1, 1, 0]


def test_two_tanh() -> None:
    """S050: l2 = tanh(W2 tanh(W1 x + b1) + b2); a line in the plane of l2 is a curve of x, and can part XOR."""
    net = MLP(2, (2, 2), 1, activation="tanh")
    one, _, two, _, _ = net.layers
    assert isinstance(one, nn.Linear)
    assert isinstance(two, nn.Linear)
    one.weight.data, one.bias.data = torch.tensor([[4.0, 4.0], [4.0, 4.0]]), torch.tensor([-2.0, -6.0])
    two.weight.data, two.bias.data = torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.zeros(2)
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    by_hand = torch.tanh(torch.tanh(x @ one.weight.T + one.bias) @ two.weight.T + two.bias)
    torch.testing.assert_close(net.layers[:4](x), by_hand)
    apart = by_hand[:, 0] - by_hand[:, 1]  # one line in the plane of l2
    assert (apart > 1).tolist() == [False, True, True, False]


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_smwa(scale: float) -> None:
    """S067: the softmax-weighted average lies among the values; the larger the query, the nearer to the best match.

    E005: at finite scale it averages, it does not select.
    """
    q, k, v = scale * drawn(0, 3), drawn(1, 5, 3), drawn(2, 5, 4)
    weights = torch.exp(k @ q) / torch.exp(k @ q).sum()
    mean = weights @ v
    torch.testing.assert_close(mean, torch.softmax(k @ q, 0) @ v)
    assert bool((mean >= v.min(0).values).all())
    assert bool((mean <= v.max(0).values).all())
    best = v[(k @ q).argmax()]
    assert torch.allclose(mean, best, atol=1e-6) == (scale > 1)


def fitted(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:  # (N,), (N,), (N,) -> (4,)
    """The cubic of least weighted squares."""
    columns = torch.stack([x**power for power in range(4)], 1)
    return torch.linalg.lstsq(columns * weights.sqrt()[:, None], (y * weights.sqrt())[:, None]).solution[:, 0]


def test_func_learn() -> None:
    """S068: the divergence integrated over the whole input space (E011) falls as samples of the function grow."""
    grid = torch.linspace(-3, 3, 2001, dtype=torch.float64)
    columns = torch.stack([grid**power for power in range(4)], 1)

    def area(samples: int) -> float:
        found = []
        for seed in range(20):
            x = 6 * torch.rand(samples, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 3
            w = fitted(x, x**3 / 10 - x + drawn(seed + 100, samples), torch.ones_like(x))
            found.append(float(torch.trapezoid((columns @ w - (grid**3 / 10 - grid)).square(), grid)))
        return float(torch.tensor(found).median())

    assert area(10) > 2 * area(40)
    assert area(40) > 10 * area(1000)


def test_exp_risk() -> None:
    """S069: weighed by P(X), the fit has the lower expected divergence under P, and the other the lower one without."""
    x = torch.linspace(-3, 3, 601, dtype=torch.float64)
    probability = torch.exp(-((x - 2) ** 2) * 4)
    columns, y = torch.stack([x**power for power in range(4)], 1), torch.exp(torch.sin(2 * x))
    plain, weighed = fitted(x, y, torch.ones_like(x)), fitted(x, y, probability)

    def risk(w: Tensor, weights: Tensor) -> float:
        return float((weights * (columns @ w - y).square()).sum() / weights.sum())

    assert risk(weighed, probability) < 0.2 * risk(plain, probability)
    assert risk(plain, torch.ones_like(x)) < 0.2 * risk(weighed, torch.ones_like(x))


def test_emp_risk() -> None:
    """S070: the empirical risk is the mean divergence of the samples, and nears the true risk as N^(-1/2)."""
    sizes = [100, 1000, 10_000]
    off = []
    for size in sizes:
        loss = (drawn(size, 200, size) - 0.5).square()  # div = (x - 0.5)² of x ~ N(0, 1): true risk 1.25
        off.append(float((loss.mean(1) - 1.25).abs().mean()))
    slope = math.log(off[2] / off[0]) / math.log(sizes[2] / sizes[0])
    assert slope == pytest.approx(-0.5, abs=0.1)


def test_jac_chain_and_diff_rules() -> None:
    """S095, S096: Jacobians multiply; the product rule is f g' + f' g (E066: printed f g' + g' f, another number)."""
    first, second = drawn(0, 4, 3), drawn(1, 2, 4)
    x = drawn(2, 3)

    def inner(x: Tensor) -> Tensor:
        return torch.tanh(first @ x)

    def outer(y: Tensor) -> Tensor:
        return torch.sin(second @ y)

    jacobian = torch.autograd.functional.jacobian
    whole = jacobian(lambda x: outer(inner(x)), x)
    torch.testing.assert_close(whole, jacobian(outer, inner(x)) @ jacobian(inner, x))
    at = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(at**2 * torch.sin(at), at)
    f, g, f_slope, g_slope = 0.49, math.sin(0.7), 1.4, math.cos(0.7)
    assert float(slope) == pytest.approx(f * g_slope + f_slope * g)
    assert f * g_slope + g_slope * f == pytest.approx(0.7495, abs=1e-4)
    assert float(slope) == pytest.approx(1.2767, abs=1e-4)


def test_grad_geom() -> None:
    """S099: ΔY = |∇| |ΔX| cos θ, so the steepest of all directions is the gradient's, and none is along the contour.

    E014: a second derivative above 0 is sufficient for a minimum, not necessary: x⁴ has none at 0.
    """
    gradient = torch.tensor([3.0, -4.0], dtype=torch.float64)
    angles = torch.arange(360, dtype=torch.float64) * math.pi / 180
    rise = torch.stack([angles.cos(), angles.sin()], 1) @ gradient
    between = angles - math.atan2(-4, 3)
    torch.testing.assert_close(rise, 5 * between.cos())
    assert abs(float(angles[rise.argmax()]) - (math.atan2(-4, 3) % (2 * math.pi))) <= math.pi / 360
    assert float(gradient @ torch.tensor([4.0, 3.0], dtype=torch.float64)) == 0
    assert 12 * 0.0**2 == 0 < min(0.1**4, (-0.1) ** 4)


def test_batch_train() -> None:
    """S100: one update of the whole batch is W - η (1/T) Σ dDiv/dW, E023: gathered over all examples first."""
    recipe = find("mlp")(
        hidden=(3,), activation="tanh", batch=8, lr=0.1, optimizer="sgd", schedule="constant", backward="written"
    )
    torch.manual_seed(0)
    model = recipe.model(SPEC)
    assert isinstance(model, MLP)
    nn.init.normal_(model.layers[-1].weight)
    x, y = drawn(0, 8, 2).float(), drawn(1, 8).float()
    gathered = [torch.zeros_like(parameter) for parameter in model.parameters()]
    for each in range(8):
        loss = (model(x[each : each + 1])[0, 0] - y[each]).square()
        for total, gradient in zip(gathered, torch.autograd.grad(loss, list(model.parameters())), strict=True):
            total += gradient / 8
    wanted = [(p - 0.1 * g).detach().clone() for p, g in zip(model.parameters(), gathered, strict=True)]
    recipe.learner(model).step({"features": x, "number": y}, Clock(0, 1, 1))
    for parameter, right in zip(model.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.detach(), right)


@pytest.mark.parametrize("backward", ["written", "autograd"])
def test_l2_reg(backward: str) -> None:
    """S132: with ½ λ ‖W‖² in the loss a step is W - η (dDiv/dW + λ W), for matrices; biases do not decay."""
    x, y = drawn(0, 8, 2).float(), drawn(1, 8).float()
    after = {}
    for l2 in (0.0, 0.5):
        recipe = find("mlp")(
            hidden=(3,), batch=8, lr=0.1, optimizer="sgd", schedule="constant", l2=l2, backward=backward
        )
        torch.manual_seed(0)
        model = recipe.model(SPEC)
        before = [parameter.detach().clone() for parameter in model.parameters()]
        recipe.learner(model).step({"features": x, "number": y}, Clock(0, 1, 1))
        after[l2] = [parameter.detach().clone() for parameter in model.parameters()]
    for start, plain, decayed in zip(before, after[0.0], after[0.5], strict=True):
        torch.testing.assert_close(decayed, plain - 0.1 * 0.5 * start if start.dim() == 2 else plain)


def test_bn_back() -> None:
    """S141: ∂/∂z by way of mean and variance, as the notes break it up, equals what is written out and autograd.

    E028: the printed "∂D/∂u - 1/√..." is a product.
    """
    z, pull, epsilon = drawn(0, 6, 3), drawn(1, 6, 3), 1e-5
    mean, variance = z.mean(0), z.var(0, unbiased=False)
    by_variance = (pull * (z - mean) * -0.5 * (variance + epsilon) ** -1.5).sum(0)
    by_mean = (pull * -1 / (variance + epsilon).sqrt()).sum(0) + by_variance * (-2 * (z - mean)).mean(0)
    by_hand = pull / (variance + epsilon).sqrt() + by_variance * 2 * (z - mean) / 6 + by_mean / 6
    gain, shift = torch.ones(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    free = z.clone().requires_grad_()
    nn.functional.batch_norm(free, None, None, gain, shift, training=True, eps=epsilon).backward(pull)
    assert free.grad is not None
    torch.testing.assert_close(by_hand, free.grad)
    _, normal = batch_norm(z, gain, shift, epsilon)
    torch.testing.assert_close(batch_norm_backward(pull, z, normal, gain, epsilon)[0], by_hand)
