"""Buffers whose sizes are known only once something is built or counted: they take the size of what is loaded."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def take_sizes(module: nn.Module, state: Mapping[str, Tensor], prefix: str) -> None:
    """Gives the module's own buffers the sizes that they have in a state dict, where its names begin with `prefix`.

    For `_load_from_state_dict`, which refuses what is of another size.
    """
    for name, buffer in module.named_buffers(recurse=False):
        if prefix + name in state:
            setattr(module, name, torch.zeros_like(state[prefix + name], device=buffer.device))
