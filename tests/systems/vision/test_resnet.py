"""ResNet: counts by depth and shortcut, what a block is at zero, plain nets, small pictures."""

from typing import Any

import pytest
import torch
from torch import nn

from deepclassics.errors import UserError
from deepclassics.systems.vision.resnet import BasicBlock, Bottleneck, ResNet, ResNetRecipe, Shortcut


def spec(side: int, channels: int = 3, classes: int = 1000) -> dict[str, Any]:
    return {
        "kind": "image",
        "data": "pictures",
        "shape": [channels, side, side],
        "mean": [0.5] * channels,
        "std": [0.25] * channels,
        "counts": [1] * classes,
        "target": {"kind": "class", "name": "label", "classes": [f"c{number}" for number in range(classes)]},
    }


def made(side: int, classes: int = 1000, **knobs: Any) -> ResNet:
    with torch.device("meta"):
        return ResNetRecipe(**knobs).net(spec(side, classes=classes))


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("depth", "count"), [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)]
)
def test_as_many_parameters_as_published_for_imagenet(depth: int, count: int) -> None:
    """S173, S175: with shortcuts B, at 1000 classes."""
    assert parameters(made(224, depth=depth)) == count


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_as_many_parameters_as_published_for_cifar_10(depth: int, millions: float) -> None:
    """He et al. 2015, table 6."""
    digits = 1 if depth == 110 else 2
    assert round(parameters(made(32, classes=10, depth=depth)) / 1e6, digits) == millions


@pytest.mark.parametrize(("depth", "count"), [(18, 11_515_688), (34, 21_623_848)])
def test_plain_nets_have_as_many_as_those_with_shortcuts_without_weights(depth: int, count: int) -> None:
    """S173: "no extra parameters" holds for shortcuts A."""
    assert parameters(made(224, depth=depth, shortcuts="A")) == count
    assert parameters(made(224, depth=depth, plain=True)) == count


def test_shortcuts_c_are_convolutions_everywhere() -> None:
    kinds = {kind: made(224, depth=34, shortcuts=kind) for kind in "ABC"}
    blocks = {kind: [m for m in net.modules() if isinstance(m, BasicBlock)] for kind, net in kinds.items()}
    convolutions = {
        kind: sum(isinstance(block.downsample, nn.Sequential) for block in found) for kind, found in blocks.items()
    }
    assert convolutions == {"A": 0, "B": 3, "C": 16}
    assert sum(isinstance(block.downsample, Shortcut) for block in blocks["A"]) == 3


@pytest.mark.parametrize("depth", [18, 20, 34, 50, 56, 110, 152])
def test_the_depth_counts_the_layers_with_weights_on_the_way(depth: int) -> None:
    """S175, C172: shortcuts aside."""
    net = made(224, depth=depth)
    on_the_way = [
        name
        for name, layer in net.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "downsample" not in name
    ]
    assert len(on_the_way) == depth


def test_resnet_20_has_270_thousand_and_its_maps() -> None:
    net = made(32, classes=10)
    assert parameters(net) == 269_722
    assert [net.get_submodule(name)[0].conv1.out_channels for name in net.stages] == [16, 32, 64]
    assert [len(net.get_submodule(name)) for name in net.stages] == [3, 3, 3]


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_with_a_branch_of_zero_a_block_is_the_identity(block: type) -> None:
    """C021, S173: of values that are not negative, exactly; of others g of them."""
    torch.manual_seed(0)
    layer = block(4 * block.expansion, 4, 1, "B", False).eval()
    last = layer.bn3 if block is Bottleneck else layer.bn2
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    x = torch.randn(2, 4 * block.expansion, 5, 5)
    assert torch.equal(layer(x.abs()), x.abs())
    assert torch.equal(layer(x), x.relu())


def test_a_plain_block_of_zeros_loses_its_input() -> None:
    """S176: that is what plain nets have to learn."""
    layer = BasicBlock(4, 4, 1, "A", True).eval()
    nn.init.zeros_(layer.bn2.weight)
    assert not layer(torch.rand(1, 4, 5, 5)).any()
    assert layer.downsample is None


def test_shortcut_a_takes_every_second_pixel_and_pads_with_zeros() -> None:
    x = torch.rand(2, 4, 6, 8)
    found = Shortcut(8, 2)(x)
    assert torch.equal(found[:, 2:6], x[:, :, ::2, ::2])
    assert not found[:, :2].any()
    assert not found[:, 6:].any()
    assert Shortcut(7, 1)(x).shape == (2, 7, 6, 8)


@pytest.mark.parametrize("kind", ["A", "B", "C"])
def test_a_block_adds_the_branch_to_the_shortcut(kind: str) -> None:
    """S173: a[l+2] = g(z[l+2] + a[l])."""
    torch.manual_seed(0)
    layer = BasicBlock(4, 8, 2, kind, False).eval()
    x = torch.randn(2, 4, 6, 6)
    branch = layer.bn2(layer.conv2(layer.bn1(layer.conv1(x)).relu()))
    torch.testing.assert_close(layer(x), (branch + layer.downsample(x)).relu())


def test_the_stem_follows_the_size_and_is_told() -> None:
    for side, stem in ((28, "small"), (64, "small"), (65, "large"), (224, "large")):
        told = ResNetRecipe(depth=34).chosen(spec(side))
        assert told["stem"] == stem
        assert told["shortcuts"] == "B"
        assert made(side, depth=34).conv1.kernel_size == ((3, 3) if stem == "small" else (7, 7))
    assert ResNetRecipe().chosen(spec(32))["shortcuts"] == "A"
    assert not {"stem", "shortcuts"} & ResNetRecipe(stem="small", shortcuts="C").chosen(spec(32)).keys()


def test_sizes_with_either_stem() -> None:
    for side, last in ((224, 7), (32, 4)):
        seen: list[int] = []
        net = made(side, depth=18)
        net.layer4.register_forward_hook(lambda module, given, output, seen=seen: seen.append(output.shape[-1]))
        assert net(torch.empty(2, 3, side, side, device="meta")).shape == (2, 1000)
        assert seen == [last]


@pytest.mark.parametrize(("stem", "smallest"), [("auto", 8), ("large", 32)])
def test_the_smallest_picture_works_and_a_smaller_one_is_refused(stem: str, smallest: int) -> None:
    recipe = ResNetRecipe(stem=stem, size=smallest)
    assert recipe.net(spec(smallest, classes=5))(torch.rand(2, 3, smallest, smallest)).shape == (2, 5)
    with pytest.raises(UserError, match=f"resnet: size must be at least {smallest} pixels"):
        recipe.model_copy(update={"size": smallest - 1}).load()


def test_published_figures_stand_beside_the_net_they_are_of() -> None:
    """A ResNet-56's error is no measure of a ResNet-20, nor of a plain net."""
    for figure in ResNetRecipe.published:
        assert figure.when == {"depth": figure.protocol["depth"], "plain": False}
