"""The verdicts of the claims about recurrent nets.

The verdicts are pinned here and computed there. What is wrong in the notes comes out `fails as printed`.
"""

import pytest
import torch

from deepclassics import claims
from deepclassics.claims import recurrence
from verdicts import check, found

HOLDS, CAVEAT, FAILS = claims.VERDICTS

FAST = {
    "C111": CAVEAT,  # 25 positions are usual, no bound
    "C113": HOLDS,
    "C116": HOLDS,
    "C117": CAVEAT,  # a ResNet hands on all, an LSTM a share
    "C118": CAVEAT,  # S205: slower, not absent
    "C120": HOLDS,
    "C174": HOLDS,
    "C208": CAVEAT,  # tanh moves the threshold
    "C209": HOLDS,
    "C210": HOLDS,
}
SLOW = {
    "C112": CAVEAT,  # on text, an Elman net is ahead at first
    "C114": CAVEAT,  # some cells count, most do something else
    "C115": FAILS,  # after 200 updates a GRU is 6 % ahead of coupled gates
    "C119": HOLDS,  # S216: by 20 points or more
    "C175": HOLDS,
    "C176": HOLDS,  # S203: what came 5 steps ago
}


@pytest.mark.parametrize("number", FAST)
def test_verdict(number: str) -> None:
    check(number, FAST[number])


@pytest.mark.long
@pytest.mark.parametrize("number", SLOW)
def test_verdict_that_takes_longer(number: str) -> None:
    check(number, SLOW[number])


def test_every_claim_of_the_file_is_pinned() -> None:
    here = {claim.id for claim in claims.names().values() if claim.topic == "recurrence"}
    assert here == FAST.keys() | SLOW.keys()


def test_c174_counts_as_printed() -> None:
    numbers = found("C174").numbers
    assert [numbers[f"uses of {weight}"] for weight in ("V", "W_2", "W_1")] == [1, 2, 3]


def test_c118_more_forget_bias_keeps_more() -> None:
    numbers = found("C118").numbers
    steps = [numbers[f"steps until a thousandth is left, LSTM, forget bias {bias}"] for bias in (0, 1, 3)]
    assert steps == sorted(steps)
    assert steps[0] < steps[2]


def test_what_is_kept_for_the_way_back_leaves_weights_out() -> None:
    net = recurrence.Recurrent("rnn", 8, 64)
    size, (out, _) = recurrence._kept(net, torch.randn(1, 100, 8), None)
    assert out.numel() * 4 <= size < 2 * (out.numel() + 100 * 8) * 4


def test_bits_wanted_are_those_before_and_after() -> None:
    x, wanted = recurrence._bits(1, -2, length=6)(3, torch.Generator().manual_seed(0))
    bits = (x[..., 0] > 0).long()
    assert torch.equal(wanted[:, 1:4], 2 * bits[:, :3] + bits[:, 3:])
    assert (wanted[:, 4:] % 2 == 0).all(), "what lies outside is 0"


def test_letters_opened_are_closed() -> None:
    """a^n b^n: the letters open are never fewer than none, and none wherever an a follows a b."""
    x, following = recurrence._opened_and_closed(20, torch.Generator().manual_seed(0))
    letters = x.argmax(2)
    left = (1 - 2 * letters).cumsum(1)
    assert int(left.min()) == 0
    assert int(left.max()) <= 10
    assert torch.equal((letters == 1) & (following == 0), (letters == 1) & (left == 0))
