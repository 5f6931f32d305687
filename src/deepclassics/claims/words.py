"""Claims about vectors of words: CBOW's equations, and arithmetic with words.

Letters: V words, D numbers of a vector, C words of a context.
"""

import itertools
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from deepclassics import vectors
from deepclassics.claims import Finding
from deepclassics.learn import Clock
from deepclassics.systems.language.cbow import PRINTED, Aims, WordLearner, WordVectors, has_numba, move

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THINGS, FORMS = 12, 4  # of the planted text: twelve things, each of which has four words
# Printed answers to the notes' table that are wrong, and what is right.
WRONG = {
    "small": ("larger", "smaller"),
    "Mozart": ("violinist", "composer"),
    "uranium": ("plutonium", "U"),
    "Putin": ("Medvedev", "Vladimir"),
    "Google": ("Yahoo", "Schmidt"),
    "IBM": ("McNealy", "Gerstner"),
    "France": ("tapas", "cheese"),
}


def _planted(lines: int) -> np.ndarray:
    """Lines of seven words, an end after each: word (thing, form) among three that come with the thing and three that
    come with the form, in an order of chance. No line tells of two things or of two forms."""
    things = THINGS * FORMS + np.arange(THINGS * 6).reshape(THINGS, 6)  # numbers of the words that come with each
    forms = things.max() + 1 + np.arange(FORMS * 6).reshape(FORMS, 6)
    generator = np.random.default_rng(0)
    text = []
    for _ in range(lines):
        thing, form = generator.integers(THINGS), generator.integers(FORMS)
        line = [
            thing * FORMS + form,
            *generator.choice(things[thing], 3, False),
            *generator.choice(forms[form], 3, False),
        ]
        text += [*generator.permutation(line), -1]
    return np.array(text, np.int32)


def c177_wv_arith() -> Finding:
    """Arithmetic with word vectors finds analogies: v(biggest) - v(big) + v(small) is nearest to v(smallest).

    Notes: F3 L2073-2107.

    A text with planted analogies: every word has a thing and a form, and its neighbours tell each, but never two words
    of one thing together. CBOW learns vectors of 16 numbers from 6,000 lines; all questions a : b = c : d of two
    things and two forms are asked, words of the question left out. More than 80 of 100 must be right. Of the thirty
    answers that the notes print, those of Mikolov et al. 2013 (table 8), the wrong ones are counted.
    """
    text = torch.from_numpy(_planted(6000))
    counts = np.bincount(text[text >= 0].numpy())
    model = WordVectors(counts.tolist(), len(counts), 16)
    learner = WordLearner(
        model, Aims(counts, "negative", 5, 0.0), lr=0.05, window=6, skip=False, mean=True, share=False, workers=1,
        compiled=has_numba(), seed=0,
    )  # fmt: skip
    chunks, passes = text.split(4000), 8
    for step in range(passes * len(chunks)):
        learner.step({"ids": chunks[step % len(chunks)]}, Clock(step, passes * len(chunks), len(chunks)))
    asked = torch.tensor(
        [
            [thing * FORMS + form, thing * FORMS + to, other * FORMS + form, other * FORMS + to]
            for thing, other in itertools.permutations(range(THINGS), 2)
            for form, to in itertools.permutations(range(FORMS), 2)
        ]
    )
    unit = vectors.units(model.inputs.detach())
    right = float(vectors.analogies(unit, asked).double().mean())
    printed = [(c, answer) for _, _, answers in PRINTED for c, answer in answers]
    wrong = sum(WRONG.get(c, ("",))[0] == answer for c, answer in printed)

    def draw() -> "Figure":
        from deepclassics.report.style import PALETTE, grid, sheet

        figure = sheet(5.4, 4.2)
        axes = figure.subplots()
        words = unit[: THINGS * FORMS]
        _, _, directions = torch.linalg.svd(words - words.mean(0), full_matrices=False)
        plane = ((words - words.mean(0)) @ directions[:2].T).view(THINGS, FORMS, 2)
        for thing in plane[:5]:
            axes.plot(*torch.cat([thing, thing[:1]]).T.tolist(), color="#cccccc", linewidth=0.8)
        for form in range(FORMS):
            axes.plot(*plane[:5, form].T.tolist(), "o", color=PALETTE[form], label=f"form {form + 1}")
        axes.set_title("Five things in four forms: like steps between them")
        axes.set_xlabel("first principal component")
        axes.set_ylabel("second")
        axes.legend()
        grid(axes)
        return figure

    return Finding(
        holds=right > 0.8,
        limited=wrong > 0,
        numbers={
            "share of planted analogies answered right": right,
            "planted analogies": float(len(asked)),
            "printed answers": float(len(printed)),
            "printed answers that are wrong": float(wrong),
        },
        remark=f"Often, not always: {wrong} of the {len(printed)} printed answers are wrong, as small : larger.",
        draw=draw,
    )


def c178_cbow_grad() -> Finding:
    """The gradients of CBOW with the softmax over all words: e_j h for each output, EH / C for each word of a context.

    Notes: F3 L2054-2069.

    E = -v'_O · h + log Σ exp(v'_j · h) with h the mean of the context's vectors, a word in it twice; seven words of
    five numbers, float64. Automatic differentiation of E must give e_j h with e_j = y_j - t_j, and EH / C once for
    every time a word stands there; so must the package's own update. The notes print the second rule with v', the
    output vectors, whose rule is the first; how far off it would be there is told. W stands for its transpose (E062),
    and the vectors v' are columns of W', not rows (E063): that is how they are written down, and changes nothing here.
    """
    model = WordVectors([1] * 7, 7, 5).double()
    torch.nn.init.normal_(model.inputs)
    torch.nn.init.normal_(model.outputs)
    context, target, rate = torch.tensor([[1, 4, 1]]), torch.tensor([3]), 0.5
    present = torch.ones(1, 3, dtype=torch.bool)

    def loss(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
        h = inputs[context[0]].mean(0)
        return -outputs[3] @ h + (outputs @ h).exp().sum().log()

    v, v_out = (matrix.detach().clone().requires_grad_() for matrix in (model.inputs, model.outputs))
    exact = torch.autograd.gradcheck(loss, (v, v_out))
    by_inputs, by_outputs = torch.autograd.grad(loss(v, v_out), (v, v_out))
    with torch.no_grad():
        h = v[context[0]].mean(0)
        e = (v_out @ h).softmax(0) - F.one_hot(target[0], 7)
        back = e @ v_out  # EH
        outputs = e[:, None] * h
        inputs = torch.zeros_like(v).index_add(0, context[0], back.expand(3, -1) / 3)
        move(model, target, context, present, (), rate, True, True)
    off = max(float((inputs - by_inputs).abs().max()), float((outputs - by_outputs).abs().max()))
    ours = max(
        float((model.inputs - (v - rate * by_inputs)).detach().abs().max()),
        float((model.outputs - (v_out - rate * by_outputs)).detach().abs().max()),
    )
    misprinted = float((inputs - by_outputs).abs().max())
    return Finding(
        holds=exact and off < 1e-12 and ours < 1e-12,
        limited=misprinted > 1e-3,
        numbers={
            "largest difference from automatic differentiation": off,
            "largest difference of the package's update": ours,
            "largest difference if the second rule were for v', as printed": misprinted,
        },
        remark="The second rule is that of the input vectors v; it is printed with v', the output vectors.",
    )


def c205_word_shared() -> Finding:
    """All words at the input share the hidden layer: h is the same in whatever order they come.

    Notes: F3 L2036.

    The mean of five context vectors of 50 numbers, for all 120 orders, against the first; and the sum of them with a
    matrix of its own for each place, which does tell orders apart.
    """
    model = WordVectors([1] * 30, 30, 50)
    context = torch.randperm(30)[:5]
    orders = torch.tensor(list(itertools.permutations(range(5))))
    with torch.no_grad():
        hidden = model(context[orders], torch.ones(len(orders), 5, dtype=torch.bool))
        own = torch.randn(5, 50, 50) / 50**0.5
        parted = torch.einsum("opd,pde->oe", model.inputs[context[orders]], own)
    moved = float((hidden - hidden[0]).abs().max() / hidden.abs().max())
    apart = float((parted[1:] - parted[0]).norm(dim=1).min() / parted[0].norm())
    return Finding(
        holds=moved < 1e-5 < apart,
        numbers={
            "largest change of h over all orders, of its size": moved,
            "least change with a matrix for each place, of its size": apart,
        },
    )
