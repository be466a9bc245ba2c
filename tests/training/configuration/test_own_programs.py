"""A user's own module, vocabulary or place that cannot be: one line each, and the status of a wrong usage."""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from siit.tasks import TooFewInputsError
from siit.training.configuration.errors import ConfigError
from siit.training.configuration.overrides import check_overrides, composed
from siit.training.configuration.programs import _imported
from siit.training.configuration.settings import read_settings
from siit.training.fit import command_line
from siit.training.rasp.from_rasp import ProgramError

MODULES = {
    "own_syntax": ("def f(:", r"SyntaxError: .*own_syntax\.py, line 1"),
    "own_name": ("\nx = nowhere", r"NameError: name 'nowhere' is not defined \(.*own_name\.py, line 2\)"),
    "own_import": ("import no_such_module", r"ModuleNotFoundError: No module named 'no_such_module'"),
    "own_exit": ("raise SystemExit(0)", "SystemExit: 0"),
    "own_value": ("int('\x1b[31m')", "ValueError: "),
    "own_empty": ("", "own_empty has no function 'f'"),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_that_cannot_be_imported(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    content, message = MODULES[name]
    (tmp_path / f"{name}.py").write_text(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(ConfigError, match=rf"^case\.program: .*{message}") as caught:
        _imported(f"{name}:f")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("module", ["./own", "own.py/x", "..own", "own-program", "a b", "/tmp/own"])
def test_what_is_no_module(module: str):
    with pytest.raises(
        ConfigError, match=r"^case\.program: found the module .*, accepted is a module as `import` names"
    ):
        _imported(f"{module}:f")


@pytest.mark.parametrize("tokens", ["(,),a", "a,*,{", "a,it's", "a,b]c", "$,&,a b"])
def test_odd_tokens_are_answered_with_what_works(tokens: str):
    own = ["case=custom", "case.program=a:b", "case.max_len=4"]
    error = check_overrides([*own, f"case.vocab=[{tokens}]"])
    if error is None:
        pytest.skip("the parser takes them as they are")
    assert "\n" not in error
    found = re.search(r"only in quotes: (.*)$", error)
    assert found is not None
    (argument,) = shlex.split(found[1])
    assert check_overrides([*own, argument]) is None
    assert read_settings(composed(*own, argument)).case.vocab == tokens.split(",")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "status", "lines"),
    [
        (ConfigError("text"), 2, 1),
        (ProgramError("text"), 2, 1),
        (TooFewInputsError("text"), 2, 1),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/out"), 2, 1),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 2, 1),
        (RuntimeError("a fault of our own"), 3, None),
    ],
)
def test_a_fault_is_never_taken_for_a_model_that_failed(
    error: Exception,
    status: int,
    lines: int | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    def fail(*arguments: Any) -> None:
        raise error

    started = SimpleNamespace(mode=RunMode.RUN, overrides=SimpleNamespace(task=[]), launcher={})
    monkeypatch.setattr(HydraConfig, "get", lambda: started)
    monkeypatch.setattr(command_line, "train_model", fail)
    with pytest.raises(SystemExit) as stop:
        command_line._job(OmegaConf.create({"trainer": {}}))
    assert stop.value.code == status
    said = capsys.readouterr().err
    assert lines is None or said.count("\n") == lines
    assert (error.args[-1] if lines is None else "siit.train: ") in said


@pytest.mark.parametrize("inside", ["", "/more"])
def test_a_sweep_that_cannot_write(inside: str, tmp_path: Path):
    file = tmp_path / "file"
    file.touch()
    fault = command_line._no_place(["-m", "case=reverse", f"out={file}{inside}"])
    assert fault is not None
    assert re.match(rf"out: {file}.*: found .*, accepted is a place that can be read and written$", fault)
    assert command_line._no_place(["-m", f"out={tmp_path}/new"]) is None
