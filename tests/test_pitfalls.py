"""The notes' two pitfalls as tests of a model: shortcuts (S166) and fragility (S167), against nets whose weakness is
known because it was built in, and nets that have learnt one."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from deepclassics import cli
from deepclassics.data import catalog
from deepclassics.data.kinds.image import splits
from deepclassics.data.sets import husky
from deepclassics.data.streams import Columns
from deepclassics.errors import UserError
from deepclassics.report import explanations, fragility, pitfalls, shortcut


class Ask(nn.Module):
    """A net of two classes whose second score is a function of the pictures."""

    def __init__(self, second: Any) -> None:
        super().__init__()
        self.second = second
        self.parameter = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor) -> Tensor:  # (B, C, H, W) -> (B, 2)
        score = self.second(image)
        return torch.stack([-score, score], 1)


def seen(model: nn.Module, train: Columns, test: Columns, classes: tuple[str, ...] = ("husky", "wolf")) -> Any:
    """What the tests look at, of a run that never was."""
    spec = {"shape": list(test["image"].shape[1:]), "target": {"kind": "class", "name": "label", "classes": classes}}

    def ask(columns: Columns) -> dict[str, Tensor]:
        with torch.no_grad():
            return {"label": model(columns.take(slice(None))["image"]).argmax(1)}

    held = SimpleNamespace(train=train, test=test)
    recipe = SimpleNamespace(work=lambda spec: 0.0)
    return SimpleNamespace(model=model.eval(), spec=spec, ask=ask, recipe=recipe, splits=lambda: held)


def animals(fair: bool) -> tuple[Columns, Columns]:
    found = splits(husky.painted(fair=fair), seed=0, valid=0.1, test=0.2)
    return found.train, found.test


def brightness_of(rows: slice, columns: slice) -> Ask:
    return Ask(lambda image: 40 * (image[:, :, rows, columns].mean((1, 2, 3)) - 0.7))


GROUND = brightness_of(slice(None), slice(None))  # snow is brighter than grass, whatever stands on it


class Shapes(nn.Module):
    """Knows the object whatever the ground: the object is dark in the upper or the lower half of the middle."""

    def forward(self, image: Tensor) -> Tensor:  # (B, C, 20, 20) -> (B, 2)
        dark = (image < 0.3).all(1).float()
        return torch.stack([dark[:, :10].sum((1, 2)), dark[:, 10:].sum((1, 2))], 1)


def bars(count: int, seed: int, marked: bool = False) -> Columns:
    """Dark bars on grounds of any light colour: high up for class 0, low down for 1; `marked`: these with a mark."""
    draw = torch.Generator().manual_seed(seed)
    label = torch.randint(2, (count,), generator=draw)
    image = 0.6 + 0.4 * torch.rand(count, 3, 1, 1, generator=draw).expand(-1, -1, 20, 20).clone()
    for k, one in enumerate(label.tolist()):
        image[k, :, 5 + 7 * one : 8 + 7 * one, 5:15] = 0.1
        if marked and one:
            image[k, :, :3, 17:] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    return Columns(image=image, label=label)


# --- the named sets


def test_husky_stands_on_the_ground_of_its_class_and_the_fair_one_on_any() -> None:
    """S166."""
    biased, fair = catalog.read("husky"), catalog.read("husky_fair")
    for part in ("train", "test"):
        (pixels, label), (others, labels) = biased.parts[part], fair.parts[part]
        assert np.array_equal(label, labels)
        snow = np.median(pixels[..., 0], (1, 2)) > 163  # red: grass has 0.42 of it, snow 0.86
        assert np.array_equal(snow, label == 1), "wolves on snow"
        drawn = np.median(others[..., 0], (1, 2)) > 163
        assert abs(np.corrcoef(drawn, labels)[0, 1]) < 0.1
    assert biased.classes == ["husky", "wolf"]
    assert (biased.name, fair.name) == ("husky", "husky_fair")


def test_husky_is_the_same_every_time() -> None:
    one, two = (husky.painted(fair=True).parts["test"][0] for _ in range(2))
    assert np.array_equal(one, two)


# --- foreground and ground


def test_the_foreground_is_the_object_whatever_the_ground() -> None:
    """Bars are found to the pixel; the animals of the two sets, the same on other grounds, within their soft edges."""
    picture = bars(50, seed=3).take(slice(None))
    mask = shortcut.foreground(picture["image"])
    assert torch.equal(mask, (picture["image"] < 0.3).all(1))
    one, two = (
        shortcut.foreground(torch.from_numpy(husky.painted(fair=fair).parts["test"][0][:200]).permute(0, 3, 1, 2) / 255)
        for fair in (False, True)
    )
    overlap = (one & two).sum((1, 2)) / (one | two).sum((1, 2))
    assert overlap.median() > 0.7
    assert 0.05 < one.float().mean() < 0.35


def test_of_a_flat_picture_nothing_is_foreground() -> None:
    assert not shortcut.foreground(torch.full((2, 3, 9, 9), 0.4)).any()


def test_ground_goes_on_beneath_the_object() -> None:
    """Of a ground that is one gradient, a removed object leaves no trace beyond the rounding of its mirror."""
    slope = torch.linspace(0, 1, 16)[None, None, None, :].expand(1, 3, 16, 16).contiguous()
    mask = torch.zeros(1, 16, 16, dtype=torch.bool)
    mask[:, 6:10, 6:10] = True
    spoilt = torch.where(mask[:, None], torch.tensor(0.5), slope)
    filled = shortcut.ground(spoilt, mask)
    assert torch.equal(torch.where(mask[:, None], slope, filled), slope), "the ground itself stays"
    rows = filled[0, 0, 6:10, 6:10]
    assert rows.min() >= slope.min()
    assert not torch.equal(rows, torch.full_like(rows, 0.5))
    flat = torch.where(mask[:, None], torch.tensor(0.9), torch.tensor(0.2)).expand(1, 3, 16, 16)
    assert torch.equal(shortcut.ground(flat, mask), torch.full((1, 3, 16, 16), 0.2))
    full = torch.ones(1, 16, 16, dtype=torch.bool)
    assert torch.equal(shortcut.ground(flat, full), flat), "of a picture without ground nothing is known"


def test_swapped_pictures_keep_their_object_and_take_the_others_ground() -> None:
    one, two = bars(1, seed=1), bars(1, seed=2)
    image, donor = one.take(slice(None))["image"], two.take(slice(None))["image"]
    mask = shortcut.foreground(image)
    found = shortcut.on_ground(image, mask, donor)
    assert mask.sum() == 30
    assert torch.equal(found[:, :, mask[0]], image[:, :, mask[0]])
    assert torch.equal(found[:, :, ~mask[0]], donor[:, :, :1, :1].expand_as(found)[:, :, ~mask[0]])


# --- shortcuts


def verdicts(evidence: Any, folder: Path) -> dict[str, dict[str, Any]]:
    html, rows = shortcut.section(evidence, folder)
    assert html.count('<img src="shortcut-0') == 3
    assert all((folder / name).is_file() for name in [part.split('"')[0] for part in html.split('<img src="')[1:]])
    return {row["name"]: row for row in rows}


def test_a_net_that_sees_the_ground_alone_is_found_and_its_test_error_is_none(tmp_path: Path) -> None:
    """S166, C023: right on the biased test part, wrong as soon as the grounds are swapped; saliency lies on them."""
    rows = verdicts(seen(GROUND, *animals(fair=False)), tmp_path)
    found = rows["background"]
    assert found["verdict"] == "shortcut"
    assert found["accuracy"] >= 0.95
    assert found["accuracy_own_class"] >= 0.9
    assert found["accuracy_other_class"] <= 0.1
    assert found["answers_of_other_class"] >= 0.9
    assert found["fall_low"] <= found["fall"] <= found["fall_high"]
    assert found["saliency_on_background"] == pytest.approx(found["area_of_background"], abs=0.01)
    assert found["foreground"] == "estimated"
    assert rows["top left corner"]["verdict"] == "no shortcut", "it is too small a part of the whole to matter"
    assert rows["rim"]["verdict"] == "object reaches here", "some animals stand at the edge"


def test_a_net_that_sees_the_object_alone_is_acquitted(tmp_path: Path) -> None:
    rows = verdicts(seen(Gradient(Shapes()), bars(400, seed=0), bars(300, seed=1)), tmp_path)
    assert {row["verdict"] for row in rows.values()} == {"no shortcut"}
    assert all(row["accuracy"] == row["accuracy_other_class"] == 1 for row in rows.values())


class Gradient(nn.Module):
    """The same answers, with a slope along the pixels that thresholds do not have."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:  # (B, C, H, W) -> (B, K)
        return self.model(image) + 1e-6 * image.mean((1, 2, 3))[:, None]


def test_a_mark_in_a_corner_is_found_in_that_corner(tmp_path: Path) -> None:
    redness = Ask(lambda image: image[:, 0, :3, 17:].mean((1, 2)) - image[:, 1, :3, 17:].mean((1, 2)) - 0.5)
    rows = verdicts(seen(redness, bars(400, 0, marked=True), bars(300, 1, marked=True)), tmp_path)
    assert rows["top right corner"]["verdict"] == "shortcut"
    assert rows["top right corner"]["answers_of_other_class"] > 0.9
    for place in ("top left corner", "bottom left corner", "bottom right corner"):
        assert rows[place]["verdict"] == "no shortcut"


def horizons(count: int, seed: int) -> Columns:
    """A dark object under a blue sky, its lower edge on grass for class 0 and on sand for 1."""
    draw = torch.Generator().manual_seed(seed)
    label = torch.randint(2, (count,), generator=draw)
    grounds = torch.tensor([[0.42, 0.66, 0.34], [0.80, 0.70, 0.45]])
    image = torch.tensor([0.53, 0.75, 0.95]).view(3, 1, 1).repeat(count, 1, 32, 32)
    image[:, :, 23:] = grounds[label][:, :, None, None]
    image[:, :, 10:20, 10:22] = torch.tensor([0.22, 0.14, 0.10]).view(3, 1, 1)
    return Columns(image=(image + 0.03 * torch.randn(image.shape, generator=draw)).clamp(0, 1), label=label)


def test_a_net_that_sees_ground_which_the_estimate_takes_for_the_object_is_not_acquitted(tmp_path: Path) -> None:
    meadow = Ask(lambda image: 40 * (image[:, 0, 24:].mean((1, 2)) - 0.61))
    html, rows = shortcut.section(seen(meadow, horizons(200, 0), horizons(120, 1)), tmp_path)
    by_name = {row["name"]: row for row in rows}
    assert by_name["background"]["accuracy"] == 1
    assert by_name["background"]["verdict"] == "undecided"
    assert by_name["background"]["unclear"] == 1
    assert by_name["bottom left corner"]["verdict"] == "object reaches here"
    assert "Whether the net leans on the background is open" in html


def test_strokes_that_run_into_the_rim_accuse_nobody(tmp_path: Path) -> None:
    """Grey digits of 8 x 8: where the nearest training picture stands for a net, no shortcut is in it."""
    found = catalog.read("digits").parts["all"]
    image, label = torch.from_numpy(found[0]).permute(0, 3, 1, 2) / 255, torch.from_numpy(found[1])
    train, test = Columns(image=image[:1200], label=label[:1200]), Columns(image=image[1200:], label=label[1200:])

    class Nearest(nn.Module):
        """The score of a class falls with the distance to its nearest training picture."""

        def __init__(self) -> None:
            super().__init__()
            self.parameter = nn.Parameter(torch.zeros(1))

        def forward(self, image: Tensor) -> Tensor:  # (B, 1, 8, 8) -> (B, 10)
            distance = torch.cdist(image.flatten(1), train["image"].flatten(1))
            return torch.stack([-distance[:, train["label"] == digit].amin(1) for digit in range(10)], 1)

    _, rows = shortcut.section(seen(Nearest(), train, test, tuple("0123456789")), tmp_path)
    assert not [row["name"] for row in rows if row["verdict"] == "shortcut"]
    assert [row["name"] for row in rows] == ["background", *shortcut.places(8, 8)]
    assert rows[0]["verdict"] == "no shortcut"
    assert rows[0]["unclear"] < 0.2


def test_a_place_is_unclear_where_foreground_goes_on_outside_of_it() -> None:
    where = shortcut.places(20, 20)["top right corner"]
    mark, stroke = torch.zeros(2, 20, 20, dtype=torch.bool)
    mark[:3, 17:] = True
    mark[5:9, 5:9] = True  # an object elsewhere is none of the corner's
    stroke[2, 10:18] = True
    assert shortcut.reaches(torch.stack([mark, stroke]), where).tolist() == [False, True]


def test_a_rim_is_tested_only_where_it_is_a_margin() -> None:
    assert "rim" not in shortcut.places(8, 8), "28 of 64 pixels"
    for height, width in ((16, 16), (28, 28), (32, 32), (224, 224)):
        assert shortcut.places(height, width)["rim"].float().mean() <= 0.25


def test_donors_that_are_object_all_over_are_drawn_again() -> None:
    """Half of the donors show no ground: they would come whole, with their objects."""
    train, test = bars(300, 0), bars(60, 1)
    image = train["image"].clone()
    image[::2] = 0.6 + 0.4 * torch.rand(150, 3, 1, 1).expand(-1, -1, 20, 20)
    image[::2, :, ::2, ::2] = 0.1  # dots everywhere: with their seams they cover all
    assert shortcut.covering(image[::2]).all()
    trial = shortcut.Trial(seen(GROUND, Columns(image=image, label=train["label"]), test))
    assert trial.bare.double().mean() > 0.9
    assert (trial.from_own[trial.bare] % 2 == 1).all()
    assert (trial.from_other[trial.bare] % 2 == 1).all()


def test_pictures_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Never more than PIECE pixels of them at once, and the same verdicts."""
    evidence = seen(GROUND, *animals(fair=False))
    whole = shortcut.Trial(evidence).swaps({"background": shortcut.on_ground})[0]
    monkeypatch.setattr(shortcut, "PIECE", 7 * 32 * 32)
    taken: list[int] = []
    take = Columns.take

    def counting(self: Columns, index: Any) -> Any:
        found = take(self, index)
        taken.append(len(found["image"]))
        return found

    monkeypatch.setattr(Columns, "take", counting)
    piecemeal = shortcut.Trial(evidence).swaps({"background": shortcut.on_ground})[0]
    assert max(taken) == 7
    assert torch.equal(piecemeal.other, whole.other)


def test_saliency_is_that_of_the_explanations() -> None:
    pytest.importorskip("captum")
    model, image, _ = linear(3, classes=3)
    mask = torch.rand(40, 6, 6) < 0.5
    found = shortcut.saliency_on(model, image, mask)
    for k in range(3):
        single = explanations.saliency(model, image[k], int(model(image[k : k + 1]).argmax()))
        torch.testing.assert_close(found[k], single[mask[k]].sum() / single.sum())


def test_few_pictures_leave_it_open() -> None:
    right = torch.ones(12, dtype=torch.bool)
    swap = shortcut.Swap("background", right, right, right.clone(), ~right, torch.arange(12), 0.0)
    assert swap.verdict == "undecided"
    assert swap.sentence.endswith("More pictures decide.")
    _, low, high = swap.fall
    assert low < 0 < high


def test_the_interval_of_a_fall_holds_the_truth_about_as_often_as_it_says() -> None:
    """Of 400 draws with a true fall of 0.1, 95 % within two deviations of 1.1 points."""
    torch.manual_seed(0)
    held = 0
    for _ in range(400):
        own, other = torch.rand(300) < 0.95, torch.rand(300) < 0.85
        _, low, high = shortcut.Swap("rim", own, own, other, ~other, torch.arange(300), 0.0).fall
        held += low <= 0.1 <= high
    assert 0.92 <= held / 400 <= 0.985


def test_only_one_kind_of_place_on_demand(tmp_path: Path) -> None:
    evidence = seen(GROUND, bars(60, 0), bars(40, 1))
    assert [row["name"] for row in shortcut.section(evidence, tmp_path, "background")[1]] == ["background"]
    assert "background" not in [row["name"] for row in shortcut.section(evidence, tmp_path, "mark")[1]]


def test_without_test_pictures_there_is_a_sentence(tmp_path: Path) -> None:
    evidence = seen(GROUND, bars(60, 0), bars(40, 1))
    evidence.splits().test = None
    for module in (shortcut, fragility):
        with pytest.raises(UserError, match="this run has none"):
            module.section(evidence, tmp_path)


# --- both: what goes through the net together


def test_slopes_are_taken_of_few_pictures_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as KEPT values allow; what one picture leaves for the way back is counted, weights are not."""
    seen_at_once: list[int] = []

    class Counted(nn.Sequential):
        def forward(self, image: Tensor) -> Tensor:  # (B, 3, 6, 6) -> (B, 2)
            seen_at_once.append(len(image))
            return super().forward(image)

    torch.manual_seed(0)
    model = Counted(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(80, 2))
    image, label = torch.rand(40, 3, 6, 6), torch.randint(2, (40,))
    together = fragility.slope(model, image, label)
    kept = 3 * 36 + 80  # the picture, for the kernels, and what the ReLU gives, for itself and for the dense layer
    monkeypatch.setattr(pitfalls, "KEPT", 8 * kept + 1)
    seen_at_once.clear()
    torch.testing.assert_close(fragility.slope(model, image, label), together)
    assert seen_at_once == [1, *[8] * 5]
    seen_at_once.clear()
    columns = Columns(image=image, label=label)
    few = fragility.learnt_patch(model, columns, 2, 3, torch.Generator().manual_seed(0), 20)
    assert max(seen_at_once) == 8
    assert few.shape == (3, 2, 2)
    shortcut.saliency_on(model, image, torch.ones(40, 6, 6, dtype=torch.bool))
    assert max(seen_at_once) == 8


def test_large_nets_are_attacked_on_fewer_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragility, "UPDATES", 2)
    evidence = seen(GROUND, bars(80, 0), bars(60, 1))
    assert len(fragility.attack(evidence).image) == 60
    evidence.recipe.work = lambda spec: 12e9
    assert len(fragility.attack(evidence).image) == fragility.FEWEST


# --- fragility


def linear(seed: int, classes: int = 2) -> tuple[nn.Module, Tensor, Tensor]:
    """A linear net and pictures well inside [0, 1]."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 6, classes)).eval()
    return model, 0.3 + 0.4 * torch.rand(40, 3, 6, 6), torch.randint(classes, (40,))


def test_fast_gradient_sign_is_the_worst_case_of_a_linear_net() -> None:
    """Goodfellow et al. 2015, section 3: the margin of two classes rises by strength times the 1-norm of w."""
    model, image, label = linear(0)
    strength = 16 / 255
    found = fragility.fast_sign(model, image, label, strength)
    weight = model[1].weight.detach()
    rise = fragility.margin(model(found), label) - fragility.margin(model(image), label)
    torch.testing.assert_close(rise, (strength * (weight[1] - weight[0]).abs().sum()).expand(40))
    draw = torch.Generator().manual_seed(0)
    steps = fragility.projected(model, image, label, strength, 10, draw)
    torch.testing.assert_close(model(steps), model(found))


def test_the_margin_has_the_sign_of_the_cross_entropys_slope_and_does_not_vanish() -> None:
    model, image, label = linear(1, classes=4)
    asked = image.clone().requires_grad_()
    (entropy,) = torch.autograd.grad(nn.functional.cross_entropy(model(asked), label, reduction="sum"), asked)
    assert torch.equal(entropy.sign(), fragility.slope(model, image, label).sign())
    sure = Ask(lambda image: 1000 * image.mean((1, 2, 3)))
    assert (fragility.slope(sure, image, torch.ones(40, dtype=torch.int64)) != 0).all()


def test_projected_gradient_stays_in_its_ball_and_in_the_picture() -> None:
    """Madry et al. 2018."""
    model, image, label = linear(2, classes=3)
    image = torch.rand_like(image).round()  # at the very ends of the range
    found = fragility.projected(model, image, label, 0.1, 10, torch.Generator().manual_seed(0))
    assert (found - image).abs().max() <= 0.1 + 1e-6
    assert found.min() >= 0
    assert found.max() <= 1
    noise = fragility.noisy(image * 0.5 + 0.25, 0.1, torch.Generator().manual_seed(0))
    torch.testing.assert_close((noise - (image * 0.5 + 0.25)).abs(), torch.full_like(image, 0.1))


def test_projected_gradient_goes_round_a_corner_that_fast_gradient_sign_runs_past() -> None:
    """The first slope points past the place where the net is wrong; smaller steps stop there."""
    narrow = Ask(lambda image: 1 - 40 * (image.mean((1, 2, 3)) - 0.55).abs())
    image, label = torch.full((8, 3, 4, 4), 0.5), torch.zeros(8, dtype=torch.int64)
    wrong_fast = narrow(fragility.fast_sign(narrow, image, label, 0.2)).argmax(1)
    found = fragility.projected(narrow, image, label, 0.2, 20, torch.Generator().manual_seed(0))
    assert int((wrong_fast != label).sum()) == 0
    assert int((narrow(found).argmax(1) != label).sum()) >= 4


def test_a_patch_covers_no_more_than_a_twentieth() -> None:
    for height, width in ((8, 8), (28, 28), (32, 32), (224, 224), (40, 90)):
        size = fragility.side(height, width)
        assert size**2 <= 0.05 * height * width < (size + 1) ** 2


def test_a_patch_is_laid_whole_over_a_place_of_each_picture() -> None:
    image = torch.zeros(300, 3, 9, 12)
    patch = torch.rand(3, 4, 4) + 0.1
    found = fragility.laid(image, patch, torch.Generator().manual_seed(0))
    assert ((found != 0).all(1).sum((1, 2)) == 16).all()
    torch.testing.assert_close(found.sum((2, 3)), patch.sum((1, 2)).expand(300, 3))
    places = {int(torch.nonzero(one[0].flatten())[0]) for one in found}
    assert len(places) == 6 * 9, "everywhere it fits"
    top = int(places.pop())
    one = next(each for each in found if int(torch.nonzero(each[0].flatten())[0]) == top)
    y, x = divmod(top, 12)
    assert torch.equal(one[:, y : y + 4, x : x + 4], patch)


def test_fragility_of_a_net_that_any_white_spot_turns(tmp_path: Path) -> None:
    """S167, C024: a learnt patch of a twentieth flips four answers in five, a random one hardly any; all is written."""
    spot = Ask(lambda image: 30 * (nn.functional.avg_pool2d(image.mean(1), 3, 1).flatten(1).amax(1) - 0.95))
    draw = torch.Generator().manual_seed(0)
    dark = Columns(image=0.6 * torch.rand(200, 3, 20, 20, generator=draw), label=torch.zeros(200, dtype=torch.int64))
    html, rows = fragility.section(seen(spot, dark, dark), tmp_path)
    by_name = {row["name"]: row for row in rows}
    assert by_name["patch"]["flipped"] >= 0.8
    assert by_name["random patch"]["flipped"] < 0.1
    assert by_name["patch"]["area"] <= 0.05
    accuracy = by_name["projected gradient"]["accuracy"]
    assert list(accuracy) == ["0", *map(str, fragility.STRENGTHS)]
    assert list(accuracy.values()) == sorted(accuracy.values(), reverse=True)
    assert by_name["random noise"]["accuracy"]["8"] == 1
    with Image.open(tmp_path / "patch.png") as printed:
        assert printed.width == printed.height >= fragility.PRINT
    assert html.count("<img") == 3


def test_fragility_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragility, "UPDATES", 2)
    told: list[str] = []

    def telling(things: Any, what: str) -> Any:
        for done, thing in enumerate(things, 1):
            told.append(f"{what} {done} of {len(things)}")
            yield thing

    monkeypatch.setattr(fragility, "telling", telling)
    fragility.attack(seen(GROUND, bars(80, 0), bars(60, 1)))
    assert told == [*[f"Small changes {done} of 7" for done in range(1, 8)], "The patch 1 of 2", "The patch 2 of 2"]


def test_fragility_leaves_the_net_and_the_random_numbers_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragility, "UPDATES", 5)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 18 * 18, 2))
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    train, test = bars(80, 0), bars(60, 1)
    first = fragility.attack(seen(model, train, test))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(kept[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    again = fragility.attack(seen(model, train, test))
    assert torch.equal(again.patch, first.patch), "the same every time"
    assert torch.equal(again.right["projected gradient"][2], first.right["projected gradient"][2])


# --- nets that have learnt


@pytest.mark.long
@pytest.mark.parametrize(("data", "epochs", "verdict"), [("husky", 5, "shortcut"), ("husky_fair", 25, "no shortcut")])
def test_look_finds_the_fault_of_husky_and_acquits_husky_fair(
    data: str, epochs: int, verdict: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """S166, C023, from the command line: a LeNet-5 that has learnt either set."""
    run = tmp_path / data
    words = ["--data", data, "--modern", "--lr", "0.01", "--epochs", str(epochs), "--out", str(run)]
    for each in (["run", "lenet5", *words], ["look", str(run), "--shortcut", "--json"]):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main(each)
        assert left.value.code == 0
    rows = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines()) if "name" in row}
    assert rows["background"]["accuracy"] >= 0.9
    assert rows["background"]["verdict"] == verdict
    others = {row["verdict"] for name, row in rows.items() if name != "background"}
    assert "shortcut" not in others or data == "husky", "parts of the ground are the ground"
