"""Nothing that is there is replaced without the user's word, and a certified model never by one that is not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from siit.bundle import BundleError, read_bundle, write_bundle
from siit.train import train
from siit.training.configuration.settings import ConfigError, read_settings
from siit.training.fit.checkpoints import TrainingError, run_record
from siit.training.fit.existing import find_existing
from siit.training.fit.pipeline import plain_config
from siit.training.fit.plan import find_task
from tests.builders.bundles import in_format_1, make_bundle
from tests.builders.runs import Compose

SHORT = "trainer.max_steps=10"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def certified(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there says that it is certified, to the one who trains."""

    def read(*args: Any, **options: Any) -> Any:
        return dataclasses.replace(read_bundle(*args, **options), certificate={"certified": True, "failed": []})

    monkeypatch.setattr("siit.training.fit.existing.read_bundle", read)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("trainer.learning_rate=0.003", r"trainer\.learning_rate: 0\.01 there, 0\.003 here"),
        pytest.param("model.d_model=8", r"model\.d_model: 16 there, 8 here", marks=pytest.mark.slow),
        ("case.min_len=2", r"case\.min_len: None there, 2 here; task\.min_len: 3 there, 2 here"),
    ],
)
def test_a_model_of_another_configuration_is_left_as_it_is(
    composed: Compose, tmp_path: Path, change: str, found: str
) -> None:
    before = content(train(composed(SHORT)))
    with pytest.raises(ConfigError, match=f"a model of another configuration is there .{found}.*overwrite=true"):
        train(composed(SHORT, change))
    assert content(tmp_path / "frac_prevs" / "seed-0") == before


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("word", ["overwrite=true", "resume=false"])
def test_with_the_users_word_it_is_replaced(composed: Compose, tmp_path: Path, word: str) -> None:
    path = train(composed(SHORT))
    assert train(composed(SHORT, "trainer.learning_rate=0.003", word)) == path
    assert "learning_rate: 0.003" in (path / "train.yaml").read_text()
    assert [folder.name for folder in path.parent.iterdir()] == ["seed-0"]


@pytest.mark.usefixtures("certified")
def test_a_finished_model_is_that_of_the_same_configuration_and_program(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = composed(SHORT)
    path = train(config)
    before = content(path)
    assert train(config) == path and "is already there, certified" in capsys.readouterr().out
    # Neither steps, nor threads, nor what is allowed are another configuration.
    assert train(composed("trainer.max_steps=20", "trainer.threads=2", "allow_uncertified=false")) == path
    assert content(path) == before
    # So is one in the format of earlier versions.
    before = content(in_format_1(path))
    assert train(config) == path and "is already there, certified" in capsys.readouterr().out
    assert content(path) == before

    settings, plain = read_settings(config), plain_config(config)
    changed = run_record(plain, dataclasses.replace(find_task(settings.case), min_len=2))
    with pytest.raises(ConfigError, match=r"task.min_len: 3 there, 2 here"):
        find_existing(settings, changed, print)
    # A model of an earlier version, which noted the configuration alone.
    earlier = dataclasses.replace(read_bundle(path), train_yaml=OmegaConf.to_yaml(OmegaConf.create(plain)))
    earlier = dataclasses.replace(earlier, certificate={"certified": True})
    monkeypatch.setattr("siit.training.fit.existing.read_bundle", lambda *args, **options: earlier)
    there = find_existing(settings, changed, print)
    assert there is not None and there.path == path
    assert "did not note its program" in capsys.readouterr().out


@pytest.mark.slow
def test_an_uncertified_model_is_finished_only_for_those_who_allow_it(composed: Compose) -> None:
    path = train(composed(SHORT))
    before = content(path)
    assert train(composed(SHORT)) == path
    for further in (["allow_uncertified=false"], ["trainer.max_steps=20"]):
        with pytest.raises(ConfigError, match=r"not certified is there, with trainer.max_steps=10"):
            train(composed(SHORT, *further))
    assert content(path) == before


@pytest.mark.slow
@pytest.mark.ci
def test_a_certified_model_is_never_replaced_by_one_that_is_not(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = train(composed(SHORT))
    before = content(path)
    monkeypatch.setattr("siit.bundle._store._says_certified", lambda folder: True)
    with pytest.raises(TrainingError, match=r"the checkpoint is kept.*overwrite=true"):
        train(composed(SHORT, "resume=false"))
    assert content(path) == before
    assert (tmp_path / ".runs" / "frac_prevs" / "seed-0" / "last.ckpt").exists(), "what was trained is not lost"
    train(composed(SHORT, "overwrite=true"))
    assert content(path) != before


def test_the_writer_itself_keeps_a_certified_model(tmp_path: Path) -> None:
    bundle = make_bundle()
    folder = write_bundle(tmp_path, bundle)
    before = content(folder)
    uncertified = dataclasses.replace(bundle, certificate={**bundle.certificate, "certified": False, "failed": ["x"]})
    with pytest.raises(BundleError, match=r"certified: found 'a model that is not'"):
        write_bundle(tmp_path, uncertified, allow_uncertified=True)
    assert content(folder) == before
    write_bundle(tmp_path, uncertified, allow_uncertified=True, overwrite=True)
    assert read_bundle(folder).certificate["certified"] is False


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["a missing file", "a byte", "train.yaml", "a file in its place"])
def test_a_damaged_model_is_moved_aside_with_the_users_word_only(
    composed: Compose, tmp_path: Path, damage: str
) -> None:
    path = train(composed(SHORT))
    if damage == "a missing file":
        (path / "vocab.json").unlink()
    elif damage == "a byte":
        weights = bytearray((path / "model.safetensors").read_bytes())
        weights[-1] ^= 1
        (path / "model.safetensors").write_bytes(weights)
    elif damage == "train.yaml":
        (path / "train.yaml").write_text("a: &a [1]\nb: *a\n")
    else:
        path.rename(tmp_path / "elsewhere")
        path.write_text("a note")
    before = content(tmp_path / "frac_prevs") if path.is_file() else content(path)
    with pytest.raises(ConfigError, match=r"found a damaged model"):
        train(composed(SHORT))
    assert train(composed(SHORT, "overwrite=true")) == path
    aside = path.parent / "seed-0.damaged-1"
    assert (content(aside) if aside.is_dir() else {"seed-0": aside.read_bytes()}) == before
    assert read_bundle(path)


@pytest.mark.slow
def test_two_programs_of_ones_own_have_two_folders(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from tracr.rasp import rasp\n" + "".join(
        f"def is_{letter}():\n    return rasp.Map(lambda token: token == '{letter}', rasp.tokens).named('it')\n"
        for letter in "ab"
    )
    (tmp_path / "my_programs.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    for letter in "ab":
        own = ["case=custom", f"case.program=my_programs:is_{letter}", "case.vocab=[a,b,c]", "case.max_len=4"]
        assert train(composed(*own, SHORT)) == tmp_path / f"my_programs-is_{letter}" / "seed-0"
        assert train(composed(*own, SHORT, f"case.name={letter}")) == tmp_path / letter / "seed-0"
