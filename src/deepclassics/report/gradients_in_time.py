"""How far back a recurrent net can learn from: noise is let in at the last position, and its gradient followed back.

Sources: S. Hochreiter, Y. Bengio et al., Gradient flow in recurrent nets (2001), for the vanishing and the exploding;
the noise experiment is the one of A. Karpathy's lecture that the notes tell of. Notes: S204, S205, S218, C118.

The gradient is that at what a layer carries from one position to the next: the cell c where the cell has one, else the
hidden state h. An LSTM's falls as the product of its forget gates: slower, not never, as the notes have it.

Letters: B passages, T positions of a passage, D numbers of an input, H units, L layers, K lags.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.layers.recurrent import Recurrent, State
from deepclassics.report.activity import carried
from deepclassics.report.style import PALETTE, grid, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GONE = 1e-3  # of the noise: what is smaller teaches nothing beside what is near
LEAST = 1e-12  # of the noise that a picture shows


def magnitudes(recurrent: Recurrent, x: Tensor, lags: int, seed: int = 0) -> Tensor:  # (B, T, D) -> (K + 1, L)
    """‖gradient‖ at what every layer carries 0, 1, ..., `lags` positions before the last, of noise of length 1 let in
    there into the top layer.

    The root mean square over the passages, each with noise of its own direction: as E‖Jᵀv‖² = ‖J‖²/H for such noise v,
    a top layer's is ‖∂c_T/∂c_{T-k}‖ by Frobenius, over √H. The positions before the lags only bring the state about.
    """
    assert x.shape[1] > lags, "a passage must be longer than the lags"
    with torch.no_grad():
        state = recurrent(x[:, : x.shape[1] - lags])[1]
    with torch.enable_grad():
        state = _leaf(state)
        held = [carried(state)]
        for position in range(x.shape[1] - lags, x.shape[1]):
            state = recurrent(x[:, position : position + 1], state)[1]
            held.append(carried(state))
        generator = torch.Generator().manual_seed(seed)
        noise = torch.zeros_like(held[-1])
        direction = torch.randn(noise[-1].shape, generator=generator, dtype=noise.dtype)
        noise[-1] = direction / direction.norm(dim=1, keepdim=True)
        found = torch.autograd.grad(held[-1], held, noise)
    return torch.stack([gradient.square().sum(2).mean(1).sqrt() for gradient in reversed(found)])


def _leaf(state: State) -> State:
    """The same state, from which gradients are asked."""
    if isinstance(state, Tensor):
        return state.detach().requires_grad_()
    assert state is not None
    return tuple(piece.detach().requires_grad_(piece.is_floating_point()) for piece in state)


def reach(line: Tensor) -> int:  # (K + 1,) -> lags
    """The lag from which on the gradient stays below a thousandth of the noise; K + 1 where it does not."""
    above = (line >= GONE).nonzero()
    return int(above[-1]) + 1 if len(above) else 0


def lags(curves: Sequence[tuple[str, Tensor]]) -> "Figure":  # of (name, (K + 1, L))
    """Magnitude against lag, a colour for each curve and a line for each layer, the top one strongest."""
    from matplotlib.ticker import FuncFormatter

    figure = sheet(6.8, 3.6)
    axes = figure.subplots()
    longest = max(len(lines) - 1 for _, lines in curves)
    for colour, (name, lines) in zip(PALETTE, curves, strict=False):
        layers = lines.shape[1]
        for layer in reversed(range(layers)):
            line = lines[:, layer]
            first = 0 if layer == layers - 1 else 1  # below the top nothing arrives at lag 0
            till = reach(line)
            told = f"below 1/1000 after {till}" if till < len(line) else f"{float(line[-1]):.2g} after {len(line) - 1}"
            which = "" if layers == 1 else f", layer {layer + 1}"
            axes.plot(range(first, len(line)), line[first:].clamp_min(LEAST / 10), color=colour,
                      linewidth=2.0 - 1.2 * (layers - 1 - layer) / layers,
                      linestyle="-" if layer == layers - 1 else (0, (1 + 2 * layer, 1.5)),
                      label=f"{name}{which}: {told}")  # fmt: skip
    axes.axhline(GONE, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    highest = max(float(lines.max()) for _, lines in curves)
    lowest = min(float(lines[1:].min()) for _, lines in curves)
    axes.set_ylim(max(LEAST, lowest / 2), 3 * max(1.0, highest))
    axes.set_xlim(0, longest)
    axes.set_xlabel("positions back from where the noise came in")
    axes.set_ylabel("size of the gradient, noise = 1")
    grid(axes)
    axes.legend(loc="best")
    return figure
