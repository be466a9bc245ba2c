"""Verifies a bundle: derives, recomputes and measures everything that it claims."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from siit.bundle import Bundle
from siit.causal import CausalModel
from siit.certificate import Answers, Certificate, ReferenceModel, measure
from siit.certificate.report import disagreements
from siit.interchange import Interchanges
from siit.interchange.alignment import Labels
from siit.tasks import Task
from siit.verification.answers import answer_findings
from siit.verification.declared import declared_task
from siit.verification.findings import Check, Finding, Verification
from siit.verification.fresh import (
    accuracy_findings,
    bar_findings,
    coverage_findings,
    exhaustive_findings,
    fresh_evidence,
    inert_findings,
    whole_space,
)
from siit.verification.idle_members import idle_findings
from siit.verification.labels import derived_labels, differences
from siit.verification.provenance import Provenance, place_findings, provenance
from siit.verification.vocabulary import tokenizer_findings, vocabulary_findings

MAX_SEED = 999_999_999
"""Of nine digits, as the command line takes."""


class _Stop(Exception):
    """A claim so wrong that those which rest on it cannot be looked at."""


class _Verifier:
    """One verification, check after check; each either adds findings or stops what rests on it."""

    def __init__(self, bundle: Bundle, seed: int, device: torch.device, folder: Path | None) -> None:
        self.bundle, self.seed, self.device, self.folder = bundle, seed, device, folder
        self.findings: list[Finding] = []
        self.stored: Certificate | None = None
        self.fresh: Certificate | None = None

    def note(self, check: Check, messages: Iterable[str]) -> None:
        self.findings += [Finding(check, message) for message in messages]

    def require(self, check: Check, messages: Iterable[str]) -> None:
        """Notes messages, and stops if there are any."""
        before = len(self.findings)
        self.note(check, messages)
        if len(self.findings) > before:
            raise _Stop

    def run(self) -> Verification:
        whose = Provenance("an own program")
        try:
            model = self._attempt("vocabulary", lambda: CausalModel.from_json(self.bundle.causal_model))
            self.require("vocabulary", vocabulary_findings(self.bundle, model))
            whose = provenance(self.bundle)
            self.note("provenance", whose.findings)
            if self.folder is not None:
                self.note("provenance", place_findings(self.bundle, self.folder))
            task = self._attempt("inputs", lambda: declared_task(self.bundle, model, whose.inputs))
            self.note("vocabulary", tokenizer_findings(self.bundle, task))
            labels = self._attempt("labels", lambda: derived_labels(self.bundle.circuit, model))
            self.require("labels", differences(self.bundle.circuit, labels.circuit))
            self._measure(task, labels)
        except _Stop:
            pass
        except ValueError as error:  # weights or tensors that cannot be measured
            self.note("evidence", [str(error)])
        except (ArithmeticError, IndexError, RuntimeError) as error:  # values that no check foresaw
            if isinstance(error, torch.OutOfMemoryError):
                raise
            self.note("inputs", [f"the claims cannot be computed: {type(error).__name__}: {error}"])
        found = tuple(self.findings)
        return Verification(found, whose.text, self.seed, self.stored, self.fresh, whose.other_inputs)

    def _attempt(self, check: Check, make: Any) -> Any:
        try:
            return make()
        except ValueError as error:
            self.require(check, [str(error)])

    def _measure(self, task: Task, labels: Labels) -> None:
        bundle = self.bundle
        interchanges = Interchanges(task.model, labels, task.permuted_positions)
        every = task.all_interchangeable
        self.note("answers", answer_findings(bundle.evidence, interchanges, all_interchangeable=every))
        self.note("labels", inert_findings(task, labels.circuit.excluded, self.seed))
        self.note("tolerance", _tolerance_findings(bundle, task))
        if bundle.exhaustive:
            self.note("evidence", exhaustive_findings(bundle.evidence, task))
        self.stored = self._certificate(bundle.evidence, bundle.answers, exhaustive=bundle.exhaustive)
        self.note("certificate", _first(disagreements(self.stored.to_json(), bundle.certificate)))
        self.note("certificate", self.stored.failed)
        self.note("labels", idle_findings(bundle.circuit, self._parameters(), bundle.evidence, bundle.answers))
        self._measure_fresh(task, interchanges)

    def _measure_fresh(self, task: Task, interchanges: Interchanges) -> None:
        bundle = self.bundle
        sampler = whole_space(task, self.seed)
        # Right is what the verifier finds to be right, whatever tolerance is claimed.
        evidence = fresh_evidence(sampler, interchanges, task.answers, self.seed)
        if not bundle.exhaustive:  # else all pairs are there
            self.note("evidence", coverage_findings(bundle.evidence, evidence, task, bundle.seed))
        self.fresh = self._certificate(evidence, task.answers, seed=self.seed)
        self.note("fresh", bar_findings(self.fresh))
        model = ReferenceModel(bundle.config, self._parameters())
        self.note("fresh", accuracy_findings(model, task, sampler, self.seed))

    def _certificate(self, evidence: Mapping[str, Tensor], answers: Answers, **needed: Any) -> Certificate:
        circuit = self.bundle.circuit
        return measure(circuit.config, self._parameters(), circuit, evidence, answers, **needed)

    def _parameters(self) -> dict[str, Tensor]:
        return {name: tensor.to(self.device) for name, tensor in self.bundle.parameters.items()}


def _first(messages: list[str]) -> list[str]:
    """The first of many messages of one kind, with how many there are."""
    more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
    return [f"certificate.json says what the measurement does not: {message}{more}" for message in messages[:1]]


def _tolerance_findings(bundle: Bundle, task: Task) -> Iterable[str]:
    found, accepted = bundle.answers.tolerance, task.answers.tolerance
    if found is not None and accepted is not None and found > accepted * (1 + 1e-6):
        yield f"config.json: tolerance: found {found:g}, accepted is at most {accepted:g}, half the smallest gap"


def verify(
    bundle: Bundle, *, seed: int | None = None, device: torch.device | str = "cpu", folder: Path | None = None
) -> Verification:
    """Verifies a bundle's claims, believing none of them.

    Labels are derived again from the causal model and the alignment, and stored answers recomputed. Every bar is
    measured on the stored evidence, and on pairs that are drawn over the whole declared input space.

    Args:
        bundle: read whole, with weights and evidence.
        seed: of the verifier's pairs, 0 to 999999999; drawn by the system where None.
        device: where the model is measured.
        folder: from where it was read: one of another known case's name is a finding.

    Returns:
        All that was found; it never raises for what a bundle says.
    """
    chosen = secrets.randbelow(MAX_SEED + 1) if seed is None else seed
    return _Verifier(bundle, chosen, torch.device(device), folder).run()
