"""`python -m siit.publish`, and the whole way in processes of their own: publish, load elsewhere, measure, offline."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from siit._command_line import UsageError
from siit.publish import PublishOptions, main, parse
from tests.builders import handmade
from tests.hub.loopback import Hub, Request

_ROOT = Path(__file__).resolve().parents[2]
_NEEDED = ["bundle=checkpoints", "repo_id=org/name"]
_ALL = PublishOptions("checkpoints", "org/name", True, "v2", True, False, True, True, False, "http://x")


def test_all_keys():
    given = (
        "private=true revision=v2 dry_run=true recheck=false allow_uncertified=true prune=true pictures=false "
        "endpoint=http://x"
    )
    assert parse([*_NEEDED, *given.split()]) == _ALL
    assert parse(_NEEDED) == PublishOptions("checkpoints", "org/name")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bundle=x"], "^the following arguments are required: REPO_ID"),
        (
            ["repo=org/name", "bundle=x"],
            r"^repo=org/name: no such option; did you mean repo_id\? accepted are --help, --private",
        ),
        ([*_NEEDED, "--dry-rum"], r"^--dry-rum: no such option; did you mean --dry-run\? accepted"),
        ([*_NEEDED, "private"], "^private: found one argument too many"),
        ([*_NEEDED, "verbose=1"], "^verbose=1: no such option; accepted are --help"),
        ([*_NEEDED, "private=yes"], "^private: found 'yes', accepted are true and false"),
        ([*_NEEDED, "recheck=False"], "^recheck: found 'False', accepted are true and false"),
        ([*_NEEDED, "bundle=other"], "^bundle: found twice"),
        ([*_NEEDED, "revision="], "^revision: found nothing after the ="),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(UsageError, match=message):
        parse(arguments)
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_flags_and_keys_say_the_same():
    given = (
        "checkpoints --private --revision v2 org/name --dry-run --no-recheck --allow-uncertified --prune --no-pictures "
        "--endpoint=http://x"
    )
    assert parse(given.split()) == _ALL
    assert parse(["checkpoints", "org/name", "--no-private"]).private is False


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, also where the tests run in the background of a shell that has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_exit_status(hub: Hub, single: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def run(**changes: str) -> tuple[int, str, str]:
        given = {"bundle": str(single), "repo_id": "org/name", "recheck": "false", "pictures": "false", **changes}
        given.setdefault("endpoint", hub.url)
        status = main([f"{key}={value}" for key, value in given.items()])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    status, out, err = run(dry_run="true")
    assert (status, err) == (0, "")
    pages = f"its pages: {single}/.preview"
    assert out.endswith(f"A dry run: nothing was sent. These files are what {hub.url}/org/name would hold; {pages}\n")
    assert "The certificates were NOT measured again (--no-recheck)" in out
    status, out, err = run()
    assert (status, out.splitlines()[-1][:24]) == (0, "Published and read back:")
    status, out, err = run()
    assert (status, out.splitlines()[-1][:16]) == (0, "Nothing to send:")
    status, out, err = run(repo_id="somebody/name")
    assert (status, err.count("\n")) == (4, 1)
    assert err.startswith("siit.publish: error: somebody/name: permission: ")
    status, out, err = run(bundle="nowhere")
    assert (status, err.count("\n")) == (2, 1)
    handmade.put(single, certificate={**handmade.certificate().to_json(), "certified": False, "failed": ["low"]})
    status, out, err = run()
    assert (status, err.count("\n")) == (1, 1)
    hub.faults["^POST .*/commit/"] = interrupt
    status, out, err = run(allow_uncertified="true")
    assert (status, err.count("\n")) == (130, 1)
    status, out, err = run(allow_uncertified="true")
    assert (status, out.splitlines()[-1][:24]) == (0, "Published and read back:")


def interrupt(request: Request) -> bool:
    """Ctrl-C, while the client waits for an answer."""
    os.kill(os.getpid(), signal.SIGINT)
    return request.hang_up()


def python(code: str, environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


_PUBLISH = """
    import sys
    from siit.publish import main
    status = main(sys.argv[1:])
    trained = {"jax", "tracr", "haiku", "pytorch_lightning", "hydra", "omegaconf", "wandb", "networkx"}
    assert not trained & set(sys.modules), trained & set(sys.modules)
    sys.exit(status)
"""
_FROM_THE_CARD = """
    import json, sys
    from siit.verification import verify
    for block in json.loads(sys.argv[1]):
        exec(block)
    assert weights.keys() == loaded.bundle.parameters.keys() and circuit["nodes"] == labels.circuit.to_json()["nodes"]
    print(json.dumps(verify(loaded.bundle, seed=0).stored.to_json()))
"""


@pytest.mark.slow
@pytest.mark.ci
def test_the_whole_way(hub: Hub, single: Path, tmp_path: Path):
    """Publish; load in a fresh process with an empty cache by the card's own words; measure; then without a network."""
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "PYTHONWARNINGS": "error:::siit"}
    out = python(_PUBLISH, environment, f"bundle={single}", "repo_id=org/name")
    assert f"Published and read back: {hub.url}/org/name at commit" in out
    assert "Measuring 1/1: previous_is_x/seed-0" in out

    card = hub.files("org/name")["README.md"].decode()
    siit, lens, plain = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert ".to_hooked_transformer()" in lens
    fresh = {**environment, "HF_HOME": str(tmp_path / "fresh"), "HF_HUB_CACHE": str(tmp_path / "fresh/hub")}
    del fresh["HF_TOKEN"]
    hub.calls.clear()
    blocks = json.dumps([siit, plain])
    stored = json.loads((single / "previous_is_x/seed-0/certificate.json").read_text())
    assert json.loads(python(_FROM_THE_CARD, fresh, blocks)) == stored
    assert hub.asked("/resolve/")

    hub.close()
    offline = {**fresh, "HF_HUB_OFFLINE": "1"}
    assert json.loads(python(_FROM_THE_CARD, offline, blocks)) == stored
