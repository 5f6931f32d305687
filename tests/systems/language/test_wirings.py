"""The five wirings (S199): what their examples are, how they are asked, and that the nets are wired as they say."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
import torch.nn.functional as F

from deepclassics import cli
from deepclassics.errors import UserError
from deepclassics.learn import Clock, look
from deepclassics.report.style import settings
from deepclassics.report.unrolled import Unrolled, unrolled
from deepclassics.systems.language import wirings
from deepclassics.systems.language.wirings import FIVE, Adding, Wired, WiringsRecipe, example, in_roman, in_words

EVERY = (*FIVE, "adding")


def made(name: str, count: int = 200, part: wirings.Part = "train") -> tuple[torch.Tensor, torch.Tensor]:
    return example(name, 20).make(count, part, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("number", "words", "roman"),
    [
        (0, "zero", "N"),
        (19, "nineteen", "XIX"),
        (44, "forty-four", "XLIV"),
        (100, "one hundred", "C"),
        (407, "four hundred and seven", "CDVII"),
        (1997, "one thousand nine hundred and ninety-seven", "MCMXCVII"),
        (2006, "two thousand and six", "MMVI"),
        (3888, "three thousand eight hundred and eighty-eight", "MMMDCCCLXXXVIII"),
    ],
)
def test_numbers_in_words_and_roman(number: int, words: str, roman: str) -> None:
    assert in_words(number) == words
    assert in_roman(number) == roman


@pytest.mark.parametrize("limit", [4000, 10_000])
def test_no_number_is_in_two_parts_and_all_words_are_learnt(limit: int) -> None:
    parts = [set(wirings.numbers_of(limit, part).tolist()) for part in wirings.PARTS]
    assert set.union(*parts) == set(range(limit))
    assert sum(map(len, parts)) == limit
    assert parts[0] >= {*range(21), *range(30, 100, 10)}
    assert all(0.08 < len(part) / limit < 0.12 for part in parts[1:])


@pytest.mark.parametrize("name", EVERY)
def test_what_is_put_in_reads_back_and_answers_are_told(name: str) -> None:
    """A question typed as the report shows it is the question it was."""
    each = example(name, 20)
    x, right = made(name)
    assert x.shape[2] == each.inputs
    for row in x[:20]:
        words = [word for word in each.asked(row) if word]
        read = each.read(" ".join(words))
        assert read is not None
        torch.testing.assert_close(read, row, rtol=0, atol=0.006)  # numbers are shown to two places
    assert all(each.between.join(each.told(answer)) for answer in right)
    others = [example(other, 20) for other in EVERY if other not in (name, "adding")]
    assert all(other.read(" ".join(word for word in each.asked(x[0]) if word)) is None for other in others)


def test_film_the_second_sentence_counts_and_not_turns() -> None:
    film = example("film", 20)
    x, right = made("film", 500)
    for row, praised in zip(x, right[:, 0].tolist(), strict=True):
        last = " ".join(film.asked(row)).split(" but ")[-1].split()
        assert praised == (last[-1] in wirings.Film.PRAISE) ^ ("not" in last)
    assert 0.4 < float(right.float().mean()) < 0.6


def test_movement_is_told_of_every_frame() -> None:
    x, right = made("movement")
    places = x.argmax(2)
    assert torch.equal(right[:, 1:] - 1, places.diff(dim=1))
    assert (right[:, 0] == 1).all()
    assert set(right.unique().tolist()) == {0, 1, 2}


def test_adding_one_is_marked_in_each_half_and_always_1_has_a_squared_error_of_a_sixth() -> None:
    x, right = Adding(100).make(20_000, "train", torch.Generator().manual_seed(0))
    number, mark = x.unbind(2)
    assert torch.equal(mark[:, :50].sum(1), torch.ones(20_000))
    assert torch.equal(mark[:, 50:].sum(1), torch.ones(20_000))
    torch.testing.assert_close(right[:, 0], (number * mark).sum(1))
    assert float((right - 1).square().mean()) == pytest.approx(1 / 6, abs=0.005)


@pytest.mark.parametrize(
    ("name", "put_in", "read"), [("display", 1, 1), ("roman", 1, 16), ("film", 13, 1), ("numerals", 7, 4),
                                 ("movement", 12, 12)],
)  # fmt: skip
def test_s199_lengths_of_the_wirings(name: str, put_in: int, read: int) -> None:
    each = example(name, 20)
    x, right = made(name, 3)
    assert x.shape == (3, put_in, each.inputs)
    assert right.shape == (3, read)
    assert Wired(each, "lstm", 8, 1)(x).shape == (3, read, each.outputs)


def test_nothing_is_written_before_all_has_been_read() -> None:
    """Through a code: every output hangs on every word; in step: on no frame that comes later."""
    for name, later in (("numerals", True), ("movement", False)):
        torch.manual_seed(0)
        net = Wired(example(name, 20), "lstm", 8, 1)
        x = made(name, 1)[0].requires_grad_()
        (gradient,) = torch.autograd.grad(net(x)[0, 0].sum(), x)
        assert bool(gradient[0, -1].any()) == later, name


def test_no_two_parts_are_made_from_the_same_numbers() -> None:
    """Neither where a run is as long as can be."""
    made = {
        (seed, part, position): wirings.Made({"adding": Adding(4)}, part, 2, 1, seed).at(position)["adding"]
        for seed in (0, 1)
        for part in wirings.PARTS
        for position in (0, 1, wirings.MOST - 1)
    }
    assert len({tuple(x.flatten().tolist()) for x in made.values()}) == len(made)
    again = wirings.Made({"adding": Adding(4)}, "valid", 2, 1, 1).at(1)["adding"]
    assert torch.equal(again, made[1, "valid", 1])


def test_a_batch_is_cut_over_the_ranks() -> None:
    stream = WiringsRecipe(batch=6).load().train
    whole = stream.at(3)
    pieces = [stream.on(torch.device("cpu"), rank, 2).at(3) for rank in range(2)]
    for key, value in whole.items():
        assert torch.equal(torch.cat([piece[key] for piece in pieces]), value)
    with pytest.raises(UserError, match="must divide evenly over the ranks; got 6 examples over 4 ranks"):
        stream.on(torch.device("cpu"), 0, 4)


@pytest.mark.parametrize("cell", ["rnn", "gru", "peephole"])
def test_other_cells_learn_the_display(cell: str) -> None:
    """The whole of it, ten digits, in 150 updates."""
    recipe = WiringsRecipe(data="display", cell=cell, hidden=32, updates=150)
    data = recipe.load()
    torch.manual_seed(0)
    learner = recipe.learner(recipe.model(data.spec))
    for position in range(150):
        learner.step(data.train.at(position), Clock(position, 150, 150))
    assert look(learner, data.test)["error"] < 0.05


@pytest.mark.long
@pytest.mark.parametrize(("name", "updates"), [("roman", 3000), ("film", 1000), ("numerals", 3000), ("movement", 600)])
def test_an_lstm_learns_each(name: str, updates: int) -> None:
    """S199, S219, S221, S222: more than 95 % of the test examples, of which it must have all outputs right."""
    recipe = WiringsRecipe(data=name, updates=updates)
    data = recipe.load()
    torch.manual_seed(0)
    learner = recipe.learner(recipe.model(data.spec))
    for position in range(recipe.updates):
        learner.step(data.train.at(position), Clock(position, recipe.updates, recipe.updates))
    assert look(learner, data.test)["error"] < 0.05


REPLIES = {
    "hello": "hello what can i do for you",
    "who are you": "a net",
    "are you well": "i am well and you",
    "i am not well": "what can i do",
    "what can you do": "i reply",
    "do you hear me": "i read",
    "are you a net": "i am",
    "you are not well": "i am well",
}


def test_a_dialogue_is_learnt_by_heart() -> None:
    """S220: a remark is read, then its reply is written; what differs in a word, or begins alike, has its own."""
    words = sorted({word for line in (*REPLIES, *REPLIES.values()) for word in line.split()})
    number = {word: place for place, word in enumerate(words, 1)}  # 0 is no word, and the end of a reply
    x = wirings.one_hot(torch.tensor([filled(line, number, 4, "before") for line in REPLIES]), words)
    right = torch.tensor([filled(line, number, 8, "after") for line in REPLIES.values()])
    torch.manual_seed(0)
    net = wired(inputs=len(words), outputs=len(words) + 1, after=8, writes=8)
    steps = torch.optim.Adam(net.parameters(), 2e-2)
    for _ in range(200):
        steps.zero_grad()
        F.cross_entropy(net(x).flatten(0, 1), right.flatten()).backward()
        steps.step()
    assert torch.equal(net(x).argmax(2), right)


def filled(line: str, number: dict[str, int], length: int, where: str) -> list[int]:
    ids = [number[word] for word in line.split()]
    gap = [0] * (length - len(ids))
    return gap + ids if where == "before" else ids + gap


def test_the_next_price_is_told_better_than_by_the_last_one() -> None:
    """S222: x(t) = 1.6 x(t-1) - 0.8 x(t-2) + noise of variance 1, which nobody can tell; the last price errs by 2.9."""

    def prices(count: int, seed: int) -> torch.Tensor:  # -> (N, 41, 1)
        noise = torch.randn(count, 91, generator=torch.Generator().manual_seed(seed))
        x = [noise[:, 0], noise[:, 1]]
        for each in noise[:, 2:].unbind(1):
            x.append(1.6 * x[-1] - 0.8 * x[-2] + each)
        return torch.stack(x[50:], 1)[..., None]

    torch.manual_seed(0)
    net = wired(inputs=1, outputs=1, after=0, writes=None)
    steps = torch.optim.Adam(net.parameters(), 1e-2)
    for update in range(100):
        x = prices(50, update)
        steps.zero_grad()
        F.mse_loss(net(x[:, :-1] / 4) * 4, x[:, 1:]).backward()
        steps.step()
    x = prices(500, 1000)
    last = float((x[:, 1:] - x[:, :-1]).square().mean())
    assert last == pytest.approx(2.94, abs=0.15)
    with torch.no_grad():
        assert float(F.mse_loss(net(x[:, :-1] / 4) * 4, x[:, 1:])) < last / 2


def wired(inputs: int, outputs: int, after: int, writes: int | None) -> Wired:
    """A net in a wiring of its own."""
    wiring = SimpleNamespace(recurs=True, inputs=inputs, outputs=outputs, after=after, writes=writes)
    return Wired(cast("wirings.Example", wiring), "lstm", 32, 1)


def test_asked_in_five_ways_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "run")

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(list(words))
        out = capsys.readouterr()
        return int(end.value.code or 0), out.out, out.err

    status, out, _ = call("run", "wirings", "--updates", "2", "--hidden", "8", "--out", path)
    assert status == 0
    assert "Right about 95 % of the test examples or fewer: " in out
    asked = {"bc": "one to one", "1997": "one to many", "the film was not bad": "many to one",
             "two thousand and six": "many to many, through a code", "3 4 5": "many to many, in step"}  # fmt: skip
    status, out, _ = call("predict", path, *asked, "--json")
    assert status == 0
    assert {row["name"]: row["wiring"] for row in map(json.loads, out.splitlines())} == asked
    for typed in ("hello", "", "4000", "0 9", "the the the the the the the the the the the the the the", "12,5"):
        status, _, err = call("predict", path, typed)
        assert status == 2
        assert err.startswith("What this run is asked must be one of these: lit segments of a display, as 'abged'; ")
        assert err.count("\n") == 1
    status, _, err = call("run", "wirings", "--data", "ading")
    assert status == 2
    assert "Did you mean 'adding'?" in err
    status, _, _ = call("report", path)
    assert status == 0
    page = (tmp_path / "run" / "report" / "index.html").read_text(encoding="utf-8")
    assert "The wirings, unrolled" in page
    assert "── many to many, in step: movement ──" in page


def test_unrolled_draws_long_sequences_in_part() -> None:
    given = [f"{place}*" if place in (3, 50) else str(place) for place in range(60)]
    with settings():
        figure = unrolled(
            [Unrolled("long", given, ["1.2"], ["1.3"], kept=(3, 50)), Unrolled("short", ["a"], ["b"], ["b"])]
        )
    words = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    assert words == ["0", "1", "3*", "50*", "58", "59", "1.2 (1.3)"]
    assert len(figure.axes[0].patches) == 6
