"""Streams: full batches, every example once a pass, order from (seed, epoch) alone, shares of ranks."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepclassics.data import streams
from deepclassics.data.streams import (
    ByLength,
    Chunks,
    Columns,
    InOrder,
    Opened,
    Passage,
    Ragged,
    Shuffled,
    Splits,
    Stored,
    Whole,
    World,
    inputs,
)
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


# Stored


def rows_of(n: int, asked: list[int]) -> Stored:
    """n rows of two values, the row's number; `asked` notes the rows that are made."""

    def make(number: int) -> np.ndarray:
        asked.append(number)
        return np.full(2, number, dtype=np.uint8)

    return Stored(make, (n, 2))


def soon(truth: Callable[[], bool]) -> None:
    """Waits for what threads do, ten seconds at most."""
    for _ in range(1000):
        if truth():
            return
        time.sleep(0.01)
    pytest.fail("it never came")


@given(n=st.integers(1, 60), batch=st.integers(1, 70), seed=st.integers(0, 5), position=st.integers(0, 90))
@settings(max_examples=60, deadline=None)
def test_stored_rows_come_in_the_order_of_held_ones(n: int, batch: int, seed: int, position: int) -> None:
    label, pixel = torch.arange(n), torch.arange(n, dtype=torch.uint8)[:, None].expand(-1, 2)
    held = Shuffled(Columns(label=label, image=pixel), batch, seed)
    stored = Shuffled(Columns(label=label, image=rows_of(n, [])), batch, seed)
    for place in (position, position + 1, 0):
        one, other = held.at(place), stored.at(place)
        assert torch.equal(one["label"], other["label"])
        assert torch.equal(one["image"], other["image"])


def test_a_stored_column_answers_as_a_tensor() -> None:
    column = rows_of(5, [])
    assert (len(column), column.shape, column.dtype, column.device) == (5, (5, 2), torch.uint8, CPU)
    assert column[3].tolist() == [3, 3]
    assert column[-2:].tolist() == column[[3, 4]].tolist() == [[3, 3], [4, 4]]
    assert column[torch.tensor([False, True, False, True, False])].tolist() == [[1, 1], [3, 3]]
    assert column[torch.tensor([2, 2, 0])].tolist() == [[2, 2], [2, 2], [0, 0]]
    assert column[5:].shape == (0, 2)


def test_the_next_batches_are_begun_and_each_row_is_made_once() -> None:
    asked: list[int] = []
    stream = Shuffled(Columns(image=rows_of(40, asked)), 4, 0)
    stream.at(0)
    soon(lambda: len(asked) == 4 * (1 + streams.AHEAD))
    assert asked.sort() or asked == sorted(stream.order(0)[:12].tolist())
    for position in range(1, 8):
        stream.at(position)
    soon(lambda: len(asked) == 40)
    assert sorted(asked) == list(range(40))


def test_rows_are_made_by_the_threads_that_are_given() -> None:
    names: set[str] = set()

    def make(number: int) -> np.ndarray:
        names.add(threading.current_thread().name)
        return np.full(2, number, dtype=np.uint8)

    with ThreadPoolExecutor(1, thread_name_prefix="given") as pool:
        column = Columns(image=Stored(make, (10, 2), pool=pool)).to("cpu")
        assert column["image"][:].tolist() == [[number] * 2 for number in range(10)]
    assert names == {"given_0"}


def test_batches_begun_and_never_fetched_are_given_up() -> None:
    column = rows_of(100, [])
    for begin in range(50):
        column.begin(slice(begin, begin + 2))
    assert len(column._begun) == 1 + streams.AHEAD


def test_a_batch_of_many_examples_costs_no_more_than_one_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made of as many numbers as there are examples, but the order of a pass."""
    column = Stored(lambda number: np.zeros(2, dtype=np.uint8), (50_000, 2))
    stream = Shuffled(Columns(image=column), 4, 0)
    stream.order(0)
    numbers = torch.arange
    made: list[int] = []

    def noted(*given: int) -> torch.Tensor:
        made.append(len(range(*given)))
        return numbers(*given)

    monkeypatch.setattr(torch, "arange", noted)
    stream.at(0), InOrder(stream.columns, 8).at(0)
    assert max(made, default=0) <= 8


def test_what_was_begun_is_given_up_where_a_stream_is_left() -> None:
    column = rows_of(100, [])
    for stream in (Shuffled(Columns(image=column), 4, 0), Opened(Columns(image=column), 4, 0)):
        stream.at(1)
        assert len(column._begun) == streams.AHEAD
        stream.drop()
        assert not column._begun
    World(None).drop()  # nothing is begun of what is held


def test_all_that_is_looked_at_is_made_once() -> None:
    asked: list[int] = []
    stream = InOrder(Columns(image=rows_of(10, asked), label=torch.arange(10)), 4)
    assert torch.cat([batch["label"] for batch in stream]).tolist() == list(range(10))
    assert sorted(asked) == list(range(10))


def test_of_large_examples_fewer_are_looked_at_together() -> None:
    large = Columns(image=Stored(lambda number: np.zeros((3, 224, 224), dtype=np.uint8), (100, 3, 224, 224)))
    assert InOrder(large).batch == 27
    assert InOrder(Columns(image=torch.zeros(2000, 1, 28, 28))).batch == 1000


def test_more_at_once_than_the_memory_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "idle_memory", lambda: 3 * 10**9)
    column = Stored(lambda number: pytest.fail("made"), (10_000, 3, 224, 224))
    with pytest.raises(UserError, match=r"^10,000 examples at once would take 7\.5 GB; 3\.0 GB are free\."):
        Whole(Columns(image=column)).at(0)


def test_a_fault_in_a_thread_comes_where_the_batch_is_asked_for() -> None:
    def make(number: int) -> np.ndarray:
        if number == 7:
            raise UserError("7 is gone.")
        return np.zeros(2, dtype=np.uint8)

    stream = InOrder(Columns(image=Stored(make, (10, 2))), 3)
    stream.at(0), stream.at(1)
    with pytest.raises(UserError, match="7 is gone"):
        stream.at(2)


def sentences(count: int, longest: int = 60) -> Columns:
    lengths = torch.randint(1, longest, (count,), generator=torch.Generator().manual_seed(0)).tolist()
    return Columns(ids=Ragged.of([[7] * length for length in lengths]), number=torch.arange(count))


@pytest.mark.parametrize(("count", "batch"), [(100, 50), (1003, 32), (5, 50), (64, 32), (33, 32)])
def test_every_sentence_comes_once_a_pass_however_few_there_are(count: int, batch: int) -> None:
    """Passes are laid end to end: whatever the lengths, the first N are all of them, and the next N again."""
    stream = Shuffled(sentences(count), batch, seed=3, alike=50)
    seen = torch.cat([stream.at(position)["number"] for position in range(4 * len(stream))])
    for epoch in range(seen.numel() // count):
        assert seen[epoch * count : (epoch + 1) * count].sort().values.tolist() == list(range(count))


def test_sentences_come_with_their_like() -> None:
    mixed, like = (Shuffled(sentences(2000), 32, seed=0, alike=alike) for alike in (1, 50))
    assert like.filled() < 0.1 < 0.4 < mixed.filled()
    first = [like.at(position)["ids"].shape[1] for position in range(20)]
    assert first != sorted(first), "the batches come in an order of chance"
    shares = [Shuffled(like.columns, 32, 0, rank, 2, 50) for rank in (0, 1)]
    for position in range(130):
        whole = torch.cat([share.at(position)["number"] for share in shares])
        assert torch.equal(whole, like.at(position)["number"])


def test_a_ragged_column_is_filled_up_with_nothing() -> None:
    rows = [[1], [2, 3], [], [4, 5, 6]]
    column = Ragged.of(rows)
    assert len(column) == 4
    assert column.shape == (4, 3)
    assert column[torch.tensor([3, 0])].tolist() == [[4, 5, 6], [1, 0, 0]]
    assert column[1].tolist() == [2, 3]
    assert column[2:3].shape == (1, 0)
    some = column.rows(torch.tensor([3, 2, 1]))
    assert [some[place].tolist() for place in range(3)] == [[4, 5, 6], [], [2, 3]]
    deep = Ragged(torch.arange(12).view(6, 2), torch.tensor([0, 1, 3, 3, 6]))
    assert deep[torch.tensor([0, 3])].tolist() == [[[0, 1], [0, 0], [0, 0]], [[6, 7], [8, 9], [10, 11]]]


def test_scores_are_looked_at_from_the_shortest_on() -> None:
    columns = sentences(500)
    seen = [batch["number"] for batch in ByLength(columns, 40)]
    assert torch.cat(seen).sort().values.tolist() == list(range(500))
    assert columns.lengths is not None
    assert columns.lengths[torch.cat(seen)].diff().min() >= 0
