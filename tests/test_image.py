"""Pictures: every odd file that people have becomes what a net can learn from, or is refused in a sentence."""

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deepclassics.data.kinds import image
from deepclassics.errors import UserError

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
    assert "1 more are bad" in refusal(lambda: image.from_path(tmp_path))
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
