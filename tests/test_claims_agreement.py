"""S207: the sentences agree and are held back as told, what is read from a net is what it says, and the verdict."""

import re
from typing import Any, cast

import pytest
import torch

from deepclassics import claims
from deepclassics.claims import agreement
from deepclassics.claims.agreement import ACTS, DEEDS, FORMS, MEN, NUMBER, OTHER, SHOWN, SIDES, THINGS, WOMEN, WORDS
from deepclassics.report.activity import states
from deepclassics.report.style import settings
from verdicts import found

_, CAVEAT, _ = claims.VERDICTS

NOUNS = {form: (noun in WOMEN, place == 1) for noun in MEN + WOMEN for place, form in enumerate(FORMS[noun])}
LEXEME = {form: word for word, forms in FORMS.items() for form in forms}


@pytest.mark.long
def test_verdict_that_takes_longer() -> None:
    finding = found("S207")
    numbers = finding.numbers
    assert finding.verdict == CAVEAT, numbers  # one cell forgets, a trace is left in them all
    assert numbers["number read five words after the subject or later, first weights"] < 0.6
    assert numbers["gender of plural subjects, which no word hangs on, read, most"] < 0.9


def test_every_claim_of_the_file_is_pinned() -> None:
    assert {claim.id for claim in claims.names().values() if claim.topic == "agreement"} == {"S207"}
    assert claims.find("s207") == claims.find("lstm-steps")


def parsed(sentence: str) -> list[tuple[str, list[str]]]:
    """Every subject with all that agrees with it; anything that is not of the grammar, or does not agree, fails."""

    def any_of(words: Any) -> str:
        return f"({'|'.join(words)})"

    nouns, acts, deeds = (
        any_of(form for word in words for form in FORMS[word]) for words in (MEN + WOMEN, ACTS, DEEDS)
    )
    side, thing = f"{any_of(SIDES)} the {nouns}", any_of(THINGS)
    verb = f"({acts}|{deeds} (his|her|their) {thing})"
    clause = f"the (?P<subject>{nouns})( {side}){{0,2}}( who {deeds} the {nouns}( {side})?)? {verb}( and {verb}){{0,2}}"
    clause = clause.replace("?P<subject>", "")
    assert re.fullmatch(f"{clause} and {clause} \\.", sentence), sentence
    told = []
    for each in re.split(r" and (?=the )", sentence.removesuffix(" .")):
        subject, *rest = each.split()[1:]
        feminine, plural = NOUNS[subject]
        verbs = [word for word in rest if LEXEME.get(word) in ACTS + DEEDS]
        assert all((word == LEXEME[word]) == plural for word in verbs), each
        pronoun = "their" if plural else "her" if feminine else "his"
        assert {word for word in rest if word in agreement.PRONOUNS} <= {pronoun}, each
        told.append((LEXEME[subject], [LEXEME[word] for word in verbs]))
    return told


def test_sentences_agree_and_pairs_that_are_held_back_are_in_no_other() -> None:
    pairs = []
    for held_back in (False, True):
        sentences = agreement._sentences(1500, held_back)
        told = [clause for each in sentences for clause in parsed(" ".join(each.words))]
        pairs.append({(subject, verb) for subject, verbs in told for verb in verbs})
    assert not pairs[0] & pairs[1]
    assert len(pairs[0]) == 3 * len(pairs[1]) == 144  # of 12 x 16


def test_places_are_those_of_what_agrees() -> None:
    for words, clauses in agreement._sentences(200, True):
        for subject, between, verbs, pronouns in clauses:
            assert NOUNS[words[subject.place]] == (subject.feminine, subject.plural)
            assert [NOUNS[words[noun.place]] for noun in between] == [(noun.feminine, noun.plural) for noun in between]
            assert sum(word in NOUNS for word in words[subject.place : verbs[0]]) == 1 + len(between)
            assert all(LEXEME[words[place]] in ACTS + DEEDS for place in verbs)
            assert all(words[place] in agreement.PRONOUNS for place in pronouns)


def test_what_stands_between_tells_nothing_of_the_subject() -> None:
    same = [
        noun.plural == clause.subject.plural
        for each in agreement._sentences(1500, True)
        for clause in each.clauses
        for noun in clause.between
    ]
    assert sum(same) / len(same) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("other", "verbs"), [(False, 1.0), (True, 0.0)])
def test_who_knows_the_next_word_is_right_and_who_takes_the_other_number_is_not(other: bool, verbs: float) -> None:
    sentences = agreement._sentences(100, True)
    words = [[OTHER.get(word, word) if other else word for word in each.words] for each in sentences]
    following = agreement._ids(
        [each._replace(words=[*row[1:], ""]) for each, row in zip(sentences, words, strict=True)]
    )

    def net(x: torch.Tensor) -> torch.Tensor:
        return agreement._put_in(following)

    assert agreement._right(cast("Any", net), sentences) == {
        "right form of the verb": verbs,
        "right form of the verb, all nouns between of the other number": verbs,
        "right form of the second subject's verb, first one of the other number": verbs,
        "right pronoun": 1.0,
    }


def test_forget_gates_are_the_share_of_a_cell_that_is_kept() -> None:
    torch.manual_seed(0)
    net, x = agreement._reader(), agreement._put_in(torch.randint(1, len(WORDS), (3, 5)))
    with torch.no_grad():
        _, (hidden, cell) = net.recurrent(x[:, :4])
        more = [net.recurrent(x[:, 4:], (hidden, begun))[1][1][0] for begun in (cell, cell + 1)]
        torch.testing.assert_close(agreement._forget_gates(net, x)[:, 4], more[1] - more[0])


def test_kept_is_the_product_over_the_and_noun() -> None:
    torch.manual_seed(0)
    net, sentences = agreement._reader(), agreement._sentences(20, True)
    with torch.no_grad():
        subject, inside = agreement._kept(net, sentences)
        gates = agreement._forget_gates(net, agreement._put_in(agreement._ids(sentences)))
    place = sentences[3].clauses[1].subject.place
    assert sentences[3].words[place - 2 : place] == ["and", "the"]
    torch.testing.assert_close(subject[3], gates[3, place - 1] * gates[3, place])
    assert len(subject) == 20
    assert len(inside) == sum(len(clause.between) for each in sentences for clause in each.clauses)


def test_a_probe_reads_what_is_there_and_nothing_else() -> None:
    torch.manual_seed(0)
    x, new_x = torch.randn(2000, 5), torch.randn(2000, 5)
    y, new_y = (each[:, 1] + 0.5 * each[:, 3] > 0.2 for each in (x, new_x))
    assert agreement._probed(x, y, new_x, new_y).float().mean() > 0.97
    chance = torch.rand(2000) < 0.5
    assert agreement._probed(x, y, new_x, chance).float().mean() == pytest.approx(0.5, abs=0.04)


def test_cells_are_held_from_the_subject_to_the_word_before_the_verb() -> None:
    torch.manual_seed(0)
    net, sentences = agreement._reader(), agreement._sentences(20, True)
    held = agreement._held(net, sentences)
    cells = states(net.recurrent, agreement._put_in(agreement._ids(sentences)))
    subject, _, verbs, _ = sentences[0].clauses[0]
    gap = verbs[0] - subject.place
    torch.testing.assert_close(held.cells[:gap], cells[0, subject.place : verbs[0]])
    assert held.since[:gap].tolist() == list(range(gap))
    assert torch.equal(held.first[~held.second], held.plural[~held.second])


def test_sentences_that_are_shown_agree_and_differ_in_what_is_kept() -> None:
    for name, pair in SHOWN.items():
        subjects = [[NOUNS[words[1]], NOUNS[words[11 + 1]]] for words in (each.split() for each in pair)]
        for one, other in zip(*subjects, strict=True):
            assert (one[0] == other[0], one[1] == other[1]) == (name == "number", name == "gender")
        assert all(parsed(each) for each in pair)
        assert all(word in NUMBER for each in pair for word in each.split())
    with settings():
        figure = agreement._drawn(agreement._reader(), {"number": 0, "gender": 1})()
    assert len(figure.axes) == 4
    told = [label.get_text() for label in figure.axes[2].get_xticklabels()]
    assert told[:3] == ["the", "kings / king", "behind"]
