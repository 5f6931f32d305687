"""Pictures with labels: a folder with one folder per class, or a `.npz`; and pictures as answers.

Every picture becomes grey or colour of 8 bits, upright, on white where it is transparent, and of one common size. The
same is done to what `predict` is asked about, so that a telephone's photo becomes what the net has learnt from.

Letters: N pictures, C channels (1 grey, 3 colour), H rows, W columns of pixels.
"""

import glob
import os
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from deepclassics.data import arrays
from deepclassics.data.parts import NAMES, divide, natural
from deepclassics.data.streams import Batch, Columns, Splits
from deepclassics.errors import UserError

# .heic and .heif pillow cannot read, but telephones write them: better refused by name than passed over in silence.
ENDINGS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp", ".avif", ".pbm",
    ".pgm", ".ppm", ".pnm", ".tga", ".jp2", ".heic", ".heif",
)  # fmt: skip

# What pillow may take a file for, whatever its name says. It would hand PostScript to a program that runs it.
FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "AVIF", "PPM", "TGA", "JPEG2000", "MPO")

# The longer side, in pixels, of pictures whose size nobody chose. Nets for 64 x 64 learn in minutes on a processor,
# for a telephone's photos in days; whoever wants more says so with `size`.
BOUND = 64


@dataclass(frozen=True)
class Pictures:
    """Pictures and labels: {"all": ...}, or {"train": ...} and what else the source itself gives of "valid" and "test".

    A part is pixels, (N, H, W, C) of uint8, and label ids, (N,) of int64, which count along `classes`.
    """

    parts: dict[str, tuple[np.ndarray, np.ndarray]]
    classes: list[str]
    skipped: list[str] = field(default_factory=list)  # files left out because they cannot be read
    name: str = ""


def from_path(path: Path, *, size: int | None = None, skip_bad: bool = False) -> Pictures:
    """The pictures of a folder with one folder per class, or of a `.npz`.

    The folder may be divided into train/, perhaps valid/ (or val/, validation/, dev/) and test/, each with its class
    folders. Hidden files and files that are no pictures are passed over; of a moving picture the first frame is taken.

    `size` is the common height and width in pixels. Left out, it is the size of most pictures where more than half
    share one, else the median height by the median width, and in both cases scaled down so that the longer side is
    at most BOUND. A picture that cannot be read raises UserError, or is named in `skipped` where `skip_bad` is set.
    """
    if path.suffix.lower() == ".npz":
        return from_arrays(arrays.read(path), path.name, size=size)
    if not path.is_dir():
        raise UserError(f"{path} must be a folder of pictures with one folder per class, or a .npz; it is neither.")
    name = f"{path.resolve().name}/"
    files = _files(path, name)
    sizes, bad = _sizes([file for found in files.values() for _, file in found])
    shape = (size, size) if size else _common(list(sizes.values()))
    decoded, worse = _decode(list(sizes), shape)
    bad |= worse
    if bad and not skip_bad:
        first, why = next(iter(bad.items()))
        more = f" {len(bad) - 1} more are bad." if len(bad) > 1 else ""
        raise UserError(f"{first} must be a picture; {why}.{more} Mend or remove it, or leave it out with --skip-bad.")
    files = {part: [(word, file) for word, file in found if file not in bad] for part, found in files.items()}
    classes = natural({word for word, _ in files.get("train", files.get("all", []))})
    if len(classes) < 2:
        raise UserError(
            f"{name}: found {len(classes)} class{'' if len(classes) == 1 else 'es'}; a classifier needs 2 or more. "
            "Put each class in its own folder."
        )
    for part, found in files.items():
        for word, file in found:
            if word not in classes:
                raise UserError(f"{file.parent}: class '{word}' is in {part}/ but not in train/. Put it in both.")
    channels = 1 if all(map(_is_grey, decoded.values())) else 3
    parts = {
        part: (
            np.stack([_with_channels(decoded[file], channels) for _, file in found]),
            np.array([classes.index(word) for word, _ in found], dtype=np.int64),
        )
        for part, found in files.items()
        if found
    }
    return Pictures(parts, classes, [str(file) for file in bad], name)


def from_arrays(
    found: Mapping[str, tuple[np.ndarray, np.ndarray]], name: str, *, size: int | None = None
) -> Pictures:  # {part: ((N, H, W), (N, H, W, C) or (N, C, H, W), (N,))}
    """Pictures from arrays: pixels in 0 to 255 as integers or in [0, 1] as floats; labels as whole numbers or words.

    Their own size is kept unless another is asked for.
    """
    pixels = {part: _as_bytes(values, name) for part, (values, _) in found.items()}
    shapes = {array.shape[1:] for array in pixels.values()}
    if len(shapes) > 1:
        raise UserError(f"{name}: the pictures of all parts must be of one size; got {sorted(shapes)}.")
    if size and next(iter(shapes))[:2] != (size, size):
        pixels = {part: np.stack([_resized(picture, size) for picture in array]) for part, array in pixels.items()}
    words = {part: _as_words(labels, name) for part, (_, labels) in found.items()}
    classes = natural(set(np.concatenate(list(words.values())).tolist()))
    if len(classes) < 2:
        raise UserError(f"{name}: found {len(classes)} class; a classifier needs 2 or more. Check its labels.")
    ids = {word: number for number, word in enumerate(classes)}
    labels = {part: np.array([ids[word] for word in array.tolist()], dtype=np.int64) for part, array in words.items()}
    return Pictures({part: (pixels[part], labels[part]) for part in pixels}, classes, name=name)


def splits(raw: Pictures, *, seed: int, valid: float, test: float) -> Splits:
    """Columns "image", (N, C, H, W) of uint8, and "label", (N,) of int64.

    Parts that the source gives are kept. A missing one is cut from the training pictures, by chance from `seed` and
    stratified: `valid` and `test` are shares of these.
    """
    parts = {"train" if part == "all" else part: pair for part, pair in raw.parts.items()}
    pixels, labels = parts["train"]
    shares = {part: 0.0 if part in parts else share for part, share in (("valid", valid), ("test", test))}
    needed = 1 + sum(share > 0 for share in shares.values())
    for word, count in zip(raw.classes, np.bincount(labels, minlength=len(raw.classes)), strict=True):
        if count < needed:
            raise UserError(
                f"{raw.name or 'The pictures'}: class '{word}' has {count} to learn from; {needed} or more are needed, "
                "so that some can be held back to judge with. Add pictures, or take the class away."
            )
    for part, index in divide(labels, seed=seed, **shares).items():
        if part == "train" or len(index):
            parts[part] = (pixels[index], labels[index])
    columns = {part: _columns(*parts[part]) for part in ("train", "valid", "test") if part in parts}
    mean, std = _moments(parts["train"][0])
    spec = {
        "kind": "image",
        "data": raw.name,
        "shape": list(columns["train"]["image"].shape[1:]),
        "mean": mean,
        "std": std,
        "target": {"kind": "class", "name": "label", "classes": list(raw.classes)},
        "examples": {part: len(column) for part, column in columns.items()},
        "skipped": list(raw.skipped),
    }
    return Splits(spec, **columns)


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """Pictures as {"image": (N, C, H, W) in [0, 1]}, made as those learnt from: files, folders, patterns as "*.png"."""
    files: list[Path] = []
    for word in inputs:
        path = Path(word)
        if path.is_dir():
            found = _pictures(path)
        else:
            found = [path] if path.exists() else list(map(Path, natural(glob.glob(word, recursive=True))))
        if not found:
            what = "it holds none" if path.is_dir() else "there is no such file"
            raise UserError(f"{word} must be a picture, a folder of pictures or a pattern such as '*.png'; {what}.")
        files += found
    channels, height, width = spec["shape"]
    sizes, bad = _sizes(files)
    decoded, worse = _decode(list(sizes), (height, width))
    for file, why in (bad | worse).items():
        raise UserError(f"{file} must be a picture; {why}. Give a PNG, a JPEG or the like.")
    pixels = np.stack([_with_channels(decoded[file], channels) for file in files])
    return [str(file) for file in files], Columns(image=_tensor(pixels)).take(slice(None))


def show(answer: Batch, names: list[str], spec: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Every picture of "image", (N, C, H, W) in [0, 1], as a PNG in `folder`: rows of "name" and "file".

    Other columns, (N,), stand in the rows as numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pixels = (answer["image"].float().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    width = len(str(len(names)))
    rows = []
    for number, (name, picture) in enumerate(zip(names, pixels, strict=True), start=1):
        word = re.sub(r"[^\w.-]+", "-", Path(name).stem).strip("-.")[:40]
        file = folder / f"{number:0{width}}{'-' if word else ''}{word}.png"  # the number keeps equal names apart
        Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(file)
        told = {key: float(values[number - 1]) for key, values in answer.items() if key != "image"}
        rows.append({"name": name, "file": str(file), **told})
    return rows


# Files and folders


def _files(path: Path, name: str) -> dict[str, list[tuple[str, Path]]]:  # {part: [(class, file)]}
    """The pictures of a folder by part and class; of one part "all" where the folder is not divided itself."""
    found = _folders(path, name)
    # A class may be called "train" too, among "car" and "plane": parts are all called so, and have folders in them.
    if {NAMES.get(folder.lower(), "") for folder in found} >= {"train"} and all(
        folder.lower() in NAMES and any(file.parent.parent != path for file in files) for folder, files in found.items()
    ):
        parts: dict[str, list[tuple[str, Path]]] = {}
        for folder in found:
            for word, files in _folders(path / folder, f"{name}{folder}/").items():
                parts.setdefault(NAMES[folder.lower()], []).extend((_composed(word), file) for file in files)
        return parts
    return {"all": [(_composed(word), file) for word, files in found.items() for file in files]}


def _folders(path: Path, name: str) -> dict[str, list[Path]]:
    """The pictures in every folder right under `path`, however deep they lie in it."""
    seen = natural(entry.name for entry in path.iterdir() if not _hidden(entry.name))
    found = {word: _pictures(path / word) for word in seen if (path / word).is_dir()}
    for word in found:
        if all(_hidden(entry.name) for entry in path.joinpath(word).iterdir()):
            raise UserError(f"{name}{word}/ must hold pictures of a class; it is empty. Fill it or remove it.")
    found = {word: files for word, files in found.items() if files}
    loose = [word for word in seen if word not in found and _is_picture(word)]
    if loose:
        raise UserError(
            f"{name}: '{loose[0]}' lies beside the class folders, not in one of them. Put each class in its own folder."
        )
    if not found:
        raise UserError(
            f"{name} must hold pictures, one folder per class; it holds none ({', '.join(ENDINGS[:3])} ...)."
        )
    return found


def _pictures(path: Path) -> list[Path]:
    """All pictures in a folder and its folders, in natural order."""
    found = []
    for place, folders, files in os.walk(path):
        folders[:] = natural(folder for folder in folders if not _hidden(folder))
        found += [Path(place, file) for file in natural(files) if _is_picture(file)]
    return found


def _is_picture(file: str) -> bool:
    return file.lower().endswith(ENDINGS) and not _hidden(file)


def _hidden(name: str) -> bool:
    """What a system leaves behind: .DS_Store, ._photo.jpg, Thumbs.db, __MACOSX."""
    return name.startswith((".", "__")) or name == "Thumbs.db"


def _composed(word: str) -> str:
    """A name in one form: Apple's disks keep "é" as "e" and an accent, others as one letter."""
    return unicodedata.normalize("NFC", word)


# Pixels


def _sizes(files: Sequence[Path]) -> tuple[dict[Path, tuple[int, int]], dict[Path, str]]:
    """Upright height and width from the heads of the files, and what is wrong with the others."""
    sizes, bad = {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pillow warns of odd metadata, which nobody reads here
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for file in files:
            try:
                with Image.open(file, formats=FORMATS) as image:
                    turned = image.getexif().get(0x0112, 1) >= 5  # EXIF orientation: lying on a side
                    sizes[file] = (image.width, image.height) if turned else (image.height, image.width)
            except Exception as error:  # whatever a format's reader raises on damaged bytes
                bad[file] = _why(file, error)
    return sizes, bad


def _decode(files: Sequence[Path], shape: tuple[int, int]) -> tuple[dict[Path, np.ndarray], dict[Path, str]]:
    """The pictures as (H, W, 1 or 3) of uint8, and what is wrong with the others. `shape` is H, W."""

    def attempt(file: Path) -> np.ndarray | str:
        try:
            with Image.open(file, formats=FORMATS) as image:
                # A JPEG can be decoded at half its size, a quarter, an eighth: four times faster for photos.
                image.draft(None, (2 * max(shape), 2 * max(shape)))
                return _fitted(_eight_bits(ImageOps.exif_transpose(image)), shape)
        except Exception as error:  # whatever a format's reader raises on damaged bytes
            return _why(file, error)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ThreadPoolExecutor(os.cpu_count()) as threads:  # pillow decodes without holding Python's lock
            results = dict(zip(files, threads.map(attempt, files), strict=True))
    return (
        {file: pixels for file, pixels in results.items() if not isinstance(pixels, str)},
        {file: why for file, why in results.items() if isinstance(why, str)},
    )


def _why(file: Path, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"it has over {Image.MAX_IMAGE_PIXELS or 0:,} pixels, which may be a trap to fill the memory"
    if isinstance(error, PermissionError):
        return "it may not be read"
    if file.is_file() and file.stat().st_size == 0:
        return "it is empty"
    return "it is cut short" if "truncated" in str(error) else "it is damaged, or of a format that cannot be read"


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey or colour of 8 bits, on white where it is transparent."""
    if image.mode.startswith("I"):  # 16 bits, in some formats held in 32
        wide = np.asarray(image).astype(np.float64)
        return Image.fromarray((wide.clip(0, 65535) / 257).round().astype(np.uint8))
    if image.mode == "F":
        wide = np.nan_to_num(np.asarray(image))
        return Image.fromarray((wide * (255 if wide.max() <= 1 else 1)).clip(0, 255).round().astype(np.uint8))
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


def _fitted(image: Image.Image, shape: tuple[int, int]) -> np.ndarray:  # -> (H, W, 1 or 3)
    """The whole picture, undistorted, in the middle of H by W; bars beside it go on with the colour of its edge.

    Cutting would lose the top of a tall letter, stretching would make a 1 as broad as a 0, and bars of a fixed colour
    would be the strongest edge in the picture.
    """
    height, width = shape
    scale = min(height / image.height, width / image.width)
    inner = (min(width, max(1, round(image.width * scale))), min(height, max(1, round(image.height * scale))))
    if inner != image.size:
        image = image.resize(inner, Image.Resampling.BILINEAR)  # pillow's is antialiased where it scales down
    pixels = np.asarray(image).reshape(inner[1], inner[0], -1)
    if inner == (width, height):
        return pixels
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    canvas = np.empty((height, width, pixels.shape[-1]), dtype=np.uint8)
    canvas[:] = np.median(edge, axis=0)
    top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = pixels
    return canvas


def _resized(pixels: np.ndarray, size: int) -> np.ndarray:  # (H, W, C) -> (size, size, C)
    return _fitted(Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels), (size, size))


def _common(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """One height and width for pictures of these, as told at `from_path`."""
    if not sizes:
        return (BOUND, BOUND)
    shape, count = Counter(sizes).most_common(1)[0]
    if 2 * count <= len(sizes):
        shape = (median_low(height for height, _ in sizes), median_low(width for _, width in sizes))
    scale = min(1.0, BOUND / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _is_grey(pixels: np.ndarray) -> bool:  # (H, W, 1 or 3)
    """Grey by its colours, not by its format: scanners and browsers save grey as colour."""
    return bool((pixels == pixels[..., :1]).all())


def _with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:  # (H, W, 1 or 3) -> (H, W, C)
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=-1)
    return np.asarray(Image.fromarray(pixels).convert("L"))[
        ..., None
    ]  # luma of ITU-R 601; exact where colours are equal


def _as_bytes(values: np.ndarray, name: str) -> np.ndarray:  # (N, H, W), (N, H, W, C), (N, C, H, W) -> (N, H, W, C)
    """Pixels of an array as uint8."""
    if values.ndim == 4 and values.shape[1] in (1, 3) and values.shape[3] not in (1, 3):
        values = values.transpose(0, 2, 3, 1)
    if values.ndim == 3:
        values = values[..., None]
    if values.ndim != 4 or values.shape[3] not in (1, 3) or 0 in values.shape:
        raise UserError(
            f"{name}: pictures must be an array of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3); got {values.shape}."
        )
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind not in "biuf":
        raise UserError(f"{name}: pixels must be numbers; got {values.dtype}.")
    low, high = float(values.min()), float(values.max())
    most = 255 if values.dtype.kind in "iu" else 1
    if not (low >= 0 and high <= most):  # so that NaN is refused too
        raise UserError(
            f"{name}: pixels must be integers in 0 to 255 or floats in [0, 1]; got {values.dtype} in "
            f"[{low:g}, {high:g}]. Scale them."
        )
    return values.astype(np.uint8) if values.dtype.kind in "iu" else (values * 255.0).round().astype(np.uint8)


def _as_words(labels: np.ndarray, name: str) -> np.ndarray:  # (N,) -> (N,) of str
    if labels.dtype.kind == "f" and bool((labels == np.round(labels)).all()):
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8")
    if labels.dtype.kind not in "biuU":
        raise UserError(f"{name}: labels must be whole numbers or words; got {labels.dtype}.")
    return labels.astype(str)


def _columns(pixels: np.ndarray, labels: np.ndarray) -> Columns:  # (N, H, W, C), (N,)
    return Columns(image=_tensor(pixels), label=torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64)))


def _tensor(pixels: np.ndarray) -> Tensor:  # (N, H, W, C) -> (N, C, H, W)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


def _moments(pixels: np.ndarray) -> tuple[list[float], list[float]]:  # (N, H, W, C) -> [C], [C]
    """Mean and standard deviation per channel, pixels in [0, 1]; from a count of each value, so without a float copy.

    A channel of one value gets the deviation 1, so that dividing by it does no harm.
    """
    values = np.arange(256) / 255
    mean, std = [], []
    for channel in range(pixels.shape[-1]):
        share = np.bincount(pixels[..., channel].reshape(-1), minlength=256) / pixels[..., channel].size
        mean.append(float(share @ values))
        std.append(float(np.sqrt(share @ (values - mean[-1]) ** 2)) if share.max() < 1 else 1.0)
    return mean, std
