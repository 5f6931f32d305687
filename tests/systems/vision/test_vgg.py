"""VGG: counts by depth, five halvings, small pictures."""

from typing import Any

import pytest
import torch
from torch import nn

from deepclassics.errors import UserError
from deepclassics.recipe import find
from deepclassics.systems.vision.vgg import VGG, VGGRecipe


def spec(side: int | tuple[int, int], channels: int = 3, classes: int = 1000) -> dict[str, Any]:
    height, width = side if isinstance(side, tuple) else (side, side)
    return {
        "kind": "image",
        "data": "pictures",
        "shape": [channels, height, width],
        "mean": [0.5] * channels,
        "std": [0.25] * channels,
        "counts": [1] * classes,
        "target": {"kind": "class", "name": "label", "classes": [f"c{number}" for number in range(classes)]},
    }


def made(side: int | tuple[int, int], **knobs: Any) -> VGG:
    """Without weights: a whole one takes 550 MB."""
    with torch.device("meta"):
        return VGGRecipe(**knobs).net(spec(side))


def sides(net: VGG, side: int) -> list[int]:
    """Of the maps after each pooling."""
    seen = []
    x = torch.empty(2, 3, side, side, device="meta")
    for layer in net.features:
        before, x = x, layer(x)
        if isinstance(layer, nn.MaxPool2d):
            seen.append(x.shape[-1])
        else:
            assert x.shape[-2:] == before.shape[-2:], "convolutions keep the size (E034)"
    return seen


@pytest.mark.parametrize(
    ("depth", "without", "normalised"),
    [
        (11, 132_863_336, 132_868_840),
        (13, 133_047_848, 133_053_736),
        (16, 138_357_544, 138_365_992),
        (19, 143_667_240, 143_678_248),
    ],
)
def test_as_many_parameters_and_layers_as_published(depth: int, without: int, normalised: int) -> None:
    """S172. `depth` counts the layers with weights."""
    for norm, parameters in ((False, without), (True, normalised)):
        net = made(224, depth=depth, norm=norm)
        assert sum(p.numel() for p in net.parameters()) == parameters
        assert sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in net.modules()) == depth


def test_of_vgg_16_convolutions_have_a_ninth() -> None:
    """N039."""
    net = made(224, depth=16, norm=False)
    assert sum(p.numel() for p in net.features.parameters()) == 14_714_688
    assert sum(p.numel() for p in net.classifier.parameters()) == 123_642_856


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_every_pooling_halves(depth: int) -> None:
    """S172, C098."""
    assert sides(made(224, depth=depth), 224) == [112, 56, 28, 14, 7]
    assert sides(made(32, depth=depth), 32) == [16, 8, 4, 2, 1]
    assert sides(made(28, depth=depth), 28) == [14, 7, 4, 2, 1]


def test_uniform_design() -> None:
    """S172: 3 × 3 of stride 1, padded; pooling 2 × 2 of stride 2."""
    for layer in made(224, depth=16).modules():
        if isinstance(layer, nn.Conv2d):
            assert (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (1, 1), (1, 1))
        if isinstance(layer, nn.MaxPool2d):
            assert (layer.kernel_size, layer.stride) == (2, 2)


def test_three_of_3_by_3_see_7_by_7_with_fewer_weights() -> None:
    """Section 2.3: 27 C² against 49 C²."""
    stack = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1, bias=False) for _ in range(3)))
    for layer in stack:
        nn.init.ones_(layer.weight)
    image = torch.zeros(1, 1, 15, 15)
    image[0, 0, 7, 7] = 1
    reached = stack(image)[0, 0] > 0
    assert int(reached.sum()) == 49
    assert reached[4:11, 4:11].all()
    assert sum(p.numel() for p in stack.parameters()) == 27


def test_the_small_form_has_the_names_of_the_large_one() -> None:
    assert list(made(32).state_dict()) == list(made(224).state_dict())
    assert made(32).classifier[0].weight.shape == (512, 512)
    assert made(224).classifier[0].weight.shape == (4096, 512 * 49)


@pytest.mark.parametrize(
    ("side", "stem"), [(28, "small"), (64, "small"), (65, "large"), ((20, 200), "small"), ((40, 200), "large")]
)
def test_the_stem_follows_the_size_and_is_told(side: int | tuple[int, int], stem: str) -> None:
    recipe = VGGRecipe()
    told = recipe.chosen(spec(side))
    assert told["stem"] == stem
    assert told["dense"] == (512 if stem == "small" else 4096)
    height, width = side if isinstance(side, tuple) else (side, side)
    net = made(side, width=0.05)
    assert net(torch.empty(2, 3, height, width, device="meta")).shape == (2, 1000)
    assert not {"stem", "dense"} & VGGRecipe(stem="small", dense=100).chosen(spec(80)).keys()


@pytest.mark.parametrize(("stem", "smallest"), [("auto", 8), ("small", 8), ("large", 32)])
def test_the_smallest_picture_works_and_a_smaller_one_is_refused(stem: str, smallest: int) -> None:
    recipe = VGGRecipe(stem=stem, size=smallest, width=0.05, dense=8)
    assert recipe.smallest() == smallest
    assert recipe.net(spec(smallest, classes=5))(torch.rand(2, 3, smallest, smallest)).shape == (2, 5)
    with pytest.raises(UserError, match=f"vgg: size must be at least {smallest} pixels"):
        recipe.model_copy(update={"size": smallest - 1}).load()


def test_under_32_pixels_the_large_stem_would_leave_nothing() -> None:
    with pytest.raises(RuntimeError, match="too small"):
        made(31, stem="large").eval()(torch.empty(1, 3, 31, 31, device="meta"))


def test_first_weights_keep_the_size_of_what_passes() -> None:
    """He et al. 2015: without normalisation sixteen layers pass a signal on that neither dies nor grows."""
    torch.manual_seed(0)
    net = VGG(16, 3, 100, [0.5] * 3, [0.29] * 3, norm=False, small=True, width=0.25, dense=128).eval()
    with torch.no_grad():
        scores = net(torch.rand(8, 3, 32, 32))
    assert 0.05 < float(scores.square().mean().sqrt()) < 20


def test_the_head_is_the_last_layer() -> None:
    assert made(32, dense=40).get_submodule(find("vgg").head).weight.shape == (1000, 40)


def test_published_figures_stand_beside_the_net_they_are_of() -> None:
    """Liu and Deng's is of sixteen layers with normalisation."""
    for figure in VGGRecipe.published:
        if figure.on != "ilsvrc2012":
            assert figure.when == {"depth": 16, "norm": True}
