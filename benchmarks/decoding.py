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
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from deepclassics.data import load, streams
from deepclassics.data.kinds import image

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


def by_threads(train: streams.Shuffled, workers: int) -> float:
    """Seconds of a pass over a stream whose pictures are decoded by so many threads."""
    with (
        ThreadPoolExecutor(workers) as pool,
        mock.patch.object(streams, "workers", return_value=pool),
        mock.patch.object(streams, "cores", return_value=workers),
    ):
        begun = time.perf_counter()
        for position in range(len(train)):
            train.at(position)
        return time.perf_counter() - begun


def decoded(files: list[Path], size: int) -> np.ndarray:  # -> (B, H, W, 3)
    return np.stack([image._decoded(file, (size, size)) for file in files])


def by_processes(files: list[Path], size: int, workers: int) -> float:
    """Seconds in which so many processes decode the files and send them here in batches."""
    with ProcessPoolExecutor(workers) as pool:
        ready(pool, files, size, workers)
        begun = time.perf_counter()
        batches = [files[begin : begin + BATCH] for begin in range(0, len(files), BATCH)]
        list(pool.map(decoded, batches, [size] * len(batches)))
        return time.perf_counter() - begun


def ready(pool: Executor, files: list[Path], size: int, workers: int) -> None:
    """Starts every worker, which is no part of the time."""
    list(pool.map(decoded, [files[:1]] * 2 * workers, [size] * 2 * workers))


def measure(rounds: int) -> list[str]:
    """A table in Markdown: pictures per second by size, kind and number of workers."""
    os.environ[image.ALLOWED] = "0"  # nothing is held
    contenders = [(kind, workers) for kind in ("thread", "process") for workers in WORKERS]
    lines = [
        "| JPEGs | each | decoded to | " + " | ".join(f"{kind} × {workers}" for kind, workers in contenders) + " |",
        "|---|---|---|" + "---|" * len(contenders),
    ]
    for (height, width), size, count in CASES:
        with tempfile.TemporaryDirectory() as place:
            path = folder(Path(place), (height, width), count)
            files = sorted(path.rglob("*.jpg"))
            kilobytes = sum(file.stat().st_size for file in files) / count / 1000
            train = load(str(path), ["image"], seed=0, valid=0, test=0, size=size).shuffled(BATCH, 0).train
            assert isinstance(train, streams.Shuffled)
            seconds: dict[tuple[str, int], list[float]] = {contender: [] for contender in contenders}
            for _ in range(rounds):
                for kind, workers in contenders:
                    taken = by_threads(train, workers) if kind == "thread" else by_processes(files, size, workers)
                    seconds[kind, workers].append(taken)
        rates = (f"{count / statistics.median(taken):,.0f}" for taken in seconds.values())
        lines.append(f"| {width} × {height} | {kilobytes:.1f} kB | {size} × {size} | {' | '.join(rates)} |")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    print("\n".join(measure(parser.parse_args().rounds)))
