"""What it takes to change a batch of pictures: our own functions beside kornia's, where it is installed.

    python benchmarks/augmentation.py [--rounds 9]

Batches of 128 × 3 × 32 × 32 on the processor, one thread; the two take turns, medians of processor time.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from deepclassics.layers import augment

VALUES, VECTORS = torch.tensor([0.2, 0.02, 0.005]), torch.eye(3)
OURS: dict[str, Callable[[Tensor], Tensor]] = {
    "mirror and crop": lambda image: augment.cropped(augment.mirrored(image), 4),
    "rotate and stretch": lambda image: augment.turned(image, 15, 0.1),
    "colour": lambda image: augment.coloured(image, 0.1, VALUES, VECTORS),
}


def kornias() -> dict[str, Callable[[Tensor], Tensor]]:
    try:
        import kornia.augmentation as K
    except ImportError as error:
        print(f"kornia is left out: {error}")
        return {}
    mirror_and_crop = torch.nn.Sequential(
        K.RandomHorizontalFlip(0.5), K.RandomCrop((32, 32), padding=4, padding_mode="replicate")
    )
    return {"mirror and crop": mirror_and_crop, "rotate and stretch": K.RandomAffine(15, scale=(0.9, 1.1))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)
    image, theirs = torch.rand(128, 3, 32, 32), kornias()
    for what, own in OURS.items():
        times: dict[str, list[float]] = {"ours": [], **({"kornia": []} if what in theirs else {})}
        for number in range(given.rounds + 1):
            for name, change in zip(times, (own, theirs.get(what, own)), strict=False):
                begun = time.process_time()
                for _ in range(20):
                    change(image)
                if number:  # the first round warms up
                    times[name].append((time.process_time() - begun) / 20 * 1000)
        print(f"{what:20}" + "".join(f"{name} {statistics.median(spent):6.2f} ms   " for name, spent in times.items()))


if __name__ == "__main__":
    main()
