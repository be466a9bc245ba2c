"""The Hub's address, where another one is asked for than HF_ENDPOINT or the public Hub."""

from __future__ import annotations

import re

from siit._text import shortened
from siit.bundle import BundleError

_ADDRESS = re.compile(r"https?://[^\s/]+(/\S*)?")


def checked_endpoint(endpoint: str | None) -> str | None:
    """Checks an endpoint, and takes a slash off its end.

    Args:
        endpoint: an address; None where none is asked for.

    Raises:
        BundleError: it is no address.
    """
    if endpoint is None:
        return None
    if not (isinstance(endpoint, str) and _ADDRESS.fullmatch(endpoint)):
        raise BundleError(
            f"endpoint: found {shortened(endpoint)}, accepted is an address, such as https://huggingface.co"
        )
    return endpoint.rstrip("/")
