"""`python -m siit.show`: draws a model's circuit, its attention and what each part does, as pictures and one page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from siit._command_line import UsageError, read_keys, usable_device
from siit._text import one_line, printable

if TYPE_CHECKING:
    from siit.show.effects import Replacement

BAD_INPUT, INTERRUPTED = 2, 130
_KEYS = ("out", "example", "tokens", "pairs", "replace", "device")
_USAGE = """\
usage: python -m siit.show MODEL [key=value ...]

Draws a model from its folder in a bundle, such as checkpoints/frac_prevs/seed-0: its circuit,
the attention of the circuit's heads on one example, and how many answers change when each node
and each edge is replaced. Writes circuit.png, attention.png, effects.png, and index.html, which
holds all of them and needs nothing else. Needs the extra show: pip install 'siit[show]'

keys:
  out      the folder for them, made if need be (default: show/CASE-seed-N); never the model's own
  example  which pair of the evidence has its base shown (default: 0)
  tokens   an input of your own instead, such as tokens=x,a,x or tokens='x a x', or, as JSON,
           tokens='["x", 1]'
  pairs    on how many pairs of the evidence effects are measured at most (default: 256); a model
           of 12 layers of 12 heads takes about two minutes for them
  replace  by what each part is replaced: source, its value on the pair's other input, or zero
           (default: source)
  device   where to compute, by torch's name: cpu, cuda, cuda:1, ... (default: cpu)

exit status:
  0  drawn
  2  the folder cannot be read as a model, or written, or the usage is wrong; nothing is written
"""


@dataclass(frozen=True)
class ShowOptions:
    """The command line, see the usage."""

    model: Path
    out: Path | None = None
    example: int = 0
    tokens: str | None = None
    pairs: int = 256
    replace: Replacement = "source"
    device: str = "cpu"


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws, prints the files' paths, and returns the exit status."""
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

    from siit.bundle import read_bundle
    from siit.show.draw import draw_model
    from siit.show.files import check_out, put_files

    # More threads than cores that are free cost these tiny products more than they bring.
    torch.set_num_threads(1)
    try:
        device = usable_device(options.device, key="device")
        bundle = read_bundle(options.model)
        out = options.out or Path("show") / f"{bundle.case}-seed-{bundle.seed}"
        check_out(out)
        files = draw_model(
            bundle,
            example=options.example,
            tokens=options.tokens,
            pairs=options.pairs,
            replace=options.replace,
            device=device,
        )
        written = put_files(out, files)
    except (ValueError, ImportError, OSError, torch.OutOfMemoryError) as error:
        return _fail(error, BAD_INPUT)
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was written", INTERRUPTED)
    for path in written:
        print(printable(str(path)))
    return 0


def parse(arguments: Sequence[str]) -> ShowOptions:
    """Reads a model's folder and `key=value` arguments; the folder comes first.

    Raises:
        UsageError: no folder, an unknown key, a key twice, or a value that its key does not take.
    """
    model, *rest = arguments
    key, equals, _ = model.partition("=")
    if model.startswith("-") or (equals and key in _KEYS):
        raise UsageError(f"MODEL: found {model!r}, accepted is a model's folder first, such as checkpoints/CASE/seed-0")
    texts = read_keys(rest, _KEYS)
    if "example" in texts and "tokens" in texts:
        raise UsageError("example, tokens: found both, accepted is one of them")
    return ShowOptions(
        Path(model),
        out=Path(texts["out"]) if "out" in texts else None,
        example=_number("example", texts.get("example", "0"), least=0),
        tokens=texts.get("tokens"),
        pairs=_number("pairs", texts.get("pairs", "256"), least=1),
        replace=_replacement(texts.get("replace", "source")),
        device=texts.get("device", "cpu"),
    )


def _number(key: str, text: str, *, least: int) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) < least:
        raise UsageError(f"{key}: found {text!r}, accepted is an integer of {least} or more")
    return int(text)


def _replacement(text: str) -> Literal["source", "zero"]:
    if text == "source":
        return "source"
    if text == "zero":
        return "zero"
    raise UsageError(f"replace: found {text!r}, accepted are source and zero")


def _fail(error: object, status: int) -> int:
    print(f"siit.show: error: {one_line(error)}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
