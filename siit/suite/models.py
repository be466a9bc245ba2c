"""Lists the models of a suite with how each ended: from the bundles' files, and from what failed jobs left."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from siit._text import one_line
from siit.bundle import TRAINING_FILE, WEIGHTS_FILE, Bundle, BundleError, find_folders, read_bundle, summarize
from siit.catalogue import catalogue
from siit.graph.tiers import TIERS
from siit.suite.outcomes import (
    ALLOWED,
    CERTIFIED,
    ELSEWHERE,
    FAILED,
    NOT_CERTIFIED,
    RUNNING,
    STATUS,
    Outcome,
    last_outcomes,
    never_begun,
)
from siit.suite.selection import family_of, tier_of

DAMAGED, UNFINISHED, NOT_BEGUN = "damaged", "not finished", "not begun"
WEAKLY = "certified, of the first kind"
OUTCOMES = (CERTIFIED, WEAKLY, ALLOWED, NOT_CERTIFIED, FAILED, UNFINISHED, NOT_BEGUN, DAMAGED)
_OTHER = "other"
_STATUS = {**STATUS, WEAKLY: 0, UNFINISHED: STATUS[RUNNING], NOT_BEGUN: STATUS[RUNNING], DAMAGED: 2}


@dataclass(frozen=True)
class SuiteModel:
    """What a suite's report says of one model.

    Attributes:
        case, seed: of the model.
        tier, family: by the circuit where there is one, else by the catalogue; None where neither knows.
        outcome: one of OUTCOMES; `not certified, as allowed` is a bundle whose certificate says no. One of the first
            kind is called so.
        certificate: its format, which tells its kind; None where there is no bundle.
        steps: trained; None where nothing tells, as of the following ones.
        cpu_seconds: of training and its checks, on all threads.
        circuit_nodes, circuit_edges: heads and MLPs of the circuit, and its edges.
        worst: field of the certificate -> the share that was measured, the worst component's.
        failed: the bars that it misses.
        diagnosis: lines on what is wrong, where a job left them.
        path: the model's folder below the root; None where there is none.
        weights_sha256: of the file of weights, in hex.
    """

    case: str
    seed: int | str
    tier: str | None
    family: str | None
    outcome: str
    certificate: str | None = None
    steps: int | None = None
    cpu_seconds: float | None = None
    circuit_nodes: int | None = None
    circuit_edges: int | None = None
    worst: Mapping[str, float] | None = None
    failed: tuple[str, ...] = ()
    diagnosis: tuple[str, ...] = ()
    path: str | None = None
    weights_sha256: str | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.case}, seed {self.seed}"

    @property
    def certified(self) -> bool:
        """Whether its certificate says so, of whichever kind it is."""
        return self.outcome in (CERTIFIED, WEAKLY)

    @property
    def status(self) -> int:
        """The exit status of a suite that has nothing worse."""
        return _STATUS[self.outcome]

    @property
    def reasons(self) -> list[str]:
        """Lines on why it is not certified, the first bar and how many more it misses, then the diagnosis."""
        more = f" ({len(self.failed) - 1} more fall short)" if len(self.failed) > 1 else ""
        return [*([f"{self.failed[0]}{more}"] if self.failed else []), *self.diagnosis]

    @property
    def worst_field(self) -> tuple[str, float] | None:
        """The certificate's field with the lowest share, and the share; None where nothing was measured."""
        return min(self.worst.items(), key=lambda item: item[1]) if self.worst else None


def read_models(root: Path) -> Iterator[tuple[SuiteModel, Bundle | None]]:
    """Yields every model of a root with its bundle, then those that have none, but a job that did not bring one.

    Last come those that the latest suite was to have, and that never began.

    A damaged bundle is a model too, with what is wrong as its diagnosis.

    Args:
        root: of the bundles.

    Raises:
        ValueError: a file of a sweep that is no outcome of a job, or no plan.
    """
    left = last_outcomes(root)
    waiting = dict.fromkeys(model for model in never_begun(root) if model not in left)
    for folder in find_folders(root):
        model, bundle = _of_folder(folder)
        left.pop((model.case, model.seed), None)
        waiting.pop((model.case, model.seed), None)
        yield model, bundle
    for outcome in sorted(left.values(), key=lambda outcome: (outcome.case, str(outcome.seed))):
        if outcome.verdict not in (CERTIFIED, ALLOWED):  # what these made was removed since
            yield _of_outcome(outcome), None
    for case, seed in waiting:
        yield _without_bundle(case, seed, NOT_BEGUN), None


def by_tier(models: Sequence[SuiteModel]) -> dict[str, list[SuiteModel]]:
    """Groups models by tier, in the order of the tiers; those that have none come last."""
    found = {tier: [model for model in models if model.tier == tier] for tier in TIERS}
    found[_OTHER] = [model for model in models if model.tier not in TIERS]
    return {tier: group for tier, group in found.items() if group}


def _of_folder(folder: Path) -> tuple[SuiteModel, Bundle | None]:
    """Reads a model strictly, all of its files."""
    case, seed = folder.parent.name, int(folder.name.removeprefix("seed-"))
    path = f"{case}/{folder.name}"
    try:
        bundle = read_bundle(folder)
        if bundle.case != case:
            raise BundleError(f"config.json: case: found {bundle.case!r}, accepted is {case!r}, the folder's name")
        summary, weights = summarize(bundle), (folder / WEIGHTS_FILE).read_bytes()
    except (BundleError, OSError) as error:
        what = (one_line(error),)
        return SuiteModel(case, seed, tier_of(case), family_of(case), DAMAGED, diagnosis=what, path=path), None
    certificate = summary.certificate
    record = json.loads(bundle.extra_files.get(TRAINING_FILE, b"{}"))
    model = SuiteModel(
        case=case,
        seed=seed,
        tier=summary.tier,
        family=family_of(case),
        outcome=(WEAKLY if certificate.first_kind else CERTIFIED) if certificate.certified else ALLOWED,
        certificate=certificate.format,
        steps=record.get("steps"),
        cpu_seconds=record.get("seconds", {}).get("cpu"),
        circuit_nodes=summary.circuit_nodes,
        circuit_edges=summary.circuit_edges,
        worst={name: value for name in certificate.shares if (value := getattr(certificate, name)) is not None},
        failed=certificate.failed,
        path=path,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
    )
    return model, bundle


def _of_outcome(outcome: Outcome) -> SuiteModel:
    ended = UNFINISHED if outcome.verdict in (RUNNING, ELSEWHERE) else outcome.verdict
    return dataclasses.replace(
        _without_bundle(outcome.case, outcome.seed, ended),
        steps=outcome.steps,
        cpu_seconds=outcome.cpu_seconds,
        failed=outcome.failed,
        diagnosis=outcome.diagnosis or ((outcome.why,) if outcome.why and not outcome.failed else ()),
    )


def _without_bundle(case: str, seed: int | str, outcome: str) -> SuiteModel:
    """Says of a model what the catalogue does."""
    known = catalogue().get(case)
    return SuiteModel(
        case=case,
        seed=seed,
        tier=tier_of(case),
        family=family_of(case),
        outcome=outcome,
        circuit_nodes=known.circuit_nodes if known else None,
        circuit_edges=known.circuit_edges if known else None,
    )
