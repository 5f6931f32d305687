"""Inception: convolutions of several sizes side by side, made cheap by 1 × 1 ones; GoogLeNet, and Network in Network.

Source: C. Szegedy et al., Going deeper with convolutions (2014), figure 2 (the module), table 1 (GoogLeNet), section 5
(the auxiliary classifiers). M. Lin, Q. Chen, S. Yan, Network in network (2013), section 3. Notes: S177, S178, C101.

A module gives the maps of four branches, one upon the other: 1 × 1, 3 × 3 and 5 × 5 convolutions, and pooling. A 1 × 1
convolution is one dense layer for every place. In front of the larger ones it reduces the maps: 32 maps of 28 × 28 by
5 × 5 from 192 take 120,422,400 multiplications, and through 16 maps 12,443,648. `--no-reduce` leaves the reductions
out; what they save is counted at the end of a run and drawn in its report. GoogLeNet is a chain of nine modules, 22
layers deep, with a ninth of AlexNet's parameters. In training it has two auxiliary classifiers in its middle, whose
losses are added to its own, 0.3 times each.

`--form nin` is the older Network in Network for CIFAR-10: three blocks of a convolution and two 1 × 1 ones, and in
place of dense layers one map for each class, averaged.

Departures from the paper:
- The default is GoogLeNet as its published weights have it: batch normalisation and no biases in every convolution,
  6,624,904 parameters without the auxiliary classifiers, and another 3 × 3 convolution in place of 5 × 5, which began
  as a mistake. `--largest 5 --no-norm` has the paper's layers: 6,998,552, normalisation over neighbouring maps in the
  stem, for which the paper gives no constants and AlexNet's are taken, and 40 % dropout. With batch normalisation
  dropout is 20 %, as in the published weights.
- The last pooling between modules is by windows of 2 × 2, as in the published weights; in table 1 it is 3 × 3.
- The auxiliary classifiers average their maps to 4 × 4, whatever the size; in the paper by windows of 5 × 5, 3 apart,
  which for 224 pixels gives 4 × 4 too.
- `--stem small`, for pictures of up to 64 pixels, begins with a 3 × 3 convolution of stride 1 and no pooling behind it,
  so that the modules see a half, a quarter and an eighth of the side; with the large one an eighth to a thirty-second.
- Network in Network has batch normalisation unless `--no-norm` is given, and with the large stem a first convolution of
  11 × 11 and stride 4.
- Weights start as in He et al. 2015. The rate follows one cycle, with Nesterov's momentum; the papers lowered it by
  hand or by 4 % every eight passes.

Expected: digits, 98 % right in about a minute. Commands and figures are in benchmarks/results.md.

Letters: B pictures, C channels or maps, H and W pixels, K classes.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deepclassics.classifier import Classifier
from deepclassics.data.streams import Data
from deepclassics.layers import starts
from deepclassics.layers.pictures import Standardise
from deepclassics.learn import Learner
from deepclassics.recipe import Epochs, Picture, Published, Rate
from deepclassics.systems.vision.alexnet import normalisation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

# Table 1: maps of 1 × 1; before 3 × 3 and of it; before 5 × 5 and of it; after pooling.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64), "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip
# Pixels that leave one place or more to every layer; with the small stem 8, though GoogLeNet would do with 4.
SMALLEST = {"googlenet": (8, 15), "nin": (8, 19)}


class Convolution(nn.Module):
    """A convolution of stride 1 that keeps the size, if nothing else is said, and a ReLU; `norm` goes in between."""

    def __init__(
        self, before: int, maps: int, kernel: int, norm: bool, stride: int = 1, padding: int | None = None
    ) -> None:
        super().__init__()
        around = kernel // 2 if padding is None else padding
        self.conv = nn.Conv2d(before, maps, kernel, stride, around, bias=not norm)
        self.bn = nn.BatchNorm2d(maps, eps=0.001) if norm else None
        starts.he(self.conv.weight)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, maps, H/stride, W/stride)
        x = self.conv(x)
        return F.relu(x if self.bn is None else self.bn(x))


class Inception(nn.Module):
    """The module (figure 2b): four branches, whose maps lie one upon the other.

    `maps` are those of table 1; without `reduce` the larger convolutions see all maps themselves. The 1 × 1 convolution
    after pooling stays even so, or the maps would grow from module to module (figure 2a).
    """

    def __init__(self, before: int, maps: tuple[int, ...], kernel: int, norm: bool, reduce: bool) -> None:
        super().__init__()
        one, before_three, three, before_five, five, pooled = maps

        def branch(narrow: int, wide: int, kernel: int) -> nn.Sequential:
            if not reduce:
                return nn.Sequential(Convolution(before, wide, kernel, norm))
            return nn.Sequential(Convolution(before, narrow, 1, norm), Convolution(narrow, wide, kernel, norm))

        self.branch1 = Convolution(before, one, 1, norm)
        self.branch2 = branch(before_three, three, 3)
        self.branch3 = branch(before_five, five, kernel)
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), Convolution(before, pooled, 1, norm))
        self.maps = one + three + five + pooled

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, maps, H, W)
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class Auxiliary(nn.Module):
    """A classifier on maps from the middle of the net (section 5)."""

    def __init__(self, before: int, maps: int, units: int, classes: int, norm: bool) -> None:
        super().__init__()
        self.conv = Convolution(before, maps, 1, norm)
        self.fc1 = nn.Linear(maps * 16, units)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(units, classes)

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, K) scores
        x = self.conv(F.adaptive_avg_pool2d(x, 4)).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x))))


class GoogLeNet(nn.Module):
    """Nine modules in a chain. In training its auxiliary classifiers give scores beside its own.

    `kernel` is the side of the modules' largest convolutions, `norm` batch normalisation, `width` the share of the
    published maps. `mean` and `std` are those of the pictures, of which there are `channels`. With kernel 3, `norm` and
    the large stem the names and shapes of the weights are those of torchvision's net.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        mean: list[float],
        std: list[float],
        *,
        kernel: int = 3,
        norm: bool = True,
        reduce: bool = True,
        auxiliary: bool = True,
        small: bool = False,
        width: float = 1.0,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()

        def scaled(maps: int) -> int:
            return max(1, round(maps * width))

        def halving(kernel: int = 3) -> nn.MaxPool2d:
            return nn.MaxPool2d(kernel, 2, ceil_mode=True)

        def across() -> nn.Module:
            return nn.Identity() if norm else normalisation()

        self.standardise = Standardise(mean, std)
        self.conv1 = Convolution(channels, scaled(64), 3 if small else 7, norm, 1 if small else 2)
        self.maxpool1 = nn.Identity() if small else halving()
        self.norm1 = across()
        self.conv2 = Convolution(scaled(64), scaled(64), 1, norm)
        self.conv3 = Convolution(scaled(64), scaled(192), 3, norm)
        self.norm2 = across()
        self.maxpool2 = halving()
        maps, between = scaled(192), {}
        for name, published in MODULES.items():
            between[name] = maps
            if name in ("4a", "5a"):
                self.add_module(f"maxpool{int(name[0]) - 1}", halving(3 if name == "4a" else 2))
            module = Inception(maps, tuple(map(scaled, published)), kernel, norm, reduce)
            self.add_module(f"inception{name}", module)
            maps = module.maps
        if auxiliary:
            self.aux1 = Auxiliary(between["4b"], scaled(128), scaled(1024), classes, norm)
            self.aux2 = Auxiliary(between["4e"], scaled(128), scaled(1024), classes, norm)
        self.auxiliary = auxiliary
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(maps, classes)

    def forward(
        self, image: Tensor
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:  # (B, C, H, W) of pixels in [0, 1] -> (B, K) scores, or three of them
        x = self.maxpool1(self.conv1(self.standardise(image)))
        x = self.maxpool2(self.norm2(self.conv3(self.conv2(self.norm1(x)))))
        beside = []
        for name in MODULES:
            if name in ("4a", "5a"):
                x = self.get_submodule(f"maxpool{int(name[0]) - 1}")(x)
            if self.training and self.auxiliary and name in ("4b", "4e"):
                beside.append((self.aux1 if name == "4b" else self.aux2)(x))
            x = self.get_submodule(f"inception{name}")(x)
        scores = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        return (scores, beside[0], beside[1]) if beside else scores


class NetworkInNetwork(nn.Module):
    """Three blocks of a convolution and two of 1 × 1; the last has a map for each class, and its average is the score.

    `width` is the share of the published maps. `mean` and `std` are those of the pictures, of which there are
    `channels`.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        mean: list[float],
        std: list[float],
        *,
        norm: bool = True,
        small: bool = False,
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        wide, middle, narrow = (max(1, round(maps * width)) for maps in (192, 160, 96))
        first = Convolution(channels, wide, 5, norm) if small else Convolution(channels, wide, 11, norm, 4, 2)
        self.standardise = Standardise(mean, std)
        self.block1 = nn.Sequential(first, Convolution(wide, middle, 1, norm), Convolution(middle, narrow, 1, norm))
        self.pool1 = nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True), nn.Dropout(dropout))
        self.block2 = nn.Sequential(
            Convolution(narrow, wide, 5, norm), Convolution(wide, wide, 1, norm), Convolution(wide, wide, 1, norm)
        )
        self.pool2 = nn.Sequential(nn.AvgPool2d(3, 2, ceil_mode=True), nn.Dropout(dropout))
        self.block3 = nn.Sequential(Convolution(wide, wide, 3, norm), Convolution(wide, wide, 1, norm))
        self.fc = nn.Conv2d(wide, classes, 1)

    def forward(self, image: Tensor) -> Tensor:  # (B, C, H, W) of pixels in [0, 1] -> (B, K) scores
        x = self.pool1(self.block1(self.standardise(image)))
        return self.fc(self.block3(self.pool2(self.block2(x)))).mean((2, 3))


@dataclass(frozen=True)
class Cost:
    """What convolutions and dense layers take: multiplications for one picture, and parameters."""

    multiplications: int
    parameters: int


def costs(net: nn.Module, shape: tuple[int, ...]) -> dict[str, Cost]:  # of one input: C, H, W
    """Of each part of a net, made without numbers (on the device "meta"), that an input passes when it is judged.

    Counted, not measured: a multiplication for every value that a layer gives and every weight that goes into it.
    """
    taken: dict[str, int] = {}

    def note(part: str) -> Any:
        def counted(module: nn.Module, given: Any, made: Tensor) -> None:
            taken[part] = taken.get(part, 0) + made[0].numel() * module.get_parameter("weight")[0].numel()

        return counted

    for part, module in net.named_children():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(note(part))
    with torch.no_grad():
        net.eval()(torch.empty(1, *shape, device="meta"))
    return {
        part: Cost(taken[part], sum(parameter.numel() for parameter in net.get_submodule(part).parameters()))
        for part in taken
    }


def total(parts: dict[str, Cost]) -> Cost:
    return Cost(sum(part.multiplications for part in parts.values()), sum(part.parameters for part in parts.values()))


def saving(reduced: dict[str, Cost], direct: dict[str, Cost]) -> "Figure":
    """The multiplications and the parameters of each part, with reductions in front of it and without."""
    from deepclassics.report.style import BLUE, VERMILLION, grid, sheet

    figure = sheet(7.4, 0.3 * len(reduced) + 1.0)
    names = [name.removeprefix("inception") for name in reduced]
    for panel, what in zip(figure.subplots(1, 2, sharey=True), ("multiplications", "parameters"), strict=True):
        for parts, colour, label, shift in (
            (direct, VERMILLION, "straight on all maps", 0.19),
            (reduced, BLUE, "through 1 × 1 first", -0.19),
        ):
            millions = [getattr(cost, what) / 1e6 for cost in parts.values()]
            places = [place + shift for place in range(len(names))]
            panel.barh(places, millions, height=0.38, color=colour, label=label)
        panel.set_xlabel(f"{what}, millions")
        panel.set_yticks(range(len(names)), names)
        panel.tick_params(axis="y", length=0)
        grid(panel)
    panel.invert_yaxis()
    panel.legend(loc="upper right")
    return figure


class InceptionRecipe(Classifier):
    """GoogLeNet and Network in Network on pictures with labels."""

    beside = ("aux1.fc2", "aux2.fc2")
    built = ("form", "largest", "norm", "reduce", "width")
    published = (
        *(
            Published(
                on="cifar10",
                score="test/error",
                value=error,
                source=f"Lin et al. 2013, table {table}",
                verified=False,
                protocol={
                    "norm": False,
                    "augmentation": changes,
                    "training examples": 50000,
                    "pictures": "as published",
                    "preprocessing": "contrast normalised, whitened",
                },
                when={"form": "nin"},
            )
            for table, error, changes in ((1, 0.1041, "none"), (2, 0.0881, "mirrored, shifted"))
        ),
        Published(
            on="ilsvrc2012",
            score="top-5 error of the validation pictures",
            value=0.1007,
            source="Szegedy et al. 2014, table 3, one net, one crop",
            protocol={"form": "googlenet", "largest": 5, "norm": False},
        ),
    )

    form: Literal["googlenet", "nin"] = Field("googlenet", description="GoogLeNet, or Network in Network")
    largest: Literal[3, 5] = Field(
        3, description="side of the modules' largest convolutions: 3 as the published weights have it, 5 as the paper"
    )
    norm: bool = Field(True, description="batch normalisation after every convolution")
    reduce: bool = Field(True, description="1 × 1 convolutions in front of the modules' larger ones")
    auxiliary: float = Field(0.3, ge=0, description="weight of the auxiliary classifiers' losses; 0: without them")
    width: float = Field(1.0, gt=0, le=4, description="maps of the convolutions, as a share of the published ones")
    dropout: Annotated[
        Literal["auto"] | Annotated[float, Field(ge=0, lt=1)],
        Field(
            description="share of units left out before the last layer; auto: 0.2, 0.4 without norm, 0.5 of nin, as "
            "published"
        ),
    ] = "auto"
    epochs: Epochs = 12
    lr: Rate = 0.05

    def least(self) -> tuple[int, int]:
        return SMALLEST[self.form]

    def net(self, spec: dict[str, Any]) -> GoogLeNet | NetworkInNetwork:
        return self._net(spec, self.reduce)

    def _net(self, spec: dict[str, Any], reduce: bool) -> GoogLeNet | NetworkInNetwork:
        channels, classes, small = spec["shape"][0], len(spec["target"]["classes"]), self.stem_of(spec) == "small"
        if self.form == "nin":
            return NetworkInNetwork(
                channels,
                classes,
                spec["mean"],
                spec["std"],
                norm=self.norm,
                small=small,
                width=self.width,
                dropout=self._dropout(),
            )
        return GoogLeNet(
            channels,
            classes,
            spec["mean"],
            spec["std"],
            kernel=self.largest,
            norm=self.norm,
            reduce=reduce,
            auxiliary=self.auxiliary > 0,
            small=small,
            width=self.width,
            dropout=self._dropout(),
        )

    def _dropout(self) -> float:
        if self.dropout != "auto":
            return self.dropout
        return 0.5 if self.form == "nin" else 0.2 if self.norm else 0.4

    def chosen(self, spec: dict[str, Any]) -> dict[str, Any]:
        return super().chosen(spec) | ({"dropout": self._dropout()} if self.dropout == "auto" else {})

    def loss(self, model: nn.Module, image: Tensor, label: Tensor) -> Tensor:  # (B, C, H, W), (B,) int64 -> ()
        """Cross-entropy in nats, and that of the auxiliary classifiers at their weight (section 5)."""
        found = model(image)
        if isinstance(found, Tensor):
            return self.entropy(model, found, label)
        scores, one, other = (self.entropy(model, each, label) for each in found)
        return scores + self.auxiliary * (one + other)

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """What a picture takes, and what the 1 × 1 convolutions save of it (S177)."""
        own = total(self.costs(data.spec, self.reduce))
        told = f"A picture takes {own.multiplications:,} multiplications by {own.parameters:,} parameters"
        if self.form == "nin":
            return {}, [f"{told}."]
        reduced, direct = (total(self.costs(data.spec, reduce)) for reduce in (True, False))
        times = direct.multiplications / reduced.multiplications, direct.parameters / reduced.parameters
        other = direct if self.reduce else reduced
        return {}, [
            f"{told}, the auxiliary classifiers aside. {'Without' if self.reduce else 'With'} 1 × 1 convolutions in "
            f"front of the larger ones they would be {other.multiplications:,} and {other.parameters:,}: these save "
            f"a factor of {times[0]:.1f} in multiplications and of {times[1]:.1f} in parameters."
        ]

    def costs(self, spec: dict[str, Any], reduce: bool) -> dict[str, Cost]:
        """Of each part of the net, with the reductions in front of the modules' larger convolutions or without."""
        with torch.device("meta"):
            return costs(self._net(spec, reduce), tuple(spec["shape"]))

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        def draw() -> "Figure":
            return saving(self.costs(evidence.spec, True), self.costs(evidence.spec, False))

        found = super().pictures(evidence)
        if self.form == "googlenet":
            caption = (
                "What each part takes for one picture, with 1 × 1 convolutions that reduce the maps in front of the "
                "3 × 3 and larger ones of a module, and with these straight on all maps."
            )
            found.append(Picture("What 1 × 1 convolutions save", caption, draw))
        return found
