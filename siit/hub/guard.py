"""Watches over a download while the Hub's client makes it: how long it takes, how much comes, and which paths it names.

The client waits for ever for a Hub that sends a byte a second. It takes any number of bytes and makes paths of headers.
So hooks of its HTTP client look at every request and every answer of one download. A timer ends those that do not even
reach a hook.
"""

from __future__ import annotations

import importlib
import logging
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import unquote

from siit._text import shortened
from siit.hub.errors import HubError, readable

SECONDS, BYTES_PER_SECOND = 120.0, 100_000
"""A download may take this long, and a second more for every so many bytes of its limit."""
ATTEMPTS = 2
"""How often the client may ask one thing that the Hub says nothing to."""
_SILENCE = 20.0
"""Seconds that a Hub may say nothing at all."""
_OVERHEAD = 1 << 20
"""Bytes for answers that are no files: errors, redirects."""
_ETAG = re.compile(r'(?:W/)?"?[A-Za-z0-9][A-Za-z0-9._+-]{0,199}"?')
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SECONDS = re.compile(r"(?:^|t=)\s*(\d{1,12})")


class Guard:
    """The bounds of one download, and what went beyond them.

    Args:
        repo_id: which errors name.
        limit: how many bytes its files may have together.
        sizes: path -> size in bytes of files that must have just that.

    Attributes:
        mark: what the client's requests must carry in their user agent, so that others' are let alone.
        fault: the first error; later requests of the download get it too.
    """

    def __init__(self, repo_id: str, limit: int, sizes: Mapping[str, int]) -> None:
        self.mark = uuid.uuid4().hex
        self.fault: HubError | None = None
        self.seconds = SECONDS + limit / BYTES_PER_SECOND
        self._repo_id, self._limit, self._sizes = repo_id, limit, sizes
        self._deadline = time.monotonic() + self.seconds
        self._left = limit + _OVERHEAD
        self._unanswered: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def refuse(self, text: str) -> NoReturn:
        """Raises HubError, here and for every later request of this download."""
        with self._lock:
            self.fault = self.fault or HubError(f"{self._repo_id}: {readable(text)}")
        raise self.fault

    def check(self) -> None:
        """Raises HubError where the time is over, or something was refused before."""
        if self.fault is not None:
            raise self.fault
        if time.monotonic() > self._deadline:
            self.refuse(
                f"time: found a download that is not done after {self.seconds:.0f} seconds, accepted is one that is "
                f"({SECONDS:.0f} seconds, and one more for every {BYTES_PER_SECOND // 1000} kB)"
            )

    def take(self, count: int) -> None:
        """Counts bytes that came.

        Raises:
            HubError: too many, or too late.
        """
        self.check()
        with self._lock:
            self._left -= count
        if self._left < 0:
            self.refuse(f"size: found more than {self._limit} bytes, accepted is what the files are listed with")

    def on_request(self, request: Any) -> None:
        """Bounds a request's time, and asks for bytes that are not compressed: they can be counted."""
        if self._is_ours(request):
            self.check()
            call = (request.method, str(request.url))
            if self._unanswered[call] == ATTEMPTS:
                self.refuse(
                    f"network: found no answer of the Hub, {ATTEMPTS} times; accepted is a network, or a model that "
                    "was loaded before"
                )
            self._unanswered[call] += 1
            request.headers["Accept-Encoding"] = "identity"
            longest = min(_SILENCE, max(0.1, self._deadline - time.monotonic()))
            given = request.extensions.get("timeout") or {}
            request.extensions["timeout"] = {
                name: min(longest, given.get(name) or longest) for name in ("connect", "read", "write", "pool")
            }

    def on_response(self, response: Any) -> None:
        """Refuses an answer before the client makes anything of it, and counts what comes of its body."""
        if not self._is_ours(response.request):
            return
        self.check()
        self._unanswered.pop((response.request.method, str(response.request.url)), None)
        headers = response.headers
        for name, accepted in (("ETag", _ETAG), ("X-Linked-Etag", _ETAG), ("X-Repo-Commit", _COMMIT)):
            if name in headers and not accepted.fullmatch(headers[name]):
                self.refuse(f"{name}: found {shortened(headers[name])}, accepted is a hash: it becomes a file's name")
        if headers.get("Content-Encoding", "identity") != "identity":
            found = shortened(headers["Content-Encoding"])
            self.refuse(f"Content-Encoding: found {found}, accepted is none, as was asked for")
        self._check_wait(response)
        # Large files would else be fetched by another library, which no hook sees; warnings are logged as they are.
        for name in ("X-Xet-Hash", "X-HF-Warning"):
            headers.pop(name, None)
        if response.request.method == "HEAD":
            self._check_size(response)
        else:
            if _number(headers.get("Content-Length")) > self._left:
                self.take(self._left + 1)
            response.stream = _counted(response, self)

    def _is_ours(self, request: Any) -> bool:
        return self.mark in request.headers.get("User-Agent", "")

    def _check_wait(self, response: Any) -> None:
        """Refuses to wait longer than the download may take: the client would."""
        named = [response.headers.get(name, "") for name in ("Retry-After", "RateLimit")]
        wait = max((int(number) for text in named for number in _SECONDS.findall(text)), default=0)
        if response.status_code in (429, 503) and wait > self._deadline - time.monotonic():
            self.refuse(
                f"Hub: found status {response.status_code}, and that it wants {wait} seconds of rest; accepted is a "
                "Hub that answers before; try again then"
            )

    def _check_size(self, response: Any) -> None:
        """Compares what the Hub says of a file with what it is listed with."""
        path = unquote(response.request.url.path).partition("/resolve/")[2].partition("/")[2]
        told = response.headers.get("X-Linked-Size")
        if told is None and response.status_code == 200:
            told = response.headers.get("Content-Length")
        if path in self._sizes and told is not None and _number(told) != self._sizes[path]:
            self.refuse(
                f"{path}: size: found {shortened(told)} bytes on the Hub, accepted are {self._sizes[path]}, as the "
                "manifest lists"
            )


def _number(text: str | None) -> int:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,18}", text) else 0


def _counted(response: Any, guard: Guard) -> Any:
    """Wraps the stream of an answer's body."""
    # The client's transport was httpx before 2.0 and is httpx2 since.
    base: Any = importlib.import_module(type(response).__module__.partition(".")[0]).SyncByteStream
    stream = response.stream

    class Counted(base):
        def __iter__(self) -> Iterator[bytes]:
            for chunk in stream:
                guard.take(len(chunk))
                yield chunk

        def close(self) -> None:
            stream.close()

    return Counted()


class _Watched:
    """The client's hooks, which are there while any download is watched; several may be at once, in threads."""

    def __init__(self) -> None:
        self._guards: list[Guard] = []
        self._hooked: list[tuple[Any, Any]] = []
        self._factory: Any = None
        self._lock = threading.Lock()

    def add(self, guard: Guard) -> None:
        """Lets a guard see every request and every answer, in sessions that the client makes later too."""
        from huggingface_hub import get_session
        from huggingface_hub.utils import _http

        with self._lock:
            if not self._guards:
                self._hook(get_session())
                self._factory = factory = _http._GLOBAL_CLIENT_FACTORY
                _http._GLOBAL_CLIENT_FACTORY = lambda: self._hook(factory())
            self._guards.append(guard)

    def remove(self, guard: Guard) -> None:
        """Ends that; after the last one the client is as it was."""
        from huggingface_hub.utils import _http

        with self._lock:
            self._guards.remove(guard)
            if not self._guards:
                _http._GLOBAL_CLIENT_FACTORY = self._factory
                while self._hooked:
                    client, before = self._hooked.pop()
                    client.event_hooks = before

    def _hook(self, client: Any) -> Any:
        before = client.event_hooks
        self._hooked.append((client, before))
        client.event_hooks = {
            "request": [*before["request"], self._on_request],
            "response": [*before["response"], self._on_response],
        }
        return client

    def _on_request(self, request: Any) -> None:
        for guard in tuple(self._guards):
            guard.on_request(request)

    def _on_response(self, response: Any) -> None:
        for guard in tuple(self._guards):
            guard.on_response(response)


_WATCHED = _Watched()


@contextmanager
def guarded(repo_id: str, limit: int, sizes: Mapping[str, int] | None = None) -> Iterator[Guard]:
    """Watches the calls of the client made inside, whose `user_agent` has the guard's mark.

    Args:
        repo_id: which errors name.
        limit: how many bytes the files may have together.
        sizes: path -> size in bytes of files that must have just that.

    Raises:
        HubError: a bound was reached, or an answer would have made the client write out of its cache.
    """
    from huggingface_hub import close_session

    guard = Guard(repo_id, limit, sizes or {})

    def expire() -> None:
        # What waits for a byte gets an error with the next one, or after its silence.
        try:
            guard.check()
        except HubError:
            close_session()

    timer = threading.Timer(guard.seconds + 0.1, expire)
    timer.daemon = True
    _WATCHED.add(guard)
    timer.start()
    with _readable_log():
        try:
            yield guard
        except Exception:
            if guard.fault is not None:
                raise guard.fault from None
            raise
        finally:
            timer.cancel()
            _WATCHED.remove(guard)


@contextmanager
def _readable_log() -> Iterator[None]:
    """Makes what the client logs safe to print: it quotes what servers say."""

    def clean(record: logging.LogRecord) -> bool:
        record.msg, record.args = readable(record.getMessage()), ()
        return True

    handlers = logging.getLogger("huggingface_hub").handlers
    for handler in handlers:
        handler.addFilter(clean)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(clean)
