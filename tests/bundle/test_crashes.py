"""Writers that die, and writers that compete: what is found is nothing, or whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from siit.bundle import BundleError, _folder, list_folders, read_bundle, read_index, write_bundle, write_index
from tests.builders.bundles import make_bundle, salt_of

_ROOT = Path(__file__).resolve().parents[2]
_HIDDEN = [".lock"]


def start_writer(root: Path, case: str, seed: int, salts: list[int]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.builders.writer", str(root), case, str(seed), *map(str, salts)]
    return subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)


def hidden(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob(".*"))


@pytest.mark.slow
@pytest.mark.ci
def test_killed_at_random_moments(tmp_path: Path):
    draw = random.Random(0)
    found: list[int | None] = []
    salts = list(range(1, 200))
    for _ in range(12):
        writer = start_writer(tmp_path, "toy", 0, salts)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(draw.random() * 0.5)
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate()
        folder = tmp_path / "toy/seed-0"
        if folder.exists():
            found.append(salt_of(read_bundle(folder)))
        else:
            assert not any(salt is not None for salt in found), "a whole bundle has been lost"
            found.append(None)
    assert len(set(found)) > 1
    write_index(tmp_path)
    assert hidden(tmp_path) == _HIDDEN
    assert [entry.path for entry in read_index(tmp_path)] == ["toy/seed-0"]


class _Killed(BaseException):
    """Stands for SIGKILL: nothing of the writer's own cleaning up takes place."""


@pytest.mark.parametrize("exchange", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_killed_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool):
    """Dies before the n-th change to the file system, for every n: the old bundle is found, then the new one."""
    if not exchange:
        monkeypatch.setattr(_folder, "_exchange", lambda first, second: False)
    write_bundle(tmp_path, make_bundle(salt=1))
    found = []
    for step in range(100):
        with monkeypatch.context() as patch:
            _die_at(patch, step)
            try:
                write_bundle(tmp_path, make_bundle(salt=2))
            except _Killed:
                pass
            else:
                break
        found.append(salt_of(read_bundle(tmp_path / "toy/seed-0")))
        write_bundle(tmp_path, make_bundle(salt=1))
        assert hidden(tmp_path) == _HIDDEN
    else:
        pytest.fail("the writer never ended")
    # The manifest is the last of eleven files; the index and the card come after the folder.
    assert found == sorted(found)
    assert set(found) == {1, 2}


def _die_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Lets the `step`-th call that changes the file system, and every later one, raise instead."""
    done = 0

    def counted(module: object, name: str) -> None:
        real = getattr(module, name)

        def call(*arguments: object, **options: object) -> object:
            nonlocal done
            done += 1
            if done > step:
                raise _Killed
            return real(*arguments, **options)

        patch.setattr(module, name, call)

    for name in ("rename", "replace", "fsync"):
        counted(os, name)
    for name in ("_write", "_remove", "_exchange"):
        counted(_folder, name)


def test_readers_recover_a_folder_that_was_set_aside(tmp_path: Path):
    folder = write_bundle(tmp_path, make_bundle(salt=1))
    folder.rename(folder.with_name(".bundle-old-seed-0"))
    (folder.parent / ".bundle-new-seed-0-x").mkdir()
    assert salt_of(read_bundle(folder)) == 1
    assert hidden(tmp_path) == _HIDDEN


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_folder, "_write", full)
        with pytest.raises(OSError, match="No space left"):
            write_bundle(tmp_path, make_bundle())
    assert list(tmp_path.rglob("*")) == [tmp_path / ".lock", tmp_path / "toy"]
    with pytest.raises(BundleError, match="folder: found 'nothing'"):
        read_bundle(tmp_path / "toy/seed-0")


@pytest.mark.slow
def test_two_processes_write_into_one_root(tmp_path: Path):
    salts = list(range(10))
    plan = [("a", 0), ("a", 0), ("a", 1), ("b", 0)]
    writers = [start_writer(tmp_path, case, seed, salts) for case, seed in plan]
    # A reader in between sees whole bundles only.
    while any(writer.poll() is None for writer in writers):
        for entry in list_folders(tmp_path):
            read_bundle(tmp_path / entry.path)
        time.sleep(0.05)
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    index = read_index(tmp_path)
    assert [entry.path for entry in index] == ["a/seed-0", "a/seed-1", "b/seed-0"]
    assert index == list_folders(tmp_path)
    assert hidden(tmp_path) == _HIDDEN
