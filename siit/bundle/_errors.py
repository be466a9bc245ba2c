"""The one error that reading or writing a bundle raises, and its wording."""

from __future__ import annotations

import reprlib

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 120
_repr.maxlist = _repr.maxdict = 8


class BundleError(ValueError):
    """A bundle that is damaged, incomplete, inconsistent or made to harm.

    Its message is `<file>: <field>: found ..., accepted is ...`.
    """


def wrong(file: str, field: str, found: object, accepted: str) -> BundleError:
    """The error for one field of one file; a found value that is long is shortened."""
    return BundleError(f"{file}: {field}: found {_repr.repr(found)}, accepted is {accepted}")
