"""VGG: 3 × 3 convolutions only, one after another, and pooling that halves the picture five times.

Source: K. Simonyan, A. Zisserman, Very deep convolutional networks for large-scale image recognition (2014), table 1,
columns A, B, D and E. With batch normalisation and on small pictures: S. Liu, W. Deng, Very deep convolutional neural
network based image classification using small training sample size (2015). Notes: S172, N039, C098, E034.

Two 3 × 3 convolutions see 5 × 5 pixels and three see 7 × 7, with fewer weights and more ReLUs than one of that size.
All are padded, so the size stays; pooling of 2 × 2 halves it: 224, 112, 56, 28, 14, 7. There the maps double, from 64
to 512.

Departures from the paper:
- `--norm`, the default, normalises over the batch after every convolution (Ioffe and Szegedy 2015). The paper started
  its deep nets from the weights of shallow ones, and found afterwards that first weights as in Glorot and Bengio 2010
  make do without them (section 3.1). `--no-norm` has the paper's layers.
- Average pooling to 7 × 7 lies before the dense layers, as in the published weights: at 224 pixels it does nothing, and
  it lets larger and smaller pictures in.
- `--stem small`, for pictures of up to 64 pixels: the same layers, whose 32 pixels come to 1 × 1. What is more is
  averaged to 1 × 1, odd sides are rounded up when halved, so that 28 pixels will do, and the dense layers have 512
  units: 4096 would hold nearly all of the weights.
- Weights start as in He et al. 2015; in the paper at a deviation of 0.01.
- The rate follows one cycle, with Nesterov's momentum; in the paper it was divided by ten three times.

Expected: digits, 97 % right in about a minute. VGG-16 with normalisation and dropout had 8.45 % errors on
CIFAR-10 (Liu and Deng 2015). Commands and figures are in benchmarks/results.md.

Letters: B pictures, C channels, H and W pixels, K classes.
"""

from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from deepclassics.classifier import Classifier, Dense
from deepclassics.layers import starts
from deepclassics.layers.pictures import Standardise
from deepclassics.recipe import Epochs, Published, Rate

MAPS = (64, 128, 256, 512, 512)  # of each stage
CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # A, B, D, E


class VGG(nn.Module):
    """`depth` counts the convolutions and the dense layers; `norm` is batch normalisation.

    `width` is the share of the published maps, `dense` the units of each hidden dense layer. `mean` and `std` are those
    of the pictures, of which there are `channels`. The names and shapes of the weights are those of torchvision's nets.
    """

    def __init__(
        self,
        depth: int,
        channels: int,
        classes: int,
        mean: list[float],
        std: list[float],
        *,
        norm: bool = True,
        small: bool = False,
        dense: int = 4096,
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.standardise = Standardise(mean, std)
        layers: list[nn.Module] = []
        before = channels
        for count, published in zip(CONVOLUTIONS[depth], MAPS, strict=True):
            maps = max(1, round(published * width))
            for _ in range(count):
                layers += [nn.Conv2d(before, maps, 3, padding=1), *([nn.BatchNorm2d(maps)] if norm else []), nn.ReLU()]
                before = maps
            layers.append(nn.MaxPool2d(2, ceil_mode=small))
        side = 1 if small else 7
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(side)
        self.classifier = nn.Sequential(
            *(nn.Linear(before * side**2, dense), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Linear(dense, dense), nn.ReLU(), nn.Dropout(dropout)),
            nn.Linear(dense, classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                starts.he(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:  # (B, C, H, W) of pixels in [0, 1] -> (B, K) scores
        return self.classifier(self.avgpool(self.features(self.standardise(image))).flatten(1))


class VGGRecipe(Classifier):
    """VGG of 11 to 19 layers, with and without batch normalisation, on pictures with labels."""

    head = "classifier.6"
    built = ("depth", "norm", "width", "dense")
    sides = (8, 32)  # under 8, three of the five halvings would have nothing to halve
    published = (
        *(
            Published(
                on=on,
                score="test/error",
                value=0.0845,
                source="Liu and Deng 2015, abstract",
                protocol={
                    "depth": 16,
                    "norm": True,
                    "training examples": 50000,
                    "pictures": "as published",
                    "dropout": "after the convolutions too",
                },
                when={"depth": 16, "norm": True},
            )
            for on in ("cifar10", "cifar10_small", "cifar10_jpeg")
        ),
        Published(
            on="ilsvrc2012",
            score="top-1 error of the validation pictures",
            value=0.2841,
            source="VGG-16 with torchvision's weights, one crop, as measured by timm",
            protocol={"depth": 16, "norm": False},
        ),
    )

    depth: Literal[11, 13, 16, 19] = Field(11, description="convolutions and dense layers")
    norm: bool = Field(True, description="batch normalisation after every convolution")
    width: float = Field(1.0, gt=0, le=4, description="maps of the convolutions, as a share of the published ones")
    dense: Dense = "auto"
    dropout: float = Field(0.5, ge=0, lt=1, description="share of units left out in the hidden dense layers")
    epochs: Epochs = 20
    lr: Rate = 0.02

    def net(self, spec: dict[str, Any]) -> VGG:
        return VGG(
            self.depth,
            spec["shape"][0],
            len(spec["target"]["classes"]),
            spec["mean"],
            spec["std"],
            norm=self.norm,
            small=self.stem_of(spec) == "small",
            dense=self.units(self.dense, spec),
            width=self.width,
            dropout=self.dropout,
        )

    def chosen(self, spec: dict[str, Any]) -> dict[str, Any]:
        found = super().chosen(spec)
        return found | ({"dense": self.units(self.dense, spec)} if self.dense == "auto" else {})
