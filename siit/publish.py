"""`python -m siit.publish`: certifies a bundle's models again and puts them on the Hugging Face Hub."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from siit._command_line import UsageError, read_keys
from siit._text import one_line, printable

NOT_CERTIFIED, BAD_INPUT, NOT_SENT, INTERRUPTED = 1, 2, 3, 130
_USAGE = """\
usage: python -m siit.publish bundle=FOLDER repo_id=ORG/NAME [key=value ...]

Measures every model of a bundle again, checks all of its files, writes the card and the index,
and sends all of it to a model repository on the Hugging Face Hub in one commit, which is then
read back. What the Hub has already is not sent: after a failure the same command goes on.

keys:
  bundle             the bundle's folder, such as checkpoints
  repo_id            the repository, such as org/name; made if it does not exist
  private            true or false; by default public, or as the repository is
  revision           the branch (default: main); made if it does not exist
  dry_run            true: show what would be sent, and send nothing (default: false)
  recheck            false: do not measure again; the card says so (default: true)
  allow_uncertified  true: publish uncertified models too, marked as such (default: false)
  prune              true: remove models from the repository that the bundle lacks (default: false)
  endpoint           the Hub's address (default: HF_ENDPOINT, or https://huggingface.co)

The token is that of HF_TOKEN or of `hf auth login`.

exit status:
  0  published, or nothing to do, or a dry run that found nothing wrong
  1  a model is not certified, or its certificate says what the measurement does not
  2  the bundle is damaged, or the usage is wrong
  3  the Hub refuses, cannot be reached, or has something else than what was sent
"""


@dataclass(frozen=True)
class PublishOptions:
    """The command line's keys, see the usage."""

    bundle: str
    repo_id: str
    private: bool | None = None
    revision: str | None = None
    dry_run: bool = False
    recheck: bool = True
    allow_uncertified: bool = False
    prune: bool = False
    endpoint: str | None = None


_FLAGS = ("private", "dry_run", "recheck", "allow_uncertified", "prune")


def main(arguments: Sequence[str] | None = None) -> int:
    """Publishes, prints, and returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or any(argument in ("-h", "--help", "help") for argument in arguments):
        print(_USAGE, end="")
        return 0 if arguments else BAD_INPUT
    try:
        options = parse(arguments)
    except UsageError as error:
        return _fail(error, BAD_INPUT)
    # Only now: --help need not wait for torch.
    import torch

    from siit.hub.errors import HubError
    from siit.hub.models import UncertifiedError
    from siit.hub.upload import publish

    # More threads than cores that are free cost these tiny products more than they bring.
    torch.set_num_threads(1)
    try:
        done = publish(**dataclasses.asdict(options), report=lambda line: print(printable(line), flush=True))
    except UncertifiedError as error:
        return _fail(error, NOT_CERTIFIED)
    except HubError as error:
        return _fail(error, NOT_SENT)
    except (ValueError, OSError) as error:
        return _fail(error, BAD_INPUT)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command goes on where this one stopped", INTERRUPTED)
    if not options.recheck:
        print("The certificates were NOT measured again (recheck=false); the card says so.")
    if done.commit is None:
        print(f"A dry run: nothing was sent. These files are what {done.url} would hold.")
    elif done.sent:
        print(f"Published and read back: {done.url} at commit {done.commit}")
    else:
        print(f"Nothing to send: {done.url} holds this bundle at commit {done.commit}")
    return 0


def parse(arguments: Sequence[str]) -> PublishOptions:
    """Reads `key=value` arguments.

    Raises:
        UsageError: an unknown key, a key twice or missing, or a value that its key does not take.
    """
    fields = dataclasses.fields(PublishOptions)
    needed = [field.name for field in fields if field.default is dataclasses.MISSING]
    texts = read_keys(arguments, [field.name for field in fields], needed, "bundle=checkpoints repo_id=org/name")
    values: dict[str, Any] = {key: _flag(key, text) if key in _FLAGS else text for key, text in texts.items()}
    return PublishOptions(**values)


def _flag(key: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise UsageError(f"{key}: found {text!r}, accepted are true and false")
    return text == "true"


def _fail(error: object, status: int) -> int:
    print(f"siit.publish: error: {one_line(error)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
