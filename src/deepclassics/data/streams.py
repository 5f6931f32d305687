"""Examples as tensors on the device, and the streams of batches drawn from them.

A set that fits in memory is held as one tensor a column and indexed per batch: nothing is copied by worker processes,
nothing is collated, and a batch costs some 20 microseconds. The order of a stream depends on (seed, epoch) alone, so
the number of updates done is its whole position: a resumed run needs no state of the loader.

What does not fit in memory is a `Stored` column: its rows are made by threads when they are asked for, those of the
next batches ahead of time. The order, and with it the position, is the same.

Sentences differ in length: a `Ragged` column holds them end to end, and a batch of them is filled up with 0.

Letters: N examples, B examples a batch over all ranks, T positions of a chunk of text or of the longest sentence.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepclassics.errors import UserError
from deepclassics.idle import cores, idle_memory

Batch = dict[str, Any]

AHEAD = 2  # batches of stored rows that are begun before they are asked for
LOOK = 1 << 22  # values in a batch that is looked at: 16 MB as floats, and what a net makes of it many times as much
ALIKE = 50  # batches that are drawn together and parted by length
WORD = 100  # values that the id of a word stands for


def inputs(batch: Batch) -> Tensor:  # -> (B, D) or (B, C, H, W)
    """What is known of the examples: the features of a table, or pictures."""
    return batch["features"] if "features" in batch else batch["image"]


@cache
def workers() -> ThreadPoolExecutor:
    """The threads that read files and decode them. Processes must copy every picture: they gain for tiny ones alone
    (benchmarks/decoding.py), of which a folder that fills the memory is rare."""
    return ThreadPoolExecutor(cores(), thread_name_prefix="worker")


class Stored:
    """A column whose rows are made when they are asked for, because all of them together would fill the memory.

    It stands for a tensor, (N, ...) of uint8, and has of it what is asked of a column: len, shape, dtype, device, and
    rows by a number, a slice, numbers or truths. `place` is the device of the batches; rows are made on the processor,
    by the threads of `pool`; None: those of all streams.
    """

    dtype = torch.uint8
    device = torch.device("cpu")

    def __init__(
        self,
        make: Callable[[int], np.ndarray],
        shape: Sequence[int],
        place: torch.device | str = "cpu",
        pool: ThreadPoolExecutor | None = None,
    ) -> None:  # make: number of a row -> (...) of uint8
        self.make, self.shape, self.place, self.pool = make, torch.Size(shape), torch.device(place), pool
        self._begun: dict[bytes, tuple[Tensor, list[Future[None]]]] = {}  # by the numbers of the rows

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Tensor:
        numbers = self._numbers(index)
        if not numbers.dim():
            return self[numbers[None]][0]
        wanted = numbers.numpy().tobytes()
        rows, jobs = self._begun.pop(wanted) if wanted in self._begun else self._start(numbers.tolist())
        for job in jobs:
            job.result()
        return rows

    def begin(self, index: Tensor | slice) -> None:
        """Starts on rows that will be asked for soon; of rows begun and not fetched, the oldest are given up."""
        numbers = self._numbers(index)
        wanted = numbers.numpy().tobytes()
        if wanted not in self._begun:
            self._begun[wanted] = self._start(numbers.tolist())
        self._keep(AHEAD + 1)

    def drop(self) -> None:
        """Gives up all rows that were begun."""
        self._keep(0)

    def _keep(self, count: int) -> None:
        while len(self._begun) > count:
            for job in self._begun.pop(next(iter(self._begun)))[1]:
                job.cancel()

    def _numbers(self, index: Any) -> Tensor:
        """The numbers of rows at an index. Those of a batch come as they are: N numbers a batch would cost more than
        it."""
        if isinstance(index, slice):
            return torch.arange(*index.indices(len(self)))
        if isinstance(index, Tensor) and index.dtype == torch.int64:
            return index
        return torch.arange(len(self))[index]

    def _start(self, numbers: Sequence[int]) -> tuple[Tensor, list[Future[None]]]:
        """Rows that are being filled, and the jobs that fill them."""
        size = 5 * len(numbers) * prod(self.shape[1:])  # bytes of a batch: as they are, and as floats
        if size > 1 << 30 and size > (free := idle_memory()):
            raise UserError(
                f"{len(numbers):,} examples at once would take {size / 1e9:.1f} GB; {free / 1e9:.1f} GB are free. Take "
                f"a smaller --batch or smaller pictures, or a system that does not want all examples at once."
            )
        rows = torch.empty((len(numbers), *self.shape[1:]), dtype=torch.uint8)
        filled = rows.numpy()

        def fill(begin: int, end: int) -> None:
            for place in range(begin, end):
                filled[place] = self.make(numbers[place])

        share = -(-len(numbers) // (4 * cores()))  # some jobs a thread: pictures differ in size
        pool = self.pool or workers()
        return rows, [
            pool.submit(fill, begin, min(begin + share, len(numbers)))
            for begin in range(0, len(numbers), max(1, share))
        ]

    def to(self, device: torch.device | str) -> "Stored":
        return Stored(self.make, self.shape, device, self.pool)


class Ragged:
    """A column whose rows differ in length: ids of words, say. A batch of them is filled up with 0, which stands for no
    word: (B, T, ...) of int64, T the longest of the batch.

    `values` are the rows end to end, (S, ...) of an integer type, and row n is values[starts[n] : starts[n + 1]]. Where
    rows begin is kept on the processor: how wide a batch becomes is then known without waiting for the device.
    """

    def __init__(self, values: Tensor, starts: Tensor) -> None:  # (S, ...), (N + 1,) of int64
        self.values, self.starts = values, starts.cpu()
        self.lengths = self.starts.diff()  # (N,)
        longest = int(self.lengths.max()) if len(self.lengths) else 0
        self.shape = torch.Size((len(self.lengths), longest, *values.shape[1:]))
        self.dtype, self.device = torch.int64, torch.device("cpu")

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], dtype: torch.dtype = torch.int32) -> "Ragged":
        """A column of numbers from its rows."""
        starts = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)])
        values = torch.from_numpy(np.fromiter(itertools.chain.from_iterable(rows), np.int64, int(starts[-1])))
        return cls(values.to(dtype), torch.from_numpy(starts))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Tensor:
        """Rows at a number, a slice, numbers on the processor, or truths: on the device of the values."""
        numbers = torch.arange(len(self))[index]
        if not numbers.dim():
            return self[numbers[None]][0]
        lengths = self.lengths[numbers]
        place = torch.arange(int(lengths.max()) if len(numbers) else 0)
        inside = place < lengths[:, None]  # (B, T)
        source = torch.where(inside, self.starts[numbers, None] + place, 0).to(self.values.device, non_blocking=True)
        outside = ~inside.to(self.values.device, non_blocking=True)
        rows = self.values[source].long()
        return rows.masked_fill_(outside.view(*outside.shape, *[1] * (rows.dim() - 2)), 0)

    def rows(self, index: Tensor) -> "Ragged":  # (M,) of int64 -> M of the rows, in that order
        """Some of the rows as a column of their own."""
        lengths = self.lengths[index]
        starts = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        place = torch.arange(int(starts[-1])) - starts[:-1].repeat_interleave(lengths)
        source = self.starts[index].repeat_interleave(lengths) + place
        return Ragged(self.values[source.to(self.values.device)], starts)

    def to(self, device: torch.device | str) -> "Ragged":
        return Ragged(self.values.to(device), self.starts)


class Columns:
    """N examples as tensors of equal length, one a column: `Columns(image=..., label=...)`.

    A column of dtype uint8 holds pixels or other bytes to save memory: batches carry it as float32 in [0, 1]. One that
    does not fit in memory is `Stored`; then all columns stay on the processor, and only batches go to the device. One
    whose rows differ in length is `Ragged`.
    """

    def __init__(self, **tensors: Any) -> None:
        lengths = {name: len(tensor) for name, tensor in tensors.items()}
        assert len(set(lengths.values())) == 1, f"columns of unequal length: {lengths}"
        self.tensors = tensors
        self.stored = [tensor for tensor in tensors.values() if isinstance(tensor, Stored)]

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, name: str) -> Any:  # a tensor, or a Stored column that answers as one
        return self.tensors[name]

    @cached_property
    def lengths(self) -> Tensor | None:  # (N,) of int64
        """Of the examples, where they differ in it."""
        return next((tensor.lengths for tensor in self.tensors.values() if isinstance(tensor, Ragged)), None)

    @property
    def device(self) -> torch.device:
        """Where the numbers of examples belong: on the processor if examples differ in length."""
        device: torch.device = next(iter(self.tensors.values())).device
        return device if self.lengths is None else torch.device("cpu")

    def begin(self, index: Tensor | slice) -> None:
        """Starts on the stored rows of examples that will be taken soon."""
        for column in self.stored:
            column.begin(index)

    def drop(self) -> None:
        """Gives up the stored rows that were begun."""
        for column in self.stored:
            column.drop()

    def take(self, index: Tensor | slice) -> Batch:
        """The examples at `index`, (B,) of int64 or a slice, as a batch: {column: (B, ...)}."""
        rows = {
            name: tensor.index_select(0, index.to(tensor.device, non_blocking=True))
            if isinstance(index, Tensor) and isinstance(tensor, Tensor)
            else tensor[index]
            for name, tensor in self.tensors.items()
        }
        if self.stored:
            rows = {name: row.to(self.stored[0].place) for name, row in rows.items()}
        return {name: rows[name] * (1 / 255) if rows[name].dtype == torch.uint8 else rows[name] for name in rows}

    def to(self, device: torch.device | str) -> "Columns":
        return Columns(
            **{
                name: tensor if self.stored and isinstance(tensor, Tensor) else tensor.to(device)
                for name, tensor in self.tensors.items()
            }
        )


class Stream(ABC):
    """Batches by position. `at(k)` is a pure function of k: asking twice gives the same batch."""

    unit = "examples"  # what a rate counts

    @property
    def items(self) -> int:
        """How many of them an update takes, over all ranks."""
        return 1

    @property
    def remark(self) -> str:
        """What is told of it when a run begins; "" where there is nothing to tell."""
        return ""

    @abstractmethod
    def at(self, position: int) -> Batch:
        """The batch for update number `position`, counted from 0."""

    @abstractmethod
    def __len__(self) -> int:
        """Batches in one pass over the examples, the last one perhaps shared with the next pass."""

    @abstractmethod
    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "Stream":
        """The same stream with its examples on `device` and this rank's share of every batch."""

    def drop(self) -> None:
        """Gives up the batches that were begun ahead of their time: none will be asked for soon."""
        return

    def __iter__(self) -> Iterator[Batch]:
        return (self.at(position) for position in range(len(self)))


@dataclass(frozen=True)
class Shuffled(Stream):
    """Endless shuffled batches: pass after pass, each in a new order made from (seed, epoch).

    The passes are laid end to end and cut into batches of B, so that every batch is full and every example comes
    exactly once a pass; one batch in each pass may hold the end of one pass and the beginning of the next.
    With several ranks each takes its slice of the same global batch.

    Where examples differ in length, those of `alike` batches at a time are parted by length, and the batches of a pass
    come in an order of chance: little of a batch is then filled up with nothing.
    """

    columns: Columns
    batch: int
    seed: int
    rank: int = 0
    ranks: int = 1
    alike: int = 1
    _orders: dict[int, Tensor] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        size = min(self.batch, len(self.columns))
        if size % self.ranks:
            raise UserError(
                f"A batch must divide evenly over the ranks; got {size} examples over {self.ranks} ranks. "
                f"Choose a batch that is a multiple of {self.ranks}, or fewer ranks."
            )
        object.__setattr__(self, "batch", size)

    def __len__(self) -> int:
        return -(-len(self.columns) // self.batch)

    @property
    def items(self) -> int:
        return self.batch

    @property
    def remark(self) -> str:
        if self.columns.stored:
            return "The pictures would fill the memory: they are decoded anew for every batch."
        if self.columns.lengths is None:
            return ""
        mixed = replace(self, alike=1, _orders={}).filled()
        return (
            f"Batches of like length: {self.filled():.1%} of their places are filled up with nothing; "
            f"with lengths mixed it would be {mixed:.1%}."
        )

    def filled(self) -> float:
        """The share of the places in the batches of the first pass that hold no word, in [0, 1)."""
        assert self.columns.lengths is not None
        lengths = self.columns.lengths
        found = [lengths[self._index(position)] for position in range(len(self))]
        places = sum(int(each.max()) * len(each) for each in found)
        return 1 - sum(int(each.sum()) for each in found) / max(1, places)

    def order(self, epoch: int) -> Tensor:
        """The order of one pass, (N,) of int64, on the device of the examples."""
        if epoch not in self._orders:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            for old in [known for known in self._orders if known < epoch - 1]:
                del self._orders[old]
            order = torch.randperm(len(self.columns), generator=generator)
            if self.alike > 1 and self.columns.lengths is not None:
                order = self._parted(order, self.columns.lengths, epoch, generator)
            self._orders[epoch] = order.to(self.columns.device)
        return self._orders[epoch]

    def _parted(self, order: Tensor, lengths: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
        """The order in which every batch that lies within the pass holds examples of like length.

        What completes the last batch of the pass before, and what is too little for a batch at its end, stays.
        """
        begin = -epoch * len(order) % self.batch
        end = begin + (len(order) - begin) // self.batch * self.batch
        batches = [
            group[lengths[group].argsort(stable=True)].view(-1, self.batch)
            for group in order[begin:end].split(self.alike * self.batch)
        ]
        if not batches:
            return order
        mixed = torch.cat(batches)[torch.randperm(sum(map(len, batches)), generator=generator)]
        return torch.cat([order[:begin], mixed.flatten(), order[end:]])

    def at(self, position: int) -> Batch:
        for ahead in range(AHEAD + 1) if self.columns.stored else ():
            self.columns.begin(self._index(position + ahead))
        return self.columns.take(self._index(position))

    def drop(self) -> None:
        self.columns.drop()

    def _index(self, position: int) -> Tensor:
        """The numbers of this rank's share of a batch, (B / ranks,) of int64."""
        share = self.batch // self.ranks
        epoch, begin = divmod(position * self.batch + self.rank * share, len(self.columns))
        index = self.order(epoch)[begin : begin + share]
        if len(index) < share:
            index = torch.cat([index, self.order(epoch + 1)[: share - len(index)]])
        return index

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "Shuffled":
        return Shuffled(self.columns.to(device), self.batch, self.seed, rank, ranks, self.alike)


@dataclass(frozen=True)
class InOrder(Stream):
    """One pass in the order of the data, for looking at scores. The last batch may be smaller.

    Of large examples fewer are looked at together than `batch` says, so that they and a net's maps of them have room.
    """

    columns: Columns
    batch: int = 1000

    def __post_init__(self) -> None:
        values = sum(
            prod(tensor.shape[1:]) * (WORD if isinstance(tensor, Ragged) else 1)
            for tensor in self.columns.tensors.values()
        )
        object.__setattr__(self, "batch", max(1, min(self.batch, LOOK // max(1, values))))

    def __len__(self) -> int:
        return -(-len(self.columns) // self.batch)

    def at(self, position: int) -> Batch:
        if position + 1 < len(self):
            self.columns.begin(self._slice(position))
            self.columns.begin(self._slice(position + 1))
        return self.columns.take(self._slice(position))

    def _slice(self, position: int) -> slice:
        return slice(position * self.batch, (position + 1) * self.batch)

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "InOrder":
        """Every rank looks at the whole: the scores are the same everywhere without a word between the ranks."""
        return InOrder(self.columns.to(device), self.batch)


@dataclass(frozen=True)
class ByLength(InOrder):
    """One pass for looking at scores where examples differ in length: the shortest first, so that little is filled
    up."""

    @cached_property
    def _sorted(self) -> Tensor:  # (N,)
        assert self.columns.lengths is not None
        return self.columns.lengths.argsort(stable=True)

    def at(self, position: int) -> Batch:
        return self.columns.take(self._sorted[self._slice(position)])

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "ByLength":
        return ByLength(self.columns.to(device), self.batch)


@dataclass(frozen=True)
class Whole(Stream):
    """For learners that build from all examples at once: every batch is all of them, in order, on every rank.

    A column whose rows differ in length comes as it is, not filled up: one long row would make all others long.
    """

    columns: Columns
    unit: str = "examples"

    def __len__(self) -> int:
        return 1

    @property
    def items(self) -> int:
        return len(self.columns)

    def at(self, position: int) -> Batch:
        ragged = {name: tensor for name, tensor in self.columns.tensors.items() if isinstance(tensor, Ragged)}
        others = Columns(**{name: tensor for name, tensor in self.columns.tensors.items() if name not in ragged})
        return others.take(slice(None)) | ragged

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "Whole":
        return Whole(self.columns.to(device), self.unit)


@dataclass(frozen=True)
class Opened(Stream):
    """For learners that must see all examples before they take them in turn: the first batch is all of them, then come
    those of `Shuffled`. Every rank gets them whole."""

    columns: Columns
    batch: int
    seed: int

    def __len__(self) -> int:
        return len(self._rest)

    @property
    def items(self) -> int:
        return self._rest.items

    @cached_property
    def _rest(self) -> Shuffled:
        return Shuffled(self.columns, self.batch, self.seed)

    def at(self, position: int) -> Batch:
        return self._rest.at(position - 1) if position else self.columns.take(slice(None))

    def drop(self) -> None:
        self.columns.drop()

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "Opened":
        return replace(self, columns=self.columns.to(device))


@dataclass(frozen=True)
class Chunks(Stream):
    """Running text to learn from: B parallel stretches, T positions at a time, for truncated backpropagation in time.

    A batch is {"ids": (B, T), "targets": (B, T), "fresh": bool}: the targets are the ids one position later, chunk k+1
    continues every stretch where chunk k ended, and `fresh` says that a pass begins, so the carried state must be
    dropped. Every pass cuts the text at another place, made from (seed, epoch). `unit` is what a position holds.
    """

    ids: Tensor  # (N,) of int64, or of a smaller integer type to save memory
    batch: int
    length: int
    seed: int
    rank: int = 0
    ranks: int = 1
    unit: str = "characters"

    def __post_init__(self) -> None:
        if self.batch % self.ranks:
            raise UserError(
                f"A batch must divide evenly over the ranks; got {self.batch} streams over {self.ranks} ranks. "
                f"Choose a batch that is a multiple of {self.ranks}, or fewer ranks."
            )
        # A short text gets fewer streams before it is refused: "hello" is one stream of four positions.
        batch = self.batch
        while batch > self.ranks and len(self.ids) - 1 < 2 * batch * self.length:
            batch -= self.ranks
        if len(self.ids) - 1 < batch * self.length:
            raise UserError(
                f"The text to learn from must be longer than a chunk of {self.length} {self.unit}"
                f"{f' on each of {batch} streams' if batch > 1 else ''}; got {len(self.ids):,}. "
                f"Give more text, or a smaller --chunk."
            )
        object.__setattr__(self, "batch", batch)

    @property
    def items(self) -> int:
        return self.batch * self.length

    def _places(self) -> int:
        """How many places of cutting there are: at most a chunk's length, fewer where the text has none to spare."""
        return min(self.length, len(self.ids) - self.batch * self.length)

    def __len__(self) -> int:
        return (len(self.ids) - self._places()) // (self.batch * self.length)

    def at(self, position: int) -> Batch:
        epoch, chunk = divmod(position, len(self))
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        place = int(torch.randint(self._places(), (), generator=generator))
        share, stretch = self.batch // self.ranks, len(self) * self.length
        begin = place + self.rank * share * stretch + chunk * self.length
        windows = self.ids[begin:].as_strided((share, self.length + 1), (stretch, 1)).long()
        return {"ids": windows[:, :-1], "targets": windows[:, 1:], "fresh": chunk == 0}

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "Chunks":
        return replace(self, ids=self.ids.to(device), rank=rank, ranks=ranks)


@dataclass(frozen=True)
class Passage(Stream):
    """Running text to be judged by: one pass in order, batches as those of `Chunks`.

    B parallel stretches keep it fast; of each, only the first position has no past, and at most B - 1 positions at
    the very end of the text go unjudged. The last chunk may be shorter.
    """

    ids: Tensor  # (N,) as in Chunks
    batch: int = 16
    length: int = 200

    def __post_init__(self) -> None:
        object.__setattr__(self, "batch", max(1, min(self.batch, (len(self.ids) - 1) // 100)))

    def _stretch(self) -> int:
        return (len(self.ids) - 1) // self.batch

    def __len__(self) -> int:
        return -(-self._stretch() // self.length)

    def at(self, position: int) -> Batch:
        begin = position * self.length
        length = min(self.length, self._stretch() - begin)
        windows = self.ids[begin:].as_strided((self.batch, length + 1), (self._stretch(), 1)).long()
        return {"ids": windows[:, :-1], "targets": windows[:, 1:], "fresh": position == 0}

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "Passage":
        return replace(self, ids=self.ids.to(device))


@dataclass(frozen=True)
class World(Stream):
    """For learners whose data are a world itself: every batch is the world, whole and the same."""

    world: Any

    def __len__(self) -> int:
        return 1

    def at(self, position: int) -> Batch:
        return {"world": self.world}

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "World":
        return replace(self, world=self.world.to(device))


@dataclass(frozen=True)
class Data:
    """What a run feeds on: the facts, and one stream for each use."""

    spec: dict[str, Any]
    train: Stream
    valid: Stream | None = None
    test: Stream | None = None

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "Data":
        valid, test = (stream and stream.on(device) for stream in (self.valid, self.test))
        return replace(self, train=self.train.on(device, rank, ranks), valid=valid, test=test)


@dataclass(frozen=True)
class Splits:
    """What a data set or a user's file holds: its facts, and examples to learn from, to choose by and to judge with.

    `spec` is JSON: all that is needed to rebuild a model and to read new input without the data. `valid` is never part
    of `test`; either may be missing.
    """

    spec: dict[str, Any]
    train: Any
    valid: Any = None
    test: Any = None

    def parted(self, positive: str, system: str) -> "Splits":
        """The same examples with two classes: those of class `positive`, and all others before it.

        Raises:
            UserError: there is no such class; said by `system`.
        """
        target = self.spec["target"]
        classes = target["classes"]
        if positive not in classes:
            raise UserError(f"{system}: positive must be one of {', '.join(classes)}; got '{positive}'.")
        number = classes.index(positive)

        def relabelled(part: Columns | None) -> Columns | None:
            return part and Columns(**{**part.tensors, "label": (part["label"] == number).long()})

        spec = self.spec | {"target": target | {"classes": [f"not {positive}", positive]}}
        return Splits(spec, relabelled(self.train), relabelled(self.valid), relabelled(self.test))

    def shuffled(self, batch: int, seed: int) -> Data:
        """Streams of it: the training examples shuffled, `batch` an update; the others in order.

        Those that differ in length come with their like.
        """
        return self.streams(Shuffled(self.train, batch, seed, alike=ALIKE if self.train.lengths is not None else 1))

    def streams(self, train: Stream) -> Data:
        """Streams of it: the training examples as `train` gives them, the others in order."""

        def in_order(columns: Columns | None) -> InOrder | None:
            if columns is None or not len(columns):
                return None
            return InOrder(columns) if columns.lengths is None else ByLength(columns)

        return Data(self.spec, train, in_order(self.valid), in_order(self.test))
