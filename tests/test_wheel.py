"""siit as others install it: by the commands that it names itself, with the base install alone."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import textwrap
import venv
import zipfile
from email.message import Message
from pathlib import Path

import pytest

from siit import _install
from siit._install import WHEEL, how_to_install
from tests.builders import handmade

_ROOT = Path(__file__).resolve().parents[1]


def test_how_to_install(monkeypatch: pytest.MonkeyPatch):
    """Without a repository's address nothing is promised but a checkout and a wheel."""
    monkeypatch.setattr(_install, "repository", lambda: None)
    assert (
        how_to_install()
        == f"`pip install '.'` in a checkout of siit, or `pip install '{WHEEL}'` (`make wheel` builds it)"
    )
    assert "`pip install '.[lens]'`" in how_to_install("lens") and f"'{WHEEL}[lens]'" in how_to_install("lens")
    monkeypatch.setattr(_install, "repository", lambda: "https://example.org/siit")
    assert how_to_install("lens") == "`pip install 'siit[lens] @ git+https://example.org/siit'`"


def test_the_repository_is_that_of_the_metadata(monkeypatch: pytest.MonkeyPatch):
    read = Message()
    monkeypatch.setattr(importlib.metadata, "metadata", lambda name: read)
    assert _install.repository() is None
    read["Project-URL"] = "Homepage, https://example.org"
    assert _install.repository() is None
    read["Project-URL"] = "Repository, https://example.org/siit"
    assert _install.repository() == "https://example.org/siit"


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "docs/quickstart.ipynb", "siit/bundle/_card.py"])
def test_no_index_is_promised(file: str):
    """`pip install siit` would fetch nothing, or somebody else's package of this name."""
    assert not re.search(r"pip install [\\\"']*siit\b(?!-)", (_ROOT / file).read_text())


def base_distributions() -> list[importlib.metadata.Distribution]:
    """The distributions that the base install consists of: siit's dependencies, theirs, and so on, without extras."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(importlib.metadata.requires("siit") or [])
    while waiting:
        requirement = waiting.pop()
        name = re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()  # type: ignore[index]
        if "extra ==" in requirement or name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another system
        waiting += found[name].requires or []
    return list(found.values())


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the wheel and the base install; the build backend is fetched."""
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(place), str(_ROOT)]
    subprocess.run(command, check=True)
    venv.create(place / "venv", with_pip=False)
    (site,) = (place / "venv/lib").glob("python3.*/site-packages")
    with zipfile.ZipFile(place / WHEEL) as archive:
        archive.extractall(site)
    for distribution in base_distributions():
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    return place / "venv/bin/python"


def run(python: Path, *arguments: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.ci
def test_the_base_install(installed: Path, tmp_path: Path):
    """Loads, answers, certifies and lists without JAX, Tracr or Hydra, which are not there."""
    folder = handmade.put(tmp_path)
    code = """
        import importlib.util, siit
        for name in ("jax", "tracr", "hydra", "pytorch_lightning", "matplotlib", "transformer_lens"):
            assert importlib.util.find_spec(name) is None, name
        m = siit.load(".", "previous_is_x")
        print(m.predict(["x", "a", "x", "a"]), m, m.circuit, siit.__file__)
        assert "<pre>" in m._repr_html_()
        *_, name = siit.load("starter", "ioi").predict("When Mary and John went to the store , John gave a ring to")
        assert name == "Mary", name
    """
    shown = run(installed, "-c", textwrap.dedent(code), cwd=tmp_path)
    assert shown.startswith("[None, True, False, True] LoadedModel previous_is_x") and "site-packages/siit" in shown
    assert "Certified: every claim holds, and every bar." in run(
        installed, "-m", "siit", "certify", str(folder), cwd=tmp_path
    )
    assert "reverse " in run(installed, "-m", "siit", "cases", cwd=tmp_path)
    assert "rasp.Aggregate" in run(installed, "-m", "siit", "cases", "reverse", cwd=tmp_path)
    assert run(installed, "-m", "siit", "--version", cwd=tmp_path).startswith("siit ")


@pytest.mark.slow
def test_what_the_base_install_lacks_is_named(installed: Path, tmp_path: Path):
    for arguments in (
        ["train", "case=reverse"],
        ["cases", "reverse", "--interchanges"],
        ["show", str(handmade.put(tmp_path))],
    ):
        done = subprocess.run([installed, "-m", "siit", *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "accepted is what the extra" in done.stderr
