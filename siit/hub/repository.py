"""One branch of one model repository on the Hub: what is there, and one commit on top of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from siit._text import shortened
from siit.bundle import BundleError, File
from siit.hub.endpoint import checked_endpoint
from siit.hub.errors import LOG_IN, HubError, hub_errors

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

MAIN = "main"
_NAME = r"(?!\S*(?:--|\.\.))[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_ID = re.compile(rf"{_NAME}/(?!\S*\.git$){_NAME}")
"""As the Hub has them: up to 96 letters each, no sign at the ends, no two of - or of . together, no .git at the end."""
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")


class Repository:
    """A repository that may not exist yet.

    Attributes:
        url: where the Hub shows it, without a user and a password that the endpoint may hold.

    Raises:
        BundleError: at once where the Hub can have no such repository or branch, or the endpoint is no address.
        HubError: from every method that asks the Hub.
    """

    def __init__(self, repo_id: str, revision: str | None = None, endpoint: str | None = None) -> None:
        # Only here: it takes half a second to import.
        from huggingface_hub import HfApi

        _check_names(repo_id, revision)
        self._api: HfApi = HfApi(endpoint=checked_endpoint(endpoint))
        self._repo_id = repo_id
        self._branch = revision or MAIN
        self.url = f"{re.sub('//[^/@]*@', '//', self._api.endpoint)}/{repo_id}"

    def check(self, private: bool | None) -> None:
        """Raises HubError unless there is a token, and a repository that exists is as visible as it is meant to be."""
        from huggingface_hub import get_token
        from huggingface_hub.errors import RepositoryNotFoundError

        if get_token() is None:
            raise HubError(f"{self._repo_id}: token: found none, accepted is {LOG_IN}")
        with hub_errors(self._repo_id):
            try:
                found = self._api.repo_info(self._repo_id).private
            except RepositoryNotFoundError:
                return
        if private is not None and found != private:
            words = {True: "a private repository", False: "a public one"}
            raise HubError(
                f"{self._repo_id}: private: found {words[bool(found)]}, accepted is {words[private]}, as asked for; "
                "its settings on the Hub change that"
            )

    def prepare(self, private: bool | None) -> str:
        """Makes the repository and the branch, as far as they do not exist; returns the branch's last commit."""
        from huggingface_hub.errors import RevisionNotFoundError

        with hub_errors(self._repo_id, self._branch):
            self._api.create_repo(self._repo_id, private=private, exist_ok=True)
            try:
                return self._head()
            except RevisionNotFoundError:
                self._api.create_branch(self._repo_id, branch=self._branch, exist_ok=True)
                return self._head()

    def _head(self) -> str:
        sha = self._api.repo_info(self._repo_id, revision=self._branch).sha
        assert sha is not None, "the Hub gives the commit of every revision"
        return sha

    def files(self, commit: str) -> dict[str, RepoFile]:
        """Lists every file of a commit by its path."""
        from huggingface_hub.hf_api import RepoFile

        with hub_errors(self._repo_id, commit):
            entries = list(self._api.list_repo_tree(self._repo_id, recursive=True, revision=commit))
        return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}

    def commit(self, parent: str, message: str, added: Mapping[str, File], deleted: Iterable[str]) -> str:
        """Sends everything as one commit, or nothing; returns the new commit.

        Args:
            parent: the commit on which it is made; if the branch has another by now, nothing is sent.
            message: of the commit.
            added: path -> file, new or changed.
            deleted: paths.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        for file in added.values():
            _content(file)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(path, file.content) for path, file in added.items()
        ]
        operations += [CommitOperationDelete(path, is_folder=False) for path in deleted]
        with hub_errors(self._repo_id, self._branch):
            done = self._api.create_commit(
                self._repo_id, operations, commit_message=message, revision=self._branch, parent_commit=parent
            )
        return done.oid


def _check_names(repo_id: str, revision: str | None) -> None:
    """Raises BundleError unless the Hub can have such a repository and branch; both names reach the card's code."""
    if not _ID.fullmatch(repo_id):
        accepted = "<organization or user>/<name>, of letters, digits, -, _ and ., as the Hub has them"
        raise BundleError(f"repo_id: found {shortened(repo_id)}, accepted is {accepted}")
    if revision is not None and (not _BRANCH.fullmatch(revision) or ".." in revision or revision.endswith(("/", "."))):
        raise BundleError(f"revision: found {shortened(revision)}, accepted is a branch's name, such as {MAIN}")


def is_same(file: File, remote: RepoFile) -> bool:
    """Tells whether the Hub has a file's content, by the hash that it keeps: sha256 of large files, git's of others.

    Args:
        file: ours.
        remote: the Hub's of the same path.

    Raises:
        HubError: the file is not what it was when it was read.
    """
    if remote.size != file.size:
        return False
    if remote.lfs is not None:
        return bool(remote.lfs.sha256 == file.sha256)
    return bool(remote.blob_id == _git_blob(_content(file)))


def _content(file: File) -> bytes:
    if isinstance(file.content, bytes):
        return file.content
    content = file.content.read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise HubError(
            f"{_place(file.content)}: sha256: found another one than when it was measured, accepted is a bundle that "
            "nothing writes to; publish again"
        )
    return content


def _place(path: Path) -> str:
    return "/".join(path.parts[-3:])


def _git_blob(content: bytes) -> str:
    """The id under which git keeps a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
