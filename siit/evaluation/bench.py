"""Evaluates methods on one model: runs them, ranks what they give, and measures the circuits that follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from siit._version import __version__
from siit.catalogue import catalogue, is_drawn
from siit.discovery import DiscoveryTask, Passes, contrasts_of, held_out_task, task_of
from siit.discovery.task import Level
from siit.evaluation.candidate import Scores, candidate
from siit.evaluation.code_digest import code_sha256
from siit.evaluation.faithfulness import faithfulness
from siit.evaluation.rating import complete, places, rate
from siit.evaluation.result import PERMUTED, PLAIN, Evaluation, EvaluationSetting
from siit.evaluation.run import run_method
from siit.interop.dataset import SOURCE
from siit.loading import LoadedModel


def evaluate(model: LoadedModel, method: str | Callable[..., Scores], **setting: Any) -> Evaluation:
    """Evaluates a method on a model.

        siit.evaluate(siit.load("checkpoints", "frac_prevs"), "eap_ig_inputs", corruption="plain")

    Args:
        model: a loaded model; the method runs on its device.
        method: a name of `siit.discovery.METHODS`, `module:name`, or a reference (`labels`, `structure`, `random`). Or
            a function of a task (`siit.discovery.DiscoveryTask`) that gives a score for every edge, or every node.
        setting: fields of `siit.evaluation.EvaluationSetting`: corruption, ablation, n_pairs, seed.

    Raises:
        ValueError: names the argument, what was found and what is accepted; or what is wrong with the scores.
    """
    known = [field.name for field in dataclasses.fields(EvaluationSetting)]
    odd = [name for name in setting if name not in known]
    if odd:
        raise ValueError(f"setting: found {odd[0]!r}, accepted are {', '.join(known)}")
    return Bench(model, EvaluationSetting(**setting)).evaluate(method)


class Bench:
    """One model under one setting, on which any number of methods are evaluated.

    Args:
        model: with its labels and evidence.
        setting: how it is run.
        manifest_sha256: of the model's manifest, where known.
    """

    def __init__(self, model: LoadedModel, setting: EvaluationSetting, manifest_sha256: str | None = None) -> None:
        self.model, self.setting, self.manifest_sha256 = model, setting, manifest_sha256

    @cached_property
    def task(self) -> DiscoveryTask:
        """The pairs that methods see."""
        return task_of(self.model, self.setting.n_pairs, **self._corruption, seed=self.setting.seed)

    @cached_property
    def held_out(self) -> DiscoveryTask:
        """The pairs on which circuits are measured."""
        return held_out_task(self.model, self.setting.n_pairs, **self._corruption, seed=self.setting.seed)

    def evaluate(self, method: str | Callable[..., Scores]) -> Evaluation:
        """Runs a method and measures what it gives; see `evaluate`."""
        setting, model = self.setting, self.model
        chosen = candidate(method, setting)
        task = dataclasses.replace(self.task, passes=Passes())
        given, seconds = run_method(chosen, model, task, model.model, setting.seed)
        found = complete(given, model.config)
        level: Level = "edge" if "edge" in found else "node"
        rated = rate(model, found, setting.corruption)
        size = rated["edge" if level == "edge" else "node"]["all"].positives
        return Evaluation(
            case=model.case,
            model_seed=model.seed,
            tier=model.tier,
            family=family(model.case),
            manifest_sha256=self.manifest_sha256,
            method=chosen.name,
            parameters=chosen.parameters,
            method_sha256=chosen.sha256,
            setting=setting,
            level=level,
            edge=rated["edge"],
            node=rated["node"],
            faithfulness=faithfulness(
                self.held_out,
                found[level],
                level,
                size,
                model.tolerance,
                ablation=setting.ablation,
                seed=setting.seed,
            ),
            seconds=seconds,
            forward=task.passes.forward,
            backward=task.passes.backward,
            device=str(task.device),
            version=__version__,
            places={name: places(scores) for name, scores in found.items()},
            scores={name: value for scores in found.values() for name, value in scores.items()},
            code_sha256=code_sha256(),
        )

    @property
    def _corruption(self) -> Mapping[str, Any]:
        given = self.setting.corruption
        accepted = (PERMUTED, PLAIN, *contrasts_of(self.model))
        if given not in accepted:
            raise ValueError(f"corruption: found {given!r}, accepted for {self.model.case}: {', '.join(accepted)}")
        return {
            "corruption": SOURCE if given in (PERMUTED, PLAIN) else given,
            "permute_positions": given == PERMUTED,
        }


def family(case: str) -> str:
    """Tells a case's family in the catalogue; `drawn` of the generator's programs, `own` of all others."""
    if case in catalogue():
        return catalogue()[case].family
    return "drawn" if is_drawn(case) else "own"
