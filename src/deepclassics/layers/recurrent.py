"""Recurrent cells: what reads a sequence one position at a time and keeps a state.

Sources, and what is particular to each cell. σ is the logistic function; * goes unit by unit:

    rnn             h = tanh(W x + R h): J. Elman, Finding structure in time (1990). S196
    lstm            c = f * c + i * g, h = o * tanh(c), where i, f, o = σ(W x + R h) and g = tanh(W x + R h):
                    S. Hochreiter, J. Schmidhuber (1997), with the forget gate of F. Gers et al. (2000). S206
    gru             K. Cho et al. (2014); the reset gate stands, as in torch, after the matrix product. S211
    peephole        the gates see the cell, each unit its own: i and f the cell before, o the new one: F. Gers,
                    J. Schmidhuber, Recurrent nets that time and count (2000). S209
    coupled         i = 1 - f: K. Greff et al., LSTM: a search space odyssey (2015), CIFG. S210
    depth_gated     from the second layer on c = d * below + f * c + i * g, where `below` is the cell of the layer
                    below and d = σ(W x + p * c + q * below): K. Yao et al., Depth-gated LSTM (2015). S212
    clockwork       the units are in modules; each moves at the multiples of its period, and listens to itself and to
                    slower ones: J. Koutník et al., A clockwork RNN (2014). S213
    no_input_gate, no_forget_gate, no_output_gate
                    an LSTM with that gate at 1: Greff 2015, NIG, NFG, NOG. C115
    no_input_activation, no_output_activation
                    an LSTM with g = W x + R h, with h = o * c: Greff 2015, NIAF, NOAF. C115
    sigmoid_candidate
                    an LSTM with g = σ(W x + R h): I. Goodfellow et al., Deep Learning (2016), 10.41. S206, E004

Further notes: S200 (stacked), S216 (both directions).

Weights have torch's names, shapes and first values: a state dict of `torch.nn.LSTM` fits "lstm" and whatever has its
four blocks. The rows of a weight are the blocks of `BLOCKS`, in that order.

Departures from the paper: Greff's ablations start from an LSTM with peepholes, these from one without, as in the notes;
Yao's LSTM has peepholes on all gates, here its depth gate alone has them.

How it is computed: rnn, lstm and gru by torch's fused kernels. The others take the input products of all steps in one,
then step by step what hangs on the step before. Their way back is written by hand: what does not hang on the step after
is taken for all steps at once, and so are the gradients of the recurrent weights. Nothing is compiled, and nothing can
be differentiated twice.

Letters: B sequences, T positions, D numbers of an input, H hidden units, L layers, G blocks of H rows (gates).
"""

import math
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from deepclassics.errors import UserError

Cell = Literal[
    "rnn",
    "lstm",
    "gru",
    "peephole",
    "coupled",
    "depth_gated",
    "clockwork",
    "no_input_gate",
    "no_forget_gate",
    "no_output_gate",
    "no_input_activation",
    "no_output_activation",
    "sigmoid_candidate",
]
Gate = Literal["input", "forget", "output"]
GATES: tuple[Gate, ...] = ("input", "forget", "output")
State = Tensor | tuple[Tensor, ...] | None

# i, f, o: input, forget and output gate; g: candidate; r, z, n: reset gate, update gate and new state; h: hidden units.
BLOCKS: dict[Cell, str] = {
    "rnn": "h",
    "lstm": "ifgo",
    "gru": "rzn",
    "peephole": "ifgo",
    "coupled": "fgo",
    "depth_gated": "ifgo",  # above the first layer the input's weight and bias have the rows of d after these
    "clockwork": "h",
    "no_input_gate": "fgo",
    "no_forget_gate": "igo",
    "no_output_gate": "ifg",
    "no_input_activation": "ifgo",
    "no_output_activation": "ifgo",
    "sigmoid_candidate": "ifgo",
}
FUSED: dict[str, Callable[..., Any]] = {"rnn": torch.rnn_tanh, "lstm": torch.lstm, "gru": torch.gru}
CUDNN = {"rnn": "RNN_TANH", "lstm": "LSTM", "gru": "GRU"}  # what cuDNN calls them
PERIODS = (1, 2, 4, 8)


class Recurrent(nn.Module):
    """`layers` of recurrent cells on top of each other, of `hidden` units each, in one direction or in both.

    `dropout` is the share of what a layer hands to the next that is left out. `peepholes` are the gates of a peephole
    cell that see it. `periods` are those of a clockwork cell's modules, each a multiple of the one before; the modules
    have equally many units, the first ones one more where that does not come out even.
    """

    heard: Tensor  # (H, H) of a clockwork cell: the units, columns, that each one, a row, listens to

    def __init__(
        self,
        cell: Cell,
        inputs: int,
        hidden: int,
        layers: int = 1,
        *,
        dropout: float = 0.0,
        bidirectional: bool = False,
        peepholes: Collection[Gate] = GATES,
        periods: Sequence[int] = PERIODS,
    ) -> None:
        super().__init__()
        if cell == "depth_gated" and layers == 1:  # it would be an LSTM under another name
            raise UserError(
                "A depth-gated net must have 2 layers or more, for its gates open to the layer below; got 1. "
                "Give it more layers."
            )
        self.cell, self.hidden, self.layers, self.dropout = cell, hidden, layers, dropout
        self.directions = ("", "_reverse") if bidirectional else ("",)
        self.outputs = hidden * len(self.directions)
        self.peepholes, self.periods = [gate for gate in GATES if gate in peepholes], tuple(periods)
        for name, shape in shapes(cell, inputs, hidden, layers, self.directions, self.peepholes).items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(hidden), 1 / math.sqrt(hidden))
        if cell == "clockwork":
            self._wind()

    def _wind(self) -> None:
        """Who listens to whom in a clockwork cell. The weights of the others are 0, stay 0 and are not `learnt`."""
        periods = self.periods
        assert all(slow % fast == 0 for fast, slow in pairwise(periods)), "each period is a multiple of the one before"
        if self.hidden < len(periods):
            raise UserError(
                f"A clockwork layer must have {len(periods)} units or more, one for each of its periods; "
                f"got {self.hidden}. Give it more hidden units."
            )
        sizes = modules(self.hidden, periods)
        self.ends = [sum(sizes[: number + 1]) for number in range(len(periods))]
        module = torch.repeat_interleave(torch.arange(len(periods)), torch.tensor(sizes))
        self.register_buffer("heard", module[:, None] <= module, persistent=False)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if name.startswith("weight_hh"):
                    weight.mul_(self.heard)

    def learnt(self) -> int:
        """How many numbers are learnt."""
        inputs = self.get_parameter("weight_ih_l0").shape[1]
        return count(self.cell, inputs, self.hidden, self.layers, self.directions, self.peepholes, self.periods)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        self._flatten()
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._flatten()  # a copy's weights are copied one by one

    def _flatten(self) -> None:
        """On a GPU weights are laid in one piece, as `torch.nn.LSTM` has them: else cuDNN copies them at every call.

        Those of a net of both directions in one piece for each layer and direction, as they are read.
        """
        if self.cell not in FUSED:
            return
        first = self.get_parameter("weight_ih_l0")
        if not torch.backends.cudnn.is_acceptable(first) or not torch._use_cudnn_rnn_flatten_weight():
            return
        from torch.backends.cudnn.rnn import get_cudnn_mode

        each = [self.weights(layer, side) for layer in range(self.layers) for side in self.directions]
        blocks = each if len(self.directions) == 2 else [[weight for weights in each for weight in weights]]
        with torch.cuda.device_of(first), torch.no_grad():
            for block in blocks:
                torch._cudnn_rnn_flatten_weight(
                    block, 4, block[0].shape[1], get_cudnn_mode(CUDNN[self.cell]), self.hidden, 0, len(block) // 4,
                    True, False,
                )  # fmt: skip

    def weights(self, layer: int, direction: str = "") -> list[Tensor]:
        """(G·H, D), (G·H, H), (G·H,), (G·H,) of a layer in a direction, "" or "_reverse".

        The first and the third have another H rows, those of d, in a depth-gated layer above the first.
        """
        return [
            self.get_parameter(f"{name}_l{layer}{direction}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]

    def forward(
        self, x: Tensor, state: State = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:  # (B, T, D), state, (B,) -> (B, T, H or 2H), state
        """`state` is (L, B, H) for rnn and gru, two of it for the LSTMs, hidden units and cells, in both directions
        (2L, B, H); for clockwork it is the hidden units and how many steps were taken, (L,) of int64 that stay on the
        CPU, as a step hangs on them. None is all zeros.

        Sequences that are filled up need their `lengths` where both directions are read: the backward one begins at
        the last position that holds something. Outputs beyond a sequence's length mean nothing.
        """
        alone = lengths is None or len(self.directions) == 1
        if self.cell not in FUSED:
            assert alone or state is None, "sequences of their own begin without a state"
            # A compiler would unroll all steps, which takes it minutes: it is to leave them as they are.
            stepped = torch.compiler.disable(self._stepped) if torch.compiler.is_compiling() else self._stepped
            out, after = stepped(x, state, None if alone else lengths)
            return out, after if alone else None
        if len(self.directions) == 2 and (lengths is not None or x.is_cuda):
            return self._apart(x, state, lengths)
        flat = [
            weight for layer in range(self.layers) for side in self.directions for weight in self.weights(layer, side)
        ]
        return self._fused(x, state, flat, self.layers, bidirectional=len(self.directions) == 2)

    def _apart(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """What `forward` does, of both directions and by a kernel: a call for each layer and direction."""
        assert lengths is None or state is None, "sequences of their own begin without a state"
        whole = torch.full((len(x),), x.shape[1], device=x.device) if lengths is None else lengths
        backward = reversal(whole, x.shape[1])
        begun = self._nothing(x, 2 * self.layers) if state is None else state
        after: list[Any] = []
        for layer in range(self.layers):
            outs = []
            for number, side in enumerate(self.directions, 2 * layer):
                place = slice(number, number + 1)
                own = begun[place] if isinstance(begun, Tensor) else tuple(piece[place] for piece in begun)
                out, last = self._fused(turned(x, backward) if side else x, own, self.weights(layer, side), 1)
                outs.append(turned(out, backward) if side else out)
                after.append(last)
            x = torch.cat(outs, 2)
            if layer + 1 < self.layers and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
        if lengths is not None:
            return x, None
        if self.cell == "lstm":
            return x, tuple(torch.cat(pieces) for pieces in zip(*after, strict=True))
        return x, torch.cat(after)

    def _nothing(self, x: Tensor, layers: int) -> Tensor | tuple[Tensor, ...]:
        """The state that a kernel begins with, of so many layers and directions."""
        zeros = x.new_zeros(layers, len(x), self.hidden)
        return (zeros, zeros) if self.cell == "lstm" else zeros

    def _fused(
        self, x: Tensor, state: State, weights: Sequence[Tensor], layers: int, bidirectional: bool = False
    ) -> tuple[Tensor, State]:
        if state is None:
            state = self._nothing(x, layers * (1 + bidirectional))
        dropout = self.dropout if layers > 1 and self.training else 0.0  # cuDNN must know a backward pass is to come
        out, *after = FUSED[self.cell](
            x, state, weights, True, layers, dropout, self.training or torch.is_grad_enabled(), bidirectional, True
        )
        return out, tuple(after) if self.cell == "lstm" else after[0]

    def _stepped(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What `forward` does, for cells without a kernel. Positions come first, (T, B, D): steps lie in one piece."""
        (batch, positions), sides = x.shape[:2], len(self.directions)
        if state is None:
            zeros = self.get_parameter("weight_hh_l0").new_zeros(self.layers * sides, batch, self.hidden)
            clock = torch.zeros(self.layers * sides, dtype=torch.int64, device="cpu")
            state = (zeros, clock if self.cell == "clockwork" else zeros)
        assert isinstance(state, tuple)
        if self.cell == "clockwork":
            state = state[0], state[1].cpu()  # a run that was resumed brings it on its device, once
        backward = None if lengths is None else reversal(lengths, positions).T[:, :, None]  # (T, B, 1)

        def around(x: Tensor) -> Tensor:  # (T, B, D) -> the same, read backward
            return x.flip(0) if backward is None else x.gather(0, backward.expand_as(x))

        x, below = x.transpose(0, 1).contiguous(), [None] * sides
        after: list[tuple[Tensor, Tensor]] = []
        for layer in range(self.layers):
            outs = []
            for number, side in enumerate(self.directions):
                own = [piece[layer * sides + number] for piece in state]
                out, second, below[number] = self._read(
                    around(x) if side else x, own, f"_l{layer}{side}", below[number]
                )
                after.append((out[-1], second))
                outs.append(around(out) if side else out)
            x = torch.cat(outs, 2) if sides == 2 else outs[0]
            if layer + 1 < self.layers and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
        return x.transpose(0, 1), tuple(torch.stack(pieces) for pieces in zip(*after, strict=True))

    def _read(
        self, x: Tensor, state: Sequence[Tensor], which: str, below: Tensor | None
    ) -> tuple[Tensor, Tensor, Any]:  # (T, B, D), 2 · (B, H), _, (T, B, H) -> (T, B, H), (B, H), (T, B, H)
        """A layer in a direction: outputs, the state's second piece after it, and the cells for the layer above."""
        rows = len(BLOCKS[self.cell]) * self.hidden
        weight, recurrent, bias, other = (
            self.get_parameter(f"{name}{which}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        bias_of_all = bias + F.pad(other, (0, len(bias) - rows))
        # Under autocast the product is bfloat16; what goes on from step to step stays in the precision of the weights.
        a = F.linear(x, weight, bias_of_all).to(recurrent.dtype)
        if self.cell == "clockwork":
            begun = int(state[1])
            active = [self._active(begun + step) for step in range(len(x))]
            return Clockwork.apply(a, recurrent * self.heard, state[0], active), state[1] + len(x), None
        peepholes = depth = own = None
        if self.cell == "peephole" and self.peepholes:
            seen = iter(self.get_parameter(f"weight_ch{which}").split(self.hidden))
            nothing = recurrent.new_zeros(self.hidden)
            peepholes = torch.stack([next(seen) if gate in self.peepholes else nothing for gate in GATES])
        if below is not None:
            a, depth = a.split([rows, self.hidden], 2)
            depth = torch.addcmul(depth, below, self.get_parameter(f"weight_ld{which}"))
            own = self.get_parameter(f"weight_cd{which}")
        out, cells = Gated.apply(self.cell, a, recurrent, *state, peepholes, depth, own, below)
        return out, cells[-1], cells if self.cell == "depth_gated" else None

    def _active(self, step: int) -> int:
        """How many units move at a step: those of the first modules, as each period is a multiple of the one before."""
        return max(0, *(end for end, period in zip(self.ends, self.periods, strict=True) if step % period == 0))


class Gated(torch.autograd.Function):
    """The steps of an LSTM of any kind, from its input products a on. Letters as in `BLOCKS`, d the depth gate, s what
    the cell shows; every gate there is comes with its row of blocks. p are the peepholes of i, f and o."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        a: Tensor,  # (T, B, G·H)
        weight: Tensor,  # (G·H, H)
        h: Tensor,  # (B, H)
        c: Tensor,  # (B, H)
        p: Tensor | None,  # (3, H)
        depth: Any,  # None or (T, B, H), d before its own cell and σ
        own: Any,  # None or (H,), the depth gate's peephole
        below: Any,  # None or (T, B, H), cells of the layer below
    ) -> tuple[Tensor, Tensor]:  # (T, B, H) hidden units, (T, B, H) cells
        (steps, batch), hidden, blocks = a.shape[:2], weight.shape[1], BLOCKS[cell]
        z = a.new_empty(steps, batch, len(blocks), hidden)  # what goes into the gates, then the gates
        hs, cs = a.new_empty(2, steps + 1, batch, hidden).unbind()
        hs[0], cs[0] = h, c
        s = cs[1:] if cell == "no_output_activation" else a.new_empty(steps, batch, hidden)
        d = None if depth is None else torch.empty_like(below)
        row = {block: z[:, :, place].unbind() for place, block in enumerate(blocks)}
        early = z[:, :, : blocks.index("g")].unbind()  # the gates that the cell before is seen by
        whole, transposed = z.flatten(2).unbind(), weight.T
        for t, (sums, before, old, new, shown) in enumerate(zip(a, hs, cs, cs[1:], s, strict=False)):
            torch.addmm(sums, before, transposed, out=whole[t])
            if p is not None:
                early[t].addcmul_(old[:, None], p[:2])
            early[t].sigmoid_()
            g = row["g"][t]
            if cell == "sigmoid_candidate":
                g.sigmoid_()
            elif cell != "no_input_activation":
                g.tanh_()
            if cell == "coupled":
                torch.lerp(g, old, row["f"][t], out=new)  # f * c + (1 - f) * g
            elif cell == "no_input_gate":
                torch.addcmul(g, row["f"][t], old, out=new)
            elif cell == "no_forget_gate":
                torch.addcmul(old, row["i"][t], g, out=new)
            else:
                torch.mul(row["f"][t], old, out=new).addcmul_(row["i"][t], g)
            if d is not None:
                torch.addcmul(depth[t], old, own, out=d[t]).sigmoid_()
                new.addcmul_(d[t], below[t])
            if cell != "no_output_activation":
                torch.tanh(new, out=shown)
            if cell == "no_output_gate":
                hs[t + 1] = shown
                continue
            o = row["o"][t]
            if p is not None:
                o.addcmul_(new, p[2])
            torch.mul(o.sigmoid_(), shown, out=hs[t + 1])
        ctx.cell = cell
        ctx.save_for_backward(weight, p, own, below, z, hs, cs, s, d)
        ctx.set_materialize_grads(False)
        return hs[1:], cs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor | None, dcells: Tensor | None) -> tuple[Tensor | None, ...]:
        cell, blocks = ctx.cell, BLOCKS[ctx.cell]
        weight, p, own, below, z, hs, cs, s, d = ctx.saved_tensors
        if dout is None:
            dout = torch.zeros_like(hs[1:])
        gate: dict[str, Any] = dict(zip(blocks, z.unbind(2), strict=True))
        g = gate["g"]
        i, f, o = (gate.get(block) for block in "ifo")
        old = cs[:-1]
        # dz begins as the slope of each sum towards the cell, or for o towards h; the loop multiplies by what arrives.
        dz = z * (1 - z)
        slope = dict(zip(blocks, dz.unbind(2), strict=True))
        if cell == "no_input_activation":
            slope["g"].fill_(1)
        elif cell != "sigmoid_candidate":
            torch.addcmul(torch.ones_like(g), g, g, value=-1, out=slope["g"])
        if cell == "coupled":
            slope["f"].mul_(old - g)
            slope["g"].mul_(1 - gate["f"])
        else:
            if f is not None:
                slope["f"].mul_(old)
            if i is not None:
                slope["i"].mul_(g)
                slope["g"].mul_(i)
        shows = None if cell == "no_output_activation" else 1 - s * s  # dh/dc through what the cell shows
        if o is not None:
            slope["o"].mul_(s)
            shows = o if shows is None else shows.mul_(o)
        ddepth: Any = None
        dbelow: Any = None
        if d is not None:
            ddepth, dbelow = d * (1 - d) * below, d.clone()
        front = dz[:, :, : blocks.index("g") + 1].unbind()
        rows, whole = {block: part.unbind() for block, part in slope.items()}, dz.flatten(2).unbind()
        assert shows is not None
        douts, shown, forgets = dout.unbind(), shows.unbind(), None if f is None else f.unbind()
        dh, dc = torch.empty_like(hs[0]), torch.zeros_like(hs[0])
        for t in reversed(range(len(z))):
            if t + 1 == len(z):
                dh.copy_(douts[t])
            else:
                torch.addmm(douts[t], whole[t + 1], weight, out=dh)
            if dcells is not None:
                dc.add_(dcells[t])
            dc.addcmul_(dh, shown[t])
            if o is not None:
                rows["o"][t].mul_(dh)
                if p is not None:
                    dc.addcmul_(rows["o"][t], p[2])
            front[t].mul_(dc[:, None])
            if d is not None:
                ddepth[t].mul_(dc)
                dbelow[t].mul_(dc)
            if forgets is not None:
                dc.mul_(forgets[t])
            if p is not None:
                dc.addcmul_(rows["i"][t], p[0]).addcmul_(rows["f"][t], p[1])
            if d is not None:
                dc.addcmul_(ddepth[t], own)
        dp = down = None
        if p is not None:
            seen = ((slope["i"], old), (slope["f"], old), (slope["o"], cs[1:]))
            dp = torch.stack([(sums * cells).sum((0, 1)) for sums, cells in seen])
        if d is not None:
            down = (ddepth * old).sum((0, 1))
        da = dz.flatten(2)
        dweight = da.flatten(0, 1).T @ hs[:-1].flatten(0, 1)
        return None, da, dweight, da[0] @ weight, dc, dp, ddepth, down, dbelow


class Clockwork(torch.autograd.Function):
    """The steps of a clockwork layer, from its input products a on. At a step the first `active` units move."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, weight: Tensor, h: Tensor, active: Sequence[int]) -> Tensor:
        # (T, B, H), (H, H), (B, H), T numbers -> (T, B, H)
        hs = a.new_empty(len(a) + 1, *h.shape)
        hs[0] = h
        for sums, old, new, move in zip(a, hs, hs[1:], active, strict=False):
            torch.addmm(sums[:, :move], old, weight[:move].T, out=new[:, :move]).tanh_()
            new[:, move:] = old[:, move:]
        ctx.active = active
        ctx.save_for_backward(weight, hs)
        return hs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        weight, hs = ctx.saved_tensors
        da = 1 - hs[1:] * hs[1:]
        dh = torch.zeros_like(hs[0])
        for t, move in reversed(list(enumerate(ctx.active))):
            dh += dout[t]
            da[t, :, :move] *= dh[:, :move]
            da[t, :, move:] = 0
            dh[:, :move] = 0
            dh.addmm_(da[t, :, :move], weight[:move])
        return da, da.flatten(0, 1).T @ hs[:-1].flatten(0, 1), dh, None


def shapes(
    cell: Cell,
    inputs: int,
    hidden: int,
    layers: int,
    directions: Sequence[str] = ("",),
    peepholes: Collection[Gate] = GATES,
) -> dict[str, tuple[int, ...]]:
    """Of all weights of a `Recurrent`, by their names and in their order."""
    found: dict[str, tuple[int, ...]] = {}
    for layer in range(layers):
        rows = len(BLOCKS[cell]) * hidden
        deep = cell == "depth_gated" and layer > 0
        read = rows + hidden * deep
        own: dict[str, tuple[int, ...]] = {
            "weight_ih": (read, hidden * len(directions) if layer else inputs),
            "weight_hh": (rows, hidden),
            "bias_ih": (read,),
            "bias_hh": (rows,),
        }
        if cell == "peephole" and peepholes:
            own["weight_ch"] = (len(peepholes) * hidden,)  # in the order of GATES
        if deep:
            own |= {"weight_cd": (hidden,), "weight_ld": (hidden,)}  # Yao's names: own cell, layer below's
        found |= {f"{name}_l{layer}{side}": shape for side in directions for name, shape in own.items()}
    return found


def count(
    cell: Cell,
    inputs: int,
    hidden: int,
    layers: int,
    directions: Sequence[str] = ("",),
    peepholes: Collection[Gate] = GATES,
    periods: Sequence[int] = PERIODS,
) -> int:
    """How many numbers a `Recurrent` learns, which need not be there for it: all but what clockwork units do not hear
    of quicker ones."""
    whole = sum(map(math.prod, shapes(cell, inputs, hidden, layers, directions, peepholes).values()))
    if cell != "clockwork":
        return whole
    sizes = modules(hidden, periods)
    deaf = sum(size * sum(sizes[:place]) for place, size in enumerate(sizes))
    return whole - deaf * layers * len(directions)


def modules(hidden: int, periods: Sequence[int]) -> list[int]:
    """How many units move at each period: equally many, or the first ones one more."""
    return [hidden // len(periods) + (number < hidden % len(periods)) for number in range(len(periods))]


def reversal(lengths: Tensor, positions: int) -> Tensor:  # (B,) of int64 -> (B, T) of int64
    """Where each position of a sequence read backward lies: the first is its last one, what fills it up stays."""
    place = torch.arange(positions, device=lengths.device)
    return torch.where(place < lengths[:, None], lengths[:, None] - 1 - place, place)


def turned(x: Tensor, places: Tensor) -> Tensor:  # (B, T, D), (B, T) -> (B, T, D)
    """The positions of every sequence in the order of `places`."""
    return x.gather(1, places[:, :, None].expand_as(x))
