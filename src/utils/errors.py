"""The one exception for what a user can cause and mend."""

EXIT_USER_ERROR = 2


class UserError(Exception):
    """A mistake in the input, not in the code: bad path, bad config, bad file.

    The message is one sentence that names the thing and the remedy. Entry points print it
    without a traceback and leave with exit code 2 (see `src.utils.entry_point`).
    """
