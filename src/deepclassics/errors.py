"""The one exception that is the user's to mend, and what its sentences are made with."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in what the user gave: the message is a sentence saying what must be, what was got, what to do.

    The command line prints it without a traceback and exits with 2. Everything else that is raised is a defect of
    this package and exits with 1.
    """


def meant(word: str, known: Iterable[str]) -> str:
    """ " Did you mean 'lenet5'?", or nothing where no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def short(text: str) -> str:
    """What the user gave, as it is quoted: cut off where it is long."""
    return text if len(text) <= 60 else text[:57] + "..."
