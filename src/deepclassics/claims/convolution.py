"""Claims about convolution and pooling: what a map tells, what weights are shared, what each way costs.

Letters: B pictures, C channels, H by W pixels.
"""

import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepclassics.claims import Finding
from deepclassics.data import load
from deepclassics.layers import convolution, losses
from deepclassics.layers.convolution import by_loops, by_loops_backward, by_places, by_unrolling, output_size
from deepclassics.report.convolved import stimuli
from deepclassics.systems.vision.convolution import KERNELS
from deepclassics.systems.vision.lenet5 import LeNet5
from deepclassics.systems.vision.vgg import VGG


def _digits(count: int) -> Tensor:  # -> (count, 1, 8, 8) of float64, in [0, 1]
    found: Tensor = load("digits", ("image",), seed=0).train.take(slice(0, count))["image"].double()
    return found


def _drawn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def c015_convmatch() -> Finding:
    """Each value of the map shows how well the kernel matches the part of the picture there.

    Notes: F0 L201-212.

    On the notes' own example, in whose matrix the kernel itself stands at row 1, column 2, and twice the kernel at row
    3, column 3: the largest value of the map, beside the cosines of kernel and window. A value is a match only among
    windows of the same length.
    """
    x = load("conv_example", ("matrix",), seed=0).train["image"]
    kernel = torch.tensor([[2.0, 3.0], [4.0, 2.0]], dtype=torch.float64)[None, None]
    found = by_places(x, kernel)
    lengths = by_places(x.square(), torch.ones_like(kernel)).sqrt()
    cosine = found / (lengths * kernel.norm())
    matched, best = (cosine > 1 - 1e-12)[0, 0], divmod(int(found.argmax()), found.shape[3])
    return Finding(
        holds=bool(matched[0, 1] and matched[2, 2]) and int(matched.sum()) == 2 and bool(matched[best]),
        limited=float(found[0, 0, 0, 1]) < float(found.max()),
        numbers={
            "value where the kernel itself stands": float(found[0, 0, 0, 1]),
            "value where twice the kernel stands": float(found[0, 0, 2, 2]),
            "value at row 2, column 3, which is neither": float(found[0, 0, 1, 2]),
            "cosine where the kernel itself stands": float(cosine[0, 0, 0, 1]),
            "cosine at row 2, column 3": float(cosine[0, 0, 1, 2]),
        },
        remark="The value grows with brightness as well; only divided by the window's length is it a likeness.",
    )


def c016_pool3() -> Finding:
    """Pooling lowers the computation, keeps the strongest feature, and makes the net robust to small shifts.

    Notes: F0 L225-229; F2 L1228.

    Edges of 100 digits, 2 x 2 windows: values that are left; whether the largest is among them; and how much the maps
    change, relative to their length, when the digits move by one pixel or get noise of standard deviation 0.2.
    """
    x = F.pad(_digits(100), (2, 2, 2, 2))
    weight = torch.stack([KERNELS["sobel-x"](), KERNELS["sobel-y"]()])[:, None]

    def maps(image: Tensor) -> Tensor:
        return by_unrolling(image, weight).relu()

    def pooled(image: Tensor) -> Tensor:
        return convolution.max_pool(maps(image), 2, 2)[0]

    def change(one: Tensor, other: Tensor) -> float:
        return float(((one - other).flatten(1).norm(dim=1) / one.flatten(1).norm(dim=1)).mean())

    shifted, noisy = x.roll(1, 3), x + 0.2 * torch.randn_like(x)
    numbers = {
        "values left, as a share": pooled(x).numel() / maps(x).numel(),
        "change by a shift of one pixel, without pooling": change(maps(x), maps(shifted)),
        "change by a shift of one pixel, with pooling": change(pooled(x), pooled(shifted)),
        "change by noise, without pooling": change(maps(x), maps(noisy)),
        "change by noise, with pooling": change(pooled(x), pooled(noisy)),
    }
    kept = bool(torch.equal(pooled(x).amax((1, 2, 3)), maps(x).amax((1, 2, 3))))
    shifts = [numbers[f"change by a shift of one pixel, {how} pooling"] for how in ("with", "without")]
    noise = [numbers[f"change by noise, {how} pooling"] for how in ("with", "without")]
    return Finding(
        holds=kept and numbers["values left, as a share"] == 0.25 and shifts[0] < shifts[1],
        limited=noise[0] >= noise[1] or shifts[0] > 0.1,
        numbers=numbers,
        remark="A shift matters less, but still matters; and of noise, too, the largest value is what is kept.",
    )


def c017_channels() -> Finding:
    """A first layer with n kernels of three channels gives n maps: each is a sum over the channels.

    Notes: F0 L235.

    A library layer of 16 kernels of 5 x 5 on colour pictures of random numbers, against the sum of three convolutions
    of one channel for each kernel; and its parameters, n (3 f² + 1).
    """
    layer = nn.Conv2d(3, 16, 5).double()
    assert layer.bias is not None
    x = _drawn(2, 3, 12, 12)
    with torch.no_grad():
        whole = layer(x)
        apart = torch.cat(
            [sum(by_places(x[:, [c]], layer.weight[[k]][:, [c]]) for c in range(3)) + layer.bias[k] for k in range(16)],
            1,
        )
    off = float((whole - apart).abs().max())
    parameters = sum(each.numel() for each in layer.parameters())
    return Finding(
        holds=off < 1e-12 and whole.shape[1] == 16 and parameters == 16 * (3 * 5**2 + 1),
        numbers={
            "maps": float(whole.shape[1]),
            "largest difference from the sum over channels": off,
            "parameters": float(parameters),
        },
    )


def c018_overlap() -> Finding:
    """The size of the pooling window and its stride need not be equal: windows may overlap.

    Notes: F0 L239.

    AlexNet's pooling of 3 x 3 at stride 2, on random maps of 55 x 55, against the library's, three times over.
    """
    x, sizes, off = _drawn(1, 2, 55, 55), [55], 0.0
    for _ in range(3):
        found = convolution.max_pool(x, 3, 2)[0]
        off = max(off, float((found - F.max_pool2d(x, 3, 2)).abs().max()))
        x = found
        sizes.append(x.shape[3])
    return Finding(
        holds=sizes == [55, 27, 13, 6] and off == 0,
        numbers={f"side after {k} poolings": float(side) for k, side in enumerate(sizes)}
        | {"largest difference from the library's": off},
    )


def c094_pool_half() -> Finding:
    """With filter 2 and stride 2 height and width are halved; pooling has no parameters and usually no padding.

    Notes: F2 L1230.

    Maps of every side from 2 to 65 through the library's layer, and its parameters counted. Of an odd side a row is
    left out.
    """
    layer = nn.MaxPool2d(2, 2)
    sides = {side: layer(torch.zeros(1, 1, side, side)).shape[3] for side in range(2, 66)}
    even = all(2 * after == side for side, after in sides.items() if side % 2 == 0)
    return Finding(
        holds=even and not list(layer.parameters()),
        limited=any(2 * after != side for side, after in sides.items()),
        numbers={"side after pooling of 28": float(sides[28]), "side after pooling of 13": float(sides[13])},
        remark="An odd side is rounded down.",
    )


def c095_softgrad() -> Finding:
    """The derivative of the loss by the scores of a softmax is ŷ - y, divided by the batch size in mini-batches.

    Notes: F2 L1244-1252.

    Random scores of 6 examples and 4 classes by automatic differentiation, with cross entropy; and with the squared
    error in its place.
    """
    z, label = _drawn(6, 4).requires_grad_(), torch.arange(6) % 4
    target = F.one_hot(label, 4).double()
    by_formula = (z.detach().softmax(1) - target) / 6
    (right,) = torch.autograd.grad(F.cross_entropy(z, label), z)
    (squared,) = torch.autograd.grad((z.softmax(1) - target).square().sum() / 12, z)
    off, other = (float((by_formula - each).abs().max()) for each in (right, squared))
    written = float((losses.pull_of_cross_entropy(z.detach(), label)[1] - right).abs().max())
    return Finding(
        holds=off < 1e-12 and written < 1e-12,
        limited=other > 1e-3,
        numbers={
            "largest difference, cross entropy": off,
            "largest difference of what the package descends": written,
            "largest difference, squared error": other,
        },
        remark="Of the cross entropy alone; with a squared error the slopes of the softmax remain.",
    )


def c096_loops_slow() -> Finding:
    """Explicit loops are slow; unrolling makes convolution a matrix product, and the backward pass another.

    Notes: F2 L1254-1260.

    16 kernels of 3 x 3 on a picture of 32 x 32 with 3 channels, forward and backward, in processor time, the
    least of two; both ways must give the same, and loops must take twenty times as long.
    """
    x, weight = torch.randn(1, 3, 32, 32), torch.randn(16, 3, 3, 3)
    dz = by_places(x, weight)
    taken, found = {}, {}
    for name in ("loops", "unrolled"):
        way, spent = convolution.WAYS[name], []
        for _ in range(2):
            begin = time.process_time()
            found[name] = (way.forward(x, weight, 1, 0, 1), *way.backward(dz, x, weight, 1, 0, 1))
            spent.append(time.process_time() - begin)
        taken[name] = min(spent)
    off = max(
        float((one - other).abs().max() / other.abs().max())
        for one, other in zip(found["loops"], found["unrolled"], strict=True)
    )
    faster = taken["loops"] / max(taken["unrolled"], 1e-6)
    return Finding(
        holds=off < 1e-5 and faster > 20,
        numbers={"how many times as long loops take": faster, "largest relative difference": off},
    )


def c097_hw_down() -> Finding:
    """In LeNet height and width fall and the number of channels rises as the net gets deeper.

    Notes: F2 L1270.

    The shapes of the maps of the package's LeNet-5 for a picture of 32 x 32.
    """
    net = LeNet5(1, 10, [0.0], [1.0], modern=True)
    x, sides, maps = torch.zeros(1, 1, 32, 32), [32], [1]
    with torch.no_grad():
        for layer in (net.c1, net.s2, net.c3, net.s4):
            x = layer(x)
            sides.append(x.shape[3])
            maps.append(x.shape[1])
    return Finding(
        holds=sides == [32, 28, 14, 10, 5] and maps == [1, 6, 6, 16, 16],
        numbers={f"side, layer {k}": float(side) for k, side in enumerate(sides)}
        | {f"channels, layer {k}": float(count) for k, count in enumerate(maps)},
    )


def c098_vgg_half() -> Finding:
    """VGG is uniform: 3 x 3 convolutions keep height and width, and every pooling halves them.

    Notes: F2 L1276-1282.

    The package's VGG-16 is declared without memory for its weights, and a picture of 224 x 224 goes through its
    layers: sides after each pooling, the kernels' sizes, and whether anything else changes a side.
    """
    with torch.device("meta"):
        net = VGG(16, 3, 1000, [0.0] * 3, [1.0] * 3, norm=False)
        x, sides, uniform = torch.zeros(1, 3, 224, 224), [224], True
        for layer in net.features:
            before, x = x.shape[2], layer(x)
            if isinstance(layer, nn.MaxPool2d):
                sides.append(x.shape[2])
            else:
                uniform &= x.shape[2] == before and getattr(layer, "kernel_size", (3, 3)) == (3, 3)
    return Finding(
        holds=uniform and sides == [224, 112, 56, 28, 14, 7],
        numbers={f"side after {k} poolings": float(side) for k, side in enumerate(sides)},
    )


def c165_local_share() -> Finding:
    """A convolutional layer is connected sparsely, and shares its weights between all places.

    Notes: F3 L1563-1571.

    The layer of 8 kernels of 3 x 3 on 3 channels of 12 x 12 as a dense matrix: how many of its entries are not 0, how
    many of these differ, and the weights of layers with the same connections unshared, and with all connections.
    """
    weight = _drawn(8, 3, 3, 3)
    whole = convolution.matrix(weight, (12, 12))
    rows = (whole != 0).sum(1)
    distinct = len(whole[whole != 0].unique())
    return Finding(
        holds=bool((rows == 27).all()) and distinct == weight.numel(),
        numbers={
            "connections a unit": float(rows[0]),
            "weights, shared": float(distinct),
            "weights, local and not shared": float((whole != 0).sum()),
            "weights, fully connected": float(whole.numel()),
        },
    )


def c166_conv_8() -> Finding:
    """A picture of 10 x 10 and a filter of 3 x 3 give a map of 8 x 8; three filters give three maps.

    Notes: F3 L1601-1609.

    The side by the formula, and the maps of the library's layer of three filters.
    """
    found = nn.Conv2d(1, 3, 3)(torch.zeros(1, 1, 10, 10))
    side = output_size(10, 3)
    return Finding(
        holds=tuple(found.shape) == (1, 3, 8, 8) and side == 8,
        numbers={"side by the formula": float(side), "side": float(found.shape[3]), "maps": float(found.shape[1])},
    )


def c167_maxpool_pc() -> Finding:
    """Max pooling cuts the computation and finds the strongest response, but loses its exact position.

    Notes: F3 L1639-1643.

    A bright point at each of the four places of one window of 2 x 2: the pooled maps must be the same. And the
    multiplications of a following layer of 3 x 3, with and without it, on a map of 28 x 28.
    """
    points = torch.zeros(4, 1, 8, 8)
    for place in range(4):
        points[place, 0, 2 + place // 2, 4 + place % 2] = 1
    pooled = convolution.max_pool(points, 2, 2)[0]
    same = bool((pooled == pooled[:1]).all())
    costs = {side: output_size(side, 3, padding=1) ** 2 * 9 for side in (28, 14)}
    return Finding(
        holds=same and float(pooled.amax()) == 1 and costs[14] * 4 == costs[28],
        numbers={
            "different pooled maps of four positions": float(len(pooled.unique(dim=0))),
            "multiplications a map and channel, without pooling": float(costs[28]),
            "multiplications a map and channel, with pooling": float(costs[14]),
        },
    )


def c168_ganglion() -> Finding:
    """An on-centre cell answers more weakly when centre and surround are lit than when the centre alone is.

    Notes: F3 L1558.

    A difference of Gaussians of 1.5 and 3 pixels, the broad one at 0.8 of its strength, on a disc of light of radius
    3, on a lit field, on the field without the disc, and in the dark; and off-centre with the other sign.
    """
    cell = convolution.ganglion(25, 1.5, 3.0, 0.8)
    answers = {name: float((cell * lit).sum()) for name, lit in stimuli(25, 3.0).items()}
    return Finding(
        holds=answers["centre"] > answers["both"] > answers["surround"] and answers["none"] == 0,
        numbers={f"answer to {name} lit": value for name, value in answers.items()},
    )


def c188_3200() -> Finding:
    """128 kernels of 5 x 5 have 3,200 parameters, far fewer than full connections.

    Notes: F4 L316-318.

    Layers of the library, counted: 3,200 without biases and on one channel only, and 128 maps, where the notes also
    speak of 64 copies.
    """

    def count(channels: int, bias: bool) -> int:
        return sum(each.numel() for each in nn.Conv2d(channels, 128, 5, bias=bias, device="meta").parameters())

    full = 28 * 28 * 24 * 24 * 128
    return Finding(
        holds=count(1, False) == 3200 and full > 1000 * 3200,
        limited=count(3, True) != 3200,
        numbers={
            "parameters, one channel, no biases": float(count(1, False)),
            "parameters, three channels, biases": float(count(3, True)),
            "parameters, 64 channels, biases": float(count(64, True)),
            "weights, fully connected, of the same maps of 28 x 28 pixels": float(full),
        },
        remark="On one channel and without biases; three channels with biases take 9,728. The maps are 128, not 64.",
    )


def c189_local_corr() -> Finding:
    """Natural pictures have strong local correlation.

    Notes: F4 L315.

    The two photographs that come with scikit-learn, in grey, and 200 digits: the correlation of a pixel with the one so
    many pixels to the right, and the same where the pixels are shuffled.
    """
    from sklearn.datasets import load_sample_images

    photos = [torch.from_numpy(each.copy()).double().mean(2)[None] for each in load_sample_images().images]
    digits = _digits(200)[:, 0]

    def correlation(x: Tensor, distance: int) -> float:  # (B, H, W)
        pair = torch.stack([x[..., :-distance].flatten(), x[..., distance:].flatten()])
        return float(torch.corrcoef(pair)[0, 1])

    numbers = {
        f"correlation {distance} pixel{'s' * (distance > 1)} away, photographs": sum(
            correlation(photo, distance) for photo in photos
        )
        / len(photos)
        for distance in (1, 4, 16, 64)
    }
    numbers |= {
        f"correlation {distance} pixel{'s' * (distance > 1)} away, digits": correlation(digits, distance)
        for distance in (1, 2, 3)
    }
    shuffled = photos[0].flatten()[torch.randperm(photos[0].numel())].view_as(photos[0])
    falling = [list(part) for part in (list(numbers.values())[:4], list(numbers.values())[4:])]
    return Finding(
        holds=falling[0][0] > 0.9 and all(part == sorted(part, reverse=True) for part in falling),
        numbers=numbers | {"correlation 1 pixel away, shuffled photograph": correlation(shuffled, 1)},
    )


def c190_conv_linear() -> Finding:
    """Convolution is a linear operator, so it can be written as a product with a matrix.

    Notes: F4 L328-336.

    In one dimension the banded matrix of the notes, in two the doubly blocked one, against convolution through the
    library; and a convolution of a sum against the sum of convolutions.
    """
    kernel, x = _drawn(5), _drawn(20)
    line = convolution.convmtx(kernel, 20)
    right = F.conv1d(x[None, None], kernel.flip(0)[None, None], padding=4)[0, 0]
    one = float((line @ x - right).abs().max())
    weight, pictures, others = _drawn(4, 3, 3, 3), _drawn(2, 3, 9, 8), _drawn(2, 3, 9, 8)
    two = float((convolution.by_matrix(pictures, weight, 2, 1) - F.conv2d(pictures, weight, None, 2, 1)).abs().max())
    whole = F.conv2d(2 * pictures - 3 * others, weight)
    linear = float((whole - 2 * F.conv2d(pictures, weight) + 3 * F.conv2d(others, weight)).abs().max())
    return Finding(
        holds=max(one, two, linear) < 1e-10,
        numbers={
            "largest difference, one dimension": one,
            "largest difference, two dimensions": two,
            "largest difference of the sum": linear,
            "share of the matrix that is not 0, one dimension": float((line != 0).double().mean()),
        },
    )


def c214_convlinear2() -> Finding:
    """With unrolled windows the backward pass is just another matrix product.

    Notes: F2 L1260.

    The gradients by input and weights of a layer with stride 2, padding 1 and dilation 2, from two products, against
    automatic differentiation and against loops.
    """
    x, weight = _drawn(2, 3, 11, 10).requires_grad_(), _drawn(4, 3, 3, 3).requires_grad_()
    maps = F.conv2d(x, weight, None, 2, 1, 2)
    dz = torch.randn_like(maps)
    right = torch.autograd.grad(maps, [x, weight], dz)
    found = convolution.by_unrolling_backward(dz, x.detach(), weight.detach(), 2, 1, 2)
    loops = by_loops_backward(dz, x.detach(), weight.detach(), 2, 1, 2)
    off = max(float((one - other).abs().max()) for one, other in zip(found, right, strict=True))
    apart = max(float((one - other).abs().max()) for one, other in zip(found, loops, strict=True))
    forward = float((by_loops(x.detach(), weight.detach(), 2, 1, 2) - maps.detach()).abs().max())
    return Finding(
        holds=max(off, apart, forward) < 1e-10,
        numbers={
            "largest difference from automatic differentiation": off,
            "largest difference from loops": apart,
            "largest difference of the loops' maps": forward,
        },
        remark="The columns must be rolled up afterwards, which adds what windows share.",
    )
