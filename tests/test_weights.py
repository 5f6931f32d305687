"""Files of pretrained weights: what is read, what is refused and never run, and what fits which net."""

import argparse
import json
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from deepclassics import weights
from deepclassics.errors import UserError

CLASSES = 10


def block(name: str, before: int, after: int, changes: bool) -> dict[str, tuple[int, ...]]:
    """The names and shapes that torchvision gives a block of two 3 x 3 convolutions."""
    shapes: dict[str, tuple[int, ...]] = {}
    convolutions = [("conv1", "bn1", (after, before, 3, 3)), ("conv2", "bn2", (after, after, 3, 3))]
    if changes:
        convolutions.append(("downsample.0", "downsample.1", (after, before, 1, 1)))
    for convolution, norm, kernel in convolutions:
        shapes[f"{name}.{convolution}.weight"] = kernel
        shapes |= normalisation(f"{name}.{norm}", after)
    return shapes


def normalisation(name: str, maps: int) -> dict[str, tuple[int, ...]]:
    fields = {"weight": (maps,), "bias": (maps,), "running_mean": (maps,), "running_var": (maps,)}
    return {f"{name}.{field}": shape for field, shape in fields.items()} | {f"{name}.num_batches_tracked": ()}


def resnet18(classes: int = CLASSES) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7), **normalisation("bn1", 64)}
    before = 64
    for stage, maps in enumerate((64, 128, 256, 512), start=1):
        shapes |= block(f"layer{stage}.0", before, maps, changes=before != maps)
        shapes |= block(f"layer{stage}.1", maps, maps, changes=False)
        before = maps
    return shapes | {"fc.weight": (classes, 512), "fc.bias": (classes,)}


class Small(nn.Module):
    """A net of torchvision's manner that costs nothing: convolution, normalisation, last layer."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, classes)

    def forward(self, image: Tensor) -> Tensor:  # (B, 3, H, W) -> (B, K)
        return self.fc(self.bn1(self.conv1(image)).mean((2, 3)))


def state_of(classes: int = CLASSES) -> dict[str, Tensor]:
    torch.manual_seed(4)
    state = Small(classes).state_dict()
    state["bn1.running_mean"].normal_()
    return state


def meta(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def assert_same(got: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert got.keys() == wanted.keys()
    assert all(torch.equal(got[name], wanted[name]) for name in wanted)


def saved(content: Any, file: Path, **options: Any) -> Path:
    torch.save(content, file, **options)
    return file


# What is read

WRAPPED: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "bare": lambda state: state,
    "ordered": OrderedDict,
    "state_dict": lambda state: {"epoch": 90, "arch": "resnet18", "state_dict": state, "best": torch.tensor(0.7)},
    "model": lambda state: {"model": state, "optimizer": {"state": {}}},
    "model_state_dict": lambda state: {"model_state_dict": state},
    "in parallel": lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
    "compiled": lambda state: {f"_orig_mod.{name}": value for name, value in state.items()},
    "both": lambda state: {f"module._orig_mod.{name}": value for name, value in state.items()},
    "parameters": lambda state: {
        name: nn.Parameter(value) if value.is_floating_point() else value for name, value in state.items()
    },
}


@pytest.mark.parametrize("form", WRAPPED)
@pytest.mark.parametrize("zipped", [True, False])
def test_reads_what_torch_saves_however_it_is_wrapped(form: str, zipped: bool, tmp_path: Path) -> None:
    state = state_of()
    file = saved(WRAPPED[form](state), tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    got = weights.read(file)
    assert_same(got, state)
    assert not any(value.requires_grad for value in got.values())


def test_reads_safetensors_whatever_they_are_called(tmp_path: Path) -> None:
    for name in ("net.safetensors", "net.pth"):
        save_file(state_of(), tmp_path / name)
        assert_same(weights.read(tmp_path / name), state_of())


def test_a_single_name_with_a_prefix_keeps_it(tmp_path: Path) -> None:
    """Only what stands before every name is a wrapper's."""
    state = {"module.weight": torch.ones(2), "bias": torch.ones(2)}
    assert_same(weights.read(saved(state, tmp_path / "net.pth")), state)


# What is refused


class Payload:
    """A pickle that makes a file when it is loaded as pickles are."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_with_code_is_refused_and_nothing_in_it_is_run(zipped: bool, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    content = {**state_of(), "extra": Payload(evil)}
    file = saved(content, tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"tensors and plain values only; it holds more than that: Python's \w+\.mkdir"):
        weights.read(file)
    assert not evil.exists()
    torch.load(file, weights_only=False)
    assert evil.exists(), "the file is as dangerous as it should be for this test"


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    for protocol in (2, 4, 5):
        file = tmp_path / f"{protocol}.pth"
        file.write_bytes(pickle.dumps(Payload(evil), protocol=protocol))
        with pytest.raises(UserError, match="a Python pickle, which is a program"):
            weights.read(file)
    assert not evil.exists()


def test_a_whole_model_and_settings_of_a_program_are_refused_with_what_to_save(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Python's torch\.nn\.modules\.linear\.Linear.*torch\.save\(model\.state_dict"):
        weights.read(saved(nn.Linear(2, 2), tmp_path / "whole.pth"))
    with pytest.raises(UserError, match=r"argparse\.Namespace"):
        weights.read(saved({"model": state_of(), "args": argparse.Namespace(lr=1)}, tmp_path / "checkpoint.pth"))


def test_a_compiled_program_is_refused(tmp_path: Path) -> None:
    file = saved(state_of(), tmp_path / "script.pt")
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("script/constants.pkl", b"\x80\x02.")
    with pytest.raises(UserError, match=r"TorchScript.*nothing in it was run"):
        weights.read(file)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_a_file_cut_short_says_so(kind: str, share: float, tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    if kind == "safetensors":
        save_file(state_of(), file)
    else:
        saved(state_of(), file, _use_new_zipfile_serialization=kind == "zip")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"cut short or damaged.*Fetch it again"):
        weights.read(file)


def test_other_files_are_refused_with_what_they_begin_with(tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    file.write_text("version https://git-lfs.github.com/spec/v1\n", encoding="ascii")
    with pytest.raises(UserError, match="it begins with 'version https://'"):
        weights.read(file)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with pytest.raises(UserError, match=r"torch.save writes them, or safetensors; it is something else"):
        weights.read(file)
    file.write_bytes(b"")
    for reader in (weights.read, weights.facts):
        with pytest.raises(UserError, match="it is empty"):
            reader(file)
    np.savez(tmp_path / "arrays.npz", conv1=np.ones(3))
    with pytest.raises(UserError, match="an archive of something else"):
        weights.read(tmp_path / "arrays.npz")


def test_other_contents_are_refused_with_what_they_are(tmp_path: Path) -> None:
    file = tmp_path / "net.pth"
    with pytest.raises(UserError, match="it holds a Tensor"):
        weights.read(saved(torch.ones(3), file))
    with pytest.raises(UserError, match="it holds an empty dict"):
        weights.read(saved({}, file))
    with pytest.raises(UserError, match="it holds a dict of epoch, lr"):
        weights.read(saved({"epoch": 3, "lr": 0.1}, file))
    with pytest.raises(UserError, match=r"must hold dense tensors; a is torch.sparse_coo"):
        weights.read(saved({"a": torch.eye(2).to_sparse()}, file))


def test_folders_and_missing_files_say_what_to_give(tmp_path: Path) -> None:
    saved(state_of(), tmp_path / "resnet18.pth")
    with pytest.raises(
        UserError, match=r"There is no file of weights .*resnet81\.pth\. Did you mean 'resnet18\.pth'\?"
    ):
        weights.read(tmp_path / "resnet81.pth")
    with pytest.raises(UserError, match=r"There is no file of weights .* Give a \.pth"):
        weights.read(tmp_path / "nowhere" / "a.pth")
    with pytest.raises(UserError, match=r"it is a folder\. Give one of the files in it, such as .*resnet18\.pth"):
        weights.read(tmp_path)
    (tmp_path / "recipe.json").write_text("{}", encoding="ascii")
    for reader in (weights.read, weights.facts):
        with pytest.raises(UserError, match=r"it is a run folder. Start from it with --from"):
            reader(tmp_path)


def test_a_runs_checkpoint_is_told_from_weights(tmp_path: Path) -> None:
    file = saved({"format": 1, "system": "resnet", "step": 3, "parts": {"model": state_of()}}, tmp_path / "last.pt")
    with pytest.raises(UserError, match=f"checkpoint of a run. Give --from {tmp_path}"):
        weights.read(file)


# What is known of a file


def test_a_published_file_is_known_by_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(state_of(), tmp_path / "renamed.pth")
    unknown = weights.facts(file)
    assert unknown == {"file": "renamed.pth", "sha256": weights.digest(file), "source": None}
    monkeypatch.setitem(weights.PUBLISHED, unknown["sha256"][:8], "resnet18")
    known = weights.facts(file)
    assert known["source"] == "torchvision's resnet18, ImageNet-1k"
    assert (known["mean"], known["std"]) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert known["classes"][:2] == ["tench", "goldfish"]


def test_the_weights_of_a_run_are_known_by_its_folder(tmp_path: Path) -> None:
    facts = {"system": "resnet", "knobs": {}, "format": 1}
    spec = {
        "kind": "image",
        "data": "pets/",
        "shape": [3, 40, 80],
        "mean": [0.4] * 3,
        "std": [0.2] * 3,
        "target": {"kind": "class", "classes": ["cat", "dog"]},
    }
    (tmp_path / "recipe.json").write_text(json.dumps(facts), encoding="utf-8")
    (tmp_path / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    file = tmp_path / "best.safetensors"
    save_file(state_of(), file)
    assert weights.facts(file) == {
        "file": "best.safetensors",
        "sha256": weights.digest(file),
        "source": "resnet on pets/",
        "mean": [0.4] * 3,
        "std": [0.2] * 3,
        "classes": ["cat", "dog"],
        "stem": "large",
        "size": [40, 80],
    }


def test_googlenets_pictures_are_scaled_as_its_transform_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision standardises by ImageNet's mean and deviation, then by `_transform_input`, channel by channel."""
    file = saved(state_of(), tmp_path / "googlenet.pth")
    monkeypatch.setitem(weights.PUBLISHED, weights.digest(file)[:8], "googlenet")
    known = weights.facts(file)
    for channel, (mean, std) in enumerate(zip(weights.MEAN, weights.STD, strict=True)):
        for pixel in (0.0, 0.3, 1.0):
            theirs = (pixel - mean) / std * (std / 0.5) + (mean - 0.5) / 0.5
            assert (pixel - known["mean"][channel]) / known["std"][channel] == pytest.approx(theirs)


def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    file = saved(state_of(), tmp_path / "resnet18-f37072fd.pth")
    with pytest.raises(UserError, match=r"must be torchvision's resnet18, as its name says.* f37072fd; it begins with"):
        weights.facts(file)


def test_imagenets_classes_are_1000_and_in_order() -> None:
    known = weights.imagenet()
    assert len(known) == len(set(known.values())) == 1000
    assert list(known) == sorted(known), "ImageNet-1k counts its classes by synset"
    assert list(known.items())[207] == ("n02099601", "golden retriever")
    assert known["n02012849"] == "crane bird", "the bird, not the machine"
    assert list(known.items())[999] == ("n15075141", "toilet tissue")


def test_rows_of_the_head_for_classes_that_it_knows() -> None:
    known = list(weights.imagenet().values())
    assert weights.head_rows(["Golden_Retriever", "n01440764", "great-white shark"], known) == [207, 0, 2]
    assert weights.head_rows(["golden retriever", "my dog"], known) is None
    assert weights.head_rows(["tench", "n01440764"], known) is None, "one row for two classes"
    assert weights.head_rows(["cat", "dog"], ["dog", "cat", "frog"]) == [1, 0]
    assert weights.head_rows(["n01440764"], ["dog", "cat"]) is None
    assert weights.head_rows(["a", "A"], ["A", "a"]) == [1, 0], "told apart where they differ by case alone"


# What fits


def test_a_file_of_the_same_net_and_classes_gives_the_same_outputs(tmp_path: Path) -> None:
    theirs, ours = Small().eval(), Small().eval()
    theirs.load_state_dict(state_of())
    file = saved({"state_dict": theirs.state_dict()}, tmp_path / "net.pth")
    image = torch.rand(2, 3, 8, 8)
    assert not torch.equal(ours(image), theirs(image))
    assert weights.load_into(ours, weights.read(file), "fc", "resnet") == []
    assert torch.equal(ours(image), theirs(image))


def test_only_the_head_is_made_new_for_other_classes() -> None:
    ours = Small(classes=3)
    before = ours.fc.weight.detach().clone()
    assert weights.load_into(ours, state_of(), "fc", "resnet") == ["fc.weight", "fc.bias"]
    assert torch.equal(ours.fc.weight, before)
    assert torch.equal(ours.conv1.weight, state_of()["conv1.weight"])
    assert torch.equal(ours.bn1.running_mean, state_of()["bn1.running_mean"])
    body = {name: value for name, value in state_of().items() if not name.startswith("fc.")}
    assert weights.load_into(Small(), body, "fc", "resnet") == ["fc.weight", "fc.bias"]


def test_files_from_before_batches_were_counted_fit_and_halves_too() -> None:
    state = {name: value for name, value in state_of().items() if not name.endswith("num_batches_tracked")}
    ours = Small()
    assert weights.load_into(ours, {name: value.half() for name, value in state.items()}, "fc", "resnet") == []
    assert ours.conv1.weight.dtype == torch.float32
    torch.testing.assert_close(ours.conv1.weight.detach(), state["conv1.weight"], atol=1e-3, rtol=0)


def test_auxiliary_heads_may_be_there_or_not() -> None:
    net = {"conv1.conv.weight": (64, 3, 7, 7), "fc.weight": (5, 8)}
    auxiliary = {"aux1.conv.conv.weight": (128, 512, 1, 1), "aux2.fc2.weight": (1000, 1024)}
    assert weights.fits(net, meta(net | auxiliary), "fc", "inception") == []
    assert weights.fits(net | auxiliary, meta(net), "fc", "inception") == list(auxiliary)
    other = auxiliary | {"aux2.fc2.weight": (5, 1024)}
    assert weights.fits(net | other, meta(net | auxiliary), "fc", "inception") == ["aux2.fc2.weight"]


def test_other_shapes_are_refused_with_what_was_expected() -> None:
    file = resnet18() | {"layer1.0.conv1.weight": (32, 64, 3, 3), "layer1.0.bn1.weight": (32,)}
    with pytest.raises(UserError) as caught:
        weights.fits(resnet18(3), meta(file), "fc", "resnet")
    assert str(caught.value) == (
        "resnet: the weights must be those of resnet18, its last layer fc apart: layer1.0.conv1.weight must be "
        "(64, 64, 3, 3), got (32, 64, 3, 3); layer1.0.bn1.weight must be (64,), got (32,)."
    )


def test_missing_and_superfluous_names_are_counted() -> None:
    shapes = resnet18()
    fewer = {name: shape for name, shape in shapes.items() if not name.startswith("layer4.1.")}
    with pytest.raises(UserError, match=r"missing layer4\.1\.conv1\.weight, .*layer4\.1\.bn1\.bias and 7 more\."):
        weights.fits(shapes, meta(fewer), "fc", "resnet")
    with pytest.raises(UserError, match=r"superfluous extra\.weight\."):
        weights.fits(shapes, meta(shapes | {"extra.weight": (3,)}), "fc", "resnet")


def test_integers_in_place_of_weights_are_refused() -> None:
    state = state_of() | {"conv1.weight": torch.ones(4, 3, 3, 3, dtype=torch.int8)}
    with pytest.raises(UserError, match=r"conv1\.weight must be \(4, 3, 3, 3\), got \(4, 3, 3, 3\) of int8"):
        weights.load_into(Small(), state, "fc", "resnet")


def test_weights_that_are_no_numbers_are_refused_before_anything_is_loaded() -> None:
    """As in torchvision's vgg16_features-amdegroot, whose last layers are NaN."""
    ours = Small()
    before = ours.conv1.weight.detach().clone()
    state = state_of()
    state["bn1.bias"][2] = float("nan")
    with pytest.raises(UserError, match=r"resnet: weights must be finite numbers; bn1\.bias"):
        weights.load_into(ours, state, "fc", "resnet")
    assert torch.equal(ours.conv1.weight, before)


def test_pictures_of_other_channels_are_named_as_the_reason() -> None:
    grey = resnet18() | {"conv1.weight": (64, 1, 7, 7)}
    with pytest.raises(UserError, match="for pictures of 3 channels, the data have 1"):
        weights.fits(grey, meta(resnet18()), "fc", "resnet")


@pytest.mark.parametrize(
    ("file", "advice"),
    [
        (resnet18() | {"layer1.2.conv1.weight": (64, 64, 3, 3)}, "apart: superfluous layer1.2.conv1.weight."),
        (resnet18() | {"conv1.weight": (64, 3, 3, 3)}, "look like resnet18 (small stem): try --depth 18 --stem small."),
        ({"class_token": (1, 1, 768)}, "look like a vision transformer, which is not among the systems"),
        (
            {"conv1.conv.weight": (64, 3, 7, 7), "inception3a.branch1.conv.weight": (64, 192, 1, 1)},
            "look like googlenet: try `deepclassics run inception --stem large`.",
        ),
        ({"c1.weight": (6, 1, 5, 5)}, "superfluous c1.weight."),
    ],
)
def test_another_nets_file_is_refused_with_the_command_for_it(file: dict[str, tuple[int, ...]], advice: str) -> None:
    with pytest.raises(UserError) as caught:
        weights.fits(resnet18(), meta(file), "fc", "resnet")
    assert advice in str(caught.value)


def test_what_no_net_is_like_is_not_recognised() -> None:
    assert weights.recognise({"weight": torch.ones(3)}) is None
    assert weights.recognise(meta(resnet18())) == "resnet18"
    assert weights.recognise(meta(resnet18() | {"layer1.0.conv2.weight": (64, 64, 1, 1)})) == "a wide ResNet or ResNeXt"
    cifar = {"conv1.weight": (16, 3, 3, 3)} | {
        f"layer{s}.{b}.conv1.weight": (16, 16, 3, 3) for s in (1, 2, 3) for b in range(3)
    }
    assert weights.recognise(meta(cifar)) == "resnet20 (CIFAR)"
