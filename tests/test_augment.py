"""Changes of pictures: each picture its own, the class the same, the numbers those of the formulas (S129, S139)."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from deepclassics.layers import augment
from deepclassics.layers.pictures import distorted

VALUES = torch.tensor([0.15, 0.02, 0.005])
VECTORS = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))[0]  # columns
CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "mirrored": augment.mirrored,
    "cropped": lambda image: augment.cropped(image, 2),
    "turned": lambda image: augment.turned(image, 20.0, 0.2),
    "coloured": lambda image: augment.coloured(image, 0.5, VALUES, VECTORS),
    "noised": lambda image: augment.noised(image, 0.1),
}


def pictures(count: int = 4, height: int = 6, width: int = 8) -> Tensor:  # -> (B, 3, H, W) of pixels in [0, 1]
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("change", CHANGES)
def test_gives_pictures_of_the_same_shape_each_changed_in_its_own_way(change: str) -> None:
    """S129: what is there before is left as it is, and equal pictures come out as different ones."""
    torch.manual_seed(0)
    same = pictures(1).expand(32, -1, -1, -1).clone()
    before = same.clone()
    made = CHANGES[change](same)
    assert made.shape == same.shape
    assert made.dtype == same.dtype
    assert torch.equal(same, before)
    assert len(torch.unique(made, dim=0)) > 1


@pytest.mark.parametrize("change", CHANGES)
def test_the_generator_decides(change: str) -> None:
    torch.manual_seed(3)
    one = CHANGES[change](pictures())
    torch.manual_seed(3)
    assert torch.equal(one, CHANGES[change](pictures()))


@pytest.mark.parametrize("change", [*CHANGES, "distorted"])
def test_autocast_does_not_touch_the_pictures(change: str) -> None:
    """A step runs under it as a whole; places and colours in bfloat16 would be off by grey levels."""
    made = []
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            made.append((CHANGES | {"distorted": lambda image: distorted(image, 0.1)})[change](pictures(4, 32, 40)))
    assert made[1].dtype == torch.float32
    assert torch.equal(*made)


def test_mirrored_is_the_picture_or_its_mirror_image_half_and_half() -> None:
    torch.manual_seed(0)
    image = pictures(1).expand(400, -1, -1, -1)
    flipped = (augment.mirrored(image) == image.flip(3)).flatten(1).all(1)
    kept = (augment.mirrored(image) == image).flatten(1).all(1)
    assert 150 < int(flipped.sum()) < 250
    assert 150 < int(kept.sum()) < 250
    assert set(map(tuple, augment.mirrored(image).flatten(1).unique(dim=0).tolist())) == {
        tuple(image[0].flatten().tolist()),
        tuple(image[0].flip(2).flatten().tolist()),
    }


def test_windows_are_the_picture_shifted_with_its_edge_going_on() -> None:
    image = pictures(2)
    shifted = augment.windows(image, 2)
    assert shifted.shape == (2, 3, 5, 5, 6, 8)
    assert torch.equal(shifted[:, :, 2, 2], image)
    for down in range(5):
        for across in range(5):
            rows = [min(5, max(0, row + down - 2)) for row in range(6)]
            columns = [min(7, max(0, column + across - 2)) for column in range(8)]
            assert torch.equal(shifted[:, :, down, across], image[:, :, rows][:, :, :, columns])


def test_cropped_is_one_of_the_shifts_and_all_of_them_come() -> None:
    torch.manual_seed(0)
    image = pictures(1).expand(300, -1, -1, -1)
    made = augment.cropped(image, 1)
    shifts = augment.windows(image[:1], 1)[0].movedim((1, 2), (0, 1)).flatten(0, 1)  # (9, 3, H, W)
    which = (made[:, None] == shifts[None]).flatten(2).all(2)
    assert which.sum(1).eq(1).all()
    assert which.any(0).all()


def test_the_crops_of_test_time_are_the_corners_and_the_centre_and_their_mirror_images() -> None:
    """S139: by 1 pixel out of the picture widened by its edge, the crops begin at 0 or 2, the centre at 1."""
    image = pictures(2)
    wide = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    corners = [wide[:, :, y : y + 6, x : x + 8] for y, x in ((1, 1), (0, 0), (0, 2), (2, 0), (2, 2))]
    for number, expected in (
        (1, [image]),
        (2, [image, image.flip(3)]),
        (5, corners),
        (10, [*corners, *(each.flip(3) for each in corners)]),
    ):
        found = augment.crops(image, 1, number)
        assert len(found) == number
        assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("quarters", [1, 2, -1])
def test_turned_by_right_angles_moves_every_pixel_to_its_place(quarters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The angle at its bound: of a square, torch.rot90's."""
    image = pictures(2, 7, 7)
    bound = 1.0 if quarters > 0 else 0.0
    monkeypatch.setattr(torch, "rand", lambda *shape, device=None: torch.full(_flat(shape), bound))
    made = augment.turned(image, 90.0 * abs(quarters), 0.0)
    torch.testing.assert_close(made, torch.rot90(image, quarters, (2, 3)), atol=1e-4, rtol=0)


def test_a_turn_and_the_opposite_one_go_opposite_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    image = pictures(1, 7, 7)
    made = {}
    for bound in (0.0, 1.0):
        monkeypatch.setattr(torch, "rand", lambda *shape, device=None, bound=bound: torch.full(_flat(shape), bound))
        made[bound] = augment.turned(image, 90.0, 0.0)
    torch.testing.assert_close(torch.rot90(made[0.0], 2, (2, 3)), made[1.0], atol=1e-4, rtol=0)
    assert not torch.allclose(made[0.0], made[1.0], atol=0.01)


def test_a_turn_counts_in_pixels_also_where_the_picture_is_not_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disc in the middle of a broad picture stays one."""
    y, x = torch.meshgrid(torch.arange(21.0) - 10, torch.arange(41.0) - 20, indexing="ij")
    disc = torch.sigmoid(6 - (x.square() + y.square()).sqrt()).view(1, 1, 21, 41)
    monkeypatch.setattr(torch, "rand", lambda *shape, device=None: torch.full(_flat(shape), 1.0))
    assert float((augment.turned(disc, 35.0, 0.0) - disc).abs().max()) < 0.05


@pytest.mark.parametrize(("bound", "factor"), [(1.0, 1.5), (0.0, 1 / 1.5)])
def test_stretched_by_the_factor_or_its_inverse(bound: float, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bright patch of 8 × 8 becomes one of 8 times the factor; its area says which."""
    image = torch.zeros(1, 1, 32, 32)
    image[:, :, 12:20, 12:20] = 1
    monkeypatch.setattr(torch, "rand", lambda *shape, device=None: torch.full(_flat(shape), bound))
    made = augment.turned(image, 0.0, 0.5)
    assert float(made.sum()) == pytest.approx(64 * factor**2, rel=0.08)


def test_without_angle_and_stretch_nothing_is_turned() -> None:
    image = pictures()
    torch.testing.assert_close(augment.turned(image, 0.0, 0.0), image, atol=1e-5, rtol=0)


def test_what_is_turned_in_from_outside_has_the_colour_of_the_edge() -> None:
    torch.manual_seed(0)
    image = torch.full((8, 3, 16, 16), 0.3)
    torch.testing.assert_close(augment.turned(image, 45.0, 0.3), image)


def test_colours_shift_by_alpha_lambda_p(monkeypatch: pytest.MonkeyPatch) -> None:
    """S129; Krizhevsky et al. 2012, section 4.1: Σᵢ αᵢ λᵢ pᵢ, one α for a whole picture."""
    alpha = torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.3, 3.0]])
    monkeypatch.setattr(torch, "randn", lambda *shape, device=None: alpha)
    image = pictures(2)
    shift = augment.coloured(image, 0.1, VALUES, VECTORS) - image
    for picture in range(2):
        by_hand = sum(0.1 * alpha[picture, i] * VALUES[i] * VECTORS[:, i] for i in range(3))
        torch.testing.assert_close(shift[picture], by_hand[:, None, None].expand(3, 6, 8), atol=1e-6, rtol=0)


def test_noise_has_its_deviation() -> None:
    torch.manual_seed(0)
    noise = augment.noised(torch.zeros(4, 3, 64, 64), 0.2)
    assert float(noise.std()) == pytest.approx(0.2, rel=0.03)
    assert abs(float(noise.mean())) < 3 * 0.2 / math.sqrt(noise.numel())


def _flat(shape: tuple) -> tuple[int, ...]:
    return tuple(shape[0]) if isinstance(shape[0], tuple) else shape
