"""What vectors of words are judged by: questions of analogy, and pairs of words that people found alike.

questions-words.txt of word2vec (Mikolov et al. 2013): 19,544 questions a : b = c : d in 14 sections, five of them
semantic, nine (their names begin with "gram") syntactic. WordSim-353 (Finkelstein et al. 2002): 353 pairs judged for
relatedness. SimLex-999 (Hill et al. 2015): 999 pairs judged for likeness proper.
"""

from deepclassics.data.fetch import File, content, obtain

_WORD_SIM = "https://raw.githubusercontent.com/mfaruqui/eval-word-vectors/master/data/word-sim"

ANALOGIES = File(
    "word2vec_eval/questions-words.txt.gz",
    69_325,
    "a21b3277dd63dfb4422a994b7801e2b439d50b73cdaa0b838b27b1e43cee8a8c",
    urls=("https://raw.githubusercontent.com/tmikolov/word2vec/master/questions-words.txt",),  # serves it plain
    content_sha256=("8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36",),
)
WORDSIM = File(
    "word2vec_eval/EN-WS-353-ALL.txt",
    7_405,
    "ce12919b240af45bdf46d243601eaca2b6212b159b5e7e9b435ee7ee40c5619c",
    urls=(f"{_WORD_SIM}/EN-WS-353-ALL.txt",),
)
SIMLEX = File(
    "word2vec_eval/EN-SIMLEX-999.txt",
    18_024,
    "405394ffb7d25f6d0e3c041f87c9f27d29dc6b047506769953e85c4523b11685",
    urls=(f"{_WORD_SIM}/EN-SIMLEX-999.txt",),
)
FILES = (ANALOGIES, WORDSIM, SIMLEX)
PAIRS = {"wordsim": WORDSIM, "simlex": SIMLEX}


def analogies() -> dict[str, list[tuple[str, ...]]]:
    """Section -> its questions, four words each."""
    sections: dict[str, list[tuple[str, ...]]] = {}
    for line in content(obtain(ANALOGIES)).decode().splitlines():
        if line.startswith(":"):
            section = sections.setdefault(line[1:].strip(), [])
        elif line.strip():
            section.append(tuple(line.split()))
    return sections


def pairs() -> dict[str, list[tuple[str, str, float]]]:
    """Set -> its pairs, each with what people judged, 0 to 10."""
    return {
        name: [
            (one, other, float(value))
            for one, other, value in (line.split() for line in content(obtain(file)).decode().splitlines() if line)
        ]
        for name, file in PAIRS.items()
    }
