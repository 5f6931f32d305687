"""Claims about networks for Boolean functions: how many units, layers and parameters they take.

Letters: N inputs, R = 2^N rows of a truth table.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.claims import Finding
from deepclassics.claims.threshold import built
from deepclassics.data.kinds.boolean import rows as rows_of
from deepclassics.layers.units import Draft
from deepclassics.systems.foundations.boolean import (
    chain,
    counted,
    hybrid,
    prime_implicants,
    sum_of_products,
    tree,
    true_rows,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _parity(rows: Tensor) -> Tensor:  # (R, N) -> (R,) of bool
    return rows.sum(1) % 2 == 1


def _built(inputs: int, join: Callable[[Draft, Sequence[int]], int]) -> Draft:
    """Parity of all inputs, joined by one of the constructions of `boolean`."""
    draft = Draft(inputs)
    return draft.finish(join(draft, range(inputs)))


def _mixed(inputs: int, stages: int) -> Draft:
    """Parity by so many stages of XORs in pairs, each of three units, then an OR of ANDs."""
    return _built(inputs, partial(hybrid, block=3, flip=False, depth=stages))


def _levels(inputs: int) -> Draft:
    """Parity by N threshold units in one hidden layer: at least 1 input is on, at least 2, ..., weighed +1, -1, +1."""
    draft = Draft(inputs)
    hidden = [draft.add(dict.fromkeys(range(inputs), 1.0), level) for level in range(1, inputs + 1)]
    return draft.finish(draft.add({unit: (-1.0) ** place for place, unit in enumerate(hidden)}, 1))


def _errors(draft: Draft, rows: Tensor, truth: Tensor) -> int:
    """On how many rows the network differs from the truth."""
    return int(((built(draft)(rows)[:, 0] == 1) != truth).sum())


def c004_bool2() -> Finding:
    """Every Boolean function can be represented by a two-layer network with enough hidden neurons.

    Notes: F0 L25.

    All 65,536 functions of four inputs at once: the 16 hidden units are the ANDs of the rows of the truth table, and
    the output of a function is the OR of those where it is 1. Then 200 random functions of ten inputs.
    """
    numbers = {}
    for inputs, tables in (
        (4, rows_of(16).float()),  # a row of 16 values is a function, and all rows are all functions
        (10, torch.randint(2, (200, 1024)).float()),
    ):
        rows = rows_of(inputs).float()
        hidden = (rows @ (2 * rows - 1).T >= rows.sum(1)).float()
        output = hidden @ tables.T >= 1
        numbers[f"functions of {inputs} inputs"] = float(len(tables))
        numbers[f"wrong values, {inputs} inputs"] = float((output != tables.T.bool()).sum())
        numbers[f"most hidden units, {inputs} inputs"] = float(tables.sum(1).max())
    return Finding(holds=numbers["wrong values, 4 inputs"] == numbers["wrong values, 10 inputs"] == 0, numbers=numbers)


def c044_concl11() -> Finding:
    """Conclusion 1.1: a one-hidden-layer MLP is a universal Boolean function.

    Notes: F2 L210.

    For 1 to 10 inputs the networks of a random function, of both constants and of parity are built unit by unit, a
    hidden unit for each row that is 1, and asked about every row.
    """
    wrong, layers, built = 0, set(), 0
    for inputs in range(1, 11):
        rows = rows_of(inputs)
        for truth in (
            torch.rand(len(rows)) < 0.5,
            torch.zeros(len(rows)) > 0,
            torch.zeros(len(rows)) < 1,
            _parity(rows),
        ):
            draft = Draft(inputs)
            draft.finish(sum_of_products(draft, true_rows(truth)))
            wrong, built = wrong + _errors(draft, rows, truth), built + 1
            layers.add(counted(draft)["layers"])
    return Finding(
        holds=wrong == 0 and max(layers) == 2,
        numbers={"functions built": float(built), "wrong values": float(wrong), "most layers": float(max(layers))},
    )


def c045_concl12() -> Finding:
    """Conclusion 1.2: the worst Karnaugh map needs 2^(N-1) neurons in one hidden layer, exponential in N.

    Notes: F2 L225.

    No more are ever needed: the rows fall into 2^(N-1) pairs that differ in the last input, and one AND covers what is
    1 of a pair, with or without that input; this is counted over all 65,536 functions of four inputs. Parity needs as
    many: so many are its prime implicants (Quine 1955), each of a single row. But a hidden unit need not be an AND: N
    threshold units, "at least k inputs are on", compute parity too.
    """
    numbers: dict[str, float] = {}
    exact = fewer = True
    for inputs in range(2, 9):
        rows = rows_of(inputs)
        primes = prime_implicants(_parity(rows))
        alone = bool((primes < 2).all())  # a prime that leaves no input out is 1 on a single row
        exact = exact and alone and len(primes) == 2 ** (inputs - 1)
        fewer = fewer and _errors(_levels(inputs), rows, _parity(rows)) == 0
        if inputs in (4, 6, 8):
            numbers[f"ANDs that parity of {inputs} inputs needs"] = float(len(primes))
            numbers[f"threshold units that do, {inputs} inputs"] = float(counted(_levels(inputs))["units"] - 1)
    pairs = rows_of(16).view(-1, 8, 2).any(2).sum(1)
    bounded = int(pairs.max()) == 8
    numbers["most ANDs that a function of 4 inputs needs, at most"] = float(pairs.max())

    def draw() -> "Figure":
        from deepclassics.report.style import sheet

        figure = sheet(7.2, 3.6)
        for place, bits in enumerate((2, 3)):
            axes = figure.add_subplot(1, 2, place + 1)
            gray = [number ^ number >> 1 for number in range(2**bits)]
            board = [[(number.bit_count() + other.bit_count()) % 2 for other in gray] for number in gray]
            axes.imshow(board, cmap="Blues", vmin=0, vmax=1.6)
            names = [format(number, f"0{bits}b") for number in gray]
            axes.set_xticks(range(2**bits), names, fontsize=7)
            axes.set_yticks(range(2**bits), names, fontsize=7)
            axes.set_title(f"Parity of {2 * bits}: {2 ** (2 * bits - 1)} ones, none merge")
        return figure

    return Finding(
        holds=exact and bounded,
        limited=fewer,
        numbers=numbers,
        remark="For hidden units that are ANDs. With general thresholds, parity takes N hidden units in one layer; "
        "and it is the squares that are 1 that are counted, of which there are as many as of 0.",
        draw=draw,
    )


def c046_concl13() -> Finding:
    """Conclusion 1.3: by XORs in a chain, parity takes 3(N-1) or 2(N-1) neurons and 2(N-1) layers, linear in N.

    Notes: F2 L238.

    Both chains are built for 2 to 12 inputs, asked about all rows, and counted.
    """
    numbers: dict[str, float] = {"wrong values": 0.0}
    right = True
    for inputs in range(2, 13):
        rows = rows_of(inputs)
        for units in (3, 2):
            draft = _built(inputs, partial(chain, block=units, flip=False))
            counts = counted(draft)
            numbers["wrong values"] += _errors(draft, rows, _parity(rows))
            right = right and counts["units"] == units * (inputs - 1) and counts["layers"] == 2 * (inputs - 1)
            if inputs in (4, 6, 12):
                numbers[f"units, {inputs} inputs, {units} a XOR"] = float(counts["units"])
                numbers[f"layers, {inputs} inputs, {units} a XOR"] = float(counts["layers"])
    return Finding(holds=right and not numbers["wrong values"], numbers=numbers)


def c047_concl14() -> Finding:
    """Conclusion 1.4: by pairing terms, the layers of the XOR network are reduced to 2 log2 N.

    Notes: F2 L252.

    The tree is built for 2 to 16 inputs and asked about all rows. Where N is no power of 2 the logarithm is to be
    rounded up. The number of neurons stays 3(N-1).
    """
    wrong, layers, units = 0, {}, {}
    for inputs in range(2, 17):
        rows, draft = rows_of(inputs), _built(inputs, partial(tree, block=3, flip=False))
        wrong += _errors(draft, rows, _parity(rows))
        counts = counted(draft)
        layers[inputs], units[inputs] = counts["layers"], counts["units"]
    powers = (2, 4, 8, 16)
    return Finding(
        holds=wrong == 0
        and all(layers[inputs] == 2 * math.log2(inputs) for inputs in powers)
        and all(count == 3 * (inputs - 1) for inputs, count in units.items()),
        limited=any(layers[inputs] > 2 * math.log2(inputs) for inputs in layers),
        numbers={
            "wrong values": float(wrong),
            **{f"layers, {inputs} inputs": float(layers[inputs]) for inputs in (*powers, 6)},
            "2 log2 6": 2 * math.log2(6),
            "units, 16 inputs": float(units[16]),
        },
        remark="Where N is no power of 2 it is 2 ⌈log2 N⌉ layers.",
    )


def c048_concl151() -> Finding:
    """Conclusion 1.5.1: k stages of XOR and a Karnaugh layer take k+2 layers and 3 Σ N/2^i + 2^(N/2^k - 1) + 1 neurons.

    Notes: F2 L261.

    The networks for N = 16 are built for k = 0 ... 3 (and asked about all 65,536 rows, but for k = 0, where 512 random
    ones are taken), and counted. The neurons agree, with the k that the notes print as i in the exponent; a stage of
    XOR is two layers, so there are 2k+2. At k = 4 one term is left and nothing to add to the 45 units of the XORs.
    """
    rows = rows_of(16)
    numbers: dict[str, float] = {}
    wrong, units_agree, layers_agree = 0, True, True
    for stages in range(4):
        draft = _mixed(16, stages)
        asked = rows if stages else rows[torch.randint(len(rows), (512,))]
        wrong += _errors(draft, asked, _parity(asked))
        counts = counted(draft)
        printed = 3 * sum(16 // 2**i for i in range(1, stages + 1)) + 2 ** (16 // 2**stages - 1) + 1
        units_agree = units_agree and counts["units"] == printed
        layers_agree = layers_agree and counts["layers"] == stages + 2
        numbers[f"units built, k = {stages}"] = float(counts["units"])
        numbers[f"units as printed, k = {stages}"] = float(printed)
        numbers[f"layers built, k = {stages}"] = float(counts["layers"])
        numbers[f"layers as printed, k = {stages}"] = float(stages + 2)
    numbers["wrong values"] = float(wrong)
    numbers["units built, k = 4"] = float(counted(_mixed(16, 4))["units"])
    return Finding(
        holds=wrong == 0 and units_agree and layers_agree,
        numbers=numbers,
        remark="The layers are 2k+2, since each stage of XOR is two. The exponent is N/2^k - 1; N/2^i - 1 is printed.",
    )


def c049_concl152() -> Finding:
    """Conclusion 1.5.2: with fewer layers than the XOR tree needs, the neurons must become exponentially many.

    Notes: F2 L263.

    Parity of 16 inputs after k stages of XOR: the ANDs of the last stage are counted in the networks as built, and
    their logarithm must be N/2^k - 1. With general threshold units it is not inevitable: N + 1 of them in two layers
    compute parity of 16 inputs on all rows.
    """
    last = {}
    for stages in range(4):
        xors = 3 * sum(16 // 2**stage for stage in range(1, stages + 1))
        last[stages] = math.log2(counted(_mixed(16, stages))["units"] - xors - 1)
    rows = rows_of(16)
    shallow = counted(_levels(16))
    return Finding(
        holds=all(value == 16 / 2**stages - 1 for stages, value in last.items()),
        limited=_errors(_levels(16), rows, _parity(rows)) == 0,
        numbers={
            **{f"log2 of the last stage's ANDs in {2 * k + 2} layers": value for k, value in last.items()},
            "threshold units that do in 2 layers": float(shallow["units"]),
            "layers of these": float(shallow["layers"]),
        },
        remark="For units that are ANDs, ORs and XORs. Units with general thresholds compute parity in two layers "
        "with N + 1 of them.",
        draw=lambda: _depths((16, 64)),
    )


def _depths(sizes: Sequence[int]) -> "Figure":
    from deepclassics.report.style import grid, sheet

    figure = sheet(5.6, 3.4)
    axes = figure.add_subplot()
    for size in sizes:
        stages = range(int(math.log2(size)))
        units = [3 * (size - size / 2**k) + 2 ** (size / 2**k - 1) + 1 for k in stages]
        axes.plot([2 * k + 2 for k in stages], units, marker="o", label=f"{size} inputs")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("layers")
    axes.set_ylabel("units")
    axes.set_title("Parity: what each layer saves")
    axes.legend()
    grid(axes)
    return figure


def c050_concl16() -> Finding:
    """Conclusion 1.6: parameters follow neurons; where these are exponential, so are those, or worse.

    Notes: F2 L273.

    Connections are counted in networks as built for parity. The OR of ANDs has N 2^(N-1) into its hidden units and
    2^(N-1) out of them, more than its neurons; in the XOR chain both are linear.
    """
    wide, linear = {}, {}
    for inputs in range(3, 13):
        wide[inputs] = counted(_mixed(inputs, 0))
        linear[inputs] = counted(_built(inputs, partial(chain, block=3, flip=False)))
    growth = math.log2(wide[12]["connections"] / wide[11]["connections"])
    return Finding(
        holds=all(
            each["connections"] == (inputs + 1) * 2 ** (inputs - 1) >= each["units"] for inputs, each in wide.items()
        )
        and all(each["connections"] == 6 * (inputs - 1) for inputs, each in linear.items()),
        numbers={
            "units of the OR of ANDs, 12 inputs": float(wide[12]["units"]),
            "connections of the OR of ANDs, 12 inputs": float(wide[12]["connections"]),
            "doublings of its connections an input": growth,
            "units of the XOR chain, 12 inputs": float(linear[12]["units"]),
            "connections of the XOR chain, 12 inputs": float(linear[12]["connections"]),
        },
    )


def c207_depth_vs_node() -> Finding:
    """The size of the XOR network after its first layer depends only on the number of the first layer's lines.

    Notes: F2 L321.

    Eight random hyperplanes in 2, 5, 20 and 100 dimensions and the XOR chain of their units: its units are counted,
    and its answers at 5,000 random points compared with the parity of the sides.
    """
    wrong, after = 0, []
    for dimensions in (2, 5, 20, 100):
        normals, thresholds = torch.randn(8, dimensions), torch.randn(8)
        x = torch.randn(5000, dimensions)
        draft = Draft(dimensions)
        lines = [
            draft.add(dict(enumerate(normal)), threshold)
            for normal, threshold in zip(normals.tolist(), thresholds.tolist(), strict=True)
        ]
        last = chain(draft, lines, 3, False)
        sides = (x.double() @ normals.double().T >= thresholds.double()).sum(1)
        wrong += _errors(draft.finish(last), x, sides % 2 == 1)
        after.append(counted(draft)["units"] - 8)
    return Finding(
        holds=wrong == 0 and set(after) == {3 * (8 - 1)},
        numbers={
            "units after the first layer, 2 dimensions": float(after[0]),
            "units after the first layer, 100 dimensions": float(after[-1]),
            "wrong answers of 20,000": float(wrong),
        },
    )
