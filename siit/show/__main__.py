"""`siit show`: draws a model's circuit, its attention and what each part does, as pictures and one page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from siit._command_line import CommandParser, UsageError, fail, one_of, run, whole_number
from siit._text import printable

if TYPE_CHECKING:
    from siit.show.effects import Replacement

BAD_INPUT, INTERRUPTED = 2, 130
_DESCRIPTION = """\
Draws a model from its folder in a bundle, such as checkpoints/frac_prevs/seed-0: its circuit,
the attention of the circuit's heads on one example, and how many answers change when each node
and each edge is replaced. Writes circuit.png, attention.png, effects.png, and index.html, which
holds all of them and needs nothing else. Needs the extra show (matplotlib).
"""
_EPILOG = """\
exit status:
  0  drawn
  2  the folder cannot be read as a model, or written, or the usage is wrong; nothing is written
"""


@dataclass(frozen=True)
class ShowOptions:
    """The command line's options, see its help."""

    model: Path
    out: Path | None = None
    example: int = 0
    tokens: str | None = None
    pairs: int = 256
    replace: Replacement = "source"
    device: str = "cpu"


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws, prints the files' paths, and returns the exit status."""
    try:
        options = parse(arguments)
    except UsageError as error:
        return fail("show", error, BAD_INPUT)
    # Only now: --help need not wait for torch.
    import torch

    from siit.bundle import read_bundle
    from siit.places import model_folder
    from siit.show.draw import draw_model
    from siit.show.files import check_out, put_files

    # More threads than cores that are free cost these tiny products more than they bring.
    torch.set_num_threads(1)
    try:
        bundle = read_bundle(model_folder(options.model))
        out = options.out or Path("show") / f"{bundle.case}-seed-{bundle.seed}"
        check_out(out)
        files = draw_model(
            bundle,
            example=options.example,
            tokens=options.tokens,
            pairs=options.pairs,
            replace=options.replace,
            device=options.device,
        )
        written = put_files(out, files)
    except (ValueError, ImportError, OSError, torch.OutOfMemoryError) as error:
        return fail("show", error, BAD_INPUT)
    except KeyboardInterrupt:
        return fail("show", "interrupted; nothing was written", INTERRUPTED)
    for path in written:
        print(printable(str(path)))
    return 0


def parse(arguments: Sequence[str] | None = None) -> ShowOptions:
    """Reads the arguments, those of the process if None.

    Raises:
        UsageError: no folder, an unknown option, one twice, or a value that it does not take.
    """
    parser = CommandParser(prog="siit show", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model's folder in a bundle")
    parser.add_argument(
        "--out", type=Path, help="the folder for them, made if need be (default: show/CASE-seed-N); not the model's own"
    )
    parser.add_argument(
        "--example", type=whole_number(0), help="which pair of the evidence has its base shown (default: 0)"
    )
    parser.add_argument("--tokens", help="an input of your own instead: x,a,x or 'x a x', or, as JSON, '[\"x\", 1]'")
    parser.add_argument(
        "--pairs",
        type=whole_number(1),
        default=256,
        help="on how many pairs effects are measured at most (default: 256); a model of 12 layers of 12 heads takes "
        "about two minutes for them",
    )
    parser.add_argument(
        "--replace",
        type=one_of(("source", "zero")),
        metavar="source|zero",
        default="source",
        help="by what each part is replaced: its value on the pair's other input, or zero (default: source)",
    )
    parser.add_argument(
        "--device", default="cpu", help="where to compute, by torch's name: cpu, cuda, cuda:1, ... (default: cpu)"
    )
    found = parser.read(arguments)
    if found.example is not None and found.tokens is not None:
        raise UsageError("example, tokens: found both, accepted is one of them")
    return ShowOptions(**{**vars(found), "example": found.example or 0})


if __name__ == "__main__":
    sys.exit(run(main))
