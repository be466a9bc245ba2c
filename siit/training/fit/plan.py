"""From a configuration to all that training needs: task, architecture, labels and interchanges."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from siit.graph.architecture import ModelConfig
from siit.interchange.alignment import AlignmentConfig, derive_labels, draw_alignment, heads_needed, program_layers
from siit.interchange.interventions import Interchanges, inert_parts
from siit.tasks import Task
from siit.training.configuration.settings import CaseSettings, ConfigError, ModelSettings, Settings
from siit.training.generator import GeneratorError, case_name, generate
from siit.training.ioi.causal_models import IOI_CASES
from siit.training.ioi.task import make_ioi_task
from siit.training.ioi.tokenizer import WORDS, TokenizerError
from siit.training.rasp import ProgramTask, task_from_case
from siit.training.rasp.agreement import check_agreement
from siit.training.rasp.from_rasp import build_causal_model
from tracr_cases import Case, get

INERT_PAIRS = 4096
"""Pairs on which variables and edges that never change are found."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What is trained, before anything is.

    Attributes:
        task: the causal model with its inputs.
        config: the transformer's architecture.
        interchanges: the labels, with the interchanges that they stand for.
    """

    task: Task
    config: ModelConfig
    interchanges: Interchanges


def find_task(settings: CaseSettings) -> Task:
    """The task that the settings name; its causal model is not yet held against RASP and Tracr.

    Raises:
        ConfigError: for settings that name none; ProgramError: for a program of which there is no causal model.
    """
    if settings.name in IOI_CASES:
        return _ioi_task(settings)
    case = find_case(settings)
    model = build_causal_model(case)
    try:
        return task_from_case(case, model)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _ioi_task(settings: CaseSettings) -> Task:
    for key in (*_PROGRAM, *_DATA, "tier", "generator_seed"):
        if (value := getattr(settings, key)) is not None:
            raise ConfigError(f"case.{key}: found {value!r}; accepted for case={settings.name} is null")
    try:
        return make_ioi_task(settings.name, settings.tokenizer or WORDS)
    except TokenizerError as error:
        raise ConfigError(str(error)) from error


def make_plan(task: Task, settings: Settings) -> Plan:
    """Checks the causal model of a program against RASP and Tracr, and draws the alignment.

    Raises:
        ConfigError: for settings that cannot work; ProgramError where the three evaluations of the program disagree.
    """
    if isinstance(task, ProgramTask):
        check_agreement(task.case, task.model)
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
    return Plan(task, config, Interchanges(task.model, labels, task.permuted_positions))


def architecture(task: Task, settings: ModelSettings, alignment: AlignmentConfig) -> ModelConfig:
    """The shape that the settings give for a task.

    Raises:
        ValueError: for impossible shapes.
    """
    needed = max(program_layers(task.model, alignment.mlps).values()) + 1
    n_layers = settings.n_layers if settings.n_layers is not None else max(2, needed + settings.extra_layers)
    heads = heads_needed(task.model, alignment.heads, alignment.mlps)
    if settings.n_heads < heads:
        raise ValueError(f"model.n_heads: found {settings.n_heads}, the program needs at least {heads} in one layer")
    if settings.d_head is None and settings.d_model % settings.n_heads:
        raise ValueError(
            f"model.d_model: found {settings.d_model}, accepted is a multiple of model.n_heads={settings.n_heads} "
            "(or set model.d_head)"
        )
    return ModelConfig(
        n_layers=n_layers,
        n_heads=settings.n_heads,
        d_model=settings.d_model,
        d_head=settings.d_head if settings.d_head is not None else settings.d_model // settings.n_heads,
        d_mlp=settings.d_mlp if settings.d_mlp is not None else 4 * settings.d_model,
        n_ctx=task.n_ctx,
        d_vocab=task.d_vocab,
        d_vocab_out=task.d_vocab_out,
        act_fn=settings.act_fn,
        attention_dir="causal" if task.causal else "bidirectional",
        normalization_type=settings.normalization_type,
        eps=settings.eps,
    )


def find_case(settings: CaseSettings) -> Case:
    """The catalogue's case with the settings' changes, a user's own program, or a random one.

    Raises:
        ConfigError: an unknown name, a program that cannot be imported, or none that could be drawn.
    """
    if settings.tokenizer is not None:
        raise ConfigError(
            f"case.tokenizer: found {settings.tokenizer!r}, accepted for case={settings.name} is null; "
            f"only {', '.join(IOI_CASES)} have one"
        )
    if settings.tier is not None or settings.generator_seed is not None:
        case, fixed_by = _random_case(settings), "generator"
    elif settings.program is not None or settings.name == "custom":
        return _own_case(settings)
    else:
        case, fixed_by = _catalogued(settings.name), "catalogue"
    for key in _PROGRAM:
        if (value := getattr(settings, key)) is not None:
            raise ConfigError(f"case.{key}: found {value!r}; the {fixed_by} fixes it, use case=custom for your own")
    changes = {key: getattr(settings, key) for key in _DATA}
    return replace(case, **{key: value for key, value in changes.items() if value is not None})


_PROGRAM = ("program", "vocab", "max_len", "causal", "none_is_answer")
"""Settings that belong to a program: one of the catalogue, or a drawn one, has its own."""
_DATA = ("min_len", "sampler", "balanced", "rearranged")
"""Settings of how inputs are drawn: every program can be trained on other inputs than its own."""


def _catalogued(name: str) -> Case:
    try:
        return get(name)
    except KeyError as error:
        raise ConfigError(error.args[0]) from error


def _random_case(settings: CaseSettings) -> Case:
    tier, seed = settings.tier, settings.generator_seed
    if tier is None or seed is None:
        missing = "tier" if tier is None else "generator_seed"
        raise ConfigError(f"case.{missing}: missing; case=random needs case.tier and case.generator_seed")
    if settings.name != (name := case_name(tier, seed)):
        raise ConfigError(
            f"case.name: found {settings.name!r}, accepted for this draw is {name!r}, as case=random sets it"
        )
    try:
        return generate(tier, seed)
    except GeneratorError as error:
        raise ConfigError(f"case.generator_seed: {error}") from error


def _own_case(settings: CaseSettings) -> Case:
    for name in ("program", "vocab", "max_len"):
        if getattr(settings, name) is None:
            raise ConfigError(f"case.{name}: missing; case=custom needs case.program, case.vocab and case.max_len")
    vocab, max_len, min_len = tuple(settings.vocab or ()), settings.max_len or 0, settings.min_len or 3
    odd = [token for token in vocab if not isinstance(token, str | int) or isinstance(token, bool)]
    if len(vocab) < 2 or odd or len(set(vocab)) != len(vocab):
        raise ConfigError(f"case.vocab: found {list(vocab)}, accepted are two or more different strings or integers")
    if not 1 <= min_len <= max_len:
        raise ConfigError(f"case.max_len: found {max_len}, accepted is case.min_len={min_len} or more")
    return Case(
        name=settings.name,
        make=_imported(str(settings.program)),
        vocab=vocab,
        max_len=max_len,
        min_len=min_len,
        family="custom",
        description=f"the program {settings.program}",
        causal=bool(settings.causal),
        none_is_answer=bool(settings.none_is_answer),
        sampler=settings.sampler or "uniform",
        balanced=bool(settings.balanced),
        rearranged=bool(settings.rearranged),
    )


def _imported(path: str) -> Callable[[], Any]:
    module_name, colon, name = path.partition(":")
    if not (colon and module_name and name):
        raise ConfigError(f"case.program: found {path!r}, accepted is <module>:<function>")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"case.program: cannot import {module_name!r}: {error}") from error
    make = getattr(module, name, None)
    if not callable(make):
        functions = sorted(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise ConfigError(f"case.program: {module_name} has no function {name!r}, it has: {', '.join(functions)}")
    return make
