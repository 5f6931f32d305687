"""The verdicts of the claims about depth and about nets for pictures.

The verdicts are pinned here and computed there. What is wrong in the notes comes out `fails as printed`.
"""

import pytest
import torch
from torch import nn

from deepclassics import claims
from deepclassics.claims.depth import Abreast, three_stages, weight_layers
from deepclassics.claims.pictures import LADDER
from deepclassics.systems.vision.resnet import ResNet
from verdicts import check, found

HOLDS, CAVEAT, FAILS = claims.VERDICTS

FAST = {
    "C021": HOLDS,
    "C101": CAVEAT,  # most of VGG's parameters are in its dense layers
    "C169": FAILS,  # 82 errors are 0.82 %
    "C171": HOLDS,
    "C172": CAVEAT,  # AlexNet has 8 layers with weights
}
SLOW = {
    "C019": HOLDS,
    "C020": CAVEAT,  # with He's start gradients keep their length
    "C022": HOLDS,
    "C023": HOLDS,
    "C024": CAVEAT,  # on the place that hurts most
    "C099": FAILS,  # after 80 updates; the paper trained 800 times as long
    "C100": HOLDS,
    "C102": HOLDS,
    "C103": CAVEAT,  # mirrored digits are other signs
    "C155": HOLDS,
    "C156": CAVEAT,  # option B adds parameters
}


@pytest.mark.parametrize("number", FAST)
def test_verdict(number: str) -> None:
    check(number, FAST[number])


@pytest.mark.long
@pytest.mark.parametrize("number", SLOW)
def test_verdict_that_takes_longer(number: str) -> None:
    check(number, SLOW[number])


def test_c101_counts_of_the_published_nets() -> None:
    numbers = found("C101").numbers
    assert (numbers["layers with weights, GoogLeNet"], numbers["layers with weights, VGG-16"]) == (22, 16)
    assert numbers["parameters, GoogLeNet, millions"] == pytest.approx(6.998552)
    assert numbers["parameters, VGG-16, millions"] == pytest.approx(138.357544)


def test_c172_layers_of_n041() -> None:
    numbers = found("C172").numbers
    assert [numbers[f"layers with weights, {name}"] for name in ("AlexNet", "GoogLeNet", "ResNet-152")] == [8, 22, 152]


def test_t001_the_ladder_falls_and_every_error_is_inside_its_interval() -> None:
    assert len(LADDER) == 21
    assert [entry[2] for entry in LADDER] == sorted(entry[2] for entry in LADDER)
    assert all(low < wrong < high for _, _, wrong, low, high in LADDER)


@pytest.mark.parametrize("plain", [False, True])
def test_nets_abreast_are_resnets_each(plain: bool) -> None:
    """Two nets of 20 layers side by side give what two of `ResNet` with the same weights give."""
    both = Abreast(2, three_stages(20), 16, plain=plain)
    image, scores = torch.rand(5, 1, 8, 8), []
    for place in range(2):
        net = ResNet(20, 1, 10, [0.0], [1.0], small=True, kind="A", plain=plain)
        convolutions = [part for part in net.modules() if isinstance(part, nn.Conv2d)]
        grouped = [part for part in both.modules() if isinstance(part, nn.Conv2d)]
        for own, shared in zip(convolutions, grouped, strict=True):
            own.weight.data = shared.weight.data.chunk(2)[place]
        net.fc.weight.data, net.fc.bias.data = both.weight.data[place].T, both.bias.data[place, 0]
        scores.append(net.train()(image))
    torch.testing.assert_close(both(image), torch.stack(scores), atol=1e-4, rtol=1e-4)


def test_layers_are_counted_along_the_longest_way() -> None:
    class Forked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.long = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1))
            self.short = nn.Conv2d(3, 3, 1)
            self.last = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last((self.long(x) + self.short(x)).mean((2, 3)))

    with torch.device("meta"):
        assert weight_layers(Forked(), 4) == 3
