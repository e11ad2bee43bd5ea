"""The one exception type for mistakes a user can mend."""

from __future__ import annotations


class InputError(ValueError):
    """A wrong file, key, value or combination of options.

    The message is one sentence: where, what was found, what was expected, what to do instead.
    Commands print it on one line and exit with code 2.
    """
