"""A claim of the notes put to its test, from the same seed every time, and held to the verdict pinned for it."""

import torch

from deepclassics import claims
from deepclassics.claims import Finding


def found(number: str) -> Finding:
    torch.manual_seed(0)
    return claims.find(number).test()()


def check(number: str, verdict: str) -> None:
    finding = found(number)
    assert finding.verdict == verdict, finding.numbers
    assert finding.remark or finding.verdict == "holds"  # beside "holds" it is not told
