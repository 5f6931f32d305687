"""Text CNN: detectors of runs of words slide over a text, and the strongest response of each decides its class.

Source: Y. Kim, Convolutional neural networks for sentence classification (2014): equations 1-5, the four variants of
section 3.3 and the settings of section 3.1. Adadelta: M. Zeiler (2012). More than one response of a detector
(`--kept`): the k-max pooling of N. Kalchbrenner, E. Grefenstette, P. Blunsom, A convolutional neural network for
modelling sentences (2014), section 3.2; their deeper net, where k follows the length of the text, is not built. Notes:
S263, S264, S268, N064, T002; claim C173.

Departures from the paper: the vocabulary is that of the training texts, where Kim's is that of all of the data; with
`--vectors`, words of the rest have a number too if they have a vector. What is judged are the weights that did best on
the tenth that is held back, as there, but a run ends after `patience` passes without a better one. Kernels start
uniform in +-1/sqrt(hD), in place of +-0.01, and words without given vectors in +-0.05, in place of +-0.25: what a rare
word starts with is noise; the validation error of MR after ten passes is 24 to 25 % with either start. Given vectors
are scaled to the same spread: with that of Google's, five times as wide, our own overfit (nonstatic 26, not 22 % of the
validation texts of one fold of MR wrong after five passes, multichannel 29, not 23; static 29, not 30). Dropout
enlarges the features that are kept, in place of shrinking the weights when asked. Kim's way of cutting words is `--rule
english`.

How it is computed: a kernel over h words is h maps from a word, so each different word of a batch is multiplied once by
all of them, and a response is a sum of h looked-up numbers. Only the window with the largest response of a detector, or
those that are kept, send anything back, so the gradient is taken through these alone: the same one, at a fraction of
the products. Words that a batch lacks have no gradient, and Adadelta leaves their rows alone until they have one: what
it would have done in between is made good then, exactly.

Expected: with the defaults half a minute on one thread, 24 ms an update. Figures beside Kim's: benchmarks/folds.md.
Vectors of 300 numbers from ten million words of Wikipedia gain a point on MR: nonstatic 77.6 %, multichannel 77.8 %,
where rand has 76.8 %; left as they are (static) they lose four.

Letters: B texts a batch, T words of the longest, V words of the vocabulary, D numbers of a word, U different words of a
batch, S places of all windows together (3 + 4 + 5), W sizes of windows, k responses of a detector that are kept, M
detectors of each size, K classes.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from deepclassics import metrics
from deepclassics.data import load, words
from deepclassics.data.streams import Batch, Data, Stream
from deepclassics.data.words import Reading
from deepclassics.errors import UserError
from deepclassics.learn import Clock, Learner, Scores, Stateful, apply, mean_scores
from deepclassics.loop import Plan
from deepclassics.recipe import BatchSize, Epochs, Picture, Published, Rate, Recipe, Share

if TYPE_CHECKING:
    from deepclassics.report.evidence import Evidence

Variant = Literal["rand", "static", "nonstatic", "multichannel"]
SPREAD = 0.05  # words start uniform in +-SPREAD; given vectors are scaled to the deviation of such numbers


class TextCNN(nn.Module):
    """Vectors of words, detectors over windows of them, the maximum of each over the text, and an affine map.

    "multichannel" has every word twice: a vector that learns and one that does not. A detector has the same kernel for
    both and adds the responses. With `kept` above 1 it is not the maximum alone that is handed on but so many largest
    responses, in the order of the text; a text with fewer windows has responses of 0 after them.
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        variant: Variant,
        embedding: int,
        windows: tuple[int, ...],
        maps: int,
        dropout: float,
        kept: int = 1,
    ) -> None:
        super().__init__()
        self.windows, self.kept = windows, kept
        tables = {"tuned": variant != "static", "frozen": variant in ("static", "multichannel")}
        self.channels = nn.ModuleDict(
            {name: nn.Embedding(vocabulary, embedding, padding_idx=0, sparse=True) for name in tables if tables[name]}
        )
        for name, table in self.channels.items():
            assert isinstance(table, nn.Embedding)
            table.weight.requires_grad_(name == "tuned")
            with torch.no_grad():
                table.weight.uniform_(-SPREAD, SPREAD)[0] = 0
        self.kernel = nn.Parameter(torch.empty(embedding, sum(windows), maps))
        self.bias = nn.Parameter(torch.zeros(len(windows), maps))
        for piece in self.kernel.data.split(windows, 1):
            nn.init.uniform_(piece, -1, 1).mul_((piece.shape[1] * embedding) ** -0.5)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(len(windows) * kept * maps, classes)

    def forward(self, ids: Tensor) -> Tensor:  # (B, T) -> (B, K)
        return self.output(self.dropout(self.features(ids)[0]))

    def features(self, ids: Tensor) -> tuple[Tensor, Tensor]:  # (B, T) -> (B, W * k * M), (B, W * k * M) of int64
        """The largest responses of each detector, at least 0, and the place of the first word of each one's window.

        A window may begin before the text and end after it, where all words are 0; the place can be negative, then.
        What a batch is filled up with beyond such windows is not looked at.
        """
        known, place = torch.cat([ids.new_zeros(1), ids.flatten()]).unique(return_inverse=True)
        place = place[1:].view_as(ids)
        vectors = torch.stack([table(known) for table in self.channels.values()]).sum(0)  # (U, D)
        products = (vectors @ self.kernel.flatten(1)).view(len(known), *self.kernel.shape[1:])  # (U, S, M)
        lengths = (ids != 0).sum(1)
        rows, begins = [], []
        for h, offset in zip(self.windows, accumulate(self.windows, initial=0), strict=False):
            around = F.pad(place, (h - 1, h - 1))  # known[0] is 0, no word
            begin = self._strongest(products.detach()[:, offset : offset + h], around, lengths + h - 1)
            row = torch.stack([around.gather(1, begin + j) * self.kernel.shape[1] + offset + j for j in range(h)])
            rows.append(row.unflatten(2, (self.kept, -1)))  # (h, B, k, M), of products as (U S, M)
            begins.append(begin - (h - 1))
        found = (
            products.view(-1, products.shape[2]).gather(0, torch.cat(rows).flatten(0, 2)).view(-1, *rows[0].shape[1:])
        )
        sums = torch.stack([piece.sum(0) for piece in found.split(self.windows)], 1)  # (B, W, k, M)
        responses = (sums + self.bias[:, None]).relu()
        if self.kept > 1:
            counts = lengths[:, None] + lengths.new_tensor(self.windows) - 1  # (B, W), of windows
            lacking = torch.arange(self.kept, device=ids.device) >= counts[..., None]
            responses = responses.masked_fill(lacking[..., None], 0.0)
        return responses.flatten(1), torch.cat(begins, 1)

    @torch.no_grad()
    def _strongest(self, products: Tensor, around: Tensor, count: Tensor) -> Tensor:  # (U, h, M), (B, T + 2h - 2), (B,)
        """Of the windows, `count` in each text, those with the largest responses to each detector, in the order of the
        text, of equal ones the first: (B, k * M). Where there are fewer, the last comes again."""
        h = products.shape[1]
        length = around.shape[1] - h + 1
        responses = sum(F.embedding(around[:, j : j + length], products[:, j]) for j in range(h))
        assert isinstance(responses, Tensor)
        beyond = torch.arange(length, device=around.device) >= count[:, None]
        responses.masked_fill_(beyond[..., None], -torch.inf)
        rounds: list[Tensor] = []  # k times the largest that is left: for a few of many windows quicker than sorting
        for number in range(self.kept):
            best = responses.argmax(1)
            rounds.append(best.where(count[:, None] > number, length))
            if number + 1 < self.kept:
                responses.scatter_(1, best[:, None], -torch.inf)
        found = torch.stack(rounds, 1).sort(1).values  # (B, k, M)
        return found.minimum((count - 1).clamp_min(0)[:, None, None]).flatten(1)


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012, algorithm 1), which leaves rows without a gradient alone until they have one.

    Without a gradient both means only shrink, by rho a step, and the weights stay: so they are shrunk when they are
    needed. The result is that of all rows in every step.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, rho: float, eps: float = 1e-6) -> None:
        super().__init__(parameters, {"lr": lr, "rho": rho, "eps": eps})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, **{name: group[name] for name in ("lr", "rho", "eps")})

    def _update(self, weight: nn.Parameter, lr: float, rho: float, eps: float) -> None:
        state = self.state[weight]
        if not state:
            state["square"], state["change"] = torch.zeros_like(weight), torch.zeros_like(weight)
            state["step"] = torch.zeros(())
            state["seen"] = torch.zeros(len(weight), device=weight.device)  # the last step of each row
        state["step"] += 1
        gradient = weight.grad
        rows: Tensor | slice = slice(None)
        assert gradient is not None
        if gradient.is_sparse:
            gradient = gradient.coalesce()
            gradient, rows = gradient.values(), gradient.indices()[0]
        missed = state["step"].to(weight.device) - state["seen"][rows] - 1
        fade = (rho**missed).view(-1, *[1] * (weight.dim() - 1))
        square = (state["square"][rows] * (rho * fade)).addcmul_(gradient, gradient, value=1 - rho)
        change = state["change"][rows] * fade
        delta = ((change + eps) / (square + eps)).sqrt_().mul_(gradient)
        weight[rows] -= lr * delta
        state["square"][rows] = square
        state["change"][rows] = change.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        state["seen"][rows] = state["step"].to(weight.device)


def objective(model: nn.Module, batch: Batch) -> Scores:
    """The mean cross-entropy in nats, and the error rate."""
    sums = model(batch["ids"])
    return {
        "loss": F.cross_entropy(sums, batch["label"]),
        "error": metrics.error_rate(sums.argmax(1), batch["label"]),
    }


class Kim(Learner):
    """Adadelta, and after each update every class's weights are cut back to the norm `norm`."""

    def __init__(self, model: TextCNN, optimizer: Adadelta, norm: float | None) -> None:
        self.model: TextCNN = model
        self.optimizer = optimizer
        self.norm = norm

    def step(self, batch: Batch, clock: Clock) -> Scores:
        scores = objective(self.model, batch)
        self.optimizer.zero_grad()
        scores["loss"].backward()
        if dist.is_available() and dist.is_initialized():  # the ranks have other words, but average the same rows
            for table in self.model.channels.parameters():
                table.grad = None if table.grad is None else table.grad.to_dense()
        apply(self.optimizer)
        if self.norm is not None:
            with torch.no_grad():
                weight = self.model.output.weight
                weight *= (self.norm / weight.norm(dim=1, keepdim=True)).clamp(max=1)
        return {name: value.detach() for name, value in scores.items()}

    def evaluate(self, stream: Stream) -> Scores:
        return mean_scores(objective)(self.model, stream)

    def parts(self) -> dict[str, Stateful]:
        return {"model": self.model, "optimizer": self.optimizer}


KIM = "Kim 2014, table 2, CNN-{}"
TABLE = {
    "mr": (23.9, 19.0, 18.5, 18.9),
    "sst1": (55.0, 54.5, 52.0, 52.6),
    "sst2": (17.3, 13.2, 12.8, 11.9),
    "subj": (10.4, 7.0, 6.6, 6.8),
    "trec": (8.8, 7.2, 6.4, 7.8),
    "cr": (20.2, 15.3, 15.7, 15.0),
    "mpqa": (16.6, 10.4, 10.5, 10.6),
}  # test errors in percent: rand, static, non-static, multichannel
FOLDED = ("mr", "subj", "cr", "mpqa")


def _published() -> tuple[Published, ...]:
    variants = {"rand": "rand", "static": "static", "nonstatic": "non-static", "multichannel": "multichannel"}
    return tuple(
        Published(
            on=on,
            score="test/error",
            value=round(error / 100, 4),
            source=KIM.format(called),
            protocol={
                **({"runs": "10 folds"} if on in FOLDED else {}),
                **({} if variant == "rand" else {"vectors": "word2vec on 100 billion words of Google News"}),
                "vocabulary": "all words of the data",
                "kept": 1,
            },
            when={"variant": variant},
        )
        for on, errors in TABLE.items()
        for (variant, called), error in zip(variants.items(), errors, strict=True)
    )


class TextCNNRecipe(Recipe):
    """A text CNN on texts with labels."""

    takes = ("sentence",)
    gives = ("label",)
    published = _published()

    data: str = Field("docstrings", description="a named set of texts with labels, a table, or a folder of texts")
    target: str | None = Field(None, description="the column of a table that is to be learnt")
    variant: Variant = Field(
        "rand", description="vectors that start by chance; given ones, left as they are; given ones that learn; or both"
    )
    vectors: str | None = Field(None, description="word vectors to begin with: a file of word2vec, or a run of cbow")
    embedding: int = Field(300, ge=1, description="numbers that stand for a word; with --vectors, as many as they have")
    windows: tuple[Annotated[int, Field(ge=1, le=50)], ...] = Field(
        (3, 4, 5), min_length=1, description="words that a detector looks at"
    )
    maps: int = Field(100, ge=1, description="detectors of each size")
    kept: int = Field(
        1, ge=1, le=50, description="largest responses of a detector that are kept, in the order of the text"
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="share of the detectors left out")
    max_norm: float | None = Field(3.0, gt=0, description="bound on the norm of each class's weights in the last layer")
    rule: words.Rule = Field("auto", description="how texts are cut into words")
    lower: bool = Field(True, description="read capital letters as small ones")
    vocabulary: int = Field(1_000_000, ge=1, description="so many commonest words are known")
    least: int = Field(1, ge=1, description="words that come less often are unknown")
    longest: int = Field(1_000, ge=1, description="words of a text: what comes after is cut off")
    fold: int | None = Field(None, ge=0, le=9, description="of ten, the one to judge by; none: a share by chance")
    epochs: Epochs = 10
    patience: int = Field(3, ge=0, description="passes without a lower validation error before it stops, 0 for never")
    batch: BatchSize = 50
    lr: Rate = 1.0
    rho: float = Field(0.95, gt=0, lt=1, description="of Adadelta: the share of its means that a step keeps")
    valid: Share = Field(0.1, description="share of the training texts to choose by")
    test: Share = Field(0.2, description="share of the texts to judge by, where the set has no test part")

    def load(self) -> Data:
        if (self.vectors is None) != (self.variant == "rand"):
            said = "starts with vectors made before; give them with --vectors FILE"
            if self.vectors is not None:
                said = "starts by chance; take --variant nonstatic, static or multichannel, or leave --vectors out"
            raise UserError(f"textcnn: --variant {self.variant} {said}.")
        if self.vectors is None:
            return self._read(None, self.embedding)
        from deepclassics import vectors

        path, sizes = self.vectors, []

        def known(met: Collection[str]) -> Collection[str]:
            found, values = vectors.among(path, {*met, words.UNKNOWN})
            sizes.append(values.shape[1])
            return found

        data = self._read(known, 0)
        data.spec["embedding"] = sizes[0]
        return data

    def reload(self, spec: dict[str, Any]) -> Data:
        data = self._read(set(spec["vocabulary"]).intersection if self.vectors else None, spec["embedding"])
        data.spec["told"] = spec["told"]  # with what was told of the vectors
        return data

    def _read(self, also: Callable[[Collection[str]], Collection[str]] | None, embedding: int) -> Data:
        found = load(
            self.data,
            self.takes,
            seed=self.seed,
            valid=self.valid,
            test=self.test,
            target=self.target,
            reading=Reading(self.rule, self.lower, self.vocabulary, self.least, self.longest, self.fold, also=also),
        )
        found.spec["embedding"] = embedding
        return found.shuffled(self.batch, self.seed)

    def model(self, spec: dict[str, Any]) -> TextCNN:
        return TextCNN(
            len(spec["vocabulary"]),
            len(spec["target"]["classes"]),
            self.variant,
            spec["embedding"],
            self.windows,
            self.maps,
            self.dropout,
            self.kept,
        )

    def inherit(self, model: nn.Module, spec: dict[str, Any]) -> None:
        """Given vectors, scaled to the deviation of numbers in +-SPREAD; words without one get numbers by chance with
        the same variance (section 3.3)."""
        if self.vectors is None:
            return
        from deepclassics import vectors

        assert isinstance(model, TextCNN)
        first, *others = model.channels.parameters()
        vectors.into(first, spec, self.vectors, self.name(), spread=True)
        first.data *= SPREAD / 3**0.5 / first.data[1:].std()
        for table in others:
            table.data.copy_(first.data)

    def learner(self, model: nn.Module) -> Kim:
        assert isinstance(model, TextCNN)
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        return Kim(model, Adadelta(trained, self.lr, self.rho), self.max_norm)

    def plan(self, data: Data) -> Plan:
        watch = "valid/error" if data.valid is not None else ""
        looks = max(10, round(self.epochs))  # at the ends of passes, more often where there are few
        plan = Plan.passes(self.epochs, data.train, looks, watch)
        each = max(1, len(data.train) // plan.look)  # looks a pass: of few texts one tells too little to lose patience
        return replace(plan, patience=self.patience * each if watch else 0)

    def answer(self, model: nn.Module, question: Batch, options: Any) -> Batch:
        probability = model(question["ids"]).softmax(1)
        return {"label": probability.argmax(1), "probability": probability}

    def protocol(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {"vocabulary": "words of the training texts" + (", and those with a vector" if self.vectors else "")}

    def pictures(self, evidence: "Evidence") -> list[Picture]:
        from deepclassics.report import confusion, curves

        def fired() -> str:
            model, ids = evidence.model, evidence.answers("test")[1]["ids"]
            assert isinstance(model, TextCNN)
            return detectors(model, ids[:LOOKED_AT], evidence.spec)

        caption = (
            "For each class the detectors that add most to it over the test texts, more than to the other classes, and "
            "the different windows that each responds to most. A dot is a place beyond the text."
        )
        return [
            curves.picture(evidence),
            confusion.picture(evidence),
            Picture("What the detectors fire on", caption, fired),
        ]


LOOKED_AT = 2_000  # test texts


def detectors(model: TextCNN, ids: Tensor, spec: dict[str, Any], most: int = 5, each: int = 4) -> str:  # (N, T)
    """The strongest detectors of every class, and the windows of the texts that they respond to most, as text."""
    vocabulary, classes = spec["vocabulary"], spec["target"]["classes"]
    with torch.no_grad():
        found = [model.features(piece) for piece in ids.split(500)]
    responses, begins = (torch.cat(column) for column in zip(*found, strict=True))  # (N, W * k * M)
    weight = model.output.weight.detach()
    added = (weight - weight.mean(0)) * responses.mean(0)  # (K, W * k * M)
    maps = model.kept * model.kernel.shape[2]
    lines = []
    for k, name in enumerate(classes):
        lines.append(name)
        for detector in added[k].topk(min(most, added.shape[1])).indices.tolist():
            h, windows = model.windows[detector // maps], dict[str, float]()
            for text in responses[:, detector].argsort(descending=True, stable=True).tolist():
                begin = int(begins[text, detector])
                places = range(begin, begin + h)
                inside = [int(ids[text, place]) if 0 <= place < ids.shape[1] else 0 for place in places]
                window = " ".join(vocabulary[word] if word else "·" for word in inside)
                windows.setdefault(window, float(responses[text, detector]))
                if len(windows) == each:
                    break
            shown = ", ".join(f"“{inside}” {response:.2f}" for inside, response in windows.items())
            lines.append(f"  {float(added[k, detector]):+.3f}  {shown}")
        lines.append("")
    return "\n".join(lines)
