"""Training pictures among the test pictures: what is planted is found, and nothing else."""

import io
import pathlib
from dataclasses import replace
from types import SimpleNamespace
from typing import cast
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from deepclassics.data import load
from deepclassics.data.streams import Columns, Splits, Stored
from deepclassics.report import duplicates, style
from deepclassics.report.evidence import Evidence


def recompressed(image: Tensor, quality: int) -> Tensor:  # (B, 1 or 3, H, W) of uint8
    """The pictures through JPEG."""
    found = []
    for one in image.movedim(1, -1).numpy():
        file = io.BytesIO()
        Image.fromarray(one.squeeze()).save(file, "JPEG", quality=quality)
        found.append(np.asarray(Image.open(file)).reshape(one.shape))
    return torch.from_numpy(np.stack(found)).movedim(-1, 1)


@pytest.fixture(scope="module")
def digits() -> tuple[Columns, Columns]:
    """Test and training pictures of real digits, of which none is among the others: each one comes once."""
    splits = load("digits", ("image",), seed=0)
    return splits.test, splits.train


def planted(test: Columns, pictures: Tensor, label: Tensor) -> Columns:
    """The test pictures with these after them."""
    return Columns(image=torch.cat([test["image"], pictures]), label=torch.cat([test["label"], label]))


def test_nothing_is_found_where_nothing_is(digits: tuple[Columns, Columns]) -> None:
    test, train = digits
    found = duplicates.find(test, train)
    assert not len(found.test)
    told = duplicates.duplicates(found, test, train, [str(k) for k in range(10)])
    assert told == f"None of {len(test)} test pictures was found among {len(train):,} training pictures."


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda image: image, "equal"),
        (lambda image: recompressed(image, 92), "near"),
        (lambda image: (image * 0.6 + 40).round().to(torch.uint8), "near"),  # darker and with less contrast
        (lambda image: image.flip(-1), "mirrored"),
        (lambda image: recompressed(image.flip(-1), 92), "mirrored"),
    ],
)
def test_what_is_planted_is_found(digits: tuple[Columns, Columns], change: object, kind: str) -> None:
    test, train = digits
    index = torch.arange(0, len(train), 37)
    assert callable(change)
    both = planted(test, change(train["image"][index]), train["label"][index])
    found = duplicates.find(both, train)
    assert found.test.sort().values.tolist() == list(range(len(test), len(both)))
    assert torch.equal(found.train, index[found.test - len(test)])
    assert {duplicates.KINDS[place] for place in found.kind.tolist()} == {kind}
    assert bool((found.distance.diff() >= 0).all())
    told = duplicates.remark(found, both, train)
    assert told.startswith(f"{len(index)} of {len(both)} test pictures (")
    assert told.endswith(f"%) are among the training pictures ({len(index)} {kind}); their classes agree.")


def test_mnist_recompressed_and_mirrored(mirror: pathlib.Path) -> None:
    splits = load("mnist", ("image",), seed=0)
    train = Columns(image=splits.train["image"][:4000], label=splits.train["label"][:4000])
    test = Columns(image=splits.test["image"][:1000], label=splits.test["label"][:1000])
    assert not len(duplicates.find(test, train).test)
    pictures = recompressed(train["image"][:200], 75)
    both = planted(test, torch.cat([pictures, pictures.flip(-1)]), train["label"][:200].repeat(2))
    found = duplicates.find(both, train)
    order = found.test.argsort()
    assert found.test[order].tolist() == list(range(1000, 1400))
    assert found.train[order].tolist() == [*range(200), *range(200)]
    kinds = torch.bincount(found.kind, minlength=3).tolist()
    assert kinds[0] == 0
    assert kinds[2] >= 195  # some digits are the same in a mirror


def test_half_of_the_size_is_found(digits: tuple[Columns, Columns]) -> None:
    """Pictures of a run are of one size: one that was small before has been made larger."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(300, 3, 8, 8, generator=generator)
    image = (torch.nn.functional.interpolate(noise, (64, 48), mode="bicubic").clamp(0, 1) * 255).round().byte()
    small = torch.nn.functional.interpolate(image[:9].float(), (32, 24), mode="area")
    again = torch.nn.functional.interpolate(small, (64, 48), mode="bilinear").round().byte()
    train = Columns(image=image[:200], label=torch.zeros(200).long())
    test = Columns(image=torch.cat([again, image[200:]]), label=torch.zeros(109).long())
    found = duplicates.find(test, train)
    assert found.test.sort().values.tolist() == list(range(9))
    assert torch.equal(found.test, found.train)


def photographs(count: int) -> Tensor:  # -> (N, 3, 32, 32) of uint8
    """Smooth colours, no two alike."""
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    return (torch.nn.functional.interpolate(coarse, (32, 32), mode="bicubic").clamp(0, 1) * 255).round().byte()


def grained(image: Tensor, seed: int) -> Tensor:  # (N, 3, 32, 32) of uint8
    """Copies of pictures with noise, at some 0.005 from them."""
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return (image + 10 * noise).clamp(0, 255).round().byte()


@pytest.mark.parametrize("copies", [0, 1, 4])
def test_all_test_pictures_may_be_copies(copies: int) -> None:
    """How many are has no say in what a copy is, nor have copies among the training pictures themselves."""
    image = photographs(200)
    learnt = torch.cat([image, *(grained(image, seed) for seed in range(copies))])
    train = Columns(image=learnt, label=torch.zeros(len(learnt)).long())
    for seed, kind in ((100, 1), (101, 2)):
        test = grained(image, seed)
        found = duplicates.find(
            Columns(image=test if kind == 1 else test.flip(-1), label=torch.zeros(200).long()), train
        )
        assert found.test.sort().values.tolist() == list(range(200))
        assert torch.equal(found.train % 200, found.test)
        assert set(found.kind.tolist()) == {kind}
        assert float(found.distance.median()) > duplicates.LEAST
    assert not len(duplicates.find(Columns(image=photographs(300)[200:], label=torch.zeros(100).long()), train).test)


def test_one_training_picture_is_enough() -> None:
    image = photographs(2)
    train = Columns(image=image[:1], label=torch.zeros(1).long())
    found = duplicates.find(Columns(image=image, label=torch.zeros(2).long()), train)
    assert (found.test.tolist(), found.kind.tolist()) == ([0], [0])


def test_training_pictures_among_the_test_pictures_are_a_warning(
    digits: tuple[Columns, Columns], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And they are looked for once, for the picture and the warning."""
    test, train = digits
    find = Mock(wraps=duplicates.find)
    monkeypatch.setattr(duplicates, "find", find)
    for judged, warned in ((planted(test, train["image"][:3], train["label"][:3]), True), (test, False)):
        splits = Splits({}, train, None, judged)
        evidence = SimpleNamespace(
            splits=lambda splits=splits: splits, spec={"target": {"classes": list("0123456789")}}
        )
        picture = duplicates.picture(cast(Evidence, evidence))
        picture.draw()
        told = "3 of 362 test pictures (0.829 %) are among the training pictures (3 equal); their classes agree. "
        assert picture.warning() == warned * (told + "The model looks better than it is.")
    assert find.call_count == 2


def test_flat_pictures_are_duplicates_only_where_they_are_equal() -> None:
    levels = torch.tensor([0, 10, 200, 255], dtype=torch.uint8)
    image = levels[:, None, None, None].expand(-1, 1, 8, 8)
    found = duplicates.find(
        Columns(image=image[1:2], label=torch.zeros(1)), Columns(image=image[[0, 2, 3]], label=torch.zeros(3))
    )
    assert not len(found.test)
    found = duplicates.find(Columns(image=image[1:3], label=torch.zeros(2)), Columns(image=image, label=torch.zeros(4)))
    assert (found.test.tolist(), found.train.tolist(), found.kind.tolist()) == ([0, 1], [1, 2], [0, 0])


def test_pictures_on_the_disk_are_read_a_few_at_a_time(digits: tuple[Columns, Columns]) -> None:
    test, train = digits
    most = []

    class Watched(Stored):
        def __getitem__(self, index: object) -> Tensor:
            rows = super().__getitem__(index)
            most.append(len(rows))
            return rows

    pixels = train["image"].numpy()
    stored = Columns(image=Watched(lambda row: pixels[row], pixels.shape), label=train["label"])
    both = planted(test, train["image"][:3], train["label"][:3])
    found = duplicates.find(both, stored)
    assert found.train.tolist() == [0, 1, 2]
    assert max(most) <= 1000 < len(train)


def test_the_picture_says_whose_classes_differ(digits: tuple[Columns, Columns]) -> None:
    import matplotlib.text

    test, train = digits
    label = train["label"][:40].clone()
    label[1] = (label[1] + 1) % 10
    both = planted(test, train["image"][:40], label)
    found = duplicates.find(both, train)
    assert "the classes of 1 differ" in duplicates.remark(found, both, train)
    with style.settings():
        figure = duplicates.duplicates(found, both, train, [f"digit {k}" for k in range(10)])
        assert not isinstance(figure, str)
        figure.draw_without_rendering()
        told = [text.get_text() for text in figure.findobj(matplotlib.text.Text)]
    assert f"digit {label[1]} / digit {train['label'][1]}" in told
    assert told.count("equal") == duplicates.PAIRS
    assert any(f"The surest {duplicates.PAIRS} of them:" in text for text in told)
    one = replace(found, **{name: getattr(found, name)[:1] for name in ("test", "train", "kind", "distance")})
    assert duplicates.remark(one, both, train).startswith("1 of 399 test pictures (0.251 %) is among")
