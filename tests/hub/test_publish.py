"""Publishing to a loopback Hub, through the real client: what is sent, what is refused, and what goes wrong."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

import siit
from siit.bundle import BundleError, read_bundle
from siit.certify import main as certify
from siit.hub import HubError
from siit.hub.models import UncertifiedError
from siit.hub.upload import Published, publish
from tests.builders import handmade
from tests.builders.bundles import in_format_1
from tests.hub.loopback import OWNER, READER, Files, Hub, Request

R = "org/name"
PLACE = "previous_is_x/seed-0"


def send(
    hub: Hub, root: Path, repo_id: str = R, *, recheck: bool = False, pictures: bool = False, **options: Any
) -> Published:
    """Publishes; most tests are about something else than measuring and drawing, which take longest."""
    return publish(root, repo_id, recheck=recheck, pictures=pictures, endpoint=hub.url, **options)


def folder_files(root: Path) -> Files:
    """What publishing takes from a folder as it is."""
    files = (path for path in root.glob("*/seed-*/*"))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def refused() -> dict[str, Any]:
    """A certificate that says no."""
    return {**handmade.certificate().to_json(), "certified": False, "failed": ["strict_edge: low"]}


def commits(hub: Hub) -> int:
    return len(hub.asked("^POST .*/commit/"))


def test_one_commit_holds_everything(hub: Hub, root: Path):
    before = folder_files(root)
    lines: list[str] = []
    done = send(hub, root, report=lines.append)
    assert commits(hub) == 1
    there = hub.files(R)
    assert folder_files(root) == before
    assert {path: there[path] for path in before} == before
    assert set(there) - set(before) == {"README.md", "bundle.json", "croissant.json", ".gitattributes"}
    assert (done.url, done.commit) == (f"{hub.url}/{R}", hub.repos[R].branches["main"])
    assert set(done.sent) == set(done.files) == set(there) - {".gitattributes"}
    assert lines[:2] == [f"Reading 1/2: {PLACE}", "Reading 2/2: previous_is_x/seed-1"]
    assert f"{len(there['bundle.json'])} B  bundle.json" in [line.strip() for line in lines]
    assert lines[-2:] == ["Sending 23 of 23 files, removing 0", "Reading back"]
    assert not hub.repos[R].private


@pytest.mark.slow
def test_a_model_in_format_1_is_sent_as_it_is(hub: Hub, root: Path):
    in_format_1(root / PLACE)
    before = folder_files(root)
    send(hub, root, recheck=True)
    assert {path: hub.files(R)[path] for path in before} == before
    assert len(siit.list_models(R, endpoint=hub.url)) == 2
    old, new = (siit.load(R, "previous_is_x", seed=seed, endpoint=hub.url).evidence for seed in (0, 1))
    assert {name: tensor.dtype for name, tensor in old.items()} == {name: tensor.dtype for name, tensor in new.items()}


@pytest.mark.slow
def test_a_certificate_measured_again_leaves_the_format(hub: Hub, single: Path):
    handmade.put(single, certificate=handmade.first_kind(handmade.certificate()))
    in_format_1(single / PLACE)
    send(hub, single, recheck=True, allow_uncertified=True)
    loaded = siit.load(R, "previous_is_x", endpoint=hub.url)
    assert loaded.certificate["format"] == "siit-certificate/2"
    assert json.loads(hub.files(R)[f"{PLACE}/manifest.json"])["format"] == "siit-bundle/1"


def test_a_repeated_call_sends_nothing(hub: Hub, root: Path):
    first = send(hub, root)
    again = send(hub, root)
    assert (again.commit, again.sent) == (first.commit, [])
    assert commits(hub) == 1


def test_only_what_changed_is_sent(hub: Hub, root: Path):
    send(hub, root)
    handmade.put(root, seed=1, train_yaml="seed: 1\n")
    done = send(hub, root)
    changed = {"train.yaml", "manifest.json"}
    assert set(done.sent) - {"croissant.json"} == {"bundle.json", *(f"previous_is_x/seed-1/{name}" for name in changed)}
    assert hub.files(R)["previous_is_x/seed-1/train.yaml"] == b"seed: 1\n"


def test_large_files(hub: Hub, root: Path, monkeypatch: pytest.MonkeyPatch):
    """As the real Hub keeps safetensors: uploaded apart, known by their sha256."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    hub.large = (".safetensors",)
    hub.faults["^POST .*/commit/"] = Request.hang_up
    with pytest.raises(HubError, match="network"):
        send(hub, root)
    assert len(hub.asked("^PUT /lfs/")) == 4
    send(hub, root)
    assert len(hub.asked("^PUT /lfs/")) == 4, "the second call does not send them again"
    assert send(hub, root).sent == []
    loaded = siit.load(R, "previous_is_x", endpoint=hub.url)
    sent = read_bundle(root / PLACE)
    for found, made in ((loaded.bundle.parameters, sent.parameters), (loaded.evidence, sent.evidence)):
        torch.testing.assert_close(dict(found), dict(made), rtol=0, atol=0)


def test_a_large_file_that_does_not_arrive(hub: Hub, root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    hub.large = (".safetensors",)

    def refuse(request: Request) -> bool:
        request.fail(403, message="the signature has expired")
        return True

    hub.faults["^PUT /lfs/"] = refuse
    with pytest.raises(HubError, match=r"^org/name: transfer: found HfHubHTTPError: .*403.*; the same command goes on"):
        send(hub, root)
    assert commits(hub) == 0
    send(hub, root)


@pytest.mark.slow
def test_dry_run(hub: Hub, single: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HF_TOKEN")
    lines: list[str] = []
    done = send(hub, single, dry_run=True, recheck=True, report=lines.append)
    assert hub.calls == []
    assert done.commit is None
    assert len(done.sent) == 13
    assert lines[0] == f"Measuring 1/1: {PLACE}"
    assert lines[-1].endswith("in 13 files")
    assert done.preview is not None
    pages = {path.name for path in done.preview.iterdir()}
    assert pages == {"README.md", "bundle.json", "croissant.json"}
    handmade.put(single, certificate=refused())
    with pytest.raises(UncertifiedError):
        send(hub, single, dry_run=True)


@pytest.mark.slow
def test_pictures(hub: Hub, root: Path):
    """One for each model, which its card shows; a removed model takes its own along."""
    send(hub, root, pictures=True)
    there, card = hub.files(R), hub.files(R)["README.md"].decode()
    for seed in (0, 1):
        path = f"pictures/previous_is_x-seed-{seed}.png"
        assert there[path].startswith(b"\x89PNG") and f"]({path})" in card
    shutil.rmtree(root / "previous_is_x/seed-1")
    done = send(hub, root, pictures=True, prune=True)
    assert [path for path in hub.files(R) if path.startswith("pictures/")] == ["pictures/previous_is_x-seed-0.png"]
    assert "pictures/previous_is_x-seed-0.png" not in done.sent


def test_without_what_draws_there_are_no_pictures(hub: Hub, single: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    lines: list[str] = []
    done = send(hub, single, pictures=True, report=lines.append)
    assert not any(path.startswith("pictures/") for path in done.files)
    assert any(line.startswith("The card gets no pictures: siit publish: found no matplotlib") for line in lines)


def test_uncertified(hub: Hub, root: Path):
    failed = "strict_edge: 0.75000 is 0.24900 below 0.999"
    honest = {**handmade.certificate().to_json(), "certified": False, "failed": [failed]}
    handmade.put(root, seed=1, certificate=honest)
    lines: list[str] = []
    with pytest.raises(UncertifiedError) as caught:
        send(hub, root, recheck=True, report=lines.append)
    assert lines == [], "it is refused before anything is measured"
    accepted = "accepted are certified models, or allow_uncertified=true"
    assert str(caught.value) == f"{root}: certified: found previous_is_x/seed-1 ({failed}), {accepted}"
    assert R not in hub.repos

    send(hub, root, allow_uncertified=True)
    there = hub.files(R)
    card = there["README.md"].decode()
    assert "> **Not certified: `previous_is_x/seed-1`.**" in card
    assert "| previous_is_x | 1 | composed | 2 | 2 | 5 | **NO** |" in card
    assert json.loads(there["previous_is_x/seed-1/manifest.json"])["certified"] is False
    certified = {entry.seed: entry.certified for entry in siit.list_models(R, endpoint=hub.url)}
    assert certified == {0: True, 1: False}


@pytest.mark.slow
@pytest.mark.ci
def test_a_false_certificate(hub: Hub, single: Path):
    """What is measured counts, not what the file says."""
    folder = handmade.put(single, parameters=handmade.broken())
    before = folder_files(single)
    message = "says what the measurement does not: certified: measured False, stored True"
    with pytest.raises(UncertifiedError, match=message):
        send(hub, single, recheck=True)
    send(hub, single, recheck=True, allow_uncertified=True)
    assert folder_files(single) == before
    assert read_bundle(folder).certificate["certified"]
    card = hub.files(R)["README.md"].decode()
    assert "| 75.00 % (`tok_embed->a1.h0<v>`) |" in card
    assert "**NO**" in card
    assert "measured again, from the files that are here" in card
    loaded = siit.load(R, "previous_is_x", endpoint=hub.url)
    assert loaded.certificate["strict_edge"] == 0.75
    assert not loaded.certificate["certified"]


def test_without_measuring_again(hub: Hub, single: Path):
    handmade.put(single, parameters=handmade.broken())
    send(hub, single)
    card = hub.files(R)["README.md"].decode()
    assert "not measured again before they were uploaded** (`recheck=false`)" in card


def test_evidence_that_does_not_suffice(hub: Hub, single: Path):
    evidence = {name: tensor for name, tensor in handmade.evidence().items() if name != "source_positions"}
    handmade.put(single, evidence=evidence)
    with pytest.raises(UncertifiedError, match=rf"{PLACE} \(evidence: .*source_positions: found nothing, accepted is"):
        send(hub, single, recheck=True)


@pytest.mark.parametrize("name", ["model.safetensors", "causal_model.json", "manifest.json", "graph.json"])
def test_a_damaged_model(hub: Hub, root: Path, name: str):
    (root / PLACE / name).write_bytes((root / PLACE / name).read_bytes()[:-3])
    with pytest.raises(BundleError, match=rf"^{PLACE}/{name}: "):
        send(hub, root)
    assert commits(hub) == 0


def test_a_causal_model_that_cannot_run(hub: Hub, root: Path):
    handmade.put(root, causal_model={"format": "siit-causal-model/1"})
    with pytest.raises(BundleError, match=rf"^{PLACE}/causal_model\.json: causal model: vocab"):
        send(hub, root)


def test_a_folder_of_another_name(hub: Hub, root: Path):
    (root / PLACE).rename(root / "previous_is_x/seed-7")
    with pytest.raises(BundleError, match=r"^previous_is_x/seed-7/config\.json: seed: found 0"):
        send(hub, root)


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("nowhere", "which is not there; accepted"),
        ("bundel", r"which is not there; did you mean .*bundle\?; accepted"),
        ("file", "a file; accepted"),
        ("empty", "a folder without models; accepted"),
        (f"bundle/{PLACE}", r"the folder of a model; did you mean .*bundle\?; accepted"),
        ("bundle/previous_is_x", r"the folder of a case; did you mean .*bundle\?; accepted"),
    ],
)
def test_nothing_to_publish(hub: Hub, tmp_path: Path, root: Path, place: str, what: str):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    shutil.copytree(root, tmp_path / "bundle", dirs_exist_ok=True)
    with pytest.raises(BundleError, match=f"bundle: found .*{place}, {what}"):
        send(hub, tmp_path / place)


def test_a_bundle_that_changes_meanwhile(hub: Hub, root: Path):
    def rewrite(request: Request) -> bool:
        handmade.put(root, train_yaml="later: true\n")
        return False

    hub.faults["^GET .*/tree/"] = rewrite
    with pytest.raises(HubError, match=rf"^{PLACE}/train\.yaml: size: found another one|sha256: found another one"):
        send(hub, root)
    assert commits(hub) == 0


def test_no_token(hub: Hub, root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match=r"^org/name: token: found none, accepted is a token: set HF_TOKEN or run"):
        send(hub, root)
    assert hub.calls == []


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("hf_unknown", "^org/name: token: found none that the Hub knows"),
        (READER, "^org/name: permission: found a token without the right to do this .*the rights to write here"),
    ],
)
def test_a_token_that_does_not_suffice(
    hub: Hub, root: Path, monkeypatch: pytest.MonkeyPatch, exists: bool, token: str, message: str
):
    if exists:
        send(hub, root)
        handmade.put(root, seed=2)
    before = commits(hub)
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError, match=message):
        send(hub, root)
    assert commits(hub) == before


def test_another_owners_repository(hub: Hub, root: Path):
    with pytest.raises(HubError, match=r"^somebody/name: permission: "):
        send(hub, root, "somebody/name")


@pytest.mark.parametrize("repo_id", ["a/b/c", "no such", "-name"])
def test_no_repository_id(hub: Hub, root: Path, repo_id: str):
    with pytest.raises(BundleError, match=rf"^repo_id: found '{repo_id}', accepted is <organization or user>/<name>"):
        send(hub, root, repo_id)


def test_no_network(root: Path):
    with pytest.raises(HubError, match=r"^org/name: network: found ConnectError: .* the same command goes on"):
        publish(root, R, recheck=False, endpoint="http://127.0.0.1:9")


def test_offline(hub: Hub, root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match=r"^org/name: network: found OfflineModeIsEnabled: "):
        send(hub, root)


def test_a_hub_that_is_broken(hub: Hub, root: Path):
    def broken(request: Request) -> bool:
        request.fail(500, message="out of order")
        return True

    hub.faults["^GET .*/revision/"] = broken
    with pytest.raises(HubError, match=r"^org/name: Hub: found status 500 \(out of order\)"):
        send(hub, root)
    send(hub, root)


def test_a_conflict(hub: Hub, root: Path):
    """Somebody else commits after we have looked and before we send."""
    send(hub, root)
    handmade.put(root, seed=2)

    def meanwhile(request: Request) -> bool:
        hub.repos[R].commit("main", {**hub.files(R), "theirs.txt": b""})
        return False

    hub.faults["^POST .*/preupload/"] = meanwhile
    with pytest.raises(
        HubError, match=r"^org/name: conflict: found another change made at the same time .*parent commit"
    ):
        send(hub, root)
    assert "previous_is_x/seed-2/config.json" not in hub.files(R)
    send(hub, root)
    assert {"theirs.txt", "previous_is_x/seed-2/config.json"} <= set(hub.files(R))


def test_interrupted_before_the_commit(hub: Hub, root: Path):
    hub.faults["^POST .*/commit/"] = Request.hang_up
    with pytest.raises(HubError, match=r"^org/name: network: found RemoteProtocolError: .* the same command goes on"):
        send(hub, root)
    assert set(hub.files(R)) == {".gitattributes"}
    assert len(send(hub, root).sent) == 23


def test_interrupted_after_the_commit(hub: Hub, root: Path):
    def answer_lost(request: Request) -> bool:
        request.reply = lambda *arguments, **options: None  # type: ignore[method-assign]
        request.commit(R, "main")
        return request.hang_up()

    hub.faults["^POST .*/commit/"] = answer_lost
    with pytest.raises(HubError, match="network"):
        send(hub, root)
    done = send(hub, root)
    assert (done.sent, done.commit) == ([], hub.repos[R].branches["main"])


def damage_content(files: Files) -> Files:
    return {**files, f"{PLACE}/model.safetensors": files[f"{PLACE}/model.safetensors"][::-1]}


def lose_a_file(files: Files) -> Files:
    return {path: content for path, content in files.items() if path != f"{PLACE}/model.safetensors"}


@pytest.mark.parametrize("harm", [damage_content, lose_a_file])
def test_another_content_is_read_back(hub: Hub, root: Path, harm: Callable[[Files], Files]):
    def harmed(request: Request) -> bool:
        repo = hub.repos[R]
        repo.commits[repo.branches["main"]] = harm(hub.files(R))
        return False

    def listed_later(request: Request) -> bool:
        hub.faults["^GET .*/tree/"] = harmed
        return False

    hub.faults["^POST .*/commit/"] = listed_later
    with pytest.raises(
        HubError, match=rf"^org/name: {PLACE}/model.safetensors: found another content .*\(1 such files"
    ):
        send(hub, root)
    assert send(hub, root).sent == [f"{PLACE}/model.safetensors"]


def test_private(hub: Hub, root: Path):
    send(hub, root, private=True)
    assert hub.repos[R].private
    send(hub, root)
    with pytest.raises(HubError, match="private: found a private repository, accepted is a public one, as asked for"):
        send(hub, root, private=False)
    send(hub, root, "org/open")
    with pytest.raises(HubError, match="private: found a public one, accepted is a private repository, as asked for"):
        send(hub, root, "org/open", private=True)


def test_a_branch(hub: Hub, root: Path):
    send(hub, root, revision="v2")
    assert set(hub.files(R, "main")) == {".gitattributes"}
    assert 'seed=0, revision="v2")' in hub.files(R, "v2")["README.md"].decode()
    assert siit.load(R, "previous_is_x", revision="v2", endpoint=hub.url).certificate["certified"]
    assert send(hub, root, revision="v2").sent == []


def test_models_that_the_bundle_lacks(hub: Hub, root: Path):
    send(hub, root)
    shutil.rmtree(root / "previous_is_x/seed-1")
    with pytest.raises(
        HubError, match=r"^org/name: models: found previous_is_x/seed-1, which the bundle does not have"
    ):
        send(hub, root)
    send(hub, root, prune=True)
    assert {path for path in hub.files(R) if "/" in path} == set(folder_files(root))


def test_a_file_that_a_model_had_before(hub: Hub, root: Path):
    handmade.put(root, extra_files={"tokenizer.json": b"{}"})
    send(hub, root)
    handmade.put(root)
    send(hub, root)
    assert f"{PLACE}/tokenizer.json" not in hub.files(R)
    assert siit.load(R, "previous_is_x", endpoint=hub.url).bundle.extra_files == {}


@pytest.mark.slow
def test_certify_from_the_download(hub: Hub, single: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A copy of the repository, as `hf download --local-dir` makes it, certifies with the same numbers."""
    from huggingface_hub import snapshot_download

    send(hub, single)
    copy = snapshot_download(R, endpoint=hub.url, local_dir=tmp_path / "copy", token=OWNER)
    assert certify([f"{copy}/{PLACE}", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["stored"] == json.loads((single / PLACE / "certificate.json").read_text())
