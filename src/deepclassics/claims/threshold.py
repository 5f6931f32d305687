"""Claims about one threshold unit, and the few that it takes where one is not enough.

Letters: B examples, D inputs of a unit.
"""

import itertools
import math

import torch
from torch import Tensor

from deepclassics.claims import Finding
from deepclassics.layers.units import Draft, Units
from deepclassics.systems.foundations.perceptron import meeting_point

ROWS = torch.tensor(list(itertools.product([0.0, 1.0], repeat=2)))  # 00, 01, 10, 11
_FUNCTIONS = {values: torch.tensor(values) for values in itertools.product([False, True], repeat=4)}
_AND, _OR, _XOR = (False, False, False, True), (False, True, True, True), (False, True, True, False)


def built(draft: Draft) -> Units:
    """The network of a draft."""
    net = Units(draft.inputs)
    net.take(draft)
    return net


def _separable(x: Tensor, truth: Tensor) -> bool:  # (B, D), (B,) of bool
    """Whether one threshold unit is 1 where `truth` is and 0 elsewhere; a linear program decides."""
    return bool(truth.all() or not truth.any() or meeting_point(x[truth], x[~truth]) is None)


def c002_nonsep() -> Finding:
    """A perceptron cannot represent classes that are not linearly separable, for example AND and OR.

    Notes: F0 L19.

    Each of the 16 functions of two inputs is put to a linear program, and to all units with weights -2 ... 2 and
    thresholds -3.5 ... 3.5. The statement is right; its examples are separable, and XOR and its complement are not.
    """
    reached = set()
    for first, second, threshold in itertools.product(range(-2, 3), range(-2, 3), range(-4, 4)):
        fired = ROWS @ torch.tensor([float(first), float(second)]) >= threshold + 0.5
        reached.add(tuple(fired.tolist()))
    separable = {values for values, truth in _FUNCTIONS.items() if _separable(ROWS, truth)}
    missed = [values for values in _FUNCTIONS if values not in separable]
    return Finding(
        holds=not reached & set(missed) and not {_AND, _OR} & separable,
        numbers={
            "functions of two inputs": 16.0,
            "separable ones": float(len(separable)),
            "ones that some unit of the search computes": float(len(reached)),
            "AND is separable": float(_AND in separable),
            "OR is separable": float(_OR in separable),
            "XOR is separable": float(_XOR in separable),
        },
        remark="The statement is right, its examples are not: AND and OR are separable, XOR and its complement "
        "are not.",
    )


def c006_weight_ideal() -> Finding:
    """A unit's weights are its ideal input: w·x is largest where x is most like w.

    Notes: F0 L51.

    Gradient ascent on w·x from ten random inputs of 20 numbers: once with every step brought back to length 1, where
    it must end at w/‖w‖, and once without. Without, the sum grows for ever, and an input that is less like w but
    longer beats w itself.
    """
    w = torch.randn(20, dtype=torch.float64)
    start = torch.randn(10, 20, dtype=torch.float64)
    held, free = start / start.norm(dim=1, keepdim=True), start.clone()
    sums = []
    for _ in range(200):
        held = held + 0.1 * w
        held = held / held.norm(dim=1, keepdim=True)
        free = free + 0.1 * w
        sums.append(float((free @ w).mean()))
    likeness = torch.cosine_similarity(held, w[None], dim=1)
    aside = torch.randn(20, dtype=torch.float64)
    longer = 3 * w + 3 * w.norm() * aside / aside.norm()
    return Finding(
        holds=bool((1 - likeness < 1e-9).all()),
        limited=sums[-1] > 1.9 * sums[99] and bool(longer @ w > w @ w),
        numbers={
            "least cosine to w after ascent at length 1": float(likeness.min()),
            "w·x after 100 steps of free ascent": sums[99],
            "w·x after 200 steps of free ascent": sums[-1],
            "w·x of w itself": float(w @ w),
            "w·x of a longer input": float(longer @ w),
            "cosine of the longer input to w": float(torch.cosine_similarity(longer, w, dim=0)),
        },
        remark="Among inputs of one length. Without that there is no largest sum, and a long input beats a like one.",
    )


def c038_xor_impossible() -> Finding:
    """A single perceptron can do AND, OR and NOT, but not XOR.

    Notes: F2 L103, L122.

    Every one of the 16 functions of two inputs is put to a linear program, which finds a separating line or a point
    that lies between both classes (Farkas' lemma). XOR and its complement are the only two without a line.
    """
    separable = {values: _separable(ROWS, truth) for values, truth in _FUNCTIONS.items()}
    gates = {"and": _AND, "or": _OR, "not": (True, True, False, False), "xor": _XOR}
    found = {f"{name} is separable": float(separable[values]) for name, values in gates.items()}
    return Finding(
        holds=all(separable[gates[name]] for name in ("and", "or", "not")) and not separable[gates["xor"]],
        numbers={**found, "functions of two inputs": 16.0, "separable ones": float(sum(separable.values()))},
    )


def c041_corr() -> Finding:
    """A perceptron fires where the input is within a given angle of its weights: it is a correlation filter.

    Notes: F2 L150-157.

    100,000 inputs of five numbers, thresholds from -0.9 to 0.9 of ‖w‖: a unit with threshold T must fire where the
    angle is at most arccos(T/‖w‖). On inputs of length 1 it does; where lengths differ the angle alone does not tell,
    except at T = 0.
    """
    w = torch.randn(5, dtype=torch.float64)
    x = torch.randn(100_000, 5, dtype=torch.float64)
    short = x / x.norm(dim=1, keepdim=True)
    angle = torch.atan2((short - (short @ w / w.dot(w))[:, None] * w).norm(dim=1), short @ w / w.norm())
    unlike, unlike_free, at_zero = 0, 0, 0
    for share in (-0.9, -0.5, 0.0, 0.5, 0.9):
        near = angle <= math.acos(share)
        unlike += int(((short @ w >= share * w.norm()) != near).sum())
        wrong = int(((x @ w >= share * w.norm()) != near).sum())
        unlike_free += wrong
        at_zero += wrong if share == 0 else 0
    return Finding(
        holds=unlike == 0,
        limited=unlike_free > 0,
        numbers={
            "disagreements on inputs of length 1, of 500,000": float(unlike),
            "disagreements on inputs of any length, of 500,000": float(unlike_free),
            "of these with threshold 0": float(at_zero),
        },
        remark="For inputs of one length. A long input fires the unit from farther away.",
    )


def c140_xor_nonunique() -> Finding:
    """The solution of XOR is not unique, and it takes two lines.

    Notes: F3 L406, L418.

    Hidden units are taken from the 14 functions that one unit can compute. Each unordered pair of them is a solution
    where XOR is a threshold function of their two values, which a linear program decides. One hidden unit without the
    inputs beside it never suffices; with them it does, and the second line is the output unit's.
    """
    units = [truth for truth in _FUNCTIONS.values() if _separable(ROWS, truth)]
    xor = _FUNCTIONS[_XOR]

    def solved(*columns: Tensor) -> bool:
        return _separable(torch.stack([column.float() for column in columns], 1), xor)

    one = sum(solved(unit) for unit in units)
    pairs = sum(solved(first, second) for first, second in itertools.combinations(units, 2))
    beside = sum(solved(unit, *ROWS.T) for unit in units)
    return Finding(
        holds=pairs >= 2 and one == 0 and not _separable(ROWS, xor),
        numbers={
            "solutions without a hidden unit": float(_separable(ROWS, xor)),
            "solutions with one hidden unit": float(one),
            "solutions with one hidden unit and the inputs beside it": float(beside),
            "solutions with two hidden units": float(pairs),
        },
    )


def c195_engine() -> Finding:
    """A network fires where the combination of the features it detects matches an acceptable pattern.

    Notes: F2 L185.

    A network is built unit by unit for pictures of 3 x 3 black and white pixels: six detectors of full rows and
    columns, and an output that accepts a full row together with a full column. It must fire on exactly those of the
    512 pictures that have both.
    """
    pictures = torch.tensor(list(itertools.product([0.0, 1.0], repeat=9)))
    draft = Draft(9)
    rows = [draft.add({3 * row + column: 1.0 for column in range(3)}, 3) for row in range(3)]
    columns = [draft.add({3 * row + column: 1.0 for row in range(3)}, 3) for column in range(3)]
    either = [draft.add(dict.fromkeys(lines, 1.0), 1) for lines in (rows, columns)]
    net = built(draft.finish(draft.add(dict.fromkeys(either, 1.0), 2)))
    fired = net(pictures)[:, 0] == 1
    board = pictures.view(-1, 3, 3).bool()
    right = board.all(2).any(1) & board.all(1).any(1)
    return Finding(
        holds=bool((fired == right).all()),
        numbers={
            "pictures": 512.0,
            "pictures with a full row and a full column": float(right.sum()),
            "pictures it fires on": float(fired.sum()),
            "wrong answers": float((fired != right).sum()),
        },
    )


def c198_wplane() -> Finding:
    """The weight vector, the bias among its components, is orthogonal to all points of the hyperplane.

    Notes: F2 L458.

    10,000 random points of a hyperplane w·x + b = 0 in seven dimensions. With the bias as one more component and 1 as
    one more input the product is 0, as printed; without it the product is -b, and it is the differences of points
    that are orthogonal.
    """
    w, b = torch.randn(7, dtype=torch.float64), 0.8
    x = torch.randn(10_000, 7, dtype=torch.float64)
    x = x - ((x @ w + b) / w.dot(w))[:, None] * w
    whole = torch.cat([x, torch.ones(len(x), 1, dtype=torch.float64)], 1) @ torch.cat([w, w.new_tensor([b])])
    between = (x[1:] - x[:-1]) @ w
    return Finding(
        holds=bool(whole.abs().max() < 1e-12 and between.abs().max() < 1e-12),
        numbers={
            "largest |W·X| with the bias in W": float(whole.abs().max()),
            "largest |w·(x - x')| without it": float(between.abs().max()),
            "mean w·x without it": float((x @ w).mean()),
            "bias": b,
        },
    )
