"""Texts with labels: what is read, how it is parted and numbered, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from deepclassics.data import load, words
from deepclassics.data.kinds import sentence
from deepclassics.data.kinds.table import Table
from deepclassics.data.sets import mr, sst1
from deepclassics.data.streams import Splits
from deepclassics.data.words import Reading
from deepclassics.errors import UserError

FILMS = [("a fine film", "good"), ("a dull film", "bad"), ("fine , fine acting", "good"), ("so dull", "bad")]


def table(rows: list[tuple[str, object]] = FILMS, times: int = 5) -> Table:
    return Table({"all": pd.DataFrame(rows * times, columns=["text", "label"])}, "label", "films")


def splits(raw: Table, valid: float = 0.1, test: float = 0.2, seed: int = 0, **reading: object) -> Splits:
    return sentence.splits(sentence.from_table(raw), seed=seed, valid=valid, test=test, reading=Reading(**reading))


def written(found: Splits, part: str = "train") -> list[str]:
    """The texts of a part, put together again."""
    columns = getattr(found, part)
    return [" ".join(found.spec["vocabulary"][k] for k in row.tolist() if k) for row in columns["ids"][:]]


def test_texts_become_numbers_the_commonest_first() -> None:
    """S254, S256: a word is a number; 0 is no word, 1 is one never seen."""
    found = splits(table(), valid=0.0, test=0.0)
    assert found.spec["vocabulary"] == ["<pad>", "<unk>", "dull", "fine", "a", "film", ",", "acting", "so"][
        :2
    ] + sorted(
        ["dull", "fine", "a", "film", ",", "acting", "so"],
        key=lambda word: (-sum(text.split().count(word) for text, _ in FILMS), word),
    )
    assert written(found) == [text for text, _ in FILMS * 5]
    assert found.train["label"].tolist() == [1, 0, 1, 0] * 5
    assert found.train["ids"][:].shape == (20, 4)
    assert found.spec["target"] == {"kind": "class", "name": "label", "classes": ["bad", "good"]}
    assert json.loads(json.dumps(found.spec)) == found.spec


def test_the_vocabulary_is_of_the_training_texts() -> None:
    test = pd.DataFrame([("a grand film", "good")], columns=["text", "label"])
    raw = Table({"train": table().parts["all"], "test": test}, "label", "films")
    found = splits(raw)
    assert "grand" not in found.spec["vocabulary"]
    assert written(found, "test") == ["a <unk> film"]
    having = splits(raw, also=lambda met: {"grand"} & set(met))
    assert written(having, "test") == ["a grand film"]
    assert having.spec["vocabulary"][:-1] == found.spec["vocabulary"], "words with a vector come last"
    assert splits(raw, vocabulary=2).spec["vocabulary"] == found.spec["vocabulary"][:4]
    assert "acting" not in splits(raw, least=6).spec["vocabulary"]
    with pytest.raises(UserError, match="films must hold words that come 99 times or more; it has none"):
        splits(raw, least=99)


def test_what_was_chosen_and_what_is_unknown_is_told() -> None:
    """9 of the 12 words of four texts are those that come twice or more."""
    told = splits(table(times=1), valid=0.0, test=0.0, least=2).spec["told"]
    assert told == ["Cut into words by the rule 'blanks'. 4 words known, 25.0% of the places hold one that is not."]
    told = splits(table([("<pad> <unk> fine", "good"), ("a dull", "bad")]), valid=0.0, test=0.0).spec["told"]
    assert told == ["Cut into words by the rule 'words'. 3 words known, 40.0% of the places hold one that is not."]


def test_the_text_is_the_column_of_the_longest_strings() -> None:
    frame = table().parts["all"].assign(author="Kim", number=range(20))[["author", "label", "number", "text"]]
    found = sentence.from_table(Table({"all": frame}, "label", "films"))
    assert (found.text, found.target) == ("text", "label")
    assert sentence.from_table(Table({"all": frame}, "label", "films"), target="author").target == "author"
    with pytest.raises(UserError, match="films must have a column of text beside 'label'; it has none"):
        sentence.from_table(Table({"all": frame[["label", "number"]]}, "label", "films"))


def test_a_target_that_is_the_text_itself_is_refused_with_the_others() -> None:
    """Rows without text would else be said to lack the target. Long names of classes are no texts."""
    rows = [(f"text number {k}", k, "good" if k % 2 else "very bad", "en") for k in range(8)] + [
        (np.nan, 8, "good", "en")
    ]
    raw = Table({"all": pd.DataFrame(rows, columns=["text", "id", "label", "language"])}, "label", "films")
    says = "films: the target 'text' is the column of text itself. .* one of label, id, language; .* --target label"
    with pytest.raises(UserError, match=says):
        sentence.from_table(raw, target="text")
    short = table([("fine", "very very good"), ("dull", "very very bad")])
    assert sentence.from_table(short).text == "text"


def test_ten_folds_hold_every_text_once_for_every_seed() -> None:
    """Kim 2014, section 3: ten-fold cross validation; the partition is the same for all runs."""
    raw = table([(f"word{k} film", "good" if k % 2 else "bad") for k in range(43)], times=1)
    folds = [splits(raw, fold=k, seed=k, also=lambda met: met) for k in range(10)]
    tested = [text for found in folds for text in written(found, "test")]
    assert sorted(tested) == sorted(f"word{k} film" for k in range(43))
    assert written(splits(raw, fold=3, seed=9, also=lambda met: met), "test") == written(folds[3], "test")
    for found in folds:
        assert len(found.test) in (4, 5)
        assert len(found.valid) in (3, 4), "a tenth of the rest"
        together = [text for part in ("train", "valid", "test") for text in written(found, part)]
        assert len(set(together)) == 43
    with pytest.raises(UserError, match="10 folds need as many rows at least; films has 8"):
        splits(table(times=2), fold=0)
    own = Table({"train": raw.parts["all"], "test": raw.parts["all"]}, "label", "films")
    with pytest.raises(UserError, match=r"films has a test part of its own, by which it is judged. Leave --fold out"):
        splits(own, fold=0)


def test_endless_texts_are_cut_with_a_count_and_empty_ones_left_out() -> None:
    raw = table([*FILMS, ("word " * 1_000_000, "good"), ("  ", "bad")], times=1)
    raw = Table({"all": pd.concat([raw.parts["all"], table().parts["all"]])}, "label", "films")
    found = splits(raw, longest=50)
    assert found.spec["told"] == [
        "Left out: 1 row without text, first row 6.",
        "Cut off: 1 text of more than 50 words, 999,950 words in all (--longest).",
        found.spec["told"][-1],
    ]
    assert sum(found.spec["examples"].values()) == 25
    names, question = sentence.read(["fine " * 1_000_000], found.spec)
    assert question["ids"].shape == (1, 50)
    assert len(names) == 1


def test_what_cannot_be_learnt_is_refused() -> None:
    rows = [(f"text number {k}", k) for k in range(60)]
    with pytest.raises(UserError, match="'label' must hold classes; it holds numbers of 60 values in 60 rows"):
        splits(table(rows, 1))
    with pytest.raises(UserError, match="it has 60 different words in 60 rows, such as 'id 0' in row 1"):
        splits(table([(text, f"id {k}") for text, k in rows], 1))
    with pytest.raises(UserError, match="the target 'label' must have 2 values or more; it is always good"):
        splits(table([("a film", "good")]))
    with pytest.raises(UserError, match="the target 'label' must be there in every row; it is missing in 5, first"):
        splits(table([*FILMS, ("a film", np.nan)]))
    with pytest.raises(UserError, match="films must hold text in the column 'text'; it is empty in every row"):
        splits(table([("", "good"), (" ", "bad")]))
    train, test = table().parts["all"], pd.DataFrame([("a film", "fair")], columns=["text", "label"])
    with pytest.raises(UserError, match="films: every class must have rows to learn from; 'fair' has none of the 18"):
        splits(Table({"train": train, "test": test}, "label", "films"))


def test_files_and_folders(tmp_path: Path) -> None:
    csv = tmp_path / "films.csv"
    csv.write_text("label,text\n" + "".join(f"{label},{text.replace(',', ';')}\n" for text, label in FILMS * 5))
    found = load(str(csv), ("sentence",), seed=0, target="label", reading=Reading())
    assert (found.spec["data"], found.spec["text"]) == (str(csv), "text")
    with pytest.raises(UserError, match="--target must name the column to be predicted, one of label, text"):
        load(str(csv), ("sentence",), seed=0)
    for part in ("train", "test"):
        for k, (text, label) in enumerate(FILMS * 3):
            (tmp_path / "reviews" / part / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "reviews" / part / label / f"{k}.txt").write_text(text)
    found = load(str(tmp_path / "reviews"), ("sentence",), seed=0, reading=Reading())
    assert found.spec["examples"] == {"train": 10, "valid": 2, "test": 12}
    assert found.spec["target"]["classes"] == ["bad", "good"]
    alone = load(str(tmp_path / "reviews" / "train"), ("sentence",), seed=0, test=0.25, reading=Reading())
    assert alone.spec["examples"] == {"train": 7, "valid": 2, "test": 3}
    with pytest.raises(UserError, match=r"--target names a column of a table; in .*the folders are the classes"):
        load(str(tmp_path / "reviews"), ("sentence",), seed=0, target="label")
    with pytest.raises(UserError, match="must hold a folder of text files for each of 2 classes or more; it holds 0"):
        load(str(tmp_path / "reviews" / "train" / "good"), ("sentence",), seed=0)
    (tmp_path / "reviews" / "train" / "fair").mkdir()
    with pytest.raises(UserError, match=r"fair/ must hold text files \(.*\): it stands for a class; it has none"):
        load(str(tmp_path / "reviews"), ("sentence",), seed=0)


def test_mixed_encodings_are_told_with_the_line(tmp_path: Path) -> None:
    csv = tmp_path / "films.csv"
    csv.write_bytes("text,label\nça va,good\n".encode() + "ça va,bad\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"films.csv must be UTF-8 text; byte 23, in line 3, is not. Save it as UTF-8"):
        load(str(csv), ("sentence",), seed=0, target="label")
    for label in ("good", "bad"):
        (tmp_path / "films" / label).mkdir(parents=True)
        (tmp_path / "films" / label / "1.txt").write_bytes("ja\nça va".encode("latin-1"))
    with pytest.raises(UserError, match=r"bad/1.txt must be UTF-8 text; byte 3, in line 2, is not\. Save it as UTF-8"):
        load(str(tmp_path / "films"), ("sentence",), seed=0)
    (tmp_path / "films" / "bad" / "1.txt").write_bytes(b"\x7fELF\2\0\0 film")
    with pytest.raises(UserError, match=r"bad/1.txt must be text; it holds bytes of 0"):
        load(str(tmp_path / "films"), ("sentence",), seed=0)


def test_chinese_by_character_works_unasked(tmp_path: Path) -> None:
    rows = [("这部电影很好", "good"), ("这部电影不好", "bad")]
    found = splits(table(rows), valid=0.0, test=0.0)
    assert found.spec["rule"] == "words"
    assert written(found)[0] == "这 部 电 影 很 好"


def test_what_is_asked(tmp_path: Path) -> None:
    """Typed texts, the lines of a text file, and the rows of a table."""
    spec = splits(table(), valid=0.0, test=0.0).spec
    number = {word: k for k, word in enumerate(spec["vocabulary"])}
    (tmp_path / "asked.txt").write_text("a dull film\n\nso\u2028so\n")
    (tmp_path / "asked.csv").write_text("id,text\n1,fine acting\n2,never seen\n")
    names, question = sentence.read(["a fine film", str(tmp_path / "asked.txt"), str(tmp_path / "asked.csv")], spec)
    assert names == ["a fine film", "asked.txt line 1", "asked.txt line 3", "asked.csv row 1", "asked.csv row 2"]
    assert question["ids"].tolist() == [
        [number["a"], number["fine"], number["film"]],
        [number["a"], number["dull"], number["film"]],
        [number["so"], number["so"], 0],
        [number["fine"], number["acting"], 0],
        [1, 1, 0],
    ]
    with pytest.raises(UserError, match=r"nowhere.txt must be a text, or a file of texts; there is no such file"):
        sentence.read(["nowhere.txt"], spec)
    with pytest.raises(UserError, match="must hold a word or more; it is empty"):
        sentence.read([" "], spec)
    (tmp_path / "other.csv").write_text("id,words\n1,fine acting\n2,never seen\n")
    with pytest.raises(UserError, match=r"other.csv must have the column 'text', which holds the text; it has id"):
        sentence.read([str(tmp_path / "other.csv")], spec)
    assert sentence.read(["it ends in .csv"], spec)[0] == ["it ends in .csv"]


def test_subwords_are_learnt_from_the_training_texts() -> None:
    """Sennrich et al. 2016: a word never seen is made of pieces that were; the pieces are kept in the spec as JSON."""
    pytest.importorskip("tokenizers")
    rows = [("walking talking", "verbs"), ("walked talked", "verbs"), ("the house", "nouns"), ("the horse", "nouns")]
    found = splits(table(rows), valid=0.0, test=0.0, rule="subwords", vocabulary=32)
    assert written(found)[0].replace(" ##", "") == "walking talking"
    asked = sentence.read(["housed"], json.loads(json.dumps(found.spec)))[1]["ids"][0].tolist()
    assert "".join(found.spec["vocabulary"][k].removeprefix("##") for k in asked) == "housed"
    assert sentence.read(["ξ"], found.spec)[1]["ids"].tolist() == [[1]]
    with pytest.raises(UserError, match=r"--rule subwords is for texts with labels\. Take blanks"):
        words.cut("a text", "subwords")


def test_contractions_are_parted() -> None:
    """As Kim's own program does; what is parted already stays as it is."""
    assert words.cut("It isn't Kim's; I can’t.", "english") == [
        "It", "is", "n't", "Kim", "'s", ";", "I", "ca", "n’t", ".",
    ]  # fmt: skip
    assert words.cut("wo n't , he 's 'so' o'clock", "english") == [
        "wo", "n't", ",", "he", "'s", "'", "so", "'", "o'clock",
    ]  # fmt: skip


def test_a_word_that_is_written_as_the_filling_is_unknown() -> None:
    found = splits(table([("<pad> film", "good"), ("a film", "bad")]), valid=0.0, test=0.0)
    assert found.train["ids"][0].tolist()[0] == 1
    assert int((found.train["ids"][:] == 0).sum()) == 0
    assert sentence.read(["<pad> film"], found.spec)[1]["ids"][0, 0] == 1


def test_phrases_of_a_tree() -> None:
    """Socher et al. 2013: every node of a tree is a phrase with an opinion of its own."""
    assert sst1.phrases("(3 (2 It) (4 works))") == [("It", 2), ("works", 4), ("It works", 3)]
    assert sst1.phrases(r"(2 (2 -LRB-) (2 (2 and\/or) (2 -RRB-)))")[-1] == ("( and/or )", 2)


def test_films_of_the_mirror(mirror: Path) -> None:
    found = load("mr", ("sentence",), seed=0, reading=Reading(fold=0))
    assert found.spec["examples"] == {"train": 8635, "valid": 960, "test": 1067}
    assert found.spec["rule"] == "blanks"
    assert mr.labelled(mirror / mr.FILES[0].path, ["negative", "positive"]).iloc[0].tolist() == [
        "simplistic , silly and tedious .", "negative",
    ]  # fmt: skip
    shades = load("sst1", ("sentence",), seed=0, reading=Reading(lower=True))
    assert shades.spec["examples"] == {"train": 159_274, "valid": 1_101, "test": 2_210}
    assert torch.bincount(shades.test["label"]).tolist() == [279, 633, 389, 510, 399]
    assert load("mr", ("table",), seed=0, words=100).spec["kind"] == "table", "bags of words read it too"


def test_a_file_is_one_text_where_files_were_learnt_from(tmp_path: Path) -> None:
    for name, mood in (("angry", "never again"), ("kind", "many thanks")):
        (tmp_path / "letters" / name).mkdir(parents=True)
        for number in range(6):
            (tmp_path / "letters" / name / f"{number}.txt").write_text(f"Dear all,\n{mood} for {number}\n")
    spec = load(str(tmp_path / "letters"), ("sentence",), seed=0, reading=Reading()).spec
    file = str(tmp_path / "letters" / "kind" / "1.txt")
    names, found = sentence.read_rows([file], spec)
    assert names == ["1.txt"]
    assert len(found["ids"]) == 1
    names, found = sentence.read_rows([file], spec | {"files": False})
    assert names == ["1.txt line 1", "1.txt line 2"]
    with pytest.raises(UserError, match=r"Text 2, '', must hold a word or more; it is empty\. Leave it out"):
        sentence.read_rows(["good", ""], spec)


def test_a_class_that_is_not_judged_is_told(tmp_path: Path) -> None:
    rows = [f"a text of number {k},{'odd' if k == 7 else 'up' if k % 2 else 'down'}" for k in range(60)]
    (tmp_path / "one.csv").write_text("text,label\n" + "\n".join(rows))
    spec = load(str(tmp_path / "one.csv"), ("sentence",), seed=0, target="label", reading=Reading()).spec
    assert "Of no test text, for it has too few: class 'odd'." in spec["told"]
