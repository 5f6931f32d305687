"""Claims about telling the class of a text.

The notes' table of published accuracies is put to its own claims; what vectors made before are worth is tried on
sentences of a small grammar.

Letters: N sentences, T words, V words of the vocabulary, D numbers of a vector.
"""

import torch
from torch import Tensor

from deepclassics.claims import Finding
from deepclassics.data.streams import Columns, InOrder, Shuffled
from deepclassics.learn import Clock, look
from deepclassics.systems.language.textcnn import Adadelta, Kim, TextCNN, Variant

SETS = ("MR", "SST-1", "SST-2", "Subj", "TREC", "CR", "MPQA")

# The table of the notes (F3 L1768-1788), from Kim 2014, table 2: accuracy in %; None where there is none.
ACCURACY: dict[str, tuple[float | None, ...]] = {
    "CNN-rand": (76.1, 45.0, 82.7, 89.6, 91.2, 79.8, 83.4),
    "CNN-static": (81.0, 45.5, 86.8, 93.0, 92.8, 84.7, 89.6),
    "CNN-non-static": (81.5, 48.0, 87.2, 93.4, 93.6, 84.3, 89.5),
    "CNN-multichannel": (81.1, 47.4, 88.1, 93.2, 92.2, 85.0, 89.4),
    "RAE": (77.7, 43.2, 82.4, None, None, None, 86.4),
    "MV-RNN": (79.0, 44.4, 82.9, None, None, None, None),
    "RNTN": (None, 45.7, 85.4, None, None, None, None),
    "DCNN": (None, 48.5, 86.8, None, 93.0, None, None),
    "Paragraph-Vec": (None, 48.7, 87.8, None, None, None, None),
    "CCAE": (77.8, None, None, None, None, None, 87.2),
    "Sent-Parser": (79.5, None, None, None, None, None, 86.3),
    "NBSVM": (79.4, None, None, 93.2, None, 81.8, 86.3),
    "MNB": (79.0, None, None, 93.6, None, 80.0, 86.3),
    "G-Dropout": (79.0, None, None, 93.4, None, 82.1, 86.1),
    "F-Dropout": (79.1, None, None, 93.6, None, 81.9, 86.3),
    "Tree-CRF": (77.3, None, None, None, None, 81.4, 86.1),
    "CRF-PR": (None, None, None, None, None, 82.7, None),
    "SVM_S": (None, None, None, None, 95.0, None, None),
}
BOLD = {
    "MR": {"CNN-non-static"}, "SST-1": {"Paragraph-Vec"}, "SST-2": {"CNN-multichannel"}, "Subj": {"MNB", "F-Dropout"},
    "TREC": {"SVM_S"}, "CR": {"CNN-multichannel"}, "MPQA": {"CNN-static"},
}  # fmt: skip

PRAISE, BLAME, OTHER = range(1, 41), range(41, 81), range(81, 181)  # words of the grammar, by number


def c173_tcnn() -> Finding:
    """Nets of convolutions over words are competitive in classifying texts; vectors made before help.

    Notes: F3 L1768-1788.

    The table: what is printed bold must be the maximum of its column, and a CNN that of MR, SST-2, CR and MPQA; it is
    not that of SST-1, Subj and TREC. The nets: 80 sentences "other other praise other ..." to learn from leave many
    words of praise and blame unseen; with vectors in which those differ along one direction in 16, the others by
    chance, `static`, `nonstatic` and `multichannel` must each err less than `rand` on 1,000 sentences.
    """
    best = {}
    for column, name in enumerate(SETS):
        known = {row: value for row, values in ACCURACY.items() if (value := values[column]) is not None}
        best[name] = {row for row, value in known.items() if value == max(known.values())}
    won = [name for name in SETS if any(row.startswith("CNN") for row in best[name])]
    variants: tuple[Variant, ...] = ("rand", "static", "nonstatic", "multichannel")
    error = {variant: _error(variant) for variant in variants}
    gain = sum(b or 0 for b in ACCURACY["CNN-non-static"]) - sum(a or 0 for a in ACCURACY["CNN-rand"])
    numbers = {
        "columns whose bold figures are their maxima, of 7": float(sum(best[name] == BOLD[name] for name in SETS)),
        "columns that a CNN leads, of 7": float(len(won)),
        "non-static less rand in the table, mean, points": gain / len(SETS),
        **{f"error of {variant} on the grammar": value for variant, value in error.items()},
    }
    helped = all(error[variant] < error["rand"] for variant in variants[1:])
    return Finding(
        holds=best == BOLD and won == ["MR", "SST-2", "CR", "MPQA"] and helped,
        numbers=numbers,
        limited=len(won) < len(SETS),
        remark="Others lead on SST-1, Subj and TREC: paragraph vectors, naive Bayes and an SVM with made features.",
    )


def _sentences(count: int, seed: int) -> tuple[Tensor, Tensor]:  # -> (N, 8) ids, (N,) labels
    """Eight words, of which two, anywhere, praise or blame."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(OTHER.start, OTHER.stop, (count, 8), generator=generator)
    label = torch.arange(count) % 2
    said = torch.randint(0, len(PRAISE), (count, 2), generator=generator)
    said = torch.where(label[:, None] == 1, said + PRAISE.start, said + BLAME.start)
    places = torch.rand((count, 8), generator=generator).argsort(1)[:, :2]
    return ids.scatter_(1, places, said), label


def _vectors() -> Tensor:  # -> (V, 16)
    values = torch.randn((OTHER.stop, 16), generator=torch.Generator().manual_seed(1)) * 0.25
    values[PRAISE.start : PRAISE.stop, 0] += 0.75
    values[BLAME.start : BLAME.stop, 0] -= 0.75
    values[0] = 0
    return values


def _error(variant: Variant) -> float:
    torch.manual_seed(0)
    net = TextCNN(OTHER.stop, 2, variant, 16, (2, 3), 20, 0.5)
    if variant != "rand":
        for table in net.channels.parameters():
            table.data.copy_(_vectors())
    learner = Kim(net, Adadelta([each for each in net.parameters() if each.requires_grad], 1.0, 0.95), 3.0)
    train, test = (_sentences(count, seed) for count, seed in ((80, 2), (1000, 3)))
    stream = Shuffled(Columns(ids=train[0], label=train[1]), 20, 0)
    for step in range(200):
        learner.step(stream.at(step), Clock(step, 200, len(stream)))
    return look(learner, InOrder(Columns(ids=test[0], label=test[1])))["error"]
