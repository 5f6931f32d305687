"""Naive Bayes and NB-SVM: equal to scikit-learn where it has them; counts by hand (S255, S272, S273)."""

from math import log

import numpy as np
import pytest
import torch
from torch import Tensor

from deepclassics.data.streams import Columns, Ragged, Whole
from deepclassics.learn import Clock
from deepclassics.systems.language import nbsvm
from deepclassics.systems.language.nbsvm import Bag, Counting, Method, named, strongest

WORDS = 13  # numbers 2 to 12 are words, 1 is an unknown one


def texts(count: int = 60, classes: int = 2, seed: int = 0) -> Columns:
    """Texts by chance, in which a class likes some words more than others do."""
    rng = np.random.default_rng(seed)
    label = rng.integers(classes, size=count)
    liking = rng.dirichlet(np.full(WORDS - 2, 0.5), size=classes)
    rows = [(2 + rng.choice(WORDS - 2, size=rng.integers(1, 9), p=liking[k])).tolist() for k in label]
    return Columns(ids=Ragged.of(rows), label=torch.from_numpy(label))


def learnt(columns: Columns, method: Method, grams: int = 1, mixture: float = 0.25, classes: int = 2) -> Bag:
    model = Bag(WORDS, classes, grams)
    learner = Counting(model, method, smoothing=1.0, penalty=0.1, mixture=mixture, least=1)
    assert not learner.done
    learner.step(Whole(columns).at(0), Clock(0, 1, 1))
    assert learner.done
    return model


def occurs(ids: Tensor) -> np.ndarray:  # (B, T) -> (B, WORDS - 2) of 0 and 1
    return np.stack([[float((row == word).any()) for word in range(2, WORDS)] for row in ids])


@pytest.mark.parametrize("classes", [2, 3])
def test_naive_bayes_equals_scikit_learns_on_words_counted_once(classes: int) -> None:
    """S273: of two classes the posterior itself; of more, each against all others, whose order is another."""
    from sklearn.naive_bayes import MultinomialNB

    columns = texts(classes=classes)
    ids, label = columns["ids"][:], columns["label"]
    model = learnt(columns, "bayes", classes=classes)
    seen = np.isin(np.arange(2, WORDS), model.keys.numpy())
    for number in range(1 if classes == 2 else classes):
        positive = (label == (1 if classes == 2 else number)).numpy()
        known = MultinomialNB().fit(occurs(ids)[:, seen], positive)
        odds = known.predict_log_proba(occurs(ids)[:, seen])
        assert np.allclose(model(ids)[:, number], odds[:, 1] - odds[:, 0], atol=1e-5)
    if classes == 2:
        assert np.allclose(model.probability(ids), np.exp(odds), atol=1e-5)


def test_the_ratio_of_counts_by_hand() -> None:
    """Eq. 1 with smoothing 1: word 2 in both positive texts and in none of the others, word 3 in one of each; 1 is
    an unknown word and no feature."""
    columns = Columns(ids=Ragged.of([[2, 2, 3], [2, 1], [3, 4, 1]]), label=torch.tensor([1, 1, 0]))
    model = learnt(columns, "bayes")
    assert model.keys.tolist() == [2, 3, 4]
    p, q = (2 + 1, 1 + 1, 0 + 1), (0 + 1, 1 + 1, 1 + 1)
    assert model.weight[:, 0].tolist() == pytest.approx([log(a / 6) - log(b / 5) for a, b in zip(p, q, strict=True)])
    assert model.bias.tolist() == pytest.approx([log(2)])


def test_the_machine_equals_liblinear_on_words_that_occur() -> None:
    from sklearn.svm import LinearSVC

    columns = texts()
    ids = columns["ids"][:]
    model = learnt(columns, "svm")
    column = model.keys.numpy() - 2
    known = LinearSVC(C=0.1, dual=True, random_state=0, max_iter=10_000)
    known.fit(occurs(ids)[:, column], columns["label"] == 1)
    assert np.allclose(model(ids)[:, 0], known.decision_function(occurs(ids)[:, column]), atol=1e-3)


def test_without_the_machine_the_mixture_orders_as_naive_bayes_does() -> None:
    """S272: with mixture 0 every weight is the same, and only the ratios are left."""
    columns = texts()
    ids = columns["ids"][:]
    mixed, bayes = learnt(columns, "nbsvm", mixture=0.0), learnt(columns, "bayes")
    shares = (mixed.weight / bayes.weight)[bayes.weight.abs() > 1e-6]
    assert torch.allclose(shares, shares[0].expand_as(shares), rtol=1e-4)
    assert not torch.allclose(learnt(columns, "nbsvm", mixture=1.0)(ids), mixed(ids))


@pytest.mark.parametrize("method", ["bayes", "svm", "nbsvm"])
def test_texts_are_counted_a_few_at_a_time(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are filled up together, the weights are the same to the bit; the scores told are the model's own."""
    columns = texts(classes=3)
    whole = learnt(columns, method, grams=2, classes=3)
    monkeypatch.setattr(nbsvm, "AT_ONCE", 11)
    model = Bag(WORDS, 3, 2)
    scores = Counting(model, method, 1.0, 0.1, 0.25, 1).step(Whole(columns).at(0), Clock(0, 1, 1))
    assert torch.equal(model.keys, whole.keys)
    assert torch.equal(model.weight, whole.weight)
    told = nbsvm.judge(model, columns.take(slice(None)))
    assert float(scores["error"]) == float(told["error"])
    assert float(scores["loss"]) == pytest.approx(float(told["loss"]), rel=1e-5)


def test_what_is_rare_is_left_out() -> None:
    columns = Columns(ids=Ragged.of([[2, 3], [2, 3], [2, 4], [1, 4]]), label=torch.tensor([1, 0, 1, 0]))
    model = Bag(WORDS, 2, 2)
    Counting(model, "bayes", 1.0, 0.1, 0.25, least=2).step(Whole(columns).at(0), Clock(0, 1, 1))
    assert model.keys.tolist() == [2, 3, 4, 2 * WORDS + 3], "the pair 2 4 comes once"


def test_the_papers_penalties_are_taken_unless_told() -> None:
    for method, given, taken in (("nbsvm", None, 1.0), ("svm", None, 0.1), ("nbsvm", 3.0, 3.0)):
        recipe = nbsvm.NBSVMRecipe(method=method, penalty=given)
        assert recipe.learner(Bag(WORDS, 2, 2)).penalty == taken


def test_a_bag_has_no_order_and_nothing_fills_it_up() -> None:
    """S255: words alone forget their order, pairs do not; places that hold no word change nothing."""
    columns = texts()
    ids = torch.tensor([[3, 5, 7, 0, 0], [7, 5, 3, 3, 3]])
    words, pairs = learnt(columns, "bayes"), learnt(columns, "bayes", grams=2)
    assert torch.equal(words(ids)[0], words(ids)[1])
    assert pairs.features(ids)[0].unique().tolist() == [0, 3, 5, 7, 3 * WORDS + 5, 5 * WORDS + 7]
    for model in (words, pairs):
        assert torch.equal(model(ids[:1]), model(ids[:1, :3]))


def test_what_was_built_is_loaded_whatever_its_size() -> None:
    model, fresh = learnt(texts(), "nbsvm", grams=2), Bag(WORDS, 2, 2)
    ids = torch.tensor([[1, 2, 3], [4, 5, 0]])
    assert fresh(ids).tolist() == [[0.0], [0.0]], "nothing is known yet"
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh(ids), model(ids))


def test_weights_of_other_classes_are_not_loaded() -> None:
    with pytest.raises(RuntimeError, match="size mismatch for bias"):
        Bag(9, 2, 1).load_state_dict(Bag(9, 3, 1).state_dict())


def test_features_are_named() -> None:
    vocabulary = [f"word{number}" for number in range(WORDS)]
    assert named(7, vocabulary) == "word7"
    assert named(7 * WORDS + 3, vocabulary) == "word7 word3"
    model = learnt(texts(), "nbsvm", grams=2)
    for sign in (1, -1):
        (_, first), (_, second) = strongest(model, vocabulary, 0, sign, 2)
        assert first == float((sign * model.weight).max()) >= second
