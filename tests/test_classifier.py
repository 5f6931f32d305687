"""What the classifiers of pictures share: starting from weights, freezing, class weights, crops at test time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import recipes
from deepclassics.errors import UserError
from deepclassics.layers import augment
from deepclassics.learn import Clock
from deepclassics.run import Run
from deepclassics.systems.vision.alexnet import AlexNetRecipe
from deepclassics.systems.vision.resnet import ResNetRecipe


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet-20 that has made three updates on the digits."""
    path = tmp_path_factory.mktemp("started") / "run"
    recipes.train(ResNetRecipe(batch=16), path, steps=3)
    return path


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of 8 × 8 of the classes 7, 3 and "x", 12 of each."""
    path = tmp_path_factory.mktemp("others") / "others.npz"
    rng = np.random.default_rng(0)
    np.savez(path, x=rng.integers(0, 256, (36, 8, 8), dtype=np.uint8), y=np.array(["7", "3", "x"] * 12))
    return path


def step(recipe: Any) -> tuple[dict[str, Tensor], nn.Module]:
    """The state before an update, and the net after it."""
    learner, data = recipes.made(recipe)
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    for position in range(2):
        learner.step(data.train.at(position), Clock(position + 1, 4, len(data.train)))
    return before, learner.model


def changed(before: dict[str, Tensor], model: nn.Module) -> set[str]:
    return {name for name, value in model.state_dict().items() if not torch.equal(before[name], value)}


def test_frozen_only_the_last_layer_learns(started: Path) -> None:
    """Neither weights nor statistics of batch normalisation move."""
    before, model = step(ResNetRecipe(from_=str(started), freeze=True, batch=16))
    assert changed(before, model) == {"fc.weight", "fc.bias"}
    weights = Run.open(started).weights()
    assert all(torch.equal(before[name], weights[name]) for name in before)


def test_freezing_needs_something_to_start_from() -> None:
    with pytest.raises(UserError, match=r"--freeze .* --weights FILE or --from RUN"):
        ResNetRecipe(freeze=True).load()


def test_two_things_to_start_from_are_refused(started: Path) -> None:
    with pytest.raises(UserError, match="--weights or from --from; got both"):
        ResNetRecipe(from_=str(started), weights=str(started / "best.safetensors")).load()


def test_a_run_of_another_system_is_refused(started: Path) -> None:
    with pytest.raises(UserError, match=r"--from must name a run of alexnet; .* is one of resnet"):
        AlexNetRecipe(from_=str(started)).load()


def test_the_body_learns_at_its_share_of_the_rate(started: Path) -> None:
    """By plain descent a body at a hundredth moves a hundredth as far; the first update sees the same gradient."""
    moved = {}
    for share in (1.0, 0.01):
        recipe = ResNetRecipe(
            from_=str(started), body_rate=share, batch=16, optimizer="sgd", schedule="constant", l2=0.0, crop=0
        )
        learner, data = recipes.made(recipe)
        before = {name: value.detach().clone() for name, value in learner.model.named_parameters()}
        learner.step(data.train.at(0), Clock(0, 4, len(data.train)))
        moved[share] = {name: value.detach() - before[name] for name, value in learner.model.named_parameters()}
    for name in ("conv1.weight", "layer3.2.conv2.weight"):
        ratio = float(moved[0.01][name].norm() / moved[1.0][name].norm())
        assert ratio == pytest.approx(0.01, rel=0.05)
    torch.testing.assert_close(moved[0.01]["fc.weight"], moved[1.0]["fc.weight"])


def test_classes_that_the_run_knew_keep_their_rows(started: Path, tmp_path: Path) -> None:
    """3 and 7 are among the digits: their rows of the last layer are taken, in the order of the new classes."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "two.npz", x=rng.integers(0, 256, (40, 8, 8), dtype=np.uint8), y=np.array(["7", "3"] * 20))
    learner, data = recipes.made(ResNetRecipe(data=str(tmp_path / "two.npz"), from_=str(started), batch=8))
    old = Run.open(started).weights()
    rows = [int(name) for name in data.spec["target"]["classes"]]
    assert sorted(rows) == [3, 7]
    assert torch.equal(learner.model.fc.weight, old["fc.weight"][rows])
    assert data.spec["weights"]["new"] == []


def test_other_classes_get_a_new_last_layer_on_the_old_body(started: Path, others: Path) -> None:
    recipe = ResNetRecipe(data=str(others), from_=str(started), batch=8)
    learner, data = recipes.made(recipe)
    old = Run.open(started).weights()
    assert learner.model.fc.weight.shape == (3, 64)
    assert data.spec["weights"]["new"] == ["fc.weight", "fc.bias"]
    assert torch.equal(learner.model.conv1.weight, old["conv1.weight"])
    assert data.spec["mean"] == Run.open(started).spec()["mean"], "the body has learnt from pictures so scaled"
    assert "made new: fc.weight, fc.bias" in recipe.chosen(data.spec)["weights"]


def test_balanced_classes_weigh_alike(tmp_path: Path) -> None:
    """Each class's weight times its number of pictures is the same; the loss is torch's, by hand."""
    rng = np.random.default_rng(0)
    y = np.array(["a"] * 60 + ["b"] * 20)
    np.savez(tmp_path / "few.npz", x=rng.integers(0, 256, (80, 8, 8), dtype=np.uint8), y=y)
    recipe = ResNetRecipe(data=str(tmp_path / "few.npz"), balance=True, smoothing=0.1)
    spec = recipe.load().spec
    model = recipe.model(spec)
    weight = model.training_only.balance
    products = weight * torch.tensor(spec["counts"])
    assert spec["counts"][0] > spec["counts"][1]
    torch.testing.assert_close(products[0], products[1])
    scores, label = torch.randn(6, 2), torch.tensor([0, 0, 0, 1, 0, 0])
    probability = (1 - 0.1) * F.one_hot(label, 2) + 0.1 / 2
    by_hand = -(probability * weight * scores.log_softmax(1)).sum() / weight[label].sum()
    torch.testing.assert_close(recipe.entropy(model, scores, label), by_hand)
    plain = ResNetRecipe(data=recipe.data)
    torch.testing.assert_close(plain.entropy(model, scores, label), F.cross_entropy(scores, label))


@pytest.mark.parametrize("number", [1, 2, 5, 10])
def test_at_test_time_probabilities_are_averaged_over_the_crops(number: int) -> None:
    """S139, by hand."""
    recipe = ResNetRecipe(crops=number)
    spec = recipe.load().spec
    model = recipe.model(spec).eval()
    image = torch.rand(3, 1, 8, 8)
    with torch.no_grad():
        by_hand = torch.stack([model(each).softmax(1) for each in augment.crops(image, 1, number)]).mean(0)
        found = recipe.answer(model, {"image": image}, None)
    torch.testing.assert_close(found["probability"], by_hand)
    assert torch.equal(found["label"], by_hand.argmax(1))


def test_changes_of_pictures_are_for_training_alone() -> None:
    recipe = ResNetRecipe(grain=0.5, rotate=90.0, mirror="on")
    learner, data = recipes.made(recipe)
    told = recipe.protocol(data.spec)["augmentation"]
    assert told == "mirrored, cropped by 1, turned by 90°, grain of 0.5"
    assert data.valid is not None
    assert learner.evaluate(data.valid) == learner.evaluate(data.valid)


def test_small_pictures_are_scaled_up_to_what_the_net_takes() -> None:
    recipe = AlexNetRecipe(width=0.05, dense=8)
    spec = recipe.load().spec
    assert spec["shape"] == [1, 16, 16]
    assert "scaled up from 8 × 8" in recipe.chosen(spec)["size"].replace("1 × ", "", 1)
