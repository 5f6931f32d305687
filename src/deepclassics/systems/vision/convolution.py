"""Convolution: kernels laid on any picture, computed in five ways that must agree, and the pooling after it.

The data are a picture (`--data photo.jpg`), a matrix (`--data "1 2 3; 4 5 6; 7 8 9"`, or a `.csv`), or the first few
pictures of a set; kernels are named (`--kernel sobel-x on-centre`) or written (`--kernel "1 0; 0 -1"`). `predict RUN
OTHER.jpg` gives the maps of other pictures of any size, as pictures and as numbers.

Nothing is learnt: the kernels are put into the layer, and that is the run. The maps of loops, of the kernel's places,
of the Toeplitz matrix and of unrolled windows, and the gradients of each, are held against the library's in every run;
what each way costs is measured, in processor time, against the size of the picture. The operations themselves, with
their formulas and shapes, are in `layers/convolution.py`.

Source: as told there. K. Fukushima, Neocognitron (1980), and Y. LeCun et al., Backpropagation applied to handwritten
zip code recognition (1989), for kernels that all places share. Notes: S146 to S162, S168, N002, N003, N010; errata
E034, E073, E075, E076.

Departures from the paper: the kernels are given, not learnt. On a colour picture a kernel is laid on all channels alike
and their maps are summed, as in a layer whose channels have the same weights; `--channels each` keeps them apart.

Expected: conv_example gives 28 33 24 28; 24 26 47 37; 9 34 66 34, with --flip 29 32 22 25; 26 27 48 32; 10 37 64 30.
All ways agree to 1e-12, relative to the largest sum that there could be. With that kernel on
32 x 32 pixels and one core, loops take some 200 times as long as unrolling.

Letters: B pictures, C channels, H by W pixels, K kernels of h by w, O maps (K, or K times C) of R by S places.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from deepclassics.data import load
from deepclassics.data.kinds import matrix
from deepclassics.data.streams import Batch, Columns, Data, InOrder, Stream, Whole
from deepclassics.errors import UserError, meant
from deepclassics.flags import Knobs
from deepclassics.layers import convolution
from deepclassics.learn import Clock, Learner, Scores, Stateful
from deepclassics.loop import Plan
from deepclassics.progress import many
from deepclassics.recipe import Picture, Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

KERNELS: dict[str, Callable[[], Tensor]] = {
    "identity": lambda: matrix.written("0 0 0; 0 1 0; 0 0 0"),
    "blur": lambda: torch.full((3, 3), 1 / 9, dtype=torch.float64),
    "gaussian": lambda: convolution.gaussian(7, 1.0),
    "sharpen": lambda: matrix.written("0 -1 0; -1 5 -1; 0 -1 0"),
    "sobel-x": lambda: matrix.written("-1 0 1; -2 0 2; -1 0 1"),  # where it grows brighter to the right
    "sobel-y": lambda: matrix.written("-1 -2 -1; 0 0 0; 1 2 1"),  # where it grows brighter downwards
    "laplace": lambda: matrix.written("0 1 0; 1 -4 1; 0 1 0"),
    "on-centre": lambda: convolution.ganglion(13, 1.0, 2.0),
    "off-centre": lambda: -convolution.ganglion(13, 1.0, 2.0),
}
USUAL = "sobel-x"
PICTURES = 4  # of a set: what the kernels are laid on, and what the report shows
WIDEST = 31  # pixels that a kernel may cover: the ways are compared on patches that it fits into
PATCH = 12  # pixels, the side of such a patch where the kernel leaves a choice
SIDES = (16, 24, 32, 48, 64)  # pixels, of the pictures that the ways are timed on
ENTRIES = 2**24  # of the matrix of a layer that is timed: 64 MB
TOLD = 30  # values of a map that the remarks tell
TIMED = 0.02  # seconds of processor time that a measurement takes at least


class Convolution(nn.Module):
    """The layer, without a bias, and the pooling behind it. Its weights are 0 until the kernels are put in."""

    weight: Tensor

    def __init__(
        self,
        names: list[str],  # of the kernels
        kernels: Tensor,  # (O, C, h, w), those to be put in
        stride: int,
        padding: int,
        dilation: int,
        pool: Literal["max", "average", "none"],
        pool_size: int,
        pool_stride: int,
    ) -> None:
        super().__init__()
        self.names, self.kernels = names, kernels
        self.register_buffer("weight", torch.zeros_like(kernels))
        self.window = (stride, padding, dilation)
        self.pool, self.pool_size, self.pool_stride = pool, pool_size, pool_stride

    def forward(self, x: Tensor) -> Tensor:  # (B, C, H, W) -> (B, O, R, S)
        return convolution.by_library(x, self.weight.to(x.dtype), *self.window)

    def pooled(self, maps: Tensor) -> Tensor:  # (B, O, R, S) -> (B, O, R', S')
        """The maps after pooling; where there is none, the maps."""
        if self.pool == "max":
            return convolution.max_pool(maps, self.pool_size, self.pool_stride)[0]
        return convolution.average_pool(maps, self.pool_size, self.pool_stride) if self.pool == "average" else maps

    def windows(self) -> list[convolution.Window]:
        """Convolution and pooling as far as sizes go, down the side of a picture."""
        found = [convolution.Window(self.weight.shape[2], *self.window)]
        return found if self.pool == "none" else [*found, convolution.Window(self.pool_size, self.pool_stride)]


class ConvolutionLearner(Learner):
    """One step puts the kernels in."""

    def __init__(self, model: Convolution) -> None:
        self.model: Convolution = model

    def step(self, batch: Batch, clock: Clock) -> Scores:
        kernels = self.model.kernels
        self.model.weight.copy_(kernels)
        self.done = True
        return {"maps": float(len(kernels)), "weights": float(kernels.numel())}

    def evaluate(self, stream: Stream) -> Scores:
        """The largest differences, over all ways, of maps and of gradients from what the kernels should give."""
        forward, backward = 0.0, 0.0
        for batch in stream:
            found = differences(batch["image"], self.model.weight, self.model.kernels, *self.model.window)
            forward = max(forward, *(each[0] for each in found.values()))
            backward = max(backward, *(each[1] for each in found.values()))
        return {"difference": forward, "gradient_difference": backward}

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model}


def differences(
    x: Tensor, weight: Tensor, right: Tensor, stride: int, padding: int, dilation: int
) -> dict[str, tuple[float, float]]:  # (B, C, H, W), (O, C, h, w) twice
    """For every way the largest difference of its maps, and of its gradients, from autograd through the library with
    the weights `right`; as shares of the largest that sums of these magnitudes could be. On the middle of the picture.
    """
    covered = max(convolution.extent(size, dilation) for size in weight.shape[2:])
    side = max(PATCH, covered + stride)
    top, left = (max(0, (pixels - side) // 2) for pixels in x.shape[2:])
    x, weight = x[:, :, top : top + side, left : left + side].double(), weight.double()
    known = [x.clone().requires_grad_(), right.to(weight).clone().requires_grad_()]
    with torch.enable_grad():
        maps = F.conv2d(known[0], known[1], None, stride, padding, dilation)
    dz = torch.randn(maps.shape, dtype=maps.dtype, generator=torch.Generator().manual_seed(0)).to(maps.device)
    window = (stride, padding, dilation)
    wanted = (maps.detach(), *torch.autograd.grad(maps, known, dz))
    library = convolution.WAYS["library"]
    most = (
        library.forward(x.abs(), known[1].detach().abs(), *window),
        *library.backward(dz.abs(), x.abs(), known[1].detach().abs(), *window),
    )
    found = {}
    for name, way in convolution.WAYS.items():
        given = (way.forward(x, weight, *window), *way.backward(dz, x, weight, *window))
        off = [float((one - two).abs().max()) / (float(top.max()) or 1.0)
               for one, two, top in zip(given, wanted, most, strict=True)]  # fmt: skip
        found[name] = (off[0], max(off[1:]))
    return found


def times(weight: Tensor, stride: int, padding: int, dilation: int) -> dict[tuple[str, int], float]:
    """Seconds of processor time that each way takes, forward and backward, for one picture of so many pixels a side.

    The layer's matrix is left out where it would be larger than ENTRIES. It is built every time, as weights change.
    """
    weight, window = weight.cpu().float(), (stride, padding, dilation)
    found = {}
    for side in SIDES:
        if side + 2 * padding < max(convolution.extent(size, dilation) for size in weight.shape[2:]):
            continue
        x = torch.rand(1, weight.shape[1], side, side, generator=torch.Generator().manual_seed(side))
        dz = convolution.by_library(x, weight, *window)
        for name, way in convolution.WAYS.items():
            if name != "matrix" or dz.numel() * x.numel() <= ENTRIES:
                found[name, side] = _seconds(way, dz, x, weight, window)
    return found


def _seconds(way: convolution.Way, dz: Tensor, x: Tensor, weight: Tensor, window: tuple[int, int, int]) -> float:
    count, begin = 0, time.process_time()
    while (spent := time.process_time() - begin) < TIMED or not count:
        way.forward(x, weight, *window)
        way.backward(dz, x, weight, *window)
        count += 1
    return spent / count


def refuse_small(what: str, x: Tensor, model: Convolution, pooled: bool) -> None:  # (B, C, H, W)
    """Refuses a picture that the kernel does not fit into, and a map, if `pooled`, that the pooling does not."""
    stride, padding, dilation = model.window
    size = model.weight.shape[2:]
    places = [convolution.output_size(x.shape[2 + k], size[k], stride, padding, dilation) for k in range(2)]
    if min(places) < 1:
        covered = " x ".join(str(convolution.extent(side, dilation)) for side in size)
        raise UserError(
            f"convolution: a picture must be as large as the kernel covers, {covered}, or larger; {what} is {_size(x)} "
            f"with a padding of {padding}. Take a larger one, or more padding."
        )
    if pooled and model.pool != "none" and min(places) < model.pool_size:
        raise UserError(
            f"convolution: pool_size must be at most the side of the map, which is {places[0]} x {places[1]}; got "
            f"{model.pool_size}. Take less, or --pool none."
        )


def products(x: Tensor, kernel: Tensor, dilation: int) -> str:  # (H, W), (h, w)
    """The first value of a map written out: "28 = 5·2 + 2·3 + 1·4 + 4·2"."""
    height, width = (convolution.extent(size, dilation) for size in kernel.shape)
    window = x[:height:dilation, :width:dilation]
    pairs = [
        f"{a + 0.0:.4g}·{b + 0.0:.4g}"
        for a, b in zip(window.flatten().tolist(), kernel.flatten().tolist(), strict=True)
    ]
    return f"{float((window * kernel).sum()):.6g} = {' + '.join(pairs)}"


def _size(maps: Tensor) -> str:
    return f"{maps.shape[-2]} x {maps.shape[-1]}"


class Options(Knobs):
    """What predict can be told."""

    pooled: bool = Field(False, description="the maps after pooling")


class ConvolutionRecipe(Recipe):
    """Kernels laid on a picture, on a matrix, or on the first pictures of a set."""

    takes = ("matrix", "image")
    gives = ("matrix",)
    asked = "matrix"
    answers_target = False
    options = Options

    data: str = Field(
        "conv_example",
        description="a picture, a .csv of numbers, numbers as in '1 2; 3 4', or a set or folder of pictures",
    )
    kernel: tuple[str, ...] = Field(
        ("auto",),
        description=f"{', '.join(KERNELS)}, or numbers as in '1 0 -1; 2 0 -2; 1 0 -1'; several: a map each; auto: the "
        f"example's own, else {USUAL}",
    )
    flip: bool = Field(
        False, description="turn the kernels by half a turn first: convolution in the sense of mathematics"
    )
    stride: Annotated[int, Field(ge=1, description="pixels that the window goes on at a time")] = 1
    padding: Literal["same"] | int = Field(
        0, description="rows of zeros around the picture; same: as many as keep its size at stride 1"
    )
    dilation: Annotated[int, Field(ge=1, description="pixels between neighbours in the kernel")] = 1
    channels: Literal["sum", "each"] = Field("sum", description="of a colour picture: summed to one map, or a map each")
    pool: Literal["max", "average", "none"] = Field("max", description="what is taken of every window of a map")
    pool_size: Annotated[int, Field(ge=1, description="side of that window, in places of the map")] = 2
    pool_stride: Annotated[int | None, Field(ge=1)] = Field(
        None, description="places that it goes on at a time; less than the size: windows overlap; none: the size"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.padding != "same" and self.padding < 0:
            raise ValueError(f"padding must be 'same' or at least 0; got {self.padding}.")
        if self.kernel != ("auto",):
            self._kernels({})
        return self

    def load(self) -> Data:
        found = load(self.data, self.takes, seed=self.seed, valid=0.0, test=0.0)
        image = found.train.take(slice(0, PICTURES))["image"]
        refuse_small(self.data, image, self.model(found.spec), pooled=True)
        columns = Columns(image=image)
        return Data(found.spec | {"examples": {"train": len(image)}}, Whole(columns), test=InOrder(columns))

    def _kernels(self, spec: dict[str, Any]) -> dict[str, Tensor]:
        """The kernels, (h, w), by their names, and flipped where they are to be. Smaller ones get a rim of zeros.

        Raises:
            UserError: one is neither known nor a matrix, one cannot lie in the middle of another, or covers too much.
        """
        found = {}
        if not self.kernel:
            raise UserError(f"kernel must be {', '.join(KERNELS)}, or numbers as in '1 0; 0 -1'; got none.")
        for word in self.kernel if self.kernel != ("auto",) else (spec.get("kernel") or USUAL,):
            if word not in KERNELS and not any(letter.isdigit() for letter in word):
                raise UserError(
                    f"kernel must be {', '.join(KERNELS)}, or numbers as in '1 0; 0 -1'; got '{word}'."
                    f"{meant(word, KERNELS)}"
                )
            one = KERNELS[word]() if word in KERNELS else matrix.written(word)
            found[word] = convolution.flipped(one) if self.flip else one
        largest = [max(one.shape[k] for one in found.values()) for k in range(2)]
        for word, one in found.items():
            more = [largest[k] - one.shape[k] for k in range(2)]
            if any(rest % 2 for rest in more):
                raise UserError(
                    f"kernels beside each other must all have an odd number of rows, or all an even one, and so for "
                    f"columns; {word} is {_size(one)}, another {largest[0]} x {largest[1]}. Run them one by one."
                )
            found[word] = F.pad(one, (more[1] // 2, more[1] // 2, more[0] // 2, more[0] // 2))
        covered = [convolution.extent(size, self.dilation) for size in largest]
        if max(covered) > WIDEST:
            raise UserError(
                f"a kernel must cover {WIDEST} pixels a side at most, dilation counted; got {max(covered)}."
            )
        if self.padding == "same" and any(side % 2 == 0 for side in covered):
            raise UserError(
                f"same padding needs a kernel that covers an odd number of pixels a side; got one that covers "
                f"{covered[0]} x {covered[1]}."
            )
        if self.padding == "same" and covered[0] != covered[1]:
            raise UserError(f"same padding needs a square kernel; got one that covers {covered[0]} x {covered[1]}.")
        if self.padding != "same" and self.padding >= max(max(covered), 2):
            raise UserError(
                f"padding must be less than the pixels that the kernel covers, {max(covered)}, since more adds nothing "
                f"but zeros; got {self.padding}."
            )
        return found

    def _padding(self, kernel: Tensor) -> int:
        return convolution.same_padding(len(kernel), self.dilation) if self.padding == "same" else self.padding

    def _weight(self, spec: dict[str, Any]) -> Tensor:  # -> (O, C, h, w)
        channels = spec["shape"][0]
        kernels = torch.stack(list(self._kernels(spec).values()))
        if self.channels == "sum":
            return kernels[:, None].repeat(1, channels, 1, 1)
        return torch.einsum("kab,cd->kcdab", kernels, torch.eye(channels, dtype=torch.float64)).flatten(0, 1)

    def model(self, spec: dict[str, Any]) -> Convolution:
        kernels = self._kernels(spec)
        padding = self._padding(next(iter(kernels.values())))
        return Convolution(
            list(kernels), self._weight(spec), self.stride, padding, self.dilation,
            self.pool, self.pool_size, self.pool_stride or self.pool_size,
        )  # fmt: skip

    def learner(self, model: nn.Module) -> ConvolutionLearner:
        assert isinstance(model, Convolution)
        return ConvolutionLearner(model)

    def plan(self, data: Data) -> Plan:
        return Plan(1, 1)

    def chosen(self, spec: dict[str, Any]) -> dict[str, Any]:
        kernels = self._kernels(spec)
        found: dict[str, Any] = {"kernel": ", ".join(kernels)} if self.kernel == ("auto",) else {}
        return found | ({"padding": self._padding(next(iter(kernels.values())))} if self.padding == "same" else {})

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        """The maps of every picture, which may differ in size."""
        assert isinstance(model, Convolution)
        maps = []
        for x in question["image"]:
            refuse_small("the picture", x, model, options.pooled)
            found = model(x)
            maps.append((model.pooled(found) if options.pooled else found)[0])
        colour = self.channels == "each" and model.weight.shape[1] == 3
        return {"matrix": maps, "heads": model.names, "colour": colour}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        """What each way costs, by the size of the picture; and the sizes, the first values, and what a unit sees."""
        model = learner.model
        assert isinstance(model, Convolution)
        x = data.train.at(0)["image"][:1].cpu()
        maps = convolution.by_library(x.double(), model.kernels, *model.window)
        pooled = model.pooled(maps)
        found = times(model.kernels, *model.window)
        taken = {f"{way}/seconds at {side} x {side}": seconds for (way, side), seconds in found.items()}
        told = [
            f"{_size(x)} pixels give {many(maps.shape[1], 'map')} of {_size(maps)}"
            + (f", {self.pool} pooling makes them {_size(pooled)}." if self.pool != "none" else "."),
        ]
        if maps[0, 0].numel() <= TOLD:
            told.append(f"The map: {matrix.typed(maps[0, 0])}.")
        if model.kernels[0].numel() <= 9 and not self.padding:
            told.append(f"Its first value: {products(x[0, 0].double(), model.kernels[0, 0], self.dilation)}.")
        sights = convolution.receptive(model.windows())
        told.append(
            f"A unit of the map sees {sights[0].field} rows of the picture"
            + (f", one of the pooled map {sights[1].field}." if len(sights) > 1 else ".")
        )
        side = max(side for side in SIDES if f"matrix/seconds at {side} x {side}" in taken)
        loops, unrolled = (taken[f"{way}/seconds at {side} x {side}"] for way in ("loops", "unrolled"))
        told.append(
            f"Forward and backward on {side} x {side} pixels, unrolling took {1e3 * unrolled:.3g} ms of processor "
            f"time, loops {loops / unrolled:.3g} times as long."
        )
        return taken, told

    def _heads(self, spec: dict[str, Any]) -> list[str]:
        """The names of the maps."""
        names = list(self._kernels(spec))
        channels = spec["shape"][0] if self.channels == "each" else 1
        return [
            f"{name}, channel {k}" if k else name
            for name in names
            for k in (range(1, channels + 1) if channels > 1 else (0,))
        ]

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import convolved

        model, spec = evidence.model, evidence.spec
        assert isinstance(model, Convolution)
        heads, result = self._heads(spec), evidence.result
        stride, padding, dilation = model.window

        def maps() -> "Figure":
            x = evidence.splits().train["image"][:1]
            found = model(x)
            return convolved.maps(
                x[0], model.weight, found[0], None if model.pool == "none" else model.pooled(found)[0], heads
            )

        def others() -> "Figure":
            x = evidence.splits().train["image"]
            return convolved.several(x, model(x), heads)

        told = (
            "What a kernel makes of the picture. Orange is above 0 and blue below, each panel with its own scale, of "
            "which the largest hundredth are alike. A map is large where what lies under the window is like the "
            "kernel, and bright."
        )
        found = [Picture("Picture, kernels and maps", told, maps)]
        if spec["examples"]["train"] > 1:
            found.append(
                Picture("The maps of other pictures", "Rows are pictures of the set, columns kernels.", others)
            )
        shown = [min(pixels, max(8, convolution.extent(size, dilation) + stride)) for pixels, size
                 in zip(spec["shape"][1:], model.weight.shape[2:], strict=True)]  # fmt: skip
        found += [
            Picture(
                "The layer as a matrix",
                f"The matrix of {heads[0]} for {shown[0]} x {shown[1]} pixels: a row for every place of the map, a "
                "column for every pixel, both counted row by row. It is Toeplitz in blocks, and so is each block: the "
                "same few weights over and over, and zeros (white). Above, one row of the kernel alone, flipped as "
                "Matlab's convmtx has it.",
                lambda: convolved.matrix(model.weight[0, 0], (shown[0], shown[1]), stride, padding, dilation),
            ),
            Picture(
                "The receptive field",
                "What reaches one unit of the map, and of the pooled map: pixels are the darker the larger the weights "
                "with which they can enter.",
                lambda: convolved.fields(model.weight[:1], model.windows(), model.pool),
            ),
            Picture(
                "Sizes",
                "Of the map N' = (N + 2 padding - extent) / stride + 1, rounded down, where the extent is "
                "dilation (m - 1) + 1. Jump: pixels between what neighbouring units see.",
                lambda: convolved.sizes(spec["shape"], model.weight.shape, model.windows()),
            ),
        ]
        if any("-centre" in name for name in heads):
            told = (
                "Rodieck's model of a ganglion cell, on four stimuli: a small light, a full one, a ring, and darkness. "
                "Lit throughout, it answers little, since its surround takes away what its centre gives."
            )
            found.append(Picture("On-centre and off-centre", told, lambda: convolved.ganglia(25, 1.5, 3.0, 0.8)))
        if result:
            told = (
                "One picture, forward and backward, on one core of the processor, measured when the run was made. The "
                "matrix is built anew each time, as in training, and left out where it would take over 64 MB."
            )
            found.append(Picture("Time of each way", told, lambda: convolved.times(result["scores"])))
        return found
