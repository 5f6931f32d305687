"""Pictures: every odd file that people have becomes what a net can learn from, or is refused in a sentence."""

import csv
import errno
import io
import json
import os
import struct
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deepclassics.cli import main
from deepclassics.data import load
from deepclassics.data.kinds import image
from deepclassics.data.streams import Shuffled, Stored
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.report.evidence import Evidence
from deepclassics.report.page import write
from deepclassics.run import Run
from deepclassics.verbs import predict

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def save(path: Path, picture: Image.Image | np.ndarray | None = None, **options: object) -> Path:
    """A picture at `path`, with the folders above it; without one, a red square of 8 x 8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(picture, Image.Image):
        picture = Image.new("RGB", (8, 8), RED) if picture is None else Image.fromarray(picture)
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


def fill(folder: Path, counts: dict[str, int], size: int = 8) -> Path:
    """A folder with `counts` pictures of noise in each class folder."""
    noise = np.random.default_rng(0)
    for word, count in counts.items():
        for number in range(count):
            save(folder / word / f"{number}.png", noise.integers(0, 256, (size, size, 3), dtype=np.uint8))
    return folder


def asked(path: Path, shape: tuple[int, int, int]) -> torch.Tensor:
    """A file as `predict` sees it, (C, H, W) in 0 to 255."""
    _, batch = image.read([str(path)], {"shape": list(shape)})
    return (batch["image"][0] * 255).round()


def refusal(function: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        function()
    return str(caught.value)


# Folders


def test_a_folder_is_split_by_seed_and_by_class(tmp_path: Path) -> None:
    raw = image.from_path(fill(tmp_path / "faces", {"anna": 10, "bob": 20}))
    first, again, other = (image.splits(raw, seed=seed, valid=0.1, test=0.2) for seed in (0, 0, 1))
    assert first.spec["examples"] == {"train": 21, "valid": 3, "test": 6}
    assert [torch.bincount(part["label"]).tolist() for part in (first.train, first.valid, first.test)] == [
        [7, 14],
        [1, 2],
        [2, 4],
    ]
    assert torch.equal(first.train["image"], again.train["image"])
    assert not torch.equal(first.train["image"], other.train["image"])
    every = torch.cat([part["image"] for part in (first.train, first.valid, first.test)])
    assert len(torch.unique(every, dim=0)) == 30
    assert first.train["image"].dtype == torch.uint8
    assert first.train["label"].dtype == torch.int64
    assert first.spec["shape"] == [3, 8, 8]
    assert first.spec["data"] == "faces/"
    json.dumps(first.spec)


def test_mean_and_deviation_are_of_the_training_pictures_alone(tmp_path: Path) -> None:
    splits = image.splits(image.from_path(fill(tmp_path, {"a": 9, "b": 9})), seed=0, valid=0.2, test=0.2)
    pixels = splits.train["image"].double() / 255
    assert splits.spec["mean"] == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert splits.spec["std"] == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist(), abs=1e-12)


def test_a_channel_of_one_value_has_deviation_one(tmp_path: Path) -> None:
    for word in "ab":
        for number in range(3):
            save(tmp_path / word / f"{number}.png")
    assert image.splits(image.from_path(tmp_path), seed=0, valid=0.1, test=0.1).spec["std"] == [1, 1, 1]


@pytest.mark.parametrize("valid", ["valid", "val", "Validation", "dev"])
def test_parts_of_the_source_are_kept(tmp_path: Path, valid: str) -> None:
    for part, count in (("train", 5), (valid, 2), ("test", 3)):
        fill(tmp_path / part, {"a": count, "b": count})
    splits = image.splits(image.from_path(tmp_path), seed=0, valid=0.4, test=0.4)
    assert splits.spec["examples"] == {"train": 10, "valid": 4, "test": 6}


def test_a_part_that_the_source_lacks_is_cut_from_training(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 10, "b": 10})
    fill(tmp_path / "test", {"a": 3, "b": 3})
    splits = image.splits(image.from_path(tmp_path), seed=0, valid=0.2, test=0.5)
    assert splits.spec["examples"] == {"train": 16, "valid": 4, "test": 6}
    assert image.splits(image.from_path(tmp_path), seed=0, valid=0, test=0).valid is None


def test_classes_may_be_called_train_and_test(tmp_path: Path) -> None:
    assert image.from_path(fill(tmp_path, {"train": 3, "test": 3})).classes == ["test", "train"]


def test_classes_are_in_natural_order_and_in_any_script(tmp_path: Path) -> None:
    words = ["class 2", "class 10", "Ärger", "猫", "собака", "e\u0301te\u0301"]
    raw = image.from_path(fill(tmp_path, dict.fromkeys(words, 1)))
    assert raw.classes.index("class 2") < raw.classes.index("class 10")
    assert set(raw.classes) == {"class 2", "class 10", "Ärger", "猫", "собака", "été"}, "one form of é, however kept"


def test_what_systems_leave_behind_and_other_files_are_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 2, "b": 2, "a/deeper": 1, ".cache": 4, "__MACOSX/a": 2})
    for name in (".DS_Store", "a/.DS_Store", "a/Thumbs.db", "b/._1.png", "b/notes.txt", "README.md"):
        (tmp_path / name).write_bytes(b"no picture")
    raw = image.from_path(tmp_path)
    assert (raw.classes, np.bincount(raw.parts["all"][1]).tolist(), raw.skipped) == (["a", "b"], [3, 2], [])


# Refusals


def test_one_class_is_refused_as_the_design_words_it(tmp_path: Path) -> None:
    said = refusal(lambda: image.from_path(fill(tmp_path / "faces", {"anna": 3})))
    assert said == "faces/: found 1 class; a classifier needs 2 or more. Put each class in its own folder."


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(exist_ok=True), "must hold pictures, one folder per class; it holds none"),
        (lambda path: save(path / "loose.png"), "'loose.png' lies beside the class folders"),
        (
            lambda path: (save(path / "a" / "1.png"), (path / "b").mkdir()),
            "b/ must hold pictures of a class; it is empty",
        ),
        (lambda path: path.write_bytes(b"x"), "must be a folder of pictures"),
    ],
    ids=["empty", "loose", "an empty class", "a file"],
)
def test_folders_that_hold_no_classes_are_refused(tmp_path: Path, make: Callable[[Path], object], words: str) -> None:
    path = tmp_path / "faces"
    make(path)
    assert words in refusal(lambda: image.from_path(path))


def test_a_class_too_small_for_a_split_is_named(tmp_path: Path) -> None:
    raw = image.from_path(fill(tmp_path / "faces", {"anna": 2, "bob": 9}))
    said = refusal(lambda: image.splits(raw, seed=0, valid=0.1, test=0.2))
    assert said.startswith("faces/: class 'anna' has 2 to learn from; 3 or more are needed")
    assert image.splits(raw, seed=0, valid=0, test=0.2).spec["examples"]["train"] == 9


def test_a_class_that_only_the_test_part_has_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 3, "b": 3})
    fill(tmp_path / "test", {"a": 1, "c": 1})
    assert "class 'c' is in test/ but not in train/" in refusal(lambda: image.from_path(tmp_path))


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "another": b"<html></html>"}[how])


@pytest.mark.parametrize(
    ("how", "words"), [("cut", "it is cut short"), ("empty", "it is empty"), ("another", "it is damaged")]
)
@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_bad_picture_among_good_ones_is_named_or_left_out_and_counted(
    tmp_path: Path, how: str, words: str, ending: str
) -> None:
    fill(tmp_path, {"a": 4, "b": 4})
    bad = save(tmp_path / "a" / f"bad{ending}", np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    damage(bad, how)
    said = refusal(lambda: image.from_path(tmp_path))
    assert str(bad) in said
    assert words in said
    assert "--skip-bad" in said
    splits = image.splits(image.from_path(tmp_path, skip_bad=True), seed=0, valid=0.1, test=0.2)
    assert splits.spec["skipped"] == [str(bad)]
    assert sum(splits.spec["examples"].values()) == 8


def test_a_class_of_nothing_but_bad_pictures_is_gone(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 4, "b": 2})
    for file in (tmp_path / "b").iterdir():
        damage(file, "cut")
    assert "1 other cannot be read either" in refusal(lambda: image.from_path(tmp_path))
    assert "found 1 class;" in refusal(lambda: image.from_path(tmp_path, skip_bad=True))


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 1, "b": 1})
    bomb = save(tmp_path / "a" / "bomb.png", Image.new("1", (10_000, 10_000)))
    assert f"{bomb} must be a picture; it has over 89,478,485 pixels" in refusal(lambda: image.from_path(tmp_path))
    assert f"{bomb} must be a picture" in refusal(lambda: image.read([str(bomb)], {"shape": [1, 8, 8]}))


# Pixels


@pytest.mark.parametrize(
    ("picture", "value"),
    [
        (Image.new("1", (4, 4), 1), 255),
        (Image.new("L", (4, 4), 100), 100),
        (Image.new("LA", (4, 4), (100, 255)), 100),
        (Image.new("LA", (4, 4), (100, 0)), 255),
        (Image.fromarray(np.full((4, 4), 65535, dtype=np.uint16)), 255),
        (Image.fromarray(np.full((4, 4), 257 * 100, dtype=np.uint16)), 100),
        (Image.new("RGB", (4, 4), (100, 100, 100)), 100),
        (Image.new("RGB", (4, 4), RED), 76),  # ITU-R 601: 0.299 R + 0.587 G + 0.114 B
    ],
    ids=[
        "1 bit",
        "grey",
        "grey, opaque",
        "grey, transparent",
        "16 bit, white",
        "16 bit, grey",
        "grey as colour",
        "red",
    ],
)
def test_every_mode_becomes_grey(tmp_path: Path, picture: Image.Image, value: int) -> None:
    assert asked(save(tmp_path / "a.png", picture), (1, 4, 4)).unique().tolist() == [value]


@pytest.mark.parametrize(
    ("ending", "picture", "colour"),
    [
        (".png", Image.new("RGB", (4, 4), RED), RED),
        (".png", Image.new("RGBA", (4, 4), (*RED, 0)), WHITE),
        (".png", Image.new("RGBA", (4, 4), (*BLUE, 51)), (204, 204, 255)),  # a fifth of blue on white
        (".png", Image.new("P", (4, 4), 0), (0, 0, 0)),
        (".png", Image.new("L", (4, 4), 7), (7, 7, 7)),
        (".gif", Image.new("RGB", (4, 4), GREEN), GREEN),
        (".bmp", Image.new("RGB", (4, 4), BLUE), BLUE),
        (".tif", Image.new("CMYK", (4, 4), (0, 255, 255, 0)), RED),
        (".tif", Image.fromarray(np.full((4, 4), 0.2, dtype=np.float32)), (51, 51, 51)),
        (".webp", Image.new("RGB", (4, 4), WHITE), WHITE),
    ],
)
def test_every_mode_becomes_colour_on_white(
    tmp_path: Path, ending: str, picture: Image.Image, colour: tuple[int, int, int]
) -> None:
    found = asked(save(tmp_path / f"a{ending}", picture), (3, 4, 4))
    assert found.amax((1, 2)).tolist() == found.amin((1, 2)).tolist() == list(colour)


def test_a_palette_with_a_transparent_colour_lies_on_white(tmp_path: Path) -> None:
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, *RED])
    assert asked(save(tmp_path / "a.png", picture), (3, 4, 4)).unique().tolist() == [0, 255]
    assert asked(save(tmp_path / "b.png", picture, transparency=1), (3, 4, 4)).unique().tolist() == [255]


def test_exif_turns_a_picture_upright(tmp_path: Path) -> None:
    lying = np.zeros((4, 8), dtype=np.uint8)
    lying[:, :4] = 255  # white on the left; orientation 6 is shown turned by 90 degrees clockwise: white above
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "a" / "1.png", lying, exif=exif)
    assert asked(path, (1, 8, 4))[0].mean(1).tolist() == [255] * 4 + [0] * 4
    save(tmp_path / "b" / "1.png", lying, exif=exif)
    assert image.from_path(tmp_path).parts["all"][0].shape == (2, 8, 4, 1)


def test_of_a_moving_picture_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN)]
    path = save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert asked(path, (3, 4, 4))[:, 0, 0].tolist() == list(RED)


def test_pictures_are_grey_only_if_all_are(tmp_path: Path) -> None:
    grey = Image.new("RGB", (4, 4), (9, 9, 9))
    for word in "ab":
        save(tmp_path / word / "1.png", grey)
        save(tmp_path / word / "2.jpg", grey)
    assert image.from_path(tmp_path).parts["all"][0].shape == (4, 4, 4, 1)
    save(tmp_path / "a" / "3.png", Image.new("RGB", (4, 4), (9, 9, 10)))
    assert image.from_path(tmp_path).parts["all"][0].shape == (5, 4, 4, 3)


# Sizes


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ([(20, 30)] * 3 + [(5, 5)], (20, 30)),  # most have it
        ([(10, 10), (20, 30), (30, 20)], (20, 20)),  # none has: medians
        ([(480, 640)] * 2, (48, 64)),  # never longer than 64 unasked
        ([(1, 1000)], (1, 64)),
    ],
)
def test_the_common_size(sizes: list[tuple[int, int]], shape: tuple[int, int]) -> None:
    assert image._common(sizes) == shape


def test_the_size_asked_for_is_had(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 2, "b": 2}, size=100)
    assert image.from_path(tmp_path).parts["all"][0].shape[1:3] == (64, 64)
    assert image.from_path(tmp_path, size=80).parts["all"][0].shape[1:3] == (80, 80)


def test_resizing_keeps_the_whole_picture_its_proportions_and_its_background(tmp_path: Path) -> None:
    tall = np.full((40, 20), 200, dtype=np.uint8)
    tall[8:32, 4:16] = 0
    found = asked(save(tmp_path / "a.png", tall), (1, 20, 20))[0]
    assert found[:, :5].unique().tolist() == found[:, 15:].unique().tolist() == [200], "bars like the background"
    dark = found < 100
    assert (int(dark.any(1).sum()), int(dark.any(0).sum())) == (12, 6)


def test_scaling_down_is_antialiased(tmp_path: Path) -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (64, 32))
    found = asked(save(tmp_path / "a.png", stripes), (1, 8, 8))
    assert 100 < float(found.min()) <= float(found.max()) < 155


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "F"]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([(1, 28, 28), (3, 5, 17)]),
)
def test_any_mode_and_size_becomes_the_shape_asked_for(
    mode: str, width: int, height: int, shape: tuple[int, int, int]
) -> None:
    picture = Image.new(mode, (width, height), 1)
    pixels = image._with_channels(image._fitted(image._eight_bits(picture), shape[1:]), shape[0])
    assert (pixels.shape, pixels.dtype) == ((*shape[1:], shape[0]), np.uint8)
    assert (pixels == pixels[0, 0]).all(), "a picture of one colour stays one, bars and all"


# Asking


def test_predict_makes_of_a_picture_what_training_made_of_it(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 3, "b": 3}, size=90)
    splits = image.splits(image.from_path(tmp_path), seed=0, valid=0, test=0)
    names, batch = image.read([str(tmp_path)], splits.spec)
    assert len(names) == 6
    assert batch["image"].dtype == torch.float32
    assert torch.equal((batch["image"] * 255).round().to(torch.uint8), splits.train["image"])


def test_files_folders_and_patterns_are_read(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 3, "b [1]": 1})
    names, batch = image.read(
        [str(tmp_path / "a" / "1.png"), str(tmp_path / "a" / "*.png"), str(tmp_path / "b [1]")], {"shape": [1, 28, 28]}
    )
    assert [Path(name).name for name in names] == ["1.png", "0.png", "1.png", "2.png", "0.png"]
    assert batch["image"].shape == (5, 1, 28, 28)


def test_asking_with_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n")
    (tmp_path / "none").mkdir()
    spec = {"shape": [1, 8, 8]}
    assert "a.csv must be a picture" in refusal(lambda: image.read([str(tmp_path / "a.csv")], spec))
    assert "it holds none" in refusal(lambda: image.read([str(tmp_path / "none")], spec))
    assert "there is no such file" in refusal(lambda: image.read([str(tmp_path / "nothing.png")], spec))


def test_pictures_as_answers_are_files(tmp_path: Path) -> None:
    pixels = torch.rand(2, 3, 4, 5)
    rows = image.show({"image": pixels}, ["x/same name.jpg", "y/same name.jpg"], {}, tmp_path / "new" / "folder")
    assert [row["name"] for row in rows] == ["x/same name.jpg", "y/same name.jpg"]
    assert len({row["file"] for row in rows}) == 2
    for row, picture in zip(rows, pixels, strict=True):
        assert torch.equal(asked(Path(row["file"]), (3, 4, 5)), (picture * 255).round())
    grey = image.show({"image": torch.full((1, 1, 2, 2), 1.5)}, ["3"], {}, tmp_path)
    assert np.asarray(Image.open(grey[0]["file"])).tolist() == [[255, 255], [255, 255]]


# Arrays


def npz(path: Path, **found: np.ndarray) -> Path:
    np.savez(path, **found)
    return path


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("X", "y"), ("images", "labels"), ("image", "label")])
@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 5, 4, 1), (6, 5, 4, 3)])
def test_arrays_under_the_names_in_use(tmp_path: Path, x: str, y: str, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    raw = image.from_path(npz(tmp_path / "a.npz", **{x: pixels, y: np.array([2, 10, 2, 10, 2, 10])}))
    found, labels = raw.parts["all"]
    assert raw.classes == ["2", "10"]
    assert labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert np.array_equal(found, pixels.reshape(6, 5, 4, -1))


def test_parts_of_keras_and_of_medmnist(tmp_path: Path) -> None:
    pixels, labels = np.zeros((4, 3, 3), dtype=np.uint8), np.array(["cat", "dog", "cat", "dog"])
    keras = image.from_path(
        npz(tmp_path / "a.npz", x_train=pixels, y_train=labels, x_test=pixels[:2], y_test=labels[:2])
    )
    assert {part: len(found) for part, (found, _) in keras.parts.items()} == {"train": 4, "test": 2}
    three = {f"{part}_{what}": array for part in ("train", "val", "test") for what, array in
             (("images", pixels), ("labels", labels[:, None]))}  # fmt: skip
    assert set(image.from_path(npz(tmp_path / "b.npz", **three)).parts) == {"train", "valid", "test"}


def test_floats_truths_and_channels_first(tmp_path: Path) -> None:
    labels = np.array([0.0, 1.0])
    floats = image.from_path(npz(tmp_path / "a.npz", x=np.full((2, 3, 8, 8), 0.2), y=labels))
    assert (floats.parts["all"][0].shape, floats.classes) == ((2, 8, 8, 3), ["0", "1"])
    assert np.unique(floats.parts["all"][0]).tolist() == [51]
    truths = image.from_path(npz(tmp_path / "b.npz", x=np.ones((2, 4, 4), dtype=bool), y=labels), size=6)
    assert truths.parts["all"][0].shape == (2, 6, 6, 1)
    assert np.unique(truths.parts["all"][0]).tolist() == [255]


class Trap:
    """Something that runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return pytest.fail, ("a data file ran code",)


def test_arrays_of_objects_are_refused_and_not_run(tmp_path: Path) -> None:
    path = npz(tmp_path / "a.npz", x=np.array([Trap()], dtype=object), y=np.array([0]))
    assert "Python objects, which could run code" in refusal(lambda: image.from_path(path))


PIXELS, LABELS = np.zeros((2, 4, 4), dtype=np.uint8), np.array([0, 1])


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"x": PIXELS}, "must hold labels beside the examples"),
        ({"y": LABELS}, "must hold examples beside the labels"),
        ({"a": PIXELS, "b": LABELS}, "it holds a, b"),
        ({"x_test": PIXELS, "y_test": LABELS}, "it holds x_test, y_test"),
        ({"x": PIXELS, "y": LABELS[:1]}, "one label for each of its 2 examples"),
        ({"x": PIXELS, "y": np.eye(2)}, "labels.argmax(1)"),
        ({"x": PIXELS, "y": np.array([0.5, 1])}, "labels must be whole numbers or words"),
        ({"x": PIXELS, "y": np.array([np.nan, 1])}, "labels must be whole numbers or words"),
        ({"x": PIXELS, "y": np.array([1, 1])}, "found 1 class;"),
        ({"x": PIXELS - 0.5, "y": LABELS}, "got float64 in [-0.5, -0.5]"),
        ({"x": PIXELS * np.nan, "y": LABELS}, "floats in [0, 1]"),
        ({"x": PIXELS + np.int64(300), "y": LABELS}, "integers in 0 to 255"),
        ({"x": np.zeros((2, 4, 4, 5)), "y": LABELS}, "got (2, 4, 4, 5)"),
        ({"x": PIXELS.astype(str), "y": LABELS}, "pixels must be numbers"),
        ({"x": PIXELS, "y": LABELS, "x_test": np.zeros((2, 3, 3)), "y_test": LABELS}, "of one size"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(tmp_path: Path, found: dict[str, np.ndarray], words: str) -> None:
    assert words in refusal(lambda: image.from_path(npz(tmp_path / "a.npz", **found)))


def test_damaged_arrays_are_refused(tmp_path: Path) -> None:
    whole = npz(tmp_path / "a.npz", x=np.zeros((9, 40, 40)), y=np.arange(9)).read_bytes()
    lone = io.BytesIO()
    np.save(lone, PIXELS)
    for content in (
        whole[:-200],
        whole[:300],
        b"",
        b"PK\x03\x04",
        b"text",
        lone.getvalue(),
        whole.replace(b"NUMPY", b"XXXXX"),
    ):
        path = tmp_path / "b.npz"
        path.write_bytes(content)
        assert "damaged, or of another format" in refusal(lambda path=path: image.from_path(path))


def test_no_picture_makes_pillow_warn(tmp_path: Path) -> None:
    """Warnings of odd metadata are of no use to somebody who trains a net."""
    picture = Image.new("P", (4, 4))
    save(tmp_path / "a" / "1.png", picture, transparency=b"\x00\x80")
    save(tmp_path / "b" / "1.png", picture)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image.from_path(tmp_path)


def test_postscript_under_the_name_of_a_picture_is_never_run(tmp_path: Path) -> None:
    """Law 9: pillow goes by content, and would start a PostScript interpreter for it."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.new("L", (8, 8), 100).save(tmp_path / name / f"{number}.png")
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "a" / "evil.png").write_bytes(content)
    with pytest.raises(UserError, match=r"evil\.png"):
        image.from_path(tmp_path)


# Larger than memory


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """40 colour pictures in two classes: JPEGs and PNGs of several sizes, some grey, one turned by its EXIF."""
    noise = np.random.default_rng(0)
    for number in range(40):
        height, width = noise.integers(20, 90, 2) if number % 3 else (48, 60)
        pixels = noise.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8)
        picture = Image.fromarray(pixels[..., 0] if number % 5 == 0 else pixels).resize((width, height))
        options = {"exif": b"Exif\0\0II*\0\b\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"} if number == 7 else {}
        save(tmp_path / "photos" / f"{number % 2}" / f"{number}.{'jpg' if number % 4 else 'png'}", picture, **options)
    return tmp_path / "photos"


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """`full(True)`: from now on no decoded picture may be held; `full(False)`: all may."""
    return lambda truth: monkeypatch.setenv("DEEPCLASSICS_MEMORY", "0" if truth else "1000")


def test_from_the_disk_come_the_same_pixels_order_and_facts(photos: Path, full: Callable[[bool], None]) -> None:
    full(False)
    held = load(str(photos), ["image"], seed=3)
    full(True)
    stored = load(str(photos), ["image"], seed=3)
    assert isinstance(held.train["image"], torch.Tensor)
    assert isinstance(stored.train["image"], Stored)
    assert stored.spec == held.spec
    assert stored.train["image"].shape == held.train["image"].shape == (28, 3, 48, 60)
    for one, other in ((held.train, stored.train), (held.valid, stored.valid), (held.test, stored.test)):
        assert torch.equal(one["image"], other["image"][:])
        assert torch.equal(one["label"], other["label"])
    first, second = (splits.shuffled(8, 5).train for splits in (held, stored))
    for position in (0, 1, 2, 3, 9, 2):  # the fourth goes over the end of a pass
        one, other = first.at(position), second.at(position)
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["label"], other["label"])


def test_grey_pictures_from_the_disk_are_grey(tmp_path: Path, full: Callable[[bool], None]) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    for number, pixels in enumerate(grey):
        # Two as colour with equal channels, as scanners write them.
        save(tmp_path / "ab"[number % 2] / f"{number}.png", pixels if number > 1 else np.stack([pixels] * 3, -1))
    full(False)
    held = image.splits(image.from_path(tmp_path), seed=0, valid=0, test=0.3)
    full(True)
    stored = image.splits(image.from_path(tmp_path), seed=0, valid=0, test=0.3)
    assert held.spec == stored.spec
    assert held.spec["shape"] == [1, 8, 8]
    assert "colour" not in held.spec
    assert torch.equal(held.train["image"], stored.train["image"][:])


def test_a_run_from_the_disk_ends_with_the_same_weights_killed_or_not(
    photos: Path, tmp_path: Path, full: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = find("lenet5")(data=str(photos), epochs=3, batch=8, modern=True)
    host = Host(device="cpu", threads=1, save_every=2)
    full(False)
    held = carry_out(recipe, tmp_path / "held", host)
    full(True)
    stored = carry_out(recipe, tmp_path / "stored", host)
    assert stored["scores"] == held["scores"]

    whole = Shuffled.at
    monkeypatch.setattr(Shuffled, "at", lambda self, position: whole(self, position) if position < 5 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        carry_out(recipe, tmp_path / "killed", host)
    monkeypatch.undo()
    full(True)
    assert carry_out(recipe, tmp_path / "killed", host)["scores"] == held["scores"]
    weights = [(tmp_path / name / "best.safetensors").read_bytes() for name in ("held", "stored", "killed")]
    assert weights[0] == weights[1] == weights[2]


def test_a_report_and_a_test_of_runs_read_from_the_disk(
    photos: Path, tmp_path: Path, full: Callable[[bool], None]
) -> None:
    full(True)
    for seed in (0, 1):
        recipe = find("lenet5")(data=str(photos), epochs=1, seed=seed, test=0.5)
        carry_out(recipe, tmp_path / str(seed), Host(device="cpu", threads=1))
    run = Run(tmp_path / "0")
    answer, right = Evidence(run).answers("test")
    assert isinstance(right["image"], Stored)
    assert len(answer["label"]) == len(right) == 20
    page = write(run).read_text(encoding="utf-8")
    assert "Not drawn" not in page
    assert page.count("<figure") >= 6
    assert predict.tested([run])[0]["error"] == pytest.approx(run.result()["scores"]["test/error"])
    with pytest.raises(UserError, match="the same examples"):
        predict.tested([run, Run(tmp_path / "1")])


@pytest.mark.parametrize(
    ("how", "words"), [("gone", "it is gone"), ("cut", "it is cut short"), ("empty", "it is empty")]
)
def test_a_picture_that_goes_or_breaks_while_it_is_used_is_a_sentence(
    tmp_path: Path, full: Callable[[bool], None], how: str, words: str
) -> None:
    full(True)
    fill(tmp_path, {"a": 4, "b": 4}, size=40)
    train = image.splits(image.from_path(tmp_path), seed=0, valid=0, test=0).train
    file = tmp_path / "a" / "2.png"
    file.unlink() if how == "gone" else damage(file, how)
    said = refusal(lambda: train.take(torch.tensor([0, 2])))
    assert said.startswith(f"{file} must stay as it was while it is used; {words}.")
    assert "goes on from its last checkpoint" in said
    assert len(train.take(torch.tensor([0, 1]))["image"]) == 2, "the others are there still"


def test_the_memory_allowed_must_be_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPCLASSICS_MEMORY", "much")
    said = refusal(lambda: image.from_path(fill(tmp_path, {"a": 1, "b": 1})))
    assert said == "DEEPCLASSICS_MEMORY must be the MiB that decoded pictures may take, a whole number; got 'much'."


def one_pass(folder: str, allowed: str, told: str) -> None:
    """A pass over a folder, and to the file `told` by how many bytes the memory has grown meanwhile."""
    import resource

    os.environ["DEEPCLASSICS_MEMORY"] = allowed
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    train = load(folder, ["image"], seed=0, size=224).shuffled(4, 0).train
    assert sum(len(batch["label"]) for batch in train) >= 280
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    Path(told).write_text(str(grown * (1 if sys.platform == "darwin" else 1024)))


def test_a_folder_from_the_disk_takes_bounded_memory(tmp_path: Path, forks: Callable[..., list[int]]) -> None:
    """400 pictures of 224 x 224, 60 MB decoded: held, they take that and copies; from the disk, some batches' room."""
    fill(tmp_path / "many", {"a": 200, "b": 200}, size=16)
    arguments = [(str(tmp_path / "many"), allowed, str(tmp_path / allowed)) for allowed in ("0", "1000")]
    assert forks(one_pass, arguments) == [0, 0]
    stored, held = (int((tmp_path / allowed).read_text()) for allowed in ("0", "1000"))
    assert held > 100e6
    assert stored < held / 2


# Colours


def test_the_colours_principal_components_are_those_of_the_training_pixels() -> None:
    """Krizhevsky et al. 2012, section 4.1: p_i and lambda_i of the 3 x 3 covariance of the RGB values."""
    noise = np.random.default_rng(0)
    mixed = noise.normal(size=(12, 20, 20, 3)) @ np.array([[30, 25, 20], [0, 10, -10], [2, 0, 1]]) + 128
    raw = image.from_arrays({"all": (mixed.clip(0, 255).astype(np.uint8), np.arange(12) % 2)}, "x.npz")
    splits = image.splits(raw, seed=0, valid=0, test=0.25)
    pixels = (splits.train["image"].double() / 255).movedim(1, -1).reshape(-1, 3)
    covariance = pixels.T.cov(correction=0)
    values, vectors = torch.tensor(splits.spec["colour"]["values"]), torch.tensor(splits.spec["colour"]["vectors"])
    assert values.tolist() == sorted(values.tolist(), reverse=True)
    for value, vector in zip(values.double(), vectors.double(), strict=True):
        torch.testing.assert_close(covariance @ vector, value * vector, rtol=1e-5, atol=1e-8)
        assert float(vector.norm()) == pytest.approx(1)
        assert float(vector[vector.abs().argmax()]) > 0


def test_colours_that_never_change_have_components_of_no_weight(tmp_path: Path) -> None:
    for word, count in (("a", 3), ("b", 3)):
        for number in range(count):
            save(tmp_path / word / f"{number}.png")
    assert image.splits(image.from_path(tmp_path), seed=0, valid=0, test=0).spec["colour"]["values"] == [0, 0, 0]


# Sizes asked for


@pytest.mark.parametrize("held", [False, True])
def test_no_side_is_under_the_least(tmp_path: Path, held: bool, full: Callable[[bool], None]) -> None:
    full(not held)
    for word in "ab":
        for number in range(3):
            save(tmp_path / word / f"{number}.png", Image.new("L", (30, 20), 40 * number))
    asked_for = load(str(tmp_path), ["image"], seed=0, least=32)
    assert (asked_for.spec["shape"], asked_for.spec["scaled_from"]) == ([1, 32, 48], [20, 30])
    assert sorted(set(asked_for.train["image"][:].unique().tolist())) <= [0, 40, 80]
    assert "scaled_from" not in load(str(tmp_path), ["image"], seed=0, least=20).spec
    both = load(str(tmp_path), ["image"], seed=0, size=24, least=16).spec
    assert both["shape"] == [1, 24, 24]
    assert "scaled_from" not in both


def test_named_sets_and_arrays_get_the_size_too(tmp_path: Path, full: Callable[[bool], None]) -> None:
    full(False)
    held, own = load("digits", ["image"], seed=0, size=12), load("digits", ["image"], seed=0)
    assert held.spec["shape"] == [1, 12, 12]
    one = Image.fromarray(own.train["image"][0, 0].numpy()).resize((12, 12), Image.Resampling.BILINEAR)
    assert np.array_equal(np.asarray(one), held.train["image"][0, 0].numpy())
    assert load("digits", ["image"], seed=0, least=16).spec["scaled_from"] == [8, 8]
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 10, 3), dtype=np.uint8)
    arrays = load(str(npz(tmp_path / "a.npz", x=pixels, y=LABELS.repeat(3))), ["image"], seed=0, valid=0, least=10)
    assert (arrays.spec["shape"], arrays.spec["scaled_from"]) == ([3, 10, 20], [5, 10])
    full(True)  # then they are scaled when they are asked for
    stored = load("digits", ["image"], seed=0, size=12)
    assert stored.spec == held.spec
    assert isinstance(stored.train["image"], Stored)
    assert torch.equal(stored.train["image"][:], held.train["image"])


# What people have


@pytest.mark.parametrize("words", [("Cat", "cat"), ("snow leopard", "Snow  Leopard"), ("ЛИСА", "лиса")])
def test_classes_that_differ_in_capitals_only_are_refused(tmp_path: Path, words: tuple[str, str]) -> None:
    said = refusal(lambda: image.from_path(fill(tmp_path / "pets", dict.fromkeys(words, 2))))
    assert said.startswith("pets/: classes must differ in more than capitals and spaces; got")
    assert f"'{words[0]}'" in said
    assert f"'{words[1]}'" in said
    found = {"x": np.zeros((2, 4, 4), dtype=np.uint8), "y": np.array(words)}
    assert "more than capitals" in refusal(lambda: image.from_path(npz(tmp_path / "a.npz", **found)))


def test_capitals_in_one_part_and_not_in_another_are_refused_as_such(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"Cat": 3, "dog": 3})
    fill(tmp_path / "test", {"cat": 3, "dog": 3})
    assert "got 'Cat' and 'cat'" in refusal(lambda: image.from_path(tmp_path))


def test_a_capital_letter_is_another_letter(tmp_path: Path) -> None:
    assert image.from_path(fill(tmp_path, {"A": 1, "a": 1})).classes == ["A", "a"]


def png(path: Path, head: bytes, rows: bytes) -> Path:
    """A PNG written by hand."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def declared(path: Path, width: int, height: int) -> Path:
    """A PNG of some 60 bytes that says that it is so large."""
    return png(path, struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), b"")


def test_a_picture_that_says_it_is_immense_is_refused_by_its_head(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 2, "b": 2})
    bomb = declared(tmp_path / "a" / "bomb.png", 100_000, 100_000)
    assert "it has over 89,478,485 pixels, which may be a trap" in refusal(lambda: image.from_path(tmp_path))
    assert image.from_path(tmp_path, skip_bad=True).skipped == [str(bomb)]


def test_a_picture_of_100_000_by_10_pixels_is_a_picture(tmp_path: Path) -> None:
    """A million pixels are no trap, however they lie: it is scaled like any other, and stands in the middle."""
    fill(tmp_path, {"a": 2, "b": 2})
    wide = save(tmp_path / "a" / "wide.png", Image.new("L", (100_000, 10), 60))
    assert image.from_path(tmp_path).parts["all"][0].shape == (5, 8, 8, 3)
    assert asked(wide, (1, 8, 8)).unique().tolist() == [60]


def test_a_class_of_nothing_but_other_files_is_told_not_lost(tmp_path: Path) -> None:
    fill(tmp_path / "pets", {"a": 2, "b": 2})
    (tmp_path / "pets" / "c").mkdir()
    for name in ("1.psd", "2.psd", "notes.txt"):
        (tmp_path / "pets" / "c" / name).write_bytes(b"8BPS")
    said = refusal(lambda: image.from_path(tmp_path / "pets"))
    assert said == "pets/c/ must hold pictures of a class; it holds .psd, .txt and no picture. Fill it or remove it."


def test_links_that_go_round_are_refused_or_not_followed(tmp_path: Path) -> None:
    folder = fill(tmp_path / "pets", {"a": 2, "b": 2})
    (folder / "a" / "up").symlink_to(folder)
    (folder / "a" / "self").symlink_to(folder / "a" / "self")
    assert np.bincount(image.from_path(folder).parts["all"][1]).tolist() == [2, 2]
    (folder / "again").symlink_to(tmp_path)
    assert "pets/again must be a folder of its own; it is a link back to" in refusal(lambda: image.from_path(folder))
    (folder / "again").unlink()
    (folder / "a" / "lost.png").symlink_to(folder / "nowhere.png")
    assert "lost.png must be a picture; it is a link to nothing." in refusal(lambda: image.from_path(folder))


def test_what_may_not_be_read_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusals of the system are made up here: who runs tests may be allowed everything."""
    folder = fill(tmp_path / "pets", {"a": 2, "b": 2})
    opened, listed = Image.open, os.scandir

    def closed_file(file: Path, **options: object) -> Image.Image:
        if Path(file).name == "1.png":
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return opened(file, **options)  # type: ignore[arg-type]

    def closed_folder(place: str = ".") -> object:
        if Path(place).name == "b":
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return listed(place)

    monkeypatch.setattr(Image, "open", closed_file)
    assert f"{folder / 'a' / '1.png'} must be a picture; it may not be read." in refusal(
        lambda: image.from_path(folder)
    )
    monkeypatch.undo()
    monkeypatch.setattr(os, "scandir", closed_folder)
    assert f"{folder / 'b'} must be a folder that can be read; got 'permission denied'." in refusal(
        lambda: image.from_path(folder)
    )


def test_cmyk_jpegs_have_their_colours(tmp_path: Path) -> None:
    found = asked(save(tmp_path / "a.jpg", Image.new("CMYK", (16, 16), (0, 255, 255, 0)), quality=95), (3, 16, 16))
    assert (found - torch.tensor(RED, dtype=torch.float32).view(3, 1, 1)).abs().max() <= 3


def test_sixteen_bits_a_channel_become_eight(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + struct.pack(">3H", 257 * 200, 257 * 100, 257 * 50) * 4 for _ in range(4))
    path = png(tmp_path / "a.png", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0), rows)
    assert asked(path, (3, 4, 4))[:, 0, 0].tolist() == [200, 100, 50]


def test_labels_of_any_script_and_with_spaces_go_all_the_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From folders through the run folder, its report and predict, in a folder with such a name itself."""
    words = ["снежный барс", "猫 cat", "Ärger", 'a "quoted", word', "قطة"]
    folder = fill(tmp_path / "мои 写真", dict.fromkeys(words, 6), size=28)
    out, picture = tmp_path / "ein Lauf", folder / words[0] / "0.png"

    def said(*typed: str) -> str:
        with pytest.raises(SystemExit) as left:
            main(list(typed))
        assert not left.value.code
        return capsys.readouterr().out

    said(
        "run", "lenet5", "--data", str(folder), "--epochs", "1", "--device", "cpu", "--threads", "1", "--out", str(out)
    )
    assert set(Run(out).spec()["target"]["classes"]) == set(words)
    said("report", str(out))
    assert json.loads(said("predict", str(out), str(picture), "--json"))["label"] in words
    rows = list(csv.DictReader(io.StringIO(said("predict", str(out), str(folder), "--csv"))))
    assert len(rows) == 30
    assert {row["label"] for row in rows} <= set(words)
