"""Claims about recurrent nets: what they remember, how their gradients fare, and what gates change.

Nets are small, and so are their examples, so that a claim takes seconds; the adding problem of 100 steps takes most.

Letters: B sequences, T positions, D numbers of an input, H hidden units, K classes.
"""

import functools
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepclassics.claims import Finding
from deepclassics.claims.training import median
from deepclassics.data import load
from deepclassics.layers.recurrent import Cell, Recurrent
from deepclassics.systems.language.wirings import Adding

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELLS: tuple[Cell, ...] = ("rnn", "lstm")


class Reader(nn.Module):
    """A recurrent net and an affine map from its outputs, read at every position."""

    def __init__(self, cell: Cell, inputs: int, hidden: int, outputs: int, bidirectional: bool = False) -> None:
        super().__init__()
        self.recurrent = Recurrent(cell, inputs, hidden, bidirectional=bidirectional)
        self.output = nn.Linear(self.recurrent.outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, D) -> (B, T, K)
        return self.output(self.recurrent(x)[0])


Made = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]  # how many -> (B, T, D), (B, T') classes or numbers


def _taught(
    net: nn.Module, make: Made, updates: int, rate: float, clip: float | None = 1.0, batch: int = 50, seed: int = 0
) -> Iterator[tuple[float, float]]:
    """After every update of Adam, each on examples never seen before, the loss and the length of the gradient as it
    was before it was clipped. Outputs are read at the last positions, as many as there are answers."""
    steps = torch.optim.Adam(net.parameters(), rate, fused=True)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(updates):
        x, y = make(batch, generator)
        steps.zero_grad()
        loss = _loss(net(x)[:, -y.shape[1] :], y)
        loss.backward()
        length = nn.utils.clip_grad_norm_(net.parameters(), clip or math.inf)
        steps.step()
        yield loss.item(), float(length)


def _loss(scores: Tensor, y: Tensor) -> Tensor:  # (B, T, K), (B, T) -> ()
    return (
        F.mse_loss(scores[..., 0], y) if y.is_floating_point() else F.cross_entropy(scores.flatten(0, 1), y.flatten())
    )


def _taught_right(net: nn.Module, make: Made, updates: int, rate: float) -> float:
    """The share of right answers about new examples, after so many updates."""
    for _ in _taught(net, make, updates, rate):
        pass
    x, y = make(500, torch.Generator().manual_seed(1_000))
    with torch.no_grad():
        return float((net(x)[:, -y.shape[1] :].argmax(2) == y).float().mean())


def _bits(*lags: int, length: int) -> Made:
    """Random bits, of which at every position those so many before are wanted, negative numbers after it, as the digits
    of one number. What lies outside the sequence is 0."""

    def make(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        bits = torch.randint(2, (count, length), generator=generator)
        wanted = torch.zeros_like(bits)
        for lag in lags:
            wanted = 2 * wanted + F.pad(bits, (lag, -lag))
        return (2.0 * bits - 1)[..., None], wanted

    return make


# --- one function at every step


def c111_rnn_cap() -> Finding:
    """An RNN cannot have enormous length, for the states must be kept to go back; so chunks of 25, the state carried.

    Notes: F2 L1413.

    An Elman net of 64 units on a sequence of 25 to 10,000 positions: the bytes that autograd keeps for the way back, of
    the whole and of chunks of 25, where the largest of a chunk counts. The former must grow in proportion, the latter
    not at all, and the outputs be the same. That 10,000 positions are trained on at once in less than 100 MB is the
    exception: 25 is what is usual, no bound.
    """
    net = Recurrent("rnn", 8, 64)
    kept: dict[int, int] = {}
    gaps, chunk = [], 0
    for length in (25, 250, 2500, 10_000):
        x = torch.randn(1, length, 8)
        kept[length], whole = _kept(net, x, None)
        state, pieces = None, []
        for piece in x.split(25, 1):
            size, (out, state) = _kept(net, piece.clone(), state)
            state = state.detach()
            chunk = max(chunk, size)
            pieces.append(out.detach())
        gaps.append(float((torch.cat(pieces, 1) - whole[0].detach()).abs().max()))
    net.zero_grad()
    net(torch.randn(1, 10_000, 8))[0].square().mean().backward()
    trained = all(bool(parameter.grad.isfinite().all()) for parameter in net.parameters() if parameter.grad is not None)
    ratio = kept[2500] / kept[250]
    return Finding(
        holds=9 < ratio < 11 and max(gaps) < 1e-5,
        limited=trained and kept[10_000] < 100e6,
        numbers={
            **{f"kept for {length:,} positions, MB": size / 1e6 for length, size in kept.items()},
            "kept for chunks of 25, MB": chunk / 1e6,
            "largest gap between the outputs of chunks and of the whole": max(gaps),
        },
        remark="What is kept grows with the length, but 10,000 positions of a small net fit in some megabytes. 25 is "
        "what is usual, no bound.",
    )


def _kept(net: Recurrent, x: Tensor, state: Tensor | None) -> tuple[int, Any]:
    """The bytes that are kept for the way back, weights left out, and what the net gives."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    seen: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        found = net(x, state)
    return sum(seen.values()), found


def c174_bptt_counts() -> Finding:
    """Back-propagation through three steps changes V once, W_2 twice and W_1 three times.

    Notes: F3 L1847-1856.

    s_t = tanh(W_1 x_t + W_2 s_{t-1}) over three steps from no state, o = V s_3, with a copy of its own of each weight
    at each use. The copies whose gradients are not 0 are counted; together they must be the gradient of the shared
    weights.
    """
    torch.manual_seed(0)
    first, second, last = (torch.randn(4, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    x = torch.randn(3, 4, dtype=torch.float64)

    def loss(one: list[Tensor], two: list[Tensor], three: Tensor) -> Tensor:
        state = torch.zeros(4, dtype=torch.float64)
        for step in range(3):
            state = torch.tanh(one[step] @ x[step] + two[step] @ state)
        return (three @ state).square().sum()

    shared = torch.autograd.grad(loss([first] * 3, [second] * 3, last), (first, second, last))
    copies = [[weight.detach().clone().requires_grad_() for _ in range(3)] for weight in (first, second)]
    own = last.detach().clone().requires_grad_()
    loss(copies[0], copies[1], own).backward()
    found = [[copy.grad for copy in each if copy.grad is not None] for each in (*copies, [own])]
    used = [sum(bool(gradient.any()) for gradient in each) for each in found]
    gap = max(float((torch.stack(each).sum(0) - whole).abs().max()) for each, whole in zip(found, shared, strict=True))
    return Finding(
        holds=used == [3, 2, 1] and gap < 1e-12,
        numbers={
            "uses of V": used[2],
            "uses of W_2": used[1],
            "uses of W_1": used[0],
            "largest gap between the sum over the uses and the gradient": gap,
        },
    )


def c209_same_func() -> Finding:
    """The same function with the same parameters is used at every time step.

    Notes: F2 L1413.

    One step of an Elman net, an LSTM and a GRU, h and c handed on by hand, against the whole sequence of 5, 50 and 500
    positions: the largest gap. The weights are the same ones however long the sequence is.
    """
    cells: tuple[Cell, ...] = ("rnn", "lstm", "gru")
    gaps, counts = {}, set()
    for cell in cells:
        net = Recurrent(cell, 6, 16).double()
        found = []
        for length in (5, 50, 500):
            x = torch.randn(3, length, 6, dtype=torch.float64)
            state, outs = None, []
            for step in range(length):
                out, state = net(x[:, step : step + 1], state)
                outs.append(out)
            found.append(float((torch.cat(outs, 1) - net(x)[0]).detach().abs().max()))
            counts.add((cell, sum(parameter.numel() for parameter in net.parameters())))
        gaps[cell] = max(found)
    return Finding(
        holds=max(gaps.values()) < 1e-12 and len(counts) == len(cells),
        numbers={f"largest gap between single steps and the whole, {cell}": gap for cell, gap in gaps.items()},
    )


# --- counts


def c113_lstm_4() -> Finding:
    """The repeating module of an RNN has one layer, that of an LSTM four.

    Notes: F2 L1468.

    Numbers learnt by an LSTM over those of an Elman net, for several numbers of inputs and units: exactly 4.
    """
    ratios = [_learnt("lstm", *sizes) / _learnt("rnn", *sizes) for sizes in ((1, 1), (10, 20), (300, 128))]
    return Finding(
        holds=all(ratio == 4 for ratio in ratios),
        numbers={"parameters, LSTM over Elman, least": min(ratios), "the same, largest": max(ratios)},
    )


def c116_gru_simple() -> Finding:
    """A GRU is simpler than an LSTM: one gate fewer, and no cell beside the hidden state.

    Notes: F2 L1558.

    Numbers learnt by a GRU over those of an LSTM, for several numbers of inputs and units: exactly 3/4. And a GRU hands
    on H numbers where an LSTM hands on 2 H.
    """
    ratios = [_learnt("gru", *sizes) / _learnt("lstm", *sizes) for sizes in ((1, 1), (10, 20), (300, 128))]
    x = torch.randn(1, 3, 10)
    handed = [
        sum(part.numel() for part in (state if isinstance(state, tuple) else (state,)))
        for state in (Recurrent(cell, 10, 20)(x)[1] for cell in ("gru", "lstm"))
    ]
    return Finding(
        holds=all(ratio == 0.75 for ratio in ratios) and 2 * handed[0] == handed[1],
        numbers={
            "parameters, GRU over LSTM": max(ratios),
            "numbers handed on, GRU of 20 units": handed[0],
            "numbers handed on, LSTM of 20 units": handed[1],
        },
    )


def _learnt(cell: Cell, inputs: int, hidden: int) -> int:
    return sum(parameter.numel() for parameter in Recurrent(cell, inputs, hidden).parameters())


# --- the way of the gradient


def c208_clip_rnn() -> Finding:
    """The backward flow of an RNN can explode or vanish.

    Notes: F2 L1583.

    It is the spectral radius of W_hh that decides: 0.5 to 1.5, in steps of 0.1, of a random matrix of 64 units. The
    growth of a gradient by a step, over 100 steps: of the linear net it must be the radius, to 3 %. Of a net of tanh,
    with inputs of deviation 0.1, it falls below the radius, for tanh' is under 1 where units are not at rest; there
    the threshold lies above 1, and that is the exception.
    """
    radii = [0.5 + 0.1 * number for number in range(11)]
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(64, 64, generator=generator, dtype=torch.float64)
    matrix /= torch.linalg.eigvals(matrix).abs().max()
    noise = 0.1 * torch.randn(200, 64, generator=generator, dtype=torch.float64)
    start = torch.randn(64, generator=generator, dtype=torch.float64)
    linear = [_growth(radius * matrix, torch.zeros_like(noise), start) for radius in radii]
    curved = [_growth(radius * matrix, noise, start) for radius in radii]
    gap = max(abs(found / radius - 1) for found, radius in zip(linear, radii, strict=True))
    threshold = next((radius for radius, found in zip(radii, curved, strict=True) if found > 1), math.inf)
    return Finding(
        holds=gap < 0.03 and linear[0] < 1 < linear[-1],
        limited=threshold > 1.05,
        numbers={
            "largest gap between growth and radius, linear net, share of the radius": gap,
            "growth of a gradient by a step, radius 0.5, tanh": curved[0],
            "growth of a gradient by a step, radius 1.5, tanh": curved[-1],
            "least radius at which gradients grow, tanh": threshold,
        },
        remark="Gradients grow by the spectral radius in a linear net. tanh takes from that where units are not at "
        "rest: they begin to grow at a larger radius, and explode less.",
        draw=_drawn_growth(radii, linear, curved),
    )


def _growth(weight: Tensor, x: Tensor, start: Tensor) -> float:  # (H, H), (T, H), (H,)
    """The factor by which a gradient grows at a step back, over the last half of the way: h = tanh(W h + x)."""
    states, state = [], torch.zeros_like(start)
    for each in x:
        state = torch.tanh(weight @ state + each)
        states.append(state)
    gradient, middle = start, start
    for step, state in enumerate(reversed(states)):
        if step == len(states) // 2:
            middle = gradient
        gradient = weight.T @ ((1 - state.square()) * gradient)
    return float((gradient.norm() / middle.norm()) ** (2 / len(states)))


def _drawn_growth(radii: list[float], linear: list[float], curved: list[float]) -> "Callable[[], Figure]":
    def draw() -> "Figure":
        from deepclassics.report.style import FAINT, grid, sheet

        figure = sheet(4.8, 3.4)
        axes = figure.subplots()
        axes.axhline(1, color=FAINT, linewidth=0.8)
        axes.plot(radii, linear, "o-", label="linear")
        axes.plot(radii, curved, "s-", label="tanh")
        axes.set_xlabel("spectral radius")
        axes.set_ylabel("growth of the gradient by a step")
        axes.legend()
        grid(axes)
        return figure

    return draw


def c210_cell_line() -> Finding:
    """It is easy for information to flow along the cell state of an LSTM unchanged.

    Notes: F2 L1494.

    An LSTM whose forget gates are held at 1 and whose input gates at 0, by biases of 50 and -50, reads 1,000 random
    inputs: what its cells hold must stay the same, to 1e-6. With first weights as they are, about half is lost at a
    step: it is easy for an LSTM that has learnt it.
    """
    x, cells = torch.randn(4, 1000, 8), torch.randn(1, 4, 32)
    net = Recurrent("lstm", 8, 32)
    left = {}
    with torch.no_grad():
        for steps in (1, 10, 100):
            one, other = (net(x[:, :steps], (torch.zeros_like(cells), begun))[1][1] for begun in (cells, cells + 1))
            left[steps] = float((other - one).abs().mean())
        bias = net.get_parameter("bias_ih_l0")
        bias[:32] = -50  # input gates
        bias[32:64] = 50  # forget gates
        gap = float((net(x, (torch.zeros_like(cells), cells))[1][1] - cells).abs().max())
    return Finding(
        holds=gap < 1e-6,
        numbers={
            "largest change of a cell in 1,000 steps, f = 1 and i = 0": gap,
            **{f"share of a difference left after steps: {steps}, first weights": each for steps, each in left.items()},
        },
    )


def c117_additive() -> Finding:
    """An RNN transforms its state, an LSTM adds to it; RNNs look like plain nets, LSTMs like ResNets.

    Notes: F2 L1567-1569.

    The derivative of the state by the one before, of nets of 32 units that have read 20 inputs. Of an LSTM's cell, the
    hidden units held, it must be diag(f); of an Elman net diag(1 - h²) W_hh, which has no part that stays. A ResNet
    hands on what it has got whole; the mean of f tells what share an LSTM hands on.
    """
    x = torch.randn(1, 21, 8, dtype=torch.float64)
    lstm, plain = Recurrent("lstm", 8, 32).double(), Recurrent("rnn", 8, 32).double()
    _, (hidden, cell) = lstm(x[:, :20])
    _, state = plain(x[:, :20])
    after = {
        "lstm": torch.autograd.functional.jacobian(lambda c: lstm(x[:, 20:], (hidden, c))[1][1].flatten(), cell),
        "rnn": torch.autograd.functional.jacobian(lambda h: plain(x[:, 20:], h)[1].flatten(), state),
    }
    inward, across, one, two = lstm.weights(0)
    forget = torch.sigmoid(inward @ x[0, 20] + across @ hidden.flatten() + one + two)[32:64].detach()
    turned = ((1 - plain(x)[1].flatten().square()).diag() @ plain.weights(0)[1]).detach()
    gaps = {
        "lstm": float((after["lstm"].view(32, 32) - forget.diag()).abs().max()),
        "rnn": float((after["rnn"].view(32, 32) - turned).abs().max()),
    }
    kept = float(forget.mean())
    return Finding(
        holds=max(gaps.values()) < 1e-12,
        limited=kept < 0.99,
        numbers={
            "largest gap between the cell's derivative and diag(f), LSTM": gaps["lstm"],
            "largest gap between the state's derivative and diag(1 - h²) W, Elman": gaps["rnn"],
            "mean share of a cell that is handed on, f, first weights": kept,
        },
        remark="The way along the cells is diag(f), as said. But f is below 1: a ResNet hands on what it has got "
        "whole, an LSTM a share of it.",
    )


def c118_lstm_novanish() -> Finding:
    """RNNs have vanishing gradients, LSTMs have not: of noise put into the gradient, an LSTM keeps more for longer.

    Notes: F2 L1570-1572.

    Noise is put in at the last of 200 states, of nets of 64 units with first weights that read random inputs; how long
    it is at every step before, an LSTM with a forget gate's bias of 0, 1 and 3 (E038). The LSTM with a bias of 1, as it
    is used, must hold a thousandth of it for twice as many steps as the Elman net or more. It decays nevertheless,
    roughly as the product of the forget gates, and after 200 steps less than a thousandth is left.
    """
    lengths = {"Elman": _backward("rnn", 0.0)}
    lengths |= {f"LSTM, forget bias {bias}": _backward("lstm", float(bias)) for bias in (0, 1, 3)}
    steps = {name: sum(each > 1e-3 for each in found) for name, found in lengths.items()}
    return Finding(
        holds=steps["LSTM, forget bias 1"] >= 2 * steps["Elman"],
        limited=lengths["LSTM, forget bias 1"][-1] < 1e-3,
        numbers={
            **{f"steps until a thousandth is left, {name}": float(count) for name, count in steps.items()},
            **{f"share left after 200 steps, {name}": found[-1] for name, found in lengths.items()},
        },
        remark="The gradient of an LSTM vanishes too, more slowly: as the product of its forget gates.",
        draw=_drawn_lengths(lengths),
    )


def _backward(cell: Cell, bias: float, scale: float = 1.0, length: int = 200, hidden: int = 64) -> list[float]:
    """How long a gradient put in at the last state is that many steps before it, as a share; from 1 step on.

    `bias` is added to that of the forget gates; the recurrent weights are first ones times `scale`.
    """
    torch.manual_seed(0)
    net = Recurrent(cell, 16, hidden).double()
    net.get_parameter("weight_hh_l0").data *= scale
    if cell == "lstm":
        with torch.no_grad():
            net.get_parameter("bias_ih_l0")[hidden : 2 * hidden] += bias
    states: list[tuple[Tensor, ...]] = []
    state: Any = None
    for x in torch.randn(length + 1, 8, 1, 16, dtype=torch.float64):
        _, state = net(x, state)
        states.append(state if isinstance(state, tuple) else (state,))
    noise = [torch.randn_like(part) for part in states[-1]]
    whole = torch.cat(noise, 2).norm()
    wanted = [part for each in states[:-1] for part in each]
    found = torch.autograd.grad(states[-1], wanted, noise)
    parts = len(noise)
    pieces = [torch.cat(found[place : place + parts], 2) for place in range(0, len(found), parts)]
    return [float(piece.norm() / whole) for piece in reversed(pieces)]


def _clipped(scale: float, length: int, hidden: int = 64) -> tuple[float, float, float]:
    """Of an Elman net as in `_backward`, the length of the gradients of its weights and of its first state together,
    before and after they are clipped to 1, and that of the state's alone after it."""
    torch.manual_seed(0)
    net = Recurrent("rnn", 16, hidden).double()
    net.get_parameter("weight_hh_l0").data *= scale
    begun = nn.Parameter(torch.zeros(1, 8, hidden, dtype=torch.float64))
    _, last = net(torch.randn(8, length, 16, dtype=torch.float64), begun)
    noise = torch.randn_like(last)
    last.backward(noise / noise.norm())
    every = [begun, *net.parameters()]
    before = float(nn.utils.clip_grad_norm_(every, 1.0))
    lengths = torch.stack([each.grad.norm() for each in every if each.grad is not None])
    return before, float(lengths.norm()), float(lengths[0])


def _drawn_lengths(lengths: dict[str, list[float]]) -> "Callable[[], Figure]":
    def draw() -> "Figure":
        from deepclassics.report.style import grid, sheet

        figure = sheet(5.6, 3.4)
        axes = figure.subplots()
        for name, found in lengths.items():
            axes.semilogy(range(1, len(found) + 1), found, label=name)
        axes.set_ylim(1e-8, 2)
        axes.set_xlabel("steps back")
        axes.set_ylabel("length of the gradient, share")
        axes.legend()
        grid(axes)
        return figure

    return draw


def c120_clip_add() -> Finding:
    """Exploding gradients are controlled by clipping, vanishing ones by additive interactions.

    Notes: F2 L1583.

    Each remedy against each fault (E029). An Elman net and an LSTM of 64 units with a forget gate's bias of 3, read
    back over 100 steps: with recurrent weights five times as large as first ones, where gradients grow, and with first
    ones, where the Elman net's vanish. The gradients of the Elman net's weights and of its first state are clipped, all
    together, to a length of 1: then the first must be 1 long, and what reaches the first state of the second no longer
    than it was. The LSTM must keep a thousandth of the second, and not bound the first.
    """
    large = {cell: _backward(cell, 3.0, 5.0, 100)[-1] for cell in CELLS}
    small = {cell: _backward(cell, 3.0, 1.0, 100)[-1] for cell in CELLS}
    exploding, bounded, _ = _clipped(5.0, 100)
    _, _, vanished = _clipped(1.0, 100)
    controlled = exploding > 1e3 and abs(bounded - 1) < 1e-3
    return Finding(
        holds=large["rnn"] > 1e3 and controlled and small["rnn"] < 1e-6 and vanished < 1e-6 and small["lstm"] > 1e-3,
        limited=large["lstm"] < 100,
        numbers={
            "length after 100 steps, large weights, Elman": large["rnn"],
            "the same, LSTM": large["lstm"],
            "length of all gradients, large weights, Elman": exploding,
            "the same, clipped": bounded,
            "length after 100 steps, first weights, Elman": small["rnn"],
            "the same gradient, LSTM": small["lstm"],
            "the same gradient, Elman, clipped": vanished,
        },
        remark="Each remedy helps against its own fault; here the LSTM's gradients did not explode either.",
    )


# --- what is learnt


def c176_ff_limit() -> Finding:
    """A feed-forward language model must fix the length of its context; an RNN maintains one.

    Notes: F3 L2132-2134.

    Random bits, of which the one 5 before is wanted (S203). A net of 32 ReLUs that sees the last 4, and an Elman net of
    32 units that sees one at a time, 400 updates each: the former must stay within 5 % of chance, the latter be right
    about more than 95 %.
    """
    torch.manual_seed(0)
    make = _bits(5, length=20)

    def windows(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x, y = make(count, generator)
        return F.pad(x[..., 0], (3, 0)).unfold(1, 4, 1)[:, 5:], y[:, 5:]

    window = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
    fixed = _taught_right(window, windows, 400, 5e-3)
    carried = _taught_right(Reader("rnn", 1, 32, 2), make, 400, 5e-3)
    return Finding(
        holds=abs(fixed - 0.5) < 0.05 and carried > 0.95,
        numbers={"right, window of 4": fixed, "right, Elman net": carried},
        remark="The window was not at chance, or the Elman net did not learn.",
    )


def c175_rnn_early() -> Finding:
    """An RNN cannot make good use of early information: long-term dependence.

    Notes: F3 L1931.

    The first bit of a sequence is wanted at its end, after random bits: 2 to 60 steps later. Elman nets of 32 units,
    300 updates each, three starts; the share that is right, the median. After 2 steps it must be above 95 %, after 60
    below 60 %.
    """
    right = {gap: median([_first_kept("rnn", gap, seed) for seed in range(3)]) for gap in (2, 10, 30, 60)}
    return Finding(
        holds=right[2] > 0.95 and right[60] < 0.6,
        numbers={f"right about what came {gap} steps ago": each for gap, each in right.items()},
        remark="Early information was used as well as late.",
    )


def _first_kept(cell: Cell, gap: int, seed: int) -> float:
    torch.manual_seed(seed)

    def make(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        bits = torch.randint(2, (count, gap + 1), generator=generator)
        return (2.0 * bits - 1)[..., None], bits[:, :1]

    return _taught_right(Reader(cell, 1, 32, 2), make, 300, 3e-3)


def c119_bi_nlp() -> Finding:
    """A bidirectional RNN is useful where the contexts on both sides matter, as in language.

    Notes: F2 L1576.

    Random bits; at every position those 2 before and 2 after are wanted, one class for each of the four pairs. LSTMs of
    32 units in one direction and of 16 in each of two, 300 updates: the latter must be right about more than 95 %, the
    former lag by 20 points or more.
    """
    torch.manual_seed(0)
    make = _bits(2, -2, length=16)
    one = _taught_right(Reader("lstm", 1, 32, 4), make, 300, 1e-2)
    both = _taught_right(Reader("lstm", 1, 16, 4, bidirectional=True), make, 300, 1e-2)
    return Finding(
        holds=both > 0.95 and both - one > 0.2,
        numbers={"right, one direction": one, "right, both directions": both},
        remark="Both directions did not help by 20 points.",
    )


def c112_lstm_better() -> Finding:
    """All papers use LSTM, which works better than the vanilla RNN.

    Notes: F2 L1468.

    The adding problem of 100 steps (Hochreiter and Schmidhuber 1997): of two marked numbers the sum. An LSTM and an
    Elman net of 64 units, 1,500 updates of 50 sequences; always answering 1 has a squared error of 1/6 = 0.167. The
    LSTM must come to 0.03 or less where the Elman net stays at 0.15 or more. And text, Python's documentation: as many
    numbers learnt, 200 updates of 32 times 50 characters; if the Elman net's loss on other text is lower after so few,
    that is the exception. Which nets papers use is not tested.
    """
    adding = Adding(100)

    def make(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return adding.make(count, "train", generator)

    left = {}
    rates: dict[Cell, float] = {"lstm": 1e-2, "rnn": 1e-3}
    for cell, rate in rates.items():
        torch.manual_seed(0)
        losses = [loss for loss, _ in _taught(Reader(cell, 2, 64, 1), make, 1500, rate)]
        left[cell] = sum(losses[-100:]) / 100
    text = {cell: _text_loss(cell) for cell in CELLS}
    return Finding(
        holds=left["lstm"] < 0.03 and left["rnn"] > 0.15,
        limited=text["lstm"] >= text["rnn"],
        numbers={
            "squared error, adding problem, LSTM": left["lstm"],
            "squared error, adding problem, Elman": left["rnn"],
            "loss on text, nats per character, LSTM": text["lstm"],
            "loss on text, nats per character, Elman": text["rnn"],
        },
        remark="Where something must be remembered for long, the LSTM is better. On text an Elman net with as many "
        "numbers is ahead after 200 updates.",
    )


def c115_greff() -> Finding:
    """The popular variants of the LSTM are all about the same, as Greff et al. found.

    Notes: F2 L1541.

    Text, Python's documentation, as in C112: LSTM, peephole, coupled gates and GRU, each with as many numbers learnt,
    must come within 5 % of one another. So must, or it is an exception, LSTMs that lack the input gate, forget gate,
    output gate, or one of the two activations: Greff et al. found the forget gate and the output's activation to
    matter most.

    It is one start, one rate and 200 updates: that tells how fast each learns at first, to within what another start
    would change. What each comes to at the end, at the best of 200 settings, which Greff et al. compared, it does not.
    """
    popular: tuple[Cell, ...] = ("lstm", "peephole", "coupled", "gru")
    without: tuple[Cell, ...] = (
        "no_input_gate",
        "no_forget_gate",
        "no_output_gate",
        "no_input_activation",
        "no_output_activation",
    )
    losses = {cell: _text_loss(cell) for cell in (*popular, *without)}
    best, worst = (found(losses[cell] for cell in popular) for found in (min, max))
    return Finding(
        holds=worst < 1.05 * best,
        limited=max(losses[cell] for cell in without) > 1.05 * best,
        numbers={f"loss on text, nats per character, {cell}": each for cell, each in losses.items()},
        remark=f"After 200 updates at one rate the losses of the popular ones lie {worst / best - 1:.1%} apart, more "
        "where a part is lacking. That is how fast they learn at first, not what each comes to once it is tuned.",
    )


@functools.cache
def _text_loss(cell: Cell, updates: int = 200) -> float:
    """The loss on text held back, in nats per character, of a cell with as many numbers learnt as an LSTM of 64 units,
    or the next fewer."""
    found = load("pydocs", ("text",), seed=0, valid=0.05, test=0.1)
    count = len(found.spec["vocabulary"])
    budget = Recurrent("lstm", count, 64).learnt()
    hidden = next(width for width in range(256, 0, -1) if Recurrent(cell, count, width).learnt() <= budget)
    torch.manual_seed(0)
    net = Reader(cell, count, hidden, count)
    for _ in _taught(net, _pieces(found.train, count), updates, 1e-2, batch=32):
        pass
    x, y = _pieces(found.valid, count)(200, torch.Generator().manual_seed(1))
    with torch.no_grad():
        return float(_loss(net(x), y))


def _pieces(ids: Tensor, vocabulary: int) -> Made:  # (N,)
    """50 characters from places of chance, and the next ones."""

    def make(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        places = torch.randint(len(ids) - 51, (count, 1), generator=generator) + torch.arange(51)
        rows = ids[places].long()
        return F.one_hot(rows[:, :-1], vocabulary).float(), rows[:, 1:]

    return make


def c114_cellcounter() -> Finding:
    """The cells of an LSTM are best thought of as counters.

    Notes: F2 L1474, L1489-1502.

    An LSTM of 8 units learns to foretell the letters of a^n b^n, one after the other without end, n from 1 to 10, by
    1,000 updates. Over other such text, how much of the variance of each cell is explained by a line through the number
    of letters a that are still open: of the best cell it must be 95 % or more. And a cell set by hand, all gates 1 and
    candidates of 1 and -1, must count to 1,000 and back exactly.
    """
    torch.manual_seed(0)
    net = Reader("lstm", 2, 8, 2)
    for _ in _taught(net, _opened_and_closed, 1000, 1e-2):
        pass
    x, _ = _opened_and_closed(100, torch.Generator().manual_seed(1_000))
    letters = 1 - 2 * x.argmax(2)
    open_ones = letters.cumsum(1).double()
    with torch.no_grad():
        state, cells = None, []
        for step in range(x.shape[1]):
            _, state = net.recurrent(x[:, step : step + 1], state)
            cells.append(state[1][0])
    explained = [
        float(torch.corrcoef(torch.stack([cell.double().flatten(), open_ones.flatten()]))[0, 1] ** 2)
        for cell in torch.stack(cells, 1).unbind(2)
    ]
    counter = Recurrent("lstm", 1, 1)
    with torch.no_grad():
        for parameter in counter.parameters():
            parameter.zero_()
        counter.get_parameter("weight_ih_l0")[2] = 50.0  # candidate: the sign of the input
        counter.get_parameter("bias_ih_l0")[[0, 1, 3]] = 50.0
        up, down = torch.ones(1, 1000, 1), -torch.ones(1, 1000, 1)
        top = float(counter(up)[1][1])
        end = float(counter(torch.cat([up, down], 1))[1][1])
    return Finding(
        holds=max(explained) > 0.95 and (top, end) == (1000.0, 0.0),
        limited=sum(each > 0.5 for each in explained) < len(explained) / 2,
        numbers={
            "share of the variance that the count explains, best cell": max(explained),
            "the same, the median of eight": median(explained),
            "a cell set by hand after 1,000 steps up": top,
            "the same after 1,000 more down": end,
        },
        remark="A cell counts, where there is something to count; most of the others do something else.",
    )


def _opened_and_closed(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # (B, 40, 2), (B, 40)
    """a^n b^n after a^n b^n, and the next letters."""
    lengths = torch.randint(1, 11, (count, 21), generator=generator)
    turns = lengths.repeat_interleave(2, 1).cumsum(1)  # where a becomes b, and b becomes a
    letter = (torch.arange(41)[None, :, None] >= turns[:, None]).sum(2) % 2
    return F.one_hot(letter[:, :-1], 2).float(), letter[:, 1:]
