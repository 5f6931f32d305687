"""What is learnt from eight classes helps with two others of which there are few pictures (S144, C022).

    python benchmarks/transfer.py [--epochs 20] [--each 50] [--seeds 3] [--out FOLDER]

A ResNet-20 learns eight classes of `cifar10_small`. The other two, ship and truck, with 50 training pictures each, are
then learnt from the start and by fine-tuning it, with other 50 for every seed; both are tested on the same 220 test
pictures. Some ten minutes on one core.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np

from deepclassics.data import catalog
from deepclassics.host import Host
from deepclassics.loop import carry_out
from deepclassics.progress import Telling
from deepclassics.recipe import find

OTHERS = ("ship", "truck")


def written(path: Path, classes: list[str], each: int = 0, seed: int = 0) -> Path:
    """The pictures of these classes as a .npz, to learn from `each` of a class by chance, or all."""
    whole, parts = catalog.read("cifar10_small"), {}
    generator = np.random.default_rng(seed)
    for part in ("train", "test"):
        pictures, labels = whole.parts[part]
        words = np.array(whole.classes)[labels]
        index = [np.flatnonzero(words == word) for word in classes]
        if each and part == "train":
            index = [generator.permutation(own)[:each] for own in index]
        kept = np.concatenate(index)
        parts |= {f"x_{part}": pictures[kept], f"y_{part}": words[kept]}
    np.savez(path, **parts)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=float, default=20, help="over the eight classes; 100 over the two")
    parser.add_argument("--each", type=int, default=50, help="training pictures of each of the two classes")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="where the runs go [a temporary folder]")
    given = parser.parse_args()
    out, host = given.out or Path(tempfile.mkdtemp()), Host(threads=1, compile="off")
    out.mkdir(parents=True, exist_ok=True)
    resnet, classes = find("resnet"), catalog.read("cifar10_small").classes
    eight = written(out / "eight.npz", [word for word in classes if word not in OTHERS])
    carry_out(resnet(data=str(eight), epochs=given.epochs, lr=0.15, valid=0.0), out / "eight", host, Telling())
    errors: dict[str, list[float]] = {"from the start": [], "fine-tuned": []}
    for seed in range(given.seeds):
        two = written(out / f"two{seed}.npz", list(OTHERS), given.each, seed)
        start = resnet(data=str(two), epochs=100, crops=2, valid=0.0, seed=seed)
        tuned = start.model_copy(update={"from_": str(out / "eight"), "body_rate": 0.1, "lr": 0.05})
        for name, recipe in (("from the start", start), ("fine-tuned", tuned)):
            result = carry_out(recipe, out / f"{name.replace(' ', '-')}-{seed}", host, Telling(quiet=True))
            errors[name].append(result["scores"]["test/error"])
            print(f"seed {seed}, {name}: {result['scores']['test/error']:.1%} wrong", flush=True)
    told = ", ".join(f"{name} {statistics.median(found):.1%}" for name, found in errors.items())
    gain = statistics.median(one - other for one, other in zip(*errors.values(), strict=True))
    print(f"Median of {given.seeds} seeds: {told}; {100 * gain:.1f} points gained.")


if __name__ == "__main__":
    main()
