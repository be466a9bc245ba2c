"""The one error that reading or writing a bundle raises, and its wording."""

from __future__ import annotations

from siit._text import shortened


class BundleError(ValueError):
    """A bundle that is damaged, incomplete, inconsistent or made to harm.

    Its message is `<file>: <field>: found ..., accepted is ...`.
    """


def wrong(file: str, field: str, found: object, accepted: str) -> BundleError:
    """Makes the error for one field of one file; a found value that is long is shortened."""
    return BundleError(f"{file}: {field}: found {shortened(found)}, accepted is {accepted}")
