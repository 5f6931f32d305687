"""The named sets: what they hold is known (S307 of the notes' inventory: checksum and count checks)."""

import gzip
import io
import json
import re
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from deepclassics.data import CALLED, catalog, fetch
from deepclassics.data.fetch import content, obtain
from deepclassics.data.sets import adult, cifar10, cifar10_small, fashion_mnist, mnist, mr, sonar
from deepclassics.data.tags import entities, scheme
from deepclassics.errors import UserError

EMBEDDED = ["anbn", "breast_cancer", "circle", "diabetes", "digits", "docstrings", "double_pentagon", "gaussians",
            "hello", "husky", "husky_fair", "iris", "playground_xor", "pydocs", "spiral", "wine", "xor"]  # fmt: skip
FETCHED = ["adult", "cifar10", "cifar10_jpeg", "cifar10_small", "conll2003", "cr", "fashion_mnist", "imdb", "mnist",
           "mpqa", "mr", "names", "ptb", "sonar", "sst1", "sst2", "subj", "tinyshakespeare", "trec",
           "wiki10m"]  # fmt: skip


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPCLASSICS_OFFLINE", "1")


@pytest.mark.parametrize("name", catalog.names())
def test_every_set_tells_what_it_is(name: str) -> None:
    (row,) = catalog.table([name])
    assert row["title"]
    assert not row["title"].endswith(".")
    assert len(row["title"]) <= 80
    assert row["kind"] in CALLED
    assert row["licence"]
    files = catalog.find(name).FILES
    assert row["where"] == ("to be fetched" if files else "embedded")
    lying = {file.forms[-1] for file in files}  # without a mirror
    assert row["bytes"] == sum(file.size for file in lying)
    for file in files:
        assert re.fullmatch(r"\w+(/[\w.-]+)+", file.path)
        made = name == "cifar10_jpeg" or file.path.startswith("wiki_text/")  # no address serves such files
        assert file.forms[-1].urls or made, f"{file.path} has no address"
        for known in (file.sha256, *file.content_sha256):
            assert re.fullmatch("[0-9a-f]{64}", known)


def test_the_sets_are_all_there() -> None:
    having = [
        row["set"]
        for row in catalog.table()
        if row["kind"] in ("image", "table", "text") and row["where"] == "embedded"
    ]
    assert having == EMBEDDED
    assert [row["set"] for row in catalog.table() if row["where"] != "embedded"] == FETCHED


def test_the_list_costs_no_heavy_import() -> None:
    """Names, titles and licences must come in a fraction of a second."""
    code = (
        "import sys; from deepclassics.data import catalog; catalog.table(); "
        "print([name for name in ('torch', 'sklearn', 'pandas', 'numpy', 'pydantic', 'urllib.request') "
        "if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_files_agree_with_the_manifest_of_the_mirror(mirror: Path) -> None:
    manifest = json.loads((mirror / "manifest.json").read_text())
    known = {file["path"]: file for entry in manifest["datasets"] for file in entry["files"]}
    ours = [file for name in FETCHED for file in catalog.find(name).FILES]
    assert [file.path for file in ours if file.path not in known] == [cifar10.ARCHIVE.path], "too large for it"
    for file in ours:
        if file.path in known:
            assert {"path": file.path, "sha256": file.sha256, "bytes": file.size} == known[file.path]


def test_conll2003(mirror: Path) -> None:
    """Sentences, words and names of each type as the shared task counts them (the manifest of the mirror)."""
    raw = catalog.read("conll2003")
    types = Counter(kind for _, tags in raw.parts["train"] for _, _, kind in entities(tags))
    assert types == {"LOC": 7140, "MISC": 3438, "ORG": 6321, "PER": 6600}
    assert scheme(tags for part in raw.parts.values() for _, tags in part) == ("IOB1", 0)
    assert " ".join(raw.parts["train"][0][0]) == "EU rejects German call to boycott British lamb ."
    assert raw.parts["train"][0][1] == ["I-ORG", "O", "I-MISC", "O", "O", "O", "I-MISC", "O", "O"]


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"There is no data set 'mnits'\. Did you mean 'mnist'\? `deepclassics data li"):
        catalog.read("mnits")
    with pytest.raises(UserError, match=r"There is no data set 'zzz'\. `deepclassics data list` shows them all"):
        catalog.find("zzz")


def test_counts_that_do_not_hold_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.find("hello").COUNTS, "vocabulary", 5)
    with pytest.raises(UserError, match=r"hello: vocabulary must count 5; got 4\. Reading went wrong, or"):
        catalog.read("hello")
    monkeypatch.setitem(catalog.find("hello").COUNTS, "vocabulary", (10, 2000))
    with pytest.raises(UserError, match=r"vocabulary must count 10 to 2,000; got 4\."):
        catalog.read("hello")


def test_embedded_sets_verify_without_cache_and_network() -> None:
    rows = catalog.verify(EMBEDDED)
    assert [(row["set"], row["right"]) for row in rows] == [(name, True) for name in EMBEDDED]
    assert rows[EMBEDDED.index("diabetes")]["says"] == "all 442, columns 11, missing 0"
    assert rows[EMBEDDED.index("iris")]["says"] == "all 150, classes 3, columns 5, missing 0"


def test_digits() -> None:
    from sklearn.datasets import load_digits

    digits = catalog.read("digits")
    assert digits.name == "digits"
    pictures, labels = digits.parts["all"]
    known = load_digits()
    assert pictures.shape == (1797, 8, 8, 1)
    assert pictures.dtype == np.uint8
    assert pictures.max() == 255
    assert np.array_equal(np.round(pictures[..., 0] * (16 / 255)), known.images), "the levels can be had back"
    assert labels[:10].tolist() == list(range(10))
    assert labels.dtype == np.int64
    assert digits.classes == [str(digit) for digit in range(10)]


def test_iris() -> None:
    """The notes' perceptron separates setosa from the rest."""
    iris = catalog.read("iris")
    table = iris.parts["all"]
    assert iris.target == "species"
    assert table.iloc[0].tolist() == [5.1, 3.5, 1.4, 0.2, "setosa"]
    assert Counter(table["species"]) == {"setosa": 50, "versicolor": 50, "virginica": 50}


def test_wine_breast_cancer_and_diabetes() -> None:
    wine = catalog.read("wine").parts["all"]
    assert Counter(wine["cultivar"]) == {"class_0": 59, "class_1": 71, "class_2": 48}
    assert wine["alcohol"].iloc[0] == 14.23
    tumours = catalog.read("breast_cancer").parts["all"]
    assert Counter(tumours["diagnosis"]) == {"benign": 357, "malignant": 212}
    assert tumours.iloc[0][["mean radius", "diagnosis"]].tolist() == [17.99, "malignant"]
    patients = catalog.read("diabetes").parts["all"]
    assert patients["progression"].iloc[:3].tolist() == [151, 75, 141]
    assert patients["age"].iloc[:3].tolist() == [59, 48, 72], "in years"


def test_pydocs() -> None:
    (text,) = catalog.read("pydocs").parts.values()
    assert text.startswith('The "assert" statement\n***')
    assert text.count("statement") > 200


def test_hello_is_the_example_of_the_notes() -> None:
    """N007: five letters of four kinds."""
    assert catalog.read("hello").parts == {"all": "hello"}


def test_xor_is_the_whole_truth_table() -> None:
    xor = catalog.read("xor")
    table = xor.parts["train"]
    rows = {(row["a"], row["b"]): row[xor.target] for _, row in table.iterrows()}
    assert rows == {(0, 0): "false", (0, 1): "true", (1, 0): "true", (1, 1): "false"}


def test_mnist(mirror: Path) -> None:
    digits = catalog.read("mnist")
    for part, first, fewest, most, mean in (("train", 5, 5421, 6742, 33.318), ("test", 7, 892, 1135, 33.791)):
        pictures, labels = digits.parts[part]
        assert labels[0] == first
        assert np.bincount(labels).min() == fewest
        assert np.bincount(labels).max() == most
        assert pictures.mean() == pytest.approx(mean, abs=5e-4)
        assert pictures.flags.writeable, "torch warns of arrays that it may not write to"


def test_fashion_mnist_has_the_form_of_mnist(tmp_path: Path) -> None:
    """Its files are not in the mirror: two made pictures a part."""
    paths = {}
    for file, data in zip(
        fashion_mnist.FILES,
        (
            bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]),
            bytes([0, 0, 8, 1, 0, 0, 0, 2, 9, 0]),
            bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9]),
            bytes([0, 0, 8, 1, 0, 0, 0, 1, 5]),
        ),
        strict=True,
    ):
        paths[file.path] = tmp_path / file.path.replace("/", "-")
        paths[file.path].write_bytes(gzip.compress(data))
    clothes = fashion_mnist.read(paths)
    pictures, labels = clothes.parts["train"]
    assert pictures[..., 0].tolist() == [[[1, 2, 3]], [[4, 5, 6]]]
    assert [clothes.classes[label] for label in labels] == ["Ankle boot", "T-shirt/top"]
    assert clothes.parts["test"][0][..., 0].tolist() == [[[7, 8, 9]]]
    assert clothes.classes[clothes.parts["test"][1][0]] == "Sandal"


def test_fashion_mnist_says_how_to_get_it_where_it_is_not() -> None:
    with pytest.raises(
        UserError, match=r"^fashion_mnist/train-images-idx3-ubyte.gz could not be had: the network is fo"
    ):
        catalog.read("fashion_mnist")


def test_an_idx_file_of_another_type_is_not_taken_for_bytes() -> None:
    with pytest.raises(AssertionError, match="not an idx file of bytes: it begins with 00000d01"):
        mnist.idx(bytes([0, 0, 13, 1, 0, 0, 0, 0]))


def test_cifar10_small_is_the_piece_of_the_whole_that_its_index_tells(mirror: Path) -> None:
    """The rule of the set gives the records of the mirror's index, with the labels of the whole."""
    small = catalog.read("cifar10_small")
    pictures, labels = small.parts["train"]
    assert np.bincount(labels).tolist() == [800] * 10
    assert pictures.mean() == pytest.approx(120.948, abs=5e-4)
    assert pictures.flags.writeable
    judged, test_labels = small.parts["test"]
    assert np.bincount(test_labels).tolist() == [105, 93, 100, 104, 92, 87, 114, 102, 110, 110]
    assert judged.mean() == pytest.approx(121.847, abs=5e-4)
    with tarfile.open(mirror / "cifar10/cifar10_jpeg_q75.tar.xz") as archive:  # train/00000_6.jpg
        names = sorted(name for name in archive.getnames() if re.fullmatch(r"train/\d+_\d.jpg", name))
    whole = np.array([int(name[-5]) for name in names])
    places, kept = cifar10_small.piece(np.arange(50_000), whole)
    assert places.tolist() == list(map(int, (mirror / "cifar10/train_8000.index.txt").read_text().split()))
    assert kept.tolist() == labels.tolist()


def test_cifar10_is_read_from_the_archive_of_its_authors(tmp_path: Path) -> None:
    """Red, green and blue planes one after another, five batches to learn from; the small piece takes it too."""
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for number, name in enumerate([*(f"data_batch_{batch}" for batch in range(1, 6)), "test_batch"]):
            record = bytes([number]) + bytes([255]) * 1024 + bytes([7]) * 1024 + bytes([0, 1]) + bytes(1022)
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            entry.size = 2 * len(record)
            archive.addfile(entry, io.BytesIO(2 * record))
    whole = cifar10.read({cifar10.ARCHIVE.path: path})
    assert all(file.within is cifar10.ARCHIVE for file in cifar10_small.FILES), "it must be fetched and kept once"
    pictures, labels = whole.parts["train"]
    assert labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert pictures.shape == (10, 32, 32, 3)
    assert pictures[0, 0, :2].tolist() == [[255, 7, 0], [255, 7, 1]]
    assert whole.parts["test"][1].tolist() == [5, 5]
    assert cifar10_small.part(path.read_bytes(), "test")[1].tolist() == [5, 5]


def test_cifar10_jpeg(mirror: Path) -> None:
    """Near to the exact pictures, some 30 dB, and of the same labels."""
    compressed, exact = catalog.read("cifar10_jpeg").parts["test"], catalog.read("cifar10_small").parts["test"]
    assert compressed[1][:1017].tolist() == exact[1].tolist()
    error = (compressed[0][:1017].astype(float) - exact[0]) ** 2
    noise = 10 * np.log10(255**2 / error.mean((1, 2, 3)))
    assert noise.mean() == pytest.approx(30.49, abs=0.01)
    assert noise.min() > 23


def test_tinyshakespeare(mirror: Path) -> None:
    text = catalog.read("tinyshakespeare")
    assert text.unit == "character"
    assert text.parts["train"].startswith("First Citizen:\nBefore we proceed any further")
    assert text.parts["test"].endswith("Whiles thou art waking.\n")
    assert (text.parts["train"] + text.parts["test"]).count("\n") == 40_000


def test_ptb(mirror: Path) -> None:
    text = catalog.read("ptb")
    assert text.unit == "word"
    assert {part: words.count("\n") for part, words in text.parts.items()} == {
        "train": 42_068,
        "valid": 3_370,
        "test": 3_761,
    }
    assert text.parts["test"].startswith(" no it was n't black monday \n but while the new york")


def test_wiki10m(mirror: Path) -> None:
    text = catalog.read("wiki10m").parts["all"]
    assert text.count("\n") == 3_392
    assert text.startswith("anarchism anarchism is a political philosophy that")
    assert set(text) == set("abcdefghijklmnopqrstuvwxyz \n")


def test_adult(mirror: Path) -> None:
    people = catalog.read("adult")
    assert people.target == "income"
    train, test = people.parts["train"], people.parts["test"]
    assert train.iloc[0][["age", "education", "sex", "income"]].tolist() == [39, "Bachelors", "Male", "<=50K"]
    assert Counter(train["income"]) == {"<=50K": 24_720, ">50K": 7_841}
    assert Counter(test["income"]) == {"<=50K": 12_435, ">50K": 3_846}
    assert [int(part.isna().any(axis=1).sum()) for part in (train, test)] == [2_399, 1_221]
    assert train["hours-per-week"].dtype == np.int64


def test_the_files_of_uci_are_taken_too(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """adult.test begins with a remark, and sonar.all-data ends with a line feed: other bytes, the same tables."""
    cache = fetch.cache()
    theirs = {
        adult.FILES[0]: content(mirror / adult.FILES[0].path),
        adult.FILES[1]: b"|1x3 Cross validator\n" + content(mirror / adult.FILES[1].path),
        sonar.FILES[0]: content(mirror / sonar.FILES[0].path) + b"\n",
    }
    ours = {name: catalog.read(name).parts for name in ("adult", "sonar")}
    (cache / "tabular").mkdir(parents=True)
    for file, data in theirs.items():
        (cache / file.path).write_bytes(data)
    monkeypatch.delenv("DEEPCLASSICS_MIRROR")
    for name, parts in ours.items():
        assert all(catalog.read(name).parts[part].equals(table) for part, table in parts.items())
    assert obtain(adult.FILES[1]) == cache / adult.FILES[1].path


def test_sonar(mirror: Path) -> None:
    echoes = catalog.read("sonar").parts["all"]
    assert Counter(echoes["object"]) == {"mine": 111, "rock": 97}
    assert echoes.columns[[0, 59, 60]].tolist() == ["1", "60", "object"]
    assert echoes.iloc[0][["1", "60", "object"]].tolist() == [0.02, 0.0032, "rock"]


def test_the_mirror_verifies(mirror: Path) -> None:
    rows = catalog.verify(["ptb", "sonar"])
    assert [row["right"] for row in rows] == [True] * 6
    assert rows[3]["says"] == "train 929,589, valid 73,760, test 82,430, vocabulary 10,000"
    assert {row["where"] for row in catalog.table() if row["set"] in ("ptb", "sonar")} == {"on this machine"}


def test_a_bundle_of_the_mirror_is_a_mirror(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.bundle(["sonar", "tinyshakespeare"], tmp_path / "bundle")
    monkeypatch.setenv("DEEPCLASSICS_MIRROR", str(tmp_path / "bundle"))
    assert len(catalog.read("sonar").parts["all"]) == 208
    with pytest.raises(UserError, match=r"adult-train.csv.gz is not there"):
        catalog.read("adult")


def test_docstrings() -> None:
    """Sentences of Python's own modules, each once."""
    table = catalog.read("docstrings").parts["all"]
    assert table["sentence"].is_unique
    assert sorted(table["field"].unique()) == ["files", "language", "network", "numbers", "processes", "tests"]
    assert table["field"].value_counts().min() > 300
    assert table["sentence"].str.split().str.len().min() >= 2


def test_the_sets_of_kim(mirror: Path) -> None:
    """Kim 2014, table 1; SST with all phrases of its training sentences."""
    films = catalog.read("mr").parts["all"]
    assert Counter(films["label"]) == {"negative": 5_331, "positive": 5_331}
    assert films["text"].str.contains("clichés").any(), "Latin-1"
    sentences = catalog.read("subj").parts["all"]
    assert Counter(sentences["label"]) == {"objective": 5_000, "subjective": 5_000}
    assert sentences.iloc[0]["text"].startswith("smart and alert , thirteen conversations about one thing")
    shades, sides = catalog.read("sst1").parts, catalog.read("sst2").parts
    assert sorted(Counter(shades["test"]["label"]).values()) == [279, 389, 399, 510, 633]
    assert Counter(shades["test"]["label"])["0 very negative"] == 279
    assert Counter(sides["valid"]["label"]) == {"negative": 428, "positive": 444}
    assert Counter(sides["test"]["label"]) == {"negative": 912, "positive": 909}
    assert not shades["train"]["text"].duplicated().any()
    lower = sides["test"]["text"].str.lower().str.replace("(", "-lrb-").str.replace(")", "-rrb-")
    theirs = content(mirror / "sentence_classification/stsa.binary.test.gz").decode().splitlines()
    assert len(set(lower) & {line[2:].replace("\\", "") for line in theirs}) > 1_800, "the sentences of Kim's own files"


def test_the_sets_of_kim_that_are_not_in_the_mirror(tmp_path: Path) -> None:
    path = tmp_path / "lines.gz"
    path.write_bytes(gzip.compress("0 a b\x85c .\n1 d \xe9 .\n".encode("latin-1")))
    assert mr.labelled(path, ["no", "yes"]).to_numpy().tolist() == [["a b\x85c .", "no"], ["d é .", "yes"]]
    for name in ("cr", "mpqa", "trec"):
        found = catalog.find(name)
        raw = found.read({file.path: path for file in found.FILES})
        assert raw.target == "label"
        assert all(len(part) == 2 for part in raw.parts.values())


def test_names(mirror: Path) -> None:
    lines = catalog.read("names").parts["all"].split("\n")
    assert (len(lines), len(set(lines)), max(map(len, lines))) == (32_033, 29_494, 15)
    assert lines[0] == "emma"
