"""`look` and what it shows: explanations against their formulas, what excites units, and what it refuses."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from deepclassics import cli, progress
from deepclassics.data.streams import Columns
from deepclassics.host import Host
from deepclassics.layers.pictures import Standardise
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.report import exciting, explanations, kernels, recall, seeing, stages
from deepclassics.report.evidence import Evidence
from deepclassics.report.maximise import excitation, maximise
from deepclassics.report.style import settings
from deepclassics.run import Run

HOST = Host(device="cpu", threads=1)


class Residual(nn.Module):
    """A small net as the family's: in-place ReLUs, a shortcut, batch norm, and a mean over the places."""

    def __init__(self, smooth: bool = False) -> None:
        super().__init__()
        self.standardise = Standardise([0.5], [0.25])
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.relu = nn.Tanh() if smooth else nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(4)
        self.conv3 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.fc = nn.Linear(6, 3)

    def forward(self, image: Tensor) -> Tensor:  # (B, 1, H, W) -> (B, 3)
        x = self.relu(self.conv1(self.standardise(image)))
        x = self.relu(self.bn2(self.conv2(x)) + x)
        return self.fc(self.relu(self.conv3(x)).mean((2, 3)))


class Branches(nn.Module):
    """Two convolutions side by side, as in GoogLeNet's modules."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 4, 1)

    def forward(self, x: Tensor) -> Tensor:  # (B, 2, H, W) -> (B, 7, H, W)
        return torch.cat([self.one(x), self.other(x)], 1)


@pytest.fixture
def net() -> Residual:
    torch.manual_seed(0)
    return Residual().eval()


def picture(side: int = 12) -> Tensor:  # -> (1, side, side)
    return torch.rand(1, side, side, generator=torch.Generator().manual_seed(1))


GROUND = torch.tensor([0.5])


# Explanations


def test_the_shares_of_integrated_gradients_add_up_to_the_score() -> None:
    """S309. Completeness (Sundararajan et al. 2017, proposition 1): Σ = S(x) - S(x')."""
    for smooth, tolerance in ((True, 1e-3), (False, 1e-2)):
        torch.manual_seed(0)
        model = Residual(smooth).eval()
        with torch.no_grad():
            scores = model(torch.stack([picture(), torch.full((1, 12, 12), 0.5)]))
        for target in range(3):
            found, missed = explanations.integrated_gradients(model, picture(), target, GROUND)
            assert missed <= explanations.MISSED
            whole = float(scores[0, target] - scores[1, target])
            assert float(found.sum()) == pytest.approx(whole, rel=tolerance)


def test_saliency_is_the_magnitude_of_the_gradient(net: Residual) -> None:
    """S309. Simonyan et al. 2014, section 3.1."""
    image = picture().requires_grad_()
    (slope,) = torch.autograd.grad(net(image[None])[0, 2], image)
    torch.testing.assert_close(explanations.saliency(net, picture(), 2), slope.abs().amax(0))


def test_saliency_takes_the_largest_channel() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, bias=False))
    found = explanations.saliency(net, torch.rand(3, 2, 2), 1)
    torch.testing.assert_close(found, net[1].weight[1].detach().view(3, 2, 2).abs().amax(0))


class Step(nn.Module):
    """Class 1 scores only where the picture is nearly itself: gradients on the way from the ground are all 0."""

    def forward(self, image: Tensor) -> Tensor:  # (B, 1, H, W) -> (B, 2)
        seen = (image.mean((1, 2, 3)) - 0.89998).relu()
        return torch.stack([0 * seen, seen], 1)


def test_integrated_gradients_that_do_not_add_up_are_marked() -> None:
    """S309: and no point between the ground and the picture is tried twice."""
    model, tried = Step(), 0

    def count(module: nn.Module, given: tuple[Tensor]) -> None:
        nonlocal tried
        tried += len(given[0]) * given[0].requires_grad

    model.register_forward_pre_hook(count)
    image = torch.full((1, 12, 12), 0.9)
    assert explanations.integrated_gradients(model, image, 1, GROUND)[1] > explanations.MISSED
    assert tried == 257
    with settings():
        drawn = explanations.figure(model, [explanations.Asked(image, each, "") for each in (0, 1)], [0.5])
    marked = [axes.get_xlabel() for axes in drawn.axes]
    assert [bool(each) for each in marked] == [place == 7 for place in range(8)], marked
    assert "sum off by" in marked[7]


def test_saliency_has_no_sign_and_is_drawn_in_greys(net: Residual) -> None:
    with settings():
        drawn = explanations.figure(net, [explanations.Asked(picture(), 0, "a")], [0.5])
    maps = {axes.get_title(loc="left"): axes.images[0] for axes in drawn.axes}
    assert maps["saliency"].get_cmap().name == "Greys"
    assert maps["saliency"].get_array().ndim == 2


class OnePixel(nn.Module):
    """Class 1 scores 3 times the pixel of row 4 and column 6, class 0 nothing."""

    def forward(self, image: Tensor) -> Tensor:  # (B, 1, H, W) -> (B, 2)
        seen = 3 * image[:, 0, 4, 6]
        return torch.stack([0 * seen, seen], 1)


def test_occlusion_finds_the_one_pixel_that_matters() -> None:
    """S309: squares that cover it cost what it is worth; every pixel has the mean over the squares that cover it."""
    image = picture()
    worth = 3 * float(image[0, 4, 6] - 0.5)
    exact = explanations.occlusion(OnePixel(), image, 1, GROUND, window=1)
    only = torch.zeros(12, 12)
    only[4, 6] = worth
    torch.testing.assert_close(exact, only)
    # Squares of 4, moved by 2, begin at even rows and columns: those that cover the pixel begin at rows 2 and 4 and at
    # columns 4 and 6.
    found = explanations.occlusion(OnePixel(), image, 1, GROUND, window=4)
    total, count = torch.zeros(12, 12), torch.zeros(12, 12)
    for y in range(0, 9, 2):
        for x in range(0, 9, 2):
            total[y : y + 4, x : x + 4] += worth * (y in (2, 4) and x in (4, 6))
            count[y : y + 4, x : x + 4] += 1
    torch.testing.assert_close(found, total / count)
    assert explanations.occlusion(OnePixel(), image, 0, GROUND).abs().max() == 0


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3"])
def test_grad_cam_is_its_formula(net: Residual, layer: str) -> None:
    """S309. Selvaraju et al. 2017, equations 1 and 2, on layers with a ReLU in place behind them too."""
    maps = stages.outputs(net, picture()[None].requires_grad_(), [layer])[layer].detach().requires_grad_()

    def rest(module: nn.Module, given: Any, output: Tensor) -> Tensor:
        return maps.clone()

    handle = net.get_submodule(layer).register_forward_hook(rest)
    (slope,) = torch.autograd.grad(net(picture()[None])[0, 1], maps)
    handle.remove()
    coarse = torch.einsum("f,fhw->hw", slope[0].mean((1, 2)), maps[0].detach()).relu()
    expected = F.interpolate(coarse[None, None], (12, 12), mode="bilinear")[0, 0]
    torch.testing.assert_close(explanations.grad_cam(net, picture(), 1, layer), expected)


def test_explaining_changes_nothing(net: Residual) -> None:
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.eval()
    with settings():
        explanations.figure(net, [explanations.Asked(picture(), 0, "a")], [0.5])
    maximise(net, stages.find(net, (1, 12, 12), "conv2"), [0, 1], (1, 12, 12), [0.5], seed=0, steps=5)
    stages.fields(net, stages.find(net, (1, 12, 12), "conv3"), (1, 12, 12))
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(module.training or module._forward_hooks or module._backward_hooks for module in net.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())


def test_frozen_weights_can_be_explained(net: Residual) -> None:
    expected = explanations.grad_cam(net, picture(), 1, "conv3")
    net.requires_grad_(False)
    torch.testing.assert_close(explanations.grad_cam(net, picture(), 1, "conv3"), expected)
    with settings():
        explanations.figure(net, [explanations.Asked(picture(), 0, "a")], [0.5])


# Layers


def test_receptive_fields_are_those_of_the_arithmetic(net: Residual) -> None:
    """S164: rows that a place sees, after 3 by 3 kernels of stride 1, 1 and 2, cut off by the edge."""
    shape = (1, 12, 12)
    for name, radius, stride in (("conv1", 1, 1), ("conv2", 2, 1), ("bn2", 2, 1), ("conv3", 3, 2)):
        layer = stages.find(net, shape, name)
        expected = [(max(0, k * stride - radius), min(12, k * stride + radius + 1)) for k in range(layer.shape[1])]
        assert stages.fields(net, layer, shape) == (expected, expected), name
    pool = nn.Sequential(nn.MaxPool2d(2), nn.ReLU(), nn.MaxPool2d(2))
    assert stages.fields(pool, stages.find(pool, shape, "2"), shape)[1] == [(0, 4), (4, 8), (8, 12)]


def test_receptive_fields_of_large_pictures_are_rounded_outwards() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1))
    rows, _ = stages.fields(net, stages.find(net, (1, 130, 130), "0"), (1, 130, 130))
    assert rows[10] == (9, 12)  # bands of 3 rows: 9 to 11
    assert all(begin <= max(0, k - 1) and end >= min(130, k + 2) for k, (begin, end) in enumerate(rows))


def test_grad_cam_looks_at_the_last_maps() -> None:
    """Behind the last convolution: its normalisation, the shortcut, the ReLU; but no pooled ones of that."""
    vgg = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(50, 2))
    found = stages.last_maps(vgg, (1, 12, 12))
    assert found is not None
    assert found.name == "1"
    lenet = find("lenet5")(modern=True)
    spec = {"shape": [1, 28, 28], "mean": [0.1], "std": [0.3], "target": {"classes": ["a", "b"]}}
    found = stages.last_maps(lenet.model(spec), (1, 28, 28))
    assert found is not None
    assert found.name == "s4"
    branches = nn.Sequential(nn.Conv2d(1, 2, 3), Branches(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    found = stages.last_maps(branches, (1, 12, 12))
    assert found is not None
    assert found.name == "1"
    assert stages.last_maps(nn.Sequential(nn.Flatten(), nn.Linear(144, 2)), (1, 12, 12)) is None


def test_outputs_are_those_before_a_relu_in_place(net: Residual) -> None:
    with torch.no_grad():
        seen = stages.outputs(net, picture()[None], ["conv1", "relu"])
        expected = net.conv1(net.standardise(picture()[None]))
    torch.testing.assert_close(seen["conv1"], expected)
    assert seen["relu"].min() == 0 > seen["conv1"].min()


# What excites units


def test_the_strongest_pictures_are_found_and_cut_to_what_the_unit_sees(net: Residual) -> None:
    """S164: against all activations at once; a crop alone excites the unit as the whole picture does."""
    image = torch.randint(256, (40, 1, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    columns = Columns(image=image)
    layer = stages.find(net, (1, 12, 12), "conv2")
    best = exciting.strongest(net, columns, {"conv2": [3, 1]}, count=5, most=100)["conv2"]
    with torch.no_grad():
        maps = stages.outputs(net, image / 255, ["conv2"])["conv2"]
    value, index = maps.amax((2, 3)).T[[3, 1]].topk(5)
    assert torch.equal(best.index, index)
    torch.testing.assert_close(best.value, value)
    shown = columns.take(best.index.flatten())["image"].unflatten(0, best.index.shape)
    crops = exciting.crops(net, layer, [3, 1], shown)
    assert crops.shape == (2, 5, 1, 5, 5)
    for row in range(2):
        for k in range(5):
            place = int(maps[index[row, k], [3, 1][row]].argmax())
            y, x = divmod(place, 12)
            (top, bottom), (left, right) = ((max(0, c - 2), min(12, c + 3)) for c in (y, x))
            crop = crops[row, k][~crops[row, k].isnan()]
            assert torch.equal(crop, shown[row, k, 0, top:bottom, left:right].flatten())


def made(net: nn.Module, name: str, steps: int = 100) -> tuple[Tensor, Tensor]:
    layer = stages.find(net, (1, 12, 12), name) if name else stages.Layer(stages.SCORES, (3,))
    return maximise(net, layer, [0, 1, 2], (1, 12, 12), [0.5], seed=0, steps=steps)


@pytest.mark.parametrize("layer", ["conv1", "conv3", stages.SCORES])
def test_an_input_is_made_that_excites_more_than_any_picture(net: Residual, layer: str) -> None:
    """S164: activation maximisation climbs, within the range of pixels, and the same from the same seed.

    For a unit of a map the middle counts, for the training pictures any place.
    """
    image = torch.rand(300, 1, 12, 12, generator=torch.Generator().manual_seed(3))
    inputs, reached = made(net, layer)
    assert 0 <= inputs.min() < inputs.max() <= 1
    with torch.no_grad():
        best = excitation(stages.outputs(net, image, [layer])[layer])[:, :3].amax(0)
    assert (reached > best).all(), (reached, best)
    assert torch.equal(inputs, made(net, layer)[0])


@pytest.mark.parametrize("steps", [3, 40])
def test_the_number_is_of_the_input_that_is_shown(net: Residual, steps: int) -> None:
    """The cut picture alone, put where the middle sees it, excites the middle so much, whatever lies around it."""
    inputs, reached = made(net, "conv2", steps)
    assert inputs.shape == (3, 1, 5, 5)
    image = torch.rand(3, 1, 12, 12)
    image[..., 4:9, 4:9] = inputs
    with torch.no_grad():
        maps = stages.outputs(net, image, ["conv2"])["conv2"]
    torch.testing.assert_close(maps[range(3), range(3), 6, 6], reached)
    scored, reached = made(net, stages.SCORES, steps)
    with torch.no_grad():
        torch.testing.assert_close(net(scored).diag(), reached)


def test_inputs_are_made_without_fine_detail(net: Residual, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of their power a smaller share lies beyond a period of four pixels than where steps are not damped."""

    def fine() -> Tensor:
        inputs = made(net, stages.SCORES)[0]
        power = torch.fft.fft2(inputs - inputs.mean((2, 3), keepdim=True)).abs().square()
        side = torch.fft.fftfreq(12).abs()
        far = torch.maximum(side[:, None], side) > 0.25
        return power[..., far].sum((1, 2)) / power.sum((1, 2, 3))

    damped = fine()
    monkeypatch.setattr("deepclassics.report.maximise.DAMPED", 0.0)
    assert damped.mean() < 0.6 * fine().mean()


def test_all_layers_are_looked_for_in_one_pass_of_bounded_batches(net: Residual) -> None:
    seen: list[int] = []
    net.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape[0] * given[0][0, 0].numel()))
    columns = Columns(image=torch.zeros(70, 1, 100, 100, dtype=torch.uint8))
    exciting.strongest(net, columns, {"conv1": [0], "conv2": [1, 2], stages.SCORES: [0]}, most=60)
    assert sum(seen) == 60 * 100 * 100
    assert max(seen) <= exciting.AT_ONCE


@pytest.mark.parametrize(("work", "looked"), [(0.0, 2000), (1e8, 2000), (1e9, 400), (1e12, 100)])
def test_large_nets_are_looked_into_less(work: float, looked: int) -> None:
    evidence: Any = SimpleNamespace(recipe=SimpleNamespace(work=lambda spec: work), spec={})
    assert seeing.bounded(evidence, 2000, least=100) == looked


def test_what_takes_long_tells_how_far_it_has_come(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(progress.telling("abc", "Letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    assert list(progress.telling("abc", "Letters")) == ["a", "b", "c"]
    assert "Letters: 2 of 3, 0 s left\n" in capsys.readouterr().err


def edges() -> Tensor:  # -> (4, 5, 5), of mean 0 and norm 1
    """Light on one side and dark on the other, in four directions."""
    y, x = torch.meshgrid(torch.arange(5.0) - 2, torch.arange(5.0) - 2, indexing="ij")
    planted = torch.stack([torch.sign(x), torch.sign(y), torch.sign(x + y), torch.sign(x - y)])
    return planted / planted.flatten(1).norm(dim=1)[:, None, None]


def test_the_first_kernels_find_the_edges_that_were_planted() -> None:
    """S164: |cos| > 0.8 with every one of four oriented edges, learnt from labels alone.

    Each lies anywhere in noise so strong that nothing but a kernel like it will do.
    """
    torch.manual_seed(0)
    planted, around = edges(), torch.arange(5)
    net = nn.Sequential(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    optimizer = torch.optim.AdamW(net.parameters(), 0.01, weight_decay=0.05)
    for _ in range(300):
        label, place = torch.randint(4, (64,)), torch.randint(8, (2, 64, 1))
        image = 0.5 + 0.4 * torch.randn(64, 1, 12, 12)
        y, x = (place + around)[0, :, :, None], (place + around)[1, :, None]
        image[torch.arange(64)[:, None, None], 0, y, x] += 1.5 * planted[label]
        optimizer.zero_grad()
        F.cross_entropy(net(image), label).backward()
        optimizer.step()
    name, learnt = kernels.first(net, (1, 12, 12))
    assert name == "0"
    cosine = F.cosine_similarity(learnt.flatten(1)[:, None], planted.flatten(1)[None], dim=2)
    assert (cosine.abs().amax(0) > 0.8).all(), cosine.abs().amax(0)


def test_the_weights_of_a_dense_first_layer_are_pictures() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.ReLU(), nn.Linear(5, 2))
    name, learnt = kernels.first(net, (3, 4, 4))
    assert name == "1"
    assert torch.equal(learnt.flatten(1), net[1].weight)


def test_what_is_left_out_is_told() -> None:
    """Of kernels, and of classes."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 300))
    with settings():
        drawn = kernels.figure(net, (3, 2, 2))
    assert drawn.get_suptitle() == "1: the first 96 of 300 kernels of 2 × 2"
    classes = [str(k) for k in range(250)]
    with settings():
        drawn = recall.recall(torch.eye(250).long(), classes)
    assert drawn.get_suptitle() == "mean recall 100.0 %, over 250 classes; the 200 worst of them"
    evidence: Any = SimpleNamespace(spec={"target": {"classes": classes}})
    assert "the 200 worst of 250" in recall.picture(evidence).caption


# The verb


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "lenet5"
    carry_out(find("lenet5")(modern=True, epochs=2, distort=0), folder, HOST)
    return folder


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    from sklearn.datasets import load_digits

    pixels = (load_digits().images[0] * 255 / 16).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "zero.png")
    return tmp_path / "zero.png"


def look(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    with pytest.raises(SystemExit) as end:
        cli.main(["look", *words])
    told = capsys.readouterr()
    assert end.value.code == status, told.err
    return told.err if status else told.out


def test_a_page_shows_a_picture_from_inside(run: Path, asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = (run / "best.safetensors").read_bytes()
    *rows, last = [json.loads(line) for line in look(capsys, str(run), str(asked), "--json").splitlines()]
    assert [row["name"] for row in rows] == [str(asked)]
    assert rows[0]["label"] == "0"
    pixels = torch.from_numpy(np.array(Image.open(asked))).float() / 255
    with torch.no_grad():
        (scores,) = Evidence(Run(run)).model(pixels[None, None])
    assert int(scores.argmax()) == 0
    assert rows[0]["score"] == pytest.approx(float(scores[0]), abs=1e-4)
    assert rows[0]["probability"] == pytest.approx(float(scores.softmax(0)[0]), abs=1e-4)
    page = Path(last["page"])
    assert page == run / "look" / "index.html"
    text = page.read_text()
    for title in (
        "What the answers rest on",
        "Feature maps of zero.png",
        "First-layer kernels",
        "Inputs made to excite the classes",
        "The training pictures that excite units of c3 most",
    ):
        assert title in text
    assert "Not drawn" not in text
    for file in page.parent.glob("*.png"):
        assert f'src="{file.name}"' in text
    assert (run / "best.safetensors").read_bytes() == weights


@pytest.mark.long
def test_units_and_classes_are_the_user_s_choice(
    run: Path, asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(run), str(asked), "--unit", "c3:5", "--unit", "f6:80", "--unit", "c3:2", "--class", "8"]
    told = look(capsys, *words, "--layer", "c1", "--to", str(tmp_path / "here"), "--json")
    picture, *units, last = map(json.loads, told.splitlines())
    assert (picture["label"], picture["explained"]) == ("0", "8")
    assert [row["unit"] for row in units] == ["c3:5", "c3:2", "f6:80"]
    for row in units:
        assert len(row["training"]) == 9
        assert row["training"] == sorted(row["training"], reverse=True)
    assert last["page"] == str(tmp_path / "here" / "index.html")
    assert "units of f6" in Path(last["page"]).read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--unit", "outputs:1"],
            "There is no layer 'outputs' in this net. Did you mean 'output'? Its layers are c1, s2,",
        ),
        (["--unit", "c3:16"], "c3 has 16 units, numbered from 0 to 15; got --unit c3:16."),
        (["--unit", "c3"], "--unit must be a layer and a number with a colon between them, as c3:0; got 'c3'."),
        (["--unit", "c3:-1"], "--unit must be a layer and a number with a colon between them, as c3:0; got 'c3:-1'."),
        (["--class", "ten"], "There is no class 'ten' in this run. Its classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9."),
        (["--layer", "f6"], "f6 must be a layer with maps; its 84 units have no place. Those with maps are c1, s2, c3"),
        (["--class", "8"], "--class is about the answers to pictures; got no picture."),
        (["--layer", "c1"], "--layer is about the answers to pictures; got no picture."),
        (["--shortcut", "sky"], "--shortcut must be 'background' or 'mark', or stand last; got 'sky'."),
        (["--unti", "c3:1"], "has no option '--unti'. Did you mean '--unit'?"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    run: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in look(capsys, str(run), *words, status=2)


def test_a_new_page_replaces_the_old_one_and_nothing_else(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeing.Excited, "pictures", lambda self: [])
    monkeypatch.setattr(seeing.Excited, "rows", lambda self: [])
    place = tmp_path / "deep" / "page"
    words = [str(run), "--to", str(place)]
    look(capsys, *words)
    assert [file.name for file in sorted(place.iterdir())] == ["01-first-layer-kernels.png", "index.html"]
    look(capsys, *words, "--unit", "c3:1")
    assert [file.name for file in place.parent.iterdir()] == ["page"]
    assert [file.name for file in place.iterdir()] == ["index.html"]
    before = (place / "index.html").read_bytes()

    def broken(*_: Any) -> None:
        raise FileNotFoundError("no such weights")

    monkeypatch.setattr(seeing, "first_kernels", broken)
    assert "FileNotFoundError: no such weights" in look(capsys, *words, status=1)  # it is no matter of writing
    assert (place / "index.html").read_bytes() == before
    (place / "mine.txt").write_text("kept")
    assert "must be a new folder, or hold a page of `look` alone" in look(capsys, *words, status=2)
    assert (place / "mine.txt").exists()


def test_what_is_no_picture_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.png").write_text("no picture")
    assert "words.png must be a picture" in look(capsys, str(run), str(tmp_path / "words.png"), status=2)
    assert "there is no such file" in look(capsys, str(run), str(tmp_path / "none.png"), status=2)


def test_only_classifiers_of_pictures_are_looked_into(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    carry_out(find("mlp")(data="iris", hidden=(4,), epochs=1), tmp_path / "iris", HOST)
    assert "`look` sees inside nets that tell the class of a picture" in look(capsys, str(tmp_path / "iris"), status=2)


@pytest.mark.long
def test_a_net_without_convolutions_has_all_but_the_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    carry_out(find("mlp")(data="digits", hidden=(12,), epochs=1), tmp_path / "mlp", HOST)
    image = tmp_path / "grey.png"
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(image)
    page = Path(look(capsys, str(tmp_path / "mlp"), str(image), "--unit", "layers.0:3").splitlines()[-1])
    assert "Not drawn" not in page.read_text()


def test_without_the_data_only_the_training_pictures_are_missing(
    run: Path, tmp_path: Path, asked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepclassics.errors import UserError

    def gone(evidence: Evidence) -> None:
        raise UserError("The folder digits/ is gone.")

    monkeypatch.setattr(Evidence, "splits", gone)
    out = look(capsys, str(run), str(asked), "--unit", "c3:1", "--to", str(tmp_path / "here"), "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert "training" not in rows[1]
    text = (tmp_path / "here" / "index.html").read_text()
    assert text.count("Not drawn: The folder digits/ is gone.") == 1


@pytest.mark.long
def test_without_captum_the_rest_is_drawn(
    run: Path, asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    out = look(capsys, str(run), str(asked), "--unit", "c3:1", "--to", str(tmp_path / "here"))
    assert "pip install deepclassics[explain]" in out
    text = (tmp_path / "here" / "index.html").read_text()
    assert text.count("Not drawn: Maps that explain an answer are made by captum") == 1


def test_a_report_shows_a_few_of_these(run: Path) -> None:
    """S164, S309. Wrong test pictures first, with what is right; every picture can be drawn."""
    evidence = Evidence(Run(run))
    found = seeing.pictures(evidence)
    assert len({each.title for each in found}) == len(found) == 7
    with settings():
        drawn = {each.title: each.draw() for each in found}
    assert all(not isinstance(each, str) for each in drawn.values())
    given, part = evidence.answers()
    wrong = int((given["label"] != part["label"]).sum())
    assert wrong > 0
    said = [axes.get_ylabel() for axes in drawn["What the answers rest on"].axes if axes.get_ylabel()]
    assert ["right:" in each for each in said] == [k < min(wrong, 3) for k in range(6)]
    assert {each.title for each in found} <= {each.title for each in evidence.recipe.pictures(evidence)}


def test_training_pictures_that_excite_more_than_what_was_made_are_told(run: Path) -> None:
    evidence = Evidence(Run(run))
    units = seeing.units_of(evidence, ["c3:1", "c3:2"])
    found = seeing.excited(evidence, units, 50)[0]
    reached = found.made[1]
    best = exciting.Strongest(torch.zeros(2, 1).long(), reached[:, None] + torch.tensor([[1.0], [-1.0]]), 50)
    with settings():
        first = seeing.Excited(evidence, units[0], 50, lambda: {"c3": best})._draw_made()
    titles = [axes.get_title(loc="left") for axes in first.axes]
    assert ["training:" in title for title in titles[:2]] == [True, False]
    assert "2 of 16 units are shown." in found.pictures()[0].caption
