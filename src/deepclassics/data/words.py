"""Words: how text is cut into them, and the vocabulary that gives each its number.

Rules of cutting, each a line:

- "blanks": at white space, for text that is cut already, as the sets of the papers are.
- "words": words with their apostrophes ("don't"), numbers, and every mark by itself. A Chinese or Japanese character is
  a word: such text has no blanks. So is a run of letters of any other script, with the signs that stand on them.
- "english": as "words", with English contractions parted as Kim 2014 does: "do n't", "it 's".
- "characters": every character but white space.
- "subwords": pieces of words, by byte-pair encoding (Sennrich et al. 2016) of texts with labels; "##" begins a piece
  that goes on with a word. Rare words are made of known pieces. It takes the package tokenizers.

"auto" takes "blanks" where nearly every mark of punctuation stands by itself already, else "words".
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from deepclassics.errors import UserError
from deepclassics.progress import many

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Rule = Literal["auto", "blanks", "words", "english", "characters", "subwords"]

UNKNOWN = "<unk>"  # stands for every word that is not in the vocabulary
END = "<eos>"  # the end of a line of running text
NOTHING = "<pad>"  # number 0 of sentences: a place that holds no word

ALONE = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]"  # kana and ideographs
CONTRACTION = re.compile(r"(?<=\w)(?=n['’]t\b)|(?<=\w)(?=['’](?:s|m|d|re|ve|ll)\b)", re.IGNORECASE)
ENDING = r"n['’]t\b|['’](?:s|m|d|re|ve|ll)\b"  # of a contraction that is parted
BEYOND = re.compile(rf"{ALONE}|[^\w\s]")  # what a text of bare words with blanks between them does not hold
MARK = re.compile(r"[.,!?;:](?=\s|$)")
CUT = 0.9  # share of marks that stand by themselves where text is cut already
ENOUGH = 200_000  # characters that tell it
PIECES = 8_000  # of words, at most


@cache
def word(ascii: bool, parted: bool) -> re.Pattern[str]:
    """What a word or a mark is: of plain letters, or of any, with the vowel signs and accents that stand on them.

    Python's \\w leaves these out, and would cut a word of Hindi or Thai at each; they are searched for once, and only
    where a text has other letters than a to z.
    """
    letter = r"\w"
    if not ascii:
        signs = "".join(sign for sign in map(chr, range(0x300, 0x1F000)) if unicodedata.category(sign)[0] == "M")
        letter = rf"(?:(?!{ALONE})[\w{signs}])"
    return re.compile(
        (rf"{ENDING}|" if parted else "") + rf"<\w+>|{ALONE}|{letter}+(?:['’]{letter}+)*|[^\w\s]", re.IGNORECASE
    )


@dataclass(frozen=True)
class Reading:
    """How a system wants text read: the knobs that decide it, under one name each."""

    rule: Rule = "auto"
    lower: bool = False
    vocabulary: int = 1_000_000  # so many commonest words at most
    least: int = 1  # words that come less often are unknown
    longest: int = 1_000  # words of a sentence: what comes after is cut off
    fold: int | None = None  # of ten, the one to judge by, where the source has no test part
    known: tuple[str, ...] = ()  # the vocabulary of running text where it is settled already, UNKNOWN in it
    # Which of some words get a number wherever in the data they come: those that have a vector already.
    also: Callable[[Collection[str]], Collection[str]] | None = None


def settled(rule: Rule, texts: Iterable[str]) -> Rule:
    """The rule itself, or what "auto" comes to for these texts. The first ones tell it."""
    if rule != "auto":
        return rule
    marks = alone = seen = 0
    plain = True
    for text in texts:
        sample = text[:ENOUGH]
        for mark in MARK.finditer(sample):
            marks += 1
            alone += mark.start() == 0 or sample[mark.start() - 1].isspace()
        plain = plain and not BEYOND.search(sample)
        seen += len(sample)
        if seen >= ENOUGH:
            break
    return "blanks" if plain or (marks and alone >= CUT * marks) else "words"


def cut(text: str, rule: Rule, lower: bool = False, pieces: "Tokenizer | None" = None) -> list[str]:
    """The words of a text by a rule that is not "auto"; those of "subwords" are the `pieces`' own."""
    text = text.lower() if lower else text
    if rule == "subwords":
        if pieces is None:
            raise UserError("--rule subwords is for texts with labels. Take blanks, words, english or characters.")
        return list(pieces.encode(text).tokens)
    if rule == "blanks":
        return text.split()
    text = unicodedata.normalize("NFC", text)  # an accented letter is one character, however it was typed
    if rule == "characters":
        return [character for character in text if not character.isspace()]
    assert rule in ("words", "english"), rule
    parted = rule == "english"
    return word(text.isascii(), parted).findall(CONTRACTION.sub(" ", text) if parted else text)


def learnt(texts: Iterable[str], most: int, lower: bool) -> str:
    """Pieces of words for these texts, as the JSON that `pieces` reads: the pairs that come together most often are
    joined first."""
    tokenizers = _tokenizers()
    found = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=UNKNOWN, continuing_subword_prefix="##"))
    found.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=min(most, PIECES), special_tokens=[UNKNOWN], continuing_subword_prefix="##", show_progress=False
    )
    found.train_from_iterator((text.lower() if lower else text for text in texts), trainer)
    return str(found.to_str())


def pieces(written: str) -> "Tokenizer":
    """What parts texts into the pieces that were learnt."""
    found: Tokenizer = _tokenizers().Tokenizer.from_str(written)
    return found


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise UserError(
            "--rule subwords needs the package tokenizers. Install it with: pip install 'deepclassics[text]'"
        ) from None
    return tokenizers


def told(known: int, unknown: float) -> str:
    """A sentence on a vocabulary: how many words it knows, and the share of what is learnt from that are others."""
    return f"{many(known, 'word')} known, {unknown:.1%} of the places hold one that is not."


def vocabulary(counts: Counter[str], most: int, least: int) -> list[str]:
    """The `most` commonest words that come `least` times or more, the commonest first, the alphabet between equals."""
    found = [word for word, count in counts.items() if count >= least]
    return sorted(found, key=lambda word: (-counts[word], word))[:most]
