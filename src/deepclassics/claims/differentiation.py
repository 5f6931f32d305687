"""Claims about derivatives: approximations of first order, chains of Jacobians, gradients, minima.

Letters: M and N rows and columns of a matrix, L layers.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from deepclassics.claims import Finding


def _smooth(x: Tensor, first: Tensor, second: Tensor) -> Tensor:  # (3,), (4, 3), (2, 4) -> (2,)
    return second @ torch.tanh(first @ x) + (x * x).sum()


def c009_wgrad() -> Finding:
    """The derivative by a weight needs the value at the node it comes from and the derivative at the node it goes to.

    Notes: F0 L91.

    A network of 4, 5, 3 and 1 units and 20 random inputs: for each of the 38 edges the product of the two is compared
    with automatic differentiation.
    """
    weights = [torch.randn(rows, columns, dtype=torch.float64) for rows, columns in ((5, 4), (3, 5), (1, 3))]
    largest = 0.0
    for _ in range(20):
        matrices = [weight.clone().requires_grad_() for weight in weights]
        values, sums = [torch.randn(4, dtype=torch.float64)], []
        for matrix in matrices:
            sums.append(matrix @ values[-1])
            sums[-1].retain_grad()
            values.append(torch.tanh(sums[-1]))
        (values[-1] - 0.3).square().sum().backward()
        for matrix, source, target in zip(matrices, values, sums, strict=False):
            assert matrix.grad is not None
            assert target.grad is not None
            product = target.grad[:, None] * source.detach()[None, :]
            largest = max(largest, float((product - matrix.grad).abs().max()))
    edges = sum(weight.numel() for weight in weights)
    return Finding(
        holds=largest < 1e-12,
        numbers={"edges": float(edges), "largest difference from automatic differentiation": largest},
    )


def c010_vanish0() -> Finding:
    """Very many layers may make gradients vanish; ReLU solves this effectively and so replaced the sigmoid.

    Notes: F0 L93-97.

    Networks of 20 layers of 64 units: the length of the gradient at the first layer's sums over that at the last's,
    the median of 20 seeds. Sigmoids lose it exponentially with the weights of Glorot and Bengio (2010). ReLUs keep it
    within a factor of 10 with those of He et al. (2015), whose standard deviation is √(2/64); with half of these
    weights they lose it too, and with twice of them it explodes.
    """
    depths = (5, 10, 20)

    def ratio(act: Callable[[Tensor], Tensor], deviation: float, depth: int) -> float:
        found = []
        for seed in range(20):
            generator = torch.Generator().manual_seed(seed)
            x, sums = torch.randn(16, 64, generator=generator, dtype=torch.float64), []
            for _ in range(depth):
                weight = deviation * torch.randn(64, 64, generator=generator, dtype=torch.float64)
                sums.append((x @ weight).requires_grad_())
                x = act(sums[-1])
            first, last = torch.autograd.grad(x.sum(), [sums[0], sums[-1]])
            found.append(float(first.norm() / last.norm()))
        return float(torch.tensor(found).median())

    glorot, he = math.sqrt(1 / 64), math.sqrt(2 / 64)
    sigmoid = {depth: ratio(torch.sigmoid, glorot, depth) for depth in depths}
    relu = {depth: ratio(torch.relu, he, depth) for depth in depths}
    half, twice = ratio(torch.relu, he / 2, 20), ratio(torch.relu, 2 * he, 20)
    return Finding(
        holds=sigmoid[20] < 1e-6 and sigmoid[10] < sigmoid[5] / 100 and all(0.1 < each < 10 for each in relu.values()),
        limited=half < 1e-3 or twice > 1e3,
        numbers={
            **{f"first over last gradient, {depth} layers, sigmoid": each for depth, each in sigmoid.items()},
            **{f"first over last gradient, {depth} layers, ReLU": each for depth, each in relu.items()},
            "first over last gradient, 20 layers, ReLU, half the weights": half,
            "first over last gradient, 20 layers, ReLU, twice the weights": twice,
        },
        remark="With weights of the right size; else ReLU's gradients vanish or explode as well.",
    )


def c011_sgd0() -> Finding:
    """Gradient descent need not use the whole data set for a step: a random part of the examples does.

    Notes: F0 L101.

    A linear regression of 200 examples: the gradients of the single examples must average to the whole gradient, and
    20,000 steps on one random example each, at a rate that falls as 1/t, must end near the least-squares solution. The
    median of ten seeds decides.
    """
    x = torch.randn(200, 5, dtype=torch.float64)
    y = x @ torch.randn(5, dtype=torch.float64) + 0.3 * torch.randn(200, dtype=torch.float64)
    w = torch.randn(10, 5, dtype=torch.float64)  # a seed a row
    residual = x @ w.T - y[:, None]
    singles = residual[:, :, None] * x[:, None]
    apart = float((singles.mean(0) - residual.T @ x / 200).abs().max())
    best = torch.linalg.lstsq(x, y[:, None], driver="gelsd").solution[:, 0]
    for step in range(20_000):
        row = torch.randint(200, (10,))
        error = (w * x[row]).sum(1) - y[row]
        w = w - 0.1 / (1 + step / 200) * error[:, None] * x[row]
    off = float(((w - best).norm(dim=1) / best.norm()).median())
    return Finding(
        holds=apart < 1e-12 and off < 0.02,
        numbers={
            "largest difference of mean and whole gradient": apart,
            "relative distance from the solution after 20,000 steps of one example, median": off,
        },
    )


def c012_taylor() -> Finding:
    """f(x + ε) ≈ f(x) + f'(x) ε, and for vectors f(x) + J ε: the approximation of first order is right for small ε.

    Notes: F0 L139-145.

    e^x sin x at 0.7, and a map from three numbers to two, with ε from 1e-1 down to 1e-4: the error must fall with the
    square of ε.
    """
    x = torch.tensor(0.7, dtype=torch.float64)
    slope = x.exp() * (x.sin() + x.cos())
    point, direction = torch.randn(2, 3, dtype=torch.float64)
    direction = direction / direction.norm()
    first, second = torch.randn(4, 3, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    slopes = jacobian(lambda x: _smooth(x, first, second), point)
    errors: dict[str, dict[float, float]] = {"scalar": {}, "vector": {}}
    for small in (1e-1, 1e-2, 1e-3, 1e-4):
        near = (x + small).exp() * (x + small).sin()
        errors["scalar"][small] = float((near - x.exp() * x.sin() - slope * small).abs())
        moved = _smooth(point + small * direction, first, second)
        linear = _smooth(point, first, second) + slopes @ direction * small
        errors["vector"][small] = float((moved - linear).norm())
    orders = {kind: math.log10(each[1e-2] / each[1e-4]) / 2 for kind, each in errors.items()}
    return Finding(
        holds=all(abs(order - 2) < 0.05 for order in orders.values()),
        numbers={
            **{
                f"error of the {kind} one, ε = {small:g}": each[small]
                for kind, each in errors.items()
                for small in each
            },
            **{f"order of the error in ε, {kind}": order for kind, order in orders.items()},
        },
    )


def c013_jchain() -> Finding:
    """The Jacobian of a composition is the product of the Jacobians: J of z by x is J of z by y times J of y by x.

    Notes: F0 L149.

    100 random pairs of maps from three numbers to two to three; automatic differentiation of the whole against the
    product of the parts.
    """
    largest = 0.0
    for _ in range(100):
        x = torch.randn(3, dtype=torch.float64)
        first, second = torch.randn(4, 3, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
        outer = torch.randn(3, 2, dtype=torch.float64)

        def last(y: Tensor, outer: Tensor = outer) -> Tensor:
            return torch.sin(outer @ y)

        def whole(x: Tensor, first: Tensor = first, second: Tensor = second, outer: Tensor = outer) -> Tensor:
            return torch.sin(outer @ _smooth(x, first, second))

        def inner(x: Tensor, first: Tensor = first, second: Tensor = second) -> Tensor:
            return _smooth(x, first, second)

        product = jacobian(last, inner(x)) @ jacobian(inner, x)
        largest = max(largest, float((jacobian(whole, x) - product).abs().max() / product.abs().max()))
    return Finding(holds=largest < 1e-12, numbers={"largest relative difference": largest})


def c014_kron_claim() -> Finding:
    """Where w = W v, the Jacobian of y by the flattened W is the Kronecker product of that of y by w and of v'.

    Notes: F0 L167-172.

    100 random W of 4 rows and 3 columns under a map to two numbers, against automatic differentiation; and the notes'
    example y = W x of 2 rows and 3 columns, whose Jacobian is x' twice, each time moved on by three columns.
    """
    largest = 0.0
    for _ in range(100):
        matrix, v = torch.randn(4, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
        outer = torch.randn(2, 4, dtype=torch.float64)

        def after(w: Tensor, outer: Tensor = outer) -> Tensor:
            return torch.tanh(outer @ w)

        def whole(matrix: Tensor, v: Tensor = v, outer: Tensor = outer) -> Tensor:
            return torch.tanh(outer @ (matrix @ v))

        product = torch.kron(jacobian(after, matrix @ v).contiguous(), v[None])
        largest = max(largest, float((jacobian(whole, matrix).flatten(1) - product).abs().max()))
    x = torch.randn(3, dtype=torch.float64)
    example = jacobian(lambda matrix: matrix @ x, torch.randn(2, 3, dtype=torch.float64)).flatten(1)
    printed = torch.zeros(2, 6, dtype=torch.float64)
    printed[0, :3], printed[1, 3:] = x, x
    return Finding(
        holds=largest < 1e-12 and bool((example == printed).all()),
        numbers={
            "largest difference from automatic differentiation": largest,
            "largest difference of the example": float((example - printed).abs().max()),
        },
    )


def c182_quad_claim() -> Finding:
    """The minimum of 2x² + 3x is -9/2, at x = -3/4.

    Notes: F3 L140-142.

    Newton's method from 10 finds the place where the derivative 4x + 3 is 0, in one step as the function is quadratic,
    and the function is evaluated there. The notes quote an answer of ChatGPT.
    """
    x = torch.tensor(10.0, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(2 * x**2 + 3 * x, x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, x)
    place = float((x - slope / curvature).detach())
    least = 2 * place**2 + 3 * place
    around = torch.linspace(-3, 3, 6001, dtype=torch.float64)
    return Finding(
        holds=abs(place + 0.75) < 1e-12 and abs(least + 4.5) < 1e-12,
        numbers={
            "x of the minimum": place,
            "minimum": least,
            "minimum as printed": -4.5,
            "least of 6,001 values between -3 and 3": float((2 * around**2 + 3 * around).min()),
        },
        remark="The place is right, the value is -9/8.",
    )


def c187_mega() -> Finding:
    """A picture of a million pixels calls for fewer parameters than full connections have.

    Notes: F4 L292.

    A matter of arithmetic, and of what a layer is: one of 1,000 units, fully connected to a million pixels, and a
    filter of 5 x 5 that is shared by all places are declared, without the memory for them, and the parameters that they
    have are counted: a million times as many.
    """
    full = sum(each.numel() for each in nn.Linear(10**6, 1000, device="meta").parameters())
    shared = sum(each.numel() for each in nn.Conv2d(1, 1, 5, device="meta").parameters())
    return Finding(
        holds=full > 1e6 * shared,
        numbers={
            "parameters, fully connected": float(full),
            "gigabytes of them, four bytes each": 4 * full / 1e9,
            "parameters, one shared filter": float(shared),
        },
    )


def c197_perp() -> Finding:
    """The gradient is perpendicular to the contour; along it the function rises fastest, against it it falls fastest.

    Notes: F2 L591-597.

    On 360 points of the ellipse x²/4 + y² = 1, a contour of that function, the gradient by automatic differentiation
    is multiplied with the tangent, known from the ellipse's angle. Then, at 50 random points of a function that is not
    quadratic, a step of 1e-6 in each of 360 directions: the best and the worst must be the ones nearest to the
    gradient and its opposite.
    """
    angle = 2 * math.pi * torch.arange(360, dtype=torch.float64) / 360
    ellipse = torch.stack([2 * angle.cos(), angle.sin()], 1).requires_grad_()
    (gradient,) = torch.autograd.grad((ellipse[:, 0] ** 2 / 4 + ellipse[:, 1] ** 2).sum(), ellipse)
    tangent = torch.stack([-2 * angle.sin(), angle.cos()], 1)
    product = float((gradient * tangent).sum(1).abs().max())

    def height(x: Tensor) -> Tensor:  # (..., 2) -> (...)
        return (1 - x[..., 0]) ** 2 + 5 * (x[..., 1] - x[..., 0] ** 2) ** 2

    directions = torch.stack([angle.cos(), angle.sin()], 1)
    up, down = [], []
    for point in torch.randn(50, 2, dtype=torch.float64):
        slope = jacobian(height, point)
        rise = height(point + 1e-6 * directions) - height(point)
        cosine = directions @ slope / slope.norm()
        up.append(math.degrees(math.acos(min(1.0, float(cosine[rise.argmax()])))))
        down.append(math.degrees(math.acos(max(-1.0, float(cosine[rise.argmin()])))))
    return Finding(
        holds=product < 1e-12 and max(up) < 0.51 and min(down) > 179.49,
        numbers={
            "largest |gradient · tangent|": product,
            "largest angle of gradient and steepest rise, degrees": max(up),
            "least angle of gradient and steepest fall, degrees": min(down),
        },
    )
