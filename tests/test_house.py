"""The package as others get it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import siit
from siit.training.configuration.location import conf_dir

_ROOT = Path(__file__).resolve().parents[1]


def test_the_checkouts_configuration_is_found():
    assert conf_dir() == _ROOT / "conf"


def test_one_version():
    assert tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"] == siit.__version__


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-bridge.txt"])
def test_constraints_name_no_index_and_pin_everything(file: str):
    lines = (_ROOT / file).read_text().splitlines()
    assert "torch==2.13.0" in lines
    for line in lines:
        assert re.fullmatch(r"[a-z0-9.-]+==[A-Za-z0-9.+!]+( ; .+)?", line), line


@pytest.mark.slow
def test_the_wheel_holds_the_configuration(tmp_path: Path):
    """Needs the build backend, which pip fetches."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(_ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    names = {path.relative_to(tmp_path / "site").parts[0] for path in (tmp_path / "site").iterdir()}
    assert names == {"siit", "tracr_cases", f"siit-{siit.__version__}.dist-info"}
    code = "from siit.training.configuration.location import conf_dir; print(conf_dir())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "site", check=True, capture_output=True, text=True
    )
    found = Path(done.stdout.strip())
    assert found == (tmp_path / "site/siit/conf").resolve()
    shipped = {path.relative_to(found) for path in found.rglob("*.yaml")}
    assert shipped == {path.relative_to(_ROOT / "conf") for path in (_ROOT / "conf").rglob("*.yaml")}
