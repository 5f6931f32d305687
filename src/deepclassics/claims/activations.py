"""Claims about activations: their slopes and formulas, what ReLU spares, and what nets of each learn.

Letters: B examples, D inputs, U units.
"""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepclassics.claims import Finding
from deepclassics.claims.training import digits, error, loss_of, median, parted, passes
from deepclassics.layers.activations import NoisyReLU
from deepclassics.layers.gradients import SLOPES
from deepclassics.layers.starts import he
from deepclassics.systems.foundations.mlp import MLP

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _slopes(function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:  # any shape -> the same
    """By automatic differentiation."""
    z = z.clone().requires_grad_()
    return torch.autograd.grad(function(z).sum(), z)[0]


def c147_sig_edge() -> Finding:
    """At the edge values of a sigmoid the gradient vanishes.

    Notes: F3 L902.

    σ' at 0, ±5, ±10 and ±20 by automatic differentiation: it must fall, and be below 1e-4 at 10.
    """
    places = (0.0, 5.0, 10.0, 20.0)
    z = torch.tensor(places, dtype=torch.float64)
    up, down = _slopes(torch.sigmoid, z), _slopes(torch.sigmoid, -z)
    return Finding(
        holds=bool((up.diff() < 0).all()) and float(up[2]) < 1e-4 and bool((up - down).abs().max() < 1e-12),
        numbers={f"slope at ±{place:g}": float(slope) for place, slope in zip(places, up, strict=True)},
        draw=_shapes(["sigmoid", "tanh", "relu", "softplus"]),
    )


def _shapes(names: list[str]) -> "Callable[[], Figure]":
    from deepclassics.layers.activations import ACTIVATIONS

    def draw() -> "Figure":
        from deepclassics.report.style import sheet

        figure = sheet(8.4, 3.4)
        z = torch.linspace(-6, 6, 601)
        panels = figure.subplots(1, 2)
        for name in names:
            y = ACTIVATIONS[name]()(z)
            for axes, values in zip(panels, (y, SLOPES[name](z, y)), strict=True):
                axes.plot(z.tolist(), values.tolist(), label=name)
        for axes, title, top in zip(panels, ("output", "slope"), (3.0, 1.1), strict=True):
            axes.set_title(title)
            axes.set_xlabel("sum")
            axes.set_ylim(top=top)
        panels[0].legend()
        return figure

    return draw


def c148_tanh_stuck() -> Finding:
    """tanh maps the negative to the negative, near zero only what is near zero, and training is less often stuck.

    Notes: F3 L918-920.

    10,001 sums from -10 to 10, and what comes out within 0.1 of zero. Then nets of four layers of 30 on 1,000 digits,
    15 passes of plain descent at 0.3, ten seeds, tanh against sigmoid: stuck is a net that is wrong on more than half
    of the digits it learnt from.
    """
    z = torch.linspace(-10, 10, 10_001, dtype=torch.float64)
    signs = bool((torch.tanh(z).sign() == z.sign()).all())
    far = {
        name: float(z[function(z).abs() < 0.1].abs().max())
        for name, function in (("tanh", torch.tanh), ("sigmoid", torch.sigmoid))
    }
    x, y = digits()
    stuck = {}
    for name in ("tanh", "sigmoid"):
        stuck[name] = 0
        for seed in range(10):
            (part, labels), _ = parted(x, y, 1000, seed=seed)
            torch.manual_seed(seed)
            net = MLP(64, (30,) * 4, 10, "tanh" if name == "tanh" else "sigmoid", initial="glorot")
            for _ in passes(net, part, labels, 15, 0.3, method="sgd", seed=seed):
                pass
            stuck[name] += error(net, part, labels) > 0.5
    return Finding(
        holds=signs and far["tanh"] < 0.11 and stuck["tanh"] < stuck["sigmoid"],
        numbers={
            **{f"largest |sum| with an output within 0.1 of zero, {name}": each for name, each in far.items()},
            **{f"nets of 10 that are stuck, {name}": float(each) for name, each in stuck.items()},
        },
    )


def _nanoseconds(function: Callable[[Tensor], Tensor]) -> float:
    """A number, the quickest of 50 trials on 20,000 numbers, which fit in a cache."""
    z, trials = torch.randn(20_000), []
    for _ in range(50):
        begun = time.perf_counter()
        for _ in range(5):
            function(z)
        trials.append((time.perf_counter() - begun) / 5 / len(z) * 1e9)
    return min(trials)


def c149_relu_fast() -> Finding:
    """The gradient of ReLU does not vanish as x grows, it is fast to compute, and it needs no pre-training.

    Notes: F3 L955-961.

    Its slope at 10, 100 and 1,000; and nets of five layers of 30 on 1,000 digits after 30 passes of Adam, three seeds:
    from random weights, and from weights of which each layer first learnt for ten passes to rebuild its inputs. Without
    that the training loss must come as low, within 0.05 nats, which sigmoids are told for too. Times per number on one
    core are told, against sigmoid and tanh; the verdict does not rest on them, as they are of a machine and its load.
    """
    slopes = _slopes(torch.relu, torch.tensor([10.0, 100.0, 1000.0]))
    cost = {
        name: _nanoseconds(function)
        for name, function in (("ReLU", torch.relu), ("sigmoid", torch.sigmoid), ("tanh", torch.tanh))
    }
    x, y = digits()
    found: dict[str, list[float]] = {"ReLU": [], "ReLU, pre-trained": [], "sigmoid": []}
    for seed in range(3):
        (part, labels), _ = parted(x, y, 1000, seed=seed)
        for name, losses in found.items():
            torch.manual_seed(seed)
            net = MLP(64, (30,) * 5, 10, "sigmoid") if name == "sigmoid" else MLP(64, (30,) * 5, 10)
            if "pre-trained" in name:
                _rebuild(net, part)
            for _ in passes(net, part, labels, 30, 3e-3, seed=seed):
                pass
            losses.append(loss_of(net, part, labels))
    ends = {name: median(losses) for name, losses in found.items()}
    return Finding(
        holds=bool((slopes == 1).all()) and ends["ReLU"] < ends["ReLU, pre-trained"] + 0.05,
        numbers={
            "slope at 1,000": float(slopes[-1]),
            **{f"time per number, {name}, ns": each for name, each in cost.items()},
            **{f"training loss, {name}, nats": each for name, each in ends.items()},
        },
    )


def _rebuild(net: MLP, x: Tensor) -> None:  # (B, D)
    """Each hidden layer in turn learns to rebuild its inputs, with a linear layer that is thrown away."""
    for layer in [each for each in net.layers if isinstance(each, nn.Linear)][:-1]:
        back = nn.Linear(layer.out_features, layer.in_features)
        optimizer = torch.optim.Adam([*layer.parameters(), *back.parameters()], 3e-3)
        for _ in range(10):
            for rows in torch.randperm(len(x)).split(50):
                optimizer.zero_grad()
                F.mse_loss(back(torch.relu(layer(x[rows]))), x[rows]).backward()
                optimizer.step()
        x = torch.relu(layer(x)).detach()


def c150_relu_softplus() -> Finding:
    """ReLU can be approximated by softplus, log(1 + e^x).

    Notes: F3 L931.

    The largest distance of log(1 + e^(βx))/β from ReLU, at 0, for β from 1 to 100: it must be ln 2/β. As printed, with
    β = 1, it is 0.69 at 0, and below 0.01 only where |x| is above 4.6.
    """
    x = torch.linspace(-20, 20, 400_001, dtype=torch.float64)
    sharpness = (1, 10, 100)
    apart = {beta: F.softplus(beta * x, threshold=700) / beta - torch.relu(x) for beta in sharpness}
    largest = {beta: float(each.abs().max()) for beta, each in apart.items()}
    return Finding(
        holds=all(abs(largest[beta] - math.log(2) / beta) < 1e-9 for beta in sharpness),
        limited=largest[1] > 0.1,
        numbers={
            **{f"largest distance, β = {beta}": each for beta, each in largest.items()},
            "|x| beyond which it is below 0.01, β = 1": float(x[apart[1] >= 0.01].abs().max()),
        },
        remark=f"With β large, or away from 0: as printed it is {largest[1]:.2g} off at 0.",
    )


def c151_relu_sparse() -> Finding:
    """ReLU's activations are sparse, and its nonlinearity is the choice of the paths that are active.

    Notes: F3 L985-991.

    Ten nets of three layers of 100 and 1,000 random inputs: the share of active units must be between 0.4 and 0.6. For
    100 inputs the answer must be that of the linear map of the active units alone. After training on the digits the
    share is told too, and that of sigmoids, of which every one is active.
    """
    shares, largest = [], 0.0
    for _ in range(10):
        net = MLP(20, (100, 100, 100), 3).double()
        layers = [layer for layer in net.layers if isinstance(layer, nn.Linear)]
        x = torch.randn(1000, 20, dtype=torch.float64)
        with torch.no_grad():
            out, masks = x, []
            for layer in layers[:-1]:
                out = torch.relu(layer(out))
                masks.append(out > 0)
            shares.append(float(torch.stack(masks).double().mean()))
            for row in range(10):
                matrix, shift = torch.eye(20, dtype=torch.float64), torch.zeros(20, dtype=torch.float64)
                for layer, mask in zip(layers[:-1], masks, strict=True):
                    matrix, shift = layer.weight @ matrix, layer.weight @ shift + layer.bias
                    matrix, shift = matrix * mask[row][:, None], shift * mask[row]
                answer = layers[-1].weight @ (matrix @ x[row] + shift) + layers[-1].bias
                largest = max(largest, float((answer - net(x[row : row + 1])[0]).abs().max()))
    x, y = digits()
    trained = MLP(64, (100,), 10)
    for _ in passes(trained, x, y, 20, 3e-3):
        pass
    with torch.no_grad():
        active = float((trained.layers[0](x) > 0).float().mean())
        every = float((torch.sigmoid(trained.layers[0](x)) > 0).float().mean())
    return Finding(
        holds=min(shares) > 0.4 and max(shares) < 0.6 and largest < 1e-12,
        numbers={
            "active units at random weights, least share": min(shares),
            "active units at random weights, largest share": max(shares),
            "largest difference from the linear map of the active paths": largest,
            "active ReLUs after training on digits": active,
            "active units if they were sigmoids": every,
        },
    )


def c191_relu01() -> Finding:
    """ReLU's derivative is only 0 or 1, which prevents vanishing and exploding gradients.

    Notes: F4 L378.

    Its slope at 100,001 sums. Nets of 20 layers of 64 with weights as He et al. (2015) have them, and of half and twice
    the size: the first over the last gradient, the median of ten. What the activations do is at most 1; weights of the
    wrong size make it vanish or explode all the same.
    """
    slopes = _slopes(torch.relu, torch.linspace(-50, 50, 100_001, dtype=torch.float64))
    ratios = {}
    for size in (0.5, 1.0, 2.0):
        found = []
        for _ in range(10):
            places, z = [], torch.randn(16, 64).requires_grad_()
            for _ in range(20):
                places.append(z)
                weight = torch.empty(64, 64)
                he(weight)
                z = torch.relu(z) @ (size * weight.T)
            first, last = torch.autograd.grad(z.sum(), [places[0], places[-1]])
            found.append(float(first.norm() / last.norm()))
        ratios[size] = median(found)
    return Finding(
        holds=set(slopes.unique().tolist()) == {0.0, 1.0} and 0.1 < ratios[1.0] < 10,
        limited=ratios[0.5] < 1e-3 or ratios[2.0] > 1e3,
        numbers={
            "different slopes found": float(len(slopes.unique())),
            **{f"first over last gradient, 20 layers, {size:g} of He's weights": each for size, each in ratios.items()},
        },
        remark="What the activations do to it. Weights of the wrong size make it vanish or explode all the same.",
    )


def c192_relu_noexp() -> Finding:
    """ReLU needs no exponential, as the sigmoid does.

    Notes: F4 L379.

    A comparison and a choice must give the same answer as ReLU for 1,000,000 numbers, bit for bit, zeros and infinities
    among them. Times on one core are told; the verdict does not rest on them.
    """
    z = torch.cat([torch.randn(1_000_000), torch.tensor([0.0, -0.0, math.inf, -math.inf, 1e-45, -1e-45])])
    chosen = torch.where(z > 0, z, torch.zeros(()))
    return Finding(
        holds=torch.equal(chosen, torch.relu(z)),
        numbers={
            "numbers for which a choice gives another answer": float((chosen != torch.relu(z)).sum()),
            "time per number, ReLU, ns": _nanoseconds(torch.relu),
            "time per number, sigmoid, ns": _nanoseconds(torch.sigmoid),
        },
    )


def c193_relu6x() -> Finding:
    """ReLU gives around six times the speed of other activations.

    Notes: F4 L380.

    The number is that of one convolutional net on CIFAR-10 against tanh, passes until a quarter of the training
    pictures is wrong (Krizhevsky et al. 2012, figure 1). The small version: four layers of 50 on 1,500 digits, plain
    descent on batches of 50, each activation at the best of six rates; updates until a quarter is wrong on the whole,
    the median of five seeds. "Around six" is taken as from four to nine.
    """
    x, y = digits()
    needed = {}
    for name in ("relu", "tanh", "sigmoid"):
        found = []
        for rate in (0.03, 0.1, 0.3, 0.6, 1.0, 2.0):
            found.append(median([_updates(name, rate, x[:1500], y[:1500], seed) for seed in range(5)]))
        needed[name] = min(found)
    ratio = needed["tanh"] / needed["relu"]
    return Finding(
        holds=4 <= ratio <= 9,
        numbers={
            **{f"updates until a quarter is wrong, {name}": each for name, each in needed.items()},
            "tanh over ReLU": ratio,
            "sigmoid over ReLU": needed["sigmoid"] / needed["relu"],
        },
        remark=""
        if 4 <= ratio <= 9
        else f"In this net it is {ratio:.1f} times that of tanh: the six was one net's, and of training.",
    )


def _updates(name: str, rate: float, x: Tensor, y: Tensor, seed: int) -> float:  # (B, D), (B,)
    """Updates until at most a quarter is wrong, looked at every five, up to 300; as many as 1,000 if never."""
    torch.manual_seed(seed)
    functions = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
    net = MLP(64, (50,) * 4, 10, "relu" if name == "relu" else "tanh", initial="he" if name == "relu" else "glorot")
    layers = [layer for layer in net.layers if isinstance(layer, nn.Linear)]
    weights: list[Tensor] = list(net.parameters())

    def forward(x: Tensor) -> Tensor:
        for layer in layers[:-1]:
            x = functions[name](layer(x))
        return layers[-1](x)

    for update in range(300):
        rows = torch.randint(len(x), (50,))
        slopes = torch.autograd.grad(F.cross_entropy(forward(x[rows]), y[rows]), weights)
        with torch.no_grad():
            torch._foreach_add_(weights, slopes, alpha=-rate)
            if update % 5 == 4 and float((forward(x).argmax(1) != y).float().mean()) <= 0.25:
                return update + 1.0
    return 1000.0


def c202_tanh_form() -> Finding:
    """The three formulas of tanh agree: (1 - e^(-2z))/(1 + e^(-2z)), sinh/cosh, and (e^z - e^-z)/(e^z + e^-z).

    Notes: F3 L489, L910.

    100,001 numbers from -15 to 15, in double precision, against the library's tanh.
    """
    z = torch.linspace(-15, 15, 100_001, dtype=torch.float64)
    up, down = z.exp(), (-z).exp()
    forms = {
        "(1 - e^(-2z))/(1 + e^(-2z))": (1 - (-2 * z).exp()) / (1 + (-2 * z).exp()),
        "sinh/cosh": z.sinh() / z.cosh(),
        "(e^z - e^-z)/(e^z + e^-z)": (up - down) / (up + down),
    }
    off = {name: float((form - z.tanh()).abs().max()) for name, form in forms.items()}
    return Finding(
        holds=max(off.values()) < 1e-12, numbers={f"largest difference, {n}": each for n, each in off.items()}
    )


def c203_softplus_der() -> Finding:
    """The derivative of the sigmoid is f(1 - f), and that of tanh 1 - f².

    Notes: F3 L895, L916.

    10,001 numbers from -10 to 10: both against differentiation by a complex step, Im f(z + ih)/h with h = 1e-30, which
    has no error of rounding (Squire and Trapp 1998). The derivative of softplus, the sigmoid, is tested with them.
    """
    z = torch.linspace(-10, 10, 10_001, dtype=torch.float64)
    aside = torch.complex(z, torch.full_like(z, 1e-30))
    measured: dict[str, Tensor] = {
        "sigmoid": 1 / (1 + (-aside).exp()),
        "tanh": aside.tanh(),
        "softplus": (1 + aside.exp()).log(),
    }
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "softplus": F.softplus,
    }
    off = {
        name: float((value.imag / 1e-30 - SLOPES[name](z, functions[name](z))).abs().max())
        for name, value in measured.items()
    }
    return Finding(
        holds=max(off.values()) < 1e-12, numbers={f"largest difference, {n}": each for n, each in off.items()}
    )


def c204_noisy() -> Finding:
    """Noisy ReLU, max(0, x + N(0, σ(x))), is another version of ReLU.

    Notes: F3 L947.

    The package's layer, 100,000 draws for each of 41 sums. Where a normal number of mean x and variance σ(x) is cut off
    at 0, the mean is x Φ(x/s) + s φ(x/s), and it is 0 with the probability Φ(-x/s), s the root of σ(x), φ the normal
    density and Φ its integral: means and shares of the draws must agree with these within five standard errors, which
    are at most s and 1/2 over the root of 100,000. In evaluation the layer must be ReLU. The notes print δ(x) for the
    sigmoid σ(x), the variance of Nair and Hinton (2010) (E054).
    """
    z, root = torch.linspace(-4, 4, 41), 100_000**0.5
    layer = NoisyReLU()
    drawn = layer(z[:, None].expand(-1, 100_000)).double()
    deviation = z.double().sigmoid().sqrt()
    ratio = z.double() / deviation
    normal = torch.distributions.Normal(0.0, 1.0)
    mean = z * normal.cdf(ratio) + deviation * normal.log_prob(ratio).exp()
    silent = normal.cdf(-ratio)
    off = float((root * (drawn.mean(1) - mean) / deviation).abs().max())
    silent_off = float((2 * root * ((drawn == 0).double().mean(1) - silent)).abs().max())
    same = torch.equal(layer.eval()(z), z.relu())
    return Finding(
        holds=same and bool((drawn >= 0).all()) and max(off, silent_off) < 5,
        numbers={
            "mean answer at 0": float(drawn[20].mean()),
            "mean answer at 0 by the formula": float(mean[20]),
            "largest difference of means from the formula, standard errors": off,
            "largest difference of shares of 0 from the formula, standard errors": silent_off,
            "largest mean distance from ReLU": float((drawn.mean(1) - z.relu()).abs().max()),
            "sums for which it is not ReLU in evaluation": float((layer(z) != z.relu()).sum()),
        },
    )
