"""Streams: full batches, every example once a pass, order from (seed, epoch) alone, shares of ranks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepclassics.data.streams import Chunks, Columns, InOrder, Passage, Shuffled, Splits, Whole, inputs
from deepclassics.errors import UserError

CPU = torch.device("cpu")


def numbered(n: int) -> Columns:
    return Columns(number=torch.arange(n), pixel=torch.full((n, 2), 255, dtype=torch.uint8))


@given(n=st.integers(1, 60), batch=st.integers(1, 70), seed=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_every_example_comes_once_a_pass(n: int, batch: int, seed: int) -> None:
    stream = Shuffled(numbered(n), batch, seed)
    passes = 3
    seen = [int(i) for position in range(passes * n) for i in stream.at(position)["number"]][: passes * n]
    for number in range(passes):
        assert sorted(seen[number * n : (number + 1) * n]) == list(range(n))


@given(n=st.integers(2, 40), ranks=st.integers(1, 4), each=st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_the_ranks_share_the_batch_of_one(n: int, ranks: int, each: int) -> None:
    n = max(n, ranks * each)
    whole = Shuffled(numbered(n), ranks * each, 7)
    shares = [Shuffled(numbered(n), ranks * each, 7).on(CPU, rank, ranks) for rank in range(ranks)]
    for position in (0, 1, 5):
        together = torch.cat([share.at(position)["number"] for share in shares])
        assert torch.equal(together, whole.at(position)["number"])


def test_bytes_become_fractions() -> None:
    batch = Shuffled(numbered(4), 2, 0).at(0)
    assert batch["pixel"].dtype == torch.float32
    assert torch.equal(batch["pixel"], torch.ones(2, 2))


def test_batches_that_do_not_divide_over_the_ranks_are_refused() -> None:
    with pytest.raises(UserError, match="multiple of 3"):
        Shuffled(numbered(100), 8, 0).on(CPU, 0, 3)


def test_in_order_is_all_of_it_in_order() -> None:
    assert torch.cat([batch["number"] for batch in InOrder(numbered(10), 4)]).tolist() == list(range(10))


@given(n=st.integers(50, 3000), batch=st.integers(1, 20), length=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_a_passage_judges_all_but_a_few_positions(n: int, batch: int, length: int) -> None:
    passage = Passage(torch.arange(n, dtype=torch.int32), batch, length)
    targets = torch.cat([part["targets"].flatten() for part in passage])
    assert len(set(targets.tolist())) == len(targets)
    assert n - 1 - passage.batch < len(targets) <= n - 1


@given(n=st.integers(60, 2000), ranks=st.sampled_from([1, 2, 4]))
@settings(max_examples=40, deadline=None)
def test_chunks_stay_inside_the_text_for_every_rank(n: int, ranks: int) -> None:
    text = torch.arange(n, dtype=torch.int32)
    whole = Chunks(text, 8, 7, 0)
    for position in range(2 * len(whole)):
        batch = whole.at(position)
        assert torch.equal(batch["targets"], batch["ids"] + 1)
    if whole.batch % ranks == 0:
        shares = [whole.on(CPU, rank, ranks).at(1)["ids"] for rank in range(ranks)]
        assert torch.equal(torch.cat(shares), whole.at(1)["ids"])


def test_hello_is_one_stream_of_four() -> None:
    stream = Chunks(torch.tensor([1, 0, 2, 2, 3]), 64, 4, 0)
    assert stream.batch == 1
    assert len(stream) == 1
    assert stream.at(5)["targets"].tolist() == [[0, 2, 2, 3]]


def test_text_shorter_than_a_chunk_is_refused() -> None:
    with pytest.raises(UserError, match="longer than a chunk of 25 characters; got 5"):
        Chunks(torch.arange(5), 64, 25, 0)


def test_splits_become_streams() -> None:
    spec = {"data": "numbers"}
    splits = Splits(spec, numbered(8), None, numbered(3))
    shuffled = splits.shuffled(2, 7)
    assert shuffled.train == Shuffled(splits.train, 2, 7)
    assert shuffled.valid is None
    assert shuffled.test == InOrder(splits.test)
    whole = splits.streams(Whole(splits.train))
    assert whole.train == Whole(splits.train)
    assert (whole.spec, whole.valid, whole.test) == (spec, None, shuffled.test)
    assert Splits(spec, numbered(8), numbered(0)).streams(whole.train).valid is None  # of nothing there is no score


def test_what_is_known_of_examples_is_features_or_pictures() -> None:
    table, pictures = torch.ones(3, 2), torch.ones(3, 1, 4, 4)
    assert inputs({"features": table, "label": torch.zeros(3)}) is table
    assert inputs({"label": torch.zeros(3), "image": pictures}) is pictures
