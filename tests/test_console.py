"""`siit`: one command, and how arguments are read."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import siit
from siit.__main__ import COMMANDS, main
from siit._command_line import CommandParser, UsageError, chosen, whole_number

_ROOT = Path(__file__).resolve().parents[1]


def test_the_entry_point():
    scripts = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"siit": "siit.__main__:main"}


def test_help_and_version(capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    usage = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"\n  {name:<11} {command.says}\n" in usage
    assert main([]) == 2
    assert capsys.readouterr().out == usage
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"siit {siit.__version__}\n"


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]):
    assert main(["certfy", "x"]) == 2
    assert capsys.readouterr().err.startswith("siit: error: found 'certfy'; did you mean certify? accepted are train,")


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"train"}))
def test_every_command_has_help(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", ["siit"])
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: siit {name} ")


def test_every_command_has_a_module():
    assert all(callable(import_module(command.module).main) for command in COMMANDS.values())


def test_training_without_its_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setitem(sys.modules, "hydra", None)
    assert main(["train", "case=frac_prevs"]) == 2
    assert "siit train: found no hydra, accepted is what the extra 'train' installs" in capsys.readouterr().err


def test_help_waits_for_no_library():
    for arguments in (
        ["--help"],
        ["certify", "--help"],
        ["show", "--help"],
        ["publish", "--help"],
        ["score", "--help"],
        ["evaluate", "--help"],
    ):
        code = (
            f"import sys, atexit; from siit.__main__ import main\n"
            f"atexit.register(lambda: print({{'torch', 'matplotlib', 'hydra'}} & set(sys.modules)))\n"
            f"main({arguments!r})"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.endswith("set()\n")


def parser() -> CommandParser:
    made = CommandParser(prog="siit try", description="Tries.")
    made.add_argument("bundle")
    made.add_argument("repo_id")
    made.add_argument("--dry-run", action="store_true")
    made.add_argument("--tier", action="append", type=chosen(("deep", "single")))
    made.add_argument("--pairs", type=whole_number(1), default=3)
    made.add_argument("--out", type=Path)
    return made


@pytest.mark.parametrize(
    "arguments",
    [
        "b r --dry-run --tier deep,single --tier deep --pairs 7 --out a=b/c",
        "--pairs=7 b --tier=deep,single r --tier=deep --dry-run --out=a=b/c",
        "repo_id=r bundle=b dry_run=true tier=deep,single tier=deep pairs=7 out=a=b/c",
        "repo-id=r b dry-run=true tier=deep,single --tier deep pairs=7 out=a=b/c",
    ],
)
def test_flags_and_keys_say_the_same(arguments: str):
    assert vars(parser().read(arguments.split())) == {
        "bundle": "b",
        "repo_id": "r",
        "dry_run": True,
        "tier": [["deep", "single"], ["deep"]],
        "pairs": 7,
        "out": Path("a=b/c"),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("b", "^the following arguments are required: repo_id$"),
        ("b r more", "^more: found one argument too many"),
        ("b r --dry-rum", r"^--dry-rum: no such option; did you mean --dry-run\? accepted are --help, --dry-run"),
        ("b r dry_rum=true", r"^dry_rum=true: no such option; did you mean --dry-run\?"),
        ("b repo=r", r"^repo=r: no such option; did you mean repo_id\? accepted"),
        ("b r verbose=1", "^verbose=1: no such option; accepted are --help"),
        ("b r dry_run=yes", "^dry_run: found 'yes', accepted are true and false$"),
        ("b r out=", "^out: found nothing after the ="),
        ("b r --pairs 1 --pairs 2", "^--pairs: found twice, accepted is once$"),
        ("b r pairs=1 --pairs=2", "^--pairs: found twice, accepted is once$"),
        ("bundle=b bundle=c r", "^bundle: found twice, accepted is once$"),
        ("b r --pairs 0", "^--pairs: found '0', accepted is an integer from 1 to 999999999$"),
        ("b r --pairs", "^--pairs: expected one argument$"),
        ("b r tier=dep", r"^--tier: found 'dep'; did you mean deep\? accepted are deep, single$"),
        ("b r --d", "^--d: no such option"),
    ],
)
def test_what_is_wrong_with_arguments(arguments: str, message: str):
    with pytest.raises(UsageError, match=message):
        parser().read(arguments.split())


def test_nothing_where_something_is_needed(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        parser().read([])
    assert stop.value.code == 2
    assert capsys.readouterr().out.startswith("usage: siit try")
