"""The verdicts of the claims about vectors of words. They are pinned here and computed there."""

import pytest

from deepclassics import claims
from deepclassics.claims.words import WRONG
from deepclassics.systems.language.cbow import PRINTED
from verdicts import check

HOLDS, CAVEAT, _ = claims.VERDICTS


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        ("C177", CAVEAT),  # seven of the thirty printed answers are wrong
        ("C178", CAVEAT),  # printed with v' where v is meant
        ("C205", HOLDS),
    ],
)
def test_verdict(number: str, verdict: str) -> None:
    check(number, verdict)


def test_the_answers_called_wrong_are_printed_so() -> None:
    """T005: a wrong answer that is not in the table would go uncounted."""
    printed = {(c, answer) for _, _, answers in PRINTED for c, answer in answers}
    assert all((c, wrong) in printed for c, (wrong, _) in WRONG.items())
