"""Examples as tensors on the device, and the streams of batches drawn from them.

A set that fits in memory is held as one tensor a column and indexed per batch: nothing is copied by worker processes,
nothing is collated, and a batch costs some 20 microseconds. The order of a stream depends on (seed, epoch) alone, so
the number of updates done is its whole position: a resumed run needs no state of the loader.

Letters: N examples, B examples a batch over all ranks, T positions of a chunk of text.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from deepclassics.errors import UserError

Batch = dict[str, Any]


def inputs(batch: Batch) -> Tensor:  # -> (B, D) or (B, C, H, W)
    """What is known of the examples: the features of a table, or pictures."""
    return batch["features"] if "features" in batch else batch["image"]


class Columns:
    """N examples as tensors of equal length, one a column: `Columns(image=..., label=...)`.

    A column of dtype uint8 holds pixels or other bytes to save memory: batches carry it as float32 in [0, 1].
    """

    def __init__(self, **tensors: Tensor) -> None:
        lengths = {name: len(tensor) for name, tensor in tensors.items()}
        assert len(set(lengths.values())) == 1, f"columns of unequal length: {lengths}"
        self.tensors = tensors

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def take(self, index: Tensor | slice) -> Batch:
        """The examples at `index`, (B,) of int64 or a slice, as a batch: {column: (B, ...)}."""
        rows = {
            name: tensor[index] if isinstance(index, slice) else tensor.index_select(0, index)
            for name, tensor in self.tensors.items()
        }
        return {name: rows[name] * (1 / 255) if rows[name].dtype == torch.uint8 else rows[name] for name in rows}

    def to(self, device: torch.device | str) -> "Columns":
        return Columns(**{name: tensor.to(device) for name, tensor in self.tensors.items()})


class Stream(ABC):
    """Batches by position. `at(k)` is a pure function of k: asking twice gives the same batch."""

    unit = "examples"  # what a rate counts

    @property
    def items(self) -> int:
        """How many of them an update takes, over all ranks."""
        return 1

    @abstractmethod
    def at(self, position: int) -> Batch:
        """The batch for update number `position`, counted from 0."""

    @abstractmethod
    def __len__(self) -> int:
        """Batches in one pass over the examples, the last one perhaps shared with the next pass."""

    @abstractmethod
    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "Stream":
        """The same stream with its examples on `device` and this rank's share of every batch."""

    def __iter__(self) -> Iterator[Batch]:
        return (self.at(position) for position in range(len(self)))


@dataclass(frozen=True)
class Shuffled(Stream):
    """Endless shuffled batches: pass after pass, each in a new order made from (seed, epoch).

    The passes are laid end to end and cut into batches of B, so that every batch is full and every example comes
    exactly once a pass; one batch in each pass may hold the end of one pass and the beginning of the next.
    With several ranks each takes its slice of the same global batch.
    """

    columns: Columns
    batch: int
    seed: int
    rank: int = 0
    ranks: int = 1
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

    def order(self, epoch: int) -> Tensor:
        """The order of one pass, (N,) of int64, on the device of the examples."""
        if epoch not in self._orders:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            device = next(iter(self.columns.tensors.values())).device
            for old in [known for known in self._orders if known < epoch - 1]:
                del self._orders[old]
            self._orders[epoch] = torch.randperm(len(self.columns), generator=generator).to(device)
        return self._orders[epoch]

    def at(self, position: int) -> Batch:
        share = self.batch // self.ranks
        epoch, begin = divmod(position * self.batch + self.rank * share, len(self.columns))
        index = self.order(epoch)[begin : begin + share]
        if len(index) < share:
            index = torch.cat([index, self.order(epoch + 1)[: share - len(index)]])
        return self.columns.take(index)

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "Shuffled":
        return Shuffled(self.columns.to(device), self.batch, self.seed, rank, ranks)


@dataclass(frozen=True)
class InOrder(Stream):
    """One pass in the order of the data, for looking at scores. The last batch may be smaller."""

    columns: Columns
    batch: int = 1000

    def __len__(self) -> int:
        return -(-len(self.columns) // self.batch)

    def at(self, position: int) -> Batch:
        return self.columns.take(slice(position * self.batch, (position + 1) * self.batch))

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "InOrder":
        """Every rank looks at the whole: the scores are the same everywhere without a word between the ranks."""
        return InOrder(self.columns.to(device), self.batch)


@dataclass(frozen=True)
class Whole(Stream):
    """For learners that build from all examples at once: every batch is all of them, in order, on every rank."""

    columns: Columns

    def __len__(self) -> int:
        return 1

    @property
    def items(self) -> int:
        return len(self.columns)

    def at(self, position: int) -> Batch:
        return self.columns.take(slice(None))

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "Whole":
        return Whole(self.columns.to(device))


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

    def on(self, device: torch.device, rank: int = 0, ranks: int = 1) -> "Opened":
        return replace(self, columns=self.columns.to(device))


@dataclass(frozen=True)
class Chunks(Stream):
    """Running text to learn from: B parallel stretches, T positions at a time, for truncated backpropagation in time.

    A batch is {"ids": (B, T), "targets": (B, T), "fresh": bool}: the targets are the ids one position later, chunk k+1
    continues every stretch where chunk k ended, and `fresh` says that a pass begins, so the carried state must be
    dropped. Every pass cuts the text at another place, made from (seed, epoch).
    """

    unit = "characters"

    ids: Tensor  # (N,) of int64, or of a smaller integer type to save memory
    batch: int
    length: int
    seed: int
    rank: int = 0
    ranks: int = 1

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
                f"The text to learn from must be longer than a chunk of {self.length} characters"
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
        """Streams of it: the training examples shuffled, `batch` an update; the others in order."""
        return self.streams(Shuffled(self.train, batch, seed))

    def streams(self, train: Stream) -> Data:
        """Streams of it: the training examples as `train` gives them, the others in order."""

        def in_order(columns: Columns | None) -> InOrder | None:
            return InOrder(columns) if columns is not None and len(columns) else None

        return Data(self.spec, train, in_order(self.valid), in_order(self.test))
