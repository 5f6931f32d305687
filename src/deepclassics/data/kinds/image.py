"""Pictures with labels: a folder with one folder per class, or a `.npz`; and pictures as answers.

Every picture becomes grey or colour of 8 bits, upright, on white where it is transparent, and of one common size. The
same is done to what `predict` is asked about, so that a telephone's photo becomes what the net has learnt from.

Pictures that would take more than a quarter of the free memory when decoded are left where they are, and decoded anew
for every batch (`Made`). Everything else, pixels, order and facts, is the same to the last bit.

Letters: N pictures, C channels (1 grey, 3 colour), H rows, W columns of pixels.
"""

import glob
import os
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod, sqrt
from pathlib import Path
from statistics import median_low
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from deepclassics.data import arrays
from deepclassics.data.parts import NAMES, divide, natural
from deepclassics.data.streams import Batch, Columns, Splits, Stored, workers
from deepclassics.errors import UserError
from deepclassics.idle import idle_memory
from deepclassics.progress import many

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

BLOCK = 1000  # files that threads are given at a time: jobs for a million would fill the memory too

# MiB that decoded pictures may take. Where it is not set, it is a quarter of the memory that is free: being divided
# into parts and put in order, they lie there up to three times for a moment.
ALLOWED = "DEEPCLASSICS_MEMORY"

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Made:
    """Pictures that are made when they are asked for, in the place of an array (N, H, W, C) of uint8.

    What their moments need was counted when each was made once: a picture's row of `sums` is as `_sums` gives it.
    """

    make: Callable[[int], np.ndarray]  # a number of `numbers` -> (H, W, C)
    size: tuple[int, int, int]
    numbers: np.ndarray  # (N,)
    sums: np.ndarray  # (N, C + C²)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.numbers), *self.size)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: np.ndarray) -> "Made":
        return replace(self, numbers=self.numbers[index], sums=self.sums[index])


@dataclass(frozen=True)
class Pictures:
    """Pictures and labels: {"all": ...}, or {"train": ...} and what else the source itself gives of "valid" and "test".

    A part is pixels, (N, H, W, C) of uint8, and label ids, (N,) of int64, which count along `classes`.
    """

    parts: Mapping[str, tuple[Any, np.ndarray]]  # pixels may be `Made`
    classes: list[str]
    skipped: list[str] = field(default_factory=list)  # files left out because they cannot be read
    name: str = ""
    scaled_from: tuple[int, int] | None = None  # the height and width that were too small for the net


def from_path(
    path: Path, *, size: int | tuple[int, int] | None = None, least: int = 1, skip_bad: bool = False
) -> Pictures:
    """The pictures of a folder with one folder per class, or of a `.npz`.

    The folder may be divided into train/, perhaps valid/ (or val/, validation/, dev/) and test/, each with its class
    folders. Hidden files and files that are no pictures are passed over; of a moving picture the first frame is taken.

    `size` is the common height and width in pixels, or one number for both. Left out, it is the size of most pictures
    where more than half share one, else the median height by the median width, and in both cases scaled down so that
    the longer side is at most BOUND. A size with a side under `least` is scaled up until none is. A picture that cannot
    be read raises UserError, or is named in `skipped` where `skip_bad` is set.
    """
    if path.suffix.lower() == ".npz":
        return resized(from_arrays(arrays.read(path), path.name), size=size, least=least)
    if not path.is_dir():
        raise UserError(f"{path} must be a folder of pictures with one folder per class, or a .npz; it is neither.")
    name = f"{path.resolve().name}/"
    files = _files(path, name)
    _refuse_alike(natural({word for found in files.values() for word, _ in found}), name)
    sizes, bad = _sizes([file for found in files.values() for _, file in found])
    small = _pair(size) if size else _common(list(sizes.values()))
    shape = _scaled_up(small, least)
    keep = _fits(len(sizes), (*shape, 3))
    seen, worse = _attempted(list(sizes), lambda file: _seen(_decoded(file, shape), keep))
    bad |= worse
    if bad and not skip_bad:
        first, why = next(iter(bad.items()))
        more = f" {many(len(bad) - 1, 'other')} cannot be read either." if len(bad) > 1 else ""
        raise UserError(f"{first} must be a picture; {why}.{more} Mend or remove it, or leave it out with --skip-bad.")
    files = {part: [(word, file) for word, file in found if file not in bad] for part, found in files.items()}
    classes = natural({word for word, _ in files.get("train", files.get("all", []))})
    if len(classes) < 2:
        raise UserError(
            f"{name}: found {len(classes)} class{'' if len(classes) == 1 else 'es'}; a classifier needs 2 or more. "
            "Put each class in its own folder."
        )
    ids = {word: number for number, word in enumerate(classes)}
    for part, found in files.items():
        for word, file in found:
            if word not in ids:
                raise UserError(f"{file.parent}: class '{word}' is in {part}/ but not in train/. Put it in both.")
    channels = 1 if all(one.grey for one in seen.values()) else 3
    parts = {
        part: (
            _gathered([seen[file] for _, file in found], _again(found, shape, channels), (*shape, channels)),
            np.array([ids[word] for word, _ in found], dtype=np.int64),
        )
        for part, found in files.items()
        if found
    }
    return Pictures(parts, classes, [str(file) for file in bad], name, small if shape != small else None)


def from_arrays(
    found: Mapping[str, tuple[np.ndarray, np.ndarray]], name: str
) -> Pictures:  # {part: ((N, H, W), (N, H, W, C) or (N, C, H, W), (N,))}
    """Pictures from arrays: pixels in 0 to 255 as integers or in [0, 1] as floats; labels as whole numbers or words."""
    pixels = {part: _as_bytes(values, name) for part, (values, _) in found.items()}
    shapes = {array.shape[1:] for array in pixels.values()}
    if len(shapes) > 1:
        raise UserError(f"{name}: the pictures of all parts must be of one size; got {sorted(shapes)}.")
    words = {part: _as_words(labels, name) for part, (_, labels) in found.items()}
    classes = natural(set(np.concatenate(list(words.values())).tolist()))
    if len(classes) < 2:
        raise UserError(f"{name}: found {len(classes)} class; a classifier needs 2 or more. Check its labels.")
    _refuse_alike(classes, name)
    ids = {word: number for number, word in enumerate(classes)}
    labels = {part: np.array([ids[word] for word in array.tolist()], dtype=np.int64) for part, array in words.items()}
    return Pictures({part: (pixels[part], labels[part]) for part in pixels}, classes, name=name)


def resized(raw: Pictures, *, size: int | tuple[int, int] | None = None, least: int = 1) -> Pictures:
    """The same pictures, with `size` for height and width where one is asked for, and no side under `least`."""
    height, width, channels = next(iter(raw.parts.values()))[0].shape[1:]
    small = _pair(size) if size else (height, width)
    shape = _scaled_up(small, least)
    if shape == (height, width):
        return raw
    keep = _fits(sum(len(pixels) for pixels, _ in raw.parts.values()), (*shape, channels))
    parts = {}
    for part, (pixels, labels) in raw.parts.items():
        make = _scaled(pixels, shape)
        seen = _each(range(len(pixels)), lambda number, make=make: _seen(make(number), keep))  # type: ignore[misc]
        parts[part] = (_gathered(seen, make, (*shape, channels)), labels)
    return replace(raw, parts=parts, scaled_from=small if shape != small else None)


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
    spec = {
        "kind": "image",
        "data": raw.name,
        "shape": list(columns["train"]["image"].shape[1:]),
        **_moments(parts["train"][0]),
        "target": {"kind": "class", "name": "label", "classes": list(raw.classes)},
        "examples": {part: len(column) for part, column in columns.items()},
        "skipped": list(raw.skipped),
    }
    if raw.scaled_from:
        spec["scaled_from"] = list(raw.scaled_from)
    return Splits(spec, **columns)


def in_colour(found: Splits) -> Splits:
    """Grey pictures as colour ones whose three channels are equal, for nets that have learnt from colour."""

    def coloured(column: Tensor | Stored) -> Tensor | Stored:
        if isinstance(column, Stored):
            make = column.make
            return Stored(
                lambda row: np.repeat(make(row), 3, axis=0), (len(column), 3, *column.shape[2:]), column.place
            )
        return column.expand(-1, 3, -1, -1)  # a view: it takes no memory

    def part(columns: Columns | None) -> Columns | None:
        return columns and Columns(**{**columns.tensors, "image": coloured(columns["image"])})

    spec = found.spec
    spec = spec | {"shape": [3, *spec["shape"][1:]], "mean": spec["mean"] * 3, "std": spec["std"] * 3, "grey": True}
    return Splits(spec, part(found.train), part(found.valid), part(found.test))


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """Pictures as {"image": (N, C, H, W) in [0, 1]}, made as those learnt from: files, folders, patterns as "*.png"."""
    return next(read_in_batches(inputs, spec))


def read_in_batches(
    inputs: Sequence[str], spec: dict[str, Any], batch: int = 0, skipped: dict[str, str] | None = None
) -> Iterator[tuple[list[str], Batch]]:
    """As `read`, so many pictures at a time, so that a folder of any length can be asked about; 0: all at once.

    A picture that cannot be read raises UserError, or is left out and noted in `skipped`, {file: why}.
    """
    files: list[Path] = []
    for word in inputs:
        path = Path(word)
        places = [path] if path.exists() else map(Path, natural(glob.glob(word, recursive=True)))
        found = [file for place in places for file in (_pictures(place) if place.is_dir() else [place])]
        if not found:
            what = "it holds none" if path.is_dir() else "there is no such file"
            raise UserError(f"{word} must be a picture, a folder of pictures or a pattern such as '*.png'; {what}.")
        files += found
    channels, height, width = spec["shape"]
    for begin in range(0, len(files), batch or len(files)):
        some = files[begin : begin + (batch or len(files))]
        sizes, bad = _sizes(some)
        decoded, worse = _attempted(list(sizes), lambda file: _decoded(file, (height, width)))
        for file, why in (bad | worse).items():
            if skipped is None:
                raise UserError(
                    f"{file} must be a picture; {why}. Give a PNG, a JPEG or the like, or leave it out with --skip-bad."
                )
            skipped[str(file)] = why
        some = [file for file in some if file in decoded]
        if some:
            learnt = 1 if spec.get("grey") else channels  # of a net for colour that has seen grey pictures alone
            pixels = np.stack([_with_channels(_with_channels(decoded[file], learnt), channels) for file in some])
            yield [str(file) for file in some], Columns(image=_tensor(pixels)).take(slice(None))


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
    seen = natural(entry for entry in _listed(path) if not _hidden(entry))
    found = {}
    for word in seen:
        if not (folder := path / word).is_dir():
            continue
        if folder.resolve() in (path.resolve(), *path.resolve().parents):
            raise UserError(
                f"{name}{word} must be a folder of its own; it is a link back to {folder.resolve()}. Remove it."
            )
        found[word] = _pictures(folder)
        if not found[word]:
            # In silence its class would be gone.
            endings = sorted({Path(entry).suffix or entry for entry in _listed(folder) if not _hidden(entry)})
            what = f"it holds {', '.join(endings[:3])} and no picture" if endings else "it is empty"
            raise UserError(f"{name}{word}/ must hold pictures of a class; {what}. Fill it or remove it.")
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
    for place, folders, files in os.walk(path, onerror=_refuse_closed):
        folders[:] = natural(folder for folder in folders if not _hidden(folder))
        found += [Path(place, file) for file in natural(files) if _is_picture(file)]
    return found


def _listed(path: Path) -> list[str]:
    try:
        return os.listdir(path)
    except OSError as error:
        raise _closed(error) from None


def _refuse_closed(error: OSError) -> None:
    raise _closed(error)


def _closed(error: OSError) -> UserError:
    reason = (error.strerror or str(error)).lower()
    return UserError(
        f"{error.filename} must be a folder that can be read; got '{reason}'. Open it to yourself or remove it."
    )


def _refuse_alike(words: Iterable[str], name: str) -> None:
    """Refuses "Cat" beside "cat": one class in two folders, more likely than two. "A" and "a" are two letters."""
    known: dict[str, str] = {}
    for word in words:
        if len(word) > 1 and (other := known.setdefault(" ".join(word.split()).casefold(), word)) != word:
            raise UserError(
                f"{name}: classes must differ in more than capitals and spaces; got '{other}' and '{word}'. Put them "
                f"together if they are one, else give one of them another name."
            )


def _is_picture(file: str) -> bool:
    return file.lower().endswith(ENDINGS) and not _hidden(file)


def _hidden(name: str) -> bool:
    """What a system leaves behind: .DS_Store, ._photo.jpg, Thumbs.db, __MACOSX."""
    return name.startswith((".", "__")) or name == "Thumbs.db"


def _composed(word: str) -> str:
    """A name in one form: Apple's disks keep "é" as "e" and an accent, others as one letter."""
    return unicodedata.normalize("NFC", word)


# Pixels


def _each(items: Sequence[T], work: Callable[[T], U]) -> list[U]:
    """`work` done on every item, by threads: pillow reads, decodes and scales without holding Python's lock."""
    found: list[U] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pillow warns of odd metadata, which nobody reads here
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for begin in range(0, len(items), BLOCK):
            found += workers().map(work, items[begin : begin + BLOCK])
    return found


def _attempted(files: Sequence[Path], work: Callable[[Path], T]) -> tuple[dict[Path, T], dict[Path, str]]:
    """What `work` makes of the files, and what is wrong with the others."""

    def attempt(file: Path) -> tuple[T | None, str]:
        try:
            return work(file), ""
        except Exception as error:  # whatever a format's reader raises on damaged bytes
            return None, _why(file, error)

    found = dict(zip(files, _each(files, attempt), strict=True))
    good = {file: result for file, (result, _) in found.items() if result is not None}
    return good, {file: why for file, (_, why) in found.items() if why}


def _sizes(files: Sequence[Path]) -> tuple[dict[Path, tuple[int, int]], dict[Path, str]]:
    """Upright height and width from the heads of the files, and what is wrong with the others."""

    def size(file: Path) -> tuple[int, int]:
        with Image.open(file, formats=FORMATS) as image:
            turned = image.getexif().get(0x0112, 1) >= 5  # EXIF orientation: lying on a side
            return (image.width, image.height) if turned else (image.height, image.width)

    return _attempted(files, size)


def _decoded(file: Path, shape: tuple[int, int]) -> np.ndarray:  # -> (H, W, 1 or 3)
    with Image.open(file, formats=FORMATS) as image:
        # A JPEG can be decoded at half its size, a quarter, an eighth: four times faster for photos.
        image.draft(None, (2 * max(shape), 2 * max(shape)))
        return _fitted(_eight_bits(ImageOps.exif_transpose(image)), shape)


def _again(
    found: Sequence[tuple[str, Path]], shape: tuple[int, int], channels: int
) -> Callable[[int], np.ndarray]:  # [(class, file)] -> (number -> (H, W, C))
    """Decodes files that could be decoded before."""
    files = [file for _, file in found]

    def make(number: int) -> np.ndarray:
        file = files[number]
        try:
            return _with_channels(_decoded(file, shape), channels)
        except Exception as error:  # whatever a format's reader raises on damaged bytes
            raise UserError(
                f"{file} must stay as it was while it is used; {_why(file, error)}. Put it back and run again: a run "
                f"goes on from its last checkpoint."
            ) from None

    return make


def _scaled(pixels: np.ndarray, shape: tuple[int, int]) -> Callable[[int], np.ndarray]:  # (N, H, W, C)
    """Scales pictures of an array: number -> (H, W, C), H and W those of `shape`."""

    def make(number: int) -> np.ndarray:
        one = pixels[number]
        return _fitted(Image.fromarray(one[..., 0] if one.shape[-1] == 1 else one), shape)

    return make


@dataclass(frozen=True)
class _Seen:
    """What is known of a picture that was made: its pixels where they are kept, else what is counted of them."""

    grey: bool
    pixels: np.ndarray | None  # (H, W, 1 or 3)
    sums: np.ndarray | None  # (3 + 9,)


def _seen(pixels: np.ndarray, keep: bool) -> _Seen:  # (H, W, 1 or 3)
    return _Seen(
        _is_grey(pixels), pixels if keep else None, None if keep else _sums(_with_channels(pixels, 3)[None])[0]
    )


def _gathered(
    seen: Sequence[_Seen], make: Callable[[int], np.ndarray], size: tuple[int, int, int]
) -> np.ndarray | Made:  # -> (N, H, W, C)
    """Pictures that were kept as one array, others as `Made`."""
    kept = [_with_channels(one.pixels, size[-1]) for one in seen if one.pixels is not None]
    if kept:
        return np.stack(kept)
    # Threads decode while the run goes on, when no filter of warnings can be set for them alone.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    sums = np.stack([one.sums for one in seen if one.sums is not None])
    return Made(make, size, np.arange(len(seen)), sums[:, [0, 3]] if size[-1] == 1 else sums)


def _fits(count: int, size: tuple[int, int, int]) -> bool:
    """Whether so many pictures, (H, W, C), may be held in memory."""
    told = os.environ.get(ALLOWED, "")
    if told and not told.isdecimal():
        raise UserError(f"{ALLOWED} must be the MiB that decoded pictures may take, a whole number; got '{told}'.")
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # ranks of one machine share its memory
    return count * prod(size) <= (int(told) << 20 if told else idle_memory() // 4 // beside)


def _why(file: Path, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"it has over {Image.MAX_IMAGE_PIXELS or 0:,} pixels, which may be a trap to fill the memory"
    if isinstance(error, PermissionError):
        return "it may not be read"
    if not file.exists():
        return "it is a link to nothing" if file.is_symlink() else "it is gone"
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


def _common(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """One height and width for pictures of these, as told at `from_path`."""
    if not sizes:
        return (BOUND, BOUND)
    shape, count = Counter(sizes).most_common(1)[0]
    if 2 * count <= len(sizes):
        shape = (median_low(height for height, _ in sizes), median_low(width for _, width in sizes))
    scale = min(1.0, BOUND / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _scaled_up(shape: tuple[int, int], least: int) -> tuple[int, int]:
    """`shape`, or where a side is under `least`, the same proportions with the shorter side of `least`."""
    scale = max(1.0, least / min(shape))
    return round(shape[0] * scale), round(shape[1] * scale)


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


def _columns(pixels: np.ndarray | Made, labels: np.ndarray) -> Columns:  # (N, H, W, C), (N,)
    image = _stored(pixels) if isinstance(pixels, Made) else _tensor(pixels)
    return Columns(image=image, label=torch.from_numpy(np.ascontiguousarray(labels, dtype=np.int64)))


def _stored(pixels: Made) -> Stored:  # (N, H, W, C) -> (N, C, H, W)
    count, height, width, channels = pixels.shape

    def make(row: int) -> np.ndarray:
        return pixels.make(int(pixels.numbers[row])).transpose(2, 0, 1)

    return Stored(make, (count, channels, height, width))


def _tensor(pixels: np.ndarray) -> Tensor:  # (N, H, W, C) -> (N, C, H, W)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


def _sums(pixels: np.ndarray) -> np.ndarray:  # (N, H, W, C) -> (N, C + C²) of int64
    """For every picture the sum over its pixels of the values of each channel, and of the products of each two."""
    values = pixels.reshape(len(pixels), -1, pixels.shape[-1]).astype(np.float64)
    products = values.transpose(0, 2, 1) @ values  # whole numbers below 2⁵³: in whatever order, without rounding
    return np.concatenate([values.sum(1), products.reshape(len(pixels), -1)], 1).astype(np.int64)


def _moments(pixels: np.ndarray | Made) -> dict[str, Any]:  # (N, H, W, C)
    """Facts of the training pixels in [0, 1], from sums in whole numbers, so the same however the pictures come.

    "mean" and "std", the deviation, are [C]; a channel of one value gets 1, so that dividing by it does no harm. Of
    colour pictures also "colour": the eigenvalues of the channels' covariance, "values" [3], the largest first, and
    the unit eigenvector of each, "vectors" [3][3], with the components red, green, blue.
    """
    count, channels = prod(pixels.shape[:3]), pixels.shape[3]
    if isinstance(pixels, Made):
        total = pixels.sums.sum(0)
    else:
        block = max(1, (1 << 22) // prod(pixels.shape[1:]))  # pictures: 32 MB of float64
        pieces = [_sums(pixels[begin : begin + block]).sum(0) for begin in range(0, len(pixels), block)]
        total = np.sum(pieces, 0)
    first, *rows = total.reshape(channels + 1, channels).tolist()
    covariance = [
        [(count * product - one * other) / (255 * count) ** 2 for product, other in zip(row, first, strict=True)]
        for row, one in zip(rows, first, strict=True)
    ]
    found: dict[str, Any] = {
        "mean": [one / (255 * count) for one in first],
        "std": [sqrt(covariance[channel][channel]) or 1.0 for channel in range(channels)],
    }
    if channels == 3:
        values, vectors = np.linalg.eigh(np.array(covariance))
        vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), range(3)])  # a vector's sign is free
        found["colour"] = {"values": values[::-1].clip(0).tolist(), "vectors": vectors.T[::-1].tolist()}
    return found
