"""Recurrent cells: what reads a sequence one position at a time and keeps a state.

Sources: J. Elman, Finding structure in time (1990), for "rnn"; S. Hochreiter, J. Schmidhuber, Long short-term memory
(1997), with the forget gate of F. Gers et al. (2000), for "lstm"; K. Cho et al. (2014) for "gru", whose reset gate
stands, as in torch, after the matrix product. Notes: S196, S200, S206, S211, S216.

Weights have torch's names, shapes and first values, so that a state dict of `torch.nn.LSTM` fits.

Letters: B sequences, T positions, D numbers of an input, H hidden units, L layers, G blocks of H rows (gates).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Cell = Literal["rnn", "lstm", "gru"]
State = Tensor | tuple[Tensor, ...] | None

BLOCKS = {"rnn": 1, "lstm": 4, "gru": 3}
FUSED: dict[str, Callable[..., Any]] = {"rnn": torch.rnn_tanh, "lstm": torch.lstm, "gru": torch.gru}


class Recurrent(nn.Module):
    """`layers` of recurrent cells on top of each other, of `hidden` units each, in one direction or in both.

    `dropout` is the share of what a layer hands to the next that is left out.
    """

    def __init__(
        self,
        cell: Cell,
        inputs: int,
        hidden: int,
        layers: int = 1,
        *,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.cell, self.hidden, self.layers, self.dropout = cell, hidden, layers, dropout
        self.directions = ("", "_reverse") if bidirectional else ("",)
        self.outputs = hidden * len(self.directions)
        for layer in range(layers):
            width = inputs if layer == 0 else self.outputs
            for direction in self.directions:
                for name, shape in (
                    ("weight_ih", (BLOCKS[cell] * hidden, width)),
                    ("weight_hh", (BLOCKS[cell] * hidden, hidden)),
                    ("bias_ih", (BLOCKS[cell] * hidden,)),
                    ("bias_hh", (BLOCKS[cell] * hidden,)),
                ):
                    self.register_parameter(f"{name}_l{layer}{direction}", nn.Parameter(torch.empty(shape)))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(hidden), 1 / math.sqrt(hidden))

    def weights(self, layer: int, direction: str = "") -> list[Tensor]:
        """(G·H, D), (G·H, H), (G·H,), (G·H,) of a layer in a direction, "" or "_reverse"."""
        return [
            self.get_parameter(f"{name}_l{layer}{direction}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]

    def forward(
        self, x: Tensor, state: State = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:  # (B, T, D), state, (B,) -> (B, T, H or 2H), state
        """`state` is (L, B, H) for rnn and gru, two of it for lstm, in both directions (2L, B, H); None is all zeros.

        Sequences that are filled up need their `lengths` where both directions are read: the backward one begins at
        the last position that holds something. Outputs beyond a sequence's length mean nothing.
        """
        flat = [
            weight for layer in range(self.layers) for side in self.directions for weight in self.weights(layer, side)
        ]
        if lengths is None or len(self.directions) == 1:
            return self._fused(x, state, flat, self.layers, bidirectional=len(self.directions) == 2)
        assert state is None, "sequences of their own begin without a state"
        backward = reversal(lengths, x.shape[1])
        for layer in range(self.layers):
            forth, _ = self._fused(x, None, self.weights(layer), 1)
            back, _ = self._fused(turned(x, backward), None, self.weights(layer, "_reverse"), 1)
            x = torch.cat([forth, turned(back, backward)], 2)
            if layer + 1 < self.layers and self.dropout:
                x = nn.functional.dropout(x, self.dropout, self.training)
        return x, None

    def _fused(
        self, x: Tensor, state: State, weights: Sequence[Tensor], layers: int, bidirectional: bool = False
    ) -> tuple[Tensor, State]:
        if state is None:
            zeros = x.new_zeros(layers * (1 + bidirectional), len(x), self.hidden)
            state = (zeros, zeros) if self.cell == "lstm" else zeros
        out, *after = FUSED[self.cell](
            x, state, weights, True, layers, self.dropout if layers > 1 else 0.0, self.training, bidirectional, True
        )
        return out, tuple(after) if self.cell == "lstm" else after[0]


def reversal(lengths: Tensor, positions: int) -> Tensor:  # (B,) of int64 -> (B, T) of int64
    """Where each position of a sequence read backward lies: the first is its last one, what fills it up stays."""
    place = torch.arange(positions, device=lengths.device)
    return torch.where(place < lengths[:, None], lengths[:, None] - 1 - place, place)


def turned(x: Tensor, places: Tensor) -> Tensor:  # (B, T, D), (B, T) -> (B, T, D)
    """The positions of every sequence in the order of `places`."""
    return x.gather(1, places[:, :, None].expand_as(x))
