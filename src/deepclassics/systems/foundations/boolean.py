"""Boolean: a network of threshold units for any Boolean function, constructed unit by unit.

It is built by one of five methods:
- dnf: an AND unit for every row that is 1, and an OR unit. Any function, one hidden layer.
- minimal: an AND unit for every term of the shortest such formula: the groups of a Karnaugh map.
- xor-chain, xor-tree: every function is the XOR of some ANDs of its inputs, its algebraic normal form; parity is that
  of the inputs themselves. They are joined one after the other, or in pairs, the shallowest first.
- hybrid: `--depth` stages of XORs in pairs, then one hidden layer for the parity of what is left, and an OR unit.

Source: W. McCulloch, W. Pitts, A logical calculus of the ideas immanent in nervous activity (1943), for the units;
W. Quine, A way to simplify truth functions (1955), and E. McCluskey, Minimization of Boolean functions (1956), for the
fewest terms; I. Zhegalkin (1927), I. Reed and D. Muller (1954), for functions as XORs of ANDs. Notes: S022-S032,
C044-C050, C053, N013-N017 (conclusions 1.1 to 1.6 and 2.1), E007-E009.

Departures from the paper: the notes build parity alone from XORs; here these methods take any function. Thresholds are
whole numbers, where the notes have halves: sums are whole, so both are exact.

Expected: every network equals its function in every row (test/error 0); parity of 20 inputs by xor-tree in a few
seconds, a million rows included. The least number of terms is sought up to 8 inputs, and proved where the search comes
to its end, as for most functions it does.

Letters: N inputs, T terms, P prime implicants, R rows that are 1, B examples.
"""

import heapq
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.kinds.boolean import rows
from deepclassics.data.streams import Batch, Data, InOrder, Whole
from deepclassics.errors import UserError
from deepclassics.layers.units import Built, Draft, Units, decide, error
from deepclassics.learn import Learner
from deepclassics.loop import Plan
from deepclassics.recipe import Picture, Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

Method = Literal["dnf", "minimal", "xor-chain", "xor-tree", "hybrid"]
Minimiser = Literal["exact", "sympy", "espresso"]
METHODS: tuple[Method, ...] = ("dnf", "minimal", "xor-chain", "xor-tree", "hybrid")

FREE = 2  # in a term: the input is not in it; 0 and 1 are the values it must have
WORK = 2**28  # units times rows that are evaluated at most: any function of 14 inputs by dnf, in some ten seconds
EXACT = 8  # inputs up to which the fewest terms are sought, and proved unless that takes too long
PIECE = 64  # terms, or rows, at a time: what lies between takes more memory than the result
NODES = 20  # of the search's tree, at most: a limit in time would let the machine decide the result
BEARS = {"exact": 12, "sympy": 8, "espresso": 12}  # inputs
ANY = {"dnf": 14, "minimal": 14, "xor-chain": 13, "xor-tree": 13, "hybrid": 13}  # inputs of functions within WORK
COMPARED: tuple[tuple[Method, int, int], ...] = (  # method, block, depth
    ("dnf", 3, 0), ("minimal", 3, 0), ("xor-chain", 3, 0), ("xor-chain", 2, 0), ("xor-tree", 3, 0), ("xor-tree", 2, 0),
    ("hybrid", 3, 1), ("hybrid", 3, 2), ("hybrid", 3, 3),
)  # fmt: skip
TABLED = 5  # inputs of a truth table that one reads
SHOWN = 12  # inputs up to which the widest network is built to be counted beside the notes' formulas


# --- terms


def true_rows(values: Tensor) -> Tensor:  # (2^N,) of bool -> (R, N) of int8
    """The disjunctive normal form: a term for every row that is 1."""
    return rows(_inputs(values))[values].to(torch.int8)


def prime_implicants(values: Tensor) -> Tensor:  # (2^N,) of bool -> (P, N) of int8
    """The terms that no longer imply the function once an input is left out of them (Quine 1955).

    All 3^N terms at once: along every axis, 0 and 1 join to the third value, "free". sympy and other libraries join
    pairs of terms one by one in Python and take seconds at 8 inputs; this takes a millisecond.
    """
    inputs = _inputs(values)
    implies = values.numpy().reshape((2,) * inputs)
    for axis in range(inputs):
        implies = np.concatenate([implies, implies.all(axis, keepdims=True)], axis)
    prime = implies.copy()
    for axis in range(inputs):
        given = prime[(slice(None),) * axis + (slice(0, FREE),)]  # a view: what is struck there is struck in `prime`
        given &= ~implies.take([FREE], axis)
    return torch.from_numpy(np.argwhere(prime)).to(torch.int8).view(-1, inputs)


def covered(terms: Tensor, where: Tensor) -> Tensor:  # (T, N), (R, N) -> (T, R) of bool
    """Which rows a term is 1 in."""
    asked = torch.cat([terms == 1, terms == 0], 1).float()
    missed = torch.cat([where == 0, where == 1], 1).float()
    found = torch.empty(len(terms), len(where), dtype=torch.bool)
    for part, some in zip(found.split(PIECE), asked.split(PIECE), strict=True):
        torch.eq(some @ missed.T, 0, out=part)  # nothing that the term asks for is missed
    return found


def fewest_terms(values: Tensor, minimiser: Minimiser = "exact") -> tuple[Tensor, bool]:  # (2^N,) bool -> (T, N) int8
    """A short disjunctive form, and whether it is proved that none has fewer terms."""
    if minimiser == "sympy":
        return _by_sympy(values), False
    if minimiser == "espresso":
        return _by_espresso(values), False
    primes, ones = prime_implicants(values), true_rows(values)
    cover = covered(primes, ones)
    if _inputs(values) <= EXACT:
        chosen, proved = _least_cover(cover)
        if chosen is not None:
            return primes[chosen], proved
    return primes[_greedy_cover(cover)], False


def _least_cover(cover: Tensor) -> tuple[Tensor | None, bool]:  # (P, R) of bool -> (T,)
    """The fewest primes that cover every row, as an integer program; none if none were found. And whether it is proved
    that there are no fewer."""
    once = cover[:, cover.sum(0) == 1].any(1)  # alone in covering some row (McCluskey 1956): these must be in it
    open_rows = ~cover[once].any(0)
    if not bool(open_rows.any()):
        return once.nonzero().flatten(), True
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_matrix

    left = cover[:, open_rows]
    useful = left.any(1).nonzero().flatten()
    every = LinearConstraint(csr_matrix(left[useful].T.numpy().astype(float)), lb=1)
    found = milp(np.ones(len(useful)), integrality=1, bounds=Bounds(0, 1), constraints=every,
                 options={"node_limit": NODES})  # fmt: skip
    if found.x is None:
        return None, False
    once[useful[torch.from_numpy(found.x > 0.5)]] = True
    return once.nonzero().flatten(), found.status == 0


def _greedy_cover(cover: Tensor) -> Tensor:  # (P, R) of bool -> (T,)
    """Again and again the prime that covers most of what is left; at last, those that others make needless go."""
    chosen: list[int] = []
    left = torch.ones(cover.shape[1], dtype=torch.bool)
    by_row, gain = cover.T.contiguous(), torch.zeros(len(cover), dtype=torch.int64)
    for part in by_row.split(PIECE):  # torch adds up copies of eight times the size
        gain += part.sum(0)
    while bool(left.any()):
        chosen.append(int(gain.argmax()))
        fresh = left & cover[chosen[-1]]
        for part in by_row[fresh].split(PIECE):  # a row is taken off once: in all, one look at the table
            gain -= part.sum(0)
        left &= ~fresh
    times = cover[chosen].sum(0)
    kept = []
    for place in chosen:
        needless = bool((times[cover[place]] > 1).all())
        times -= cover[place].long() * needless
        kept += [] if needless else [place]
    return torch.tensor(kept, dtype=torch.int64)


def _by_sympy(values: Tensor) -> Tensor:
    from sympy import Not, Or, Symbol, symbols
    from sympy.logic import SOPform

    inputs = _inputs(values)
    if not bool(values.any()) or bool(values.all()):
        return torch.full((int(values.any()), inputs), FREE, dtype=torch.int8)
    names = symbols(f"x:{inputs}")
    form = SOPform(list(names), true_rows(values).tolist())
    terms = torch.full((0, inputs), FREE, dtype=torch.int8)
    for term in form.args if isinstance(form, Or) else (form,):
        row = torch.full((1, inputs), FREE, dtype=torch.int8)
        for literal in (term,) if isinstance(term, Symbol | Not) else term.args:
            row[0, names.index(literal.args[0] if isinstance(literal, Not) else literal)] = not isinstance(literal, Not)
        terms = torch.cat([terms, row])
    return terms


def _espresso() -> Any:
    try:
        from pyeda.boolalg import espresso
    except ImportError:
        raise UserError(
            "boolean: --minimiser espresso needs pyeda, which is not installed. Install it with "
            "`pip install 'deepclassics[espresso]'`, or leave --minimiser out."
        ) from None
    return espresso


def _by_espresso(values: Tensor) -> Tensor:
    espresso = _espresso()
    inputs = _inputs(values)
    if not bool(values.any()):
        return torch.zeros(0, inputs, dtype=torch.int8)
    given = [(tuple(bit + 1 for bit in row), (1,)) for row in true_rows(values).tolist()]  # 1: 0, 2: 1, 3: free
    found = espresso.espresso(inputs, 1, given, intype=espresso.FTYPE)
    return torch.tensor(sorted(term for term, _ in found), dtype=torch.int8) - 1


def algebraic_normal_form(values: Tensor) -> tuple[Tensor, bool]:  # (2^N,) of bool -> (T, N) of bool
    """The ANDs of inputs whose XOR the function is, those of few inputs first, and whether it is to be turned round.

    The coefficients are XORs of values: the Möbius transform, one pass an input (Muller 1954).
    """
    inputs = _inputs(values)
    table = values.clone()
    for axis in range(inputs):
        halves = table.view(2**axis, 2, -1)
        halves[:, 1] ^= halves[:, 0]
    flip = bool(table[0])
    table[0] = False
    places = table.nonzero().flatten().flip(0)  # x1 before x2
    terms = places[:, None] >> torch.arange(inputs - 1, -1, -1) & 1
    return terms[torch.argsort(terms.sum(1), stable=True)].bool(), flip


def _inputs(values: Tensor) -> int:
    return len(values).bit_length() - 1


# --- units


def conjunction(draft: Draft, literals: dict[int, bool]) -> int:
    """An AND unit: 1 where every input or unit has the value told (S025)."""
    signed = {source: 1.0 if value else -1.0 for source, value in literals.items()}
    return draft.add(signed, sum(literals.values()))


def disjunction(draft: Draft, sources: Sequence[int]) -> int:
    """An OR unit; of nothing, always 0."""
    return draft.add(dict.fromkeys(sources, 1.0), 1)


def either(draft: Draft, one: int, other: int, block: int, flip: bool = False) -> int:
    """XOR in two layers; with `flip` its complement, for nothing.

    Of three units, OR, AND, and the first without the second; or of two, AND, and a sum that it takes 2 off (S023).
    """
    both = draft.add({one: 1, other: 1}, 2)
    weights: dict[int, float] = {one: 1, other: 1, both: -2}
    if block == 3:
        weights = {draft.add({one: 1, other: 1}, 1): 1, both: -1}
    return draft.add({source: -weight for source, weight in weights.items()}, 0) if flip else draft.add(weights, 1)


def sum_of_products(draft: Draft, terms: Tensor) -> int:  # (T, N) of int8
    """An AND unit a term and an OR unit: one hidden layer (S025, S026)."""
    units = [
        conjunction(draft, {place: value == 1 for place, value in enumerate(term) if value != FREE})
        for term in terms.tolist()
    ]
    return disjunction(draft, units)


def products(draft: Draft, terms: Tensor) -> list[int]:  # (T, N) of bool
    """A unit for every AND of several inputs; an input alone is itself."""
    found = []
    for term in terms:
        places = term.nonzero().flatten().tolist()
        found.append(places[0] if len(places) == 1 else conjunction(draft, dict.fromkeys(places, True)))
    return found


# To turn the whole round it is enough to turn the first block round: XOR passes it on.


def chain(draft: Draft, terms: Sequence[int], block: int, flip: bool) -> int:
    """T - 1 blocks, each on the one before: 2 (T - 1) layers over inputs (S028)."""
    value = terms[0]
    for term in terms[1:]:
        value, flip = either(draft, value, term, block, flip), False
    return value


def tree(draft: Draft, terms: Sequence[int], block: int, flip: bool) -> int:
    """T - 1 blocks, always over the two shallowest: 2 ⌈log2 T⌉ layers over inputs (S029)."""
    waiting = [(draft.layer(term), term) for term in terms]
    heapq.heapify(waiting)
    while len(waiting) > 1:
        value, flip = either(draft, heapq.heappop(waiting)[1], heapq.heappop(waiting)[1], block, flip), False
        heapq.heappush(waiting, (draft.layer(value), value))
    return waiting[0][1]


def hybrid(draft: Draft, terms: Sequence[int], block: int, flip: bool, depth: int) -> int:
    """`depth` stages of blocks in pairs, then the disjunctive form of parity: 2 depth + 2 layers over inputs (S030)."""
    left = list(terms)
    for _ in range(depth):
        alone = left[len(left) // 2 * 2 :]
        joined = []
        for one, other in zip(left[::2], left[1::2], strict=False):
            joined.append(either(draft, one, other, block, flip))
            flip = False
        left = joined + alone
    if len(left) == 1:
        return left[0]
    odd = [row for row in itertools.product((False, True), repeat=len(left)) if sum(row) % 2 != flip]
    return disjunction(draft, [conjunction(draft, dict(zip(left, row, strict=True))) for row in odd])


def draft_of(
    values: Tensor, method: Method, *, block: int = 3, depth: int = 1, minimiser: Minimiser = "exact"
) -> tuple[Draft, str]:  # (2^N,) of bool
    """The network of a function, and what is to be said of it. It must be one that `refuse` lets pass."""
    draft = Draft(_inputs(values))
    if method in ("dnf", "minimal"):
        form, told = _short_form(values, minimiser) if method == "minimal" else (true_rows(values), "")
        return draft.finish(sum_of_products(draft, form)), told
    terms, flip = algebraic_normal_form(values)
    told = f"The function is the XOR of {_terms(len(terms))}" + (" and 1." if flip else ".")
    if len(terms) <= 1:  # constant, or one AND, perhaps turned round
        places = terms.any(0).nonzero().flatten().tolist()
        threshold = (1 - len(places) if flip else len(places)) if len(terms) else 1 - flip
        return draft.finish(draft.add(dict.fromkeys(places, -1.0 if flip else 1.0), threshold)), told
    if method == "hybrid":
        return draft.finish(hybrid(draft, products(draft, terms), block, flip, depth)), told
    join = chain if method == "xor-chain" else tree
    return draft.finish(join(draft, products(draft, terms), block, flip)), told


def refuse(values: Tensor, method: Method, block: int, depth: int, minimiser: Minimiser) -> None:  # (2^N,) of bool
    """Refuses a network that would take too long to build and to check in every row, before anything is begun, and a
    minimiser that is not there.

    Raises:
        UserError: says how large one can be borne.
    """
    if method == "minimal" and minimiser == "espresso":
        _espresso()
    inputs = _inputs(values)
    most = WORK // 2**inputs
    if method in ("dnf", "minimal"):
        # What is minimised has at most half of the rows as terms, and few inputs: it is always borne.
        units = int(values.sum()) if method == "dnf" or inputs > BEARS[minimiser] else 0
    else:
        terms, _ = algebraic_normal_form(values)
        units = int((terms.sum(1) > 1).sum()) + block * max(0, len(terms) - 1)
    if units > most:
        raise UserError(
            f"boolean: --method {method} takes {units:,} units for this function; over {2**inputs:,} rows it can bear "
            f"{most:,}, and any function of up to {ANY[method]} inputs. Take another --method, or fewer inputs."
        )
    widest = most.bit_length()  # terms: 2^(widest - 1) units
    if method == "hybrid" and -(-len(terms) // 2**depth) > widest:
        deeper = next(k for k in itertools.count(depth) if -(-len(terms) // 2**k) <= widest)
        left = -(-len(terms) // 2**depth)
        raise UserError(
            f"boolean: --depth {depth} leaves {left:,} of {len(terms):,} terms to the last hidden layer, which takes "
            f"2^{left - 1} units for them; it can bear {widest} terms here. Give --depth {deeper} or more."
        )


def _short_form(values: Tensor, minimiser: Minimiser) -> tuple[Tensor, str]:  # (2^N,) of bool -> (T, N) of int8
    """A short disjunctive form where the minimiser bears so many inputs, else the longest one; and which it is."""
    inputs, most = _inputs(values), BEARS[minimiser]
    if inputs > most:
        told = (
            f"Not minimised: --minimiser {minimiser} bears {most} inputs; got {inputs}. It falls back to dnf's network."
        )
        return true_rows(values), told
    terms, proved = fewest_terms(values, minimiser)
    own = "by a search that was cut short" if inputs <= EXACT else "by a greedy cover"
    how = {"sympy": "by sympy's SOPform", "espresso": "by espresso"}.get(minimiser, own)
    return terms, f"{_terms(len(terms))}, " + (
        "proved to be the fewest." if proved else f"{how}; perhaps not the fewest."
    )


def _terms(count: int) -> str:
    return f"{count:,} {'term' if count == 1 else 'terms'}"


# --- the notes' formulas


def conclusions(inputs: int, depth: int) -> list[str]:
    """Conclusions 1.1 to 1.6 and 2.1 for so many inputs, each in its right form beside what is built for parity."""
    n, worst, levels = inputs, 2 ** (inputs - 1), (inputs - 1).bit_length()
    k = min(depth, levels)  # after so many stages one value is left
    left = -(-n // 2**k)
    minimal = _built(n, lambda draft, terms: hybrid(draft, terms, 3, False, 0)) if n <= SHOWN else "too wide to build"
    mixed = _built(n, lambda draft, terms: hybrid(draft, terms, 3, False, k)) if left <= SHOWN else "too wide to build"
    formula = 3 * sum(n / 2**i for i in range(1, k + 1)) + 2 ** (n / 2**k - 1) + 1
    last = "; where one term is left, no last layers are needed" if left == 1 else ""
    every = ", all that there are" if k == levels else ""
    whole = "" if n % 2**k == 0 else ", no whole number where N is no multiple of 2^k"
    cells = (n // 2 + 1) * (n - n // 2 + 1)
    black = f"{cells // 2:,}" + (f" or {cells // 2 + 1:,}" if cells % 2 else "")
    return [
        f"The notes' conclusions for N = {n} inputs, in their right form, beside what is built for the parity of them:",
        f"1.1: one hidden layer does for any function, with at most 2^N = {2**n:,} hidden units and an OR.",
        f"1.2: the worst Karnaugh map, parity, needs 2^(N-1) = {worst:,} hidden AND units, one for every 1 (printed: "
        f"for every white square, of which there happen to be as many; and of units of any kind, but N units that "
        f"count the ones do too). Built, with the OR: {minimal}.",
        f"1.3: a chain of XORs has 3(N-1) = {3 * (n - 1)} units, or 2(N-1) = {2 * (n - 1)} in blocks of two, in "
        f"2(N-1) = {2 * (n - 1)} layers. Built: {_built(n, lambda draft, terms: chain(draft, terms, 3, False))}; or "
        f"{_built(n, lambda draft, terms: chain(draft, terms, 2, False))}.",
        f"1.4: in pairs they take 2⌈log2 N⌉ = {2 * levels} layers (printed 2 log2 N, whole for powers of 2 alone). "
        f"Built: {_built(n, lambda draft, terms: tree(draft, terms, 3, False))}.",
        f"1.5: with k = {k} stages of pairs{every}, 3 Σ N/2^i + 2^(N/2^k - 1) + 1 = {formula:,.6g} units (printed "
        f"2^(N/2^i - 1)) in 2k+2 = {2 * k + 2} layers (printed k+2){whole}{last}. Built: {mixed}.",
        f"1.6: parameters follow the units: N 2^(N-1) + 2^(N-1) = {(n + 1) * worst:,} connections for 1.2, and "
        "thresholds beside them; for 1.3 they grow as N.",
        f"2.1: N lines in the plane, half of them each way, make {cells:,} cells; their checkerboard takes "
        f"{black} units in the second hidden layer (printed (N+2)²/8 = {(n + 2) ** 2 / 8:g}, and exponential: it is "
        f"quadratic), or 3(N-1) = {3 * (n - 1)} after the lines by XORs.",
    ]


def _built(inputs: int, join: Callable[[Draft, Sequence[int]], int]) -> str:
    draft = Draft(inputs)
    counts = counted(draft.finish(join(draft, range(inputs))))
    return f"{counts['units']:,} units in {counts['layers']} layers, {counts['connections']:,} connections"


def counted(draft: Draft) -> dict[str, int]:
    """What `Units.counts` tells of a draft."""
    network = Units(draft.inputs)
    network.take(draft)
    return network.counts()


# --- the system


class Boolean(Recipe):
    """Networks of threshold units for any Boolean function."""

    takes = ("boolean",)
    gives = ("label",)

    data: str = Field("parity:4", description="an expression, '(a & b) ^ ~c'; parity:8, majority:5, truth:0110; or a "
                      "truth table as .csv")  # fmt: skip
    method: Method = Field("minimal", description="how it is built; see above")
    block: int = Field(3, ge=2, le=3, description="units of an XOR")
    depth: int = Field(1, ge=0, le=20, description="stages of XORs in pairs, for hybrid")
    minimiser: Minimiser = Field("exact", description="for minimal: the fewest terms, sought up to 8 inputs and mostly "
                                 "proved, greedy up to 12; sympy's SOPform; or espresso through pyeda")  # fmt: skip

    def load(self) -> Data:
        found = load(self.data, self.takes, seed=self.seed)
        return Data(found.spec, Whole(found.train), test=InOrder(found.test, 2**16))

    def model(self, spec: dict[str, Any]) -> Units:
        return Units(len(spec["names"]))

    def learner(self, model: nn.Module) -> Built:
        assert isinstance(model, Units)
        return Built(model, lambda batch: self.build(batch["label"].bool().cpu()), error)

    def build(self, values: Tensor) -> tuple[Draft, str]:  # (2^N,) of bool
        return draft_of(values, self.method, block=self.block, depth=self.depth, minimiser=self.minimiser)

    def plan(self, data: Data) -> Plan:
        assert isinstance(data.train, Whole)
        values = data.train.columns["label"].bool().cpu()
        refuse(values, self.method, self.block, self.depth, self.minimiser)
        return Plan(1, 1)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        return {"label": decide(model, question["features"]).long()}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """What was built, beside the notes' formulas."""
        assert isinstance(learner, Built)
        counts = learner.model.counts()
        built = (
            f"Built by {self.method}: {counts['units']:,} units in {counts['layers']} layers, "
            f"{counts['connections']:,} connections, {counts['parameters']:,} parameters. {learner.told.value}"
        )
        inputs = len(data.spec["names"])
        return {}, [built.strip(), *(conclusions(inputs, self.depth) if inputs > 1 else [])]

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import graph
        from deepclassics.report.karnaugh import MOST, karnaugh

        names = evidence.spec["names"]

        def values() -> Tensor:
            return evidence.splits().train["label"].bool()

        def network() -> "Figure":
            assert isinstance(evidence.model, Units)
            return graph.units(evidence.model, names)

        def grouped() -> "Figure":
            return karnaugh(values(), names, fewest_terms(values())[0])

        def table() -> str:
            answers, right = evidence.answers("test")
            lines = [f"{'  '.join(names)}  |  function  network"]
            for row, value, given in zip(
                right["features"].int().tolist(), right["label"].tolist(), answers["label"].tolist(), strict=True
            ):
                cells = [f"{bit:>{len(name)}}" for name, bit in zip(names, row, strict=True)]
                lines.append(f"{'  '.join(cells)}  |  {value:>8}  {given:>7}")
            return "\n".join(lines)

        def methods() -> str:
            lines = [f"{'method':26}{'units':>8}{'layers':>8}{'connections':>13}{'parameters':>12}"]
            for method, block, depth in COMPARED:
                told = {
                    "xor-chain": f", --block {block}",
                    "xor-tree": f", --block {block}",
                    "hybrid": f", --depth {depth}",
                }
                try:
                    refuse(values(), method, block, depth, "exact")
                    counts = counted(draft_of(values(), method, block=block, depth=depth)[0])
                    cells = [f"{counts[name]:,}" for name in ("units", "layers", "connections", "parameters")]
                except UserError:
                    cells = ["too many", "", "", ""]
                lines.append(
                    f"{method + told.get(method, ''):26}{cells[0]:>8}{cells[1]:>8}{cells[2]:>13}{cells[3]:>12}"
                )
            return "\n".join(lines)

        found = [
            Picture("The network", "A circle is a unit: it is 1 where the weighted sum of what it hears reaches its "
                    "threshold. What skips a layer passes by.", network)]  # fmt: skip
        if len(names) <= MOST:
            told = (
                "Neighbours differ in one input, also over the edges. Every frame is a term of the shortest formula, "
                "and a hidden unit of minimal."
            )
            found.append(Picture("The Karnaugh map", told, grouped))
        if len(names) <= TABLED:
            found.append(Picture("The truth table", "The function, and what the network answers.", table))
        if len(names) <= EXACT:
            found.append(Picture("The same function by every method", "What each would build.", methods))
        return found
