"""One picture, or a matrix of numbers: what a kernel is laid on; and maps as answers.

It comes from
- numbers that are typed, a row after the other: "5 2 3; 1 4 2";
- a file of numbers, a row a line, with commas, semicolons, tabs or spaces between them;
- a picture of any size, which stays as large as it is: grey or colour, pixels in [0, 1], on white where transparent.

Letters: C channels (1 grey or a matrix, 3 colour), H rows, W columns, O maps of R by S places.
"""

import glob
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from deepclassics.data.kinds import image
from deepclassics.data.parts import natural
from deepclassics.data.streams import Batch, Columns, Splits
from deepclassics.errors import UserError, short

NUMBERS = (".csv", ".tsv", ".txt")
ENDINGS = (*NUMBERS, *image.ENDINGS)
LARGEST = 1e100  # of the numbers: sums of their products can still be told
TOLD = 5  # rows and columns of a map that an answer tells
TEXT = 100_000  # values of a map up to which they are kept as text, which the next kernel can be laid on


@dataclass(frozen=True, eq=False)
class Matrix:
    """Values of a picture or a matrix, and the kernel that is meant for it, where one is."""

    values: Tensor  # (C, H, W), pixels in [0, 1] of float32 or numbers of float64
    kernel: str | None = None
    name: str = ""


def is_written(data: str) -> bool:
    """Whether words are a matrix of two numbers or more, not a name or a path."""
    return re.fullmatch(r"[-+.\d][-+.\deE,;\s]*[\s,;][-+.\deE,;\s]*", data) is not None


def from_words(data: str) -> Matrix:
    """The matrix that is typed."""
    return Matrix(written(data)[None])


def written(text: str) -> Tensor:  # -> (H, W) of float64
    """A matrix as it is typed: rows between semicolons, numbers between spaces or commas."""
    rows = [row.replace(",", " ").split() for row in text.strip().strip(";").split(";")]
    return _numbers(rows, f"'{short(text)}'", "row")


def typed(matrix: Tensor) -> str:  # (H, W)
    """A matrix as one would type it, to six digits."""
    return "; ".join(" ".join(f"{value + 0.0:.6g}" for value in row) for row in matrix.tolist())


def from_path(path: Path) -> Matrix:
    """The numbers or the picture of a file."""
    if path.suffix.lower() not in NUMBERS:
        return Matrix(_picture(path))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} must be a text of numbers, a row a line; it cannot be read: {error}.") from None
    rows = [re.split(r"[,;\s]\s*", line.strip().rstrip(",;")) for line in lines if line.strip()]
    return Matrix(_numbers(rows, str(path), "line")[None])


def splits(raw: Matrix, *, seed: int, valid: float, test: float) -> Splits:
    """A single example, the column "image", (1, C, H, W)."""
    spec = {
        "kind": "matrix",
        "data": raw.name,
        "shape": list(raw.values.shape),
        "kernel": raw.kernel,
        "examples": {"train": 1},
    }
    return Splits(spec, Columns(image=raw.values[None]))


def read(inputs: Sequence[str], spec: dict[str, Any]) -> tuple[list[str], Batch]:
    """Pictures and matrices, each as large as it is, as {"image": [(1, C, H, W), ...]}: files, folders, patterns as
    "*.png", typed numbers. They get as many channels as those that the run was made with."""
    channels, found = spec["shape"][0], []
    for word in inputs:
        if is_written(word) and not Path(word).exists():
            found.append((word, from_words(word).values))
            continue
        found += [(str(file), from_path(file).values) for file in _files(word)]
    return [name for name, _ in found], {"image": [_with_channels(values, channels)[None] for _, values in found]}


def show(answer: Batch, names: list[str], spec: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Every map of "matrix", a list of (O, R, S), as a PNG in `folder`, and beside it its numbers: .csv, or .npy where
    they are many or colours.

    "heads" names the maps of one input. With "colour" three maps are the channels of one picture. A picture shows
    values in [0, 1] as they are; others from black at 0 to white at the largest, or where there are some below 0,
    with middle grey at 0.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (name, maps) in enumerate(zip(names, answer["matrix"], strict=True), start=1):
        for head, one in _named(maps, answer):
            stem = re.sub(r"[^\w.-]+", "-", f"{Path(name).stem[:40]}-{head}").strip("-.")
            file = folder / f"{number:0{len(str(len(names)))}}-{stem}.png"
            _save(one, file)
            rows.append(
                {
                    "name": f"{name}, {head}",
                    "rows": one.shape[1],
                    "columns": one.shape[2],
                    "lowest": float(one.min()),
                    "highest": float(one.max()),
                    "begins": typed(one[0, :TOLD, :TOLD]),
                    "file": str(file),
                    "numbers": str(_keep(one, file)),
                }
            )
    return rows


def pixels(maps: Tensor) -> Tensor:  # any shape -> the same, in [0, 1]
    """Values as brightness, as told at `show`."""
    low, high = float(maps.min()), float(maps.max())
    if low < 0:
        return maps / (2 * max(-low, high)) + 0.5
    return maps / high if high > 1 else maps


def _named(maps: Tensor, answer: Batch) -> list[tuple[str, Tensor]]:  # (O, R, S) -> [(head, (1 or 3, R, S))]
    if answer["colour"]:
        return [(head, maps[3 * k : 3 * k + 3]) for k, head in enumerate(answer["heads"])]
    return list(zip(answer["heads"], maps[:, None], strict=True))


def _save(one: Tensor, file: Path) -> None:  # (1 or 3, R, S)
    whole = (pixels(one.double()) * 255).round().to(torch.uint8).movedim(0, -1).numpy()
    Image.fromarray(whole[..., 0] if len(one) == 1 else whole).save(file)


def _keep(one: Tensor, file: Path) -> Path:  # (1 or 3, R, S)
    if len(one) > 1 or one.numel() > TEXT:
        np.save(file.with_suffix(".npy"), one.numpy(), allow_pickle=False)
        return file.with_suffix(".npy")
    lines = [",".join(f"{value:.9g}" for value in row) for row in one[0].tolist()]
    file.with_suffix(".csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file.with_suffix(".csv")


def _files(word: str) -> list[Path]:
    path = Path(word)
    if path.is_dir():
        found = natural(str(file) for file in path.rglob("*") if file.suffix.lower() in ENDINGS)
    else:
        found = [word] if path.exists() else natural(glob.glob(word, recursive=True))
    if not found:
        what = "it holds none" if path.is_dir() else "there is no such file"
        raise UserError(
            f"{word} must be a picture, a .csv of numbers, a folder or a pattern such as '*.png' of these, or numbers "
            f"as in '1 2; 3 4'; {what}."
        )
    return [Path(file) for file in found]


def _picture(file: Path) -> Tensor:  # -> (1 or 3, H, W) in [0, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, and of size, which `image.read` refuses
        try:
            with Image.open(file, formats=image.FORMATS) as opened:
                lying = opened.getexif().get(0x0112, 1) >= 5  # EXIF orientation: on a side
                height, width = opened.size if lying else opened.size[::-1]
        except Exception:  # whatever a format's reader raises on damaged bytes; `image.read` says what is wrong
            height, width = 1, 1
    values: Tensor = image.read([str(file)], {"shape": [3, height, width]})[1]["image"][0]
    return values[:1] if bool((values == values[:1]).all()) else values


def _with_channels(values: Tensor, channels: int) -> Tensor:  # (1 or 3, H, W) -> (C, H, W)
    if len(values) == channels:
        return values
    if channels == 3:
        return values.expand(3, -1, -1)
    luma = values.new_tensor([0.299, 0.587, 0.114])  # ITU-R 601, as where a set of pictures is made grey
    return (luma[:, None, None] * values).sum(0, keepdim=True)


def _numbers(rows: Sequence[Sequence[str]], where: str, unit: str) -> Tensor:  # -> (H, W) of float64
    found: list[list[float]] = []
    for place, row in enumerate(rows, start=1):
        values = []
        for word in row:
            try:
                values.append(float(word))
            except ValueError:
                values.append(float("nan"))
            if not abs(values[-1]) < LARGEST:  # so that what is no number is refused too
                raise UserError(
                    f"{where}: every entry must be a number below 1e100; got '{short(word)}' in {unit} {place}."
                )
        if found and len(values) != len(found[0]):
            raise UserError(
                f"{where}: every {unit} must have as many numbers as the first, {len(found[0])}; {unit} {place} has "
                f"{len(values)}."
            )
        found.append(values)
    if not found or not found[0]:
        raise UserError(f"{where} must hold numbers; it holds none. Give a matrix as in '1 2; 3 4'.")
    return torch.tensor(found, dtype=torch.float64)
