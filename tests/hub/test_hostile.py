"""A Hub that harms, cuts, drips or echoes: each answer ends as one line that is safe to print, in a bounded time."""

from __future__ import annotations

import errno
import gzip
import itertools
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import file_download, get_session
from huggingface_hub.utils import _http

import siit
from siit.bundle import BundleError, render_card, summarize
from siit.hub import HubError, guard
from siit.hub.upload import publish
from tests.builders import handmade
from tests.hub.loopback import OWNER, Hub, Request

R, CASE = "org/name", "previous_is_x"
FILE = f"{CASE}/seed-0/circuit.json"
_GET, _HEAD = f"^GET .*/{FILE}", f"^HEAD .*/{FILE}"
_SHA = "0" * 40

WAIT = time.sleep
"""The client's own waiting is switched off, the server's is not."""

Answer = Callable[[Request], bool]


@pytest.fixture
def published(released: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A Hub with a bundle, a reader with a token, and a client that waits for nothing."""
    monkeypatch.setattr(guard, "BYTES_PER_SECOND", 100_000_000)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return released


def content(request: Request) -> bytes:
    return request.hub.files(R)[FILE]


def headers(request: Request, **changed: str) -> dict[str, str]:
    """Those of a true answer, but for what is changed."""
    given = {"X-Repo-Commit": request.hub.repos[R].branches["main"], "ETag": f'"{_SHA}"'}
    return {**given, **{name.replace("_", "-"): value for name, value in changed.items()}}


def answer(status: int = 200, body: bytes | None = None, **changed: str) -> Answer:
    def reply(request: Request) -> bool:
        request.reply(content(request) if body is None else body, status, headers(request, **changed))
        return True

    return reply


def slowly(piece: bytes, seconds: float = 0) -> Answer:
    """Sends this again and again."""

    def chunks() -> Iterator[bytes]:
        for _ in itertools.count():
            WAIT(seconds)
            yield piece

    def reply(request: Request) -> bool:
        return request.stream(chunks(), headers(request))

    return reply


def cut(request: Request) -> bool:
    body = content(request)
    return request.stream([body[: len(body) // 2]], headers(request, Content_Length=str(len(body))))


def dripping_headers(request: Request) -> bool:
    try:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        for _ in itertools.count():
            WAIT(0.05)
            request.wfile.write(b"a")
    except OSError:
        request.close_connection = True
    return True


def nothing(request: Request) -> bool:
    request.reply(b"")
    return True


def pathless(request: Request) -> bool:
    request.reply([{"type": "file", "oid": _SHA, "size": 1}])
    return True


def html(request: Request) -> bool:
    size = len(content(request))
    return answer(body=b"<html>\x1b[31m".ljust(size))(request)


def echo(request: Request) -> bool:
    token = request.headers["Authorization"]
    request.reply({"error": f"\x1b]0;owned\x07 you sent {token}\n\x1b[2J"}, 403)
    return True


def shout(request: Request) -> bool:
    request.send_response(500, f"{request.headers['Authorization']}")
    request.send_header("Content-Length", "0")
    request.end_headers()
    return True


HOSTILE: dict[str, tuple[str, Answer, str]] = {
    "cut": (_GET, cut, "(transfer|network): found"),
    "another size": (
        _HEAD,
        answer(X_Linked_Size="300000000"),
        "circuit.json: size: found '300000000' bytes on the Hub",
    ),
    "longer than said": (_GET, slowly(b"x" * 65536), "size: found more than"),
    "said to be long": (_GET, answer(Content_Length="300000000"), "size: found more than"),
    "HTML": (_GET, html, "circuit.json: sha256: found"),
    "drip": (_GET, slowly(b"x", 0.05), "time: found a download that is not done after"),
    "dripping headers": (_HEAD, dripping_headers, "time: found a download that is not done after"),
    "dripping headers of a body": (_GET, dripping_headers, "time: found a download that is not done after"),
    "gzip": (_GET, answer(body=gzip.compress(bytes(10**6)), Content_Encoding="gzip"), "Content-Encoding: found 'gzip'"),
    "path in the etag": (_HEAD, answer(ETag='"../../../../owned"'), "ETag: found .*accepted is a hash"),
    "absolute etag": (_HEAD, answer(ETag='"/tmp/owned"'), "ETag: found"),
    "path in the linked etag": (_HEAD, answer(X_Linked_Etag='"../owned"'), "X-Linked-Etag: found"),
    "path in the commit": (_HEAD, answer(X_Repo_Commit="../../../owned"), "X-Repo-Commit: found"),
    "path in the first commit": ("^HEAD .*/bundle.json", answer(X_Repo_Commit="../../owned"), "X-Repo-Commit: found"),
    "no commit": ("^HEAD .*/bundle.json", nothing, "(cache|network): found"),
    "rest for years": (_GET, answer(429, Retry_After="999999999"), "found status 429, and that it wants 999999999"),
    "rest by rate": (_GET, answer(429, RateLimit='"api";r=0;t=9999999'), "found status 429, and that it wants"),
    "token in a message": (_GET, echo, "permission: found .*<secret>"),
    "token in a status": ("^HEAD .*/bundle.json", shout, "found"),
    "token in an etag": (_HEAD, answer(ETag=f'"../{OWNER}"'), "ETag: found .*<secret>"),
    "loop": (_HEAD, answer(307, Location=f"/{R}/resolve/main/{FILE}"), "(network|cache|answer|transfer): found"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers(
    published: Hub, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    pattern, fault, message = HOSTILE[name]
    before = {path for path in tmp_path.rglob("*") if "hf_home" not in path.parts}
    published.always[pattern] = fault
    with monkeypatch.context() as patch:
        if message.startswith("time: "):
            # Little, for it never ends; a busy machine may need more for any other.
            patch.setattr(guard, "SECONDS", 1.5)
        with pytest.raises(BundleError) as caught:
            siit.load(R, CASE, endpoint=published.url)
    text = str(caught.value)
    assert re.search(message, text), text
    assert text.isprintable()
    assert caught.value.__cause__ is None
    printed = "".join(capfd.readouterr())
    for secret in (OWNER, "\x1b", "\x07"):
        assert secret not in text + printed
    assert {path for path in tmp_path.rglob("*") if "hf_home" not in path.parts} == before
    # What is left behind harms nobody: the same call is fine once the Hub is.
    published.always.clear()
    assert siit.load(R, CASE, endpoint=published.url).seed == 0


def test_the_client_is_left_as_it_was(published: Hub, monkeypatch: pytest.MonkeyPatch):
    hooks, factory = get_session().event_hooks, _http._GLOBAL_CLIENT_FACTORY
    siit.load(R, CASE, endpoint=published.url)
    monkeypatch.setattr(guard, "SECONDS", 1.5)
    published.always["^GET .*/seed-1/manifest.json"] = slowly(b"x", 0.05)
    with pytest.raises(HubError, match="time: found"):
        siit.load(R, CASE, 1, endpoint=published.url)
    assert get_session().event_hooks == hooks
    assert _http._GLOBAL_CLIENT_FACTORY is factory


def test_downloads_at_once_are_watched_each():
    hooks, factory = get_session().event_hooks, _http._GLOBAL_CLIENT_FACTORY
    first, second = guard.guarded(R, 10), guard.guarded(R, 10)
    first.__enter__()
    watched = second.__enter__()
    first.__exit__(None, None, None)
    request = get_session().build_request("GET", "http://127.0.0.1:9", headers={"User-Agent": watched.mark})
    for hook in get_session().event_hooks["request"]:
        hook(request)
    assert request.headers["Accept-Encoding"] == "identity"
    second.__exit__(None, None, None)
    assert get_session().event_hooks == hooks
    assert _http._GLOBAL_CLIENT_FACTORY is factory


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("model.safetensors", 300_000_000, r"^manifest.json: files.model.safetensors.size: found 300000000, accepted"),
        ("evaluation.safetensors", 3 << 30, r"size: found \d+ bytes, accepted are 2147483648 at most"),
    ],
)
def test_an_owner_cannot_make_a_reader_download_much(published: Hub, name: str, size: int, message: str):
    files = dict(published.files(R))
    path = f"{CASE}/seed-0/manifest.json"
    manifest = json.loads(files[path])
    manifest["files"][name]["size"] = size
    published.repos[R].commit("main", {**files, path: seal(manifest)})
    published.calls.clear()
    with pytest.raises(BundleError, match=message):
        siit.load(R, CASE, endpoint=published.url)
    assert not published.asked(rf"{name}$")


def seal(data: dict[str, Any]) -> bytes:
    from siit.bundle import _json

    data.pop("digest")
    return _json.seal(data, "manifest.json")


def test_a_tree_entry_without_a_path(hub: Hub, single: Path):
    hub.always["^GET .*/tree/"] = pathless
    with pytest.raises(
        HubError, match=r"^org/name: answer: found one that the client cannot read \(KeyError: 'path'\)"
    ):
        publish(single, R, recheck=False, endpoint=hub.url)


@pytest.mark.parametrize("place", ["/dev/null", "/proc/nowhere"])
def test_a_cache_that_cannot_be_written(published: Hub, place: str):
    with pytest.raises(HubError, match=rf"^org/name: cache: found .* at '?{place}.*accepted is a folder with room"):
        siit.load(R, CASE, endpoint=published.url, cache_dir=place)


def test_a_full_disk(published: Hub, monkeypatch: pytest.MonkeyPatch):
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(file_download, "http_get", full)
    with pytest.raises(HubError, match=r"^org/name: cache: found No space left on device, accepted is a folder with"):
        siit.load(R, CASE, endpoint=published.url)


def test_no_password_of_an_endpoint_is_published(hub: Hub, single: Path):
    endpoint = hub.url.replace("//", "//user:secret@")
    lines: list[str] = []
    done = publish(single, R, recheck=False, dry_run=True, endpoint=endpoint, report=lines.append)
    written = [file.content for file in done.files.values() if isinstance(file.content, bytes)]
    assert b"secret" not in b"".join(written)
    assert "secret" not in done.url + "".join(lines)


@pytest.mark.parametrize(
    "repo_id",
    [
        *(
            "name",
            "a/b/c",
            "org/",
            "/name",
            "org name/x",
            "org/na me",
            'org/"+x',
            "org/`x`",
            "org/x\ny",
            "../x",
            ".o/x",
        ),
        *("org/x..y", "org/x--y", "org/x.git", "org/x.", "-o/x", "org/" + "x" * 97, "org/naïve"),
    ],
)
def test_impossible_repositories(single: Path, repo_id: str):
    with pytest.raises(BundleError, match=r"^repo_id: found .*, accepted is <organization or user>/<name>"):
        publish(single, repo_id, dry_run=True)


@pytest.mark.parametrize("revision", ['v"2', "v 2", "../v", "v/", "`", "v\n"])
def test_impossible_branches(single: Path, revision: str):
    with pytest.raises(BundleError, match=r"^revision: found .*, accepted is a branch's name, such as main"):
        publish(single, R, revision=revision, dry_run=True)


@pytest.mark.parametrize("endpoint", ["foo", "foo/bar", "ftp://host", "http://", "http://a b", ""])
def test_impossible_endpoints(single: Path, endpoint: str):
    with pytest.raises(BundleError, match=r"^endpoint: found .*, accepted is an address, such as https://hug"):
        publish(single, R, dry_run=True, endpoint=endpoint)
    with pytest.raises(BundleError, match=r"^endpoint: found "):
        siit.load(R, CASE, endpoint=endpoint)


def test_an_endpoint_may_end_with_a_slash(published: Hub):
    assert siit.load(R, CASE, endpoint=f"{published.url}/").case == CASE


def test_names_stay_text_on_the_card():
    card = render_card([summarize(handmade.bundle())], repo_id='o/"); evil("', revision="```\n")
    for block in re.findall(r"```python\n(.*?)\n```\n", card, re.DOTALL):
        compile(block, "card", "exec")
    assert r'"o/\"); evil(\""' in card
