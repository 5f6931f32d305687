"""Claims about backpropagation: its worked example, its deltas, and gradients that vanish on the way.

Letters: N inputs and M outputs of a layer, L layers.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from deepclassics.claims import Finding
from deepclassics.layers.activations import step
from deepclassics.layers.gradients import recursion

Order = Literal["correct", "notes", "notes, rounded"]


def _net(x: Tensor, weights: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:  # (N,) -> sums, outputs
    """A sigmoid net without biases; the outputs begin with x."""
    outs, sums = [x], []
    for weight in weights:
        sums.append(weight @ outs[-1])
        outs.append(torch.sigmoid(sums[-1]))
    return sums, outs


def c063_step_nograd() -> Finding:
    """With a threshold a small change of a weight is not fed back: the output stays until the change is large enough.

    Notes: F2 L527.

    1,000 random nets of two inputs, three threshold units and one: each of the nine weights is moved by 1e-9 both ways,
    and by 3. Where y is 0 or 1, as the notes mean by "non-zero or 1" (E013), no small move may change it.
    """
    x = torch.randn(1000, 1, 2, dtype=torch.float64)
    weights = torch.randn(1000, 1, 9, dtype=torch.float64)
    moves = torch.cat([torch.eye(9, dtype=torch.float64), -torch.eye(9, dtype=torch.float64)])

    def out(weights: Tensor) -> Tensor:  # (1000, W, 9) -> (1000, W)
        hidden = step((weights[..., :6].unflatten(-1, (3, 2)) @ x[..., None])[..., 0])
        return step((weights[..., 6:] * hidden).sum(-1) - 0.1)

    changed = {size: int((out(weights + size * moves) != out(weights)).sum()) for size in (1e-9, 3.0)}
    return Finding(
        holds=changed[1e-9] == 0 < changed[3.0],
        numbers={f"outputs of 18,000 changed by moves of {size:g}": float(count) for size, count in changed.items()},
    )


def c064_sig_all() -> Finding:
    """With sigmoids any change of any weight changes the output.

    Notes: F2 L548.

    1,000 random nets of four inputs, five, three and one sigmoid: the least slope by any of the 38 weights. An input
    that is 0 is the exception: what its weights are makes no difference to the answer for it.
    """
    least, silent = math.inf, 0.0
    for trial in range(1000):
        weights = [torch.randn(m, n, dtype=torch.float64).requires_grad_() for m, n in ((5, 4), (3, 5), (1, 3))]
        x = torch.randn(4, dtype=torch.float64)
        slopes = torch.autograd.grad(_net(x, weights)[1][-1].sum(), weights)
        least = min(least, *(float(slope.abs().min()) for slope in slopes))
        if trial == 0:
            slopes = torch.autograd.grad(_net(x * (x != x[0]), weights)[1][-1].sum(), weights)
            silent = float((slopes[0][:, 0] == 0).sum())
    return Finding(
        holds=least > 0,
        limited=silent > 0,
        numbers={"least slope of 38,000": least, "weights of 38 without effect where one input is 0": silent},
        remark="Where no input is 0.",
    )


def _example(order: Order) -> dict[str, float]:
    """The update of the notes' 2-2-1 net: inputs 0.35 and 0.9, target 0.5, rate 1, no biases (N001)."""
    w = {1: 0.3, 2: 0.9, 3: 0.1, 4: 0.8, 5: 0.4, 6: 0.6}

    def sigmoid(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    def forward(w: dict[int, float]) -> tuple[float, float, float]:
        top, bottom = sigmoid(0.35 * w[3] + 0.9 * w[4]), sigmoid(0.35 * w[5] + 0.9 * w[6])
        return top, bottom, sigmoid(w[1] * top + w[2] * bottom)

    top, bottom, out = forward(w)
    if order == "notes, rounded":
        top, bottom, out = 0.68, 0.6637, 0.69
    delta = (0.5 - out) * (1 - out) * out
    if order == "notes, rounded":
        delta = -0.0406
    new = {1: w[1] + delta * top, 2: w[2] + delta * bottom}
    through = w if order == "correct" else new
    first, second = delta * through[1] * top * (1 - top), delta * through[2] * bottom * (1 - bottom)
    new |= {3: w[3] + first * 0.35, 4: w[4] + first * 0.9, 5: w[5] + second * 0.35, 6: w[6] + second * 0.9}
    return {
        "old error": 0.5 - forward(w)[2],
        "delta of the top unit": first,
        "delta of the bottom unit": second,
        "new error": 0.5 - forward(new)[2],
    }


def c146_bp_err_falls() -> Finding:
    """In the worked example an update takes the error from -0.19 to -0.18205.

    Notes: F3 L819.

    The update in three ways: as backpropagation has it, in the notes' order, which takes the hidden deltas by weights
    that are updated already (E052), and in that order with the notes' rounding at every line. The printed numbers
    must come out of the first, at the digits printed; its deltas are held against numerical differentiation.
    """
    orders: tuple[Order, ...] = ("correct", "notes", "notes, rounded")
    found = {order: _example(order) for order in orders}
    right = found["correct"]
    x = torch.tensor([0.35, 0.9], dtype=torch.float64)
    weights = [
        torch.tensor([[0.1, 0.8], [0.4, 0.6]], dtype=torch.float64).requires_grad_(),
        torch.tensor([[0.3, 0.9]], dtype=torch.float64).requires_grad_(),
    ]
    sums, outs = _net(x, weights)
    slope = torch.autograd.grad((outs[-1] - 0.5).square().sum() / 2, sums[0])[0]
    off = {}
    for order, each in found.items():
        deltas = torch.tensor([each["delta of the top unit"], each["delta of the bottom unit"]], dtype=torch.float64)
        off[order] = float((deltas + slope).abs().max())
    return Finding(
        holds=round(right["old error"], 2) == -0.19 and round(right["new error"], 5) == -0.18205,
        numbers={
            "old error": right["old error"],
            **{f"new error, {order}": each["new error"] for order, each in found.items()},
            **{f"delta of the top unit, {order}": each["delta of the top unit"] for order, each in found.items()},
            **{f"delta of the bottom unit, {order}": each["delta of the bottom unit"] for order, each in found.items()},
            **{f"deltas' distance from the gradient, {order}": value for order, value in off.items()},
        },
        remark=f"The error falls, but to {right['new error']:.6f}: hidden deltas take the output's old weights.",
    )


def c154_vanish5() -> Finding:
    """A sigmoid's slope lies in (0, 0.25), so after more than five layers of backpropagation the gradient may vanish.

    Notes: F3 L1197-1214.

    Chains of 1 to 10 sigmoids with weights between -1 and 1, 1,000 each: the largest slope of the last sum by the
    first. 1,000,000 slopes are bounded. The same with weights of 4 and 8, and with six layers of 64 units, where many
    ways add up. The slope of 0.25 is reached, at 0 (E055).
    """
    largest, chains = {}, {}
    for depth in range(1, 11):
        weights = 2 * torch.rand(1000, depth, dtype=torch.float64) - 1
        largest[depth] = float(_chain(weights).max())
    for size in (4.0, 8.0):
        chains[size] = float(_chain(torch.full((1, 6), size, dtype=torch.float64)).max())
    z = torch.randn(16, 64, dtype=torch.float64)
    places = []
    for _ in range(7):
        z = z.requires_grad_() if z.is_leaf else z
        places.append(z)
        z = torch.sigmoid(z) @ (2 * torch.rand(64, 64, dtype=torch.float64) - 1)
    first, last = torch.autograd.grad(z.sum(), [places[0], places[-1]])
    wide = float(first.norm() / last.norm())
    slopes = torch.linspace(-20, 20, 1_000_001, dtype=torch.float64)
    slopes = torch.sigmoid(slopes) * (1 - torch.sigmoid(slopes))
    return Finding(
        holds=bool((slopes > 0).all()) and float(slopes.max()) <= 0.25 and largest[6] < 1e-3,
        limited=float(slopes.max()) == 0.25 or max(*chains.values(), wide) > 1e-3,
        numbers={
            "largest slope of a sigmoid": float(slopes.max()),
            "0.25 to the fifth power": 0.25**5,
            **{f"largest slope through {depth} layers, weights in [-1, 1]": each for depth, each in largest.items()},
            **{f"slope through 6 layers, weights of {size:g}": each for size, each in chains.items()},
            "first over last gradient, 6 layers of 64 units, weights in [-1, 1]": wide,
        },
        remark="Large weights, or many ways through wide layers, make up for it; and 0.25 itself is reached, at 0.",
    )


def _chain(weights: Tensor) -> Tensor:  # (B, L) -> (B,)
    """The largest slope by the first sum that a chain of sigmoids with these weights has among sums from -6 to 6."""
    z = torch.linspace(-6, 6, 121, dtype=torch.float64).expand(len(weights), -1)
    slope = torch.ones_like(z)
    for weight in weights.T[:, :, None]:
        out = torch.sigmoid(z)
        slope, z = slope * out * (1 - out) * weight.abs(), weight * (out - 0.5)  # centred, where the slope is largest
    return slope.amax(1)


def c183_chain4() -> Finding:
    """The derivative by the parameters of a layer is the product of the Jacobians of all later layers and its own.

    Notes: F4 L57-61.

    20 nets of four tanh layers of 5, 4, 3 and 2 units: for each layer the product is compared with automatic
    differentiation. The printed left side lacks the function that is differentiated (E067).
    """
    sizes, largest = (5, 4, 3, 2), 0.0
    for _ in range(20):
        weights = [
            torch.randn(m, n, dtype=torch.float64).requires_grad_() for n, m in zip((3, *sizes), sizes, strict=False)
        ]
        outs = [torch.randn(3, dtype=torch.float64)]
        for weight in weights:
            outs.append(torch.tanh(weight @ outs[-1]))
        later = torch.eye(2, dtype=torch.float64)
        for layer in reversed(range(4)):
            slopes = torch.diag(1 - outs[layer + 1].square())
            own = slopes @ torch.kron(torch.eye(sizes[layer], dtype=torch.float64), outs[layer][None])
            rows = [torch.autograd.grad(out, weights[layer], retain_graph=True)[0].flatten() for out in outs[-1]]
            largest = max(largest, float((later @ own - torch.stack(rows)).detach().abs().max()))
            later = later @ slopes @ weights[layer]
    return Finding(
        holds=largest < 1e-12, numbers={"largest difference from automatic differentiation": largest, "nets": 20.0}
    )


def c184_delta4() -> Finding:
    """δ = U ⊙ f'(W x + b) is the error signal ∂ŷ/∂z, and ∂ŷ/∂W = δ xᵀ, ∂ŷ/∂b = δ, ∂ŷ/∂x = Wᵀ δ.

    Notes: F4 L155-199.

    100 nets ŷ = Uᵀ f(W x + b) of three inputs and three units, f = tanh: each is compared with automatic
    differentiation. The vector that is printed has U_2 in its third row too, where U_3 must be (E068).
    """
    largest, printed = 0.0, math.inf
    for _ in range(100):
        weight, bias, x, last = (
            torch.randn(*shape, dtype=torch.float64).requires_grad_() for shape in ((3, 3), (3,), (3,), (3,))
        )
        z = weight @ x + bias
        slopes = torch.autograd.grad(last @ torch.tanh(z), [z, weight, bias, x])
        inner = 1 - torch.tanh(z.detach()).square()
        delta = last.detach() * inner
        right = (delta, torch.outer(delta, x.detach()), delta, weight.detach().T @ delta)
        largest = max(largest, *(float((a - b).abs().max()) for a, b in zip(slopes, right, strict=True)))
        repeated = last.detach()[[0, 1, 1]] * inner
        printed = min(printed, float((repeated - slopes[0]).abs().max()))
    return Finding(
        holds=largest < 1e-12,
        limited=printed > 1e-6,
        numbers={
            "largest difference from automatic differentiation": largest,
            "least difference with U_2 in the third row, as printed": printed,
        },
        remark="As formulas. In the vector that is printed the third row must have U_3.",
    )


def c185_soon4() -> Finding:
    """The gradient of a layer's weights can be had as soon as its delta is there.

    Notes: F4 L276.

    A net of six layers of 32 sigmoids, each layer's output let go once its gradient is taken: gradients must equal
    those of automatic differentiation, and what is held must fall to nothing on the way. As printed, δ^(l+1) a^(l)ᵀ,
    it is the gradient of the next layer's weights: the right indices are δ^(l) a^(l-1)ᵀ (E071).
    """
    weights = [torch.randn(32, 32, dtype=torch.float64).requires_grad_() for _ in range(6)]
    outs = _net(torch.randn(32, dtype=torch.float64), weights)[1]
    wanted = torch.autograd.grad(outs[-1].sum(), weights)
    values = [weight.detach() for weight in weights]
    held = [out.detach() for out in outs]
    slopes = [(out * (1 - out))[None] for out in held[1:]]
    deltas = [delta[0] for delta in recursion(slopes[-1], values, slopes)]
    printed = min(float((torch.outer(deltas[at + 1], held[at + 1]) - wanted[at]).abs().max()) for at in range(5))
    delta, largest, numbers = held[-1] * (1 - held[-1]), 0.0, []
    for layer in reversed(range(6)):
        held.pop()
        largest = max(largest, float((torch.outer(delta, held[-1]) - wanted[layer]).abs().max()))
        numbers.append(32 * (len(held) - 1))
        delta = values[layer].T @ delta * held[-1] * (1 - held[-1])
    return Finding(
        holds=largest < 1e-12 and numbers[-1] == 0,
        limited=printed > 1e-6,
        numbers={
            "largest difference from automatic differentiation": largest,
            "outputs held after the first layer backward": float(numbers[0]),
            "outputs held after the last": float(numbers[-1]),
            "least difference of the printed indices": printed,
        },
        remark="With δ of the layer itself and the output of the layer before; the printed indices are one too high.",
    )
