"""What the classifiers of pictures share: starting from weights, freezing, class weights, crops at test time."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import recipes
from deepclassics import loop
from deepclassics.classifier import Classifier
from deepclassics.data.kinds import image as images
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.layers import augment
from deepclassics.learn import Backprop, Clock
from deepclassics.report.evidence import Evidence
from deepclassics.report.page import write
from deepclassics.run import Run
from deepclassics.systems.vision.alexnet import AlexNetRecipe
from deepclassics.systems.vision.inception import InceptionRecipe
from deepclassics.systems.vision.resnet import ResNetRecipe
from deepclassics.systems.vision.vgg import VGGRecipe
from deepclassics.verbs import predict


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


@pytest.mark.parametrize(
    "recipe",
    [
        VGGRecipe(data="husky", batch=8, width=0.05, dense=8),
        AlexNetRecipe(data="husky", batch=8, width=0.05, dense=8),
        InceptionRecipe(data="husky", batch=8, width=0.05),
    ],
    ids=lambda recipe: recipe.name(),
)
def test_frozen_in_every_system_without_dropout_and_auxiliary_heads(recipe: Classifier, tmp_path: Path) -> None:
    recipes.train(recipe, tmp_path, steps=1)
    frozen = recipe.model_copy(update={"from_": str(tmp_path), "freeze": True})
    before, model = step(frozen)
    assert changed(before, model) == {f"{recipe.head}.weight", f"{recipe.head}.bias"}
    assert not any(module.training for module in model.modules() if isinstance(module, nn.Dropout))
    spec = frozen.load().spec
    assert 3 * frozen.work(spec) == recipe.work(spec), "behind the frozen body nothing goes back"


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
    by_hand = -(probability * scores.log_softmax(1)).sum(1) * weight[label]
    torch.testing.assert_close(recipe.entropy(model, scores, label), by_hand.mean())
    assert float(products.sum()) == pytest.approx(sum(spec["counts"])), "of mean 1 over the training pictures"
    plain = ResNetRecipe(data=recipe.data)
    torch.testing.assert_close(plain.entropy(model, scores, label), F.cross_entropy(scores, label))


def test_a_balanced_batch_weighs_as_its_halves_do_on_two_ranks(others: Path) -> None:
    """Law 6: gradients are averaged over the ranks, so the loss of a batch must be the mean of its parts' losses."""
    recipe = ResNetRecipe(data=str(others), balance=True)
    spec = recipe.load().spec | {"counts": [20, 5, 3]}
    model, scores, label = recipe.model(spec), torch.randn(8, 3), torch.tensor([0, 0, 0, 0, 1, 2, 2, 0])
    halves = [recipe.entropy(model, scores[part], label[part]) for part in (slice(4), slice(4, 8))]
    torch.testing.assert_close(recipe.entropy(model, scores, label), torch.stack(halves).mean())


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


# A run holds everything


@pytest.mark.parametrize("knob", ["weights", "from_"])
def test_a_run_that_has_begun_never_asks_again_for_what_it_started_from(
    knob: str, started: Path, others: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Laws 3 and 5: killed and gone on with where the source is gone, it equals one that was never stopped, and it is
    reported on, tested and printed."""
    source = tmp_path / "source"
    shutil.copytree(started, source)
    given = {knob: str(source / "best.safetensors" if knob == "weights" else source)}
    recipe = ResNetRecipe(data=str(others), batch=8, epochs=2, **given)
    host = Host(device="cpu", threads=1, precision="fp32", save_every=2)
    loop.carry_out(recipe, tmp_path / "whole", host)
    with monkeypatch.context() as patch:
        plain = Backprop.step

        def killed(self: Backprop, batch: Any, clock: Clock) -> Any:
            if clock.step == 5:
                raise recipes.Killed
            return plain(self, batch, clock)

        patch.setattr(Backprop, "step", killed)
        with pytest.raises(recipes.Killed):
            loop.carry_out(recipe, tmp_path / "cut", host)
    shutil.rmtree(source)
    result = loop.carry_out(recipe, tmp_path / "cut", host)
    whole, cut = (Run.open(tmp_path / name) for name in ("whole", "cut"))
    assert all(torch.equal(value, cut.weights()[name]) for name, value in whole.weights().items())
    losses = [[row[name] for row in run.metrics() for name in row if name.endswith("/loss")] for run in (whole, cut)]
    assert losses[0]
    assert losses[0] == losses[1]
    assert loop.carry_out(recipe, tmp_path / "cut", host) == result
    assert len(Evidence(cut).splits().train) == result["examples"]["train"]
    assert "could not be drawn" not in write(cut).read_text(encoding="utf-8")
    assert list(predict.tested([cut]))
    with pytest.raises(UserError, match="There is no"):
        loop.carry_out(recipe, tmp_path / "new", host)


def test_the_learner_reads_no_weights(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host makes some to time them; the weights are the model's by then."""
    recipe = ResNetRecipe(from_=str(started), batch=16)
    _, data = recipes.made(recipe)
    model = recipe.model(data.spec)
    recipe.inherit(model, data.spec)
    monkeypatch.setattr(ResNetRecipe, "_state", lambda self: pytest.fail("read again"))
    assert torch.equal(recipe.learner(model).model.conv1.weight, Run.open(started).weights()["conv1.weight"])


# What it starts from decides the stem, the size and the colours


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of one update with the large stem, on colour pictures of 80 pixels."""
    made = {}
    for recipe in (
        ResNetRecipe(data="husky", size=80, batch=8),
        AlexNetRecipe(data="husky", size=80, batch=8, width=0.05, dense=8),
        InceptionRecipe(data="husky", size=80, batch=8, width=0.05),
        InceptionRecipe(data="husky", size=80, batch=8, width=0.05, form="nin"),
    ):
        name = recipe.form if isinstance(recipe, InceptionRecipe) else recipe.name()
        made[name] = tmp_path_factory.mktemp("large") / "run"
        recipes.train(recipe, made[name], steps=1)
    return made


STARTERS: dict[str, Classifier] = {
    "resnet": ResNetRecipe(batch=8),
    "alexnet": AlexNetRecipe(batch=8, width=0.05, dense=8),
    "googlenet": InceptionRecipe(batch=8, width=0.05),
    "nin": InceptionRecipe(batch=8, width=0.05, form="nin"),
}


@pytest.mark.parametrize("knob", ["weights", "from_"])
@pytest.mark.parametrize("name", STARTERS)
def test_small_grey_pictures_get_the_size_and_colours_of_the_run(
    name: str, knob: str, large: dict[str, Path], others: Path
) -> None:
    source = str(large[name] / "best.safetensors" if knob == "weights" else large[name])
    recipe = STARTERS[name].model_copy(update={"data": str(others), knob: source})
    learner, data = recipes.made(recipe)
    assert (data.spec["shape"], data.spec["grey"], data.spec["stem"]) == ([3, 80, 80], True, "large")
    assert recipe.chosen(data.spec)["size"] == "80 × 80, that of the weights"
    old = Run.open(large[name]).weights()
    first = next(key for key, value in learner.model.named_parameters() if value.dim() == 4)
    assert torch.equal(learner.model.state_dict()[first], old[first])
    again = recipe.reload(data.spec)
    assert again.spec == data.spec
    assert torch.equal(again.train.at(0)["image"], recipe.load().train.at(0)["image"])


def test_a_large_stem_refuses_a_size_that_it_would_leave_nothing_of(large: dict[str, Path]) -> None:
    recipe = AlexNetRecipe(from_=str(large["alexnet"]), size=40, width=0.05, dense=8)
    with pytest.raises(UserError, match=r"size must be at least 63 pixels, .* large stem of these weights; got 40"):
        recipe.load()


def test_long_low_pictures_are_scaled_up_to_a_large_stem(large: dict[str, Path], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "low.npz", x=rng.integers(0, 256, (36, 20, 90, 3), dtype=np.uint8), y=np.arange(36) % 3)
    recipe = AlexNetRecipe(data=str(tmp_path / "low.npz"), from_=str(large["alexnet"]), width=0.05, dense=8)
    spec = recipe.load().spec
    assert min(spec["shape"][1:]) >= recipe.smallest("large")
    assert recipe.work(spec) > 0


def test_knobs_that_the_run_had_are_named_as_flags(large: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=r"the net must be that of .*\. Add --width 0\.05 --dense 8\.$"):
        AlexNetRecipe(data="husky", from_=str(large["alexnet"])).load()
    with pytest.raises(UserError, match=r"Add --depth 20 --stem large\.$"):
        ResNetRecipe(data="husky", depth=32, from_=str(large["resnet"]), stem="small").load()


def test_auxiliary_heads_are_the_classes_too(tmp_path: Path) -> None:
    """Of other classes they are made new, however many; of known ones they keep their rows."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (36, 8, 8), dtype=np.uint8)
    for name, words in {"old": "abc", "other": "xyz", "some": "ca"}.items():
        np.savez(tmp_path / f"{name}.npz", x=x, y=np.array([words[k % len(words)] for k in range(36)]))
    recipe = InceptionRecipe(data=str(tmp_path / "old.npz"), batch=8, width=0.05)
    recipes.train(recipe, tmp_path / "run", steps=1)
    old = Run.open(tmp_path / "run").weights()
    heads = [f"{layer}.{what}" for layer in ("aux1.fc2", "aux2.fc2", "fc") for what in ("weight", "bias")]
    found = {}
    for name in ("other", "some"):
        given = {"data": str(tmp_path / f"{name}.npz"), "from_": str(tmp_path / "run")}
        learner, data = recipes.made(recipe.model_copy(update=given))
        found[name] = learner.model.state_dict(), data.spec["weights"]
    state, start = found["other"]
    assert start["new"] == heads
    assert not any(torch.equal(state[name], old[name]) for name in heads)
    state, start = found["some"]
    assert (start["new"], start["rows"]) == ([], [0, 2])
    assert all(torch.equal(state[name], old[name][[0, 2]]) for name in heads)


def test_a_photo_is_made_grey_for_a_net_for_colour_that_has_seen_grey_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photo = tmp_path / "photo.png"
    images.Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(photo)
    spec = {"shape": [3, 8, 8]}
    colour, grey = (images.read([str(photo)], {**spec, "grey": lifted})[1]["image"] for lifted in (False, True))
    luma = images.read([str(photo)], {"shape": [1, 8, 8]})[1]["image"]
    assert torch.equal(grey, luma.expand(-1, 3, -1, -1))
    assert not torch.equal(grey, colour)


# Knobs that do not go with the data, and those left to "auto"


def test_the_body_learns_at_a_tenth_of_the_rate_where_it_has_learnt_before(started: Path) -> None:
    def rates(recipe: ResNetRecipe) -> set[float]:
        learner, data = recipes.made(recipe)
        told = recipe.chosen(data.spec).get("body_rate")
        assert told == (0.1 if recipe.from_ and not recipe.freeze and recipe.body_rate == "auto" else None)
        return {group["lr"] for group in learner.parts()["optimizer"].param_groups}  # type: ignore[attr-defined]

    assert rates(ResNetRecipe(lr=0.5)) == {0.5}
    assert rates(ResNetRecipe(lr=0.5, from_=str(started))) == {0.5, 0.05}
    assert rates(ResNetRecipe(lr=0.5, from_=str(started), body_rate=1.0)) == {0.5}
    assert rates(ResNetRecipe(lr=0.5, from_=str(started), freeze=True)) == {0.5}


def test_a_crop_as_wide_as_the_picture_is_refused() -> None:
    with pytest.raises(UserError, match=r"crop must be less than the pictures' shorter side, 8 pixels; got 8"):
        ResNetRecipe(crop=8).load()


def test_colours_of_grey_pictures_are_not_shifted(large: dict[str, Path]) -> None:
    for recipe in (ResNetRecipe(colour=0.5), ResNetRecipe(colour=0.5, from_=str(large["resnet"]))):
        with pytest.raises(UserError, match=r"colour must be 0 for grey pictures.*; got 0\.5"):
            recipe.load()
    assert "colour" not in ResNetRecipe(colour=0.5).protocol(ResNetRecipe().load().spec)["augmentation"]
