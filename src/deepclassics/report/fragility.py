"""How little it takes to mislead a classifier of pictures: noise made for the purpose, and a patch to be printed.

- Fast gradient sign (Goodfellow, Shlens, Szegedy 2015, section 4): one step along the sign of the loss's gradient.
- Projected gradient (Madry et al. 2018, section 2.1): many such steps from a random start, none out of reach.
- A patch (after Brown et al. 2017): one small square for all pictures, learnt on training pictures, laid anywhere on
  others. Theirs is learnt towards one class, turned and scaled, to bear being photographed; this one is to mislead to
  any class, and is laid upright, at its size, on the picture's own pixels. Whether it works in print is not tried.

Beside them stand random noise of the same size and random patches, which a net should bear and mostly does. Notes:
S167, C024. The net is attacked through its scores, with its weights known; nothing in it is changed.

captum has the first two (`captum.robust`), but leaves alone every pixel along which the loss's slope is below 1e-6, and
where a net is sure all slopes are: it then passes for robust. A LeNet-5 on `husky_fair` kept 47 to 74 % right answers
under captum's fast gradient sign of 16/255, and 15 % under the one here.

Letters: B pictures a batch, N pictures, C channels, H by W pixels, K classes, S the side of a patch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepclassics.data.streams import Columns, InOrder
from deepclassics.errors import UserError
from deepclassics.learn import untraced
from deepclassics.metrics import wilson
from deepclassics.progress import telling
from deepclassics.recipe import Picture
from deepclassics.report.html import table
from deepclassics.report.pitfalls import at_once, of_all, slopes, told
from deepclassics.report.style import BLUE, FAINT, MARKERS, ORANGE, PALETTE, VERMILLION, drawable, grid, percent, sheet
from deepclassics.report.tiles import answered

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from deepclassics.report.evidence import Evidence

PICTURES, FEWEST = 300, 30  # of the test part
PIXELS = 4_000_000  # of all of them, a channel
WORK = 1e13  # multiply-adds of the attacks, and again of the patch: minutes on two cores
STRENGTHS = (1, 2, 4, 8, 16, 32, 64)  # the most by which a pixel may change, in 1/255
STEPS = 10  # of projected gradient
AREA = 0.05  # of the picture, that a patch may cover
UPDATES, BATCH, LEAST = 200, 64, 8  # of a patch: updates, pictures of one, and of a large net's at least
SEED = 0
SHOWN = 6  # pictures
PRINT = 512  # pixels, the side of the patch's file at least


def margin(scores: Tensor, label: Tensor) -> Tensor:  # (B, K), (B,) -> (B,)
    """How far the other classes together are above the right one: m = log(sum over j != y of e^(s_j)) - s_y.

    Cross-entropy is log(1 + e^m), so both have gradients of the same sign; that of m does not vanish where the net is
    sure of the right answer.
    """
    right = F.one_hot(label, scores.shape[1]).bool()
    return scores.masked_fill(right, -math.inf).logsumexp(1) - scores[right]


def slope(model: nn.Module, image: Tensor, label: Tensor) -> Tensor:  # (B, C, H, W), (B,) -> (B, C, H, W)
    """The gradient of the margin along the pixels."""
    return slopes(model, image, lambda scores, rows: margin(scores, label[rows]))


def fast_sign(model: nn.Module, image: Tensor, label: Tensor, strength: float) -> Tensor:  # (B, C, H, W) in [0, 1]
    """Every pixel moved by `strength` in the direction that makes the answer worse."""
    return (image + strength * slope(model, image, label).sign()).clamp(0, 1)


def projected(
    model: nn.Module, image: Tensor, label: Tensor, strength: float, steps: int, generator: torch.Generator
) -> Tensor:  # (B, C, H, W) in [0, 1]
    """Where `steps` lead from a random start, no pixel ever farther than `strength` from where it was.

    Steps are of 2.5 strength / steps, so that they reach the far side from any start.
    """
    low, high = (image - strength).clamp_min(0), (image + strength).clamp_max(1)
    noise = torch.rand(image.shape, generator=generator) * 2 - 1
    changed = (image + strength * noise).clamp(0, 1)
    for _ in range(steps):
        step = 2.5 * strength / steps * slope(model, changed, label).sign()
        changed = torch.minimum(torch.maximum(changed + step, low), high)
    return changed


def noisy(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:  # (B, C, H, W) in [0, 1]
    """Every pixel moved by `strength`, up or down by chance: as large as fast gradient sign, without its aim."""
    sign = torch.randint(2, image.shape, generator=generator) * 2 - 1
    return (image + strength * sign).clamp(0, 1)


def side(height: int, width: int) -> int:
    """Of the largest square patch, in pixels, that covers no more than AREA; a pixel at least."""
    return max(1, math.isqrt(int(AREA * height * width)))


def laid(image: Tensor, patch: Tensor, generator: torch.Generator) -> Tensor:  # (B, C, H, W), (C, S, S) or (B, C, S, S)
    """The patch over a random place of every picture."""
    height, width = image.shape[-2:]
    size = patch.shape[-1]
    top = torch.randint(height - size + 1, (len(image), 1), generator=generator)
    left = torch.randint(width - size + 1, (len(image), 1), generator=generator)
    row, column = torch.arange(height) - top, torch.arange(width) - left  # (B, H), (B, W) within the patch
    within = ((row >= 0) & (row < size))[:, :, None] & ((column >= 0) & (column < size))[:, None, :]
    picture = torch.arange(len(image))[:, None, None]
    patches = patch.expand(len(image), *patch.shape[-3:]).movedim(1, -1)
    placed = patches[picture, row.clamp(0, size - 1)[:, :, None], column.clamp(0, size - 1)[:, None, :]]
    return torch.where(within[:, None], placed.movedim(-1, 1), image)


def learnt_patch(
    model: nn.Module, train: Columns, size: int, updates: int, generator: torch.Generator, count: int = BATCH
) -> Tensor:
    """A patch (C, S, S) in [0, 1] that turns the answers to training pictures, wherever it lies on them.

    Adam on the mean of max(0, 2 - margin): pictures that are well misled no longer count, so that it is learnt on the
    others. An update takes `count` pictures, and after it the patch is brought back to what can be printed.
    """
    first = train.take(torch.arange(1))["image"]
    together = at_once(model, first)
    patch = torch.rand(first.shape[1], size, size, generator=generator).requires_grad_()
    optimizer = torch.optim.Adam([patch], lr=0.05)
    for _ in telling(range(updates), "The patch"):
        batch = train.take(torch.randint(len(train), (count,), generator=generator))
        patch.grad = torch.zeros_like(patch)
        for image, label in zip(batch["image"].split(together), batch["label"].split(together), strict=True):
            with torch.enable_grad():
                loss = F.relu(2 - margin(model(laid(image, patch, generator)), label)).sum() / count
                patch.grad += torch.autograd.grad(loss, patch)[0]
        optimizer.step()
        patch.data.clamp_(0, 1)
    return patch.detach()


# --- all of it on one net


@dataclass(frozen=True)
class Attacked:
    """What became of N test pictures. `right` is by attack, then by strength in STRENGTHS: (N,) bool each."""

    image: Tensor  # (N, C, H, W)
    label: Tensor  # (N,) the right answers
    whole: int  # pictures of the test part
    clean: Tensor  # (N,) the answers as they are
    right: dict[str, list[Tensor]]
    changed: dict[str, Tensor]  # (N, C, H, W) by attack, at the strength `at`
    at: int  # the least strength in 1/255 at which projected gradient turns half of the right answers, or the largest
    patch: Tensor  # (C, S, S)
    patched: dict[str, Tensor]  # "patch" and "random patch": (N, C, H, W)
    answers: dict[str, Tensor]  # (N,) to each of `changed` and `patched`


ATTACKS = ("random noise", "fast gradient sign", "projected gradient")


def attack(evidence: "Evidence") -> Attacked:
    """Every attack on the run's net. A picture that a small change turns counts as turned for all larger ones too in
    the case of projected gradient, whose reach holds that of the smaller: so it need not be tried again."""
    splits, model = evidence.splits(), evidence.model
    if not isinstance(splits.test, Columns) or not isinstance(splits.train, Columns) or not len(splits.test):
        raise UserError("A test of fragility needs training and test pictures; this run has none.")
    generator = torch.Generator().manual_seed(SEED)
    height, width = evidence.spec["shape"][1:]
    work = max(1.0, evidence.recipe.work(evidence.spec))
    tries = len(STRENGTHS) * (STEPS + 3)  # of a picture: passes through the net
    most = max(FEWEST, min(PICTURES, PIXELS // (height * width), int(WORK / (tries * work))))
    index = torch.randperm(len(splits.test), generator=generator)[:most].sort().values
    taken = splits.test.take(index)
    image, label = taken["image"], taken["label"]
    with untraced(model):
        clean = _answers(model, image)
        right: dict[str, list[Tensor]] = {name: [] for name in ATTACKS}
        standing = clean == label
        enough = int(standing.sum()) / 2
        at, changed, answers = 0, {}, {}
        for strength in telling(STRENGTHS, "Small changes"):
            worst = image.clone()
            if standing.any():
                worst[standing] = projected(model, image[standing], label[standing], strength / 255, STEPS, generator)
            found = {
                "random noise": noisy(image, strength / 255, generator),
                "fast gradient sign": fast_sign(model, image, label, strength / 255),
                "projected gradient": worst,
            }
            given = {name: _answers(model, pictures) for name, pictures in found.items()}
            before, standing = standing, standing & (given["projected gradient"] == label)
            right["random noise"].append(given["random noise"] == label)
            right["fast gradient sign"].append(given["fast gradient sign"] == label)
            right["projected gradient"].append(standing)
            if not at and (int(standing.sum()) <= enough or strength == STRENGTHS[-1]):
                at, changed, answers = strength, found, given
                left_out = ~before  # not tried again: shown as projected gradient leaves them at this strength
                if left_out.any():
                    worst[left_out] = projected(
                        model, image[left_out], label[left_out], strength / 255, STEPS, generator
                    )
                    answers["projected gradient"] = _answers(model, worst)
        size, count = side(height, width), max(LEAST, min(BATCH, int(WORK / (UPDATES * work))))
        patch = learnt_patch(model, splits.train, size, UPDATES, generator, count)
        dice = torch.rand(len(image), image.shape[1], size, size, generator=generator)
        places = int(torch.randint(2**31, (1,), generator=generator))  # the same for both
        patched = {
            name: laid(image, each, torch.Generator().manual_seed(places))
            for name, each in (("patch", patch), ("random patch", dice))
        }
        answers |= {name: _answers(model, pictures) for name, pictures in patched.items()}
    return Attacked(image, label, len(splits.test), clean, right, changed, at, patch, patched, answers)


def _answers(model: nn.Module, image: Tensor) -> Tensor:  # (N, C, H, W) -> (N,)
    return torch.cat([model(batch["image"]).argmax(1) for batch in InOrder(Columns(image=image), PICTURES)])


def section(evidence: "Evidence", folder: Path) -> tuple[str, list[dict[str, Any]]]:
    """The attacks as HTML, with pictures and the patch in `folder`, and a row for each."""
    found = attack(evidence)
    classes = drawable(evidence.spec["target"]["classes"], 12)
    rows = _rows(found)
    size, (height, width) = found.patch.shape[-1], found.image.shape[-2:]
    _print(found.patch, folder / "patch.png")
    share = size * size / (height * width)
    pictures = [
        Picture(
            "Right answers against strength",
            "Share of right answers when no pixel changes by more than the strength and, on the right, with a patch "
            "laid anywhere; with 95 % intervals.",
            lambda: curves(found),
        ),
        Picture(
            "Pictures that mislead it",
            f"Changes by {found.at}/255 at most and, between them, the changes themselves, grey where there is none; "
            f"then the patch. Under each picture the answer, blue where it is right.",
            lambda: examples(found, classes),
        ),
    ]
    tried = (
        f"{of_all(len(found.image), found.whole)}; the net's own scores, of each picture once. Every attack knows the "
        f"weights."
    )
    html = told("fragility", _sentences(found, rows), tried, _table(found), pictures, folder)
    html += (
        f'\n<h3>The patch</h3><figure><img src="patch.png" width="192" height="192" alt="The patch">'
        f"<figcaption>{size} × {size} pixels, {percent(share)} of a picture of {width} × {height}, to be printed from "
        f"<code>patch.png</code>. It was tried upright, at this size, on the pictures' own pixels; not before a "
        f"camera.</figcaption></figure>"
    )
    return html, rows


def _rows(found: Attacked) -> list[dict[str, Any]]:
    """For --json: shares of right answers by strength in 1/255, and of answers that a patch flips; in [0, 1]."""
    clean = float((found.clean == found.label).double().mean())
    rows: list[dict[str, Any]] = []
    for name in ATTACKS:
        shares = [float(each.double().mean()) for each in found.right[name]]
        accuracy = {"0": clean, **{str(s): share for s, share in zip(STRENGTHS, shares, strict=True)}}
        rows.append({"name": name, "accuracy": accuracy, "pictures": len(found.image)})
    for name in found.patched:
        answer = found.answers[name]
        rows.append(
            {
                "name": name,
                "accuracy": float((answer == found.label).double().mean()),
                "flipped": float((answer != found.clean).double().mean()),
                "side": found.patch.shape[-1],
                "area": found.patch.shape[-1] ** 2 / (found.image.shape[-2] * found.image.shape[-1]),
                "pictures": len(found.image),
            }
        )
    return rows


def _sentences(found: Attacked, rows: Sequence[dict[str, Any]]) -> list[str]:
    by_name = {row["name"]: row for row in rows}
    noise, worst = (by_name[name]["accuracy"] for name in ("random noise", "projected gradient"))
    at = str(found.at)
    half = worst[at] <= worst["0"] / 2
    first = (
        f"{percent(worst['0'])} of the answers are right. When no pixel changes by more than {at}/255, projected "
        f"gradient leaves {percent(worst[at])} of them, random noise {percent(noise[at])}"
    )
    patch, dice = by_name["patch"], by_name["random patch"]
    return [
        first + ("." if half else ", so it was not turned by half within what was tried."),
        f"A learnt patch on {percent(patch['area'])} of the picture flips {percent(patch['flipped'])} of the answers, "
        f"random patches {percent(dice['flipped'])}.",
    ]


def _table(found: Attacked) -> str:
    clean = percent(float((found.clean == found.label).double().mean()))
    cells = [[name, clean, *[percent(float(each.double().mean())) for each in found.right[name]]] for name in ATTACKS]
    heads = ["right answers", "as is", *[f"{strength}/255" for strength in STRENGTHS]]
    return table(heads, cells, "By how much a pixel may change, at most.", numbers=range(1, len(heads)))


def _print(patch: Tensor, file: Path) -> None:  # (C, S, S)
    """The patch as PNG, each of its pixels a square."""
    from PIL import Image

    times = -(-PRINT // patch.shape[-1])
    pixels = (patch * 255).round().to(torch.uint8).repeat_interleave(times, 1).repeat_interleave(times, 2)
    Image.fromarray((pixels[0] if len(pixels) == 1 else pixels.movedim(0, -1)).numpy()).save(file)


def curves(found: Attacked) -> "Figure":
    """Right answers against strength: three attacks by noise, and the patches as levels."""
    figure = sheet(6.4, 4.0)
    axes = figure.subplots()
    places = range(len(STRENGTHS) + 1)  # doubling from place to place, and 0 before them
    clean = found.clean == found.label
    count = torch.tensor([float(len(clean))] * len(places))
    for name, colour, marker in zip(ATTACKS, (FAINT, BLUE, VERMILLION), MARKERS, strict=False):
        share = torch.stack([each.double().mean() for each in (clean, *found.right[name])])
        low, high = wilson(share, count)
        axes.plot(places, 100 * share.numpy(), marker, linestyle="-", color=colour, markersize=4, label=name)
        axes.fill_between(places, 100 * low.numpy(), 100 * high.numpy(), color=colour, alpha=0.15, linewidth=0)
    for k, (name, colour, marker) in enumerate((("random patch", PALETTE[2], "v"), ("patch", ORANGE, "D"))):
        level = (found.answers[name] == found.label).double().mean()
        low, high = wilson(level, count[0])
        reach = [[100 * float(level - low)], [100 * float(high - level)]]
        place = len(places) + 0.2 + 0.5 * k
        axes.errorbar([place], [100 * float(level)], reach, fmt=marker, color=colour, capsize=3, label=name)
    axes.set_xticks([*places, len(places) + 0.45], ["0", *map(str, STRENGTHS), "patch"])
    axes.set_xlabel("strength: the most a pixel changes, in 1/255")
    axes.set_ylabel("right answers, %")
    axes.set_ylim(-3, 103)
    figure.legend(loc="outside upper left", ncols=3)
    grid(axes)
    return figure


def examples(found: Attacked, classes: Sequence[str]) -> "Figure":
    """A few pictures under each attack; those right before and turned by projected gradient first."""
    turned = (found.clean == found.label) & (found.answers["projected gradient"] != found.label)
    chosen = torch.argsort((~turned).long(), stable=True)[:SHOWN]

    def change(name: str) -> Tensor:
        return 0.5 + (found.changed[name] - found.image)[chosen] * 255 / (2 * found.at)

    def given(name: str) -> Tensor:
        return found.answers[name][chosen]

    rows: list[tuple[str, Tensor, Tensor | None]] = [("as it is", found.image[chosen], found.clean[chosen])]
    for name, title in (("random noise", "random\nnoise"), ("fast gradient sign", "fast gradient\nsign"),
                        ("projected gradient", "projected\ngradient")):  # fmt: skip
        rows += [("change", change(name), None), (title, found.changed[name][chosen], given(name))]
    rows += [(each.replace(" ", "\n"), found.patched[each][chosen], given(each)) for each in ("random patch", "patch")]
    return answered(rows, found.label[chosen], classes)
