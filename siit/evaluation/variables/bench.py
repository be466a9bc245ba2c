"""Evaluates methods that locate variables on one model: runs them on every unit, and rates what they give."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from siit._version import __version__
from siit.discovery import Passes
from siit.evaluation.bench import family
from siit.evaluation.candidate import Candidate, Scores, candidate_among
from siit.evaluation.code_digest import code_sha256
from siit.evaluation.rating import complete
from siit.evaluation.run import run_method
from siit.evaluation.variables.rating import located
from siit.evaluation.variables.result import VariableEvaluation, VariableSetting
from siit.evaluation.variables.truth import Truth, truth
from siit.graph.architecture import EMBEDDINGS, components
from siit.loading import LoadedCircuit, LoadedModel
from siit.localization import METHODS, UnseenUnitError, VariableTask, variable_task
from siit.scoring.structure import unit_probabilities


@dataclass(frozen=True, eq=False)
class LabelledUnit:
    """What a reference looks at.

    Attributes:
        model: with its labels.
        unit: of its circuit.
    """

    model: LoadedCircuit
    unit: str

    @property
    def nodes(self) -> list[str]:
        """All nodes that can carry something."""
        return [*EMBEDDINGS, *components(self.model.config)]


def _labels(known: LabelledUnit, seed: int) -> Mapping[str, float]:
    true = known.model.circuit.alignment[known.unit]
    return {node: float(node in true) for node in known.nodes}


def _structure(known: LabelledUnit, seed: int) -> Mapping[str, float]:
    chances = unit_probabilities(known.model.circuit)[known.unit]
    return {node: float(chances.get(node, 0)) for node in known.nodes}


def _random(known: LabelledUnit, seed: int) -> Mapping[str, float]:
    """Draws scores, other ones for each model and unit."""
    name = f"{known.model.case} {known.unit}"
    generator = np.random.default_rng([seed, known.model.seed, zlib.crc32(name.encode())])
    return dict(zip(known.nodes, generator.random(len(known.nodes)).tolist(), strict=True))


REFERENCES: Mapping[str, Callable[[LabelledUnit, int], Mapping[str, float]]] = {
    "labels": _labels,
    "structure": _structure,
    "random": _random,
}
"""Name -> what gives its scores of a unit, with a seed."""


def locate(model: LoadedModel, method: str | Callable[..., Mapping[str, float]], **setting: Any) -> VariableEvaluation:
    """Evaluates a method that locates variables on a model.

        siit.evaluation.locate(siit.load("checkpoints", "frac_prevs"), "das", n_pairs=64)

    Args:
        model: a loaded model; the method runs on its device.
        method: a name of `siit.localization.METHODS`, `module:name`, or a reference (`labels`, `structure`, `random`).
            Or a function of a task (`siit.localization.VariableTask`) that gives a score for every node.
        setting: fields of `siit.evaluation.VariableSetting`: positions, n_pairs, seed.

    Raises:
        ValueError: names the argument, what was found and what is accepted; or what is wrong with the scores.
    """
    known = [field.name for field in dataclasses.fields(VariableSetting)]
    odd = [name for name in setting if name not in known]
    if odd:
        raise ValueError(f"setting: found {odd[0]!r}, accepted are {', '.join(known)}")
    return VariableBench(model, VariableSetting(**setting)).evaluate(method)


def locator(method: str | Callable[..., Scores], setting: VariableSetting) -> Candidate:
    """Finds a method or a reference, and gives it the setting's seed where it takes one.

    Args:
        method: see `locate`.
        setting: how it is run.

    Raises:
        ValueError: no such method, or none that can be called with a task.
    """
    return candidate_among(METHODS, REFERENCES, method, {"seed": setting.seed})


class VariableBench:
    """One model under one setting, on which any number of methods locate its variables.

    Args:
        model: with its labels.
        setting: how it is run.
        manifest_sha256: of the model's manifest, where known.
    """

    def __init__(self, model: LoadedModel, setting: VariableSetting, manifest_sha256: str | None = None) -> None:
        self.model, self.setting, self.manifest_sha256 = model, setting, manifest_sha256

    @cached_property
    def tasks(self) -> Mapping[str, VariableTask | str]:
        """Unit -> its task, or why it has none."""
        setting = self.setting
        found: dict[str, VariableTask | str] = {}
        for unit in self.model.circuit.alignment:
            try:
                found[unit] = variable_task(
                    self.model, unit, setting.n_pairs, positions=setting.positions, seed=setting.seed
                )
            except UnseenUnitError as error:
                found[unit] = str(error)
        return found

    @cached_property
    def truths(self) -> Mapping[str, Truth]:
        """Unit -> what is true of it."""
        return {unit: truth(self.model, unit, task) for unit, task in self.tasks.items() if not isinstance(task, str)}

    def evaluate(self, method: str | Callable[..., Scores]) -> VariableEvaluation:
        """Runs a method on every unit and rates what it gives; see `locate`."""
        chosen, model = locator(method, self.setting), self.model
        units, seconds, passes = {}, 0.0, Passes()
        for unit, true in self.truths.items():
            task = self.tasks[unit]
            assert not isinstance(task, str)
            known = LabelledUnit(model, unit)
            given, took = run_method(
                chosen, known, dataclasses.replace(task, passes=passes), model.model, self.setting.seed
            )
            found = complete(given, model.config)
            if "node" not in found:
                raise ValueError("method: found scores of edges, accepted are scores of every node of task.nodes")
            units[unit] = located(found["node"], _structure(known, 0), true)
            seconds += took
        return VariableEvaluation(
            case=model.case,
            model_seed=model.seed,
            tier=model.tier,
            family=family(model.case),
            manifest_sha256=self.manifest_sha256,
            method=chosen.name,
            parameters=chosen.parameters,
            method_sha256=chosen.sha256,
            setting=self.setting,
            units=units,
            left_out={unit: reason for unit, reason in self.tasks.items() if isinstance(reason, str)},
            seconds=seconds,
            forward=passes.forward,
            backward=passes.backward,
            device=str(model.model.embed.W_E.device),
            version=__version__,
            code_sha256=code_sha256(),
        )
