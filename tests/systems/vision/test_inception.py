"""Inception: the module and its arithmetic, GoogLeNet's counts, the auxiliary classifiers, Network in Network."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deepclassics.errors import UserError
from deepclassics.systems.vision.alexnet import normalisation
from deepclassics.systems.vision.inception import (
    MODULES,
    Convolution,
    Cost,
    GoogLeNet,
    Inception,
    InceptionRecipe,
    NetworkInNetwork,
    costs,
    saving,
    total,
)


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


def made(side: int | tuple[int, int], **knobs: Any) -> nn.Module:
    with torch.device("meta"):
        return InceptionRecipe(**knobs).net(spec(side))


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for name, p in net.named_parameters() if not name.startswith("aux"))


def test_a_module_lays_its_branches_upon_each_other() -> None:
    """S178: the maps are the sum of the branches', the size stays."""
    torch.manual_seed(0)
    module = Inception(8, (3, 4, 5, 2, 6, 7), 5, True, True).eval()
    x = torch.randn(2, 8, 9, 7)
    found = module(x)
    assert found.shape == (2, 3 + 5 + 6 + 7, 9, 7)
    pieces = found.split([3, 5, 6, 7], 1)
    branches = [module.branch1, module.branch2, module.branch3, module.branch4]
    assert all(torch.equal(piece, branch(x)) for piece, branch in zip(pieces, branches, strict=True))
    assert module.branch2[1].conv.kernel_size == (3, 3)
    assert module.branch3[1].conv.kernel_size == (5, 5)


def test_a_1_by_1_convolution_is_a_dense_layer_at_every_place() -> None:
    """S177."""
    torch.manual_seed(0)
    layer = Convolution(6, 4, 1, norm=False)
    dense = nn.Linear(6, 4)
    dense.weight.data, dense.bias.data = layer.conv.weight.data[:, :, 0, 0], layer.conv.bias.data + 0.1
    layer.conv.bias.data += 0.1
    x = torch.randn(2, 6, 5, 3)
    torch.testing.assert_close(layer(x), dense(x.movedim(1, 3)).relu().movedim(3, 1))


def test_the_saving_of_the_standard_example() -> None:
    """S177: 28 × 28 × 192 to 32 maps by 5 × 5, straight 120,422,400 multiplications, through 16 maps 12,443,648."""
    with torch.device("meta"):
        direct, reduced = (Inception(192, MODULES["3a"], 5, False, reduce) for reduce in (False, True))
    found = [costs(module, (192, 28, 28))["branch3"] for module in (direct, reduced)]
    assert found == [Cost(120_422_400, 192 * 25 * 32 + 32), Cost(12_443_648, 192 * 16 + 16 + 16 * 25 * 32 + 32)]


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ({}, Cost(1_498_376_192, 6_624_904)),
        ({"largest": 5, "norm": False}, Cost(1_582_671_872, 6_998_552)),
        ({"largest": 5, "norm": False, "reduce": False}, Cost(4_426_547_200, 25_305_944)),
    ],
)
def test_as_many_parameters_and_multiplications_as_published(knobs: dict[str, Any], expected: Cost) -> None:
    """S178: 6,624,904 as the weights have it; 6,998,552 as the paper; table 1 says 1.5 billion operations."""
    recipe = InceptionRecipe(**knobs)
    assert total(recipe.costs(spec(224), recipe.reduce)) == expected
    assert parameters(made(224, **knobs)) == expected.parameters


def test_reductions_change_no_size() -> None:
    for reduce in (True, False):
        with torch.device("meta"):
            module = Inception(480, MODULES["4a"], 3, True, reduce)
            assert module(torch.empty(2, 480, 14, 14)).shape == (2, 512, 14, 14)


def test_what_the_reductions_save_is_told_and_drawn() -> None:
    recipe = InceptionRecipe(largest=5, norm=False)

    class Facts:
        spec = globals()["spec"](224)

    scores, remarks = recipe.conclude(None, Facts())  # type: ignore[arg-type]
    assert scores == {}
    for number in ("1,582,671,872", "6,998,552", "4,426,547,200", "25,305,944", "2.8", "3.6"):
        assert number in remarks[0]
    figure = saving(recipe.costs(Facts.spec, True), recipe.costs(Facts.spec, False))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["conv1", "conv2", "conv3", *MODULES, "fc"]
    of_module = [bar.get_width() for bar in figure.axes[0].patches if abs(bar.get_y() + bar.get_height() / 2 - 3) < 0.3]
    assert sorted(of_module) == pytest.approx([128.049152, 308.281344])


def test_22_layers_with_weights_lie_on_the_way() -> None:
    """S178, C172: three in the stem, two in each of nine modules, the last."""
    net = made(224)
    longest = 3 + 1
    for name in MODULES:
        module = net.get_submodule(f"inception{name}")
        longest += max(sum(isinstance(layer, nn.Conv2d) for layer in branch.modules()) for branch in module.children())
    assert longest == 22


def test_sizes_are_those_of_table_1() -> None:
    seen: dict[str, tuple[int, ...]] = {}
    net = made(224).eval()
    for name, layer in net.named_children():
        layer.register_forward_hook(lambda module, given, output, name=name: seen.update({name: tuple(output.shape)}))
    net(torch.empty(1, 3, 224, 224, device="meta"))
    assert seen["conv1"] == (1, 64, 112, 112)
    assert seen["maxpool1"] == (1, 64, 56, 56)
    assert seen["conv3"] == (1, 192, 56, 56)
    assert seen["inception3a"] == (1, 256, 28, 28)
    assert seen["inception3b"] == (1, 480, 28, 28)
    assert seen["inception4a"] == (1, 512, 14, 14)
    assert seen["inception4e"] == (1, 832, 14, 14)
    assert seen["inception5b"] == (1, 1024, 7, 7)


def test_with_the_small_stem_modules_see_a_half_a_quarter_and_an_eighth() -> None:
    seen: dict[str, int] = {}
    net = made(32).eval()
    for name, layer in net.named_children():
        layer.register_forward_hook(lambda module, given, output, name=name: seen.update({name: output.shape[-1]}))
    net(torch.empty(1, 3, 32, 32, device="meta"))
    assert [seen[f"inception{name}"] for name in ("3a", "4a", "5a")] == [16, 8, 4]


def small(**knobs: Any) -> tuple[InceptionRecipe, GoogLeNet]:
    torch.manual_seed(0)
    recipe = InceptionRecipe(width=0.05, **knobs)
    net = recipe.model(spec(16, classes=5))
    assert isinstance(net, GoogLeNet)
    return recipe, net


def test_auxiliary_classifiers_are_used_in_training_alone() -> None:
    """Section 5: their losses count 0.3 times; when judging they are not asked."""
    recipe, net = small()
    image, label = torch.rand(6, 3, 16, 16), torch.tensor([0, 1, 2, 3, 4, 0])
    torch.manual_seed(1)
    found = net(image)
    assert [each.shape for each in found] == [(6, 5)] * 3
    losses = [nn.functional.cross_entropy(each, label) for each in found]
    torch.manual_seed(1)
    torch.testing.assert_close(recipe.loss(net, image, label), losses[0] + 0.3 * (losses[1] + losses[2]))
    net.eval()
    asked: list[nn.Module] = []
    for head in (net.aux1, net.aux2):
        head.register_forward_hook(lambda module, given, output: asked.append(module))
    scores: Tensor = net(image)
    assert scores.shape == (6, 5)
    assert not asked
    torch.testing.assert_close(recipe.loss(net, image, label), nn.functional.cross_entropy(scores, label))


def test_auxiliary_classifiers_teach_the_middle() -> None:
    """Their gradient reaches the modules before them, and no module behind them."""
    _, net = small()
    _, one, other = net(torch.rand(6, 3, 16, 16))
    one.sum().backward(retain_graph=True)
    assert net.inception4a.branch1.conv.weight.grad is not None
    assert net.inception4b.branch1.conv.weight.grad is None
    other.sum().backward()
    assert net.inception4d.branch1.conv.weight.grad is not None
    assert net.inception4e.branch1.conv.weight.grad is None


def test_at_weight_0_there_are_no_auxiliary_classifiers() -> None:
    _, net = small(auxiliary=0.0)
    assert not any(name.startswith("aux") for name in net.state_dict())
    assert net(torch.rand(2, 3, 16, 16)).shape == (2, 5)


@pytest.mark.parametrize(
    ("knobs", "share"),
    [({}, 0.2), ({"norm": False}, 0.4), ({"form": "nin"}, 0.5), ({"form": "nin", "dropout": 0.1}, 0.1)],
)
def test_dropout_is_as_published_and_told(knobs: dict[str, Any], share: float) -> None:
    """Szegedy et al. 2014, table 1: 40 %; torchvision's net 20 %; Lin et al. 2013: a half."""
    recipe = InceptionRecipe(**knobs)
    net = made(224, **knobs)
    assert {layer.p for layer in net.modules() if isinstance(layer, nn.Dropout)} - {0.7} == {share}
    assert recipe.chosen(spec(224)).get("dropout") == (None if "dropout" in knobs else share)


def test_normalisation_over_maps_is_alexnets() -> None:
    layers = [layer for layer in made(224, norm=False).modules() if isinstance(layer, nn.LocalResponseNorm)]
    assert {str(layer) for layer in layers} == {str(normalisation())}


def test_normalisation_over_maps_only_in_the_papers_form() -> None:
    counts = [
        sum(isinstance(layer, nn.LocalResponseNorm) for layer in made(224, norm=norm).modules())
        for norm in (True, False)
    ]
    assert counts == [0, 2]
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in made(224, norm=False).modules())


def test_network_in_network_has_a_map_for_each_class_and_no_dense_layers() -> None:
    """S177; Lin et al. 2013, 3.2: 966,986 parameters for CIFAR-10."""
    with torch.device("meta"):
        net = InceptionRecipe(form="nin", norm=False).net(spec(32, classes=10))
    assert parameters(net) == 966_986
    assert not any(isinstance(layer, nn.Linear) for layer in net.modules())
    torch.manual_seed(0)
    net = NetworkInNetwork(3, 10, [0.5] * 3, [0.25] * 3, small=True, width=0.1).eval()
    seen: list[Tensor] = []
    net.fc.register_forward_hook(lambda module, given, output: seen.append(output))
    scores = net(torch.rand(2, 3, 32, 32))
    assert seen[0].shape == (2, 10, 8, 8)
    torch.testing.assert_close(scores, seen[0].mean((2, 3)))


@pytest.mark.parametrize(
    ("form", "stem", "smallest"),
    [("googlenet", "auto", 8), ("googlenet", "large", 15), ("nin", "small", 8), ("nin", "large", 19)],
)
def test_the_smallest_picture_works_and_a_smaller_one_is_refused(form: str, stem: str, smallest: int) -> None:
    recipe = InceptionRecipe(form=form, stem=stem, size=smallest, width=0.05)
    assert recipe.smallest() == smallest
    net = recipe.net(spec(smallest, classes=5)).eval()
    assert net(torch.rand(2, 3, smallest, smallest)).shape == (2, 5)
    with pytest.raises(UserError, match=f"inception: size must be at least {smallest} pixels"):
        recipe.model_copy(update={"size": smallest - 1}).load()


@pytest.mark.parametrize(("form", "side"), [("googlenet", 14), ("nin", 18)])
def test_under_that_the_large_stem_would_leave_nothing(form: str, side: int) -> None:
    with pytest.raises(RuntimeError, match="too small"):
        made(side, form=form, stem="large").eval()(torch.empty(1, 3, side, side, device="meta"))


@pytest.mark.parametrize(("side", "stem"), [(28, "small"), (64, "small"), (65, "large"), ((10, 200), "small")])
def test_the_stem_follows_the_size_and_is_told(side: int | tuple[int, int], stem: str) -> None:
    assert InceptionRecipe().chosen(spec(side))["stem"] == stem
    height, width = side if isinstance(side, tuple) else (side, side)
    assert made(side, width=0.05).eval()(torch.empty(1, 3, height, width, device="meta")).shape == (1, 1000)


def test_one_picture_a_batch_cannot_be_normalised() -> None:
    with pytest.raises(UserError, match="batch must be at least 2"):
        InceptionRecipe(batch=1).load()
