"""Claims about the first rules of learning: Hebb's and Rosenblatt's.

Letters: B examples, D features.
"""

import itertools
import operator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.claims import Finding
from deepclassics.claims.threshold import ROWS, built
from deepclassics.layers.units import Draft
from deepclassics.learn import Clock
from deepclassics.schedules import NAMED
from deepclassics.systems.foundations.hebb import Hebbian, Neuron, hebbian, ojas
from deepclassics.systems.foundations.perceptron import Perceptron, PerceptronLearner, meeting_point, mistake_bound

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _taught(x: Tensor, target: Tensor, passes: int) -> tuple[int, int]:  # (B, D), (B,) of -1 and +1
    """Rosenblatt's rule from weights of 0, the bias an input of 1: mistakes made, and least errors after a pass."""
    examples = [(*row, 1.0) for row in x.double().tolist()]  # lists: for a few numbers they are faster than tensors
    signs: list[int] = target.tolist()
    w, mistakes, least = [0.0] * len(examples[0]), 0, len(x)

    def wrong(example: tuple[float, ...], sign: int) -> bool:
        return (sum(map(operator.mul, w, example)) >= 0) != (sign > 0)  # a sum of 0 is answered with +1

    for _ in range(passes):
        for example, sign in zip(examples, signs, strict=True):
            if wrong(example, sign):
                w = [weight + sign * value for weight, value in zip(w, example, strict=True)]
                mistakes += 1
        least = min(least, sum(map(wrong, examples, signs)))
        if not least:
            break
    return mistakes, least


def _separable_set(dimensions: int, examples: int) -> tuple[Tensor, Tensor]:
    """Random points and the sides of a random hyperplane they lie on, the ones nearest to it left out."""
    x, w, b = torch.randn(2 * examples, dimensions), torch.randn(dimensions), 0.5 * torch.randn(1)
    far = ((x @ w + b).abs() / w.norm()).argsort(descending=True)[:examples]
    far = far[torch.randperm(examples)]
    return x[far], torch.where(x[far] @ w + b >= 0, 1, -1)


def c042_hebb_unst() -> Finding:
    """Hebb's learning rule is unstable.

    Notes: F2 L178.

    The package's rules. Δw = η x y with y = w·x, 3,000 correlated inputs of five numbers, η = 0.01, from 20 starting
    points. The length must keep growing; on average it grows as exp(η λ n), λ the largest eigenvalue of the inputs'
    second moments, up to the spread of the inputs. Oja's rule, which takes off η y² w, stays near length 1,
    from four of the points.
    """
    mix = torch.randn(5, 5, dtype=torch.float64) / 2
    x = torch.randn(3000, 5, dtype=torch.float64) @ mix
    largest = float(torch.linalg.eigvalsh(x.T @ x / len(x))[-1])
    hebb = torch.randn(20, 5, dtype=torch.float64)
    hebb = hebb / hebb.norm(dim=1, keepdim=True)
    oja, lengths, tamed, shrunk = hebb[:4].clone(), [], [], 0
    for example in x:
        before, one = hebb.norm(dim=1), example[None]
        hebb = hebb + 0.01 * hebbian(one, (hebb @ example)[:, None])  # (20, 1): a neuron a row
        oja = oja + 0.01 * torch.stack([ojas(one, one @ w, w) for w in oja])
        shrunk += int((hebb.norm(dim=1) < before).sum())
        lengths.append(float(hebb.norm(dim=1).median()))
        tamed.append(float(oja.norm(dim=1).median()))

    def draw() -> "Figure":
        from deepclassics.report.style import BLUE, VERMILLION, grid, sheet

        figure = sheet(5.6, 3.2)
        axes = figure.add_subplot()
        axes.semilogy(lengths, color=VERMILLION, label="Hebb")
        axes.semilogy(tamed, color=BLUE, label="Oja")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("updates")
        axes.set_ylabel("length of the weights")
        axes.set_title("Hebb's weights grow without bound")
        axes.legend()
        grid(axes)
        return figure

    return Finding(
        holds=shrunk == 0 and lengths[-1] > 1e3 * lengths[0] and 0.9 < tamed[-1] < 1.1,
        numbers={
            "updates that shortened the weights": float(shrunk),
            "length after 1,000 updates": lengths[999],
            "length after 3,000 updates": lengths[-1],
            "growth of its logarithm an update, last 2,000": float(
                torch.tensor(lengths[-1] / lengths[999]).log() / 2000
            ),
            "η λ": 0.01 * largest,
            "length under Oja's rule after 3,000 updates": tamed[-1],
        },
        draw=draw,
    )


def c043_rosen_conv() -> Finding:
    """Rosenblatt's rule provably converges; but individual perceptrons are limited in their capacity.

    Notes: F2 L179-180.

    100 random separable sets of 20 points in 2 to 6 dimensions: the rule must come to rest within (R/γ)² mistakes
    (Novikoff 1962). The limit is counted: of all 65,536 functions of four inputs one unit computes those that a linear
    program can part; random ones of them, 300, are taken.
    """
    unsettled, beyond, nearest = 0, 0, 0.0
    for number in range(100):
        x, target = _separable_set(2 + number % 5, 20)
        mistakes, errors = _taught(x, target, passes=2000)
        bound = mistake_bound(x, target)
        unsettled += errors > 0
        if bound is not None:
            beyond += mistakes > bound
            nearest = max(nearest, mistakes / bound)
    rows = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))
    tables = torch.rand(300, 16) < 0.5
    parted = sum(meeting_point(rows[truth], rows[~truth]) is None for truth in tables if 0 < truth.sum() < 16)
    return Finding(
        holds=unsettled == 0 and beyond == 0 and parted < 0.1 * len(tables),
        numbers={
            "sets on which it did not come to rest": float(unsettled),
            "sets with more mistakes than (R/γ)²": float(beyond),
            "most mistakes, as a share of (R/γ)²": nearest,
            "share of random functions of 4 inputs that one unit computes": parted / len(tables),
        },
    )


def c136_hebb3() -> Finding:
    """If two connected neurons are active at the same time, the link between them becomes stronger.

    Notes: F3 L251.

    The package's rule, for the four states of two neurons; and its learner, for one update each of 300 neurons with
    ten inputs. A third of the inputs are silent, and some neurons are, since their links to all others are 0. A link
    must be stronger after the update where both its ends were active, and as it was elsewhere.
    """
    states = {(x, y): float(hebbian(torch.tensor([[x]]), torch.tensor([y]))) for x, y in ROWS.tolist()}
    together, stronger, astray = 0, 0, 0
    for _ in range(300):
        x = torch.rand(1, 10).clamp(min=0.01) * (torch.rand(1, 10) > 1 / 3)
        model = Neuron([0.0] * 10, 1.0)
        links = torch.rand(10) if torch.rand(()) > 0.2 else torch.rand(10) * (x[0] == 0)
        with torch.no_grad():
            model.weight.copy_(links)
        both = (x[0] > 0) & bool((links[x[0] > 0] > 0).any())
        Hebbian(model, "hebb", 0.1, NAMED["constant"], 1e6).step({"features": x}, Clock(0, 1, 1))
        after = model.weight.detach()
        together += int(both.sum())
        stronger += int((after > links).sum())
        astray += int(((after > links) != both).sum()) + int((after < links).sum())
    return Finding(
        holds=all((change > 0) == (min(state) > 0) and change >= 0 for state, change in states.items())
        and astray == 0 < together < 3000,
        numbers={
            **{f"Δw/η at x = {x:g}, y = {y:g}": change for (x, y), change in states.items()},
            "links whose ends were both active, of 3,000": float(together),
            "links that became stronger": float(stronger),
            "links that did otherwise than the claim says": float(astray),
        },
    )


def c137_rosen3() -> Finding:
    """Rosenblatt proved that learning converges if the two classes are linearly separable.

    Notes: F3 L360.

    All 16 functions of two inputs, and 200 random labellings of six points of the plane whose coordinates are
    multiples of 1/2, which keeps margins from becoming so small that nobody could wait. A linear program says which
    are separable: within 300 passes the rule must come to rest on all of these, and on no other.
    """
    sets = [(ROWS, torch.tensor(values)) for values in itertools.product([-1, 1], repeat=4)]
    sets += [((2 * torch.randn(6, 2)).round() / 2, 2 * torch.randint(2, (6,)) - 1) for _ in range(200)]
    rested: dict[bool, list[bool]] = {True: [], False: []}
    for x, target in sets:
        separable = len(target.unique()) == 1 or meeting_point(x[target > 0], x[target < 0]) is None
        rested[separable].append(_taught(x, target, passes=300)[1] == 0)
    return Finding(
        holds=all(rested[True]) and not any(rested[False]),
        numbers={
            "separable sets": float(len(rested[True])),
            "of these it came to rest on": float(sum(rested[True])),
            "other sets": float(len(rested[False])),
            "of those it came to rest on": float(sum(rested[False])),
        },
    )


def c138_equiv_rules() -> Finding:
    """The rule is: right, change nothing; too high, lower the weights of positive inputs; too low, raise them.

    Notes: F3 L344-349.

    One update of the package's learner for each of 2,000 random units, on one example with inputs of both signs: how
    its weights moved is held against the sentence. Those of positive inputs move as it says; those of negative inputs
    move the other way, and those of inputs of 0 not at all.
    """
    x, w = torch.randn(2000, 6).round(decimals=1), torch.randn(2000, 6)
    label = torch.randint(2, (2000,))
    model, moved, answers = Perceptron(6, 1), [], []
    learner = PerceptronLearner(model, "rosenblatt", 0.1)
    for example, weight, wanted in zip(x, w, label, strict=True):
        with torch.no_grad():
            model.weight.copy_(weight[None])
            model.bias.zero_()
            answers.append(bool(model(example[None]) >= 0))
        learner.step({"features": example[None], "label": wanted[None]}, Clock(0, 10**6, 10**6))
        moved.append(model.weight.detach()[0] - weight)
    change, given, y = torch.stack(moved), torch.tensor(answers).long()[:, None], label[:, None]
    high, low, right = given > y, given < y, given == y
    positive, negative = x > 0, x < 0
    as_told = (
        bool((change[right.expand_as(x)] == 0).all())
        and bool((change[high & positive] < 0).all())
        and bool((change[low & positive] > 0).all())
    )
    against = (high & negative & (change > 0)) | (low & negative & (change < 0))
    return Finding(
        holds=as_told,
        limited=bool(against.any()),
        numbers={
            "units that were right": float(right.sum()),
            "too high": float(high.sum()),
            "too low": float(low.sum()),
            "share of negative inputs of wrong units whose weight moved the other way": float(
                against.sum() / ((high | low) & negative).sum()
            ),
        },
        remark="For positive inputs; the weights of negative inputs move the other way.",
    )


def c139_minsky() -> Finding:
    """A single-layer perceptron cannot solve XOR; with more layers it can be solved.

    Notes: F3 L379-380.

    Rosenblatt's rule is given 1,000 passes over XOR in each of the 24 orders of its rows, and the least errors after a
    pass are kept. A linear program tells that no weights will do. Two layers, three units set by hand, are exact.
    """
    target = torch.tensor([-1, 1, 1, -1])
    least = min(
        _taught(ROWS[list(order)], target[list(order)], passes=1000)[1] for order in itertools.permutations(range(4))
    )
    draft = Draft(2)
    either, both = draft.add({0: 1.0, 1: 1.0}, 1), draft.add({0: 1.0, 1: 1.0}, 2)
    net = built(draft.finish(draft.add({either: 1.0, both: -1.0}, 1)))
    wrong = int(((net(ROWS)[:, 0] == 1) != (target > 0)).sum())
    meeting = meeting_point(ROWS[target > 0], ROWS[target < 0])
    return Finding(
        holds=least > 0 and meeting is not None and wrong == 0,
        numbers={
            "least errors of a single unit, of 4": float(least),
            "errors of two layers, of 4": float(wrong),
        },
    )
