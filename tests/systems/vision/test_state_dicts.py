"""AlexNet, VGG, ResNet and GoogLeNet against torchvision's: names, shapes, numbers of parameters, and outputs.

torchvision is no dependency, so what it says stands here as facts, got once from torchvision 0.29.2.
"""

import hashlib
import math
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deepclassics import weights
from deepclassics.classifier import Classifier
from deepclassics.errors import UserError
from deepclassics.flags import build
from deepclassics.layers.pictures import Standardise
from deepclassics.recipe import find

SHAPE = (3, 224, 224)


@dataclass(frozen=True)
class Facts:
    """What torchvision's net has, without auxiliary heads: parameters, `listing`, three scores of `filled` weights."""

    parameters: int
    names: int
    digest: str
    scores: tuple[float, float, float]


FACTS = {
    "alexnet": Facts(61_100_840, 16, "9b204a0e6319caba", (-1.67822, 1.90744, 1.01768)),
    "vgg11": Facts(132_863_336, 22, "839b1d4e93d78d88", (10.7491, 13.8242, -5.80849)),
    "vgg11_bn": Facts(132_868_840, 62, "92b35921413c8911", (22.3762, 25.9044, -8.44086)),
    "vgg13": Facts(133_047_848, 26, "16c588a61614aa27", (9.9788, 7.50652, -2.10332)),
    "vgg13_bn": Facts(133_053_736, 76, "2ee9fb082618c35c", (15.1561, 4.46849, -5.45947)),
    "vgg16": Facts(138_357_544, 32, "e36b43eb356035da", (6.49602, 2.9901, -4.67695)),
    "vgg16_bn": Facts(138_365_992, 97, "ac9d6e9725a44cb1", (23.0333, 18.6373, 8.12073)),
    "vgg19": Facts(143_667_240, 38, "fafd9d516f77ba55", (4.77062, 1.55604, -2.8607)),
    "vgg19_bn": Facts(143_678_248, 118, "95c2fa41f19fe7a1", (25.2985, 17.2377, -17.0109)),
    "resnet18": Facts(11_689_512, 122, "f0e35161599236f3", (229.36, 117.252, 92.9679)),
    "resnet34": Facts(21_797_672, 218, "c1372162bc2e8e86", (14561.3, -3169.67, -3908.27)),
    "resnet50": Facts(25_557_032, 320, "fe1d335c3c7786ff", (26537.9, -6141.72, 7950.26)),
    "resnet101": Facts(44_549_160, 626, "b6755676a9dbfb7d", (1.6787e+08, 1.17567e+07, 2.15521e+08)),
    "resnet152": Facts(60_192_808, 932, "3446679ffd752d79", (5.84999e+12, -2.26645e+12, 4.45965e+12)),
    "googlenet": Facts(6_624_904, 344, "e5c470d1ce5e675e", (2.8752, 18.5936, 0.455654)),
}  # fmt: skip


def recipe_of(name: str) -> Classifier:
    """The recipe for a net that torchvision calls so."""
    system, knobs = ("inception" if name == "googlenet" else name), dict[str, Any]()
    if name.startswith("vgg"):
        system, knobs = "vgg", {"depth": int(name[3:5]), "norm": name.endswith("_bn")}
    if name.startswith("resnet"):
        system, knobs = "resnet", {"depth": int(name[6:])}
    recipe = build(find(system), knobs, system)
    assert isinstance(recipe, Classifier)
    return recipe


def listing(shapes: dict[str, tuple[int, ...]]) -> tuple[int, str]:
    """How many names there are, and the first digits of the SHA-256 of the sorted lines "name 64x3x7x7"."""
    lines = sorted(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
    return len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def filled(name: str, shape: tuple[int, ...]) -> Tensor:
    """Weights that follow from the name, so that two nets have the same ones however they were built."""
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    uniform = torch.rand(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
    if len(shape) > 1:
        return (2 * uniform - 1) * math.sqrt(6 / math.prod(shape[1:]))
    return 0.5 + uniform if name.endswith(("weight", "running_var")) else (uniform - 0.5) / 5


def picture() -> Tensor:  # -> (1, 3, 224, 224) of pixels in [0, 1]
    return torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(0))


def spec_of(classes: int) -> dict[str, Any]:
    return {
        "kind": "image",
        "data": "pictures",
        "shape": list(SHAPE),
        "mean": list(weights.MEAN),
        "std": list(weights.STD),
        "counts": [1] * classes,
        "target": {"kind": "class", "name": "label", "classes": [str(number) for number in range(classes)]},
    }


@cache
def empty(name: str, classes: int = 1000) -> nn.Module:
    """Our net of that name, without memory."""
    with torch.device("meta"):
        return recipe_of(name).net(spec_of(classes))


def shapes_of(name: str, classes: int = 1000) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in empty(name, classes).state_dict().items()}


def without_auxiliary(named: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in named.items() if not name.startswith(weights.SPARE)}


@pytest.mark.parametrize("name", FACTS)
def test_names_and_shapes_are_torchvisions(name: str) -> None:
    assert listing(without_auxiliary(shapes_of(name))) == (FACTS[name].names, FACTS[name].digest)


@pytest.mark.parametrize("name", FACTS)
def test_as_many_parameters_as_published(name: str) -> None:
    """S171 to S176: 61,100,840 of AlexNet with one tower, 138,357,544 of VGG-16, 25,557,032 of ResNet-50 ..."""
    parameters = without_auxiliary(dict(empty(name).named_parameters()))
    assert sum(value.numel() for value in parameters.values()) == FACTS[name].parameters


@pytest.mark.parametrize("name", FACTS)
def test_a_file_of_it_is_recognised_and_only_its_head_made_new(name: str) -> None:
    file = {key: torch.empty(shape, device="meta") for key, shape in shapes_of(name).items()}
    recipe = recipe_of(name)
    assert weights.recognise(file) == name
    new = weights.fits(shapes_of(name, classes=7), file, recipe.head, recipe.name())
    assert list(without_auxiliary(dict.fromkeys(new))) == [f"{recipe.head}.weight", f"{recipe.head}.bias"]


QUICK = ("resnet18", "resnet50", "googlenet")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in FACTS]
)
def test_scores_are_torchvisions(name: str) -> None:
    recipe = recipe_of(name)
    with torch.device("meta"):  # first weights would cost more than the rest of the test
        net = recipe.net(spec_of(1000)).eval()
    net.to_empty(device="cpu").standardise = Standardise(list(weights.MEAN), list(weights.STD))
    state = {key: filled(key, tuple(value.shape)) for key, value in net.state_dict().items()}
    assert weights.load_into(net, state, recipe.head, recipe.name()) == []
    with torch.no_grad():
        scores = net(picture())
    assert scores[0, :3].tolist() == pytest.approx(FACTS[name].scores, rel=1e-5, abs=1e-5 * float(scores.abs().max()))


@pytest.mark.parametrize(
    ("system", "knobs", "name", "advice"),
    [
        ("alexnet", {"towers": 2}, "alexnet (two towers)", "--towers 2 --stem large"),
        ("alexnet", {"stem": "small"}, "alexnet (small stem)", "--towers 1 --stem small"),
        ("vgg", {"depth": 16, "norm": True}, "vgg16_bn", "--depth 16 --norm --stem large"),
        (
            "vgg",
            {"depth": 13, "norm": False, "stem": "small"},
            "vgg13 (small stem)",
            "--depth 13 --no-norm --stem small",
        ),
        ("resnet", {"depth": 34, "stem": "small"}, "resnet34 (small stem)", "--depth 34 --stem small"),
        ("resnet", {"depth": 56, "stem": "small"}, "resnet56 (CIFAR)", "--depth 56 --stem small"),
        ("resnet", {"depth": 20}, "resnet20 (CIFAR, large stem)", "--depth 20 --stem large"),
        ("inception", {"stem": "small"}, "googlenet (small stem)", "--stem small"),
    ],
)
def test_every_form_is_recognised_and_asked_for_by_its_own_flags(
    system: str, knobs: dict[str, Any], name: str, advice: str
) -> None:
    recipe = build(find(system), knobs, system)
    assert isinstance(recipe, Classifier)
    with torch.device("meta"):
        file = recipe.net(spec_of(10)).state_dict()
    assert weights.recognise(file) == name
    flags = [word.removeprefix("--").removeprefix("no-") for word in advice.split() if word.startswith("--")]
    assert set(flags) >= set(knobs)
    assert set(flags) <= set(type(recipe).model_fields), "the flags that are told are knobs of the system"
    with pytest.raises(UserError) as caught:
        weights.fits({"c1.weight": (6, 1, 5, 5)}, file, "output", system)
    assert f"look like {name}: try {advice}." in str(caught.value)
