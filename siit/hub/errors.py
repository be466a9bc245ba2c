"""Turns the client's many errors into one, each a line that says what was found and what to do."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, unquote

from siit._text import one_line
from siit.bundle import BundleError

REVISION = "a branch, tag or commit"
LOG_IN = "a token: set HF_TOKEN or run `hf auth login`"
_AGAIN = "the same command goes on where this one stopped"
_SECRET = "<secret>"
_SECRETS = (
    re.compile(r"((?:Bearer|Basic)\s+)\S+", re.I),
    re.compile(r"()\bhf_\w{4,}"),
    re.compile(r"(//)[^/@\s]+(?=@)"),
)
"""How tokens and passwords look, where they are not our own."""
_LONGEST = 400
"""Letters of a message."""


class HubError(BundleError):
    """The Hub cannot be reached, does not have it, or does not let us."""


def readable(text: str) -> str:
    """Makes what a server said safe to print: on one line, of bounded length, without a token or a password."""
    from huggingface_hub import get_token

    token = get_token()
    for form in (token, quote(token), base64.b64encode(token.encode()).decode()) if token else ():
        text = text.replace(form, _SECRET)
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<1>{_SECRET}", text)
    text = one_line(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


@contextmanager
def hub_errors(repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Turns whatever the client raises into HubError; nothing but calls of the client belongs inside.

    The client's own error is not kept as the cause: a traceback would print what it quotes.

    Args:
        repo_id: which messages name.
        revision: the one that was asked for, if any.

    Raises:
        HubError: one line, safe to print.
    """
    try:
        yield
    except BundleError:
        raise
    except Exception as error:
        raise HubError(f"{repo_id}: {readable(_said(error, revision))}") from None


def _said(error: Exception, revision: str | None) -> str:
    """What the client's error means: the field, what was found, what is accepted."""
    # Only here: it takes half a second to import.
    from huggingface_hub import errors

    # The client's transport was httpx before 2.0 and is httpx2 since; its errors' base is the base of the client's own.
    transport: type[Exception] = errors.HfHubHTTPError.__mro__[1]
    match error:
        case errors.HFValidationError():
            return "repo_id: found one that the Hub does not take, accepted is <organization or user>/<name>"
        case errors.RevisionNotFoundError():
            return f"revision: found no {revision!r}, accepted is {REVISION}"
        case errors.RepositoryNotFoundError():
            return (
                "repository: found none that may be read, accepted is one that exists; if it is private or gated, with "
                f"{LOG_IN}"
            )
        case errors.LocalEntryNotFoundError(__cause__=errors.HfHubHTTPError() as refused):
            return _said(refused, revision)
        case errors.LocalEntryNotFoundError():
            return (
                f"cache: found not all of it here, and the Hub cannot be asked ({_reason(error.__cause__ or error)}); "
                "accepted is a network, or a model that was loaded before"
            )
        case errors.RemoteEntryNotFoundError():
            name = unquote(error.response.request.url.path).partition("/resolve/")[2].partition("/")[2]
            return f"{name}: file: found none of this name, accepted is the repository of a bundle, with all its files"
        case errors.HfHubHTTPError():
            return _refusal(error.response.status_code, error.server_message or _reason(error))
        case transport() | errors.FileMetadataError() | ConnectionError() | TimeoutError():
            return f"network: found {_reason(error)}, accepted is a Hub that answers; {_AGAIN}"
        case OSError(errno=int()):
            place = f" at {error.filename}" if error.filename else ""
            return f"cache: found {error.strerror}{place}, accepted is a folder with room that may be written; {_AGAIN}"
        # A transfer that was cut or failed in a thread, or in the library that the client uses for large files.
        case OSError() | RuntimeError() | ValueError():
            return f"transfer: found {_reason(error.__cause__ or error)}; {_AGAIN}"
        case _:
            return f"answer: found one that the client cannot read ({_reason(error)}), accepted is a Hub's"


def _refusal(status: int, reason: str) -> str:
    """What an answer of the Hub means, by its status."""
    if status == 401:
        return f"token: found none that the Hub knows, accepted is {LOG_IN}"
    if status == 403:
        return f"permission: found a token without the right to do this ({reason}), accepted is one that may"
    if status in (409, 412):
        return f"conflict: found another change made at the same time ({reason}); {_AGAIN}, on top of that change"
    if status == 413:
        return f"size: found more than the Hub takes ({reason})"
    if status == 429 or status >= 500:
        return f"Hub: found status {status} ({reason}), accepted is a Hub that is not overloaded or broken; {_AGAIN}"
    return f"Hub: found status {status} ({reason})"


def _reason(error: BaseException) -> str:
    """The error's name and the first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
