"""The RBM against enumeration, against scikit-learn, and against its own likelihood (S243, C160)."""

import io
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neural_network import BernoulliRBM
from torch import Tensor

from deepclassics.data.streams import Columns, InOrder
from deepclassics.learn import Clock, look
from deepclassics.schedules import linear
from deepclassics.systems.generative.rbm import RBM, Chain, ContrastiveDivergence, RBMRecipe, all_states, sample

CLOCK = Clock(0, 1, 0.0)


def machine(visible: int, hidden: int, scale: float = 1.0, pixels: Any = "probabilities") -> RBM:
    """A small RBM in float64 with weights and biases of some size."""
    torch.manual_seed(visible * 100 + hidden)
    made = RBM((1, 1, visible), hidden, pixels).double()
    for parameter in made.parameters():
        parameter.data.normal_(0, scale)
    return made


def every(units: int) -> Tensor:  # -> (2^units, units)
    return torch.cat(list(all_states(units, torch.zeros((), dtype=torch.float64))))


def joint(rbm: RBM) -> tuple[Tensor, Tensor, Tensor]:  # -> (2^V, V), (2^H, H), (2^V, 2^H)
    """All states, and minus the energy of every pair of them."""
    v, h = every(len(rbm.visible_bias)), every(len(rbm.hidden_bias))
    pairs = -rbm.energy(v.repeat_interleave(len(h), 0), h.repeat(len(v), 1))
    return v, h, pairs.view(len(v), len(h)).detach()


def as_images(states: Tensor) -> Tensor:  # (B, V) -> (B, 1, 1, V)
    return states[:, None, None]


def learner(rbm: RBM, method: Any = "cd", k: int = 1, lr: float = 0.1) -> ContrastiveDivergence:
    return ContrastiveDivergence(rbm, torch.optim.SGD(rbm.parameters(), lr), method, k, linear)


def test_the_energy_is_that_of_the_notes_with_two_bias_vectors() -> None:
    """E057: the notes print one letter for both biases."""
    rbm = machine(3, 2)
    v, h = torch.tensor([[1.0, 0.0, 1.0]]).double(), torch.tensor([[0.0, 1.0]]).double()
    w, b, c = rbm.weight, rbm.visible_bias, rbm.hidden_bias
    by_hand = -(b[0] + b[2]) - c[1] - w[0, 1] - w[2, 1]
    torch.testing.assert_close(rbm.energy(v, h)[0], by_hand)


@pytest.mark.parametrize(("visible", "hidden"), [(6, 4), (4, 6)])
def test_probabilities_sum_to_one(visible: int, hidden: int) -> None:
    """The partition function by either side equals the sum over all pairs of states."""
    rbm = machine(visible, hidden)
    v, _, minus_energy = joint(rbm)
    with torch.no_grad():
        torch.testing.assert_close(rbm.log_partition(), minus_energy.flatten().logsumexp(0))
        probability = torch.exp(-rbm.free_energy(v) - rbm.log_partition())
    assert probability.sum().item() == pytest.approx(1, abs=1e-12)


def test_enumeration_in_pieces_equals_enumeration_at_once() -> None:
    rbm = machine(14, 20)
    with torch.no_grad():
        torch.testing.assert_close(rbm.log_partition(), (-rbm.free_energy(every(14))).logsumexp(0))


def test_states_are_all_different() -> None:
    states = every(13)
    assert states.shape == (2**13, 13)
    assert len(states.unique(dim=0)) == 2**13


@torch.no_grad()
def test_conditionals_factorise() -> None:
    """p(h | v) by enumeration is the product of the units' own probabilities, and the other way round."""
    rbm = machine(6, 4)
    v, h, minus_energy = joint(rbm)
    given_v = torch.softmax(minus_energy, 1)
    p = rbm.hidden_given(v)[:, None]
    torch.testing.assert_close(given_v, (p * h + (1 - p) * (1 - h)).prod(2), rtol=0, atol=1e-14)
    given_h = torch.softmax(minus_energy, 0).T
    p = rbm.visible_given(h)[:, None]
    torch.testing.assert_close(given_h, (p * v + (1 - p) * (1 - v)).prod(2), rtol=0, atol=1e-14)


@torch.no_grad()
def test_free_energy_sums_the_hidden_states_out() -> None:
    rbm = machine(6, 4)
    v, _, minus_energy = joint(rbm)
    torch.testing.assert_close(rbm.free_energy(v), -minus_energy.logsumexp(1))


def exact_gradient(rbm: RBM, data: Tensor) -> dict[str, Tensor]:
    """The gradient of the mean of -log p(v), by differentiating the enumerated likelihood."""
    loss = rbm.free_energy(data).mean() + (-rbm.free_energy(every(data.shape[1]))).logsumexp(0)
    names, parameters = zip(*rbm.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def sampled_gradient(rbm: RBM, data: Tensor, method: str, k: int) -> dict[str, Tensor]:
    """What one update with this many examples fills in."""
    made = learner(rbm, method, k, lr=1e-12)
    made.step({"image": as_images(data)}, CLOCK)
    return {name: parameter.grad.clone() for name, parameter in rbm.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("method", ["cd", "pcd"])
def test_the_gradient_of_long_chains_is_that_of_the_likelihood(method: str) -> None:
    """CD-60 over 40,000 chains equals the exact likelihood gradient within five standard errors; CD-1 does not.

    The only chance is in the chain's end: a mean over n independent draws of v_i p(h_j | v), of v_i and of p(h_j | v),
    whose variances are enumerated. At these weights a chain has forgotten its start to 1e-6 after 60 steps.
    """
    rbm = machine(5, 3, scale=0.7)
    copies = 5_000
    data = every(5)[[3, 7, 11, 12, 19, 24, 28, 31]].repeat(copies, 1)
    exact = exact_gradient(rbm, data)

    with torch.no_grad():
        v = every(5)
        p = torch.exp(-rbm.free_energy(v) - rbm.log_partition())[:, None]
        h = rbm.hidden_given(v)
        variance = {
            "weight": p.T @ (v[:, :, None] * h[:, None]).square().flatten(1)
            - (p.T @ (v[:, :, None] * h[:, None]).flatten(1)).square(),
            "visible_bias": p.T @ v.square() - (p.T @ v).square(),
            "hidden_bias": p.T @ h.square() - (p.T @ h).square(),
        }
    error = {name: (value / len(data)).sqrt().view_as(exact[name]) for name, value in variance.items()}

    torch.manual_seed(1)
    long = sampled_gradient(rbm, data, method, 60)
    assert all(((long[name] - exact[name]).abs() < 5 * error[name]).all() for name in exact)
    torch.manual_seed(1)
    short = sampled_gradient(rbm, data, method, 1)
    assert any(((short[name] - exact[name]).abs() > 10 * error[name]).any() for name in exact)


def bars_and_stripes() -> Tensor:  # -> (14, 1, 3, 3)
    """All pictures of full rows, or of full columns."""
    lines = every(3).float()
    rows = lines[:, :, None].expand(-1, 3, 3)
    return torch.cat([rows, rows.transpose(1, 2)]).flatten(1).unique(dim=0).view(-1, 1, 3, 3)


@pytest.mark.parametrize("method", ["cd", "pcd"])
def test_learning_raises_the_exact_likelihood(method: Any) -> None:
    """C160: the distribution learnt is within 0.3 nats of that of the data, whose entropy is log 14."""
    images = bars_and_stripes()
    assert len(images) == 14
    torch.manual_seed(0)
    made = learner(RBM((1, 3, 3), 12, "rounded"), method, k=5, lr=0.35)
    stream, batch = InOrder(Columns(image=images)), {"image": images.repeat(4, 1, 1, 1)}
    seen = [look(made, stream)["log_likelihood"]]
    for begin, end in itertools.pairwise((0, 600, 1200, 2500)):
        for step in range(begin, end):
            made.step(batch, Clock(step, 2500, 0.0))
        seen.append(look(made, stream)["log_likelihood"])
    assert seen[0] == pytest.approx(-9 * math.log(2), abs=0.1), "at first all 2^9 pictures are about as likely"
    assert seen == sorted(seen)
    assert -math.log(14) - 0.3 < seen[-1] < -math.log(14)


def test_no_gradient_is_propagated(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any, **more: Any) -> None:
        raise AssertionError("an RBM learns without backpropagation")

    monkeypatch.setattr(torch.autograd, "backward", refuse)
    monkeypatch.setattr(torch.autograd, "grad", refuse)
    made = learner(RBM((1, 3, 3), 4))
    before = made.model.weight.clone()
    made.step({"image": bars_and_stripes()}, CLOCK)
    assert not torch.equal(before, made.model.weight)


def test_persistent_chains_survive_a_checkpoint() -> None:
    """The chains are a part of the learner: saved, loaded and gone on with, it is bit for bit where it would be."""
    batch = {"image": bars_and_stripes()}

    def begun() -> ContrastiveDivergence:
        torch.manual_seed(0)
        return learner(RBM((1, 3, 3), 6), "pcd")

    whole = begun()
    for _ in range(5):
        whole.step(batch, CLOCK)
    file = io.BytesIO()
    torch.save({name: part.state_dict() for name, part in whole.parts().items()}, file)
    state = torch.get_rng_state()
    whole.step(batch, CLOCK)

    again = begun()
    file.seek(0)
    for name, saved in torch.load(file, weights_only=True).items():
        again.parts()[name].load_state_dict(saved)
    torch.set_rng_state(state)
    again.step(batch, CLOCK)
    assert torch.equal(whole.model.weight, again.model.weight)
    assert torch.equal(whole.chains.value, again.chains.value)
    assert not torch.equal(whole.chains.value, whole.model.hidden_given(batch["image"].flatten(1)))


def test_equals_scikit_learn_on_shared_weights() -> None:
    """Hidden probabilities, free energy, and one Gibbs step and the pseudo-likelihood on the average of many draws."""
    rbm = machine(8, 5, scale=0.8)
    peer = BernoulliRBM(5, random_state=0)
    peer.components_ = rbm.weight.detach().T.numpy()
    peer.intercept_visible_ = rbm.visible_bias.detach().numpy()
    peer.intercept_hidden_ = rbm.hidden_bias.detach().numpy()
    peer.n_features_in_ = 8
    v = every(8)[::37]
    with torch.no_grad():
        np.testing.assert_allclose(rbm.hidden_given(v), peer.transform(v.numpy()), rtol=1e-12)
        np.testing.assert_allclose(rbm.free_energy(v), peer._free_energy(v.numpy()), rtol=1e-12)

        copies = 20_000
        many = v[:1].repeat(copies, 1)
        torch.manual_seed(0)
        ours = rbm.gibbs(many, 1).mean(0).numpy()
        peer.random_state_ = np.random.RandomState(0)
        theirs = peer.gibbs(many.numpy()).mean(0)
        # A mean of n zeros and ones has a standard error of at most 1/2 over the root of n; ours is smaller still.
        np.testing.assert_allclose(ours, theirs, atol=5 * 2**0.5 * 0.5 / copies**0.5)

        # Exactly: the sum over the pixels of log p(pixel | others), each by one flip.
        flips = v[:1].repeat(8, 1)
        flips = flips + torch.eye(8) * (1 - 2 * flips)
        exact = torch.nn.functional.logsigmoid(rbm.free_energy(flips) - rbm.free_energy(v[:1]))
        bound = 5 * 8 * float(exact.std()) / copies**0.5
        assert rbm.pseudo_likelihood(many).mean().item() == pytest.approx(exact.sum().item(), abs=bound)
        assert peer.score_samples(many.numpy()).mean() == pytest.approx(exact.sum().item(), abs=bound)


def test_units_are_drawn_with_their_probabilities() -> None:
    torch.manual_seed(0)
    probability = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0]).repeat(40_000, 1)
    mean = sample(probability).mean(0)
    assert mean[0] == 0
    assert mean[-1] == 1
    torch.testing.assert_close(mean, probability[0], rtol=0, atol=5 * 0.5 / 200)


def test_grey_pixels_become_states_as_the_knob_says() -> None:
    grey = torch.full((2000, 1, 2, 2), 0.3)
    torch.manual_seed(0)
    drawn = RBM((1, 2, 2), 3, "sampled").states(grey)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert drawn.mean().item() == pytest.approx(0.3, abs=0.03)
    assert bool((RBM((1, 2, 2), 3, "probabilities").states(grey) == 0.3).all())
    assert bool((RBM((1, 2, 2), 3, "rounded").states(grey) == 0).all())


def test_learns_under_autocast() -> None:
    """`--precision bf16` reaches the products; gradients and weights stay float32."""
    made = learner(RBM((1, 3, 3), 4), "pcd", k=2)
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(2):
            made.step({"image": bars_and_stripes()}, CLOCK)
    assert {parameter.dtype for parameter in made.model.parameters()} == {torch.float32}
    assert made.model.weight.grad is not None
    assert made.model.weight.grad.dtype == torch.float32


def test_answers_with_the_rebuilt_picture_and_its_free_energy() -> None:
    recipe = RBMRecipe(hidden=4, pixels="rounded")
    torch.manual_seed(0)
    rbm = recipe.model({"shape": [1, 3, 3]})
    with torch.no_grad():
        image = bars_and_stripes()
        plain, chained = (recipe.answer(rbm, {"image": image}, Chain(steps=steps)) for steps in (0, 3))
        assert plain["image"].shape == chained["image"].shape == image.shape
        assert plain["free_energy"].shape == (14,)
        torch.testing.assert_close(plain["image"], rbm(image))
        assert not torch.equal(plain["image"], chained["image"])
