"""JSON files that a user wrote: read with a sentence for everything that is wrong with them as JSON."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from deepclassics.errors import UserError

BYTES = 50_000_000


class Twice(ValueError):
    """An object has a key twice, of which Python's reader would take the last."""


def read(path: Path, most: int = BYTES) -> Any:
    """What a file of at most so many bytes holds.

    Raises:
        UserError: names the file and what must be there.
    """
    try:
        if path.stat().st_size > most:
            raise UserError(f"{path} must have at most {most:,} bytes; it has {path.stat().st_size:,}.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path} must be a file that can be read; {(error.strerror or str(error)).lower()}.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be UTF-8 text; byte {error.start:,} is not. Save it as UTF-8.") from None
    return parse(text, path)


def parse(text: str, path: Path) -> Any:
    """What the text of a file says. Raises as `read`."""
    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: must be JSON; {error.msg}.") from None
    except Twice as error:
        raise UserError(f"{path}: every key of an object must come once; '{error}' comes twice.") from None
    except (RecursionError, ValueError):  # a whole number of more digits than Python reads
        raise UserError(f"{path} must be JSON; it is nested too deeply or has too long a number.") from None


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of these keys and values, for `object_pairs_hook`."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Twice(Counter(key for key, _ in pairs).most_common(1)[0][0][:60])
    return found
