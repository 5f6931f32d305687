"""The toolbox: activations, losses and first weights against torch and their formulas; knobs that mean one thing."""

import math
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepclassics.flags import typed
from deepclassics.layers import losses
from deepclassics.layers.activations import ACTIVATIONS, Maxout, NoisyReLU, maxout_backward, noisy_slope, sign, step
from deepclassics.layers.gradients import SLOPES
from deepclassics.layers.starts import STARTS
from deepclassics.learn import Clock
from deepclassics.recipe import find
from deepclassics.systems import names

Z = torch.linspace(-6, 6, 241, dtype=torch.float64)


def test_step_and_sign_decide_where_the_sum_is_zero() -> None:
    """S056: 1 from the threshold on; no slope anywhere."""
    assert torch.equal(step(Z), torch.heaviside(Z, torch.ones((), dtype=torch.float64)))
    assert torch.equal(sign(Z)[Z != 0], torch.sign(Z)[Z != 0])
    assert sign(torch.zeros(2)).tolist() == [1, 1]
    assert not step(Z.clone().requires_grad_()).requires_grad


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("linear", lambda z: z),  # S057
        ("sigmoid", lambda z: 1 / (1 + torch.exp(-z))),  # S058
        ("tanh", lambda z: (1 - torch.exp(-2 * z)) / (1 + torch.exp(-2 * z))),  # S059
        ("relu", lambda z: torch.where(z > 0, z, 0)),  # S060
        ("softplus", lambda z: torch.log1p(torch.exp(z))),  # S061
        ("leaky", lambda z: torch.maximum(0.01 * z, z)),  # S063
        ("elu", lambda z: torch.where(z > 0, z, torch.exp(z) - 1)),  # S064
    ],
)
def test_activations_are_their_formulas_and_their_slopes_autograds(name: str, formula: Any) -> None:
    """S057 to S064, C203: σ' = σ(1 - σ), tanh' = 1 - tanh², softplus' = σ."""
    z = Z.clone().requires_grad_()
    y = ACTIVATIONS[name]()(z)
    torch.testing.assert_close(y, formula(Z))
    (slope,) = torch.autograd.grad(y.sum(), z)
    torch.testing.assert_close(SLOPES[name](Z, y.detach()), slope)


def test_softplus_is_at_most_log_2_above_relu() -> None:
    """C150."""
    above = F.softplus(Z) - F.relu(Z)
    assert float(above.max()) == pytest.approx(math.log(2))
    assert float((F.softplus(50 * Z) / 50 - F.relu(Z)).max()) == pytest.approx(math.log(2) / 50)


def test_noisy_relu_has_the_sigmoid_as_its_variance_and_none_in_evaluation() -> None:
    """S062, C204: samples are 0 or more; where the sum is large the noise is seen whole, of variance σ(z) near 1."""
    torch.manual_seed(0)
    noisy = NoisyReLU()
    drawn = noisy(torch.full((200_000,), 4.0))
    assert float(drawn.mean()) == pytest.approx(4.0, abs=0.01)
    assert float(drawn.var()) == pytest.approx(1 / (1 + math.exp(-4)), abs=0.01)
    assert float(noisy(torch.full((1000,), -1.0)).min()) == 0
    assert torch.equal(noisy.eval()(Z), Z.relu())


def test_the_slope_of_noisy_relu_is_autograds_with_the_noise_held() -> None:
    torch.manual_seed(0)
    z = torch.randn(50, 4, dtype=torch.float64, requires_grad=True)
    y = NoisyReLU()(z)
    (slope,) = torch.autograd.grad(y.sum(), z)
    torch.testing.assert_close(noisy_slope(z.detach(), y.detach()), slope)
    assert float(slope[y == 0].abs().max()) == 0


def test_maxout_is_the_larger_and_sends_the_gradient_there() -> None:
    """S065: with sums z and 0 it is the ReLU, with z and -z the absolute value."""
    assert Maxout()(torch.tensor([[1.0, 2.0, -3.0, -4.0]])).tolist() == [[2.0, -3.0]]
    assert torch.equal(Maxout()(torch.stack([Z, torch.zeros_like(Z)], 1))[:, 0], Z.relu())
    assert torch.equal(Maxout()(torch.stack([Z, -Z], 1))[:, 0], Z.abs())
    z = torch.randn(6, 8, dtype=torch.float64)
    z[0, :2] = 1.0  # equal
    z.requires_grad_()
    y, dy = Maxout()(z), torch.randn(6, 4, dtype=torch.float64)
    (dz,) = torch.autograd.grad(y, z, dy)
    torch.testing.assert_close(maxout_backward(dy, z.detach(), y.detach()), dz)


# --- losses


def outputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    z = 3 * torch.randn(9, 4, generator=generator, dtype=torch.float64)
    return z, torch.randint(4, (9,), generator=generator)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("cross_entropy", lambda z, d: -(d * z.softmax(1).log()).sum(1).mean()),  # S074
        (
            "binary_cross_entropy",  # S073
            lambda z, d: (-d * z.sigmoid().log() - (1 - d) * (1 - z.sigmoid()).log()).sum(1).mean(),
        ),
        ("squared_error", lambda z, d: 0.5 * (z.sigmoid() - d).square().sum(1).mean()),  # S072
    ],
)
def test_losses_are_their_formulas_and_their_pulls_autograds(name: str, formula: Any) -> None:
    """S072 to S075."""
    z, label = outputs()
    torch.testing.assert_close(losses.LOSSES[name](z, label), formula(z, F.one_hot(label, 4)))
    leaf = z.clone().requires_grad_()
    loss = losses.LOSSES[name](leaf, label)
    (slope,) = torch.autograd.grad(loss, leaf)
    told, pull = losses.PULLS[name](z.clone(), label)
    torch.testing.assert_close(told, loss.detach())
    torch.testing.assert_close(pull, slope)


def test_the_pull_of_both_cross_entropies_is_output_less_right_over_the_batch() -> None:
    """S073, S074, S075 `ce-grad`: the mean over a batch divides by its size."""
    z, label = outputs()
    right = F.one_hot(label, 4)
    torch.testing.assert_close(losses.pull_of_cross_entropy(z.clone(), label)[1], (z.softmax(1) - right) / 9)
    torch.testing.assert_close(losses.pull_of_binary_cross_entropy(z.clone(), label)[1], (z.sigmoid() - right) / 9)


def test_kl_is_cross_entropy_less_entropy_and_the_likelihood_of_labels_the_same() -> None:
    """S076, S077: 0 for equal rows alone; the same gradient as cross entropy; NLL of one-hot labels is CE."""
    z, label = outputs()
    d = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(4)).softmax(1)
    y = z.softmax(1)
    entropy = -(d * d.log()).sum(1).mean()
    torch.testing.assert_close(losses.kl_divergence(d, y), F.cross_entropy(z, d) - entropy)
    assert float(losses.kl_divergence(d, y)) > 0
    assert float(losses.kl_divergence(y, y)) == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(losses.negative_log_likelihood(y.log(), label), losses.cross_entropy(z, label))


def test_kl_of_a_class_that_never_is_and_is_never_told_is_zero() -> None:
    """S076: 0 log 0 is 0, its limit; a share of 0 for what does happen is infinitely wrong."""
    d, sure = torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert float(losses.kl_divergence(d, d)) == 0
    assert float(losses.kl_divergence(sure, torch.tensor([[0.5, 0.5], [0.0, 1.0]]))) == pytest.approx(math.log(2) / 2)
    assert float(losses.kl_divergence(d, sure)) == math.inf


def test_squared_error_hardly_pulls_where_the_output_is_surely_wrong() -> None:
    """C087: of a saturated wrong output the squared error's gradient vanishes, that of the cross entropy does not."""
    z, label = torch.tensor([[12.0, -12.0]]), torch.tensor([1])
    assert float(losses.pull_of_squared_error(z.clone(), label)[1].abs().max()) < 1e-4
    assert float(losses.pull_of_binary_cross_entropy(z.clone(), label)[1].abs().max()) > 0.99


# --- first weights


@pytest.mark.parametrize(
    ("name", "deviation"),
    [("zeros", 0.0), ("normal", 0.01), ("uniform", 1 / math.sqrt(3 * 300)), ("glorot", math.sqrt(2 / 500)),
     ("he", math.sqrt(2 / 300)), ("orthogonal", math.sqrt(1 / 300))],
)  # fmt: skip
def test_first_weights_have_the_deviation_of_their_rule(name: str, deviation: float) -> None:
    """G042, S126."""
    torch.manual_seed(0)
    weight = torch.empty(200, 300)
    STARTS[name](weight)
    assert float(weight.std()) == pytest.approx(deviation, rel=0.02, abs=1e-9)


def test_orthogonal_rows_are_orthogonal() -> None:
    torch.manual_seed(0)
    weight = torch.empty(20, 30)
    STARTS["orthogonal"](weight)
    torch.testing.assert_close(weight @ weight.T, torch.eye(20), atol=1e-5, rtol=0)


def test_zeros_keep_all_hidden_units_alike_for_ever() -> None:
    """C090: a random start breaks the symmetry, zeros never do."""
    units = {}
    for start in ("zeros", "glorot"):
        recipe = find("mlp")(data="iris", hidden=(5,), activation="sigmoid", initial=start, lr=0.1)
        data = recipe.load()
        torch.manual_seed(0)
        learner = recipe.learner(recipe.model(data.spec))
        for position in range(20):
            learner.step(data.train.at(position), Clock(position, 20, 2))
        first = next(layer for layer in learner.model.modules() if isinstance(layer, nn.Linear))
        units[start] = first.weight.detach()
    assert float((units["zeros"] - units["zeros"][0]).abs().max()) == 0
    assert float(units["zeros"].abs().max()) > 0
    assert float((units["glorot"] - units["glorot"][0]).abs().max()) > 0.1


# --- modes, and knobs


@pytest.mark.parametrize(("batch", "per_pass", "size"), [(1, 120, 1), (16, 8, 16), (1000, 1, 120)])
def test_stochastic_mini_batch_and_whole_batch_are_one_knob(batch: int, per_pass: int, size: int) -> None:
    """One example an update, some, or, with as many as there are or more, all of them."""
    data = find("mlp")(data="iris", batch=batch, test=0.1).load()
    assert len(data.train) == per_pass
    assert len(data.train.at(0)["label"]) == size


def kind(annotation: Any) -> str:
    """What is typed after a knob, bounds and choices aside: words, a switch, a number or a whole one."""
    words = re.sub(r"Literal\[[\d, ]+\]", "int", str(annotation))
    words = re.sub(r"Literal\['auto'\](?=, )", "", words)  # a number, or left to the system
    for known, told in (("Literal", "words"), ("str", "words"), ("bool", "a switch"), ("float", "a number")):
        if known in words:
            return told
    assert "int" in words, words
    return "a whole number"


def test_knobs_of_one_name_are_of_one_kind_in_every_recipe() -> None:
    """The toolbox once: `--lr`, `--l2`, `--momentum` and the others are typed alike wherever they are."""
    known: dict[str, dict[str, list[str]]] = {}
    for name in names():
        for key, field in find(name).model_fields.items():
            known.setdefault(key, {}).setdefault(kind(field.annotation), []).append(name)
            assert typed(key, field.get_default(call_default_factory=True))
    odd = {key: kinds for key, kinds in known.items() if len(kinds) > 1}
    assert not odd, odd


def test_no_two_names_for_one_thing() -> None:
    """Other words for what the core has a name for."""
    other = {
        "learning_rate", "rate", "eta", "batch_size", "minibatch", "passes", "weight_decay", "decay", "lambda_",
        "lr_schedule", "random_state", "dataset", "nonlinearity", "init", "initialisation", "initialization",
        "early_stopping", "clip", "grad_clip", "drop", "batchnorm", "solver", "criterion",
    }  # fmt: skip
    found = {f"{name} --{key}" for name in names() for key in find(name).model_fields if key in other}
    assert not found, found
