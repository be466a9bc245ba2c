"""`siit certify`: verifies a model from the files of its bundle alone, believing nothing that they say."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from siit._command_line import CommandParser, UsageError, fail, run, whole_number
from siit._device import usable_device
from siit._text import one_line, printable

if TYPE_CHECKING:
    from siit.bundle import Bundle
    from siit.verification import Verification

NOT_CERTIFIED, BAD_INPUT = 1, 2
_SHOWN = 10
_DESCRIPTION = """\
Verifies that a model's labels are true, and that its folder says nothing false.

Labels are derived again from the causal model and the alignment, and every stored answer is
computed again. The model is measured on the held-out evidence in its folder, and on pairs that
are drawn here over the whole declared input space. Where the folder has the name of a case of
the catalogue, the causal model must be that case's.

Every edge off the circuit is measured, whatever the certificate in the folder says. One that an
earlier version wrote (edges between members only, subsets resampled) is not enough.
"""
_EPILOG = """\
exit status:
  0  every claim holds, and every bar
  1  a claim or a bar does not hold
  2  the folder cannot be read as a model, or the usage is wrong
  3  a fault of siit's own, which says nothing of the model
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Verifies, prints, and returns the exit status."""
    try:
        options = _parser().read(arguments)
    except UsageError as error:
        return fail("certify", error, BAD_INPUT)
    # Only now: --help need not wait for torch.
    import torch

    from siit.bundle import BundleError, read_bundle
    from siit.places import model_folder
    from siit.verification import verify

    # More threads than cores that are free cost these tiny products more than they bring.
    torch.set_num_threads(options.threads)
    try:
        device = usable_device(options.device, key="--device")
        folder = model_folder(options.model)
        try:
            bundle = read_bundle(folder)
        except BundleError as error:
            raise BundleError(f"{folder}/{error}") from error
        verification = verify(bundle, seed=options.seed, device=device, folder=folder)
    except (ValueError, OSError, torch.OutOfMemoryError) as error:
        return fail("certify", error, BAD_INPUT)
    if options.json:
        print(json.dumps(verification.to_json(), indent=1))
    else:
        _print(bundle, verification)
    return 0 if verification.certified else NOT_CERTIFIED


def _parser() -> CommandParser:
    parser = CommandParser(prog="siit certify", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "model",
        type=Path,
        metavar="MODEL",
        help="a model's folder in a bundle, such as checkpoints/frac_prevs/seed-0",
    )
    parser.add_argument(
        "--seed", type=whole_number(0), help="of the pairs that are drawn here (default: drawn by the system)"
    )
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.add_argument("--threads", type=whole_number(1), default=1, help="CPU threads (default: 1)")
    parser.add_argument(
        "--device", default="cpu", help="where to compute, by torch's name: cpu, cuda, cuda:1, ... (default: cpu)"
    )
    return parser


def _print(bundle: Bundle, verification: Verification) -> None:
    from rich.console import Console

    from siit.certificate.fields import FIRST_KIND, FIRST_KIND_FORMAT
    from siit.certificate.report import evidence_line, table

    console = Console(highlight=False, markup=False)
    lines = [f"Program: {verification.provenance}."]
    if bundle.certificate["format"] == FIRST_KIND_FORMAT:
        lines.append(f"certificate.json is {FIRST_KIND}; the verdict is today's measurement of every edge.")
    if verification.stored is not None:
        console.print(table(verification.stored, f"{bundle.case}, seed {bundle.seed}: the evidence in its folder"))
        lines.append(f"Evidence: {evidence_line(verification.stored, bundle.config.n_ctx)}.")
    if verification.fresh is not None:
        console.print(table(verification.fresh, f"Pairs drawn here, --seed {verification.seed}"))
        lines.append(f"Pairs drawn here: {evidence_line(verification.fresh, bundle.config.n_ctx)}.")
    for line in (*lines, *_verdict(verification)):
        console.print(printable(line), soft_wrap=True)


def _verdict(verification: Verification) -> list[str]:
    findings = verification.findings
    if not findings:
        where = " on other inputs than its program's" if verification.other_inputs else ""
        return [f"Certified{where}: every claim holds, and every bar."]
    more = [f"  and {len(findings) - _SHOWN} more"] if len(findings) > _SHOWN else []
    return ["NOT certified:", *(f"  {one_line(str(finding))}" for finding in findings[:_SHOWN]), *more]


if __name__ == "__main__":
    sys.exit(run(main))
