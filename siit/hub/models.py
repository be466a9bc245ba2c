"""Which models may be published: each is read strictly, measured again, and sent with what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from siit._text import printable
from siit.bundle import (
    CAUSAL_FILE,
    Bundle,
    BundleError,
    ModelFiles,
    Summary,
    find_folders,
    model_files,
    read_bundle,
    summarize,
)
from siit.causal import CausalModel
from siit.certificate import Certificate
from siit.certificate.report import disagreements
from siit.graph.circuit import Circuit
from siit.places import no_models
from siit.verification import Verification, verify

Report = Callable[[str], object]
"""Takes one line that says how far things are."""


class UncertifiedError(BundleError):
    """Models whose labels are not measured to be true, which nobody allowed."""


@dataclass(frozen=True)
class PackedModel:
    """One model as it is sent.

    Attributes:
        summary: its line in the card, with the certificate that is sent.
        circuit: its labels.
        content: its line in the index, and its files.
        pairs: how many held-out pairs its evidence has.
        positions: how many positions each of them has.
    """

    summary: Summary
    circuit: Circuit
    content: ModelFiles
    pairs: int
    positions: int


def pack_models(root: Path, *, recheck: bool, allow_uncertified: bool, report: Report) -> list[PackedModel]:
    """Reads every model below `root` as strictly as loading does, and measures it again.

    Args:
        root: of the bundle.
        recheck: measure each model again; a certificate that this contradicts counts as none.
        allow_uncertified: let such models pass, and those whose certificate says no, with what was measured.
        report: is told how far things are, a line at a time.

    Raises:
        BundleError: a model is damaged, or there is none.
        UncertifiedError: names every model that may not pass, and why.
    """
    folders = find_folders(root)
    if not folders:
        raise no_models(root)
    packed, refused = [], []
    if not allow_uncertified:  # before anything is measured
        claims = {_place(folder): _claim(folder) for folder in folders}
        _refuse(root, [f"{place} ({claim})" for place, claim in claims.items() if claim])
    for number, folder in enumerate(folders, 1):
        place = _place(folder)
        report(f"{'Measuring' if recheck else 'Reading'} {number}/{len(folders)}: {place}")
        try:
            model, doubt = _pack(folder, recheck=recheck)
        except BundleError as error:
            raise BundleError(f"{place}/{error}") from error
        packed.append(model)
        refused += [f"{place} ({doubt})"] if doubt else []
    if not allow_uncertified:
        _refuse(root, refused)
    return sorted(packed, key=lambda model: (model.summary.case, model.summary.seed))


def _place(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def _claim(folder: Path) -> str | None:
    """Why a certificate says no; None where it says yes, or the model is damaged, which is told when it is read."""
    try:
        certificate = summarize(read_bundle(folder, weights=False, evidence=False)).certificate
    except BundleError:
        return None
    return None if certificate.certified else printable(_doubts(certificate)[0])


def _doubts(certificate: Certificate) -> tuple[str, ...]:
    return certificate.failed or ("its certificate says no",)


def _refuse(root: Path, refused: list[str]) -> None:
    """Raises UncertifiedError where models may not pass."""
    if refused:
        accepted = "certified models, or allow_uncertified=true"
        raise UncertifiedError(f"{root}: certified: found {'; '.join(refused)}, accepted are {accepted}")


def _pack(folder: Path, *, recheck: bool) -> tuple[PackedModel, str | None]:
    """The model, and what speaks against it."""
    bundle = read_bundle(folder)
    _check_causal_model(bundle)
    summary = summarize(bundle)
    doubts = _doubts(summary.certificate)
    sent = summary.certificate
    if recheck:
        verification = verify(bundle)
        doubts = tuple(map(str, verification.findings))
        sent = _true(verification, sent)
    changed = bool(disagreements(sent.to_json(), bundle.certificate))
    stronger = summary.certificate.first_kind and not sent.first_kind
    content = model_files(folder, sent.to_json() if changed or stronger else None)
    pairs, positions = bundle.evidence["base_tokens"].shape
    packed = PackedModel(dataclasses.replace(summary, certificate=sent), bundle.circuit, content, pairs, positions)
    return packed, None if sent.certified and not changed else printable(doubts[0])


def _check_causal_model(bundle: Bundle) -> None:
    try:
        CausalModel.from_json(bundle.causal_model)
    except ValueError as error:
        raise BundleError(f"{CAUSAL_FILE}: {error}") from error


def _true(verification: Verification, stored: Certificate) -> Certificate:
    """What is sent: the measurement, which does not say `certified` where any claim is false."""
    measured = verification.stored or stored
    if verification.certified or not measured.certified:
        return measured
    return dataclasses.replace(measured, certified=False, failed=tuple(map(str, verification.findings)))
