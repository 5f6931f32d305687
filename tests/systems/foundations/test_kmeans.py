"""K-means: scikit-learn's inertia, the three ways as one rule, and how much the order of the examples matters."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import cluster

from deepclassics.data.kinds import table
from deepclassics.data.streams import Columns, Opened
from deepclassics.errors import UserError
from deepclassics.host import Host
from deepclassics.learn import Clock
from deepclassics.loop import carry_out
from deepclassics.report import page
from deepclassics.run import Run
from deepclassics.systems.foundations import kmeans
from deepclassics.systems.foundations.kmeans import (
    Centres,
    KMeans,
    KMeansRecipe,
    gathered,
    race,
    rescued,
    spread,
    squared_distances,
    streamed,
)


def fitted(recipe: KMeansRecipe) -> tuple[KMeans, Any]:
    """The learner and the data of a run without a folder, which ends when it is done or as planned."""
    data = recipe.load()
    learner = recipe.learner(recipe.model(data.spec))
    steps = recipe.plan(data).steps
    for position in range(steps):
        learner.step(data.train.at(position), Clock(position, steps, len(data.train)))
        if learner.done:
            break
    return learner, data


def flat(columns: Columns) -> np.ndarray:
    batch = columns.take(slice(None))
    return (batch["features"] if "features" in batch else batch["image"]).flatten(1).double().numpy()


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer"])
def test_the_inertia_is_scikit_learns(name: str) -> None:
    learner, data = fitted(KMeansRecipe(data=name))
    assert learner.done
    x = flat(data.train.columns)
    found = cluster.KMeans(len(data.spec["target"]["classes"]), n_init=10, random_state=0).fit(x)
    scores, _ = KMeansRecipe(data=name).conclude(learner, data)
    assert scores["train/inertia"] < 1.02 * found.inertia_ / len(x)


@pytest.mark.parametrize(("method", "batch"), [("macqueen", 1), ("minibatch", 32)])
def test_kmeans_mb_the_others_come_near(method: Any, batch: int) -> None:
    """S106: within 2 % of what all examples at once reach, on a table in five passes."""
    whole, data = fitted(KMeansRecipe(data="wine"))
    other, _ = fitted(KMeansRecipe(data="wine", method=method, batch=batch, epochs=5))
    inertias = [float(squared_distances(x, each.model.centres[each.model.chosen]).amin(1).mean())
                for x in [data.train.columns["features"]] for each in (whole, other)]  # fmt: skip
    assert inertias[1] < 1.02 * inertias[0]


def test_lloyds_fixed_point_is_scikit_learns() -> None:
    """From the same start the centres come to rest at the same place, without noise between."""
    torch.manual_seed(0)
    x = torch.cat([torch.randn(60, 2), torch.randn(60, 2) + 3, torch.randn(60, 2) + torch.tensor([0.0, 5.0])])
    learner = KMeans(Centres(1, 3, 2), "lloyd", seed=1)
    inertias = []
    for step in range(50):
        learner.step({"features": x}, Clock(step, 50, 1))
        inertias.append(float(learner.model(x).amin(1).mean()))
        if step == 0:
            start = learner.model.centres[0].clone()
        if learner.done:
            break
    assert learner.done
    assert all(after <= before + 1e-6 for before, after in pairwise(inertias))
    found = cluster.KMeans(3, init=start.numpy(), n_init=1, tol=0, max_iter=100).fit(x.numpy())
    np.testing.assert_allclose(learner.model.centres[0].numpy(), found.cluster_centers_, atol=1e-4)


def test_macqueens_rule_and_sculleys() -> None:
    """A centre that is the mean of n moves by (x - c) / (n + 1); so do all of a batch, one after the other."""
    torch.manual_seed(0)
    x = torch.randn(30, 2)
    one, few = KMeans(Centres(1, 1, 2), "macqueen", 0), KMeans(Centres(1, 1, 2), "minibatch", 0)
    for learner in (one, few):
        learner.step({"features": x}, Clock(0, 100, 10))
    before = one.model.centres[0, 0].clone()
    one.step({"features": x[:1]}, Clock(1, 100, 10))
    torch.testing.assert_close(one.model.centres[0, 0], before + (x[0] - before) / 2)
    for number in range(1, 8):
        one.step({"features": x[number : number + 1]}, Clock(number + 1, 100, 10))
    few.step({"features": x[:8]}, Clock(1, 100, 10))
    torch.testing.assert_close(one.model.centres, few.model.centres)
    torch.testing.assert_close(few.model.centres[0, 0], torch.cat([before[None], x[:8]]).mean(0))


@given(seed=st.integers(0, 1000), count=st.integers(1, 20), clusters=st.integers(1, 5), features=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_distances_are_those_of_cdist(seed: int, count: int, clusters: int, features: int) -> None:
    torch.manual_seed(seed)
    x, centres = torch.randn(count, features), torch.randn(2, clusters, features)
    wanted = torch.cdist(x.expand(2, -1, -1), centres).square()
    torch.testing.assert_close(squared_distances(x, centres), wanted, atol=1e-4, rtol=1e-3)


def test_the_first_centres_are_examples_far_apart() -> None:
    """k-means++: of ten tight groups each gets one, where drawing at random would miss some."""
    generator = torch.Generator().manual_seed(0)
    groups = 100 * torch.randn(10, 3, generator=generator)
    x = (groups[:, None] + torch.randn(10, 20, 3, generator=generator)).flatten(0, 1)
    for seed in range(5):
        found = spread(x, 10, torch.Generator().manual_seed(seed))
        assert len(torch.cdist(found, groups).argmin(1).unique()) == 10
        assert all(bool((x == centre).all(1).any()) for centre in found)


def test_a_centre_without_examples_goes_to_the_one_that_is_worst_off() -> None:
    x = torch.tensor([[0.0], [1.0], [9.0]])
    centres = torch.tensor([[[0.5], [100.0]]])
    gap, nearest = squared_distances(x, centres).min(2)
    members = torch.nn.functional.one_hot(nearest, 2).sum(1)
    assert rescued(centres, members, x, gap).tolist() == [[[0.5], [9.0]]]


def test_examples_that_are_all_the_same_do_no_harm() -> None:
    learner = KMeans(Centres(2, 3, 2), "lloyd", 0)
    for step in range(5):
        scores = learner.step({"features": torch.ones(6, 2)}, Clock(step, 5, 1))
    assert float(scores["inertia"]) == 0
    assert bool(learner.model.centres.isfinite().all())


def test_kmeans_var_single_examples_make_the_error_vary_most() -> None:
    """S106, C078: the error that an update sees varies with the order by about 1/sqrt(examples of an update); all
    examples at once know no order. In the end the three are as good."""
    torch.manual_seed(0)
    x = torch.cat([torch.randn(100, 2) + 4 * torch.tensor([a, b]) for a in (0.0, 1.0) for b in (0.0, 1.0)])
    raced = race(x, 4, orders=8, passes=2)
    whole, few, one = raced["lloyd"], raced["minibatch"], raced["macqueen"]
    assert whole.seen == [0, 400]
    assert few.seen[:3] == one.seen[:3] == [0, 80, 160]
    assert whole.own.std(0).max() == whole.all.std(0).max() == 0
    varies = [float(course.own.std(0).mean()) for course in (one, few)]
    assert varies[0] > 2 * varies[1] > 0
    for course in (few, one):
        assert float(course.all[:, -1].mean()) == pytest.approx(float(whole.all[:, -1].mean()), rel=0.05)


def test_the_first_batch_is_everything_and_the_rest_a_shuffled_stream() -> None:
    columns = Columns(features=torch.arange(10.0)[:, None])
    stream = streamed(columns, "minibatch", 4, 0)
    assert isinstance(stream, Opened)
    assert stream.at(0)["features"].flatten().tolist() == list(range(10))
    later = torch.cat([stream.at(k)["features"] for k in range(1, 6)]).flatten()
    assert sorted(later[:10].tolist()) == sorted(later[10:].tolist()) == list(range(10))
    assert torch.equal(stream.at(3)["features"], stream.on(torch.device("cpu"), 1, 2).at(3)["features"])


@pytest.mark.parametrize("size", [1, 4, 6])  # the last does not divide 16: such a pass ends a little later
def test_the_set_that_stands_is_chosen_by_one_pass_over_the_examples(size: int) -> None:
    torch.manual_seed(0)
    stream = streamed(Columns(features=torch.randn(16, 2)), "macqueen" if size == 1 else "minibatch", size, 0)
    learner, inertia = KMeans(Centres(3, 4, 2), "minibatch", 0), torch.zeros(3)
    for step in range(3 * len(stream) + 1):
        batch = stream.at(step)
        inertia += squared_distances(batch["features"], learner.model.centres).amin(2).sum(1)
        learner.step(batch, Clock(step, 100, len(stream)))
        if step % len(stream) == 0:  # the first update lays the centres, then come whole passes
            assert learner.inertia.value.tolist() == [0.0] * 3
            assert step == 0 or int(learner.model.chosen) == int(inertia.argmin())
            inertia = torch.zeros(3)
        else:
            torch.testing.assert_close(learner.inertia.value, inertia)


def test_of_many_examples_few_distances_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    x, centres = torch.randn(500, 3), torch.randn(4, 5, 3)
    gap, nearest = squared_distances(x, centres).min(2)
    monkeypatch.setattr(kmeans, "AT_ONCE", 700)
    held: list[int] = []

    def seen(some: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
        found = squared_distances(some, to)
        held.append(found.numel())
        return found

    monkeypatch.setattr(kmeans, "squared_distances", seen)
    gaps, count, total = gathered(x, centres)
    assert max(held) <= 700 < sum(held) == 500 * 4 * 5
    torch.testing.assert_close(gaps, gap)
    for number in range(4):
        assert count[number].tolist() == nearest[number].bincount(minlength=5).tolist()
        for centre in range(5):
            torch.testing.assert_close(total[number, centre], x[nearest[number] == centre].sum(0), atol=1e-4, rtol=1e-4)


def test_a_table_without_a_target_is_enough(tmp_path: Any) -> None:
    """The user's own rows, which nobody has named: eight clusters, or as many as are asked for."""
    generator = torch.Generator().manual_seed(0)
    file = tmp_path / "stars.csv"
    points = torch.randn(90, 2, generator=generator) + 6 * torch.arange(3.0).repeat(30)[:, None]
    file.write_text("mass,glow\n" + "\n".join(f"{a:.4f},{b:.4f}" for a, b in points.tolist()))
    assert len(KMeansRecipe(data=str(file)).load().spec["target"]["classes"]) == 8
    recipe = KMeansRecipe(data=str(file), clusters=3, test=0.1)
    learner, data = fitted(recipe)
    assert recipe.conclude(learner, data)[0].keys() == {"train/inertia"}
    names, batch = table.read(["0,0", "mass=6,glow=6", "12.5,11.5"], data.spec)
    answer = recipe.answer(learner.model, batch, None)
    assert len(set(answer["label"].tolist())) == 3
    assert names[0] == "0,0"


def test_clusters_are_compared_with_classes_where_there_are_any() -> None:
    scores, told = KMeansRecipe(data="iris").conclude(*fitted(KMeansRecipe(data="iris")))
    assert 0.7 < scores["train/purity"] < 1
    assert any("most common in their cluster" in line for line in told)


def test_more_clusters_than_examples_are_refused() -> None:
    with pytest.raises(UserError, match=r"clusters must be at most the 120 examples; got 500"):
        KMeansRecipe(data="iris", clusters=500).load()


def test_the_report_has_its_pictures(tmp_path: Path) -> None:
    carry_out(KMeansRecipe(data="iris", epochs=2), tmp_path / "run", Host(device="cpu", threads=1))
    text = page.write(Run.open(tmp_path / "run")).read_text(encoding="utf-8")
    assert "Not drawn" not in text
    assert all(title in text for title in ("Centres", "Clusters", "How the error varies"))
