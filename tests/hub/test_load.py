"""Loading from a loopback Hub, through the real client: what is downloaded, what works without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

import siit
from siit.bundle import BundleError
from siit.hub import HubError
from siit.hub.upload import publish
from tests.builders import handmade
from tests.hub.loopback import READER, Hub

R, CASE = "org/name", "previous_is_x"
LARGE = {"model.safetensors", "evaluation.safetensors"}


@pytest.fixture
def published(released: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A Hub with a public repository, and nobody logged in."""
    monkeypatch.delenv("HF_TOKEN")
    return released


def downloaded(hub: Hub) -> set[str]:
    """The files that were asked for since the last call."""
    names = {call.partition("/resolve/")[2].partition("/")[2] for call in hub.asked("^GET .*/resolve/")}
    hub.calls.clear()
    return names


def own(names: set[str], seed: int = 0) -> set[str]:
    return {f"{CASE}/seed-{seed}/{name}" for name in names}


def test_only_what_is_needed(published: Hub):
    assert len(siit.list_models(R, endpoint=published.url)) == 2
    assert downloaded(published) == {"bundle.json"}
    labels = siit.load_circuit(R, CASE, seed=0, endpoint=published.url)
    names = {path.rpartition("/")[2] for path in published.files(R) if path.startswith(f"{CASE}/seed-0/")}
    assert downloaded(published) == own(names - LARGE)
    assert labels.circuit.to_json() == handmade.CIRCUIT.to_json()
    assert labels.certificate["certified"]
    assert labels.bundle.parameters == labels.bundle.evidence == {}
    loaded = siit.load(R, CASE, seed=0, endpoint=published.url)
    assert downloaded(published) == own(LARGE)
    assert "base_tokens" in loaded.evidence
    siit.load(R, CASE, seed=0, endpoint=published.url)
    assert downloaded(published) == set()


def test_nothing_is_downloaded_that_the_manifest_does_not_list(published: Hub):
    files = published.files(R)
    foreign = {
        f"{CASE}/seed-0/{name}": b"" for name in ("code.py", "pytorch_model.bin", "more.json", "more.safetensors")
    }
    published.repos[R].commit("main", files | foreign)
    siit.load(R, CASE, endpoint=published.url)
    assert not downloaded(published) & set(foreign)


def test_offline(published: Hub, monkeypatch: pytest.MonkeyPatch):
    loaded = siit.load(R, CASE, 0, endpoint=published.url)
    siit.load_circuit(R, CASE, 1, endpoint=published.url)
    published.calls.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert siit.load(R, CASE, 0, endpoint=published.url).certificate == loaded.certificate
    assert siit.load_circuit(R, CASE, 1, endpoint=published.url).seed == 1
    assert len(siit.list_models(R, endpoint=published.url)) == 2
    with pytest.raises(HubError, match=r"^org/name: cache: found not all of it here, and the Hub cannot be asked"):
        siit.load(R, CASE, 1, endpoint=published.url)
    with pytest.raises(
        HubError, match=r"^org/other: cache: found not all of it here, .* nor is there a folder of this name"
    ):
        siit.load("org/other", CASE, endpoint=published.url)
    assert published.calls == []


def test_no_network(published: Hub, tmp_path: Path):
    siit.load(R, CASE, endpoint=published.url)
    nowhere = "http://127.0.0.1:9"
    assert siit.load(R, CASE, endpoint=nowhere).seed == 0
    with pytest.raises(HubError, match=r"^org/name: network: found no answer of the Hub, 2 times"):
        siit.load(R, CASE, endpoint=nowhere, cache_dir=tmp_path / "empty")


def test_a_new_commit_is_found_and_the_old_one_kept(published: Hub, root: Path, monkeypatch: pytest.MonkeyPatch):
    first = published.repos[R].branches["main"]
    siit.load(R, CASE, endpoint=published.url)
    handmade.put(root, train_yaml="second: true\n")
    monkeypatch.setenv("HF_TOKEN", "hf_owner")
    publish(root, R, recheck=False, endpoint=published.url)
    assert siit.load(R, CASE, endpoint=published.url).bundle.train_yaml == "second: true\n"
    assert siit.load(R, CASE, revision=first, endpoint=published.url).bundle.train_yaml == f"case: {CASE}\n"


@pytest.mark.parametrize("name", ["model.safetensors", "circuit.json", "manifest.json"])
def test_another_content_than_listed(published: Hub, name: str):
    path = f"{CASE}/seed-0/{name}"
    files = published.files(R)
    harmed = bytearray(files[path])
    harmed[len(harmed) // 2] ^= 1
    published.repos[R].commit("main", {**files, path: bytes(harmed)})
    with pytest.raises(BundleError, match=rf"{name}: (sha256|digest|content): found"):
        siit.load(R, CASE, endpoint=published.url)


def test_errors(published: Hub, monkeypatch: pytest.MonkeyPatch):
    def load(repo_id: str = R, case: str = CASE, seed: int = 0, **options: Any) -> siit.LoadedModel:
        return siit.load(repo_id, case, seed, endpoint=published.url, **options)

    with pytest.raises(
        BundleError, match="case, seed: found no previous_is_x/seed-7, accepted are previous_is_x/seed-0"
    ):
        load(seed=7)
    with pytest.raises(HubError, match=r"^org/name: revision: found no 'v9', accepted is a branch, tag or commit"):
        load(revision="v9")
    missing = "^org/other: repository: found none that may be read, .*HF_TOKEN.*; nor is there a folder of this name$"
    with pytest.raises(HubError, match=missing):
        load("org/other")
    published.repos[R].private = True
    with pytest.raises(HubError, match=r"^org/name: repository: found none that may be read"):
        load(cache_dir="elsewhere")
    monkeypatch.setenv("HF_TOKEN", READER)
    assert load().seed == 0
    with pytest.raises(HubError, match=r"^org/other: repository: found none"):
        load("org/other")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"revision": 1}, "revision: found 1, accepted is a branch, tag or commit"),
        ({"revision": ""}, "revision: found '', accepted is a branch, tag or commit"),
        ({"cache_dir": 5}, "cache_dir: found 5, accepted is a folder's path"),
    ],
)
def test_what_can_be_no_revision_or_folder(options: Any, said: str):
    with pytest.raises(BundleError, match=f"^{said}$"):
        siit.load(R, CASE, **options)


def test_a_repository_that_is_no_bundle(published: Hub):
    published.repos[R].commit("main", {"README.md": b""})
    with pytest.raises(BundleError, match=r"^org/name: bundle\.json: file: found none of this name"):
        siit.load(R, CASE, endpoint=published.url)
    with pytest.raises(BundleError, match=r"^org/name: bundle\.json: file: found none of this name"):
        siit.list_models(R, endpoint=published.url)
