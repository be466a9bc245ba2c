"""`siit certify`: re-measures a model from the files of its bundle alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from siit._command_line import CommandParser, UsageError, fail, run, usable_device, whole_number
from siit._text import one_line, printable

if TYPE_CHECKING:
    import torch

    from siit.bundle import Bundle
    from siit.certificate import Certificate

NOT_CERTIFIED, BAD_INPUT = 1, 2
_SHOWN = 10
_DESCRIPTION = """\
Measures again whether a model's labels are true, from its weights, its labels and the
held-out evidence in its folder, and compares the result with the certificate stored there.
"""
_EPILOG = """\
exit status:
  0  every bar holds, and the stored certificate says the same
  1  a bar does not hold, or the stored certificate says something else
  2  the folder cannot be read as a model, or the usage is wrong
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, and returns the exit status."""
    try:
        options = _parser().read(arguments)
    except UsageError as error:
        return fail("certify", error, BAD_INPUT)
    # Only now: --help need not wait for torch.
    import torch

    from siit.bundle import read_bundle
    from siit.certificate import Certificate
    from siit.places import model_folder

    # More threads than cores that are free cost these tiny products more than they bring.
    torch.set_num_threads(options.threads)
    try:
        device = usable_device(options.device, key="--device")
        bundle = read_bundle(model_folder(options.model))
        stored = Certificate.from_json(bundle.certificate)
        measured = measure_bundle(bundle, device)
    except (ValueError, OSError, torch.OutOfMemoryError) as error:
        return fail("certify", error, BAD_INPUT)
    return _report(bundle, measured, stored, as_json=options.json)


def _parser() -> CommandParser:
    parser = CommandParser(prog="siit certify", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "model",
        type=Path,
        metavar="MODEL",
        help="a model's folder in a bundle, such as checkpoints/frac_prevs/seed-0",
    )
    parser.add_argument("--json", action="store_true", help="print only the new certificate, as JSON")
    parser.add_argument("--threads", type=whole_number(1), default=1, help="CPU threads (default: 1)")
    parser.add_argument(
        "--device", default="cpu", help="where to compute, by torch's name: cpu, cuda, cuda:1, ... (default: cpu)"
    )
    return parser


def measure_bundle(bundle: Bundle, device: torch.device | str = "cpu") -> Certificate:
    """Measures a model from what its files hold."""
    from siit.certificate import measure

    return measure(
        bundle.config,
        {name: tensor.to(device) for name, tensor in bundle.parameters.items()},
        bundle.circuit,
        bundle.evidence,
        answers=bundle.answers,
        exhaustive=bundle.exhaustive,
    )


def _report(bundle: Bundle, measured: Certificate, stored: Certificate, *, as_json: bool) -> int:
    from rich.console import Console

    from siit.certificate.report import disagreements, evidence_line, table

    differing = disagreements(measured.to_json(), stored.to_json())
    if as_json:
        print(json.dumps(measured.to_json(), indent=1))
        if differing:
            print(f"siit.certify: the stored certificate disagrees: {one_line(differing[0])}", file=sys.stderr)
    else:
        console = Console(highlight=False, markup=False)
        console.print(table(measured, f"{bundle.case}, seed {bundle.seed}"))
        for line in (f"Evidence: {evidence_line(measured)}.", *_verdict(measured), *_agreement(differing)):
            console.print(printable(line), soft_wrap=True)
    return 0 if measured.certified and not differing else NOT_CERTIFIED


def _verdict(measured: Certificate) -> list[str]:
    if measured.certified:
        return ["Certified: every bar holds."]
    return ["NOT certified:", *(f"  {line}" for line in measured.failed)]


def _agreement(differing: Sequence[str]) -> list[str]:
    if not differing:
        return ["The stored certificate agrees."]
    more = [f"  and {len(differing) - _SHOWN} more"] if len(differing) > _SHOWN else []
    heading = f"The stored certificate DISAGREES in {len(differing)} places:"
    return [heading, *(f"  {line}" for line in differing[:_SHOWN]), *more]


if __name__ == "__main__":
    sys.exit(run(main))
