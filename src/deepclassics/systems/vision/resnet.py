"""ResNet: convolutions that learn what to add to their input, so that a hundred layers and more can be trained.

Source: K. He, X. Zhang, S. Ren, J. Sun, Deep residual learning for image recognition (2015), section 3.3 (shortcuts),
table 1 (the nets of 18 to 152 layers), section 4.2 (the nets of 20 to 110 layers for CIFAR-10). Notes: S173 to S176,
S183, E034.

A block computes g(F(x) + x): two convolutions, or three where the middle one is narrow, and a shortcut past them. With
the weights of F at zero it is the identity (C021). Where the size or the number of maps changes, the shortcut skips
every second pixel and pads with maps of zeros (A), or is a 1 × 1 convolution there (B) or everywhere (C). `--plain`
leaves the shortcuts out: the same layers, which past some depth learn worse, on the training examples too.

Departures from the paper:
- In blocks of three convolutions the 3 × 3 one has the stride, not the first 1 × 1 one: so have the weights that are
  published, and it is a little more accurate.
- `--stem small`, for pictures of up to 64 pixels, begins the nets of 18 to 152 layers with a 3 × 3 convolution of
  stride 1 and no pooling, as those of 20 to 110 layers do; the large one leaves too little of such pictures.
- The rate follows one cycle, with Nesterov's momentum, over the epochs of the knob; in the paper a tenth twice, over
  64,000 updates of 128 pictures.
- Pictures are brought to mean 0 and deviation 1 a channel, in the paper to mean 0 a pixel; crops go on with the colour
  of the edge, in the paper with zeros.
- Weights start as in He et al. 2015, Delving deep into rectifiers, counted by a kernel's outputs, as the published ones
  did, and those of the last layer as torch's do. Biases and the gains of batch normalisation do not decay.

Expected: digits, 98 to 99 % right in some ten seconds. The exact small piece of CIFAR-10, with mirror images and crops,
84 % or more in some 20 minutes on one core with bf16. Commands and figures are in benchmarks/results.md.

Letters: B pictures, C maps, H and W pixels, K classes.
"""

from typing import Any, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deepclassics.classifier import Classifier
from deepclassics.layers.pictures import Standardise
from deepclassics.recipe import Published

# Blocks of each stage, by depth. Those for CIFAR-10 have three stages of 16, 32 and 64 maps (section 4.2), the others
# four of 64 to 512 (table 1), in blocks of three convolutions from 50 layers on.
CIFAR = {20: 3, 32: 5, 44: 7, 56: 9, 110: 18}
IMAGENET = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class Shortcut(nn.Module):
    """Option A: every second pixel, and new maps of zeros before and after the old ones. It has no parameters."""

    def __init__(self, maps: int, stride: int) -> None:
        super().__init__()
        self.maps, self.stride = maps, stride

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, maps, H/stride, W/stride)
        lacking = self.maps - x.shape[1]
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, lacking // 2, lacking - lacking // 2))


def shortcut(before: int, maps: int, stride: int, kind: str) -> nn.Module | None:
    """What the input passes through on its way around a block; None where it is the input itself."""
    if kind == "C" or (kind == "B" and (stride > 1 or before != maps)):
        return nn.Sequential(nn.Conv2d(before, maps, 1, stride, bias=False), nn.BatchNorm2d(maps))
    return Shortcut(maps, stride) if stride > 1 or before != maps else None


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions (figure 2)."""

    expansion = 1

    def __init__(self, before: int, width: int, stride: int, kind: str, plain: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None if plain else shortcut(before, width, stride, kind)
        self.plain = plain

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, width, H/stride, W/stride)
        found = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(found if self.plain else found + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1 × 1 to a quarter of the maps, 3 × 3, and 1 × 1 back (figure 5)."""

    expansion = 4

    def __init__(self, before: int, width: int, stride: int, kind: str, plain: bool) -> None:
        super().__init__()
        maps = width * self.expansion
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, maps, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(maps)
        self.downsample = None if plain else shortcut(before, maps, stride, kind)
        self.plain = plain

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, 4 width, H/stride, W/stride)
        found = F.relu(self.bn1(self.conv1(x)))
        found = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(found)))))
        return F.relu(found if self.plain else found + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """`depth` counts the layers with weights on the way from the picture to the classes.

    `kind` is that of the shortcuts, A, B or C. `mean` and `std` are those of the pictures, of which there are
    `channels`. From 18 to 152 layers the names and shapes of the weights are those of torchvision's nets.
    """

    def __init__(
        self,
        depth: int,
        channels: int,
        classes: int,
        mean: list[float],
        std: list[float],
        *,
        small: bool = False,
        kind: str = "B",
        plain: bool = False,
    ) -> None:
        super().__init__()
        blocks, first = ((CIFAR[depth],) * 3, 16) if depth in CIFAR else (IMAGENET[depth], 64)
        block = Bottleneck if depth >= 50 and depth in IMAGENET else BasicBlock
        self.small = small
        self.standardise = Standardise(mean, std)
        side, stride = (3, 1) if small else (7, 2)
        self.conv1 = nn.Conv2d(channels, first, side, stride, side // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        maps = first
        self.stages = [f"layer{number}" for number in range(1, len(blocks) + 1)]
        for number, (name, count) in enumerate(zip(self.stages, blocks, strict=True)):
            width, stage = first * 2**number, []
            for place in range(count):
                stage.append(block(maps, width, 2 if number and not place else 1, kind, plain))
                maps = width * block.expansion
            self.add_module(name, nn.Sequential(*stage))
        self.fc = nn.Linear(maps, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # He et al. 2015, Delving deep into rectifiers, section 2.2
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, image: Tensor) -> Tensor:  # (B, C, H, W) of pixels in [0, 1] -> (B, maps)
        x = F.relu(self.bn1(self.conv1(self.standardise(image))))
        if not self.small:
            x = F.max_pool2d(x, 3, 2, 1)
        for name in self.stages:
            x = self.get_submodule(name)(x)
        return x.mean((2, 3))

    def forward(self, image: Tensor) -> Tensor:  # (B, C, H, W) of pixels in [0, 1] -> (B, K) scores
        return self.fc(self.features(image))


def _cifar(on: str, depth: int, error: float) -> Published:
    return Published(
        on=on,
        score="test/error",
        value=error,
        source=f"He et al. 2015, table 6, ResNet-{depth}, as quoted by a public reproduction",
        protocol={
            "depth": depth,
            "shortcuts": "A",
            "batch": 128,
            "updates": 64000,
            "l2": 1e-4,
            "training examples": 50000,
            "selection": "last weights",
            "augmentation": "mirrored, cropped by 4",
            "pictures": "as published",
        },
        when={"depth": depth, "plain": False},
    )


ERRORS = {20: 0.0875, 32: 0.0751, 44: 0.0717, 56: 0.0697, 110: 0.0643}


class ResNetRecipe(Classifier):
    """Residual nets, and the same nets without shortcuts, on pictures with labels."""

    sides = (8, 32)
    built = ("depth", "shortcuts", "plain")
    published = tuple(
        _cifar(on, depth, error)
        for on in ("cifar10", "cifar10_small", "cifar10_jpeg")
        for depth, error in ERRORS.items()
    )

    depth: Literal[18, 20, 32, 34, 44, 50, 56, 101, 110, 152] = Field(
        20, description="layers with weights: 20, 32, 44, 56, 110 as for CIFAR-10, the others as for ImageNet"
    )
    shortcuts: Literal["auto", "A", "B", "C"] = Field(
        "auto", description="where maps change: A zeros, B a 1 × 1 convolution, C that everywhere; auto: as published"
    )
    plain: bool = Field(False, description="leave the shortcuts out")

    def net(self, spec: dict[str, Any]) -> ResNet:
        return ResNet(
            self.depth,
            spec["shape"][0],
            len(spec["target"]["classes"]),
            spec["mean"],
            spec["std"],
            small=self.stem_of(spec) == "small",
            kind=self._shortcuts(),
            plain=self.plain,
        )

    def chosen(self, spec: dict[str, Any]) -> dict[str, Any]:
        return super().chosen(spec) | (
            {"shortcuts": self._shortcuts()} if self.shortcuts == "auto" and not self.plain else {}
        )

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return super().protocol(spec) | {"shortcuts": self._shortcuts()}

    def _shortcuts(self) -> str:
        """A for the nets of CIFAR-10, B for those of ImageNet, as the published figures and weights have it."""
        return self.shortcuts if self.shortcuts != "auto" else "A" if self.depth in CIFAR else "B"
