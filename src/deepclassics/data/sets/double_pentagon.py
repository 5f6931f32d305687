"""Double pentagon: points of the plane, inside or outside of two pentagons.

After B. Raj's lectures on what perceptrons can represent (CMU 11-785), as the notes have them: ten lines bound the two
pentagons, and no single one parts the classes. The region itself is the set `pentagons`; these are points strewn evenly
around it by chance, 1,000 to learn from and 2,000 to be judged by, none within 0.05 of an edge (the circles about the
pentagons have radius 1).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from torch import Tensor

    from deepclassics.data.kinds.table import Table

KIND = "table"
LICENCE = "no work of anybody's"
FILES: tuple[File, ...] = ()
COUNTS = {"train": 1000, "test": 2000, "classes": 2, "columns": 3, "missing": 0}

GAP = 0.05


def read(paths: dict[str, Path]) -> "Table":
    import pandas as pd
    import torch

    from deepclassics.data.kinds.table import Table
    from deepclassics.data.sets import pentagons

    region = pentagons.read({})
    low, high = torch.tensor(region.bounds, dtype=torch.float64).T
    points = low + (high - low) * torch.rand(5000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    clear = torch.stack([_from_edge(points, edge) for corners in region.polygons for edge in _edges(corners)]).amin(0)
    points = points[clear > GAP][:3000]
    inside = ["true" if within else "false" for within in region.contains(points).tolist()]
    table = pd.DataFrame({"x": points[:, 0].numpy(), "y": points[:, 1].numpy(), "inside": inside})
    return Table({"train": table[:1000], "test": table[1000:].reset_index(drop=True)}, target="inside")


def _edges(corners: "Tensor") -> "list[Tensor]":  # (C, 2) -> C of (2, 2)
    """From every corner to the next."""
    import torch

    return list(torch.stack([corners, corners.roll(-1, 0)], 1))


def _from_edge(points: "Tensor", edge: "Tensor") -> "Tensor":  # (N, 2), (2, 2) -> (N,)
    """How far points are from the nearest point of an edge."""
    along = edge[1] - edge[0]
    share = ((points - edge[0]) @ along / (along @ along)).clamp(0, 1)
    return (points - edge[0] - share[:, None] * along).norm(dim=1)
