"""`siit publish`: certifies a bundle's models again and puts them on the Hugging Face Hub."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from siit._command_line import CommandParser, UsageError, fail, run
from siit._text import printable

NOT_CERTIFIED, BAD_INPUT, NOT_SENT, INTERRUPTED = 1, 2, 4, 130
_DESCRIPTION = """\
Measures every model of a bundle again, checks all of its files, writes the card and the index,
and sends all of it to a model repository on the Hugging Face Hub in one commit, which is then
read back. What the Hub has already is not sent: after a failure the same command goes on.

  siit publish checkpoints org/name --dry-run
"""
_EPILOG = """\
The token is that of HF_TOKEN or of `hf auth login`.

exit status:
  0  published, or nothing to do, or a dry run that found nothing wrong
  1  a model is not certified, or its certificate says what the measurement does not
  2  the bundle is damaged, or the usage is wrong
  4  the Hub refuses, cannot be reached, or has something else than what was sent
"""


@dataclass(frozen=True)
class PublishOptions:
    """The command line's options, see its help."""

    bundle: str
    repo_id: str
    private: bool | None = None
    revision: str | None = None
    dry_run: bool = False
    recheck: bool = True
    allow_uncertified: bool = False
    prune: bool = False
    pictures: bool = True
    endpoint: str | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Publishes, prints, and returns the exit status."""
    try:
        options = parse(arguments)
    except UsageError as error:
        return fail("publish", error, BAD_INPUT)
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
        return fail("publish", error, NOT_CERTIFIED)
    except HubError as error:
        return fail("publish", error, NOT_SENT)
    except (ValueError, OSError) as error:
        return fail("publish", error, BAD_INPUT)
    except KeyboardInterrupt:
        return fail("publish", "interrupted; the same command goes on where this one stopped", INTERRUPTED)
    if not options.recheck:
        print("The certificates were NOT measured again (--no-recheck); the card says so.")
    if done.commit is None:
        print(f"A dry run: nothing was sent. These files are what {done.url} would hold; its pages: {done.preview}")
    elif done.sent:
        print(f"Published and read back: {done.url} at commit {done.commit}")
    else:
        print(f"Nothing to send: {done.url} holds this bundle at commit {done.commit}")
    return 0


def parse(arguments: Sequence[str] | None = None) -> PublishOptions:
    """Reads the arguments, those of the process if None.

    Raises:
        UsageError: an unknown option, one twice or missing, or a value that it does not take.
    """
    parser = CommandParser(prog="siit publish", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("bundle", metavar="BUNDLE", help="the bundle's folder, such as checkpoints")
    parser.add_argument("repo_id", metavar="REPO_ID", help="the repository, org/name; made if it does not exist")

    def switch(name: str, default: bool | None, says: str) -> None:
        parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=default, help=says)

    switch("private", None, "who may read it (default: public, or as the repository is)")
    parser.add_argument("--revision", help="the branch (default: main); made if it does not exist")
    switch("dry-run", False, "show what would be sent, and send nothing")
    switch("recheck", True, "measure every model again; without it the card says so")
    switch("allow-uncertified", False, "publish uncertified models too, marked as such")
    switch("prune", False, "remove models from the repository that the bundle lacks")
    switch("pictures", True, "draw each circuit for the card, where matplotlib is installed")
    parser.add_argument("--endpoint", help="the Hub's address (default: HF_ENDPOINT, or https://huggingface.co)")
    return PublishOptions(**vars(parser.read(arguments)))


if __name__ == "__main__":
    sys.exit(run(main))
