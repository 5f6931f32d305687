"""The GAN's two losses, the order of its two updates, and what is drawn (S247-S249, C036, C037, E006)."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deepclassics.data.streams import Columns, InOrder
from deepclassics.flags import Knobs
from deepclassics.learn import Clock, look
from deepclassics.systems.generative.gan import (
    Adversarial,
    Adversaries,
    Discriminator,
    GANRecipe,
    Generator,
    discriminator_loss,
    fixed_noise,
    generator_loss,
    interpolate,
    value,
)

SHAPE = (1, 4, 4)
CLOCK = Clock(1000, 2000, 0.0)


def made(average: float = 0.9, batch_norm: bool = False, **knobs: Any) -> Adversarial:
    torch.manual_seed(0)
    model = Adversaries(Generator(3, 16, 2, SHAPE, batch_norm), Discriminator(16, 2, SHAPE, 0.0))
    given = {"loss": "nonsaturating", "smoothing": 0.0, "lr": 1e-2, "betas": (0.5, 0.999), **knobs}
    return Adversarial(model, average=average, **given)


def real() -> Tensor:  # -> (8, 1, 4, 4)
    return torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(1))


def copied(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def slope(logit: float, loss: Any) -> float:
    a = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(generator_loss(a, loss), a)[0].item()


@pytest.mark.parametrize("logit", [-30.0, -10.0, -2.0, 0.0, 3.0])
def test_the_two_losses_pull_the_same_way_with_other_force(logit: float) -> None:
    """S248, E006, C037: -D against D - 1, so the minimax one is weaker by D / (1 - D)."""
    d = 1 / (1 + math.exp(-logit))
    assert slope(logit, "minimax") == pytest.approx(-d, rel=1e-12)
    assert slope(logit, "nonsaturating") == pytest.approx(d - 1, rel=1e-12)
    assert slope(logit, "minimax") / slope(logit, "nonsaturating") == pytest.approx(d / (1 - d), rel=1e-9)


def test_a_sure_discriminator_silences_one_loss_only() -> None:
    """S248: as D(G(z)) goes to 0."""
    assert abs(slope(-40, "minimax")) < 1e-15
    assert slope(-40, "nonsaturating") == pytest.approx(-1)


def test_the_best_discriminator_of_a_grid_is_the_share_of_the_real_density() -> None:
    """S247: on a 1-D grid V is stationary, and greatest, at D = p / (p + q); it is -log 4 where p = q, else more."""
    p, q = torch.tensor([1, 2, 5, 2]), torch.tensor([4, 3, 1, 2])  # of ten examples each, how many lie where
    places = torch.arange(4)
    best = (p.double() / q).log().requires_grad_()

    def v(logits: Tensor) -> Tensor:
        return value(logits[places.repeat_interleave(p)], logits[places.repeat_interleave(q)])

    assert torch.autograd.grad(v(best), best)[0].abs().max() < 1e-15
    torch.manual_seed(0)
    with torch.no_grad():
        assert all(v(best + 0.1 * torch.randn(4)) < v(best) for _ in range(20))
        middle = (p.double() + q) / 2
        twice_divergence = sum((x * (x / middle).log()).sum() for x in (p, q)) / 10  # of Jensen and Shannon
        assert v(best).item() == pytest.approx(float(twice_divergence) - math.log(4))
        same = torch.zeros(4).double()
        assert value(same, same).item() == pytest.approx(-math.log(4))


def test_smoothing_is_cross_entropy_with_softer_targets() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(6), torch.randn(6)
    expected = F.binary_cross_entropy_with_logits(a, torch.full((6,), 0.9))
    expected += F.binary_cross_entropy_with_logits(b, torch.zeros(6))
    torch.testing.assert_close(discriminator_loss(a, b, 0.1), expected)
    torch.testing.assert_close(discriminator_loss(a, b, 0.0), -value(a, b))


def test_the_discriminator_moves_first_and_the_generator_meets_the_new_one() -> None:
    """The gradient that the generator gets is that through the updated discriminator, not through the old one."""
    learner = made()
    model = learner.model
    seen: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []
    model.discriminator.register_forward_pre_hook(
        lambda module, given: seen.append((copied(model.generator), copied(model.discriminator)))
    )
    old = copied(model.generator)
    torch.manual_seed(5)
    learner.step({"image": real()}, CLOCK)
    got = [parameter.grad.clone() for parameter in model.generator.parameters() if parameter.grad is not None]

    (_, before), (generator, after) = seen[:2]
    assert len(seen) == 2
    assert not torch.equal(before["body.1.weight"], after["body.1.weight"])
    assert all(torch.equal(old[name], generator[name]) for name in old), "the discriminator's update moves only itself"
    final = model.discriminator.state_dict()
    assert all(torch.equal(final[name], after[name]) for name in after), "the generator's update moves only itself"
    assert not torch.equal(old["body.0.weight"], model.generator.body[0].weight)

    def gradient(weights: dict[str, Tensor]) -> list[Tensor]:
        model.generator.load_state_dict(old)
        model.discriminator.load_state_dict(weights)
        torch.manual_seed(5)
        drawn = model.generator(torch.randn(8, 3))
        loss = generator_loss(model.discriminator(drawn), "nonsaturating")
        return list(torch.autograd.grad(loss, list(model.generator.parameters())))

    torch.testing.assert_close(got, gradient(after))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(got, gradient(before))


def test_the_discriminator_learns_to_tell() -> None:
    """C036: with the generator frozen far from the data, D goes to 1 on real pictures and to 0 on drawn ones."""
    learner = made()
    for group in learner.generator_optimizer.param_groups:
        group["lr"] = 0.0
    for _ in range(100):
        scores = learner.step({"image": real()}, CLOCK)
    assert scores["real"] > 0.95
    assert scores["fake"] < 0.05


def test_the_average_follows_the_generator() -> None:
    same, slow = made(average=0.0, batch_norm=True), made(average=0.9, batch_norm=True)
    first = copied(slow.model.generator)
    for learner in (same, slow):
        torch.manual_seed(1)
        learner.step({"image": real()}, CLOCK)
    for name, now in same.model.generator.state_dict().items():
        kept = same.model.average.state_dict()[name]
        if now.is_floating_point():
            torch.testing.assert_close(kept, now)
            torch.testing.assert_close(slow.model.average.state_dict()[name], 0.9 * first[name] + 0.1 * now)
    assert not any(parameter.requires_grad for parameter in slow.model.average.parameters())


def test_at_first_the_average_forgets_faster() -> None:
    learner = made(average=0.999)
    first = copied(learner.model.generator)
    learner.step({"image": real()}, Clock(0, 10, 0.0))
    now, kept = learner.model.generator.state_dict(), learner.model.average.state_dict()
    torch.testing.assert_close(kept["body.0.weight"], 0.1 * first["body.0.weight"] + 0.9 * now["body.0.weight"])


def test_interpolation_has_exact_ends_and_even_steps() -> None:
    """S249."""
    start, end = fixed_noise(2, 16)
    path = interpolate(start, end, 9)
    assert torch.equal(path[0], start)
    assert torch.equal(path[-1], end)
    torch.testing.assert_close(path.diff(dim=0), ((end - start) / 8).expand(8, -1))


@torch.no_grad()
def test_interpolated_pictures_change_little_by_little() -> None:
    """S249: neighbours are nearer to each other than the ends are."""
    model = made(batch_norm=True).model.eval()
    pictures = model(interpolate(*fixed_noise(2, 3), 11)).flatten(1)
    assert pictures.diff(dim=0).norm(dim=1).max() < (pictures[-1] - pictures[0]).norm()


@torch.no_grad()
def test_a_word_draws_one_picture_and_always_the_same() -> None:
    recipe = GANRecipe(noise=3, hidden=8, layers=1)
    torch.manual_seed(0)
    model = recipe.model({"shape": [1, 4, 4]}).eval()

    def ask(*words: str) -> Tensor:
        return recipe.answer(model, {"text": list(words)}, Knobs())["image"]

    pictures = ask("7", "7", "8", "seven", "Sieben", "-7", str(10**30), "²")
    assert pictures.shape == (8, 1, 4, 4)
    assert torch.equal(pictures[0], pictures[1])
    assert len(pictures.flatten(1).unique(dim=0)) == 7
    assert torch.equal(ask("8"), pictures[2:3])


def test_looks_see_the_same_noise_every_time_and_judge_by_thumbnails() -> None:
    learner = made()
    stream = InOrder(Columns(image=real()))
    assert look(learner, stream) == look(learner, stream)
    before = learner.snapshot()["samples"]
    assert before.shape == (64, *SHAPE)
    assert torch.equal(before, learner.snapshot()["samples"])


def test_the_nets_have_the_layers_asked_for() -> None:
    recipe = GANRecipe(noise=5, hidden=7, layers=2)
    model = recipe.model({"shape": [3, 6, 6]})
    pixels = 3 * 6 * 6
    generator = (5 * 7 + 7) + 2 * 7 + (7 * 7 + 7) + 2 * 7 + (7 * pixels + pixels)
    discriminator = (pixels * 7 + 7) + (7 * 7 + 7) + (7 + 1)
    assert sum(p.numel() for p in model.generator.parameters()) == generator
    assert sum(p.numel() for p in model.discriminator.parameters()) == discriminator
    names = {name.partition(".")[0] for name in model.state_dict()}
    assert names == {"generator", "discriminator", "average"}
    assert model(torch.randn(2, 5)).shape == (2, 3, 6, 6)
    assert model.discriminator(torch.rand(2, 3, 6, 6)).shape == (2,)
