"""From a configuration to all that training needs: task, architecture, labels and interchanges."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from siit.graph.architecture import Edge, ModelConfig
from siit.interchange.alignment import (
    Alignment,
    AlignmentConfig,
    derive_labels,
    draw_alignment,
    heads_needed,
    program_layers,
)
from siit.interchange.interventions import Interchanges, inert_parts
from siit.tasks import Task
from siit.training.configuration.model import DEFAULT_HEADS
from siit.training.configuration.settings import CaseSettings, ConfigError, ModelSettings, Settings
from siit.training.rasp import ProgramTask, check_agreement

INERT_PAIRS = 4096
"""Pairs on which variables and edges that never change are found."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What is trained, before anything is.

    Attributes:
        task: the causal model with its inputs.
        config: the transformer's architecture.
        alignment: hidden variable -> its nodes.
        interchanges: the labels, with the interchanges that they stand for.
        idle: edges that the alignment puts on the circuit, and which the labels leave out since they carry nothing.
    """

    task: Task
    config: ModelConfig
    alignment: Alignment
    interchanges: Interchanges
    idle: tuple[Edge, ...] = ()


_agreed: set[tuple[object, str]] = set()
"""Programs that have been held against RASP and Tracr by this process: a sweep compiles each once."""


def find_task(settings: CaseSettings) -> Task:
    """Makes the task that the settings name; its causal model is not yet held against RASP and Tracr.

    Raises:
        ConfigError: for settings that name none; ProgramError: for a program of which there is no causal model.
    """
    return settings.make_task()


def make_plan(task: Task, settings: Settings) -> Plan:
    """Checks the causal model of a program against RASP and Tracr, and draws the alignment.

    Raises:
        ConfigError: for settings that cannot work; ProgramError where the three evaluations of the program disagree.
    """
    if isinstance(task, ProgramTask):
        program = task.case.make, json.dumps(task.fingerprint(), sort_keys=True)
        if program not in _agreed:
            check_agreement(task.case, task.model)
            _agreed.add(program)
    return plan_for(task, settings)


def plan_for(task: Task, settings: Settings) -> Plan:
    """Chooses the architecture, draws the alignment from the seed, and derives the labels.

    Raises:
        ConfigError: for inputs, a model or an alignment that cannot be.
    """
    alignment_settings = AlignmentConfig(**vars(settings.case.alignment))
    try:
        # Not from the training split, nor from the seed: what is on the circuit is a property of the task.
        generator = torch.Generator().manual_seed(0)
        pairs = task.sample_pairs(INERT_PAIRS, generator)
        excluded = inert_parts(task.model, pairs, generator)
        config = architecture(task, settings.model, alignment_settings)
        alignment = draw_alignment(task.model, config, alignment_settings, settings.seed)
        labels = derive_labels(task.model, config, alignment, excluded)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return Plan(task, config, alignment, Interchanges(task.model, labels, task.permuted_positions))


def relabelled(plan: Plan, alignment: Alignment, idle: Sequence[Edge]) -> Plan:
    """Derives the labels of a plan again, from another alignment and without idle edges.

    Args:
        plan: what is trained.
        alignment: hidden variable -> its nodes.
        idle: edges that carry nothing, all of them.

    Raises:
        ValueError: a high-level edge would be carried by nothing.
    """
    excluded = plan.interchanges.labels.circuit.excluded
    labels = derive_labels(plan.task.model, plan.config, alignment, excluded, idle)
    interchanges = dataclasses.replace(plan.interchanges, labels=labels)
    return dataclasses.replace(plan, alignment=alignment, interchanges=interchanges, idle=tuple(idle))


def architecture(task: Task, settings: ModelSettings, alignment: AlignmentConfig) -> ModelConfig:
    """Chooses the shape that the settings give for a task.

    Raises:
        ValueError: for impossible shapes.
    """
    capacity = alignment.capacity(task.model)
    needed = max(program_layers(task.model, capacity.mlps).values()) + 1
    n_layers = settings.n_layers if settings.n_layers is not None else max(2, needed + settings.extra_layers)
    heads = heads_needed(task.model, capacity)
    n_heads = settings.n_heads if settings.n_heads is not None else max(DEFAULT_HEADS, heads)
    if n_heads < heads:
        raise ValueError(f"model.n_heads: found {n_heads}, the program needs at least {heads} in one layer")
    # More heads for a program that needs them are not narrower ones.
    share = settings.n_heads if settings.n_heads is not None else DEFAULT_HEADS
    if settings.d_head is None and settings.d_model % share:
        raise ValueError(
            f"model.d_model: found {settings.d_model}, accepted is a multiple of {share} heads (or set model.d_head)"
        )
    return ModelConfig(
        n_layers=n_layers,
        n_heads=n_heads,
        d_model=settings.d_model,
        d_head=settings.d_head if settings.d_head is not None else settings.d_model // share,
        d_mlp=settings.d_mlp if settings.d_mlp is not None else 4 * settings.d_model,
        n_ctx=task.n_ctx,
        d_vocab=task.d_vocab,
        d_vocab_out=task.d_vocab_out,
        act_fn=settings.act_fn,
        attention_dir="causal" if task.causal else "bidirectional",
        normalization_type=settings.normalization_type,
        eps=settings.eps,
    )
