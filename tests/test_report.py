"""The report: evidence read from a run folder, the pictures, the page, and runs side by side."""

import errno
import html
import json
import math
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from deepclassics import metrics
from deepclassics.cli import main
from deepclassics.data.streams import Columns, InOrder
from deepclassics.errors import UserError
from deepclassics.flags import Parser, add_flags, build
from deepclassics.host import Host
from deepclassics.loop import carry_out
from deepclassics.metrics import confusion_matrix
from deepclassics.recipe import Picture, Recipe, find
from deepclassics.report import (
    calibration,
    compare,
    confusion,
    curves,
    features,
    gallery,
    line,
    page,
    passage,
    recall,
    scatter,
    style,
    surface,
)
from deepclassics.report.evidence import Evidence
from deepclassics.run import Run

SYSTEM = find("lenet5")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of half an epoch, in a folder whose name must be escaped and quoted."""
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("runs") / "a <run> & more"
    carry_out(SYSTEM(epochs=0.5), path, Host(threads=1))
    return path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    """A copy of the trained run, to be spoilt."""
    return Run.open(shutil.copytree(trained, tmp_path / trained.name))


@pytest.fixture(autouse=True)
def look() -> Iterator[None]:
    with style.settings():
        yield


def words(figure: Figure) -> list[str]:
    """All that is written on a figure."""
    import matplotlib.text

    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_visible() and text.get_text()]


def pictured(monkeypatch: pytest.MonkeyPatch, *pictures: Picture) -> None:
    """Makes these the pictures of every report."""
    monkeypatch.setattr(SYSTEM, "pictures", lambda self, evidence: list(pictures))


def edit(run: Run, file: str, changes: dict[str, Any]) -> None:
    """Changes keys of one of a run's JSON files; a dict changes keys further in."""
    content = json.loads((run.path / file).read_text(encoding="utf-8"))
    for key, value in changes.items():
        content[key] = content[key] | value if isinstance(value, dict) else value
    (run.path / file).write_text(json.dumps(content), encoding="utf-8")


class Reader(HTMLParser):
    """What a page holds, and whether every element that opens also closes."""

    EMPTY = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


# --- evidence


def test_evidence_answers_are_the_models_own_and_computed_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = Evidence(run)
    given, right = evidence.answers("test")
    image = right.take(slice(0, len(right)))["image"]
    with torch.no_grad():
        expected = evidence.model(image).softmax(1)
    torch.testing.assert_close(given["probability"], expected, rtol=1e-4, atol=1e-6)
    assert len(right) == evidence.spec["examples"]["test"]
    error = float((given["label"] != right["label"]).double().mean())
    assert error == pytest.approx(evidence.result["scores"]["test/error"])

    monkeypatch.setattr(SYSTEM, "answer", lambda *_: pytest.fail("asked again"))
    assert evidence.answers("test") == (given, right)


def test_evidence_refuses_data_that_are_no_longer_the_same(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    data = run.recipe().load()
    counts = data.spec["examples"] | {"test": 7}
    rounded = data.spec | {"mean": [value * (1 + 8e-6) for value in data.spec["mean"]]}
    monkeypatch.setattr(SYSTEM, "load", lambda self: replace(data, spec=rounded))
    Evidence(run).splits()  # rounding is no change
    monkeypatch.setattr(SYSTEM, "load", lambda self: replace(data, spec=data.spec | {"examples": counts}))
    with pytest.raises(UserError, match="test has changed"):
        Evidence(run).splits()


def test_evidence_without_test_examples_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    data = run.recipe().load()
    monkeypatch.setattr(SYSTEM, "load", lambda self: replace(data, test=None))
    with pytest.raises(UserError, match="no test examples"):
        Evidence(run).answers("test")
    assert isinstance(data.valid, InOrder)
    assert len(Evidence(run).answers("valid")[0]["label"]) == len(data.valid.columns)


# --- the page


def test_page_explains_itself_and_needs_nothing_from_elsewhere(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = Evidence(run)
    pictured(monkeypatch, curves.picture(evidence), confusion.picture(evidence), calibration.picture(evidence))
    index = page.write(run)
    text = index.read_text(encoding="utf-8")
    reader = Reader(text)
    assert index == run.path / "report" / "index.html"
    images = reader.all("img")
    assert len(images) == 3
    assert {image["src"] for image in images} == {path.name for path in index.parent.glob("*.png")}
    assert all(image["alt"] and image["width"] and image["height"] for image in images)
    assert len(reader.all("table")) == len(reader.all("caption"))
    assert not reader.all("script")
    assert not reader.all("link")
    assert not re.search(r"(src|href)=\"?(https?:)?//|url\(", text)
    assert re.findall("<h2>(.*?)</h2>", text)[:3] == ["Scores", "Pictures", "Knobs"]
    assert "No published figure is known" in text
    assert "<strong>0.5</strong> (default" in text  # the one knob that is not the default
    assert text.count("<strong>") == 1


def test_page_tells_measured_beside_published(run: Run) -> None:
    row = {"score": "test/error", "value": 0.5, "measured": 0.6, "source": "A <b> 1998", "verified": False}
    other = {"score": "test/accuracy", "value": 0.3, "measured": 0.4, "source": "B", "verified": True}
    none = {"score": "test/loss", "value": 1.0, "measured": None, "source": "C", "verified": True, "differs": []}
    value = none | {"score": "test/value", "value": 22.0, "measured": 21.5}  # of which neither more nor less is better
    rows = [row | {"differs": ["epochs: 20 there, 1 here"]}, other | {"differs": []}, none, value]
    edit(run, "result.json", {"published": rows})
    text = page.write(run).read_text(encoding="utf-8")
    Reader(text)
    assert "test/error 0.6, published 0.5 (A &lt;b&gt; 1998): missed by 0.1; the protocol differs in 1 point." in text
    assert "test/accuracy 0.4, published 0.3 (B): reached; by the published protocol." in text
    assert "test/loss: published 1 (C); not measured here." in text
    assert "test/value 21.5, published 22 (C): 0.5 below it; by the published protocol." in text
    assert "epochs: 20 there, 1 here" in text
    assert text.count("(not verified)") == 1


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"kind": "sentence"}, "3 words"),
        ({"kind": "tagged"}, "3 words"),
        ({"kind": "text", "unit": "word"}, "3 words"),
        ({"kind": "text", "unit": "character"}, "3 characters"),
    ],
)
def test_a_vocabulary_is_counted_in_its_unit(spec: dict[str, str], told: str) -> None:
    assert told in page._data(spec | {"data": "x", "examples": {}, "vocabulary": ["a", "b", "c"]})


@pytest.mark.parametrize("data", ["wirings", "display", "roman", "film", "numerals", "movement", "adding"])
def test_the_question_that_a_page_gives_can_be_asked(data: str) -> None:
    recipe = find("wirings")(data=data, batch=2, updates=1, hidden=4)
    spec = recipe.load().spec
    (line,) = re.findall(r"deepclassics predict (.*?)</code>", page._commands(recipe, spec, Path("run"), True))
    _, *typed = shlex.split(html.unescape(line))
    with torch.no_grad():
        (row,) = recipe.answer(recipe.model(spec), {"text": typed}, None)["word"]
    assert row["answer"]


def test_page_escapes_all_that_is_the_users(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wild = "<script>alert('&')</script> $x_1$ 猫"

    def draw() -> Figure:
        figure = style.sheet(2, 1)
        figure.suptitle(wild)
        return figure

    pictured(monkeypatch, Picture(wild, wild, draw), Picture("Text", "", lambda: wild))
    edit(run, "spec.json", {"target": {"classes": [wild, *run.spec()["target"]["classes"][1:]]}, "data": wild})
    text = page.write(run).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<pre>&lt;script&gt;alert" in text
    assert "a &lt;run&gt; &amp; more" in text
    assert not Reader(text).all("script")


def test_letters_that_no_font_has_become_numbers_and_notes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings are errors here: matplotlib's about missing glyphs must not end a report."""
    unknown = "\u0b95"  # Tamil, in neither DejaVu nor the fonts for Chinese
    assert style.drawable(["cat", unknown, "a" * 30]) == ["cat", "#1", "a" * 23 + "…"]

    def draw() -> Figure:
        figure = style.sheet(2, 1)
        figure.suptitle(unknown)
        return figure

    pictured(monkeypatch, Picture("Tamil", "", draw))
    assert page.MISSING in page.write(run).read_text(encoding="utf-8")


def test_picture_whose_data_are_gone_is_a_note(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = Evidence(run)

    tries = []

    def gone(self: Recipe) -> None:
        tries.append(self)
        raise UserError("The folder faces/ is gone.")

    monkeypatch.setattr(SYSTEM, "load", gone)
    pictured(monkeypatch, confusion.picture(evidence), gallery.picture(evidence), curves.picture(evidence))
    text = page.write(run).read_text(encoding="utf-8")
    assert text.count("Not drawn: The folder faces/ is gone.") == 2
    assert len(Reader(text).all("img")) == 1
    assert len(tries) == 1  # a dead address would be waited for each time


def test_what_pictures_warn_of_stands_where_the_page_begins(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> str:
        raise UserError("The folder faces/ is gone.")

    pictured(
        monkeypatch,
        Picture("One", "", lambda: "drawn", lambda: "3 < 4 pictures are copies."),
        Picture("Two", "", gone, gone),
        Picture("Three", "", lambda: "drawn", lambda: ""),
    )
    told: list[str] = []
    text = page.write(run, told.append).read_text(encoding="utf-8")
    assert told == ["3 < 4 pictures are copies."]
    header, _, rest = text.partition("</header>")
    assert header.count('<p class="note">') == 1
    assert '<p class="note">3 &lt; 4 pictures are copies.</p>' in header
    assert rest.count("Not drawn: The folder faces/ is gone.") == 1
    Reader(text)


def test_the_terminal_tells_what_pictures_warn_of(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pictured(monkeypatch, Picture("One", "", lambda: "drawn", lambda: "4 pictures are copies."))
    with pytest.raises(SystemExit) as ended:
        main(["report", str(run.path)])
    assert not ended.value.code
    told = capsys.readouterr()
    assert told.out == f"{run.path / 'report' / 'index.html'}\n"
    assert told.err == "4 pictures are copies.\n"


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), ZeroDivisionError()])
def test_old_report_survives_a_failure(run: Run, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    old = page.write(run).read_bytes()
    before = sorted(run.path.rglob("*"))

    def fail(*_: Any) -> bool:
        raise fault

    monkeypatch.setattr(page, "save", fail)
    pictured(monkeypatch, curves.picture(Evidence(run)))
    with pytest.raises(UserError if isinstance(fault, OSError) else ZeroDivisionError):
        page.write(run)
    assert (run.path / "report" / "index.html").read_bytes() == old
    assert sorted(run.path.rglob("*")) == before


def test_new_report_replaces_the_old_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pictured(monkeypatch, curves.picture(Evidence(run)))
    page.write(run)
    pictured(monkeypatch)
    page.write(run)
    assert [path.name for path in (run.path / "report").iterdir()] == ["index.html"]


def test_page_of_a_run_that_has_not_finished(run: Run) -> None:
    (run.path / "result.json").unlink()
    text = page.write(run).read_text(encoding="utf-8")
    assert "It has not finished" in text
    assert "Go on with the run" in text
    assert "The newest, of a run that has not finished" in text


def test_docstrings_become_paragraphs_headings_and_lists() -> None:
    first, rest = page._explained(
        "Net: reads.\n\nMore\nof it.\n\nSource: A <b>.\n\n"
        "Departures from the paper:\n- One\n  `--x`.\n- Two.\n\nLetters: B."
    )
    assert first == ["Net: reads.", "More\nof it."]
    assert [page._paragraph(block) for block in rest] == [
        "<h3>Source</h3><p>A &lt;b&gt;.</p>",
        "<h3>Departures from the paper</h3><ul><li>One <code>--x</code>.</li><li>Two.</li></ul>",
    ]


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"modern": True, "epochs": 2.5, "clip_norm": 5.0, "data": "my 'own' data"},
        {"skip_bad": True, "optimizer": "sgd"},
    ],
)
def test_command_brings_back_the_recipe(knobs: dict[str, Any]) -> None:
    import shlex

    recipe = SYSTEM(**knobs)
    typed = shlex.split(page.command(recipe, Path("runs/a b")))
    assert typed[:3] == ["deepclassics", "run", "lenet5"]
    parser = Parser("test")
    parser.add_argument("--out")
    add_flags(parser, SYSTEM, "knobs")
    found = parser.split(typed[3:])
    assert found.pop("out") == "runs/a b"
    assert build(SYSTEM, found, "lenet5") == recipe


# --- the pictures


@pytest.mark.parametrize("size", [2, 12, 13, 100])
def test_confusion_is_readable_for_2_to_100_classes(size: int) -> None:
    classes = [f"class {k}" for k in range(size)]
    label = torch.arange(size).repeat(7)
    given = label.clone()
    given[:3] = (given[:3] + 1) % size  # class 0 for 1 comes first among errors of one each
    figure = confusion.confusion(confusion_matrix(given, label, size), classes)
    told = words(figure)
    assert f"3 errors in {7 * size} examples ({300 / (7 * size):.2f} %)" in [one.replace("\n", " ") for one in told]
    assert ("14.3%" in told) == (size <= 12)
    assert ("class 0 → class 1" in told) == (size > 12)
    assert sum(word.startswith("class ") for word in told) >= 2 * size
    width, height = figure.get_size_inches()
    assert max(width, height) < 13


def test_confusion_of_a_perfect_classifier() -> None:
    told = words(confusion.confusion(torch.diag(torch.tensor([3, 4])), ["a", "b"]))
    assert "0 errors in 7 examples\n(0.00 %)" in told


@pytest.mark.parametrize("channels", [1, 3])
def test_gallery_has_every_error_most_confident_first(channels: int) -> None:
    image = torch.randint(256, (6, channels, 8, 8), dtype=torch.uint8)
    right = torch.tensor([0, 1, 2, 0, 1, 2])
    given = torch.tensor([0, 2, 2, 1, 0, 2])
    confidence = torch.tensor([0.9, 0.5, 0.9, 0.75, 0.9, 0.9])
    told = words(gallery.gallery(Columns(image=image, label=right), given, confidence, ["A", "B", "C"]))
    # Right, given and how sure, of examples 4, 3 and 1.
    assert told[:9] == ["B", "A", "90%", "A", "B", "75%", "B", "C", "50%"]
    assert "3 errors in 6 examples; from 90.0 % to 50.0 % sure" in told


def test_gallery_shows_the_pixels_of_the_wrong_example() -> None:
    image = torch.zeros(2, 1, 4, 4)
    image[1] = torch.rand(1, 4, 4)
    figure = gallery.gallery(
        Columns(image=image, label=torch.tensor([0, 0])), torch.tensor([0, 1]), torch.ones(2), ["0", "1"]
    )
    board = torch.as_tensor(figure.axes[0].images[0].get_array())
    torch.testing.assert_close(board[:4, :4, 0], image[1, 0])


def test_gallery_states_the_total_beyond_its_cap_and_when_there_are_no_errors() -> None:
    count = gallery.MOST + 50
    label = torch.zeros(count, dtype=torch.int64)
    right = Columns(image=torch.rand(count, 1, 2, 2), label=label)
    told = words(gallery.gallery(right, label + 1, torch.zeros(count), ["0", "1"]))
    assert f"{count} errors in {count} examples, the first {gallery.MOST} of them" in told
    assert told.count("1") == gallery.MOST
    assert words(gallery.gallery(right, label, torch.ones(count), ["0"])) == [f"0 errors in {count} examples."]


def test_gallery_makes_large_pictures_small_enough_for_a_page() -> None:
    columns = Columns(image=torch.full((2, 1, 50, 400), 100, dtype=torch.uint8), label=torch.zeros(2).long())
    small = gallery.thumbnails(columns, torch.tensor([1]))
    assert small.shape == (1, 3, 12, gallery.THUMBNAIL)
    torch.testing.assert_close(small, torch.full_like(small, 100 / 255))


@pytest.mark.parametrize("size", [2, 10, 200, 230])
def test_recall_has_a_row_a_class_the_worst_first(size: int) -> None:
    label = torch.arange(size).repeat(4)
    given = label.clone()
    given[[size - 1, 2 * size - 1, 3 * size - 1]] = 0  # the last class: 1 of 4 found; class 0: 4 of 7 right
    told = words(recall.recall(confusion_matrix(given, label, size), [f"Klasse {k} 類" for k in range(size)]))
    # Ties keep the order of the classes. A class is called by its number where no font here has its letters.
    names = style.drawable([f"Klasse {k} 類" for k in range(size)])
    assert [word for word in told if word in names][:2] == [names[size - 1], names[0]]
    assert "25.0 %  1 of 4" in told
    assert "57.1 %  4 of 7" in told
    assert sum(word in names for word in told) == min(size, recall.MOST)
    worst = f"; the {recall.MOST} worst of them" if size > recall.MOST else ""
    assert f"mean recall {100 * (1 - 0.75 / size):.1f} %, over {size} classes{worst}" in told


def test_recall_of_classes_without_examples_or_answers() -> None:
    counts = torch.tensor([[0, 0, 0], [0, 5, 0], [0, 2, 0]])  # none of class 0; nothing is called class 2
    told = words(recall.recall(counts, ["a", "b", "c"]))
    assert "a" not in told
    assert "none given" in told
    assert "71.4 %  5 of 7" in told
    assert "mean recall 50.0 %, over 2 classes" in told


def test_curves_have_a_panel_a_score_and_mark_the_best() -> None:
    errors = [0.9, 0.2, 0.01, 0.02]
    rows = [{"step": 10 * k, "epoch": k / 2, "train/loss": 3.0 - k, "valid/error": errors[k]} for k in range(4)]
    figure = curves.curves([*rows, {"step": 40, "epoch": 2.0, "train/loss": float("nan")}])
    loss, error = figure.axes[:2]
    assert (loss.get_title(loc="left"), error.get_title(loc="left")) == ("loss", "error")
    assert (loss.get_yscale(), error.get_yscale()) == ("linear", "log")  # 0.9 is 90 times 0.01; 0 has no logarithm
    ring = next(one for one in error.lines if "best" in str(one.get_label()))
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (20, 0.01)
    assert not any("best" in str(one.get_label()) for one in loss.lines)  # only validation scores are chosen by
    epochs = error.child_axes[0]
    figure.draw_without_rendering()
    assert epochs.get_xlim()[1] == pytest.approx(error.get_xlim()[1] / 20)


def test_curves_best_of_r2_is_the_highest() -> None:
    figure = curves.curves([{"step": k, "valid/r2": value} for k, value in enumerate([0.1, 0.6, 0.5])])
    ring = next(one for one in figure.axes[0].lines if "best" in str(one.get_label()))
    assert ring.get_ydata()[0] == 0.6


def test_curves_without_scores() -> None:
    assert "No scores were logged." in words(curves.curves([]))


def test_calibration_draws_bins_and_error() -> None:
    probability = torch.tensor([[0.8, 0.2]] * 10)
    label = torch.tensor([0] * 5 + [1] * 5)  # 80 % sure, 50 % right
    figure = calibration.calibration(probability, label)
    assert "expected calibration error 30.00 %\n10 examples" in words(figure)
    (x,), (y,) = (axis.tolist() for axis in figure.axes[0].containers[0].lines[0].get_data())
    assert (x, y) == (pytest.approx(0.8), pytest.approx(0.5))


def test_wilson_interval() -> None:
    """Known values of the interval for 5 of 10 (Wilson 1927): 0.2366 to 0.7634."""
    low, high = metrics.wilson(torch.tensor([0.5, 0.0]), torch.tensor([10, 10]))
    assert low.tolist() == pytest.approx([0.2366, 0.0], abs=1e-4)
    assert high.tolist() == pytest.approx([0.7634, 0.2775], abs=1e-4)


def test_decision_surface_rings_what_is_wrong() -> None:
    asked = []

    def answer(points: torch.Tensor) -> torch.Tensor:
        asked.append(points.shape)
        second = torch.sigmoid(8 * points[:, 0])
        return torch.stack([1 - second, second], 1)

    points = torch.tensor([[-1.0, 0.0], [-0.5, 1.0], [1.0, 0.0], [0.5, 1.0]])
    figure = surface.decision_surface(answer, points, torch.tensor([0, 1, 1, 1]), ["no", "yes"], ["a", "b"])
    assert asked[0] == (surface.SIDE**2, 2)
    axes = figure.axes[0]
    ring = next(one for one in axes.lines if one.get_label() == "wrong (1)")
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (-0.5, 1.0)
    shade = axes.images[0].get_array()
    assert (shade[0, 0] != shade[0, -1]).any()
    border = axes.collections[0].get_paths()[0].vertices
    assert abs(border[:, 0]).max() < 0.02  # where both classes are as likely: a = 0


def test_number_surface_has_one_scale_for_surface_and_points() -> None:
    points = torch.rand(20, 2)
    figure = surface.number_surface(lambda grid: grid.sum(1), points, points.sum(1) + 5, "y")
    image, dots = figure.axes[0].images[0], figure.axes[0].collections[-1]
    assert image.get_clim() == dots.get_clim()
    assert image.get_clim()[1] == pytest.approx(float(points.sum(1).max()) + 5)


def test_perceptron_line_is_where_it_decides() -> None:
    """S009: the hyperplane w x + b = 0, here over two features."""
    points, label = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 0, 0, 1])
    zero = {"weight": torch.zeros(1, 2), "bias": torch.zeros(1)}
    first = {"weight": torch.tensor([[1.0, 0.0]]), "bias": torch.tensor([-0.5])}
    last = {"weight": torch.tensor([[2.0, 2.0]]), "bias": torch.tensor([-3.0])}
    figure = line.line(points, label, [(0, zero), (3, first), (9, last)], ["no", "yes"])
    drawn = [one for one in figure.axes[0].lines if len(one.get_xdata()) == 2 and one.get_color() == "black"]
    assert len(drawn) == 2  # the unit that is 0 everywhere has no line
    assert list(drawn[0].get_xdata()) == [0.5, 0.5]
    for x, y in zip(drawn[1].get_xdata(), drawn[1].get_ydata(), strict=True):
        assert 2 * x + 2 * y == pytest.approx(3)
    assert drawn[1].get_linewidth() > drawn[0].get_linewidth()
    assert "after update 9" in words(figure)


def test_line_always_keeps_the_last_snapshot() -> None:
    snapshots = [(k, {"weight": torch.tensor([[1.0, k]]), "bias": torch.tensor([0.0])}) for k in range(997)]
    figure = line.line(torch.rand(4, 2), torch.zeros(4, dtype=torch.int64), snapshots, ["a"])
    assert "after update 996" in words(figure)
    assert len(figure.axes[0].lines) < line.MOST + 5


def test_scatter_tells_r2_and_rmse() -> None:
    number = torch.tensor([1.0, 2.0, 3.0, 4.0])
    told = words(scatter.scatter(number + torch.tensor([1.0, -1.0, 1.0, -1.0]), number, "price"))
    assert "R² 0.200, RMSE 1, 4 examples" in told
    assert "predicted price" in told


def test_features_show_every_layer_and_leave_no_hook() -> None:
    """S164: what the layers make of an input."""
    model = nn.Sequential(nn.Conv2d(1, 70, 3), nn.Conv2d(70, 5, 6), nn.Flatten(), nn.Linear(5, 3))
    told = words(features.features(model, torch.rand(1, 8, 8), ["0", "1", "3"]))
    assert any(word.startswith("0: 70 maps of 6 × 6, the first 64, from") for word in told)
    assert any(word.startswith("1: 5 units, from") for word in told)  # maps of one pixel
    assert any(word.startswith("3: 3 units, from") for word in told)
    assert not any(module._forward_hooks for module in model.modules())


def test_feature_maps_are_in_their_places() -> None:
    maps = torch.rand(17, 2, 3)
    board = features._mosaic(maps)
    assert board.shape == (2 * 3, 16 * 4)
    torch.testing.assert_close(board[3:5, 0:3], maps[16])
    torch.testing.assert_close(board[0:2, 60:63], maps[15])
    assert int(board.isfinite().sum()) == maps.numel()


def test_passage_has_the_first_and_the_last_sample_and_their_scores() -> None:
    """S202: samples in the course of training."""
    samples = [(100 * k, f"text {k}") for k in range(50)]
    text = passage.passage(samples, [{"step": 0, "valid/loss": 4.0}, {"step": 4900, "valid/loss": 1.5}])
    blocks = text.split("\n\n")
    assert blocks[0] == "── update 0, valid/loss 4.000 ──\ntext 0"
    assert blocks[-1] == "── update 4,900, valid/loss 1.500 ──\ntext 49"
    assert len(blocks) == 8
    assert passage.passage(samples[:2]).count("update") == 2


def test_marks_tell_49_classes_apart() -> None:
    assert len(set(style.marks(49))) == 49


def test_thin_is_even_and_at_most() -> None:
    for count in (0, 1, 39, 40, 41, 1000):
        places = list(style.thin(count, 40))
        assert len(places) <= 40
        assert (len(places) == count) == (count <= 40)


# --- runs side by side


def test_compare_tells_what_differs(run: Run, trained: Path, tmp_path: Path) -> None:
    first, second = run, Run.open(shutil.copytree(trained, tmp_path / "b"))
    result = second.result()
    assert result is not None
    published = [{"score": "test/error", "value": 0.25, "measured": 0.3, "source": "Somebody 1998"}]
    edit(second, "recipe.json", {"knobs": {"lr": 0.5}})
    edit(second, "result.json", {"scores": {"test/error": 0.125}, "steps": 9, "published": published})
    edit(second, "host.json", {"device": "cuda", "commit": "abc"})

    table = compare.compare([first, second])
    assert json.loads(json.dumps(table)) == table
    error = next(row for row in table["scores"] if row["name"] == "test/error")
    assert error["values"] == [result["scores"]["test/error"], 0.125]
    assert [row["name"] for row in table["knobs"]] == ["lr"]
    assert table["published"] == [{"name": "test/error", "source": "Somebody 1998", "values": [None, 0.25]}]
    why = " ".join(table["why"])
    assert "The knobs: lr." in why
    assert "The updates done:" in why
    assert "The commits:" in why
    assert "The host's device: cpu (a <run> & more), cuda (b)." in why
    lines = compare.text(table).splitlines()
    place = next(k for k, text in enumerate(lines) if text.startswith("test/error"))
    assert lines[place].endswith("0.125")
    assert lines[place + 1].split() == ["Somebody", "1998", "-", "0.25"]
    assert len({len(text) for text in lines[: place + 2]}) == 1  # columns are aligned


def test_compare_of_seeds_calls_it_chance_and_of_copies_nothing(run: Run, trained: Path, tmp_path: Path) -> None:
    copy = Run.open(shutil.copytree(trained, tmp_path / "b"))
    assert compare.compare([run, copy])["why"] == ["Nothing that was recorded differs: the runs are the same."]
    edit(copy, "recipe.json", {"knobs": {"seed": 1}})
    assert compare.compare([run, copy])["why"] == ["Of the knobs the seed alone: what it changes is chance."]


def test_compare_of_other_data_and_of_a_run_that_has_not_finished(run: Run, trained: Path, tmp_path: Path) -> None:
    other = Run.open(shutil.copytree(trained, tmp_path / "b"))
    edit(other, "spec.json", {"data": "mnist"})
    (other.path / "result.json").unlink()
    table = compare.compare([run, other])
    assert table["why"][0] == "b has not finished; its scores are the newest."
    assert "The data: digits (a <run> & more), mnist (b). Scores on different data do not compare." in table["why"]
    loss = next(row for row in table["scores"] if row["name"] == "valid/loss")
    assert all(math.isfinite(value) for value in loss["values"])


def test_evidence_of_columns_has_the_shape_that_pictures_expect(run: Run) -> None:
    """The wrappers of the pictures draw from a real run, so that a system needs one line for each."""
    evidence = Evidence(run)
    for module in (confusion, calibration, gallery):
        picture = module.picture(evidence, "valid")
        assert isinstance(picture.draw(), Figure)
        assert "valid" in picture.title + picture.caption
    with pytest.raises(UserError, match="exactly two features"):
        surface.picture(evidence).draw()


def test_surface_and_scatter_draw_from_evidence_of_a_table() -> None:
    class Table:
        """Evidence of a regression over two features whose answer is their sum."""

        def __init__(self) -> None:
            self.spec = {
                "features": 2,
                "feature_names": ["a", "b"],
                "columns": [{"kind": "number", "log": 0.0, "mean": 100.0, "std": 10.0}] * 2,
                "target": {"kind": "number", "name": "y", "mean": 0.0, "std": 1.0},
            }
            self.columns = Columns(features=torch.rand(9, 2), number=torch.rand(9))

        def splits(self) -> Any:
            return type("Splits", (), {"train": self.columns})()

        def ask(self, columns: Columns) -> dict[str, torch.Tensor]:
            return {"number": columns["features"].sum(1)}

        def answers(self, split: str) -> Any:
            return self.ask(self.columns), self.columns

    evidence: Any = Table()
    drawn = surface.picture(evidence).draw()
    assert "y" in words(drawn)
    x = drawn.axes[0].collections[-1].get_offsets()[:, 0]  # in the units of the table, not as the model sees them
    assert x.tolist() == pytest.approx((100 + 10 * evidence.columns["features"][:, 0]).tolist())
    assert float(drawn.axes[0].images[0].get_array().max()) < 3  # and the model is asked in its own
    assert "true y" in words(scatter.picture(evidence).draw())
