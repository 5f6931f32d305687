"""Recurrent cells: each against its textbook form, one equation a line, and what the notes say of them."""

import copy
import io
from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from deepclassics.errors import UserError
from deepclassics.layers.recurrent import BLOCKS, FUSED, GATES, Cell, Recurrent, count

CELLS: tuple[Cell, ...] = get_args(Cell)
LSTMS: tuple[Cell, ...] = tuple(cell for cell in CELLS if cell not in ("rnn", "gru", "clockwork"))
TORCHS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
PERIODS = (1, 2, 4)
σ, tanh = torch.sigmoid, torch.tanh
Sums = dict[str, Tensor]  # by block, (B, H)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def net(cell: Cell, inputs: int = 4, hidden: int = 5, layers: int = 1, **knobs: Any) -> Recurrent:
    return Recurrent(cell, inputs, hidden, layers, **{"periods": PERIODS} | knobs).double()


def least(cell: Cell) -> int:
    """A depth gate takes a layer below."""
    return 2 if cell == "depth_gated" else 1


# The textbook forms: x and r are what the input and the hidden units before bring to each block, p the peepholes and
# `below` the cell of the layer below.


def lstm(x: Sums, r: Sums, c: Tensor, p: Sums, below: Tensor | None) -> tuple[Tensor, Tensor]:
    i = σ(x["i"] + r["i"])
    f = σ(x["f"] + r["f"])
    g = tanh(x["g"] + r["g"])
    o = σ(x["o"] + r["o"])
    c = f * c + i * g
    return o * tanh(c), c


def peephole(x: Sums, r: Sums, c: Tensor, p: Sums, below: Tensor | None) -> tuple[Tensor, Tensor]:
    i = σ(x["i"] + r["i"] + p["input"] * c)
    f = σ(x["f"] + r["f"] + p["forget"] * c)
    g = tanh(x["g"] + r["g"])
    c = f * c + i * g
    o = σ(x["o"] + r["o"] + p["output"] * c)
    return o * tanh(c), c


def coupled(x: Sums, r: Sums, c: Tensor, p: Sums, below: Tensor | None) -> tuple[Tensor, Tensor]:
    f = σ(x["f"] + r["f"])
    g = tanh(x["g"] + r["g"])
    o = σ(x["o"] + r["o"])
    c = f * c + (1 - f) * g
    return o * tanh(c), c


def depth_gated(x: Sums, r: Sums, c: Tensor, p: Sums, below: Tensor | None) -> tuple[Tensor, Tensor]:
    if below is None:
        return lstm(x, r, c, p, below)
    i = σ(x["i"] + r["i"])
    f = σ(x["f"] + r["f"])
    g = tanh(x["g"] + r["g"])
    o = σ(x["o"] + r["o"])
    d = σ(x["d"] + p["own"] * c + p["below"] * below)
    c = d * below + f * c + i * g
    return o * tanh(c), c


def no_input_gate(x: Sums, r: Sums, c: Tensor, p: Sums, below: Tensor | None) -> tuple[Tensor, Tensor]:
    f = σ(x["f"] + r["f"])
    g = tanh(x["g"] + r["g"])
    o = σ(x["o"] + r["o"])
    c = f * c + g
    return o * tanh(c), c


def no_forget_gate(x: Sums, r: Sums, c: Tensor, p: Sums, below: Tensor | None) -> tuple[Tensor, Tensor]:
    i = σ(x["i"] + r["i"])
    g = tanh(x["g"] + r["g"])
    o = σ(x["o"] + r["o"])
    c = c + i * g
    return o * tanh(c), c


def no_output_gate(x: Sums, r: Sums, c: Tensor, p: Sums, below: Tensor | None) -> tuple[Tensor, Tensor]:
    i = σ(x["i"] + r["i"])
    f = σ(x["f"] + r["f"])
    g = tanh(x["g"] + r["g"])
    c = f * c + i * g
    return tanh(c), c


def no_input_activation(x: Sums, r: Sums, c: Tensor, p: Sums, below: Tensor | None) -> tuple[Tensor, Tensor]:
    i = σ(x["i"] + r["i"])
    f = σ(x["f"] + r["f"])
    g = x["g"] + r["g"]
    o = σ(x["o"] + r["o"])
    c = f * c + i * g
    return o * tanh(c), c


def no_output_activation(x: Sums, r: Sums, c: Tensor, p: Sums, below: Tensor | None) -> tuple[Tensor, Tensor]:
    i = σ(x["i"] + r["i"])
    f = σ(x["f"] + r["f"])
    g = tanh(x["g"] + r["g"])
    o = σ(x["o"] + r["o"])
    c = f * c + i * g
    return o * c, c


def sigmoid_candidate(x: Sums, r: Sums, c: Tensor, p: Sums, below: Tensor | None) -> tuple[Tensor, Tensor]:
    i = σ(x["i"] + r["i"])
    f = σ(x["f"] + r["f"])
    g = σ(x["g"] + r["g"])
    o = σ(x["o"] + r["o"])
    c = f * c + i * g
    return o * tanh(c), c


def rnn(x: Sums, r: Sums, h: Tensor) -> Tensor:
    return tanh(x["h"] + r["h"])


def gru(x: Sums, r: Sums, h: Tensor) -> Tensor:
    reset = σ(x["r"] + r["r"])
    z = σ(x["z"] + r["z"])
    new = tanh(x["n"] + reset * r["n"])
    return (1 - z) * new + z * h


TEXTBOOK: dict[str, Callable[..., Any]] = {
    form.__name__: form
    for form in (
        *(rnn, gru, lstm, peephole, coupled, depth_gated, sigmoid_candidate),
        *(no_input_gate, no_forget_gate, no_output_gate, no_input_activation, no_output_activation),
    )
}


def clockwork(x: Sums, r: Tensor, h: Tensor, weight: Tensor, step: int) -> Tensor:
    """Module by module, as in the paper: each listens to itself and to the slower ones, and moves at its period."""
    parts = torch.arange(h.shape[1]).tensor_split(len(PERIODS))
    new = h.clone()
    for number, (period, own) in enumerate(zip(PERIODS, parts, strict=True)):
        slower = torch.cat(parts[number:])
        if step % period == 0:
            new[:, own] = tanh(x["h"][:, own] + h[:, slower] @ weight[own][:, slower].T + r[own])
    return new


def by_the_book(model: Recurrent, x: Tensor, state: Any = None) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Outputs (B, T, H), and the hidden units and cells of every layer after the last step; in one direction."""
    cell, letters = model.cell, BLOCKS[model.cell]
    empty = [x.new_zeros(len(x), model.hidden) for _ in range(model.layers)]
    h, c = (
        ([*empty], [*empty]) if state is None else ([*state], [*empty]) if cell in ("rnn", "gru") else map(list, state)
    )
    out = []
    for t in range(x.shape[1]):
        heard, below = x[:, t], None
        for layer in range(model.layers):
            w, u, b, e = model.weights(layer)
            more = "d" if len(w) > len(u) else ""
            xs = dict(zip(letters + more, (heard @ w.T + b).split(model.hidden, 1), strict=True))
            if cell == "clockwork":
                h[layer] = clockwork(xs, e, h[layer], u, t + int(c[layer].sum()))
            else:
                rs = dict(zip(letters, (h[layer] @ u.T + e).split(model.hidden, 1), strict=True))
                if cell in ("rnn", "gru"):
                    h[layer] = TEXTBOOK[cell](xs, rs, h[layer])
                else:
                    h[layer], c[layer] = TEXTBOOK[cell](xs, rs, c[layer], peeps(model, layer), below)
            heard, below = h[layer], c[layer]
        out.append(heard)
    return torch.stack(out, 1), h, c


def peeps(model: Recurrent, layer: int) -> Sums:
    found = dict.fromkeys(GATES, torch.zeros(model.hidden).to(model.weight_ih_l0))
    if model.cell == "peephole" and model.peepholes:
        parts = model.get_parameter(f"weight_ch_l{layer}").split(model.hidden)
        found |= dict(zip(model.peepholes, parts, strict=True))
    if model.cell == "depth_gated" and layer:
        found |= {
            "own": model.get_parameter(f"weight_cd_l{layer}"),
            "below": model.get_parameter(f"weight_ld_l{layer}"),
        }
    return found


def begun(model: Recurrent, batch: int, dtype: torch.dtype, steps: int = 0) -> Any:
    """A state as it may be after some steps."""
    h, c = torch.randn(2, model.layers * len(model.directions), batch, model.hidden, dtype=dtype)
    if model.cell == "clockwork":
        return h, torch.full((len(h),), steps)
    return h if model.cell in ("rnn", "gru") else (h, c)


def pieces(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("cell", CELLS)
@given(
    sizes=st.tuples(*[st.integers(1, most) for most in (9, 4, 5, 3)]),
    hidden=st.integers(3, 8),
    seed=st.integers(0, 9999),
)
@settings(max_examples=5, deadline=None, derandomize=True)
def test_every_cell_equals_its_textbook_form_forward_and_backward(
    cell: Cell, sizes: tuple[int, int, int, int], hidden: int, seed: int
) -> None:
    """S196, S200, S206, S209-S213, E004: outputs, last state, and the gradients of weights, inputs and first state."""
    steps, batch, inputs, layers = sizes
    layers = max(layers, least(cell))
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        torch.manual_seed(seed)
        model = net(cell, inputs, hidden, layers).to(dtype)
        x = torch.randn(batch, steps, inputs, dtype=dtype)
        state = begun(model, batch, dtype, steps=seed % 7)
        learnt = [x, *pieces(state)[: 1 if cell == "clockwork" else 2], *model.parameters()]
        for tensor in learnt:
            tensor.requires_grad_()
        told = torch.randn(batch, steps, hidden, dtype=dtype)
        out, after = model(x, state)
        book, *expected = by_the_book(model, x, state)
        torch.testing.assert_close(out, book, rtol=0, atol=tolerance)
        ours, its = (out * told).sum(), (book * told).sum()
        for piece, layered in zip(pieces(after), expected, strict=False):
            if piece.is_floating_point():
                torch.testing.assert_close(piece, torch.stack(layered), rtol=0, atol=tolerance)
                ours, its = ours + (piece**2).sum(), its + (torch.stack(layered) ** 2).sum()
        gradients = torch.autograd.grad(its, learnt, allow_unused=True)
        for ours_, its_ in zip(torch.autograd.grad(ours, learnt), gradients, strict=True):
            limit = 1e-10 if dtype == torch.float64 else 1e-5 * max(1.0, its_.abs().max().item())
            torch.testing.assert_close(ours_, its_, rtol=0, atol=limit)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", TORCHS)
def test_elman_lstm_and_gru_are_torchs_bit_for_bit(cell: Cell, both: bool) -> None:
    """S196, S200, S206, S211: first weights, outputs, states and gradients."""
    torch.manual_seed(3)
    ours = Recurrent(cell, 4, 5, 3, bidirectional=both)
    torch.manual_seed(3)
    torchs = TORCHS[cell](4, 5, 3, batch_first=True, bidirectional=both)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in torchs.named_parameters()]
    x = torch.randn(2, 7, 4)
    for out, after in (ours(x), torchs(x)):
        (out.sum() + sum(piece.sum() for piece in pieces(after))).backward()
    torch.testing.assert_close(ours(x), torchs(x), rtol=0, atol=0)
    for our, its in zip(ours.parameters(), torchs.parameters(), strict=True):
        assert torch.equal(our, its)
        assert torch.equal(our.grad, its.grad)


def test_the_concatenated_form_is_the_form_with_two_matrices() -> None:
    """S196: tanh(W_hh h + W_xh x) is tanh(W [x, h]), and the number of weights does not hang on the length."""
    model = net("rnn")
    w, u, b, e = model.weights(0)
    whole = torch.cat([w, u], 1)
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    h = x.new_zeros(3, 5)
    for t in range(6):
        h = tanh(torch.cat([x[:, t], h], 1) @ whole.T + b + e)
    torch.testing.assert_close(model(x)[0][:, -1], h)


def test_the_notes_two_ways_to_write_an_lstm_are_one_function() -> None:
    """S206: row vectors without biases, s_t = tanh(c_t) * o; and one matrix for [h, x] with four steps."""
    model = net("lstm")
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    with torch.no_grad():
        model.bias_ih_l0.zero_()
        model.bias_hh_l0.zero_()
    w, u, _, _ = model.weights(0)
    ui, uf, ug, uo = (part.T for part in w.chunk(4))
    wi, wf, wg, wo = (part.T for part in u.chunk(4))
    s = c = x.new_zeros(3, 5)
    for t in range(6):
        i = σ(x[:, t] @ ui + s @ wi)
        f = σ(x[:, t] @ uf + s @ wf)
        o = σ(x[:, t] @ uo + s @ wo)
        g = tanh(x[:, t] @ ug + s @ wg)
        c = c * f + g * i
        s = tanh(c) * o
    torch.testing.assert_close(model(x)[0][:, -1], s)

    wi, wf, wg, wo = (torch.cat([hidden, inputs], 1) for hidden, inputs in zip(u.chunk(4), w.chunk(4), strict=True))
    h = c = x.new_zeros(3, 5)
    for t in range(6):
        hx = torch.cat([h, x[:, t]], 1)
        forget = σ(hx @ wf.T)
        enters, candidate = σ(hx @ wi.T), tanh(hx @ wg.T)
        c = forget * c + enters * candidate
        h = σ(hx @ wo.T) * tanh(c)
    torch.testing.assert_close(s, h)


def shut(model: Recurrent, **gates: float) -> Recurrent:
    """The same with gates that stand at 0 or 1 whatever comes: their sums are -1000 or 1000."""
    with torch.no_grad():
        for letter, value in gates.items():
            rows = slice(*(model.hidden * (BLOCKS[model.cell].index(letter) + more) for more in (0, 1)))
            for weight in model.weights(0):
                weight[rows] = 0
            model.bias_ih_l0[rows] = 2000 * value - 1000
    return model


def test_the_gates_do_what_they_are_called_after() -> None:
    """S206, E003: f = 1 and i = 0 keep the cell exactly, f = 0 resets the cell, i = 0 does not hear x."""
    x, state = torch.randn(3, 6, 4, dtype=torch.float64), (torch.randn(2, 1, 3, 5, dtype=torch.float64)).unbind()
    assert torch.equal(shut(net("lstm"), f=1, i=0)(x, state)[1][1], state[1])
    assert torch.equal(shut(net("lstm"), f=0, i=0)(x, state)[1][1], torch.zeros_like(state[1]))
    reset = shut(net("lstm"), f=0)
    assert not torch.equal(reset(x[:, :1], state)[1][1], torch.zeros_like(state[1]))
    torch.testing.assert_close(reset(x[:, :1], state), reset(x[:, :1], (state[0], 7 * state[1])))
    deaf = shut(net("lstm"), i=0)
    deaf(x, state)[0].sum().backward()
    heard = [bool(rows.any()) for rows in deaf.weight_ih_l0.grad.chunk(4)]
    assert heard == [False, True, False, True]  # what i and g make of x comes to nothing


@pytest.mark.parametrize(("cell", "letter"), [("no_input_gate", "i"), ("no_forget_gate", "f"), ("no_output_gate", "o")])
def test_an_lstm_without_a_gate_is_one_whose_gate_stands_open(cell: Cell, letter: str) -> None:
    """C115: Greff's NIG, NFG, NOG."""
    whole, without = shut(net("lstm"), **{letter: 1}), net(cell)
    rows = torch.tensor([block != letter for block in "ifgo"]).repeat_interleave(5)
    with torch.no_grad():
        for its, our in zip(whole.weights(0), without.weights(0), strict=True):
            our.copy_(its[rows])
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    torch.testing.assert_close(without(x), whole(x))


@pytest.mark.parametrize("cell", [cell for cell in LSTMS if BLOCKS[cell] == "ifgo" and cell != "depth_gated"])
def test_torchs_state_dict_fits_whatever_has_its_four_blocks(cell: Cell) -> None:
    torchs = nn.LSTM(4, 5, batch_first=True).double()
    model = net(cell, peepholes=())
    model.load_state_dict(torchs.state_dict())
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    same = cell in ("lstm", "peephole")
    assert torch.allclose(model(x)[0], torchs(x)[0], rtol=0, atol=1e-12) == same


@pytest.mark.parametrize("gates", [(), ("forget",), ("output", "input"), GATES])
def test_peepholes_can_be_on_any_gates_and_zero_ones_leave_an_lstm(gates: tuple[str, ...]) -> None:
    """S209."""
    some, whole, plain = net("peephole", layers=2, peepholes=gates), net("peephole", layers=2), net("lstm", layers=2)
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    with torch.no_grad():
        for layer in range(2):
            for its, ours, theirs in zip(plain.weights(layer), some.weights(layer), whole.weights(layer), strict=True):
                ours.copy_(its)
                theirs.copy_(its)
            there = torch.stack([peeps(some, layer)[gate] for gate in GATES])
            assert [bool(row.any()) for row in there] == [gate in gates for gate in GATES]
            whole.get_parameter(f"weight_ch_l{layer}").copy_(there.flatten())
    torch.testing.assert_close(some(x), whole(x))
    assert torch.allclose(some(x)[0], plain(x)[0], atol=1e-6) == (not gates)
    with torch.no_grad():
        for layer in range(2):
            whole.get_parameter(f"weight_ch_l{layer}").zero_()
    torch.testing.assert_close(whole(x), plain(x))


def test_coupled_gates_are_an_lstm_whose_input_gate_is_what_is_not_forgotten() -> None:
    """S210: i = 1 - f, which is σ of the forget gate's sum with the other sign; three quarters of the weights."""
    coupled, plain = net("coupled"), net("lstm")
    with torch.no_grad():
        for its, ours in zip(plain.weights(0), coupled.weights(0), strict=True):
            f, g, o = ours.chunk(3)
            its.copy_(torch.cat([-f, f, g, o]))
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    torch.testing.assert_close(coupled(x), plain(x))


def test_the_papers_gru_resets_before_the_product_and_agrees_where_nothing_is_reset() -> None:
    """S211, S214: torch's reset gate, and ours, stands after the matrix product."""

    def cho(model: Recurrent, x: Tensor) -> Tensor:
        w, u, b, e = model.weights(0)
        wr, wz, wn, ur, uz, un = *w.chunk(3), *u.chunk(3)
        br, bz, bn = (b + e).chunk(3)
        h = x.new_zeros(len(x), model.hidden)
        for t in range(x.shape[1]):
            r = σ(x[:, t] @ wr.T + h @ ur.T + br)
            z = σ(x[:, t] @ wz.T + h @ uz.T + bz)
            new = tanh(x[:, t] @ wn.T + (r * h) @ un.T + bn)
            h = (1 - z) * new + z * h
        return h

    model, x = net("gru"), torch.randn(3, 6, 4, dtype=torch.float64)
    assert not torch.allclose(model(x)[0][:, -1], cho(model, x), atol=1e-6)
    shut(model, r=1)
    torch.testing.assert_close(model(x)[0][:, -1], cho(model, x))


def test_a_shut_depth_gate_leaves_stacked_lstms() -> None:
    """S212: d = 0; and the first layer is an LSTM whatever the gate does."""
    deep, plain = net("depth_gated", layers=3), net("lstm", layers=3)
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    with torch.no_grad():
        for layer in range(3):
            for its, ours in zip(plain.weights(layer), deep.weights(layer), strict=True):
                its.copy_(ours[: len(its)])
    assert not torch.allclose(deep(x)[0], plain(x)[0], atol=1e-6)
    torch.testing.assert_close(deep(x)[1][0][0], plain(x)[1][0][0])
    with torch.no_grad():
        for layer in (1, 2):
            deep.get_parameter(f"bias_ih_l{layer}")[4 * 5 :] = -1000
    torch.testing.assert_close(deep(x), plain(x))


def test_modules_of_a_clockwork_layer_stand_still_between_their_beats() -> None:
    """S213: module k moves where its period divides the step."""
    model = net("clockwork", hidden=7)  # modules of 3, 2 and 2
    out, (last, clock) = model(torch.randn(3, 9, 4, dtype=torch.float64))
    assert torch.equal(last[0], out[:, -1])
    assert clock.tolist() == [9]
    for step in range(1, 9):
        moved = (out[:, step] != out[:, step - 1]).all(0).tolist()
        stood = (out[:, step] == out[:, step - 1]).all(0).tolist()
        beats = [step % period == 0 for period, size in zip(PERIODS, (3, 2, 2), strict=True) for _ in range(size)]
        assert moved == beats
        assert stood == [not beat for beat in beats]


def test_a_clockwork_layer_whose_periods_are_all_1_is_a_masked_elman_layer() -> None:
    """S213: block upper triangular weights."""
    model, plain = net("clockwork", hidden=6, periods=(1, 1, 1)), net("rnn", hidden=6)
    plain.load_state_dict(model.state_dict())
    triangle = torch.ones(3, 3).triu().repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert torch.equal(plain.weight_hh_l0 != 0, triangle.bool())
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    torch.testing.assert_close(model(x)[0], plain(x)[0])
    model(x)[0].sum().backward()
    assert torch.equal(model.weight_hh_l0.grad != 0, triangle.bool())
    assert model.learnt() == plain.learnt() - 12


def test_a_clockwork_layer_needs_a_unit_for_every_period() -> None:
    with pytest.raises(UserError, match="3 units or more, one for each of its periods; got 2"):
        net("clockwork", hidden=2)


def test_a_depth_gate_takes_a_layer_below() -> None:
    """S212: alone it would be an LSTM under another name."""
    with pytest.raises(UserError, match=r"must have 2 layers or more.*got 1"):
        net("depth_gated")


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in FUSED])
def test_no_step_waits_for_the_device(cell: Cell) -> None:
    """A meta tensor holds no number that could be read back."""
    model = net(cell, layers=2, bidirectional=True).to("meta")
    out, state = model(torch.empty(3, 6, 4, dtype=torch.float64, device="meta"))
    assert model(torch.empty(3, 6, 4, dtype=torch.float64, device="meta"), state)[0].shape == out.shape == (3, 6, 10)
    if cell == "clockwork":
        assert state[1].device.type == "cpu"
        assert state[1].tolist() == [6] * 4


def test_a_clock_that_was_saved_goes_on_bit_for_bit() -> None:
    """S213: the second chunk begins where the slow modules stand still."""
    model, x = net("clockwork", layers=2), torch.randn(3, 12, 4, dtype=torch.float64)
    state = model(x[:, :5])[1]
    torch.save(state, saved := io.BytesIO())
    saved.seek(0)
    again = torch.load(saved, weights_only=True)
    ours, its = model(x[:, 5:], again), model(x[:, 5:], state)
    torch.testing.assert_close(ours, its, rtol=0, atol=0)
    stopped = (again[0], torch.zeros_like(again[1]))
    assert not torch.equal(model(x[:, 5:], stopped)[0], its[0])


@pytest.mark.parametrize("cell", CELLS)
def test_chunks_with_the_state_carried_equal_the_whole(cell: Cell) -> None:
    """S198: forward; and where the state is detached no gradient crosses the border."""
    model = net(cell, layers=2)
    x = torch.randn(3, 11, 4, dtype=torch.float64, requires_grad=True)
    whole, end = model(x)
    first, state = model(x[:, :5])
    second, after = model(x[:, 5:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(after, end)
    (through,) = torch.autograd.grad(second.sum(), x)
    assert through[:, 4].abs().min() > 0
    cut = tuple(piece.detach() for piece in state) if isinstance(state, tuple) else state.detach()
    (through,) = torch.autograd.grad(model(x[:, 5:], cut)[0].sum(), x)
    assert not through[:, :5].any()
    assert through[:, 5:].abs().min() > 0


@pytest.mark.parametrize("cell", ["rnn", "lstm", "peephole", "clockwork"])
def test_what_the_way_back_needs_grows_with_the_length_and_not_with_chunks(cell: Cell) -> None:
    """S198, C111: numbers kept for the gradient."""
    model = net(cell)

    def kept(length: int) -> int:
        held = {}

        def pack(tensor: Tensor) -> Tensor:
            held[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(torch.randn(3, length, 4, dtype=torch.float64))
        return sum(held.values())

    assert kept(200) - kept(100) == pytest.approx(kept(300) - kept(200), rel=0.05)
    assert kept(400) > 3 * kept(100)


def test_backpropagation_through_time_sums_over_the_uses_of_a_weight() -> None:
    """S197: for a loss at the third step V is used once, the recurrent weights twice, the inputs' three times."""
    model = net("rnn")
    x, v = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(5, 1, dtype=torch.float64, requires_grad=True)
    (model(x)[0][:, -1] @ v).sum().backward()
    w, u, b, e = model.weights(0)
    copies = [[weight.detach().clone().requires_grad_() for _ in range(3)] for weight in (w, u, v)]
    h = x.new_zeros(2, 5)
    for t in range(3):
        h = tanh(x[:, t] @ copies[0][t].T + h @ copies[1][t].T + b + e)
        if t == 2:
            (h @ copies[2][t]).sum().backward()
    uses = [[copy.grad for copy in each if copy.grad is not None and copy.grad.any()] for each in copies]
    assert [len(each) for each in uses] == [3, 2, 1]
    for weight, each in zip((w, u, v), uses, strict=True):
        torch.testing.assert_close(weight.grad, sum(each))


@pytest.mark.parametrize("cell", CELLS)
def test_layers_on_top_of_each_other_read_what_the_ones_below_write(cell: Cell) -> None:
    """S200, S215; and dropout stands between them alone: all of it left out, the second layer reads zeros."""
    whole = net(cell, layers=2, dropout=1.0)
    alone: Cell = "lstm" if cell == "depth_gated" else cell
    parts = [net(alone, inputs=4), net(alone, inputs=5)]
    x = torch.randn(3, 6, 4, dtype=torch.float64)
    if cell == "depth_gated":  # its cells hear the ones below as well: shut that way
        with torch.no_grad():
            whole.bias_ih_l1[20:] = -1000
    with torch.no_grad():
        for layer, part in enumerate(parts):
            for its, ours in zip(part.weights(0), whole.weights(layer), strict=True):
                its.copy_(ours[: len(its)])
            if cell == "peephole":
                part.weight_ch_l0.copy_(whole.get_parameter(f"weight_ch_l{layer}"))
    below = parts[0](x)[0]
    torch.testing.assert_close(whole(x)[0], parts[1](torch.zeros_like(below))[0])
    torch.testing.assert_close(whole.eval()(x)[0], parts[1](below)[0])


@pytest.mark.parametrize(("cell", "layers"), [(cell, layers) for cell in CELLS for layers in range(least(cell), 3)])
def test_the_backward_direction_is_a_forward_one_over_the_reversed_input(cell: Cell, layers: int) -> None:
    """S216; filled up sequences give what each gives by itself."""
    both = net(cell, layers=layers, bidirectional=True)
    x, lengths = torch.randn(3, 7, 4, dtype=torch.float64), torch.tensor([7, 1, 4])
    out, after = both(x)
    assert out.shape == (3, 7, 10)
    assert pieces(after)[0].shape == (2 * layers, 3, 5)
    if layers == 1:
        back = net(cell)
        for name, weight in back.named_parameters():
            weight.data.copy_(both.get_parameter(f"{name}_reverse"))
        turned, state = back(x.flip(1))
        torch.testing.assert_close(out[:, :, 5:], turned.flip(1))
        torch.testing.assert_close(pieces(after)[0][1:], pieces(state)[0])
    filled, none = both(x, lengths=lengths)
    assert none is None
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(filled[row, :length], both(x[row : row + 1, :length])[0][0])


@pytest.mark.parametrize("cell", CELLS)
def test_the_weights_are_so_many(cell: Cell) -> None:
    """C113: an LSTM's are four times an Elman layer's; C116, S210: a GRU and coupled gates have three quarters."""
    assert net("lstm").learnt() == 4 * net("rnn").learnt()
    assert net("gru").learnt() == net("coupled").learnt() == net("lstm").learnt() * 3 / 4
    quarters = {"rnn": 1, "gru": 3, "coupled": 3, "clockwork": 1} | dict.fromkeys(
        ("no_input_gate", "no_forget_gate", "no_output_gate"), 3
    )
    beside = {"peephole": 3 * 5, "clockwork": -(2 * 3 + 2)}.get(cell, 0)  # modules of 2, 2 and 1 units
    if cell != "depth_gated":
        assert net(cell).learnt() == quarters.get(cell, 4) * net("rnn").learnt() + beside


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_weights_are_counted_without_them(cell: Cell, both: bool) -> None:
    for hidden in (5, 6, 7):
        model = Recurrent(cell, 3, hidden, 2, bidirectional=both)
        deaf = int((model.heard == 0).sum()) * 2 * (1 + both) if cell == "clockwork" else 0
        there = sum(parameter.numel() for parameter in model.parameters()) - deaf
        assert model.learnt() == count(cell, 3, hidden, 2, model.directions) == there


@pytest.mark.parametrize("cell", FUSED)
def test_both_directions_call_by_call_are_one_call(cell: Cell) -> None:
    """S216: as it is done on a GPU."""
    model, x = net(cell, layers=3, bidirectional=True), torch.randn(3, 7, 4, dtype=torch.float64)
    begin = begun(model, 3, torch.float64)
    for state in (None, begin):
        torch.testing.assert_close(model._apart(x, state, None), model(x, state), rtol=0, atol=1e-12)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", FUSED)
def test_weights_lie_in_the_pieces_that_cudnn_is_handed(
    cell: Cell, both: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no GPU here: what cuDNN is asked to lay out is laid out by a stand-in."""
    handed = []

    def lay(block: list[Tensor], stride: int, *told: Any) -> None:
        handed.append(told)
        assert len(block) == stride * told[4]
        piece, begin = torch.cat([weight.flatten() for weight in block]), 0
        for weight in block:
            weight.set_(piece[begin : begin + weight.numel()].view(weight.shape))
            begin += weight.numel()

    plain = Recurrent(cell, 4, 5, 3, bidirectional=both)
    model, x = copy.deepcopy(plain), torch.randn(2, 7, 4)
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.cudnn, "is_acceptable", lambda tensor: True)
        patch.setattr(torch, "_use_cudnn_rnn_flatten_weight", lambda: True)
        patch.setattr(torch.backends.cudnn.rnn, "get_cudnn_mode", str)
        patch.setattr(torch, "_cudnn_rnn_flatten_weight", lay)
        model.to(torch.float32)
        copied = copy.deepcopy(model)
    mode = {"rnn": "RNN_TANH", "lstm": "LSTM", "gru": "GRU"}[cell]
    widths = [4, 4, 10, 10, 10, 10] if both else [4]
    # inputs, mode, units, no projection, layers, batch first, both directions
    once = [(width, mode, 5, 0, 1 if both else 3, True, False) for width in widths]
    assert handed == 2 * once
    for flat in (model, copied):
        places = {parameter.untyped_storage().data_ptr() for parameter in flat.parameters()}
        assert len(places) == len(once)
        assert [*flat.state_dict()] == [*plain.state_dict()]
        torch.testing.assert_close(flat(x), plain(x), rtol=0, atol=0)
        for told in (plain, flat):
            told.zero_grad()
            told(x)[0].sum().backward()
        for our, its in zip(flat.parameters(), plain.parameters(), strict=True):
            assert torch.equal(our, its)
            assert torch.equal(our.grad, its.grad)


@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_beside_the_weights_changes_results_only_by_rounding(cell: Cell) -> None:
    model = net(cell, layers=2, bidirectional=True).float()
    x = torch.randn(3, 6, 4)
    out, _ = model(x)
    out.square().sum().backward()
    exact = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        rough, state = model(x)
        model(x, state)
        rough.float().square().sum().backward()
    torch.testing.assert_close(rough.float(), out, rtol=0, atol=0.03)
    for parameter, gradient in zip(model.parameters(), exact, strict=True):
        assert parameter.grad.dtype == torch.float32
        assert (parameter.grad - gradient).norm() <= 0.1 * gradient.norm() + 0.01


def test_a_compiler_leaves_the_steps_as_they_are() -> None:
    """Unrolled, they would take it minutes."""
    graphs = []

    def compiler(graph: Any, inputs: Any) -> Any:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    model, x = net("depth_gated", layers=2), torch.randn(3, 50, 4, dtype=torch.float64)
    plain = model(x)
    model.compile(backend=compiler)
    with torch.no_grad():
        torch.testing.assert_close(model(x), plain)
    assert sum(graphs) < 50
