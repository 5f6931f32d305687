"""The linear-chain conditional random field: scores of tags one by one, and of each pair of neighbours.

Source: J. Lafferty, A. McCallum, F. Pereira, Conditional random fields (2001); on top of a recurrent net R. Collobert
et al. (2011), section 3.3.2, Z. Huang, W. Xu, K. Yu (2015), G. Lample et al. (2016), eq. 1. The score of tags y for
scores P of a sentence is s = b[y_1] + Σ_t P[t, y_t] + Σ_t A[y_t, y_t+1] + e[y_T]; log p(y) = s - log Σ_y' exp s(y').

Letters: B sentences, T words, K tags.
"""

import torch
from torch import Tensor, nn


class CRF(nn.Module):
    """The scores of a tag's coming first (`first`), after another (`transitions`, row the earlier) and last (`last`).

    All are 0 at the beginning: then every tag is chosen by itself, as a softmax does.
    """

    def __init__(self, tags: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(tags))
        self.last = nn.Parameter(torch.zeros(tags))
        self.transitions = nn.Parameter(torch.zeros(tags, tags))

    def forward(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:  # (B, T, K), (B, T), (B, T) bool -> (B,)
        """-log p of the tags, in nats a sentence. A sentence's words come first, and there is one or more."""
        scores = scores.float()
        return self.partition(scores, mask) - self.score(scores, tags, mask)

    def score(self, scores: Tensor, tags: Tensor, mask: Tensor) -> Tensor:  # -> (B,)
        """s, of given tags."""
        own = scores.gather(2, tags[:, :, None])[:, :, 0]
        between = self.transitions[tags[:, :-1], tags[:, 1:]]
        ends = tags.gather(1, mask.sum(1, keepdim=True) - 1)[:, 0]
        return self.first[tags[:, 0]] + (own * mask).sum(1) + (between * mask[:, 1:]).sum(1) + self.last[ends]

    def partition(self, scores: Tensor, mask: Tensor) -> Tensor:  # -> (B,)
        """log Σ_y exp s(y), by the forward algorithm: a step a word, all sentences and tags at once."""
        reached = self.first + scores[:, 0]  # (B, K): log of the sum over all beginnings that end in a tag
        for step in range(1, scores.shape[1]):
            on = torch.logsumexp(reached[:, :, None] + self.transitions, 1) + scores[:, step]
            reached = torch.where(mask[:, step, None], on, reached)
        return torch.logsumexp(reached + self.last, 1)

    @torch.no_grad()
    def best(self, scores: Tensor, mask: Tensor) -> Tensor:  # (B, T, K), (B, T) bool -> (B, T)
        """The likeliest tags of each sentence (Viterbi 1967), 0 beyond its end."""
        scores = scores.float()
        reached = self.first + scores[:, 0]
        stay = torch.arange(scores.shape[2], device=scores.device).expand_as(reached)
        came = []  # (B, K) a step: the best tag before each
        for step in range(1, scores.shape[1]):
            most, before = (reached[:, :, None] + self.transitions).max(1)
            inside = mask[:, step, None]
            reached = torch.where(inside, most + scores[:, step], reached)
            came.append(torch.where(inside, before, stay))
        tag = (reached + self.last).argmax(1)
        path = [tag]
        for before in reversed(came):
            tag = before.gather(1, tag[:, None])[:, 0]
            path.append(tag)
        return torch.stack(path[::-1], 1) * mask
