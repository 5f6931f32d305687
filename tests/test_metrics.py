"""Scores against scikit-learn's where it has the same, and against their definitions where not."""

import numpy as np
import pytest
import torch
from sklearn import metrics as peers

from deepclassics import metrics


def some(examples: int = 500, classes: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities (N, K) and labels (N,) that agree in about half of the cases."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(classes, (examples,), generator=generator)
    scores = torch.randn(examples, classes, generator=generator)
    scores[torch.arange(examples), label] += 0.8
    return scores.softmax(1), label


def test_error_rate() -> None:
    probability, label = some()
    given = probability.argmax(1)
    assert float(metrics.error_rate(given, label)) == pytest.approx(peers.zero_one_loss(label, given))
    assert float(metrics.error_rate(label, label)) == 0


def test_confusion_matrix() -> None:
    probability, label = some()
    given = probability.argmax(1)
    expected = peers.confusion_matrix(label, given, labels=range(6))  # two classes that never occur
    np.testing.assert_array_equal(metrics.confusion_matrix(given, label, 6), expected)


def test_r_squared() -> None:
    generator = torch.Generator().manual_seed(0)
    number = torch.randn(50, generator=generator)
    given = number + torch.randn(50, generator=generator)
    assert float(metrics.r_squared(given, number)) == pytest.approx(peers.r2_score(number, given))
    assert float(metrics.r_squared(number, number)) == 1
    assert float(metrics.r_squared(number.mean().expand(50), number)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_expected_calibration_error_by_its_definition(bins: int) -> None:
    """Guo et al. 2017, eq. 3, bin by bin: the examples with confidence in ((m - 1)/M, m/M]."""
    probability, label = some()
    confidence, given = probability.double().max(1)
    total = 0.0
    for m in range(1, bins + 1):
        inside = (confidence > (m - 1) / bins) & (confidence <= m / bins)
        if inside.any():
            accuracy = (given == label)[inside].double().mean()
            total += float(inside.sum() / len(label) * (accuracy - confidence[inside].mean()).abs())
    assert float(metrics.expected_calibration_error(probability, label, bins)) == pytest.approx(total)


def test_expected_calibration_error_of_known_cases() -> None:
    sure = torch.tensor([[1.0, 0.0]] * 4)
    assert float(metrics.expected_calibration_error(sure, torch.tensor([0, 0, 0, 0]))) == 0
    assert float(metrics.expected_calibration_error(sure, torch.tensor([1, 1, 1, 1]))) == 1
    three_quarters = torch.tensor([[0.75, 0.25]] * 4)
    assert float(metrics.expected_calibration_error(three_quarters, torch.tensor([0, 0, 0, 1]))) == 0


def test_reliability_counts_every_example_in_its_bin() -> None:
    probability = torch.tensor([[0.5, 0.5], [0.6, 0.4], [0.75, 0.25], [1.0, 0.0]], dtype=torch.float64)
    confidence, accuracy, count = metrics.reliability(probability, torch.tensor([0, 1, 0, 0]), bins=4)
    assert count.tolist() == [0, 1, 2, 1]  # 0.5 and 0.75 belong to the bins that they end
    assert confidence.tolist() == [0, 0.5, pytest.approx(0.675), 1]
    assert accuracy.tolist() == [0, 1, 0.5, 1]


def test_frechet_distance_of_known_cases() -> None:
    """In one dimension (m - n)² + (s - t)²; of a distribution from itself 0."""
    one, other = torch.tensor([[4.0]]), torch.tensor([[9.0]])
    distance = metrics.frechet_distance(torch.tensor([1.0]), one, torch.tensor([-4.0]), other)
    assert distance.item() == pytest.approx(25 + 1)
    mean, covariance = metrics.moments(torch.randn(50, 6, generator=torch.Generator().manual_seed(0)))
    assert metrics.frechet_distance(mean, covariance, mean, covariance).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("count", [200, 5])
def test_frechet_distance_by_the_root_of_the_product(count: int) -> None:
    """Heusel et al. 2017, eq. 6, by SciPy's root of a matrix; with 5 examples of 8 features it has no full rank."""
    from scipy.linalg import sqrtm

    generator = torch.Generator().manual_seed(count)
    a = torch.randn(count, 8, generator=generator) @ torch.randn(8, 8, generator=generator)
    b = torch.randn(300, 8, generator=generator) + 1
    (m, c), (n, d) = metrics.moments(a), metrics.moments(b)
    np.testing.assert_allclose(c.numpy(), np.cov(a.double().numpy(), rowvar=False))
    root = sqrtm(c.numpy() @ d.numpy()).real
    expected = float((m - n).square().sum() + c.trace() + d.trace()) - 2 * float(np.trace(root))
    assert metrics.frechet_distance(m, c, n, d).item() == pytest.approx(expected, rel=1e-5)
    assert metrics.frechet_distance(n, d, m, c).item() == pytest.approx(expected, rel=1e-5)
