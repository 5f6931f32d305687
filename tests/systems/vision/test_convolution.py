"""Convolution and pooling: the notes' examples, all ways against each other and against torch, sizes and fields."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from deepclassics import cli
from deepclassics.data import catalog, load
from deepclassics.data.kinds import matrix
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.layers import convolution
from deepclassics.layers.convolution import WAYS, Window
from deepclassics.loop import carry_out
from deepclassics.recipe import find
from deepclassics.report import convolved, page
from deepclassics.report.style import settings as drawing
from deepclassics.run import Run
from deepclassics.systems.vision.convolution import KERNELS, Convolution, ConvolutionRecipe, differences, products

X2 = matrix.written("5 2 3 0 2; 1 4 2 5 1; 2 1 4 6 0; 0 1 8 4 3")[None, None]
K2 = matrix.written("2 3; 4 2")[None, None]
X3 = matrix.written("1 1 1 0 0; 0 1 1 1 0; 0 0 1 1 1; 0 0 1 1 0; 0 1 1 0 0")[None, None]
K3 = matrix.written("1 0 1; 0 1 0; 1 0 1")[None, None]
EACH = pytest.mark.parametrize("way", WAYS)


def drawn(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def close(one: Tensor, other: Tensor, within: float = 1e-10) -> None:
    assert one.shape == other.shape
    assert float((one - other).abs().max()) < within


# --- the notes' examples


@EACH
def test_n002_s147_the_example_that_gives_28(way: str) -> None:
    found = WAYS[way].forward(X2, K2, 1, 0, 1)
    assert matrix.typed(found[0, 0]) == "28 33 24 28; 24 26 47 37; 9 34 66 34"
    assert products(X2[0, 0], K2[0, 0], 1) == "28 = 5·2 + 2·3 + 1·4 + 4·2"


@EACH
def test_n003_s147_the_cross(way: str) -> None:
    assert matrix.typed(WAYS[way].forward(X3, K3, 1, 0, 1)[0, 0]) == "4 3 4; 2 4 3; 2 3 4"
    padded = "2 2 3 1 1; 1 4 3 4 1; 1 2 4 3 3; 1 2 3 4 1; 0 2 2 1 1"
    assert matrix.typed(WAYS[way].forward(X3, K3, 1, 1, 1)[0, 0]) == padded


def test_s148_convolution_proper_flips_the_kernel() -> None:
    flipped = convolution.by_places(X2, convolution.flipped(K2))
    assert matrix.typed(flipped[0, 0]) == "29 32 22 25; 26 27 48 32; 10 37 64 30"
    close(convolution.by_places(X3, convolution.flipped(K3)), convolution.by_places(X3, K3))


def test_s146_box_with_box_is_a_triangle_and_the_order_does_not_matter() -> None:
    box = torch.ones(50, dtype=torch.float64)
    step = 1 / 50  # of t, in the integral
    triangle = convolution.convmtx(box, 50) @ box * step
    away = (torch.arange(99, dtype=torch.float64) - 49).abs() / 50
    close(triangle, 1 - away, 1e-12)
    one, other = drawn(0, (7,), (12,))
    close(convolution.convmtx(one, 12) @ other, convolution.convmtx(other, 7) @ one)


# --- all ways agree


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.tuples(st.integers(1, 3), st.integers(0, 3), st.integers(1, 2)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from([(1, 1), (3, 3), (2, 4)]),
)
def test_s149_s150_s151_s153_s154_all_ways_equal_autograd(
    seed: int, window: tuple[int, int, int], channels: tuple[int, int], kernel: tuple[int, int]
) -> None:
    """Forward and backward, in both precisions: 1e-10 in the double one, 1e-5 of the largest sum in the single one."""
    x, weight = drawn(seed, (2, channels[0], 7, 8), (channels[1], channels[0], *kernel))
    x.requires_grad_()
    weight.requires_grad_()
    right = F.conv2d(x, weight, None, *window)
    (dz,) = drawn(seed + 1, tuple(right.shape))
    gradients = torch.autograd.grad(right, [x, weight], dz)
    x, weight = x.detach(), weight.detach()
    for way in WAYS.values():
        close(way.forward(x, weight, *window), right.detach())
        for mine, other in zip(way.backward(dz, x, weight, *window), gradients, strict=True):
            close(mine, other)
        single = way.backward(dz.float(), x.float(), weight.float(), *window)
        for mine, other in zip(single, gradients, strict=True):
            close(mine.double(), other, 1e-5 * float(other.abs().max()) + 1e-5)
    close(convolution.bias_backward(dz), dz.sum((0, 2, 3)))


def test_s149_a_map_is_the_sum_over_the_channels() -> None:
    x, weight = drawn(0, (1, 3, 6, 6), (4, 3, 3, 3))
    whole = convolution.by_places(x, weight)
    assert whole.shape == (1, 4, 4, 4)
    for kernel in range(4):
        apart = [convolution.by_places(x[:, [c]], weight[[kernel]][:, [c]]) for c in range(3)]
        close(whole[:, [kernel]], torch.stack(apart).sum(0))


def test_e075_e076_n070_convolution_as_printed_fails() -> None:
    """The shift that one printed line forgets: Σ_ab ∂E/∂x_ij ω_ab is the gradient times the kernel's sum."""
    x, weight, dz = drawn(0, (1, 1, 6, 6), (1, 1, 3, 3), (1, 1, 4, 4))
    dx, dweight = convolution.by_places_backward(dz, x, weight)
    unshifted = F.pad(dz, (0, 2, 0, 2)) * weight.sum()
    assert float((unshifted - dx).abs().max()) > 0.5
    last = dz.shape[2] - 1  # N - m; the printed N - m + 1 would read beyond the map
    by_hand = sum(dz[0, 0, i, j] * x[0, 0, i + 1, j + 2] for i in range(last + 1) for j in range(last + 1))
    assert float(dweight[0, 0, 1, 2]) == pytest.approx(float(by_hand), abs=1e-12)


def test_s152_s154_convmtx_is_banded_and_its_transpose_goes_backward() -> None:
    kernel, x = drawn(0, (3,), (6,))
    toeplitz = convolution.convmtx(kernel, 6)
    assert toeplitz.shape == (8, 6)
    for column in range(6):
        close(toeplitz[column : column + 3, column], kernel)
        assert int((toeplitz[:, column] != 0).sum()) == 3
    assert np.allclose(toeplitz @ x, np.convolve(x, kernel))
    x.requires_grad_()
    out = F.conv1d(x[None, None], kernel.flip(0)[None, None], padding=2)
    (dz,) = drawn(1, (8,))
    close(toeplitz.T @ dz, torch.autograd.grad(out, x, dz[None, None])[0])


@pytest.mark.parametrize("shape", [(2, 3), (3, 3), (1, 4)])
def test_s154_convmtx2_is_the_whole_convolution_of_a_picture(shape: tuple[int, int]) -> None:
    signal = pytest.importorskip("scipy.signal")
    kernel, x = drawn(0, shape, (4, 5))
    whole = convolution.convmtx2(kernel, 4, 5)
    full = signal.convolve2d(x, kernel)
    assert whole.shape == (full.size, 20)
    assert np.allclose((whole @ x.flatten()).view(full.shape), full)


def test_s156_rows_of_the_matrix_hold_m_squared_weights_a_channel() -> None:
    (weight,) = drawn(0, (2, 3, 3, 3))
    whole = convolution.matrix(weight, (6, 7))
    assert whole.shape == (2 * 4 * 5, 3 * 6 * 7)
    assert set((whole != 0).sum(1).tolist()) == {9 * 3}
    assert len(whole.unique()) == weight.numel() + 1  # S157: the same weights everywhere, and 0


def test_s157_a_shifted_picture_gives_a_shifted_map() -> None:
    x, weight = drawn(0, (1, 2, 9, 9), (3, 2, 3, 3))
    moved = x.roll((1, 2), (2, 3))
    close(convolution.by_unrolling(moved, weight)[:, :, 1:, 2:], convolution.by_unrolling(x, weight)[:, :, :-1, :-2])


def test_s153_unrolling_equals_torchs_and_rolling_is_its_adjoint() -> None:
    (x,) = drawn(0, (2, 3, 7, 8))
    for window in ((1, 0, 1), (2, 1, 1), (1, 2, 2)):
        stride, padding, dilation = window
        columns = convolution.unrolled(x, (3, 2), *window)
        close(columns, F.unfold(x, (3, 2), dilation, padding, stride))
        (other,) = drawn(1, tuple(columns.shape))
        rolled = convolution.rolled(other, (3, 2), (3, 7, 8), *window)
        close(rolled, F.fold(other, (7, 8), (3, 2), dilation, padding, stride))
        assert float((columns * other).sum()) == pytest.approx(float((x * rolled).sum()))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2))
def test_s168_the_transposed_convolution_is_the_adjoint(seed: int, stride: int, padding: int, dilation: int) -> None:
    x, weight = drawn(seed, (2, 3, 9, 8), (4, 3, 3, 3))
    out = convolution.by_places(x, weight, stride, padding, dilation)
    (z,) = drawn(seed + 1, tuple(out.shape))
    back = convolution.transposed(z, weight, (9, 8), stride, padding, dilation)
    assert float((out * z).sum()) == pytest.approx(float((x * back).sum()), abs=1e-9)
    size = [convolution.transposed_size(side, 3, stride, padding, dilation) for side in out.shape[2:]]
    theirs = F.conv_transpose2d(z, weight, None, stride, padding, dilation=dilation)
    assert list(theirs.shape[2:]) == size
    close(convolution.transposed(z, weight, (size[0], size[1]), stride, padding, dilation), theirs)


# --- sizes


def test_s147_c166_e073_output_sizes() -> None:
    assert convolution.output_size(10, 3) == 8
    assert convolution.output_size(5, 3) == 3
    assert convolution.output_size(5, 3, padding=1) == 5
    assert convolution.output_size(227, 11, 4) == 55  # AlexNet's first layer, as its sizes need it
    with pytest.raises(ZeroDivisionError):  # E073: "stride 0"
        convolution.output_size(10, 3, 0)


@pytest.mark.parametrize("size", [1, 3, 5, 7, 11])
def test_s158_e034_same_padding_keeps_the_size(size: int) -> None:
    assert convolution.same_padding(size) == (size - 1) // 2
    assert convolution.output_size(28, size, 1, convolution.same_padding(size)) == 28
    assert convolution.output_size(28, size, 1, convolution.same_padding(size, 2), 2) == 28


def test_e033_alexnets_first_layer_has_no_same_padding() -> None:
    assert convolution.output_size(224, 11, 4, convolution.same_padding(11)) != 224


# --- pooling


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 3))
def test_s159_s160_s161_pooling_equals_torchs(seed: int, size: int, stride: int) -> None:
    """Overlapping where the stride is less than the size, with gaps where it is more; rests are left out."""
    (x,) = drawn(seed, (2, 3, 7, 8))
    x.requires_grad_()
    for name, theirs in (("max", F.max_pool2d(x, size, stride)), ("average", F.avg_pool2d(x, size, stride))):
        (dz,) = drawn(seed + 1, tuple(theirs.shape))
        (right,) = torch.autograd.grad(theirs, x, dz)
        if name == "max":
            mine, taken = convolution.max_pool(x.detach(), size, stride)
            back = convolution.max_pool_backward(dz, taken, size, stride, (7, 8))
        else:
            mine = convolution.average_pool(x.detach(), size, stride)
            back = convolution.average_pool_backward(dz, size, stride, (7, 8))
        close(mine, theirs.detach())
        close(back, right)


def test_s159_the_gradient_goes_to_the_largest_alone_and_s160_a_quarter_to_each() -> None:
    x = matrix.written("1 3 2 4; 5 6 1 2; 7 2 9 1; 3 4 5 6")[None, None]
    found, taken = convolution.max_pool(x, 2, 2)
    assert matrix.typed(found[0, 0]) == "6 4; 7 9"
    one = torch.ones(1, 1, 2, 2, dtype=torch.float64)
    told = matrix.typed(convolution.max_pool_backward(one, taken, 2, 2, (4, 4))[0, 0])
    assert told == "0 0 0 1; 0 1 0 0; 1 0 1 0; 0 0 0 0"
    assert matrix.typed(convolution.average_pool(x, 2, 2)[0, 0]) == "3.75 2.25; 4 5.25"
    assert set(convolution.average_pool_backward(one, 2, 2, (4, 4)).flatten().tolist()) == {0.25}


def test_s161_c018_overlapping_pools_of_alexnet() -> None:
    sizes = [55]
    for _ in range(3):
        sizes.append(convolution.output_size(sizes[-1], 3, 2))
    assert sizes == [55, 27, 13, 6]


def test_s162_pooling_makes_a_shift_of_one_pixel_matter_less() -> None:
    image = load("digits", ("image",), seed=0).train.take(slice(0, 200))["image"].double()
    x = F.pad(image, (2, 2, 2, 2))
    weight = torch.stack([KERNELS["sobel-x"](), KERNELS["sobel-y"]()])[:, None]
    changes = {}
    for pooled in (False, True):
        maps = [convolution.by_unrolling(each, weight).relu() for each in (x, x.roll(1, 3))]
        one, other = (convolution.max_pool(each, 2, 2)[0] if pooled else each for each in maps)
        changes[pooled] = float(((one - other).flatten(1).norm(dim=1) / one.flatten(1).norm(dim=1)).mean())
    assert changes[True] < 0.9 * changes[False]


# --- what a unit sees


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(0, 1), st.integers(1, 2)), max_size=4))
def test_s155_the_receptive_field_is_where_the_gradient_is(layers: list[tuple[int, int, int, int]]) -> None:
    windows = [Window(*layer) for layer in layers]
    x = torch.zeros(1, 1, 1, 60, dtype=torch.float64, requires_grad=True)
    out = x
    for size, stride, padding, dilation in layers:
        out = F.conv1d(out[0], torch.ones(1, 1, size).double(), None, stride, padding, dilation)[None]
    found = convolution.receptive(windows)
    if not found:
        return
    place = out.shape[3] // 2
    (gradient,) = torch.autograd.grad(out[0, 0, 0, place], x)
    seen = gradient.flatten().nonzero().flatten()
    first = found[-1].first + place * found[-1].jump
    assert (int(seen[0]), int(seen[-1])) == (first, first + found[-1].field - 1)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_s155_layers_of_3_x_3_see_twice_their_number_and_one(depth: int) -> None:
    assert convolution.receptive([Window(3)] * depth)[-1].field == 2 * depth + 1


def test_s155_n010_on_centre_and_off_centre() -> None:
    answers = {}
    for strength in (0.8, 1.0):
        cell = convolution.ganglion(25, 1.5, 3.0, strength)
        answers[strength] = [float((cell * lit).sum()) for lit in convolved.stimuli(25, 3.0).values()]
    assert answers[0.8] == pytest.approx([0.543487, 0.2, -0.343487, 0], abs=1e-6)
    assert answers[1.0] == pytest.approx([0.472074, 0, -0.472074, 0], abs=1e-6)


# --- the system


def finished(path: Path, **knobs: Any) -> Run:
    carry_out(ConvolutionRecipe(**knobs), path, Host(device="cpu", threads=1))
    return Run.open(path)


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    out = capsys.readouterr()
    return int(end.value.code or 0), out.out, out.err


def test_a_run_tells_the_map_and_keeps_the_times(tmp_path: Path) -> None:
    result = finished(tmp_path / "run").result()
    assert result is not None
    assert "The map: 28 33 24 28; 24 26 47 37; 9 34 66 34." in result["remarks"]
    assert "Its first value: 28 = 5·2 + 2·3 + 1·4 + 4·2." in result["remarks"]
    assert result["scores"]["test/difference"] < 1e-12
    assert result["scores"]["test/gradient_difference"] < 1e-12
    assert all(result["scores"][f"{way}/seconds at 32 x 32"] > 0 for way in WAYS)


def test_the_differences_are_those_of_wrong_weights_too() -> None:
    right, wrong = K2, K2 + torch.tensor([[0, 0], [0, 1e-3]])
    assert max(max(each) for each in differences(X2, right, right, 1, 0, 1).values()) < 1e-12
    assert all(each[0] > 1e-5 for each in differences(X2, wrong, right, 1, 0, 1).values())
    assert all(each[1] > 1e-5 for each in differences(X2, wrong, right, 1, 0, 1).values())


@pytest.mark.parametrize("name", KERNELS)
def test_named_kernels_have_their_sums(name: str) -> None:
    """An edge finder answers nothing on a plain ground; the others keep its brightness."""
    plain = 1.0 if name in ("identity", "blur", "gaussian", "sharpen") else 0.0
    assert float(KERNELS[name]().sum()) == pytest.approx(plain, abs=1e-12)


def test_predict_gives_maps_as_pictures_and_numbers_of_any_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    finished(path, kernel=("sobel-x", "laplace"), data="digits")
    Image.fromarray(np.tile(np.arange(0, 250, 10, dtype=np.uint8), (9, 1))).save(tmp_path / "ramp.png")
    (tmp_path / "grid.csv").write_text("1,2,3\n4,5,6\n7,8,9\n")
    status, out, err = run("predict", path, tmp_path / "ramp.png", tmp_path / "grid.csv", "0 0 0 1; 0 0 0 1; 0 0 0 1",
                           "--json", capsys=capsys)  # fmt: skip
    assert status == 0, err
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["rows"], row["columns"]) for row in rows] == [(7, 23)] * 2 + [(1, 1)] * 2 + [(1, 2)] * 2
    assert rows[0]["lowest"] == pytest.approx(80 / 255, abs=1e-5)  # 4 times two steps of 10
    assert [row["begins"] for row in rows[2:]] == ["8", "0", "0 4", "0 1"]
    assert matrix.from_path(Path(rows[4]["numbers"])).values.tolist() == [[[0, 4]]]
    with Image.open(rows[0]["file"]) as picture:
        assert picture.size == (23, 7)


def test_predict_can_pool_and_keeps_channels_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "colours.png")
    path = tmp_path / "run"
    finished(path, data=str(tmp_path / "colours.png"), kernel=("identity",), channels="each", padding="same")
    status, out, _ = run("predict", path, tmp_path / "colours.png", "--json", capsys=capsys)
    row = json.loads(out)
    assert status == 0
    with Image.open(row["file"]) as picture:
        assert np.array_equal(np.asarray(picture), colours)
    _, out, _ = run("predict", path, tmp_path / "colours.png", "--json", "--pooled", capsys=capsys)
    assert (json.loads(out)["rows"], json.loads(out)["columns"]) == (6, 5)


def test_channels_are_summed_unless_told(tmp_path: Path) -> None:
    Image.fromarray(np.full((5, 5, 3), (255, 0, 51), dtype=np.uint8)).save(tmp_path / "red.png")
    recipe = ConvolutionRecipe(data=str(tmp_path / "red.png"), kernel=("identity",))
    data = recipe.load()
    learner = recipe.learner(recipe.model(data.spec))
    learner.step(data.train.at(0), None)  # type: ignore[arg-type]
    assert isinstance(learner.model, Convolution)
    assert learner.done
    close(learner.model(data.train.at(0)["image"]), torch.full((1, 1, 3, 3), 1.2), 1e-6)


def test_flip_is_the_convolution_of_mathematics(tmp_path: Path) -> None:
    result = finished(tmp_path / "run", flip=True).result()
    assert result is not None
    assert "The map: 29 32 22 25; 26 27 48 32; 10 37 64 30." in result["remarks"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--kernel", "sobelx"], "kernel must be identity"),
        (["--kernel", "1 2; 3"], "every row must have as many numbers as the first, 2; row 2 has 1."),
        (["--kernel", "1 2; 3 4", "--padding", "same"], "same padding needs a kernel that covers an odd number"),
        (["--padding", "2"], "padding must be less than the pixels that the kernel covers, 2"),
        (["--padding", "-1"], "padding must be 'same' or at least 0; got -1."),
        (["--kernel", "gaussian"], "a picture must be as large as the kernel covers, 7 x 7"),
        (["--pool-size", "4"], "pool_size must be at most the side of the map, which is 3 x 4; got 4."),
        (["--dilation", "31"], "a kernel must cover 31 pixels a side at most, dilation counted; got 32."),
        (["--kernel", "blur", "1 0; 0 1"], "must all have an odd number of rows"),
        (["--data", "1 2; 3"], "row 2 has 1."),
        (["--data", "iris"], "takes one picture or a matrix of numbers or pictures; iris is a table."),
    ],
)
def test_mistakes_are_sentences(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run("run", "convolution", *words, "--out", tmp_path / "run", capsys=capsys)
    assert (status, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("1,2\n3,x\n", "got 'x' in line 2"), ("", "it holds none"), ("1,2\n3,inf\n", "got 'inf'"), ("1,2\n3\n", "line 2")],
)
def test_files_of_numbers_that_are_none_are_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "grid.csv").write_text(text)
    with pytest.raises(UserError, match=sentence):
        matrix.from_path(tmp_path / "grid.csv")


def test_numbers_are_read_however_they_are_kept_apart(tmp_path: Path) -> None:
    for name, text in (
        ("a.csv", "1,2\n3,4\n"),
        ("b.csv", "1;2\n3;4"),
        ("c.tsv", "1\t2\n\n3\t4\n"),
        ("d.txt", "1 2\n3 4"),
    ):
        (tmp_path / name).write_text(text)
        assert matrix.from_path(tmp_path / name).values.tolist() == [[[1, 2], [3, 4]]]


def test_pictures_that_are_broken_or_missing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="must be a picture"):
        matrix.from_path(tmp_path / "broken.png")
    with pytest.raises(UserError, match="there is no such file"):
        matrix.read([str(tmp_path / "missing.png")], {"shape": [1, 4, 4]})


def test_the_named_sets_hold_the_notes_numbers() -> None:
    for name, values in (("conv_example", X2), ("conv_five", X3)):
        close(catalog.read(name).values, values[0])
        assert load(name, ("matrix",), seed=0).spec["kernel"]


def test_the_report_draws_everything(tmp_path: Path) -> None:
    for number, knobs in enumerate(
        (
            {},
            {"data": "digits", "kernel": ("on-centre",), "padding": 6, "pool": "none"},
            {"data": "conv_five", "stride": 2},
        )
    ):
        path = page.write(finished(tmp_path / str(number), **knobs))
        text = Path(path).read_text(encoding="utf-8")
        assert "Not drawn" not in text
        for title in ("Picture, kernels and maps", "The layer as a matrix", "The receptive field", "Time of each way"):
            assert title in text


def test_the_times_have_a_line_for_every_way() -> None:
    scores = {f"{way}/seconds at {side} x {side}": 0.001 * side for way in WAYS for side in (16, 32)}
    with drawing():
        axes = convolved.times(scores).axes[0]
    assert [line.get_label() for line in axes.lines] == list(WAYS)
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([16, 32])


def test_it_is_found_by_its_name() -> None:
    assert find("convolution") is ConvolutionRecipe
