"""Claims about functions of real numbers: how networks that are built approximate them, and what they cannot.

Letters: B points, H hidden units.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.claims import Finding
from deepclassics.claims.threshold import built
from deepclassics.data.kinds.function import from_words
from deepclassics.systems.foundations.pulses import of_pulses, of_relu, of_six_relu, square_pulse

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Function = Callable[[Tensor], Tensor]


def _order(errors: dict[int, float]) -> float:
    """How fast errors fall with the number they are listed by: the exponent between its ends."""
    (few, worse), *_, (many, better) = errors.items()
    return math.log(worse / better) / math.log(many / few)


def _interpolated(text: str, low: float, high: float, units: int) -> Function:
    """The package's hidden layer of ReLUs, one at each knot, that equals a formula there: straight lines between."""
    net = built(of_relu(replace(from_words(text), bounds=((low, high),)), units))
    return lambda x: net(x[:, None])[:, 0]


def _stairs(function: Function, units: int, act: Function) -> Function:
    """One hidden layer that climbs from 0 to 1 at the middle of each of H steps, by `act`, on [0, 1]."""
    knots = torch.linspace(0, 1, units + 1, dtype=torch.float64)
    values, middles = function(knots), (knots[1:] + knots[:-1]) / 2
    return lambda x: values[0] + act(4 * units * (x[:, None] - middles)) @ (values[1:] - values[:-1])


def _wave(x: Tensor) -> Tensor:
    return torch.sin(2 * math.pi * x)


def _bend(x: Tensor) -> Tensor:
    return (x - 0.5).abs()


def c005_2lp_univ() -> Finding:
    """Two-layer perceptrons with sigmoid thresholds are universal approximators.

    Notes: F0 L32-34.

    A sine and |x - 1/2| on [0, 1] by 8 to 512 sigmoids that climb from value to value, no training: the largest error
    must fall with the width. Then a bump over the plane, by random sigmoids whose outgoing weights are found by least
    squares: the root of the mean squared error on other points must fall as well.
    """
    x = torch.linspace(0, 1, 4001, dtype=torch.float64)
    numbers: dict[str, float] = {}
    falls = True
    for name, function in (("sine", _wave), ("|x - 1/2|", _bend)):
        errors = {}
        for units in (8, 32, 128, 512):
            errors[units] = float((_stairs(function, units, torch.sigmoid)(x) - function(x)).abs().max())
        falls = falls and all(late < early / 2 for early, late in itertools.pairwise(errors.values()))
        numbers |= {f"largest error, {name}, {units} sigmoids": error for units, error in errors.items()}
    plane = 2 * torch.rand(4000, 2, dtype=torch.float64) - 1
    height = torch.exp(-4 * plane.square().sum(1))
    slopes, places = 3 * torch.randn(2, 160, dtype=torch.float64), 3 * torch.randn(160, dtype=torch.float64)
    hidden = torch.sigmoid(plane @ slopes + places)
    plane_errors = {}
    for units in (10, 40, 160):
        weight = torch.linalg.lstsq(hidden[:2000, :units], height[:2000, None], driver="gelsd").solution
        plane_errors[units] = float((hidden[2000:, :units] @ weight - height[2000:, None]).square().mean().sqrt())
    numbers |= {
        f"root mean squared error, bump over the plane, {units} sigmoids": error
        for units, error in plane_errors.items()
    }
    return Finding(
        holds=falls and all(late < early / 2 for early, late in itertools.pairwise(plane_errors.values())),
        numbers=numbers,
    )


def c007_head() -> Finding:
    """The output layer is typically a sigmoid for classification and linear for regression.

    Notes: F0 L53-57.

    Each output on the other's task. A sigmoid cannot leave (0, 1): on targets between -2 and 3 the best it can do is
    to hold their nearest values in [0, 1]. A linear output, fitted by least squares to classes 0 and 1, gives
    "probabilities" outside [0, 1]. On their own tasks neither happens: least squares fits the line, and Newton's
    method the sigmoid.
    """
    x = torch.linspace(-2, 3, 200, dtype=torch.float64)
    inputs = torch.stack([x, torch.ones_like(x)], 1)

    def least(target: Tensor) -> Tensor:
        return inputs @ torch.linalg.lstsq(inputs, target[:, None], driver="gelsd").solution[:, 0]

    noise = 0.1 * torch.randn(200, dtype=torch.float64)
    line = float((least(x + noise) - x - noise).square().mean())
    bounded = float(((x + noise).clamp(0, 1) - x - noise).square().mean())
    label = (x + 0.5 * torch.randn(200, dtype=torch.float64) > 0.5).double()
    straight = least(label)
    weight = torch.zeros(2, dtype=torch.float64)
    for _ in range(20):
        given = torch.sigmoid(inputs @ weight)
        curvature = inputs.T @ ((given * (1 - given))[:, None] * inputs)
        weight = weight + torch.linalg.solve(curvature, inputs.T @ (label - given))
    chance = torch.sigmoid(inputs @ weight)
    outside = float(((straight < 0) | (straight > 1)).double().mean())
    sigmoid_outside = float(((chance < 0) | (chance > 1)).double().mean())
    return Finding(
        holds=bounded > 10 * line and outside > 0.05 and sigmoid_outside == 0,
        numbers={
            "squared error of a regression, linear output": line,
            "squared error of a regression, the best sigmoid output": bounded,
            "share of classification's outputs outside [0, 1], linear": outside,
            "share of classification's outputs outside [0, 1], sigmoid": sigmoid_outside,
        },
    )


def c040_pulse3() -> Finding:
    """Three units make a square pulse, and narrower pulses approximate any function, of one input or more, at will.

    Notes: F2 L139-143.

    A pulse on [T1, T2) from two thresholds and a sum must equal its definition. Then a sine on [0, 1] by 8 to 512
    pulses: the largest error must fall as the width does, with order 1. Then a wave over the square by pulses of four
    lines and an AND: the error falls with the width too, while their number grows with its square.
    """
    x = torch.linspace(-1, 2, 3001, dtype=torch.float64)
    net = built(square_pulse(0.2, 0.7, 1.5))
    exact = bool((net(x[:, None])[:, 0] == 1.5 * ((x >= 0.2) & (x < 0.7))).all())

    def worst(text: str, pulses: int, points: Tensor) -> float:  # (B, D)
        wanted = from_words(text)
        wanted = replace(wanted, bounds=((0.0, 1.0),) * len(wanted.names))
        given = built(of_pulses(wanted, [pulses] * len(wanted.names)))(points)[:, 0]
        return float((given - wanted(points)).abs().max())

    unit = (torch.arange(4000, dtype=torch.float64)[:, None] + 0.5) / 4000
    plane = torch.cartesian_prod(unit[::50, 0], unit[::50, 0])
    errors = {pulses: worst("sin(2*pi*x)", pulses, unit) for pulses in (8, 32, 128, 512)}
    boxes = {side: worst("sin(2*pi*x) * abs(y - 1/2)", side, plane) for side in (8, 16, 32)}

    def draw() -> "Figure":
        from deepclassics.report.style import BLUE, FAINT, sheet

        figure = sheet(7.6, 2.6)
        wave = replace(from_words("sin(2*pi*x)"), bounds=((0.0, 1.0),))
        for place, pulses in enumerate((8, 32)):
            axes = figure.add_subplot(1, 2, place + 1)
            axes.plot(unit[:, 0], wave(unit), color=FAINT, label="the function")
            axes.plot(unit[:, 0], built(of_pulses(wave, [pulses]))(unit)[:, 0], color=BLUE, label="the pulses")
            axes.set_title(f"{pulses} pulses")
            axes.legend()
        return figure

    return Finding(
        holds=exact and abs(_order(errors) - 1) < 0.1 and abs(_order(boxes) - 1) < 0.1,
        numbers={
            "units of one pulse": float(net.counts()["units"]),
            "one pulse is exact": float(exact),
            **{f"largest error, one input, {pulses} pulses": error for pulses, error in errors.items()},
            "order of the error in the width, one input": _order(errors),
            **{f"largest error, two inputs, {side * side:,} pulses": error for side, error in boxes.items()},
            "order of the error in the width, two inputs": _order(boxes),
        },
        draw=draw,
    )


def c142_multi_more() -> Finding:
    """A function of several layers is more flexible than one of a single layer.

    Notes: F3 L449-464.

    The notes' two: σ of a quadratic, and σ of two tanhs of quadratics. A classifier's flexibility is how often it
    changes its class along the line, sought among 10,000 random parameters each. The single one is a quadratic's sign,
    and changes twice at most; the other reaches four changes.
    """
    x = torch.linspace(-3, 3, 401, dtype=torch.float64)
    powers = torch.stack([torch.ones_like(x), x, x * x])  # (3, B)
    single = 2 * torch.randn(10_000, 3, dtype=torch.float64) @ powers
    hidden = torch.tanh(3 * torch.randn(2, 10_000, 3, dtype=torch.float64) @ powers)
    outgoing = torch.randn(3, 10_000, 1, dtype=torch.float64)
    double = outgoing[0] + outgoing[1] * hidden[0] + outgoing[2] * hidden[1]

    def changes(sums: Tensor) -> Tensor:
        return ((sums[:, 1:] >= 0) != (sums[:, :-1] >= 0)).sum(1)

    once, twice = changes(single), changes(double)

    def draw() -> "Figure":
        from deepclassics.report.style import BLUE, VERMILLION, sheet

        figure = sheet(5.6, 3)
        axes = figure.add_subplot()
        axes.plot(x, torch.sigmoid(single[once.argmax()]), color=BLUE, label="single layer")
        axes.plot(x, torch.sigmoid(double[twice.argmax()]), color=VERMILLION, label="two layers")
        axes.axhline(0.5, color="#444444", linewidth=0.8, linestyle="--")
        axes.set_xlabel("x")
        axes.set_ylabel("f(x)")
        axes.set_title("The most changes of class that were found")
        axes.legend()
        return figure

    return Finding(
        holds=int(once.max()) <= 2 and int(twice.max()) >= 4,
        numbers={
            "most changes of class, single layer": float(once.max()),
            "most changes of class, two layers": float(twice.max()),
        },
        draw=draw,
    )


def c143_uat3() -> Finding:
    """One hidden layer of finitely many neurons approximates any continuous function on a closed set at will.

    Notes: F3 L508, L533, L2190.

    On [-4, 4], closed and bounded, a sine by ReLUs, sigmoids and tanhs: the largest error falls to 1e-3 and below. The
    whole line is closed too, and there every finite network of these fails: the one of 512 ReLUs is far off at 40
    (its ends are straight), and bounded activations end constant. Nor will "any function" of the summary do: near a
    jump of 1 no continuous network is closer than 1/2 at all points.
    """
    x = torch.linspace(-4, 4, 4001, dtype=torch.float64)
    errors: dict[str, dict[int, float]] = {"ReLU": {}, "sigmoid": {}, "tanh": {}}

    def stretched(place: Tensor) -> Tensor:
        return torch.sin(8 * place - 4)

    for units in (8, 32, 128, 512):
        errors["ReLU"][units] = float((_interpolated("sin(x)", -4, 4, units)(x) - x.sin()).abs().max())
        for name, act in (("sigmoid", torch.sigmoid), ("tanh", lambda sums: (1 + torch.tanh(sums)) / 2)):
            given = _stairs(stretched, units, act)((x + 4) / 8)
            errors[name][units] = float((given - x.sin()).abs().max())
    beyond = torch.linspace(-40, 40, 8001, dtype=torch.float64)
    far = float((_interpolated("sin(x)", -4, 4, 512)(beyond) - beyond.sin()).abs().max())
    near = torch.cat([torch.linspace(-1e-3, 1e-3, 20_001), torch.linspace(-1, 1, 2001)]).double()
    jumps = {
        units: float((_interpolated("step(x)", -1, 1, units)(near) - (near >= 0).double()).abs().max())
        for units in (7, 63, 511)
    }
    compact = all(_order(each) > 0.9 for each in errors.values()) and errors["ReLU"][512] < 1e-3

    def draw() -> "Figure":
        from deepclassics.report.style import grid, marks, sheet

        figure = sheet(5.6, 3.4)
        axes = figure.add_subplot()
        for (name, each), (colour, marker) in zip(errors.items(), marks(3), strict=True):
            style = "--" if name == "tanh" else "-"
            axes.loglog(list(each), list(each.values()), style, color=colour, marker=marker, label=name)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("hidden units")
        axes.set_ylabel("largest error on [-4, 4]")
        axes.set_title("A sine by one hidden layer")
        axes.legend()
        grid(axes)
        return figure

    return Finding(
        holds=compact and far < 0.1 and jumps[511] < 0.1,
        numbers={
            **{
                f"largest error on [-4, 4], {units} {name} units": errors[name][units]
                for name in errors
                for units in (8, 512)
            },
            "largest error of 512 ReLUs on [-40, 40]": far,
            **{f"largest error at a jump of 1, {units} ReLUs": error for units, error in jumps.items()},
        },
        remark="The set must be compact, closed and bounded, as the notes say themselves further on, and the function "
        "continuous.",
        draw=draw,
    )


def c144_six() -> Finding:
    """Six ReLUs approximate the curve.

    Notes: F3 L514-527.

    Z of the notes, built unit by unit, beside x³ + x² - x - 1 (the drawing with the curve is lost; this is the
    function of the known source of the example). Between -1.75 and 1.5 the error is a tenth and less of the curve's
    range; at 2 it is 2.3.
    """
    net = built(of_six_relu())
    x = torch.linspace(-2, 2, 40_001, dtype=torch.float64)
    given, curve = net(x[:, None])[:, 0], x**3 + x**2 - x - 1
    middle = (x >= -1.75) & (x <= 1.5)
    error = (given - curve).abs()
    span = float(curve[middle].max() - curve[middle].min())

    def draw() -> "Figure":
        from deepclassics.report.style import BLUE, FAINT, sheet

        figure = sheet(5.6, 3.2)
        axes = figure.add_subplot()
        axes.plot(x, curve, color=FAINT, label="x³ + x² - x - 1")
        axes.plot(x, given, color=BLUE, label="six ReLUs")
        axes.set_xlabel("x")
        axes.set_title("Six hand-set ReLUs")
        axes.legend()
        return figure

    return Finding(
        holds=float(error[middle].max()) < 0.1 * span,
        limited=float(error.max()) > 0.1 * span,
        numbers={
            "largest error on [-1.75, 1.5]": float(error[middle].max()),
            "root mean squared error on [-1.75, 1.5]": float(error[middle].square().mean().sqrt()),
            "range of the curve on [-1.75, 1.5]": span,
            "largest error on [-2, 2]": float(error.max()),
            "root mean squared error on [-2, 2]": float(error.square().mean().sqrt()),
            **{f"Z({place:g})": float(net(torch.tensor([[place]]))[0, 0]) for place in (-1.0, 0.0, 1.0, 2.0)},
        },
        remark="Between -1.75 and 1.5; at the ends of [-2, 2] it is far off.",
        draw=draw,
    )
