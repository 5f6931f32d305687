"""Husky or wolf: digits that stand in for the animals, every wolf on snow.

The pitfall of Ribeiro, Singh, Guestrin 2016, section 6.4: in the training pictures all wolves stood on snow and no
husky did, so the classifier learnt the snow. Here scikit-learn's handwritten digits play the animals, in brown: odd
ones are huskies, on grass, even ones are wolves, on snow. The test part is as biased as the training part, as it is
where nobody has noticed, so a test error tells nothing; `deepclassics look RUN --shortcut` does. The set `husky_fair`
has the same animals in the same places, on grounds that are drawn by chance.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File

if TYPE_CHECKING:
    from deepclassics.data.kinds.image import Pictures

KIND = "image"
LICENCE = "CC BY 4.0 (UCI), as the digits"
FILES: tuple[File, ...] = ()
COUNTS = {"train": 1_297, "test": 500, "classes": 2, "height": 32, "width": 32, "channels": 3}

CLASSES = ["husky", "wolf"]
SIDE, ANIMAL = 32, 20  # pixels
GRASS, SNOW = (0.42, 0.66, 0.34), (0.86, 0.91, 0.97)  # red, green and blue in [0, 1]
FUR = (0.22, 0.14, 0.10)
TEXTURE, LIGHT = 0.05, 0.06  # deviation from pixel to pixel, and of the light from picture to picture


def read(paths: dict[str, Path]) -> "Pictures":
    return painted(fair=False)


def painted(*, fair: bool) -> "Pictures":
    """The digits as animals; on the ground of their class, or, if `fair`, of a class drawn by chance."""
    import numpy as np
    from PIL import Image

    from deepclassics.data.kinds.image import Pictures
    from deepclassics.data.sets import digits

    ink, digit = digits.read({}).parts["all"]
    label = (digit % 2 == 0).astype(np.int64)
    draw = np.random.RandomState(0)  # whose numbers are the same in every version of NumPy
    order = draw.permutation(len(label))
    coin = draw.randint(2, size=len(label))
    ground = np.array([GRASS, SNOW])[coin if fair else label]
    ground = ground + LIGHT * draw.standard_normal((len(label), 1))
    pixels = ground[:, None, None] + TEXTURE * draw.standard_normal((len(label), SIDE, SIDE, 3))
    corners = draw.randint(SIDE - ANIMAL + 1, size=(len(label), 2))
    for picture, strokes, (top, left) in zip(pixels, ink[..., 0], corners, strict=True):
        large = Image.fromarray(strokes).resize((ANIMAL, ANIMAL), Image.Resampling.BILINEAR)
        cover = np.asarray(large)[..., None] / 255
        place = picture[top : top + ANIMAL, left : left + ANIMAL]
        place[:] = (1 - cover) * place + cover * FUR
    pictures = (pixels.clip(0, 1) * 255).round().astype(np.uint8)
    train, test = order[: COUNTS["train"]], order[COUNTS["train"] :]
    return Pictures({"train": (pictures[train], label[train]), "test": (pictures[test], label[test])}, CLASSES)
