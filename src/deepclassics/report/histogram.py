"""How values are spread, several groups over each other. Letters: N values."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deepclassics.progress import many
from deepclassics.report.style import PALETTE, grid, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def histogram(groups: Mapping[str, Tensor], axis: str, span: tuple[float, float], bins: int = 40) -> "Figure":
    """Outlines of the shares of each group's values, (N,), in equal bins over `span`; `axis` names the values."""
    figure = sheet(6.4, 3.0)
    panel = figure.subplots()
    edges = torch.linspace(*span, bins + 1).tolist()
    for (name, values), colour in zip(groups.items(), PALETTE, strict=False):
        counts = torch.histc(values.float().clamp(*span), bins, *span)
        label = f"{name} ({many(len(values), 'value')})"
        panel.stairs((counts / len(values)).tolist(), edges, color=colour, linewidth=1.4, label=label)
        panel.stairs((counts / len(values)).tolist(), edges, color=colour, alpha=0.12, fill=True)
    panel.set_xlim(*span)
    panel.set_ylim(bottom=0)
    panel.set_xlabel(axis)
    panel.set_ylabel("share")
    panel.legend(loc="best")
    grid(panel)
    return figure
