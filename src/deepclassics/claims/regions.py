"""Claims about regions of the plane: what threshold networks can cut out of it, and with how many units.

Letters: B points, L lines, V corners of a polygon. The checkerboard has eight lines each way, 81 cells, the corner
cells white; it lies on [0, 9] x [0, 9].
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.claims import Finding
from deepclassics.claims.threshold import built
from deepclassics.data.kinds.region import Region
from deepclassics.data.sets import checkerboard16
from deepclassics.layers.units import Draft, Units
from deepclassics.systems.foundations.boolean import conjunction
from deepclassics.systems.foundations.regions import of_cells, of_parity, of_polygons

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Corner = tuple[float, float]


def _grid(low: float, high: float, points: int) -> Tensor:  # -> (points², 2)
    """The middles of the fields of a grid, so that none lies on a line through its corners."""
    side = low + (high - low) * (torch.arange(points, dtype=torch.float64) + 0.5) / points
    return torch.cartesian_prod(side, side)


def _region(*polygons: Sequence[Corner]) -> Region:
    return Region(tuple(torch.tensor(corners, dtype=torch.float64) for corners in polygons))


def _convex(draft: Draft, corners: Sequence[Corner]) -> int:
    """A unit a side, 1 on the left of it, and their AND: a convex polygon whose corners run anticlockwise."""
    sides = []
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        sides.append(draft.add({0: y1 - y2, 1: x2 - x1}, x2 * y1 - x1 * y2))
    return conjunction(draft, dict.fromkeys(sides, True))


def _star(corners: int, generator: torch.Generator) -> list[Corner]:
    """A polygon around 0 with corners at random distances, so that it is seldom convex."""
    angles = (torch.arange(corners) + 0.3 * torch.rand(corners, generator=generator)) * 2 * math.pi / corners
    radii = 0.3 + 0.7 * torch.rand(corners, generator=generator)
    return [(r * math.cos(a), r * math.sin(a)) for a, r in zip(angles.tolist(), radii.tolist(), strict=True)]


def _pentagon(x: float, y: float, radius: float = 1.0) -> list[Corner]:
    angles = [math.pi / 2 + 2 * math.pi * corner / 5 for corner in range(5)]
    return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]


def _black(points: Tensor) -> Tensor:  # (B, 2) in [0, 9] -> (B,) of bool
    """Whether a point lies on a black cell of the checkerboard."""
    return points.floor().sum(1) % 2 == 1


def c039_any_surface() -> Finding:
    """Any number of linear classifiers, properly combined, represent any decision surface.

    Notes: F2 L127.

    Ten random polygons of 5 to 14 corners, most of them not convex: the package cuts each into convex pieces, a piece
    is the AND of half-planes, the polygon the OR of its pieces. On a grid of 40,000 points the network must agree with
    the count of the border's crossings.
    """
    generator, points = torch.Generator().manual_seed(0), _grid(-1, 1, 200)
    shares, units = [], 0
    for corners in range(5, 15):
        region = _region(_star(corners, generator))
        net = built(of_polygons(region))
        shares.append(float(((net(points)[:, 0] == 1) == region.contains(points)).double().mean()))
        units = max(units, net.counts()["units"])
    return Finding(
        holds=min(shares) >= 0.999,
        numbers={"polygons": 10.0, "least share of points that agree": min(shares), "most units": float(units)},
    )


def c051_concl_one() -> Finding:
    """One layer of infinitely many neurons fits any decision surface, but a deep network requires fewer.

    Notes: F2 L304.

    The double pentagon of the notes. Two hidden layers, 13 units in all, are exact on a grid. In one hidden layer the
    units are lines in evenly spread directions at evenly spread distances, of which the notes' cylinders are made, and
    the output's weights are found by least squares on 8,100 points; errors are counted on a finer grid.
    """
    pentagons = (_pentagon(-1.15, 0.1), _pentagon(1.15, -0.1))
    points, fine = _grid(-2.5, 2.5, 90), _grid(-2.5, 2.5, 131)
    region = _region(*pentagons)
    truth, right = region.contains(points), region.contains(fine)
    deep = built(of_polygons(region))
    numbers = {
        "units of two hidden layers and output": float(deep.counts()["units"]),
        "error of two hidden layers": float(((deep(fine)[:, 0] == 1) != right).double().mean()),
    }
    errors: dict[int, float] = {}
    for directions in (4, 8, 16, 24):
        angle = math.pi * torch.arange(directions, dtype=torch.float64) / directions
        normal = torch.stack([angle.cos(), angle.sin()])  # (2, directions)
        offsets = torch.linspace(-2.3, 2.3, 2 * directions, dtype=torch.float64)

        def hidden(x: Tensor, normal: Tensor = normal, offsets: Tensor = offsets) -> Tensor:  # (B, 2) -> (B, L + 1)
            fired = (x @ normal)[:, :, None] >= offsets
            return torch.cat([fired.flatten(1), torch.ones(len(x), 1, dtype=torch.bool)], 1).double()

        seen = hidden(points)
        gram = seen.T @ seen
        gram.diagonal().add_(1e-3)
        weight = torch.linalg.solve(gram, seen.T @ (2 * truth.double() - 1))
        units = normal.shape[1] * len(offsets)
        errors[units] = float(((hidden(fine) @ weight >= 0) != right).double().mean())
        numbers[f"error of one hidden layer, {units} units"] = errors[units]
    falls = list(errors.values())

    def draw() -> "Figure":
        from deepclassics.report.style import BLUE, GREEN, grid, sheet

        figure = sheet(8, 3.2)
        axes = figure.add_subplot(1, 2, 1)
        shown = (hidden(fine) @ weight >= 0).view(131, 131).T
        axes.imshow(shown, origin="lower", extent=(-2.5, 2.5, -2.5, 2.5), cmap="Blues", vmax=1.6)
        for one in pentagons:
            axes.plot(*zip(*[*one, one[0]], strict=True), color=GREEN, linewidth=1)
        axes.set_title(f"One layer of {units:,} lines")
        axes.set_xlabel("green: the pentagons")
        axes = figure.add_subplot(1, 2, 2)
        axes.semilogx(list(errors), [100 * error for error in falls], marker="o", color=BLUE)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.plot([13], [0], "o", color=GREEN, clip_on=False)
        axes.annotate("two layers: 13 units, exact", (15, 0.05), color=GREEN)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("units of one hidden layer")
        axes.set_ylabel("points that are wrong, %")
        grid(axes)
        return figure

    return Finding(
        holds=numbers["error of two hidden layers"] == 0
        and all(late < early for early, late in itertools.pairwise(falls))
        and all(error > 0 for error in falls),
        numbers=numbers,
        draw=draw,
    )


def c052_cyl_half() -> Finding:
    """N lines around a centre make a cylinder: their sum is N inside and quickly drops to N/2 outside.

    Notes: F2 L292.

    1,000 half-planes that touch a circle of radius r, summed at 400 points in every distance d. Outside, the sum is
    N (1 - arccos(r/d)/π), which is near N/2 only far away.
    """
    lines = 1000
    angle = 2 * math.pi * torch.arange(lines, dtype=torch.float64) / lines
    normal = torch.stack([angle.cos(), angle.sin()])
    around = 2 * math.pi * torch.arange(400, dtype=torch.float64) / 400 + 0.001
    circle = torch.stack([around.cos(), around.sin()], 1)

    def sums(distance: float) -> Tensor:
        return (distance * circle @ normal <= 1).sum(1).double()

    far = {distance: float(sums(distance).mean()) / lines for distance in (1.01, 1.1, 1.5, 2.0, 5.0, 10.0, 100.0)}
    formula = {distance: 1 - math.acos(1 / distance) / math.pi for distance in far}

    def draw() -> "Figure":
        from deepclassics.report.style import BLUE, ORANGE, VERMILLION, grid, sheet

        figure = sheet(5.6, 3.2)
        axes = figure.add_subplot()
        places = [0.02 * place for place in range(301)]
        for count, colour in ((4, ORANGE), (16, VERMILLION), (lines, BLUE)):
            turn = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count + 0.1
            profile = [float((place * turn.cos() <= 1).sum()) / count for place in places]
            axes.plot(places, profile, label=f"{count:,} lines", color=colour)
        axes.axhline(0.5, color="#444444", linewidth=0.8, linestyle="--")
        axes.set_xlabel("distance from the centre, in radii")
        axes.set_ylabel("sum, as a share of N")
        axes.set_title("Full inside; half is reached only far outside")
        axes.legend()
        grid(axes)
        return figure

    return Finding(
        holds=bool((sums(0.5) == lines).all())
        and max(abs(far[d] - formula[d]) for d in far) < 2 / lines
        and abs(far[100.0] - 0.5) < 0.005,
        limited=far[2.0] > 0.6,
        numbers={
            "sum within the circle, as a share of N": float(sums(0.5).mean()) / lines,
            **{f"sum at {distance:g} radii, as a share of N": value for distance, value in far.items()},
            "largest difference from N (1 - arccos(r/d)/π), in lines": lines
            * max(abs(far[d] - formula[d]) for d in far),
        },
        remark=f"It drops steeply at the border and then slowly: {far[2.0]:.2g} of N is left at two radii.",
        draw=draw,
    )


def c053_concl21() -> Finding:
    """Conclusion 2.1: with two inputs the second layer needs (N+2)²/8 neurons, which grows exponentially.

    Notes: F2 L310-321.

    The checkerboard of N lines, half of them each way, as lines, an AND a black cell, and an OR; the package builds the
    net for N = 16 both ways, and it is asked about 10,000 points. The cells number (N/2+1)², one half of them, rounded
    up or down, black. Exponential growth would square the number when N doubles; it is multiplied by 4, which is
    quadratic. At N = 16 the net of ANDs is even smaller than that of 15 XORs of three units.
    """

    def cells(lines: int) -> int:
        return (lines // 2 + 1) ** 2 // 2

    points = torch.rand(10_000, 2) * 9
    flat, deep = _checkerboard(), _checkerboard(by_xor=True)
    wrong = [int(((net(points)[:, 0] == 1) != _black(points)).sum()) for net in (flat, deep)]
    whole = [lines for lines in range(4, 66, 2) if (lines + 2) ** 2 / 8 == cells(lines)]
    smaller = min(lines for lines in range(4, 66, 2) if 3 * (lines - 1) < cells(lines) + 1)
    doubling = cells(512) / cells(256)
    return Finding(
        holds=wrong == [0, 0] and len(whole) == len(range(4, 66, 2)) and doubling >= cells(256),
        numbers={
            "wrong answers of 10,000, ANDs": float(wrong[0]),
            "wrong answers of 10,000, XORs": float(wrong[1]),
            "second-layer neurons as printed, N = 16": (16 + 2) ** 2 / 8,
            "second-layer neurons as built, N = 16": float(flat.counts()["units"] - 17),
            "all units by ANDs, N = 16": float(flat.counts()["units"]),
            "all units by XORs, N = 16": float(deep.counts()["units"]),
            "N from which the XORs take fewer": float(smaller),
            "factor when N doubles from 256": doubling,
        },
        remark="It is one half of (N/2+1)², rounded, and grows as N², not exponentially; exponential growth comes "
        "with the number of inputs.",
        draw=_board,
    )


def _checkerboard(by_xor: bool = False) -> Units:
    """The package's nets of the checkerboard: an AND of lines for each black cell, or XORs of all 16 lines."""
    board = checkerboard16.read({})
    return built(of_parity(board, 3) if by_xor else of_cells(board))


def _board() -> "Figure":
    from deepclassics.report.style import BLUE, VERMILLION, grid, sheet

    figure = sheet(7.6, 3.2)
    axes = figure.add_subplot(1, 2, 1)
    shown = _checkerboard()(_grid(0, 9, 180))[:, 0].view(180, 180).T
    axes.imshow(shown, origin="lower", extent=(0, 9, 0, 9), cmap="Greys", vmax=1.3)
    axes.set_title("16 lines, 40 ANDs, one OR")
    axes = figure.add_subplot(1, 2, 2)
    sizes = list(range(4, 41, 2))
    axes.plot(sizes, [size + (size // 2 + 1) ** 2 // 2 + 1 for size in sizes], color=BLUE, label="ANDs of cells")
    axes.plot(sizes, [size + 3 * (size - 1) for size in sizes], color=VERMILLION, label="XORs of three units")
    axes.set_xlabel("lines")
    axes.set_ylabel("units")
    axes.set_title("Quadratic against linear")
    axes.legend()
    grid(axes)
    return figure


def c054_shallow_exp() -> Finding:
    """With the input's dimension the Karnaugh-style network grows exponentially, the XOR network hardly.

    Notes: F2 L321.

    Checkerboards in 1 to 5 dimensions with four hyperplanes along each axis. The cells of one colour, an AND each, are
    counted one by one, and both networks' answers compared at 2,000 points; with N = 4D hyperplanes the XORs take
    3(N-1) units.
    """
    ands, xors, wrong = [], [], 0
    for dimensions in range(1, 6):
        cells = torch.cartesian_prod(*[torch.arange(5)] * dimensions).view(-1, dimensions)
        black = cells[cells.sum(1) % 2 == 1]
        ands.append(len(black))
        xors.append(3 * (4 * dimensions - 1))
        x = torch.rand(2000, dimensions) * 5
        sides = (x[:, :, None] >= torch.arange(1.0, 5.0)).flatten(1)  # (B, N)
        folded = sides[:, 0]
        for side in sides.T[1:]:
            folded = folded ^ side
        listed = (x.floor().long()[:, None] == black).all(2).any(1)
        wrong += int((folded != listed).sum())
    growth = [late / early for early, late in itertools.pairwise(ands)]
    steps = [late - early for early, late in itertools.pairwise(xors)]
    return Finding(
        holds=wrong == 0 and min(growth[1:]) > 4 and len(set(steps)) == 1,
        numbers={
            **{f"ANDs in {place + 1} dimensions": float(count) for place, count in enumerate(ands)},
            "factor a dimension": growth[-1],
            **{f"units of the XORs in {place} dimensions": float(xors[place - 1]) for place in (2, 5)},
            "points where the two differ, of 10,000": float(wrong),
        },
    )


def c055_capacity() -> Finding:
    """With 8 lines for 16, or 16 second-layer neurons for 40, patterns are lost that no later layer recovers.

    Notes: F2 L342-353.

    The checkerboard of 81 cells. Of 16 lines any 8 are kept, in all 12,870 ways: cells that lie on the same side of
    all lines share a code, and whatever follows can at best give each code its commoner colour. With all lines and 16
    ANDs for 40, the other black cells are lost. But 16 second-layer units need not be ANDs: "at least k lines are
    passed", weighed +1 and -1 in turn, are exact, which is checked at 10,000 points.
    """
    kept: dict[int, dict[int, int]] = {}  # how many lines -> odd groups of columns they leave -> in how many ways
    for chosen in itertools.product([False, True], repeat=8):
        borders = [0, *[place + 1 for place, line in enumerate(chosen) if line], 9]
        odd = sum((late - early) % 2 for early, late in itertools.pairwise(borders))
        ways = kept.setdefault(sum(chosen), {})
        ways[odd] = ways.get(odd, 0) + 1
    # A block of cells with an odd number of columns and of rows has one cell more of one colour; others have none.
    shares = {
        (columns * rows + 81) / 2 / 81: ways * others
        for lines in range(9)
        for columns, ways in kept[lines].items()
        for rows, others in kept[8 - lines].items()
    }
    points = torch.rand(10_000, 2) * 9
    right = float((_levels(points, _step) == _black(points)).double().mean())
    return Finding(
        holds=max(shares) < 1,
        limited=right == 1,
        numbers={
            "best share of cells with 8 of 16 lines": max(shares),
            "worst choice of 8 lines, best share": min(shares),
            "share of cells with 16 ANDs for 40": (81 - 40 + 16) / 81,
            "share of points with 16 units that are no ANDs": right,
        },
        remark="Lost lines are lost. But 16 second-layer units suffice where they need not be ANDs of lines.",
    )


def _step(sums: Tensor) -> Tensor:
    return (sums >= 0).double()


def _levels(points: Tensor, act: Callable[[Tensor], Tensor]) -> Tensor:  # (B, 2) -> (B,) of bool
    """The checkerboard by 16 lines, 16 units that count them, and an output that is 1 on odd counts."""
    lines = act((points.double()[:, :, None] - torch.arange(1.0, 9.0)).flatten(1))
    levels = act(lines.sum(1, keepdim=True) - torch.arange(1, 17) + 0.5)
    signs = 1.0 - 2 * (torch.arange(16) % 2)
    return levels @ signs.double() >= 0.5


def c059_any_act_enough() -> Finding:
    """Any activation, even a threshold, captures every pattern, given enough depth and width.

    Notes: F2 L374.

    The checkerboard by 16, 16 and one unit with the activations swapped: a threshold, a steep sigmoid, a steep tanh
    brought to [0, 1], and steep ramps of two ReLUs. With none, a linear network of any size is one line, the best of
    which is sought by least squares; it stays near a coin's throw. Points within 0.02 of a line are left out.
    """
    points = torch.rand(20_000, 2, dtype=torch.float64) * 9
    points = points[((points - points.round()).abs() > 0.02).all(1)]
    black = _black(points)
    acts: dict[str, Callable[[Tensor], Tensor]] = {
        "threshold": _step,
        "sigmoid": lambda sums: torch.sigmoid(400 * sums),
        "tanh": lambda sums: (1 + torch.tanh(200 * sums)) / 2,
        "ReLU": lambda sums: torch.relu(100 * sums + 0.5) - torch.relu(100 * sums - 0.5),
    }
    shares = {name: float((_levels(points, act) == black).double().mean()) for name, act in acts.items()}
    x = torch.cat([points, torch.ones(len(points), 1, dtype=torch.float64)], 1)
    weight = torch.linalg.lstsq(x, 2 * black.double()[:, None] - 1, driver="gelsd").solution[:, 0]
    linear = float(((x @ weight >= 0) == black).double().mean())
    return Finding(
        holds=min(shares.values()) == 1,
        limited=linear < 0.6,
        numbers={
            **{f"share of points that are right, {name}": share for name, share in shares.items()},
            "share of points that are right, linear": linear,
        },
        remark="Any but a linear one.",
    )


def c141_hidden_convex() -> Finding:
    """Each hidden node realises one border line of a convex region.

    Notes: F3 L399.

    Random convex polygons of 3 to 12 corners, a hidden unit a side and an AND: on a grid of 40,000 points the network
    must agree with the polygon, each unit must change its value across its own side, and without any one of the units
    the region must be larger.
    """
    generator, points = torch.Generator().manual_seed(0), _grid(-1.2, 1.2, 200)
    wrong, idle, astray, sides = 0, 0, 0, 0
    for corners in range(3, 13):
        angles = (torch.arange(corners) + 0.8 * torch.rand(corners, generator=generator)) * 2 * math.pi / corners
        polygon = [(math.cos(angle), 0.8 * math.sin(angle)) for angle in angles.tolist()]
        draft = Draft(2)
        net = built(draft.finish(_convex(draft, polygon)))
        wrong += int(((net(points)[:, 0] == 1) != _region(polygon).contains(points)).sum())
        fired = net.values(points)[:, 2:-1]
        for side, (first, second) in enumerate(zip(polygon, [*polygon[1:], polygon[0]], strict=True)):
            others = fired[:, [unit for unit in range(corners) if unit != side]].all(1)
            idle += int(not (others & (fired[:, side] == 0)).any())
            middle = torch.tensor([first, second], dtype=torch.float64).mean(0)
            outward = torch.tensor([second[1] - first[1], first[0] - second[0]], dtype=torch.float64)
            across = net.values(torch.stack([middle - 1e-6 * outward, middle + 1e-6 * outward]))[:, 2 + side]
            astray += int(across.tolist() != [1, 0])
            sides += 1
    return Finding(
        holds=wrong == 0 and idle == 0 and astray == 0,
        numbers={
            "hidden units, one a side": float(sides),
            "points where net and polygon differ, of 400,000": float(wrong),
            "units whose side is not where they change": float(astray),
            "units without which the region is the same": float(idle),
        },
    )
