"""Buffers whose sizes are known only once something is built or counted: they take the size of what is loaded."""

from collections.abc import Mapping

from torch import Tensor, nn


def take_sizes(module: nn.Module, state: Mapping[str, Tensor], prefix: str, *names: str) -> None:
    """Gives buffers of the module, those named, the lengths that they have in a state dict, where its names begin with
    `prefix`. What they are otherwise must be the same in both, and is checked by torch.

    For `_load_from_state_dict`, which refuses what is of another size.
    """
    for name in names:
        buffer, found = module.get_buffer(name), state.get(prefix + name)
        if found is not None and found.shape[1:] == buffer.shape[1:]:
            setattr(module, name, buffer.new_zeros(found.shape))
