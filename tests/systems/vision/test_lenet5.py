"""LeNet-5: the paper's counts, its connections, its criterion."""

import pytest
import torch
from torch import Tensor

from deepclassics.recipe import find
from deepclassics.systems.vision.lenet5 import C3_SEES, RUBBISH, SCALE, LeNet5, PartialConv2d, criterion, squash


def net(modern: bool, channels: int = 1, classes: int = 10) -> LeNet5:
    torch.manual_seed(0)
    return LeNet5(channels, classes, [0.1] * channels, [0.3] * channels, modern)


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_papers_form_has_the_papers_60000_parameters() -> None:
    """Section II.B: 156, 12, 1,516, 32, 48,120 and 10,164 trainable parameters; the output units' codes are fixed."""
    paper = net(modern=False)
    layers = [paper.c1, paper.s2, paper.c3, paper.s4, paper.c5, paper.f6, paper.output]
    assert [parameters(layer) for layer in layers] == [156, 12, 1516, 32, 48120, 10164, 0]
    assert parameters(paper) == 60_000


def test_the_modern_form_has_61706() -> None:
    """S170."""
    assert parameters(net(modern=True)) == 61_706


def test_c3_sees_what_table_1_says() -> None:
    assert sorted(map(len, C3_SEES)) == [3] * 6 + [4] * 9 + [6]
    seen = [sum(sees.count(map_) for sees in C3_SEES) for map_ in range(6)]
    assert seen == [10] * 6, "every map of S2 is seen equally often"
    c3 = PartialConv2d()
    x = torch.randn(2, 6, 14, 14)
    whole = c3(x)
    for out in (0, 6, 12, 15):
        blind = x.clone()
        blind[:, [map_ for map_ in range(6) if map_ not in C3_SEES[out]]] = 0
        assert torch.equal(c3(blind)[:, out], whole[:, out])
        if len(C3_SEES[out]) < 6:
            assert not torch.allclose(c3(blind), whole)


def test_the_partial_convolution_equals_torchs_with_the_missing_kernels_at_zero() -> None:
    c3 = PartialConv2d()
    weight = torch.zeros(16, 6, 5, 5)
    for number, (out, seen) in enumerate((out, seen) for out, sees in enumerate(C3_SEES) for seen in sees):
        weight[out, seen] = c3.kernels[number].detach()
    x = torch.randn(3, 6, 14, 14)
    torch.testing.assert_close(c3(x), torch.nn.functional.conv2d(x, weight, c3.bias))


def test_squash_is_one_at_one() -> None:
    """Appendix A."""
    assert squash(torch.tensor([1.0, -1.0, 0.0])).tolist() == pytest.approx([1, -1, 0], abs=1e-4)


def test_the_criterion_is_equation_9() -> None:
    distance = torch.rand(5, 10, dtype=torch.float64) * 10
    label = torch.tensor([3, 0, 9, 9, 1])
    right = distance[torch.arange(5), label]
    by_hand = (right + torch.log(torch.exp(torch.tensor(-RUBBISH)) + torch.exp(-distance).sum(1))).mean()
    torch.testing.assert_close(criterion(-distance, label, modern=False), by_hand)


def test_the_output_is_the_distance_to_the_codes() -> None:
    paper = net(modern=False)
    f6 = paper.output.codes[4:5]
    scores = paper.output(f6)
    assert scores.argmax() == 4
    assert float(scores[0, 4]) == 0.0
    torch.testing.assert_close(scores[0], -SCALE * (f6 - paper.output.codes).square().sum(1))


@pytest.mark.parametrize(("channels", "size"), [(1, (8, 8)), (1, (28, 28)), (3, (32, 32)), (3, (64, 48))])
@pytest.mark.parametrize("modern", [True, False])
def test_reads_pictures_of_any_size(channels: int, size: tuple[int, int], modern: bool) -> None:
    out: Tensor = net(modern, channels, 7)(torch.rand(2, channels, *size))
    assert out.shape == (2, 7)


def test_the_border_is_background() -> None:
    """28 x 28 pictures are padded before they are standardised: a black picture stays even to its edge."""
    model = net(modern=True)
    seen: list[Tensor] = []
    model.c1.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model(torch.zeros(1, 1, 28, 28))
    assert seen[0].shape == (1, 1, 32, 32)
    assert float(seen[0].min()) == float(seen[0].max())


def test_predicts_a_label_and_probabilities_that_sum_to_one() -> None:
    recipe = find("lenet5")()
    answer = recipe.answer(net(modern=False), {"image": torch.rand(3, 1, 8, 8)}, None)
    torch.testing.assert_close(answer["probability"].sum(1), torch.ones(3))
    assert torch.equal(answer["label"], answer["probability"].argmax(1))
