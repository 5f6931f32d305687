"""Drawing what comes next from a model's scores.

Letters: V words or characters.
"""

import torch
from torch import Tensor


def drawn(scores: Tensor, temperature: float, never: int | None = None) -> Tensor:  # (V,) -> (1,)
    """A number drawn from the softmax of scores / `temperature`; 0 takes the likeliest. `never` is not drawn."""
    scores = scores.float()
    if never is not None:
        scores = scores.index_fill(0, torch.tensor([never], device=scores.device), -torch.inf)
    if temperature == 0:
        return scores.argmax().view(1)
    return torch.multinomial((scores / temperature).softmax(0), 1)
