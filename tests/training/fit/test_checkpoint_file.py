"""A checkpoint that was damaged is noticed whatever the damage, and the one before it is gone on from."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

import siit
from siit.train import train
from siit.training.configuration.settings import ConfigError, read_settings
from siit.training.fit.checkpoint_file import _MARK, AtomicCheckpointIO, CheckpointError, read_checkpoint, recorded
from siit.training.fit.checkpoints import RunFolder, TrainingError
from siit.training.fit.loop import fit
from siit.training.fit.plan import find_task, make_plan
from siit.training.fit.shortfall import NotCertified
from tests.builders.runs import Compose, compose_small

STRICT = "allow_uncertified=false"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a run that has used up its 20 steps, of checks every 10."""
    root = tmp_path_factory.mktemp("stopped")
    with pytest.raises(NotCertified):
        train(compose_small(STRICT, "trainer.max_steps=20", f"out={root}"))
    return root


@pytest.fixture
def run(stopped: Path, tmp_path: Path) -> Path:
    """A copy of its folder, in this test's own root."""
    shutil.copytree(stopped / ".runs", tmp_path / ".runs")
    return tmp_path / ".runs" / "frac_prevs" / "seed-0"


def sealed(content: Any) -> bytes:
    """A file as an author of checkpoints would forge it, with the right checksum."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    data = buffer.getvalue()
    return data + _MARK + hashlib.sha256(data).hexdigest().encode()


def changed(**changes: Any) -> Callable[[Path], bytes]:
    def make(path: Path) -> bytes:
        checkpoint = {**read_checkpoint(path), **changes}
        return sealed({name: value for name, value in checkpoint.items() if value is not None})

    return make


def not_finite(path: Path) -> bytes:
    state = read_checkpoint(path)["state_dict"]
    return changed(state_dict={**state, "ema.unembed.b_U": torch.full_like(state["ema.unembed.b_U"], torch.nan)})(path)


def misshapen(path: Path) -> bytes:
    state = read_checkpoint(path)["state_dict"]
    return changed(state_dict={**state, "ema.unembed.b_U": torch.zeros(99)})(path)


def flipped(at: float) -> Callable[[Path], bytes]:
    def make(path: Path) -> bytes:
        content = bytearray(path.read_bytes())
        content[int(at * (len(content) - 1))] ^= 1
        return bytes(content)

    return make


DAMAGES: dict[str, Callable[[Path], bytes]] = {
    "empty": lambda path: b"",
    "half": lambda path: path.read_bytes()[: path.stat().st_size // 2],
    "cut by a byte": lambda path: path.read_bytes()[:-1],
    "text": lambda path: b"not a checkpoint",
    **{f"a bit at {at}": flipped(at) for at in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)},
    "a list": lambda path: sealed([1, 2]),
    "no optimizer": changed(optimizer_states=None),
    "an empty optimizer": changed(optimizer_states=[]),
    "no record": changed(siit_record=None),
    "a record that is none": changed(siit_record="[1"),
    "NaN weights": not_finite,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_found(
    run: Path, tmp_path: Path, damage: str, composed: Compose
) -> None:
    config = read_config(run)
    (run / "last.ckpt").write_bytes(damaged := DAMAGES[damage](run / "last.ckpt"))
    said: list[str] = []
    folder = RunFolder(tmp_path, "frac_prevs", 0)
    assert folder.open(config, True, said.append) == run / "previous.ckpt"
    assert "last.ckpt: the checkpoint cannot be used: " in said[0] and "step 10" in said[1]
    assert (run / "damaged.ckpt").read_bytes() == damaged, "it is not lost"
    # With no other one it is an error, and nothing is touched.
    (run / "previous.ckpt").unlink()
    (run / "damaged.ckpt").rename(run / "last.ckpt")
    with pytest.raises(TrainingError, match=r"cannot be used.*resume=false") as caught:
        train(composed(STRICT, "trainer.max_steps=20"))
    assert "\n" not in str(caught.value)
    assert (run / "last.ckpt").read_bytes() == damaged


def read_config(run: Path) -> dict[str, Any]:
    return recorded(read_checkpoint(run / "last.ckpt"))


def test_a_checkpoint_that_does_not_fit_the_model_is_one_line(run: Path, composed: Compose) -> None:
    for make in (misshapen, changed(optimizer_states=[{"state": {}, "param_groups": []}])):
        content = (run / "last.ckpt").read_bytes()
        (run / "last.ckpt").write_bytes(make(run / "last.ckpt"))
        with pytest.raises(TrainingError, match=r"last\.ckpt: the checkpoint does not fit this model") as caught:
            train(composed(STRICT, "trainer.max_steps=30"))
        assert "\n" not in str(caught.value)
        (run / "last.ckpt").write_bytes(content)


@pytest.mark.slow
@pytest.mark.ci
def test_from_the_one_before_it_ends_as_it_would_have(run: Path, composed: Compose, tmp_path: Path) -> None:
    (run / "last.ckpt").write_bytes(b"")
    train(composed("trainer.max_steps=30"))
    assert not list(run.glob("*.ckpt"))
    train(composed("trainer.max_steps=30", f"out={tmp_path / 'whole'}"))
    resumed, whole = (siit.load(root, "frac_prevs").model.state_dict() for root in (tmp_path, tmp_path / "whole"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_kill_between_the_two_moves_loses_nothing(run: Path, tmp_path: Path) -> None:
    config = read_config(run)
    (run / "last.ckpt").rename(run / "previous.ckpt")
    said: list[str] = []
    assert RunFolder(tmp_path, "frac_prevs", 0).open(config, True, said.append) == run / "previous.ckpt"
    assert len(said) == 1 and "goes on from this checkpoint, of step 20" in said[0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "missing"),
        (b"", "tells of another run"),
        (b"case:\n  name: frac", "tells of another run"),
        (b"\xff\xfe\x00binary", "no UTF-8"),
        (b"a: !!python/object/apply:os.system ['true']\n", "found the tag"),
        (b"a: [1, 2", "no configuration in YAML"),
        (b"[" * 5000, "levels"),
        (b"a: 1\na: 2\n", "no configuration in YAML"),
        (b"a" * (2 << 20), "2097152 bytes"),
        (
            b"".join(
                f"a{i}: &a{i} [{', '.join(f'*a{i - 1}' for _ in range(9))}]\n".encode() if i else b"a0: &a0 [x]\n"
                for i in range(30)
            ),
            "alias",
        ),
    ],
)
def test_train_yaml_cannot_disagree_with_its_checkpoint_unnoticed(
    run: Path, tmp_path: Path, text: bytes | None, found: str
) -> None:
    config = read_config(run)
    whole = (run / "train.yaml").read_text()
    if text is None:
        (run / "train.yaml").unlink()
    else:
        (run / "train.yaml").write_bytes(text)
    said: list[str] = []
    assert RunFolder(tmp_path, "frac_prevs", 0).open(config, True, said.append) == run / "last.ckpt"
    assert len(said) == 1 and re.search(found, said[0]) and "\n" not in said[0] and len(said[0]) < 4000
    assert (run / "train.yaml").read_text() == whole


def test_the_checkpoint_tells_whose_it_is(run: Path, tmp_path: Path) -> None:
    """The file beside it says otherwise: a second run had written it."""
    config = read_config(run)
    second = {**config, "seed": 1}
    (run / "train.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(second)))
    with pytest.raises(ConfigError, match=r"another configuration .seed: 0 there, 1 here"):
        RunFolder(tmp_path, "frac_prevs", 0).open(second, True, lambda line: None)
    assert (run / "last.ckpt").exists()


@pytest.mark.parametrize("text", ["[1", '{"a": 1}', '["x"]', "[" * 9999])
def test_a_damaged_list_of_failed_tests_is_named(run: Path, tmp_path: Path, text: str) -> None:
    (run / "failed-tests.json").write_text(text)
    with pytest.raises(TrainingError, match=r"failed-tests\.json: found no list of steps"):
        _ = RunFolder(tmp_path, "frac_prevs", 0).failed_tests


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, path = AtomicCheckpointIO({}), tmp_path / "last.ckpt"
    files.save_checkpoint({"step": 1}, path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("siit.training.fit.checkpoint_file.os.fsync", full)
    with pytest.raises(OSError, match=r"No space"):
        files.save_checkpoint({"step": 2}, path)
    assert path.read_bytes() == before and [entry.name for entry in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["a checkpoint", "the metrics", pytest.param("the bundle", marks=pytest.mark.ci)])
def test_after_a_full_disk_the_same_command_ends_as_it_would_have(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    named = [] if place == "a checkpoint" else ["somewhere"]  # a write that fails names no file

    def full(*args: Any, **options: Any) -> Any:
        raise OSError(28, "No space left on device", *named)

    with monkeypatch.context() as patch:
        if place == "a checkpoint":
            patch.setattr("siit.training.fit.checkpoint_file.os", type("Full", (), {**vars(os), "fsync": full}))
        else:
            targets = {"the metrics": "siit.training.fit.loggers.MetricsFile.log_metrics"}
            patch.setattr(targets.get(place, "siit.bundle._store.put_folder"), full)
        with pytest.raises(TrainingError, match=r"cannot be read or written .No space left on device") as caught:
            train(composed("trainer.max_steps=20"))
    assert str(caught.value).startswith(f"{named[0] if named else tmp_path}: ")
    assert not (tmp_path / "frac_prevs" / "seed-0").exists()
    train(composed("trainer.max_steps=20"))
    train(composed("trainer.max_steps=20", f"out={tmp_path / 'whole'}"))
    mended, whole = (siit.load(root, "frac_prevs").model.state_dict() for root in (tmp_path, tmp_path / "whole"))
    assert all(torch.equal(whole[name], mended[name]) for name in whole)


def test_training_stops_at_the_first_check_that_is_not_finite(composed: Compose, tmp_path: Path) -> None:
    settings = read_settings(composed("trainer.max_steps=30"))

    class Spoiled(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
            if trainer.global_step == 13:
                with torch.no_grad():
                    pl_module.model.unembed.b_U[0] = torch.inf

    folder = RunFolder(tmp_path, "frac_prevs", 0)
    folder.open({}, resume=True)
    with pytest.raises(TrainingError, match=r"found at step 20, not at step 10.*trainer\.learning_rate"):
        fit(make_plan(find_task(settings.case), settings), settings, folder, callbacks=[Spoiled()])
    assert read_checkpoint(folder.checkpoint)["global_step"] == 10, "the last good one is kept"


def test_what_no_checkpoint_is_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot be read"):
        read_checkpoint(tmp_path)
