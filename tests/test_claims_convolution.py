"""The verdicts of the claims about convolution and pooling. They are pinned here and computed there."""

import pytest

from deepclassics import claims
from deepclassics.layers import convolution
from verdicts import check, found

HOLDS, CAVEAT, FAILS = claims.VERDICTS

FAST = {
    "C015": CAVEAT,  # brightness counts as well
    "C016": CAVEAT,  # a shift still matters
    "C017": HOLDS,
    "C018": HOLDS,
    "C094": CAVEAT,  # odd sides are rounded down
    "C095": CAVEAT,  # of the cross entropy alone
    "C097": HOLDS,
    "C098": HOLDS,
    "C165": HOLDS,
    "C166": HOLDS,
    "C167": HOLDS,
    "C168": HOLDS,
    "C188": CAVEAT,  # one channel, no biases
    "C189": HOLDS,
    "C190": HOLDS,
    "C214": HOLDS,
}
SLOW = {"C096": HOLDS}  # loops


@pytest.mark.parametrize("number", FAST)
def test_verdict(number: str) -> None:
    check(number, FAST[number])


@pytest.mark.long
@pytest.mark.parametrize("number", SLOW)
def test_verdict_that_takes_longer(number: str) -> None:
    check(number, SLOW[number])


def test_c015_n002_the_kernel_is_found_by_its_cosine() -> None:
    numbers = found("C015").numbers
    assert (numbers["value where the kernel itself stands"], numbers["value where twice the kernel stands"]) == (33, 66)
    assert numbers["cosine where the kernel itself stands"] == pytest.approx(1, abs=1e-12)


def test_c168_n010_the_answers_of_a_ganglion_cell() -> None:
    numbers = found("C168").numbers
    expected = {"centre": 0.543487, "both": 0.2, "surround": -0.343487, "none": 0}
    assert {name: numbers[f"answer to {name} lit"] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_c188_the_three_counts() -> None:
    assert list(found("C188").numbers.values())[:3] == [3200, 9728, 204_928]


def test_c190_is_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a matrix whose kernel is not flipped it fails."""
    wrong = convolution.convmtx
    monkeypatch.setattr(convolution, "convmtx", lambda kernel, pixels: wrong(kernel.flip(0), pixels))
    assert found("C190").verdict == FAILS
