"""Tiny Shakespeare: 1,115,394 characters of plays.

Karpathy 2015 (char-rnn). The standard split holds out the last tenth (nanoGPT's prepare.py: the first
int(0.9 N) characters to learn from).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from deepclassics.data.fetch import File, content

if TYPE_CHECKING:
    from deepclassics.data.kinds.text import Text

KIND = "text"
LICENCE = "public domain text"
COUNTS = {"train": 1_003_854, "test": 111_540, "vocabulary": 65}
FILES = (
    File(
        "tinyshakespeare/input.txt.gz",
        433_627,
        "bed00f18e91cda6838950656f0a95e07e0f4dbe8649a4b959f7602a7e53fbc6e",
        urls=(  # both serve it plain
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            "https://storage.googleapis.com/download.tensorflow.org/data/shakespeare.txt",
        ),
        content_sha256=("86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",),
    ),
)


def read(paths: dict[str, Path]) -> "Text":
    from deepclassics.data.kinds.text import Text

    text = content(paths["tinyshakespeare/input.txt.gz"]).decode()
    end = int(0.9 * len(text))
    return Text({"train": text[:end], "test": text[end:]}, unit="character")
