"""The client's many errors as one, each a line that says what was found and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from siit.bundle import BundleError

LOG_IN = "a token: set HF_TOKEN or run `hf auth login`"
_AGAIN = "the same command goes on where this one stopped"


class HubError(BundleError):
    """The Hub cannot be reached, does not have it, or does not let us."""


@contextmanager
def hub_errors(repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Turns what the client raises into HubError; nothing but calls of the client belongs inside.

    Args:
        repo_id: which messages name.
        revision: the one that was asked for, if any.
    """
    # Only here: it takes half a second to import.
    from huggingface_hub import errors

    # The client's transport was httpx before 2.0 and is httpx2 since; its errors' base is the base of the client's own.
    transport: type[Exception] = errors.HfHubHTTPError.__mro__[1]
    try:
        yield
    except errors.HFValidationError as error:
        raise HubError(f"repo_id: found {repo_id!r}, accepted is <organization or user>/<name>") from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{repo_id}: revision: found no {revision!r}, accepted is a branch, tag or commit") from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"{repo_id}: repository: found none that may be read, accepted is one that exists; if it is private or "
            f"gated, with {LOG_IN}"
        ) from error
    except errors.HfHubHTTPError as error:
        reason = error.server_message or _reason(error)
        raise HubError(f"{repo_id}: {_refusal(error.response.status_code, reason)}") from error
    except errors.LocalEntryNotFoundError as error:
        raise HubError(f"{repo_id}: {_not_cached(error)}") from error
    except (transport, errors.FileMetadataError, ConnectionError, TimeoutError) as error:
        raise HubError(
            f"{repo_id}: network: found {_reason(error)}, accepted is a Hub that answers; {_AGAIN}"
        ) from error
    # A transfer that failed in a thread of the client, or in the library that it uses for large files.
    except (RuntimeError, ValueError) as error:
        raise HubError(f"{repo_id}: transfer: found {_reason(error.__cause__ or error)}; {_AGAIN}") from error


def _refusal(status: int, reason: str) -> str:
    """What an answer of the Hub means, by its status."""
    if status == 401:
        return f"token: found none that the Hub knows, accepted is {LOG_IN}"
    if status == 403:
        return f"permission: found a token without the right to do this ({reason}), accepted is one that may write here"
    if status in (409, 412):
        return f"conflict: found another change made at the same time ({reason}); {_AGAIN}, on top of that change"
    if status == 413:
        return f"size: found more than the Hub takes ({reason})"
    if status == 429 or status >= 500:
        return f"Hub: found status {status} ({reason}), accepted is a Hub that is not overloaded or broken; {_AGAIN}"
    return f"Hub: found status {status} ({reason})"


def _not_cached(error: Exception) -> str:
    found = "only a part of it" if type(error).__name__ == "IncompleteSnapshotError" else "nothing"
    return (
        f"cache: found {found} here, and the Hub cannot be asked ({_reason(error.__cause__ or error)}); accepted is a "
        "network, or a model that was loaded before"
    )


def _reason(error: BaseException) -> str:
    """The error's name and the first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
