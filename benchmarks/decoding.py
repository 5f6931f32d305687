"""How many pictures a second come from the disk: JPEGs decoded and scaled by threads, and by processes beside them.

    python benchmarks/decoding.py [--rounds 3]

Folders are made of pictures in the sizes of photographs and of CIFAR-10, with about the detail and the bytes of such.
Threads are what streams of folders larger than memory use, measured through one; processes must send every decoded
picture back. The contenders take turns, round after round; medians are printed. No net is trained meanwhile.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from deepclassics.data import load
from deepclassics.data.kinds.image import ALLOWED
from deepclassics.data.streams import Columns, Shuffled, Stored

_column: Stored  # of a process that decodes

WORKERS = (1, 2)
BATCH = 64
# Height and width as they lie on the disk, and as the net gets them; how many.
CASES = (((375, 500), 64, 320), ((375, 500), 224, 320), ((32, 32), 32, 3200))


def folder(path: Path, size: tuple[int, int], count: int) -> Path:
    """`count` JPEGs in two classes: smooth colours and some grain, which compress as photographs do."""
    noise = np.random.default_rng(0)
    height, width = size
    for number in range(count):
        coarse = noise.integers(0, 256, (height // 12 + 2, width // 12 + 2, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
        pixels = (smooth + noise.normal(0, 6, (height, width, 1))).clip(0, 255).astype(np.uint8)
        file = path / "ab"[number % 2] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file, quality=85)
    return path


def stored(path: Path, size: int) -> Stored:
    """The pictures of a folder, decoded anew whenever they are asked for."""
    with mock.patch.dict(os.environ, {ALLOWED: "0"}):  # nothing is held
        column = load(str(path), ["image"], seed=0, valid=0, test=0, size=size).train["image"]
    assert isinstance(column, Stored)
    return column


def by_threads(column: Stored, workers: int) -> float:
    """Seconds of a pass over a stream whose pictures are decoded by so many threads."""
    with ThreadPoolExecutor(workers) as pool:
        train = Shuffled(Columns(image=Stored(column.make, column.shape, pool=pool)), BATCH, seed=0)
        begun = time.perf_counter()
        for position in range(len(train)):
            train.at(position)
        return time.perf_counter() - begun


def by_processes(path: Path, size: int, count: int, workers: int) -> float:
    """Seconds in which so many processes decode the pictures of a folder and send them here in batches."""
    fresh = get_context("spawn")  # a fork would have the threads of this process, but none that run
    with ProcessPoolExecutor(workers, fresh, initializer=begin, initargs=(path, size)) as pool:
        list(pool.map(decoded, [range(1)] * 2 * workers))  # every worker starts, which is no part of the time
        begun = time.perf_counter()
        list(pool.map(decoded, [range(count)[first : first + BATCH] for first in range(0, count, BATCH)]))
        return time.perf_counter() - begun


def begin(path: Path, size: int) -> None:
    """Opens the folder in a process that will decode its pictures."""
    global _column
    _column = stored(path, size)


def decoded(numbers: Iterable[int]) -> np.ndarray:  # -> (B, C, H, W)
    return np.stack([_column.make(number) for number in numbers])


def measure(rounds: int) -> list[str]:
    """A table in Markdown: pictures per second by size, kind and number of workers."""
    contenders = [(kind, workers) for kind in ("thread", "process") for workers in WORKERS]
    lines = [
        "| JPEGs | each | decoded to | " + " | ".join(f"{kind} × {workers}" for kind, workers in contenders) + " |",
        "|---|---|---|" + "---|" * len(contenders),
    ]
    for (height, width), size, count in CASES:
        with tempfile.TemporaryDirectory() as place:
            path = folder(Path(place), (height, width), count)
            kilobytes = sum(file.stat().st_size for file in path.rglob("*.jpg")) / count / 1000
            column = stored(path, size)
            seconds: dict[tuple[str, int], list[float]] = {contender: [] for contender in contenders}
            for _ in range(rounds):
                for kind, workers in contenders:
                    taken = (
                        by_threads(column, workers) if kind == "thread" else by_processes(path, size, count, workers)
                    )
                    seconds[kind, workers].append(taken)
        rates = (f"{count / statistics.median(taken):,.0f}" for taken in seconds.values())
        lines.append(f"| {width} × {height} | {kilobytes:.1f} kB | {size} × {size} | {' | '.join(rates)} |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    print("\n".join(measure(parser.parse_args().rounds)))
