"""Logistic regression: scikit-learn's solutions, and what one layer of sums can and cannot part."""

import io
import math
import tarfile
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from deepclassics.data.kinds import table
from deepclassics.data.sets import imdb
from deepclassics.data.streams import Columns
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.learn import Clock, Learner, look
from deepclassics.loop import carry_out
from deepclassics.recipe import Recipe
from deepclassics.report import page, weights
from deepclassics.run import Run
from deepclassics.systems.foundations.linear import learner_for
from deepclassics.systems.foundations.logistic import Logistic, LogisticRecipe
from deepclassics.systems.foundations.mlp import MLPRecipe


def fitted(recipe: Recipe) -> tuple[Learner, Any]:
    """The learner and the data of a run without a folder, which ends when it is done or as planned."""
    data = recipe.load()
    torch.manual_seed(recipe.seed)
    learner = recipe.learner(recipe.model(data.spec))
    steps = recipe.plan(data).steps
    for position in range(steps):
        learner.step(data.train.at(position), Clock(position, steps, len(data.train)))
        if learner.done:
            break
    return learner, data


@pytest.mark.parametrize(
    ("method", "l1", "l2"), [("newton", 0.0, 0.01), ("newton", 0.02, 0.0), ("batch", 0.0, 0.01), ("batch", 0.02, 0.0)]
)
def test_logreg_the_solutions_are_scikit_learns(method: str, l1: float, l2: float) -> None:
    """S017: the same optimum as a trusted solver's, with L2 and with L1."""
    learner, data = fitted(LogisticRecipe(method=method, l1=l1, l2=l2))
    assert learner.done
    columns = data.train.columns
    x, y = columns["features"].double().numpy(), columns["label"].numpy()
    found = LogisticRegression(
        C=1 / (len(x) * (l1 + l2)), l1_ratio=float(l1 > 0), solver="saga" if l1 else "lbfgs", tol=1e-9, max_iter=100_000
    ).fit(x, y)
    model = learner.model
    assert isinstance(model, Logistic)
    np.testing.assert_allclose(model.weight.detach().numpy(), found.coef_, atol=1e-4)
    assert float(model.bias.detach()) == pytest.approx(float(found.intercept_[0]), abs=1e-4)
    if l1:
        assert int((model.weight == 0).sum()) == int((found.coef_ == 0).sum()) > 0


def test_logistic_unit_recovers_the_probabilities_it_was_drawn_from() -> None:
    """S016: overlapping classes in one dimension; windows of y beside the sigmoid, and the slope it was drawn with."""
    generator = torch.Generator().manual_seed(0)
    x = 4 * torch.rand(20_000, 1, generator=generator) - 2
    label = (torch.rand(20_000, generator=generator) < torch.sigmoid(2 * x[:, 0] - 0.5)).long()
    model = Logistic(1, 0, 1.0)
    learner = learner_for(model, "newton", lr=None, momentum=0, schedule="constant", l1=0, l2=0, tolerance=1e-6)
    for step in range(20):
        learner.step({"features": x, "label": label}, Clock(step, 20, 1))
    assert float(model.weight.detach()) == pytest.approx(2, rel=0.1)
    given = model.expected(model({"features": x}))[:, 0].detach()
    for low in np.arange(-2, 2, 0.4):
        window = (x[:, 0] >= low) & (x[:, 0] < low + 0.4)
        assert float(given[window].mean()) == pytest.approx(float(label[window].float().mean()), abs=0.05)


def test_div_ideal_a_wrong_unit_still_learns() -> None:
    """C087: where the unit is sure and wrong, the slope of its loss by the sum is near 1; that of the squared error
    through the sigmoid vanishes."""
    model = Logistic(1, 0, 1.0)
    sums, target = torch.tensor([[8.0]], requires_grad=True), torch.zeros(1, 1)
    (likelihood,) = torch.autograd.grad(model.loss(sums, target), sums)
    (squared,) = torch.autograd.grad((model.expected(sums) - target).square().sum() / 2, sums)
    assert float(likelihood) > 0.999
    assert float(squared) < 1e-3


def circles(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two rings around the origin, equally many points on each."""
    label = torch.arange(count) % 2
    angle = 2 * math.pi * torch.rand(count, generator=generator)
    radius = 1 + label + 0.1 * torch.randn(count, generator=generator)
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1), label


def test_trad_ml_a_feature_by_hand_does_what_a_plane_cannot(tmp_path: Any) -> None:
    """S020: concentric circles; a logistic regression guesses until it is given x1² + x2²; an MLP finds it itself."""
    x, label = circles(400, torch.Generator().manual_seed(0))
    rows = [
        f"{a:.4f},{b:.4f},{a * a + b * b:.4f},{'inner' if ring == 0 else 'outer'}"
        for (a, b), ring in zip(x.tolist(), label.tolist(), strict=True)
    ]
    whole, plain = tmp_path / "with.csv", tmp_path / "without.csv"
    whole.write_text("a,b,square,ring\n" + "\n".join(rows))
    plain.write_text("a,b,ring\n" + "\n".join(",".join([*row.split(",")[:2], row.split(",")[3]]) for row in rows))

    def error(recipe: Recipe) -> float:
        learner, data = fitted(recipe)
        return look(learner, data.test)["error"]

    assert error(LogisticRecipe(data=str(plain), target="ring")) > 0.35
    assert error(LogisticRecipe(data=str(whole), target="ring")) < 0.02
    assert error(MLPRecipe(data=str(plain), target="ring", hidden=(16,), lr=0.02, epochs=40)) < 0.02


def test_single_quad_one_layer_changes_its_mind_twice_at_most(tmp_path: Any) -> None:
    """S021: σ(θ0 + θ1 x + θ2 x²) against two tanh units under a sigmoid, on labels that change four times."""
    x = torch.linspace(-1, 1, 200)
    label = (torch.floor((x + 1) * 2.4999).long() % 2).tolist()
    file = tmp_path / "stripes.csv"
    rows = [f"{a:.4f},{a * a:.4f},{'ab'[side]}" for a, side in zip(x.tolist(), label, strict=True)]
    file.write_text("\n".join(["x,square,side", *rows]))
    single, data = fitted(LogisticRecipe(data=str(file), target="side", method="newton", l2=1e-6, test=0, valid=0))
    knobs = {"activation": "tanh", "lr": 0.05, "epochs": 300, "schedule": "constant", "test": 0, "valid": 0}
    multi, _ = fitted(MLPRecipe(data=str(file), target="side", hidden=(4,), **knobs))
    columns = data.train.columns
    order = columns["features"][:, 0].argsort()
    answers = (single.model({"features": columns["features"][order]})[:, 0] >= 0).long()
    assert int((answers.diff() != 0).sum()) <= 2
    logits = multi.model(columns["features"][order])
    assert int((logits.argmax(1).diff() != 0).sum()) >= 3
    batch = columns.take(slice(None))
    assert isinstance(single.model, Logistic)
    alone = single.model.loss(single.model(batch), single.model.target(batch))
    assert bool(torch.nn.functional.cross_entropy(multi.model(batch["features"]), batch["label"]) < 0.8 * alone)


def test_classes_that_a_plane_parts_do_no_harm() -> None:
    """Without a penalty there is no optimum; the weights stay finite and every example is right."""
    x = torch.tensor([[-2.0], [-1.0], [1.0], [3.0]])
    batch = {"features": x, "label": torch.tensor([0, 0, 1, 1])}
    model = Logistic(1, 0, 1.0)
    learner = learner_for(model, "newton", lr=None, momentum=0, schedule="constant", l1=0, l2=0, tolerance=1e-6)
    losses = [float(learner.step(batch, Clock(step, 40, 1))["loss"]) for step in range(40)]
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < 1e-3
    assert bool(((model(batch)[:, 0] >= 0).long() == batch["label"]).all())


def test_newton_does_not_overshoot_from_a_bad_start() -> None:
    """Where the sigmoids are saturated the quadratic is a poor guess: full steps would diverge."""
    torch.manual_seed(0)
    x = torch.randn(200, 2)
    batch = {"features": x, "label": (torch.rand(200) < torch.sigmoid(x[:, 0])).long()}
    model = Logistic(2, 0, 1.0)
    with torch.no_grad():
        model.weight.fill_(-8.0)
    learner = learner_for(model, "newton", lr=None, momentum=0, schedule="constant", l1=0, l2=0.01, tolerance=1e-6)
    losses = []
    for step in range(30):
        losses.append(float(learner.step(batch, Clock(step, 30, 1))["loss"]))
        if learner.done:
            break
    assert learner.done
    assert all(after <= before + 0.1 for before, after in pairwise(losses))
    x64 = x.double().numpy()
    found = LogisticRegression(C=1 / (200 * 0.01), tol=1e-10, max_iter=1000).fit(x64, batch["label"].numpy())
    np.testing.assert_allclose(model.weight.detach().numpy(), found.coef_, atol=1e-4)


def reviews(folder: Any) -> str:
    """A table of opinions in words, most of them of no meaning."""
    generator = torch.Generator().manual_seed(0)
    rows = ["opinion,text"]
    for number in range(120):
        good = number % 2
        filler = " ".join(f"w{int(k)}" for k in torch.randint(30, (8,), generator=generator))
        rows.append(f'{"good" if good else "bad"},"{filler}, {"splendid" if good else "dreadful"}! No {number}"')
    file = folder / "reviews.csv"
    file.write_text("\n".join(rows))
    return str(file)


def test_bow_the_users_text_is_a_bag_of_its_commonest_words(tmp_path: Any) -> None:
    """S255, N047: as many weights as words and one more; what is not in the bag is not seen."""
    recipe = LogisticRecipe(data=reviews(tmp_path), target="opinion", words=25)
    learner, data = fitted(recipe)
    assert data.spec["features"] == 0
    assert sum(p.numel() for p in learner.model.parameters()) == 26
    words = data.spec["columns"][0]["values"]
    assert words[0] == "no"
    assert {"splendid", "dreadful"} < set(words)
    assert look(learner, data.test)["error"] == 0
    names, batch = table.read(["a splendid, splendid thing", "unheard of", "text=dreadful"], data.spec)
    answer = recipe.answer(learner.model, batch, None)
    assert answer["label"][[0, 2]].tolist() == [1, 0]
    assert names[1] == "unheard of"
    assert (batch["words"][1] == -1).all()


def test_the_report_names_the_words_that_weigh_most(tmp_path: Any) -> None:
    recipe = LogisticRecipe(data=reviews(tmp_path), target="opinion", epochs=5)
    carry_out(recipe, tmp_path / "run", Host(device="cpu", threads=1))
    text = page.write(Run.open(tmp_path / "run")).read_text(encoding="utf-8")
    assert "Not drawn" not in text
    spec = Run.open(tmp_path / "run").spec()
    assert {"splendid", "dreadful"} < set(weights.names(spec))


def test_the_words_kept_are_those_of_the_training_rows(tmp_path: Any) -> None:
    recipe = LogisticRecipe(data=reviews(tmp_path), target="opinion")
    data = recipe.load()
    train = data.train.columns["words"]
    counts = torch.bincount(train[train >= 0].long())
    assert bool((counts >= 2).all()), "a word of one row alone teaches nothing"


def test_imdb_is_read_from_the_archive_of_its_authors_too(tmp_path: Any) -> None:
    """gzip or xz; what is not a labelled review is passed over; the order does not depend on the archive's."""
    reviews = {
        "train/pos/3_9.txt": "Good.<br /><br />Très bon.",
        "train/neg/12_2.txt": "Bad.",
        "train/unsup/0_0.txt": "Who knows?",
        "train/labeledBow.feat": "1 0:3",
        "test/neg/0_1.txt": "Dull.",
    }
    for packing in ("gz", "xz"):
        with tarfile.open(tmp_path / packing, f"w:{packing}") as archive:
            for name, text in reviews.items():
                info = tarfile.TarInfo(f"aclImdb/{name}")
                info.size = len(text.encode())
                archive.addfile(info, io.BytesIO(text.encode()))
        raw = imdb.read({"imdb/aclImdb_labelled.tar.xz": tmp_path / packing})
        assert raw.target == "opinion"
        assert raw.parts["train"].to_numpy().tolist() == [["Bad.", "negative"], ["Good.\n\nTrès bon.", "positive"]]
        assert raw.parts["test"].to_numpy().tolist() == [["Dull.", "negative"]]


def test_mistakes_are_told_in_a_sentence() -> None:
    with pytest.raises(UserError, match=r"must hold two classes; 'species' holds 3\. `deepclassics run softmax`"):
        LogisticRecipe(data="iris").load()
    with pytest.raises(UserError, match=r"holds numbers\. `deepclassics run linear` learns numbers"):
        LogisticRecipe(data="diabetes").load()


def test_columns_of_words_move_to_a_device_and_are_cut_like_others() -> None:
    columns = Columns(words=torch.tensor([[0, -1], [1, 2]], dtype=torch.int32))
    assert columns.take(torch.tensor([1]))["words"].tolist() == [[1, 2]]
