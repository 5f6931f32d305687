"""The verdict of the claim about classifying texts. It is pinned here and computed there."""

import pytest

from deepclassics import claims
from verdicts import check, found

HOLDS, CAVEAT, FAILS = claims.VERDICTS


def test_nets_of_convolutions_over_words_are_competitive() -> None:
    """C173, T002, N064."""
    check("C173", CAVEAT)  # not on SST-1, Subj and TREC
    numbers = found("C173").numbers
    assert numbers["columns whose bold figures are their maxima, of 7"] == 7
    assert numbers["columns that a CNN leads, of 7"] == 4
    assert numbers["non-static less rand in the table, mean, points"] == pytest.approx(4.24, abs=0.01)
    assert numbers["error of static on the grammar"] < 0.7 * numbers["error of rand on the grammar"]
