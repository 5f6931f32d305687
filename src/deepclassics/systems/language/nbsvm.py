"""NB-SVM: a linear classifier of bags of words whose features are weighed by naive Bayes; and naive Bayes itself.

Source: S. Wang, C. Manning, Baselines and bigrams: simple, good sentiment and topic classification (2012), sections 2.1
to 2.3: multinomial naive Bayes ("bayes"), a support vector machine on single words or pairs of them ("svm"), and one
whose features are weighed by their log-count ratios ("nbsvm"). Notes: S255, S272, S273, table T002.

Departures from the paper: of more than two classes each is parted from all others; the SVM has the squared hinge loss
and is solved by scikit-learn's liblinear, as theirs was by LIBLINEAR. Naive Bayes counts a word once a text, as they
found best for sentiment ("binarized").

Expected: IMDB with pairs of words, 90.5 % right (91.22 is published) in about a minute; MR by naive Bayes 78.8 % (the
mean of ten folds).

Letters: B texts, T words of the longest, V words of the vocabulary, M features (words and pairs), K classes, S scores:
1 for two classes, else K.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from deepclassics import metrics
from deepclassics.data import load
from deepclassics.data.streams import Batch, Data, Ragged, Stream, Whole
from deepclassics.data.words import Reading, Rule
from deepclassics.layers.sizes import take_sizes
from deepclassics.learn import Clock, Learner, Scores, Stateful, mean_scores
from deepclassics.loop import Plan
from deepclassics.recipe import Picture, Published, Recipe, Share

if TYPE_CHECKING:
    from deepclassics.report.evidence import Evidence

Method = Literal["nbsvm", "svm", "bayes"]
AT_ONCE = 1 << 20  # words of texts that are filled up and counted together


class Bag(nn.Module):
    """Sums of the weights of the features that occur in a text.

    A feature is a word, or a pair of neighbours: the number first · V + second, which is over V for the words' numbers
    begin at 1. How many there are is known only once they are counted: the buffers take the size of what is loaded.
    """

    keys: Tensor  # (M,) of int64, ascending
    weight: Tensor  # (M, S)
    bias: Tensor  # (S,)

    def __init__(self, vocabulary: int, classes: int, grams: int) -> None:
        super().__init__()
        self.vocabulary, self.classes, self.grams = vocabulary, classes, grams
        scores = 1 if classes == 2 else classes
        self.register_buffer("keys", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("weight", torch.zeros(0, scores))
        self.register_buffer("bias", torch.zeros(scores))

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        take_sizes(self, state, prefix, "keys", "weight")
        super()._load_from_state_dict(state, prefix, *rest)

    def features(self, ids: Tensor) -> Tensor:  # (B, T) -> (B, T or 2T) of int64
        """The numbers of the features that occur, each once a text and in rising order; 0 where there is none.

        Unknown words, of number 1, are no feature, nor is a pair with one.
        """
        known = ids > 1
        found = ids * known
        if self.grams == 2 and ids.shape[1] > 1:
            pairs = (ids[:, :-1] * self.vocabulary + ids[:, 1:]) * (known[:, :-1] & known[:, 1:])
            found = torch.cat([found, pairs], 1)
        found = found.sort(1).values
        again = torch.zeros_like(found, dtype=torch.bool)
        again[:, 1:] = found[:, 1:] == found[:, :-1]
        return found.masked_fill_(again, 0)

    def forward(self, ids: Tensor) -> Tensor:  # (B, T) -> (B, S)
        return self.added(ids).sum(1) + self.bias

    def added(self, ids: Tensor) -> Tensor:  # (B, T) -> (B, T or 2T, S)
        """What each feature that occurs adds to the scores; 0 where there is none."""
        features = self.features(ids)
        place = torch.searchsorted(self.keys, features).clamp_max(max(0, len(self.keys) - 1))
        if not len(self.keys):
            return self.weight.new_zeros(*features.shape, len(self.bias))
        known = (self.keys[place] == features) & (features != 0)
        return self.weight[place] * known[:, :, None]

    def probability(self, ids: Tensor) -> Tensor:  # (B, T) -> (B, K)
        return self.shares(self(ids))

    def shares(self, scores: Tensor) -> Tensor:  # (B, S) -> (B, K)
        """Probabilities: a softmax of the scores, of two classes of half the score and its negative.

        Naive Bayes means it so. The scores of an SVM are distances to a border: then it tells an order, no more.
        """
        return (scores if self.classes > 2 else torch.cat([-scores / 2, scores / 2], 1)).softmax(1)

    def told(self) -> str:
        """A sentence on the features that were counted."""
        pairs = int((self.keys >= self.vocabulary).sum())
        more = f" and {pairs:,} pairs of words" if self.grams == 2 else ""
        return f"A text is a bag of {len(self.keys) - pairs:,} words{more}, each counted once."


class Counting(Learner):
    """Counts all features and finds the weights: one update, and nothing is left to learn."""

    def __init__(
        self, model: Bag, method: Method, smoothing: float, penalty: float, mixture: float, least: int
    ) -> None:
        self.model: Bag = model
        self.method, self.smoothing, self.penalty, self.mixture, self.least = method, smoothing, penalty, mixture, least

    def step(self, batch: Batch, clock: Clock) -> Scores:
        model = self.model
        occurs, keys = counted(model, batch["ids"], self.least)
        label = batch["label"].cpu().numpy()
        count = model.bias.shape[0]
        weights, biases = [], []
        for number in range(count):
            positive = label == (1 if count == 1 else number)
            weight, bias = self._parted(occurs, positive)
            weights.append(weight)
            biases.append(bias)
        place = model.bias.device
        model.keys = torch.from_numpy(keys).to(place)
        model.weight = torch.from_numpy(np.stack(weights, 1).astype(np.float32)).to(place)
        model.bias = torch.tensor(biases, dtype=torch.float32, device=place)
        self.done = True
        sums = torch.from_numpy(occurs @ np.stack(weights, 1) + biases)
        return scored(model.shares(sums), torch.from_numpy(label))

    def _parted(self, occurs: Any, positive: np.ndarray) -> tuple[np.ndarray, float]:  # (N, M), (N,) -> (M,), ()
        """Weights and bias that part the positive texts from the others."""
        ratio = self.ratio(occurs, positive)
        if self.method == "bayes":  # eq. 2: w = r, b = log(N₊ / N₋)
            return ratio, float(np.log(positive.sum() / (~positive).sum()))
        from sklearn.svm import LinearSVC

        scale = ratio if self.method == "nbsvm" else np.ones_like(ratio)
        machine = LinearSVC(C=self.penalty, dual=True, random_state=0, max_iter=10_000)
        machine.fit(occurs.multiply(scale[None]).tocsr(), positive)
        weight = machine.coef_[0]
        if self.method == "nbsvm":  # section 2.3: (1 - β) w̄ + β w, w̄ the mean size of a weight
            weight = (1 - self.mixture) * np.abs(weight).mean() + self.mixture * weight
        return weight * scale, float(machine.intercept_[0])

    def ratio(self, occurs: Any, positive: np.ndarray) -> np.ndarray:  # (N, M), (N,) -> (M,)
        """log((p / |p|₁) / (q / |q|₁)), p and q the smoothed counts in the positive and in the other texts (eq. 1)."""
        p = self.smoothing + np.asarray(occurs[positive].sum(0)).ravel()
        q = self.smoothing + np.asarray(occurs[~positive].sum(0)).ravel()
        return np.log(p / p.sum()) - np.log(q / q.sum())

    def evaluate(self, stream: Stream) -> Scores:
        return mean_scores(judge)(self.model, stream)

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model}


def counted(model: Bag, ids: Ragged, least: int) -> tuple[Any, np.ndarray]:
    """Which features occur in which text, (N, M) sparse of float64, and their numbers, (M,), ascending.

    Those that occur in fewer than `least` texts are left out.
    """
    import scipy.sparse

    rows, features = [], []
    for places, some in together(ids):
        found = model.features(some).cpu()
        there = found != 0
        rows.append(places[:, None].expand_as(found)[there].numpy())
        features.append(found[there].numpy())
    keys, column, count = np.unique(np.concatenate(features), return_inverse=True, return_counts=True)
    kept = count >= least
    inside = kept[column]
    occurs = scipy.sparse.csr_matrix(
        (np.ones(int(inside.sum())), (np.concatenate(rows)[inside], (np.cumsum(kept) - 1)[column[inside]])),
        (len(ids), int(kept.sum())),
    )
    return occurs, keys[kept]


def together(ids: Ragged) -> Iterator[tuple[Tensor, Tensor]]:
    """The numbers of some texts, (B,), and their words, (B, T), until all have come: the short ones first, and not more
    at once than AT_ONCE words. Filled up to the longest, all would fill the memory."""
    order = ids.lengths.argsort(stable=True)
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and (end + 1 - begin) * int(ids.lengths[order[end]]) <= AT_ONCE:
            end += 1
        yield order[begin:end], ids[order[begin:end]]
        begin = end


def judge(model: nn.Module, batch: Batch) -> Scores:
    assert isinstance(model, Bag)
    if not isinstance(batch["ids"], Ragged):
        return scored(model.probability(batch["ids"]), batch["label"])
    probability = torch.empty(len(batch["ids"]), model.classes, device=model.bias.device)
    for places, ids in together(batch["ids"]):
        probability[places] = model.probability(ids)
    return scored(probability, batch["label"])


def scored(probability: Tensor, label: Tensor) -> Scores:  # (B, K), (B,)
    """The cross-entropy of the right classes in nats, and the share of texts whose likeliest class is wrong."""
    loss = F.nll_loss(probability.clamp_min(1e-12).log(), label)
    return {"loss": loss, "error": metrics.error_rate(probability.argmax(1), label)}


class NBSVMRecipe(Recipe):
    """Naive Bayes, a support vector machine, or both, on texts with labels."""

    takes = ("sentence",)
    gives = ("label",)
    published = tuple(
        Published(
            on=data,
            score="test/error",
            value=value,
            source=f"Wang and Manning 2012, {name}{quoted}",
            protocol=protocol,
            when={"method": method, "grams": grams},
        )
        for data, method, grams, value, name, quoted, protocol in (
            ("imdb", "bayes", 1, 0.1645, "naive Bayes, words", " (in Dieng et al. 2017, table 4)", {}),
            ("imdb", "bayes", 2, 0.1341, "naive Bayes, pairs of words", " (in Dieng et al. 2017, table 4)", {}),
            ("imdb", "svm", 1, 0.1305, "SVM, words", " (in Dieng et al. 2017, table 4)", {}),
            ("imdb", "svm", 2, 0.1084, "SVM, pairs of words", " (in Dieng et al. 2017, table 4)", {}),
            ("imdb", "nbsvm", 1, 0.1171, "NBSVM, words", " (as quoted in a table of results)", {}),
            ("imdb", "nbsvm", 2, 0.0878, "NBSVM, pairs of words", " (as quoted in a table of results)", {}),
            ("mr", "nbsvm", 1, 0.219, "NBSVM, words", " (as quoted in a table of results)", {"folds": 10}),
            ("mr", "nbsvm", 2, 0.206, "NBSVM, pairs of words", " (Kim 2014, table 2)", {"folds": 10}),
            ("mr", "bayes", 2, 0.21, "naive Bayes, pairs of words", " (Kim 2014, table 2)", {"folds": 10}),
            ("subj", "nbsvm", 1, 0.076, "NBSVM, words", " (as quoted in a table of results)", {"folds": 10}),
            ("subj", "nbsvm", 2, 0.068, "NBSVM, pairs of words", " (Kim 2014, table 2)", {"folds": 10}),
            ("subj", "bayes", 2, 0.064, "naive Bayes, pairs of words", " (Kim 2014, table 2)", {"folds": 10}),
        )
    )

    data: str = Field("docstrings", description="a named set of texts with labels, a table, or a folder of texts")
    target: str | None = Field(None, description="the column of a table that is to be learnt")
    method: Method = Field("nbsvm", description="naive Bayes, a support vector machine, or one weighed by the other")
    grams: Literal[1, 2] = Field(2, description="features: 1 is words, 2 is pairs of neighbours besides")
    smoothing: float = Field(1.0, gt=0, description="added to the counts of every feature")
    penalty: float | None = Field(
        None,
        gt=0,
        description="C of the support vector machine, what an error costs; none: theirs, 1 weighed, else 0.1",
    )
    mixture: float = Field(
        0.25, ge=0, le=1, description="of the machine's weights with their mean size: 0 is naive Bayes, 1 the machine"
    )
    rule: Rule = Field("auto", description="how texts are cut into words")
    lower: bool = Field(True, description="read capital letters as small ones")
    vocabulary: int = Field(1_000_000, ge=1, description="so many commonest words are known")
    least: int = Field(1, ge=1, description="words that come less often, and pairs in fewer texts, are left out")
    longest: int = Field(5_000, ge=1, description="words of a text: what comes after is cut off")
    fold: int | None = Field(None, ge=0, le=9, description="of ten, the one to judge by; none: a share by chance")
    valid: Share = Field(0.0, description="share of the training texts to choose by")
    test: Share = Field(0.2, description="share of the texts to judge by, where the set has no test part")

    def load(self) -> Data:
        found = load(
            self.data,
            self.takes,
            seed=self.seed,
            valid=self.valid,
            test=self.test,
            target=self.target,
            reading=Reading(self.rule, self.lower, self.vocabulary, self.least, self.longest, self.fold),
        )
        return found.streams(Whole(found.train))

    def model(self, spec: dict[str, Any]) -> Bag:
        return Bag(len(spec["vocabulary"]), len(spec["target"]["classes"]), self.grams)

    def learner(self, model: nn.Module) -> Counting:
        assert isinstance(model, Bag)
        penalty = self.penalty or (1.0 if self.method == "nbsvm" else 0.1)
        return Counting(model, self.method, self.smoothing, penalty, self.mixture, self.least)

    def plan(self, data: Data) -> Plan:
        return Plan(1, 1)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        assert isinstance(model, Bag)
        probability = model.probability(question["ids"])
        return {"label": probability.argmax(1), "probability": probability}

    def conclude(self, learner: Learner, data: Data) -> tuple[dict[str, float], list[str]]:
        assert isinstance(learner.model, Bag)
        return {}, [learner.model.told()]

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {"words": "all" if self.least == 1 else f"of {self.least} texts or more"}

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import confusion, contribution

        return [confusion.picture(evidence), strongest_words(evidence), contribution.picture(evidence)]


def strongest_words(evidence: "Evidence") -> Picture:
    """The features that speak most for each class, and of two classes for either."""

    def draw() -> str:
        model, classes = evidence.model, evidence.spec["target"]["classes"]
        assert isinstance(model, Bag)
        lines = []
        for number, name in enumerate(classes):
            score, sign = (0, 2 * number - 1) if len(classes) == 2 else (number, 1)
            found = strongest(model, evidence.spec["vocabulary"], score, sign, 20)
            lines.append(f"{name}: " + ", ".join(f"{words} {weight:.2f}" for words, weight in found))
        return "\n\n".join(lines)

    return Picture(
        "What speaks most for each class",
        "The words and pairs of words with the largest weights for a class; what occurs adds its weight to the score.",
        draw,
    )


def strongest(model: Bag, vocabulary: list[str], score: int, sign: int, most: int) -> list[tuple[str, float]]:
    """The features with the largest weights in a score, of the wanted sign (1 or -1), as words and sizes of weights."""
    weight = sign * model.weight[:, score]
    places = weight.topk(min(most, len(weight))).indices.tolist()
    return [(named(int(model.keys[place]), vocabulary), float(weight[place])) for place in places]


def named(key: int, vocabulary: list[str]) -> str:
    """A feature as it is read: a word or two."""
    first, second = divmod(key, len(vocabulary))
    return f"{vocabulary[first]} {vocabulary[second]}" if first else vocabulary[second]
