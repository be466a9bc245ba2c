"""The one error that reading or writing a bundle raises, and its wording."""

from __future__ import annotations

from siit._text import one_line, shortened


class BundleError(ValueError):
    """A bundle that is damaged, incomplete, inconsistent or made to harm.

    Its message is `<file>: <field>: found ..., accepted is ...`, on one line that is safe to print: names in it, and
    what was found, may come from a stranger's files.
    """

    def __init__(self, message: object) -> None:
        super().__init__(one_line(message))


def wrong(file: str, field: str, found: object, accepted: str) -> BundleError:
    """Makes the error for one field of one file; a found value that is long is shortened."""
    return BundleError(f"{file}: {field}: found {shortened(found)}, accepted is {accepted}")
