"""The one exception that is the user's to mend."""


class UserError(ValueError):
    """A mistake in what the user gave: the message is a sentence saying what must be, what was got, what to do.

    The command line prints it without a traceback and exits with 2. Everything else that is raised is a defect of
    this package and exits with 1.
    """
