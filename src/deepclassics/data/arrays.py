"""Arrays of a `.npz` file: examples and their labels, perhaps already in parts.

Letters: N examples.
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from deepclassics.data.parts import NAMES
from deepclassics.errors import UserError

EXAMPLES = ("x", "image", "images")
LABELS = ("y", "label", "labels")


def read(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:  # {part: ((N, ...), (N,))}
    """Examples and labels by part, "all" where the file has no parts.

    Taken are the names in use: `x` and `y`, `images` and `labels`, and with parts `x_train`, `y_train`, `x_test` ...
    (Keras) or `train_images`, `train_labels` ... (MedMNIST). Objects are refused: reading them could run code.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = list(archive.files)
            for name in names:
                if place := _place(name):
                    part, role = place
                    found.setdefault(part, {})[role] = archive[name]
    except (ValueError, OSError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        # TypeError: for a .npy under another name np.load gives a lone array, which `with` cannot hold.
        objects = "Object arrays" in str(error)
        why = "it holds Python objects, which could run code" if objects else "it is damaged, or of another format"
        raise UserError(
            f"{path} must be arrays written with numpy.savez; {why}. "
            "Save plain arrays of numbers, and labels as numbers or strings of fixed length."
        ) from None
    for part, pair in found.items():
        if set(pair) != {"examples", "labels"}:
            lack, what = ("labels", LABELS) if "examples" in pair else ("examples", EXAMPLES)
            raise UserError(
                f"{path} must hold {lack} beside the {next(iter(pair))}{'' if part == 'all' else f' of {part}'}, "
                f"under a name such as '{what[0]}' or '{what[2]}'; it holds {', '.join(names)}."
            )
        pair["labels"] = _labels(path, pair["labels"], len(pair["examples"]))
    if not found or not ({"all", "train"} & set(found)):
        raise UserError(
            f"{path} must hold arrays 'x' and 'y', 'images' and 'labels', or 'x_train' and 'y_train'; "
            f"it holds {', '.join(names) or 'nothing'}."
        )
    if "all" in found and len(found) > 1:  # x and x_test, say: what is not marked is there to learn from
        found["train"] = found.pop("all")
    return {part: (pair["examples"], pair["labels"]) for part, pair in found.items()}


def _place(name: str) -> tuple[str, str] | None:
    """The part and the role that an array's name tells, if it tells them."""
    words = name.lower().split("_")
    parts = [NAMES[word] for word in words if word in NAMES]
    rest = [word for word in words if word not in NAMES]
    if len(parts) > 1 or len(rest) != 1:
        return None
    role = "examples" if rest[0] in EXAMPLES else "labels" if rest[0] in LABELS else ""
    return (parts[0] if parts else "all", role) if role else None


def _labels(path: Path, labels: np.ndarray, count: int) -> np.ndarray:
    """Labels one for each example: Keras's CIFAR-10 has them as (N, 1)."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise UserError(
            f"{path} must hold one label for each of its {count:,} examples; its labels are of shape {labels.shape}. "
            "For one-hot labels save labels.argmax(1)."
        )
    return labels
