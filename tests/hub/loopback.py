"""A Hugging Face Hub on the loopback interface: the HTTP calls that the real client makes to publish and to load."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

OWNER, READER = "hf_owner", "hf_reader"
"""Tokens: the owner of `org`, and one who may read everything and write nothing."""

Files = dict[str, bytes]


@dataclass
class Repo:
    """Branch -> commit, commit -> files; branches grow by one commit at a time."""

    private: bool
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Files] = field(default_factory=dict)

    def commit(self, branch: str, files: Files) -> str:
        """Adds a commit with these files, whatever was there."""
        sha = hashlib.sha1(repr((branch, self.branches.get(branch), sorted(files.items()))).encode()).hexdigest()
        self.branches[branch], self.commits[sha] = sha, files
        return sha

    def resolve(self, revision: str) -> str | None:
        """The commit of a branch or of a commit's own id."""
        return self.branches.get(revision, revision if revision in self.commits else None)


class Hub:
    """The server and its state.

    Attributes:
        repos: repository id -> repository.
        large: endings of files that are kept as LFS keeps them.
        calls: `METHOD path` of every request, in order.
        faults: pattern -> what happens, once, to the first request that fits; True if that was the answer.
        always: pattern -> the same, for every request that fits.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.large: tuple[str, ...] = ()
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.faults: dict[str, Callable[[Request], bool]] = {}
        self.always: dict[str, Callable[[Request], bool]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Request,), {"hub": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def files(self, repo_id: str, revision: str = "main") -> Files:
        """What is at the end of a branch."""
        repo = self.repos[repo_id]
        return repo.commits[repo.branches[revision]]

    def asked(self, pattern: str) -> list[str]:
        """The requests that fit a pattern."""
        return [call for call in self.calls if re.search(pattern, call)]


class Request(BaseHTTPRequestHandler):
    """Answers one request."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        """Tests read `Hub.calls` instead."""

    def do_POST(self) -> None:
        self.serve()

    do_GET = do_HEAD = do_PUT = do_POST

    def serve(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(urlsplit(self.path).path)
        call = f"{self.command} {path}"
        self.hub.calls.append(call)
        for pattern in [pattern for pattern in self.hub.faults if re.search(pattern, call)]:
            if self.hub.faults.pop(pattern)(self):
                return
        for pattern, answer in self.hub.always.items():
            if re.search(pattern, call) and answer(self):
                return
        for pattern, route in ROUTES.items():
            match = re.fullmatch(pattern, call)
            if match:
                route(self, **match.groupdict())
                return
        self.fail(404, message=f"the loopback Hub has no {call}")

    def reply(self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status: int, code: str = "", message: str = "") -> None:
        self.reply({"error": message}, status, {"X-Error-Code": code, "X-Error-Message": message or code})

    def stream(self, chunks: Iterable[bytes], headers: Mapping[str, str]) -> bool:
        """Answers with a body that is sent piece by piece, until the client has enough of it."""
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            for chunk in chunks:
                self.wfile.write(chunk)
        return True

    def hang_up(self) -> bool:
        """Breaks the connection without an answer."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
        return True

    def may(self, repo_id: str, *, write: bool) -> bool:
        """Answers in the Hub's words where the token does not suffice."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        repo = self.hub.repos.get(repo_id)
        if token not in ("", OWNER, READER):
            self.fail(401, message="Invalid credentials in Authorization header")
        elif not token and (write or repo is None or repo.private):
            self.fail(401, "RepoNotFound", "Invalid username or password.")
        elif write and not (token == OWNER and repo_id.startswith("org/")):
            self.fail(403, message="you don't have the rights to write here")
        elif repo is None and not write:
            self.fail(404, "RepoNotFound")
        else:
            return True
        return False

    def found(self, repo_id: str, revision: str, *, write: bool = False) -> tuple[Repo, str] | None:
        if not self.may(repo_id, write=write):
            return None
        repo = self.hub.repos[repo_id]
        sha = repo.resolve(revision)
        if sha is None:
            self.fail(404, "RevisionNotFound")
            return None
        return repo, sha

    def create_repo(self) -> None:
        data = json.loads(self.body)
        repo_id = f"{data['organization']}/{data['name']}"
        if not self.may(repo_id, write=True):
            return
        if repo_id in self.hub.repos:
            self.reply({"error": "exists", "url": f"{self.hub.url}/{repo_id}"}, 409)
            return
        repo = self.hub.repos[repo_id] = Repo(private=data.get("visibility") == "private")
        repo.commit("main", {".gitattributes": b"*.safetensors filter=lfs\n"})
        self.reply({"url": f"{self.hub.url}/{repo_id}"})

    def create_branch(self, repo_id: str, branch: str) -> None:
        if self.may(repo_id, write=True):
            repo = self.hub.repos[repo_id]
            repo.branches[branch] = repo.branches["main"]
            self.reply({})

    def validate_yaml(self) -> None:
        data = json.loads(self.body)
        front = re.match(r"---\n(.*?)\n---\n", data["content"], re.DOTALL)
        metadata = yaml.safe_load(front[1]) if front else None
        if not isinstance(metadata, dict) or not isinstance(metadata.get("tags"), list) or "license" not in metadata:
            self.reply({"errors": [{"message": "bad front matter"}], "warnings": []}, 400)
            return
        self.reply({"errors": [], "warnings": []})

    def info(self, repo_id: str, revision: str = "main") -> None:
        if found := self.found(repo_id, revision):
            repo, sha = found
            self.reply({"id": repo_id, "sha": sha, "private": repo.private, "tags": [], "downloads": 0})

    def tree(self, repo_id: str, revision: str) -> None:
        if found := self.found(repo_id, revision):
            repo, sha = found
            self.reply([self.entry(path, content) for path, content in sorted(repo.commits[sha].items())])

    def entry(self, path: str, content: bytes) -> dict[str, Any]:
        sha1, sha256 = hashlib.sha1(b"blob %d\0" % len(content) + content), hashlib.sha256(content)
        entry = {"type": "file", "path": path, "size": len(content), "oid": sha1.hexdigest()}
        if path.endswith(self.hub.large or ("\0",)):
            lfs = {"oid": sha256.hexdigest(), "size": len(content), "pointerSize": 134}
            entry |= {"oid": "0" * 40, "lfs": lfs}
        return entry

    def preupload(self, repo_id: str, revision: str) -> None:
        if self.found(repo_id, revision, write=True):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(self.hub.large or ("\0",)) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(self.body)["files"]
            ]
            self.reply({"files": files})

    def lfs_batch(self, repo_id: str) -> None:
        if self.may(repo_id, write=True):
            objects = []
            for item in json.loads(self.body)["objects"]:
                upload = {"upload": {"href": f"{self.hub.url}/lfs/{item['oid']}"}}
                objects.append(item if item["oid"] in self.hub.objects else {**item, "actions": upload})
            self.reply({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            self.fail(400, message="another content than its oid says")
            return
        self.hub.objects[oid] = self.body
        self.reply({})

    def commit(self, repo_id: str, revision: str) -> None:
        found = self.found(repo_id, revision, write=True)
        if found is None:
            return
        repo, sha = found
        header, *operations = [json.loads(line) for line in self.body.splitlines()]
        if header["value"].get("parentCommit", sha) != sha:
            self.fail(412, message="The expected parent commit is not the branch's head")
            return
        files = dict(repo.commits[sha])
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            else:
                del files[value["path"]]
        oid = repo.commit(revision, files)
        self.reply({"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/{repo_id}/commit/{oid}"})

    def file(self, repo_id: str, revision: str, path: str) -> None:
        if found := self.found(repo_id, revision):
            repo, sha = found
            if path not in repo.commits[sha]:
                self.fail(404, "EntryNotFound")
                return
            content = repo.commits[sha][path]
            entry = self.entry(path, content)
            etag = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
            self.reply(content, headers={"X-Repo-Commit": sha, "ETag": f'"{etag}"'})


_REPO = r"(?P<repo_id>[^/]+/[^/]+)"
ROUTES: dict[str, Callable[..., None]] = {
    "POST /api/repos/create": Request.create_repo,
    "POST /api/validate-yaml": Request.validate_yaml,
    f"GET /api/models/{_REPO}": Request.info,
    f"GET /api/models/{_REPO}/revision/(?P<revision>.+)": Request.info,
    f"GET /api/models/{_REPO}/tree/(?P<revision>.+)": Request.tree,
    f"POST /api/models/{_REPO}/branch/(?P<branch>.+)": Request.create_branch,
    f"POST /api/models/{_REPO}/preupload/(?P<revision>.+)": Request.preupload,
    f"POST /api/models/{_REPO}/commit/(?P<revision>.+)": Request.commit,
    f"POST /{_REPO}.git/info/lfs/objects/batch": Request.lfs_batch,
    "PUT /lfs/(?P<oid>[0-9a-f]{64})": Request.lfs_put,
    f"(?:GET|HEAD) /{_REPO}/resolve/(?P<revision>[^/]+)/(?P<path>.+)": Request.file,
}
