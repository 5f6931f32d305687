"""Claims about depth: where more layers learn worse, what hinders them, and what shortcuts and modules change.

The scale is small, so that a claim takes seconds: scikit-learn's 1,797 digits of 8 x 8 pixels, nets of 4 maps and more,
80 updates. What is judged is how well nets learn the very pictures that they are shown. Nets of the published size are
counted, not trained.

Letters: S nets side by side, B pictures, C maps of one net, H and W pixels, K classes, U units, L layers.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepclassics.claims import Finding
from deepclassics.claims.training import digits, median
from deepclassics.systems.vision.alexnet import AlexNet
from deepclassics.systems.vision.inception import GoogLeNet
from deepclassics.systems.vision.resnet import BasicBlock, Bottleneck, ResNet
from deepclassics.systems.vision.vgg import VGG

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTHS = (8, 14, 20, 32, 56)  # 6n + 2, as in He et al. 2015, section 4.2
BATCH = 64


class Abreast(nn.Module):
    """S small nets of the form of He et al. 2015 side by side, each with weights of its own, as groups of maps.

    Stages of `blocks` blocks, of two 3 × 3 convolutions with batch normalisation each; the first has `maps` maps, every
    other twice as many as the one before and half the side. Shortcuts are of option A; `plain` nets have none. A small
    net's time goes into calling its layers, so that several at once cost little more than one.
    """

    def __init__(self, nets: int, blocks: Sequence[int], maps: int, *, plain: bool, classes: int = 10) -> None:
        super().__init__()
        self.nets, self.plain = nets, plain
        self.first = self._convolution(1, maps, 1, 1)
        layers, before = [], maps
        for stage, count in enumerate(blocks):
            for place in range(2 * count):
                width = maps * 2**stage
                layers.append(self._convolution(nets * before, width, 2 if stage and not place else 1, nets))
                before = width
        self.layers = nn.ModuleList(layers)
        self.weight = nn.Parameter(torch.randn(nets, before, classes) * before**-0.5)
        self.bias = nn.Parameter(torch.zeros(nets, 1, classes))

    def _convolution(self, before: int, width: int, stride: int, groups: int) -> nn.Sequential:
        convolution = nn.Conv2d(before, self.nets * width, 3, stride, 1, groups=groups, bias=False)
        nn.init.normal_(convolution.weight, std=math.sqrt(2 / (9 * width)))  # He et al. 2015, Delving deep, section 2.2
        return nn.Sequential(convolution, nn.BatchNorm2d(self.nets * width, track_running_stats=False))

    def forward(self, image: Tensor) -> Tensor:  # (B, 1, H, W) -> (S, B, K) scores
        x = F.relu(self.first(image))
        for one, two in zip(self.layers[::2], self.layers[1::2], strict=True):
            found = two(F.relu(one(x)))
            x = F.relu(found if self.plain else found + self._around(x, found))
        features = x.mean((2, 3)).unflatten(1, (self.nets, -1)).transpose(0, 1)
        return torch.baddbmm(self.bias, features, self.weight)

    def _around(self, x: Tensor, found: Tensor) -> Tensor:  # (B, S C, H, W) -> as `found`
        """Option A: where maps change, every second pixel, and maps of zeros before and after the old ones."""
        if x.shape == found.shape:
            return x
        lacking = (found.shape[1] - x.shape[1]) // self.nets
        own = x[:, :, ::2, ::2].unflatten(1, (self.nets, -1))
        return F.pad(own, (0, 0, 0, 0, lacking // 2, lacking - lacking // 2)).flatten(1, 2)


@functools.cache
def learnt(blocks: tuple[int, ...], *, plain: bool, nets: int = 3, maps: int = 4, updates: int = 80) -> list[float]:
    """The errors of so many nets, as shares, on all digits, after so many updates on batches of them.

    Nesterov's momentum of 0.9, and a rate that falls linearly from 0.1 to 0. The order of the pictures is the same for
    all. At the end, batch normalisation takes the statistics of all pictures.
    """
    x, label = digits()
    image = ((x - x.mean()) / x.std()).view(-1, 1, 8, 8)
    torch.manual_seed(0)
    net = Abreast(nets, blocks, maps, plain=plain)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    generator = torch.Generator().manual_seed(0)
    order = torch.cat([torch.randperm(len(x), generator=generator) for _ in range(1 + updates * BATCH // len(x))])
    for update, rows in enumerate(order[: updates * BATCH].split(BATCH)):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - update / updates)
        optimizer.zero_grad()
        (nets * F.cross_entropy(net(image[rows]).flatten(0, 1), label[rows].repeat(nets))).backward()
        optimizer.step()
    with torch.no_grad():
        return [float(wrong) for wrong in (net(image).argmax(2) != label).float().mean(1)]


def three_stages(depth: int) -> tuple[int, int, int]:
    """The blocks of a net of 6n + 2 layers."""
    return ((depth - 2) // 6,) * 3


def _told(name: str, errors: dict[int, list[float]]) -> dict[str, float]:
    """By depth, the median, the least and the largest error of the starts."""
    return {
        f"training error, {name}, {depth} layers, {what} of {len(found)} starts": of(found)
        for depth, found in errors.items()
        for what, of in (("median", median), ("least", min), ("largest", max))
    }


def _drawn(families: dict[str, dict[int, list[float]]]) -> "Callable[[], Figure]":
    """Training error against depth: the median of the starts as a line, and every start as a point."""

    def draw() -> "Figure":
        from deepclassics.report.style import grid, sheet

        figure = sheet(6.4, 3.9)
        axes = figure.subplots()
        for name, errors in families.items():
            line = axes.plot(list(errors), [100 * median(found) for found in errors.values()], label=name)[0]
            for depth, found in errors.items():
                axes.plot(
                    [depth] * len(found), [100 * each for each in found], ".", color=line.get_color(), markersize=4
                )
        axes.set_xticks(DEPTHS)
        axes.set_xlabel("layers")
        axes.set_ylabel("training error after 80 updates, %")
        axes.legend()
        grid(axes)
        return figure

    return draw


def c019_degrade() -> Finding:
    """With too many layers the performance falls again, on the training set too: not overfitting, but trainability.

    Notes: F0 L246; F3 L1264.

    Plain nets of 8 to 56 layers in three stages of 4, 8 and 16 maps on digits of 8 x 8, 80 updates of 64 digits, five
    starts each. All starts at 56 layers must have a larger training error than any at the best depth, which must be
    smaller than 56. Deeper nets have more weights, so what they fail at they could do. It is degradation after so few
    updates; whether it is left after many is not told by a test of this size: He et al. (2015, figure 1) found it at
    64,000.
    """
    errors = {depth: learnt(three_stages(depth), plain=True) for depth in DEPTHS}
    best = min(errors, key=lambda depth: median(errors[depth]))
    return Finding(
        holds=best < DEPTHS[-1] and min(errors[DEPTHS[-1]]) > max(errors[best]),
        numbers={"best depth, layers": float(best), **_told("plain", errors)},
        draw=_drawn({"plain": errors}),
        remark="At this scale deeper plain nets are not clearly worse on what they learn.",
    )


def c020_degrade_why() -> Finding:
    """Why: deeper nets do not learn the identity, gradients vanish or explode, and there are more saddles or minima.

    Notes: F0 L248-252.

    Each is measured. Identity: stacks of 1 to 32 layers of 8 ReLUs, the last one linear, plain and with shortcuts past
    each layer, learn to give back what they get, numbers in [0, 1], by 400 updates of Adam from ten starts, at a
    rate of 0.02 over the root of their layers; what is left of the variance.
    Gradients: in a plain stack of 32 layers of 32 ReLUs, the length of the derivative by the input over that by the
    last layer but one, with weights of torch's usual start, with He's, and with He's and batch normalisation. Saddles
    and minima: of the Hessian where the plain stacks of 4 and 16 layers end, the share of negative curvatures; and the
    share of ends that are worse than half the variance.
    """
    left = {
        (layers, plain): _copied(layers, plain=plain)
        for layers, plain in itertools.product((1, 4, 16, 32), (True, False))
    }
    middle = {key: median(found[0]) for key, found in left.items()}
    negative = {layers: median(left[layers, True][1]) for layers in (4, 16)}
    bad = {layers: sum(each > 0.5 for each in left[layers, True][0]) / 10 for layers in (1, 4, 16, 32)}
    ratios = {name: _gradient_ratio(name) for name in ("torch's start", "He's start", "He's start, batch norm")}
    identity = all(middle[32, True] > 3 * each for each in (middle[32, False], middle[1, True]))
    gradients = min(ratios.values()) < 0.01 and max(ratios.values()) > 100
    kept = 0.1 < ratios["He's start"] < 10
    return Finding(
        holds=identity and gradients,
        limited=kept or negative[16] <= negative[4],
        numbers={
            **{
                f"share of the variance left, {layers} layers, {'plain' if plain else 'shortcuts'}": each
                for (layers, plain), each in middle.items()
            },
            **{f"gradient at the input over that near the end, {name}": each for name, each in ratios.items()},
            **{
                f"share of negative curvatures at the end, {layers} layers, plain": each
                for layers, each in negative.items()
            },
            **{f"share of bad ends of ten, {layers} layers, plain": each for layers, each in bad.items()},
        },
        remark="The identity is not learnt, and ends are worse. "
        + ("But with He's start gradients keep their length, so they are not the reason there. " if kept else "")
        + ("" if negative[16] > negative[4] else "More negative curvatures, the mark of saddles, were not found."),
    )


def c021_resnet_id() -> Finding:
    """A residual net can at least learn the identity.

    Notes: F0 L254-258.

    All weights of the convolutions of a block of two and of one of three layers are set to 0; what comes out for random
    values of 0 and more, as a ReLU gives, must be exactly what goes in. A plain block with weights of 0 gives 0. It can
    be the identity as well, by kernels with a 1 in their middle, which it would have to learn.
    """
    x = torch.rand(4, 64, 8, 8)
    gaps = {}
    for name, block in {
        "a block of two layers": BasicBlock(64, 64, 1, "A", False),
        "a block of three layers": Bottleneck(64, 16, 1, "A", False),
        "a plain block of two": BasicBlock(64, 64, 1, "A", True),
        "a plain block of two, kernels of the identity": BasicBlock(64, 64, 1, "A", True),
    }.items():
        for module in block.eval().modules():
            if isinstance(module, nn.Conv2d):
                nn.init.zeros_(module.weight)
                if "kernels" in name:
                    nn.init.dirac_(module.weight)
            elif isinstance(module, nn.BatchNorm2d):
                module.eps = 0.0
        with torch.no_grad():
            gaps[name] = float((block(x) - x).abs().max())
    return Finding(
        holds=gaps["a block of two layers"] == gaps["a block of three layers"] == 0,
        numbers={
            **{f"largest change, weights of 0, {name}": gap for name, gap in gaps.items() if "kernels" not in name},
            "largest change, a plain block of two, kernels of the identity": gaps[
                "a plain block of two, kernels of the identity"
            ],
        },
    )


def c099_resnet_down() -> Finding:
    """With residual blocks the training error goes down as the number of layers goes up.

    Notes: F2 L1288.

    As C019, with shortcuts of option A: 8 to 56 layers, three starts. The median at 56 layers must be below that at 8;
    where a deeper net's is above the next shallower one's, by more than half the spread of the starts, the claim is
    limited. Plain nets stand beside them. Digits are learnt by few layers, and 80 updates are few: what is tested is
    this, not the 64,000 updates on CIFAR-10 of He et al. (2015, table 6), after which errors fall up to 110 layers.
    """
    families = {
        name: {depth: learnt(three_stages(depth), plain=name == "plain") for depth in DEPTHS}
        for name in ("plain", "residual")
    }
    errors = families["residual"]
    middle = {depth: median(found) for depth, found in errors.items()}
    plain = {depth: median(found) for depth, found in families["plain"].items()}
    rises = [
        deep
        for shallow, deep in itertools.pairwise(DEPTHS)
        if middle[deep] - middle[shallow] > (max(errors[shallow]) - min(errors[shallow])) / 2
    ]
    best = min(middle, key=lambda depth: middle[depth])
    return Finding(
        holds=middle[DEPTHS[-1]] < middle[DEPTHS[0]],
        limited=bool(rises),
        numbers={"best depth, layers": float(best), **_told("residual", errors), **_told("plain", families["plain"])},
        draw=_drawn(families),
        remark=f"After 80 updates {best} residual layers are best: {100 * middle[best]:.1f} % errors, and "
        f"{100 * middle[56]:.1f} % at 56; of plain ones {100 * plain[56]:.0f} %. He et al. trained 800 times as long.",
    )


def c155_deep_worse() -> Finding:
    """Sometimes a deeper net does worse than a shallower one even on the training data.

    Notes: F3 L1264.

    As C019, at the 20 and 56 layers of He et al. (2015, figure 1), three starts each: every start at 56 must be worse
    than every one at 20. With shortcuts it is measured too.
    """
    errors = {
        name: {depth: learnt(three_stages(depth), plain=name == "plain") for depth in (20, 56)}
        for name in ("plain", "residual")
    }
    return Finding(
        holds=min(errors["plain"][56]) > max(errors["plain"][20]),
        numbers={**_told("plain", errors["plain"]), **_told("residual", errors["residual"])},
        remark="At this scale the starts overlap.",
    )


def c156_res34() -> Finding:
    """A plain net of 34 layers is worse than one of 18; with shortcuts, 34 are better, and no parameters are added.

    Notes: F3 L1281-1292.

    The parameters of the nets of the published size are counted, with shortcuts of option A, as in that experiment,
    and of option B. The order is tried at a reduced scale: four stages of 2, 2, 2, 2 and 3, 4, 6, 3 blocks, 4 to 32
    maps in place of 64 to 512, on digits of 8 x 8, 80 updates, three starts; medians of the training error. Published,
    in the validation error on ImageNet: plain 27.94 and 28.54 %, residual 27.88 and 25.03 % (He et al. 2015, table 2).
    """
    stages = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
    errors = {
        name: {depth: learnt(blocks, plain=name == "plain") for depth, blocks in stages.items()}
        for name in ("plain", "residual")
    }
    middle = {(name, depth): median(found) for name, family in errors.items() for depth, found in family.items()}
    with torch.device("meta"):
        counts = {
            (depth, kind): sum(
                each.numel()
                for each in ResNet(depth, 3, 1000, [0.5] * 3, [0.2] * 3, kind=kind or "A", plain=not kind).parameters()
            )
            for depth in stages
            for kind in ("", "A", "B")
        }
    none_added = all(counts[depth, "A"] == counts[depth, ""] for depth in stages)
    added = counts[34, "B"] - counts[34, ""]
    reversed_ = middle["residual", 34] < middle["residual", 18]
    return Finding(
        holds=middle["plain", 34] > middle["plain", 18] and middle["residual", 34] < middle["plain", 34] and none_added,
        limited=added > 0 or not reversed_,
        numbers={
            **_told("plain", errors["plain"]),
            **_told("residual", errors["residual"]),
            **{
                f"parameters, {depth} layers, {f'shortcuts {kind}' if kind else 'plain'}": float(count)
                for (depth, kind), count in counts.items()
            },
        },
        remark=f"No parameters are added by shortcuts of option A, as in that experiment; option B adds {added:,} to "
        "34 layers."
        + ("" if reversed_ else " At this scale 34 residual layers are not better than 18, though than plain ones."),
    )


# --- depth, counted


def weight_layers(net: nn.Module, side: int) -> int:
    """The convolutions and dense layers on the longest way from a picture of `side` pixels to the scores.

    For nets without numbers, on the device "meta": the graph that backpropagation would take is followed.
    """
    last = net.eval()(torch.empty(1, 3, side, side, device="meta")).grad_fn
    longest: dict[torch.autograd.graph.Node, int] = {}
    waiting = [last]
    while waiting:
        node = waiting[-1]
        before = [each for each, _ in node.next_functions if each is not None]
        lacking = [each for each in before if each not in longest]
        if lacking:
            waiting += lacking
            continue
        waiting.pop()
        own = node.name().startswith(("ConvolutionBackward", "AddmmBackward"))
        longest[node] = own + max((longest[each] for each in before), default=0)
    return longest[last]


def _published(name: str) -> nn.Module:
    """A net of the published size for ImageNet, without numbers."""
    thousand, mean, std = 1000, [0.5] * 3, [0.2] * 3
    with torch.device("meta"):
        if name == "AlexNet":
            return AlexNet(2, 3, thousand, mean, std)
        if name == "VGG-16":
            return VGG(16, 3, thousand, mean, std, norm=False)
        if name == "GoogLeNet":
            return GoogLeNet(3, thousand, mean, std, kernel=5, norm=False, auxiliary=False)
        return ResNet(152, 3, thousand, mean, std)


def c101_incep_deep() -> Finding:
    """The Inception module makes the network go deeper.

    Notes: F2 L1308.

    GoogLeNet, as published and without its auxiliary classifiers, against VGG-16: layers with weights on the longest
    way, and parameters. It must be deeper with fewer parameters. What the module has in it is told apart from what the
    lack of large dense layers has, by the convolutions alone, and by GoogLeNet without its 1 × 1 reductions.
    """
    googlenet, vgg = _published("GoogLeNet"), _published("VGG-16")
    with torch.device("meta"):
        direct = GoogLeNet(3, 1000, [0.5] * 3, [0.2] * 3, kernel=5, norm=False, auxiliary=False, reduce=False)

    def millions(net: nn.Module, *kinds: type[nn.Module]) -> float:
        return sum(
            each.numel() for part in net.modules() if isinstance(part, kinds) for each in part.parameters()
        ) / 1e6  # fmt: skip

    layers = {"GoogLeNet": weight_layers(googlenet, 224), "VGG-16": weight_layers(vgg, 224)}
    sizes = {name: millions(net, nn.Conv2d, nn.Linear) for name, net in (("GoogLeNet", googlenet), ("VGG-16", vgg))}
    own, other = millions(googlenet, nn.Conv2d), millions(vgg, nn.Conv2d)
    dense = millions(vgg, nn.Linear) - millions(googlenet, nn.Linear)
    return Finding(
        holds=layers["GoogLeNet"] > layers["VGG-16"] and sizes["GoogLeNet"] < sizes["VGG-16"],
        limited=dense > (sizes["VGG-16"] - sizes["GoogLeNet"]) / 2,
        numbers={
            **{f"layers with weights, {name}": float(count) for name, count in layers.items()},
            **{f"parameters, {name}, millions": size for name, size in sizes.items()},
            **{f"parameters a layer, {name}, millions": sizes[name] / layers[name] for name in layers},
            "parameters of the convolutions alone, GoogLeNet, millions": own,
            "parameters of the convolutions alone, GoogLeNet without reductions, millions": millions(direct, nn.Conv2d),
            "parameters of the convolutions alone, VGG-16, millions": other,
        },
        remark=f"Of the parameters saved, {dense:.0f} million are those of VGG's dense layers, which the module does "
        f"not save; in the convolutions alone it is {own:.1f} million for {other:.1f}.",
    )


def c172_deep_ladder() -> Finding:
    """Depth rises along the winners: SuperVision has 7 layers (2012), GoogLeNet 22 (2014), ResNet 152 (2015).

    Notes: F3 L1716-1745.

    The layers with weights on the longest way through each net are counted; the hidden ones are one fewer. Each printed
    number must be one of the two; the claim is limited where not all are of the same kind.
    """
    printed = {"AlexNet": 7, "GoogLeNet": 22, "ResNet-152": 152}
    counts = {name: weight_layers(_published(name), 224) for name in printed}
    alike = all(counts[name] == printed[name] for name in printed)
    return Finding(
        holds=all(printed[name] in (count, count - 1) for name, count in counts.items())
        and all(early < late for early, late in itertools.pairwise(counts.values())),
        limited=not alike,
        numbers={
            **{f"layers with weights, {name}": float(count) for name, count in counts.items()},
            **{f"layers as printed, {name}": float(count) for name, count in printed.items()},
        },
        remark=f"AlexNet, SuperVision's net, has {counts['AlexNet']} layers with weights; 7 are hidden ones, whereas "
        f"22 and 152 count the last layer too.",
    )


# --- why deep stacks learn worse


def _copied(layers: int, *, plain: bool, starts: int = 10, units: int = 8) -> tuple[list[float], list[float]]:
    """Ten stacks of ReLU layers that learn to give back what they get: for each the share of the variance that is left,
    and, for the first three plain ones of 4 to 16 layers, the share of negative curvatures at the end."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(64, units, generator=generator)
    weight = torch.randn(starts, layers, units, units, generator=generator) * math.sqrt(2 / units)
    weight = (weight if plain else weight / layers).requires_grad_()
    bias = torch.zeros(starts, layers, 1, units, requires_grad=True)

    def loss(weight: Tensor, bias: Tensor) -> Tensor:  # (S, L, U, U), (S, L, 1, U) -> (S,)
        values = x.expand(len(weight), -1, -1)
        for layer in range(layers):
            sums = torch.baddbmm(bias[:, layer], values, weight[:, layer])
            sums = sums if plain else values + sums
            values = sums if layer == layers - 1 else F.relu(sums)
        return (values - x).square().mean((1, 2)) / x.var()

    optimizer = torch.optim.Adam([weight, bias])
    for update in range(400):
        optimizer.param_groups[0]["lr"] = 0.02 * layers**-0.5 * (1 - update / 400)
        optimizer.zero_grad()
        loss(weight, bias).sum().backward()
        optimizer.step()
    with torch.no_grad():
        left = loss(weight, bias).tolist()
    negative = []
    if plain and 1 < layers <= 16:
        sizes = [weight[0].numel(), bias[0].numel()]
        for start in range(3):
            place = torch.cat([weight[start].detach().flatten(), bias[start].detach().flatten()])

            def at(values: Tensor) -> Tensor:  # (N,) -> ()
                own, shift = values.split(sizes)
                return loss(own.view_as(weight[:1]), shift.view_as(bias[:1])).sum()

            curvature = torch.linalg.eigvalsh(torch.func.jacrev(torch.func.grad(at))(place))
            negative.append(float((curvature < -1e-4 * curvature.abs().max()).float().mean()))
    return left, negative


def _gradient_ratio(start: str, layers: int = 32, units: int = 32) -> float:
    """The length of the derivative by the input of a plain stack over that by the values before its last layer; the
    median of ten starts."""
    found = []
    for seed in range(10):
        torch.manual_seed(seed)
        values = [torch.randn(64, units, requires_grad=True)]
        for _ in range(layers):
            layer = nn.Linear(units, units)
            if start != "torch's start":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
            sums = layer(values[-1])
            if "norm" in start:
                sums = F.batch_norm(sums, None, None, training=True)
            values.append(F.relu(sums))
        loss = (values[-1] * torch.randn(64, units)).sum()
        first, late = torch.autograd.grad(loss, [values[0], values[-2]])
        found.append(float(first.norm() / late.norm()))
    return median(found)
