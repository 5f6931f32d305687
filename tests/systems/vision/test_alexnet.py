"""AlexNet: both forms' counts and sizes, the normalisation over maps, small pictures."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deepclassics.errors import UserError
from deepclassics.recipe import find
from deepclassics.systems.vision.alexnet import AlexNet, AlexNetRecipe, normalisation


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


def made(towers: int, side: int | tuple[int, int], **knobs: Any) -> AlexNet:
    """Without weights: a whole one takes 240 MB."""
    with torch.device("meta"):
        return AlexNetRecipe(towers=towers, **knobs).net(spec(side))


def sides(net: AlexNet, side: int) -> list[int]:
    """Of the maps after every layer that changes it, and of what the dense layers see."""
    seen = [side]
    x = torch.empty(1, 3, side, side, device="meta")
    for layer in net.features:
        x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            seen.append(x.shape[-1])
    return seen[1:]


@pytest.mark.parametrize(("towers", "parameters"), [(1, 61_100_840), (2, 60_965_224)])
def test_as_many_parameters_as_published(towers: int, parameters: int) -> None:
    """S171: the towers of 2012 are convolutions in two groups; all its dense layers see both."""
    net = made(towers, 224)
    assert sum(p.numel() for p in net.parameters()) == parameters
    kernels = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.groups for layer in kernels] == ([1, 2, 1, 2, 2] if towers == 2 else [1] * 5)
    assert len(kernels) == 5
    assert sum(isinstance(layer, nn.Linear) for layer in net.modules()) == 3


@pytest.mark.parametrize("towers", [1, 2])
def test_sizes_are_the_papers(towers: int) -> None:
    """S171, C018, E033: 224 gives 55, which no padding to the same size would; overlapping pooling 27, 13, 6."""
    found = sides(made(towers, 224), 224)
    assert found == [55, 27, 27, 13, 13, 13, 13, 6]
    pools = [layer for layer in made(towers, 224).modules() if isinstance(layer, nn.MaxPool2d)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(3, 2)] * 3


def test_names_are_torchvisions_with_one_tower() -> None:
    assert list(made(1, 224).state_dict()) == [
        f"{part}.{number}.{kind}"
        for part, numbers in (("features", (0, 3, 6, 8, 10)), ("classifier", (1, 4, 6)))
        for number in numbers
        for kind in ("weight", "bias")
    ]


def test_small_pictures_keep_their_places() -> None:
    net = made(1, 32)
    assert net.features[0].kernel_size == (3, 3)
    assert sides(net, 32) == [32, 16, 16, 8, 8, 8, 8, 4]
    assert net.classifier[1].in_features == 128 * 2 * 2, "half as many maps"
    assert net.classifier[4].out_features == 512


@pytest.mark.parametrize(
    ("side", "stem"), [(28, "small"), (64, "small"), (65, "large"), ((30, 200), "small"), ((80, 200), "large")]
)
def test_the_stem_follows_the_size_and_is_told(side: int | tuple[int, int], stem: str) -> None:
    recipe = AlexNetRecipe()
    told = recipe.chosen(spec(side))
    assert told["stem"] == stem
    assert told["dense"] == (512 if stem == "small" else 4096)
    assert told["width"] == (0.5 if stem == "small" else 1)
    with torch.device("meta"):
        kernel = recipe.net(spec(side)).features[0].kernel_size
    assert kernel == ((3, 3) if stem == "small" else (11, 11))
    asked = AlexNetRecipe(stem="large", dense=100, width=1.0)
    assert not {"stem", "dense", "width"} & asked.chosen(spec(80)).keys()


@pytest.mark.parametrize(("stem", "smallest"), [("auto", 16), ("small", 16), ("large", 63)])
@pytest.mark.parametrize("towers", [1, 2])
def test_the_smallest_picture_works_and_a_smaller_one_is_refused(stem: str, smallest: int, towers: int) -> None:
    recipe = AlexNetRecipe(stem=stem, towers=towers, size=smallest, width=0.1, dense=8)
    assert recipe.smallest() == smallest
    net = recipe.net(spec(smallest, classes=5))
    assert net(torch.rand(2, 3, smallest, smallest)).shape == (2, 5)
    with pytest.raises(UserError, match=f"alexnet: size must be at least {smallest} pixels"):
        recipe.model_copy(update={"size": smallest - 1}).load()


def test_under_63_pixels_the_large_stem_would_leave_nothing() -> None:
    with pytest.raises(RuntimeError, match="too small"):
        made(1, 62, stem="large")(torch.empty(1, 3, 62, 62, device="meta"))


def test_normalisation_over_maps_is_the_papers_formula() -> None:
    """Krizhevsky et al. 2012, section 3.3: b = a / (k + α Σ a²)^β, with k = 2, n = 5, α = 1e-4, β = 0.75."""
    a = torch.randn(2, 9, 3, 4, dtype=torch.float64) * 40
    b = torch.empty_like(a)
    for i in range(9):
        total = sum(a[:, j] ** 2 for j in range(max(0, i - 2), min(8, i + 2) + 1))
        b[:, i] = a[:, i] / (2 + 1e-4 * total) ** 0.75
    torch.testing.assert_close(normalisation()(a), b)
    assert float((b * 2**0.75 - a).abs().max()) > 1, "the squares must count here"


def test_only_the_net_of_2012_normalises_over_maps() -> None:
    count = [sum(isinstance(layer, nn.LocalResponseNorm) for layer in made(t, 32).modules()) for t in (1, 2)]
    assert count == [0, 2]


def test_towers_see_each_other_from_the_third_convolution_on() -> None:
    """Figure 2: the second half of the maps of the second layer do not depend on the first half of those before."""
    torch.manual_seed(0)
    net = AlexNet(2, 3, 5, [0.5] * 3, [0.25] * 3, small=True, width=0.125, dense=8).eval()
    second, third = net.features[4], net.features[8]
    for layer, apart in ((second, True), (third, False)):
        x = torch.randn(1, layer.in_channels, 5, 5)
        other = x.clone()
        other[:, : layer.in_channels // 2] += 1
        half = layer.out_channels // 2
        assert torch.equal(layer(x)[:, half:], layer(other)[:, half:]) is apart


def test_width_and_dense_are_as_told() -> None:
    net = made(1, 32, width=0.5, dense=40)
    assert [layer.out_channels for layer in net.features if isinstance(layer, nn.Conv2d)] == [32, 96, 192, 128, 128]
    assert net.classifier[4].weight.shape == (40, 40)
    assert net.get_submodule(find("alexnet").head).weight.shape == (1000, 40)


def test_dropout_is_for_training_alone() -> None:
    torch.manual_seed(0)
    net = AlexNet(1, 1, 3, [0.5], [0.25], small=True, width=0.1, dense=32)
    image: Tensor = torch.rand(1, 1, 16, 16)
    assert not torch.equal(net(image), net(image))
    net.eval()
    assert torch.equal(net(image), net(image))
