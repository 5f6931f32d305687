"""Losses of classes: how far a net's outputs are from what is right, and how the loss pulls at the outputs.

`LOSSES[name](z, label)` is the mean loss over the examples, which autograd can descend; `PULLS[name](z, label)` is the
same with its gradient by the outputs z, written out: the delta that backpropagation begins with. Notes: S072 to S077.

Letters: B examples, K classes.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def one_hot(label: Tensor, like: Tensor) -> Tensor:  # (B,) int64, (B, K) -> (B, K)
    """1 for the right class, 0 for the others, as numbers of `like`'s type."""
    return torch.zeros_like(like).scatter_(1, label[:, None], 1.0)


def cross_entropy(z: Tensor, label: Tensor) -> Tensor:  # (B, K), (B,) int64 -> ()
    """-Σ d log y in nats with y the softmax of z (S074). With one right class a row it is the negative log-likelihood
    (S077) and, the entropy of such a row being 0, the KL divergence (S076)."""
    return F.cross_entropy(z, label)


def binary_cross_entropy(z: Tensor, label: Tensor) -> Tensor:  # (B, K), (B,) int64 -> ()
    """-d log y - (1 - d) log(1 - y) in nats, y the sigmoid of z, summed over the classes (S073)."""
    return F.binary_cross_entropy_with_logits(z, one_hot(label, z), reduction="sum") / len(z)


def squared_error(z: Tensor, label: Tensor) -> Tensor:  # (B, K), (B,) int64 -> ()
    """½ |y - d|², y the sigmoid of z (S072): Rumelhart, Hinton and Williams 1986, eq. 3."""
    return 0.5 * (z.sigmoid() - one_hot(label, z)).square().sum() / len(z)


def kl_divergence(d: Tensor, y: Tensor) -> Tensor:  # (B, K), (B, K) -> ()
    """Σ d log(d / y) in nats, the mean over rows of probabilities (S076): cross entropy less the entropy of d.

    Where d is 0 the term is 0, its limit, whatever y is; where y alone is 0 it is infinite.
    """
    return (torch.xlogy(d, d) - torch.xlogy(d, y)).sum() / len(d)


def negative_log_likelihood(log_y: Tensor, label: Tensor) -> Tensor:  # (B, K) log-probabilities, (B,) int64 -> ()
    """-log of what the right class was given, in nats (S077)."""
    return F.nll_loss(log_y, label)


def pull_of_cross_entropy(z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:  # (B, K), (B,) -> (), (B, K)
    """∂/∂z = (y - d) / B (S075)."""
    log_y = z.t().log_softmax(0).t()  # K is small: torch is faster along rows of length B
    loss = F.nll_loss(log_y, label)
    return loss, _less_one_hot(log_y.exp_(), label).mul_(1 / len(z))


def pull_of_binary_cross_entropy(z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:  # (B, K), (B,) -> (), (B, K)
    """∂/∂z = (y - d) / B: the slope of the sigmoid has cancelled (S073)."""
    return binary_cross_entropy(z, label), _less_one_hot(z.sigmoid(), label).div_(len(z))


def pull_of_squared_error(z: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:  # (B, K), (B,) -> (), (B, K)
    """∂/∂z = (y - d) y (1 - y) / B: where the sigmoid is flat it hardly pulls, however wrong the output."""
    y = z.sigmoid()
    error = _less_one_hot(y.clone(), label)
    return 0.5 * error.square().sum() / len(z), error * y * (1 - y) / len(z)


def _less_one_hot(y: Tensor, label: Tensor) -> Tensor:  # (B, K), (B,) -> y itself, changed
    return y.scatter_(1, label[:, None], -1.0, reduce="add")


Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "squared_error": squared_error,
}
PULLS: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "cross_entropy": pull_of_cross_entropy,
    "binary_cross_entropy": pull_of_binary_cross_entropy,
    "squared_error": pull_of_squared_error,
}
