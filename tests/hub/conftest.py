"""Every test gets a Hub of its own, an empty cache, and no way to the user's token or to the real Hub."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from siit.hub.upload import publish
from tests.builders import handmade
from tests.hub.loopback import OWNER, Hub, Repo

R = "org/name"


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client read the environment when it was imported, so both are set; port 9 answers nobody."""
    nowhere = "http://127.0.0.1:9"
    home = tmp_path / "hf_home"
    for name, value in {
        "HF_HOME": home,
        "HF_HUB_CACHE": home / "hub",
        "HF_TOKEN_PATH": home / "token",
        "HF_STORED_TOKENS_PATH": home / "stored_tokens",
        "HF_ENDPOINT": nowhere,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }.items():
        monkeypatch.setenv(name, str(value))
        if hasattr(constants, name):
            monkeypatch.setattr(constants, name, str(value))
    monkeypatch.setattr(constants, "ENDPOINT", nowhere)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{nowhere}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    )
    for name in ("HF_HUB_OFFLINE", "HF_OIDC_RESOURCE", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", OWNER)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two certified models."""
    root = tmp_path_factory.mktemp("pristine")
    handmade.put(root, seed=0)
    handmade.put(root, seed=1)
    return root


@pytest.fixture
def root(pristine: Path, tmp_path: Path) -> Path:
    """A copy of that bundle, for a test to change."""
    return Path(shutil.copytree(pristine, tmp_path / "checkpoints"))


@pytest.fixture
def released(hub: Hub, root: Path) -> Hub:
    """A Hub with that bundle, which the first test that asks for it publishes."""
    if not _releases:
        publish(root, R, recheck=False, endpoint=hub.url)
        _releases.append((hub.repos, hub.objects))
    hub.repos, hub.objects = copy.deepcopy(_releases[0])
    hub.calls.clear()
    return hub


_releases: list[tuple[dict[str, Repo], dict[str, bytes]]] = []
"""What a Hub holds then."""


@pytest.fixture
def single(root: Path) -> Path:
    """The bundle with one of its models, for tests that measure again."""
    shutil.rmtree(root / "previous_is_x/seed-1")
    return root
