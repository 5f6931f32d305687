"""Scores as pure functions of tensors. They need no model, no loop and no device of their own.

Letters: N examples, K classes, M bins, D features.
"""

import torch
from torch import Tensor

# Scores of which more is better, and of which less is; of any other score neither is. The split is left out.
RISING = frozenset({"accuracy", "r2", "iou", "pseudo_likelihood", "log_likelihood", "parzen_log_likelihood",
                    "f1", "precision", "recall"})  # fmt: skip
FALLING = frozenset({"loss", "perplexity", "error", "rmse", "sup", "inertia"})


def error_rate(given: Tensor, label: Tensor) -> Tensor:  # (N,) int64, (N,) int64 -> ()
    """The share of examples whose given label is not the right one, in [0, 1]."""
    return (given != label).double().mean()


def confusion_matrix(given: Tensor, label: Tensor, classes: int) -> Tensor:  # (N,) int64, (N,) int64 -> (K, K) int64
    """How often examples of class i (row) were given class j (column)."""
    return torch.bincount(label * classes + given, minlength=classes * classes).view(classes, classes)


def reliability(
    probability: Tensor, label: Tensor, bins: int = 15
) -> tuple[Tensor, Tensor, Tensor]:  # (N, K), (N,) int64 -> (M,), (M,), (M,) int64
    """Mean confidence, accuracy and count of each bin; confidence is the probability of the class it is highest for.

    Bin m of M holds the confidences in ((m - 1)/M, m/M] (Guo et al. 2017, section 2). An empty bin has confidence and
    accuracy 0 beside its count 0.
    """
    confidence, given = probability.double().max(1)
    place = (torch.ceil(confidence * bins).long() - 1).clamp(0, bins - 1)
    count = torch.bincount(place, minlength=bins)
    filled = count.clamp(min=1)
    right = (given == label).double()
    return (
        torch.bincount(place, confidence, minlength=bins) / filled,
        torch.bincount(place, right, minlength=bins) / filled,
        count,
    )


def expected_calibration_error(
    probability: Tensor, label: Tensor, bins: int = 15
) -> Tensor:  # (N, K), (N,) int64 -> ()
    """How far confidence is from accuracy, on the average over examples, in [0, 1] (Guo et al. 2017, eq. 3)."""
    confidence, accuracy, count = reliability(probability, label, bins)
    return (count * (accuracy - confidence).abs()).sum() / count.sum()


def r_squared(given: Tensor, number: Tensor) -> Tensor:  # (N,), (N,) -> ()
    """The share of the numbers' variance that the given ones explain: 1 at best, 0 for always giving their mean.

    Not a number where all numbers are the same.
    """
    given, number = given.double(), number.double()
    return 1 - (number - given).square().sum() / (number - number.mean()).square().sum()


def moments(features: Tensor) -> tuple[Tensor, Tensor]:  # (N, D), N >= 2 -> (D,), (D, D)
    """Mean and covariance (dividing by N - 1) of features, in float64."""
    features = features.double()
    return features.mean(0), torch.atleast_2d(features.T.cov())


def frechet_distance(
    mean_a: Tensor, covariance_a: Tensor, mean_b: Tensor, covariance_b: Tensor
) -> Tensor:  # (D,), (D, D), (D,), (D, D) -> ()
    """The squared Fréchet distance of two normal distributions: |m_a - m_b|² + tr(C_a + C_b - 2 (C_a C_b)^(1/2)).

    Dowson and Landau 1982; Heusel et al. 2017, eq. 6, who call it FID where the features are those of an Inception
    net. The root's trace is taken of the symmetric R C_b R with R² = C_a, which has the same eigenvalues as C_a C_b:
    so singular covariances, of few examples or of dead features, do no harm.
    """
    covariance_a, covariance_b = covariance_a.double(), covariance_b.double()
    values, vectors = torch.linalg.eigh(covariance_a)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    crossed = torch.linalg.eigvalsh(root @ covariance_b @ root).clamp(min=0).sqrt().sum()
    apart = (mean_a.double() - mean_b.double()).square().sum()
    return apart + covariance_a.trace() + covariance_b.trace() - 2 * crossed


def wilson(share: Tensor, count: Tensor, z: float = 1.96) -> tuple[Tensor, Tensor]:  # (N,), (N,) -> (N,), (N,)
    """The interval that holds the true share in 95 of 100 cases (Wilson 1927)."""
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z / (1 + z * z / count) * (share * (1 - share) / count + z * z / (4 * count * count)).sqrt()
    return (middle - reach).clamp(min=0).minimum(share), (middle + reach).clamp(max=1).maximum(share)


def entity_counts(
    given: tuple[Tensor, Tensor, Tensor], right: tuple[Tensor, Tensor, Tensor]
) -> Tensor:  # 2 times ((B, T) bool, (B, T), (B, T)) -> (3,) int64
    """How many entities are right, given, and there to be found, as the program conlleval counts them (Tjong Kim Sang,
    De Meulder 2003): one is right if its first word, its last and its type are. Both as `data.tags.bounds` gives them.
    """
    (begins, kind, ends), (there, true_kind, true_ends) = given, right
    both = begins & there & (kind == true_kind) & (ends == true_ends)
    return torch.stack([both.sum(), begins.sum(), there.sum()])


def precision_recall_f1(counts: Tensor) -> tuple[float, float, float]:  # (3,) -> precision, recall, F1, in [0, 1]
    """Of `entity_counts`: precision, recall and their harmonic mean (van Rijsbergen 1979), 0 where nothing is right."""
    both, given, there = counts.tolist()
    return both / max(given, 1), both / max(there, 1), 2 * both / max(given + there, 1)
