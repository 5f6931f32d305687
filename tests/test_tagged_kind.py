"""Tagged words: schemes, conlleval's rule, files of columns and of JSON lines, and what is wrong with them (S224)."""

import itertools
import json
from pathlib import Path

import pytest
import torch

from deepclassics import metrics
from deepclassics.data import catalog, load
from deepclassics.data.kinds import tagged, tags
from deepclassics.data.tags import bounds, broken, entities, may_follow, numbered, recast, scheme, written
from deepclassics.data.words import Reading
from deepclassics.errors import UserError

KNOWN = [  # a row of tags, and the names that conlleval takes it for
    ("O O", []),
    ("B-PER I-PER O", [(0, 2, "PER")]),
    ("I-PER I-PER O", [(0, 2, "PER")]),
    ("B-PER B-PER", [(0, 1, "PER"), (1, 2, "PER")]),
    ("I-PER B-PER I-PER", [(0, 1, "PER"), (1, 3, "PER")]),
    ("B-PER I-LOC", [(0, 1, "PER"), (1, 2, "LOC")]),
    ("O I-PER", [(1, 2, "PER")]),
    ("I-PER O I-PER", [(0, 1, "PER"), (2, 3, "PER")]),
    ("B-PER I-PER I-LOC I-PER", [(0, 2, "PER"), (2, 3, "LOC"), (3, 4, "PER")]),
    ("S-PER S-PER B-LOC E-LOC", [(0, 1, "PER"), (1, 2, "PER"), (2, 4, "LOC")]),
    ("E-PER E-PER O I-PER", [(0, 1, "PER"), (1, 2, "PER"), (3, 4, "PER")]),
    ("U-PER B-LOC L-LOC", [(0, 1, "PER"), (1, 3, "LOC")]),
]


@pytest.mark.parametrize(("row", "names"), KNOWN)
def test_what_names_a_row_of_tags_means(row: str, names: list[tuple[int, int, str]]) -> None:
    assert entities(row.split()) == names


def perl(tags: list[str]) -> set[tuple[int, int, str]]:
    """The names of a row of B-, I- and O by the two functions of conlleval.pl, line for line."""
    found, begun = set(), 0
    before, kind_before = "O", ""
    for place, tag in enumerate([*tags, "O"]):
        now, _, kind = tag.partition("-")
        ends = (before, now) in {("B", "B"), ("B", "O"), ("I", "B"), ("I", "O")}
        ends |= before != "O" and kind_before != kind
        starts = (before, now) in {("B", "B"), ("I", "B"), ("O", "B"), ("O", "I")}
        starts |= now != "O" and kind_before != kind
        if ends:
            found.add((begun, place, kind_before))
        if starts:
            begun = place
        before, kind_before = now, kind
    return found


def test_names_are_those_of_conlleval_for_every_row_of_four_tags() -> None:
    for row in itertools.product(["O", "B-X", "I-X", "B-Y", "I-Y"], repeat=4):
        assert set(entities(row)) == perl(list(row)), row


@pytest.mark.parametrize("form", ["BIO", "BIOES"])
def test_tags_by_number_mean_the_same_names(form: str) -> None:
    known = numbered(["X", "Y"], form)[1:]
    rows = list(itertools.product(range(len(known)), repeat=3))
    begins, kind, ends = bounds(torch.tensor(rows) + 1, form)
    for row, begin, types, last in zip(rows, begins.tolist(), kind.tolist(), ends.tolist(), strict=True):
        names = [(place, last[place] + 1, "XY"[types[place] - 1]) for place in range(3) if begin[place]]
        assert names == entities([known[tag] for tag in row]), row


def test_f1_counts_a_name_only_if_both_its_ends_and_its_type_are_right() -> None:
    """Precision, recall and F1 of a case that can be counted by hand; an I- after O begins a name (S224)."""
    number = {tag: place for place, tag in enumerate(numbered(["LOC", "PER"], "BIO"))}
    right = ["B-PER I-PER O B-LOC O", "B-LOC B-LOC I-LOC O B-PER"]
    given = ["B-PER I-PER O I-LOC O", "B-LOC I-LOC I-LOC O B-LOC"]  # two right of four; four given; five to be found
    both = [
        bounds(torch.tensor([[number[tag] for tag in row.split()] for row in rows]), "BIO") for rows in (given, right)
    ]
    counts = metrics.entity_counts(*both)
    assert counts.tolist() == [2, 4, 5]
    assert metrics.precision_recall_f1(counts) == (2 / 4, 2 / 5, 4 / 9)
    assert metrics.precision_recall_f1(torch.zeros(3)) == (0, 0, 0)


def test_names_at_the_ends_of_sentences_do_not_flow_together() -> None:
    tags = torch.tensor([[2, 3], [3, 1]])
    begins, _, ends = bounds(tags, "BIO")
    assert begins.tolist() == [[True, False], [True, False]]
    assert ends[:, 0].tolist() == [1, 0]


@pytest.mark.parametrize("form", ["IOB1", "BIO", "BIOES"])
def test_every_scheme_gives_back_the_names_and_is_recognised(form: str) -> None:
    names = [(0, 2, "PER"), (2, 3, "PER"), (3, 4, "LOC"), (5, 8, "ORG")]
    row = written(names, 9, form)
    assert entities(row) == names
    assert scheme([row]) == (form, 0)


def test_a_broken_scheme_is_read_and_the_breaks_are_counted() -> None:
    rows = [["B-PER", "I-PER", "O"], ["B-LOC", "O", "I-LOC"], ["B-PER", "O", "B-LOC"]]
    assert scheme(rows) == ("BIO", 1)


@pytest.mark.parametrize("form", ["BIO", "BIOES"])
def test_broken_tags_are_those_that_may_not_follow(form: str) -> None:
    known = numbered(["X", "Y"], form)
    for pair in itertools.product(range(1, len(known)), repeat=2):
        names = ["", *(known[tag] for tag in pair), ""]
        wrong = [not may_follow(one, two, form) for one, two in itertools.pairwise(names)]
        assert broken(torch.tensor([pair]), form).tolist() == [wrong], names


def test_tags_are_recast() -> None:
    row = ["B-PER", "I-PER", "B-PER", "O", "B-LOC", "I-LOC", "I-LOC", "B-LOC"]
    number = {tag: place for place, tag in enumerate(numbered(["LOC", "PER"], "BIO"))}
    tags = torch.tensor([[number[tag] for tag in row] + [0, 0]])
    found = recast(tags, "BIOES")[0].tolist()
    known = numbered(["LOC", "PER"], "BIOES")
    assert [known[tag] for tag in found[:-2]] == written(entities(row), len(row), "BIOES")
    assert found[-2:] == [0, 0]
    assert torch.equal(recast(tags, "BIO"), tags)


COLUMNS = """-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
German JJ I-NP I-MISC

Peter NNP I-NP I-PER
Blackburn NNP I-NP I-PER
"""


def file(folder: Path, text: str | bytes, name: str = "names.conll") -> str:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder / name)


def rows(data: str, **shares: float) -> tuple[dict, dict[str, torch.Tensor]]:
    found = load(data, ("tagged",), seed=0, reading=Reading(lower=True), **{"valid": 0.0, "test": 0.0} | shares)
    return found.spec, found.train.take(slice(None))


@pytest.mark.parametrize("name", ["names.conll", "names.txt", "names.bio", "NAMES.TSV"])
def test_columns_are_read(name: str, tmp_path: Path) -> None:
    text = COLUMNS.replace(" ", "\t") if name.endswith("TSV") else COLUMNS
    spec, batch = rows(file(tmp_path, text.replace("\n", "\r\n"), name))
    assert spec["target"] == {"kind": "tags", "name": "tag", "types": ["MISC", "ORG", "PER"], "scheme": "IOB1"}
    assert spec["examples"] == {"train": 2}
    known = numbered(spec["target"]["types"], "BIO")
    assert [[known[tag] for tag in row] for row in batch["tags"].tolist()] == [
        ["B-ORG", "O", "B-MISC"],
        ["B-PER", "I-PER", ""],
    ]
    words = [[spec["vocabulary"][word] for word in row] for row in batch["ids"].tolist()]
    assert words == [["eu", "rejects", "german"], ["peter", "blackburn", "<pad>"]]
    assert tagged.decode(batch["letters"][1, 1].tolist(), spec) == "Blackburn"
    assert batch["capitals"].tolist() == [[3, 1, 2], [2, 2, 0]]


def test_a_word_that_is_written_as_the_filling_is_unknown(tmp_path: Path) -> None:
    """As number 0 it would be no word, and every later tag that of its neighbour."""
    spec, batch = rows(file(tmp_path, "Peter B-PER\n<pad> O\nspoke O\n<unk> O\n"))
    assert spec["vocabulary"] == ["<pad>", "<unk>", "peter", "spoke"]
    assert batch["ids"].tolist() == [[2, 1, 3, 1]]
    assert tagged.read(["<pad> Peter"], spec)[1]["ids"].tolist() == [[1, 2]]


def test_a_number_sign_is_a_word_and_a_remark_is_none(tmp_path: Path) -> None:
    text = "# 1\n# id three\n# O\n1 O\nPeter B-PER\n# O\n\n# a remark of words\nspoke O\n"
    assert list(tagged.columns(text, "file")) == [
        (["#", "1", "Peter", "#"], ["O", "O", "B-PER", "O"]),
        (["spoke"], ["O"]),
    ]
    with pytest.raises(UserError, match=r"file: line 2 must hold a word, its tag"):
        list(tagged.columns("Peter B-PER\n# a remark\n", "file"))
    assert [row for row, _ in tagged.columns("# a remark\nPeter\n#\n", "file", tags=False)] == [["Peter", "#"]]


@pytest.mark.parametrize("mark", ["\u2028", "\x85", "\x0b"])
def test_a_line_ends_only_where_a_line_ends(mark: str, tmp_path: Path) -> None:
    """JSON may hold other ends of lines as they are; so may words."""
    sentence = (["a", f"b{mark}c"], ["O", "B-X"])
    written = json.dumps({"words": sentence[0], "tags": sentence[1]}, ensure_ascii=False).replace("\\u000b", mark)
    if mark != "\x0b":  # which JSON does not hold as it is
        assert list(tagged.lines(f"{written}\r\n", "file")) == [sentence]
    assert list(tagged.columns(f"a O\r\nb{mark}c B-X\r\n", "file")) == [sentence]
    spec, _ = rows(file(tmp_path, COLUMNS))
    assert tagged.read([file(tmp_path, f"Peter{mark}spoke\n\nEU\n", "asked.txt")], spec)[1]["words"] == [
        ["Peter", "spoke"],
        ["EU"],
    ]


def test_json_lines_are_the_same(tmp_path: Path) -> None:
    sentences = list(tagged.columns(COLUMNS, "columns"))
    text = "\n".join(json.dumps({"words": words, "tags": tags}) for words, tags in sentences)
    one, other = rows(file(tmp_path, text, "names.jsonl")), rows(file(tmp_path, COLUMNS))
    assert one[0] | {"data": ""} == other[0] | {"data": ""}
    assert all(torch.equal(one[1][name], other[1][name]) for name in other[1])


def test_a_folder_holds_the_parts(tmp_path: Path) -> None:
    for name in ("eng.train.conll", "eng.testa.conll", "eng.testb.conll"):
        file(tmp_path, COLUMNS, name)
    found = load(str(tmp_path), ("tagged",), seed=0)
    assert found.spec["examples"] == {"train": 2, "valid": 2, "test": 2}
    (tmp_path / "eng.train.conll").rename(tmp_path / "other.conll")
    with pytest.raises(UserError, match=r"must hold a file of tagged words whose name begins with train"):
        load(str(tmp_path), ("tagged",), seed=0)


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("Peter B-PER\nsaid\n", "a.conll", r"line 2 must hold a word, its tag, .* in 2 columns .*; got 'said'\."),
        ("Peter NNP B-PER\nsaid O\n", "a.conll", r"line 2 must hold .* in 3 columns as the lines before; got 'said O'"),
        (
            "Peter NNP\n",
            "a.conll",
            r"line 1: a tag must be O, or B-, I-, .* got 'NNP'\. The tag must stand in the last",
        ),
        ("a O\n" * 1001, "a.conll", r"must hold a blank line after each sentence; it has none in 1,001 words\."),
        ("a O\nb O\n", "a.conll", r"a.conll: tags must name something; every tag of what is learnt from is O\."),
        ("\n\n", "a.conll", r"must hold tagged words; it holds none\."),
        ("Jos\xe9 B-PER\n".encode("latin1"), "a.conll", r"must be UTF-8 text; byte 3, in line 1, is not"),
        (b"\x89PNG B-PER\n\0 O\n", "a.conll", r"a.conll must be text; it holds bytes of 0"),
        ("{", "a.jsonl", r"line 1 must be JSON; "),
        ('\n{"words": ["a"]}', "a.jsonl", r"line 2 must be .* its tags are missing or no such list\."),
        ('{"words": "a", "tags": []}', "a.jsonl", r"line 1 must be .* its words are missing or no such list\."),
        ('{"words": ["a"], "tags": []}', "a.jsonl", r"line 1 must have a tag a word; got 1 words, 0 tags\."),
        ('{"words": ["a"], "tags": ["X"]}', "a.jsonl", r"line 1: a tag must be O, or B-"),
        ("Peter B-PER\n", "a.xyz", r"must be a table"),
    ],
)
def test_what_is_wrong_is_named(text: str | bytes, name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        rows(file(tmp_path, text, name))


def test_broken_tags_and_long_sentences_are_told(tmp_path: Path) -> None:
    text = "a B-X\nb I-X\nc O\n\nd O\ne I-X\n\nf B-X\ng O\n\n" + "h O\n" * 20
    found = load(file(tmp_path, text), ("tagged",), seed=0, valid=0.0, test=0.0, reading=Reading(longest=10))
    assert found.train.lengths.tolist() == [3, 2, 2, 10]
    assert found.spec["told"] == [
        "Tags that break their scheme, BIO: 1. A name is taken to begin wherever one cannot go on.",
        "Cut off after 10 words: 1 sentence.",
        "8 words known, 0.0% of the places hold one that is not.",
    ]
    found = load(file(tmp_path, text), ("tagged",), seed=0, valid=0.0, test=0.0, reading=Reading(longest=10, least=2))
    assert found.spec["told"][-1] == "1 word known, 41.2% of the places hold one that is not."


def test_parts_are_drawn_by_the_seed_and_do_not_meet(tmp_path: Path) -> None:
    text = "\n".join(f"w{chr(97 + k)} B-X\nin O\n" for k in range(20))
    found = load(file(tmp_path, text), ("tagged",), seed=0, valid=0.1, test=0.2)
    assert found.spec["examples"] == {"train": 15, "test": 4, "valid": 1}
    known = set(found.spec["vocabulary"])
    assert len(known) == 2 + 15 + 1
    assert (found.test["ids"].values == 1).sum() == 4, "words that only the test part holds are unknown"
    again = load(file(tmp_path, text), ("tagged",), seed=1, valid=0.1, test=0.2)
    assert again.spec["vocabulary"] != found.spec["vocabulary"]


@pytest.mark.parametrize(
    ("word", "kind"), [("said", 1), ("Paris", 2), ("EU", 3), ("McDonald", 4), ("B2", 5), ("...", 6), ("北京", 1)]
)
def test_capitals(word: str, kind: int) -> None:
    assert tagged.capitals(word) == kind


def test_digits_are_one_in_words_and_long_words_keep_both_ends(tmp_path: Path) -> None:
    word = "Abcdefghijklmnopqrstuvwxyz2026"
    spec, batch = rows(file(tmp_path, f"{word} B-X\n"))
    assert spec["vocabulary"][2] == "abcdefghijklmnopqrstuvwxyz0000"
    assert tagged.decode(batch["letters"][0, 0].tolist(), spec) == "Abcdefghij…vwxyz2026"


def test_what_is_asked_is_cut_and_answered(tmp_path: Path) -> None:
    spec, _ = rows(file(tmp_path, COLUMNS))
    names, question = tagged.read(["Peter said: EU, no.", file(tmp_path, COLUMNS)], spec)
    assert names == ["Peter said: EU, no.", "EU rejects German", "Peter Blackburn"]
    assert question["words"][0] == ["Peter", "said", ":", "EU", ",", "no", "."]
    assert question["ids"].shape == (3, 7)
    assert question["letters"].shape == (3, 7, tagged.LETTERS)
    with pytest.raises(UserError, match=r"Sentence 2, ' ', must hold a word or more; it is empty\. Leave it out"):
        tagged.read(["Peter said", " "], spec)
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(UserError, match=r"none.txt must hold sentences to be tagged; there is none"):
        tagged.read([str(tmp_path / "none.txt")], spec)
    number = {tag: place for place, tag in enumerate(numbered(["MISC", "ORG", "PER"], "BIO"))}
    told = ["B-PER", "O", "O", "B-ORG", "O", "O", "O", "B-ORG", "O", "B-MISC", "B-PER", "I-PER"]
    answer = {"words": question["words"], "tags": torch.tensor([number[tag] for tag in told])}
    first, _, last = tags.show(answer, names, spec, tmp_path)
    assert first["text"] == "[Peter PER] said : [EU ORG] , no ."
    assert last["text"] == "[Peter Blackburn PER]"
    assert last["tags"] == ["I-PER", "I-PER"], "in the scheme of the data"
    assert last["entities"] == [{"text": "Peter Blackburn", "type": "PER", "begin": 0, "end": 2}]


def test_bulletins_tests_on_templates_that_training_does_not_hold() -> None:
    raw = catalog.read("bulletins")

    def templates(part: str) -> set[tuple[str, ...]]:
        return {
            tuple(word for word, tag in zip(words, tags, strict=True) if tag == "O") for words, tags in raw.parts[part]
        }

    assert not templates("train") & (templates("valid") | templates("test"))
    assert scheme(tags for _, tags in raw.parts["train"]) == ("BIO", 0)
