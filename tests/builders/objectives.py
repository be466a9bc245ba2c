"""Makes small tasks with labelled transformers, and the configured objectives."""

from __future__ import annotations

from typing import Any

import torch

from siit.graph.architecture import ModelConfig
from siit.interchange import Pairs
from siit.interchange.alignment import AlignmentConfig, derive_labels, draw_alignment, program_layers
from siit.interchange.interventions import Interchanges
from siit.tasks import Task
from siit.training.configuration.overrides import composed
from siit.training.configuration.settings import read_settings, terms_of
from siit.training.objective import Objective, Term
from siit.training.objective.draws import Replacement
from siit.training.objective.interventions import Drawn
from siit.transformer import Transformer
from tests.builders import handmade, programs


def configured_terms(name: str) -> dict[str, Term]:
    """Reads the terms of one of the objectives in the configuration folder."""
    return terms_of(read_settings(composed(f"objective={name}")).objective)


def handmade_interchanges() -> Interchanges:
    """Makes the interchanges of the hand-written transformer's circuit."""
    model = handmade.causal_model()
    return Interchanges(model, derive_labels(model, handmade.CONFIG, {"is_x": ("m0",), "prev": ("a1.h0",)}))


def handmade_pairs(count: int, seed: int) -> Pairs:
    """Draws inputs of the hand-written transformer: BOS and four tokens."""
    tokens = torch.randint(2, (2, count, 5), generator=torch.Generator().manual_seed(seed))
    tokens[:, :, 0] = handmade.BOS
    return Pairs(tokens[0], tokens[1])


def task_of(case: str) -> Task:
    """Makes a task of the catalogue."""
    return programs.task(case)


def interchanges_of(task: Task, **changes: Any) -> Interchanges:
    """Makes the interchanges of a circuit in a small transformer, with off-circuit nodes."""
    config = ModelConfig(
        n_layers=max(program_layers(task.model).values()) + 1,
        n_heads=3,
        d_model=8,
        d_head=3,
        d_mlp=6,
        n_ctx=task.n_ctx,
        d_vocab=task.d_vocab,
        d_vocab_out=task.d_vocab_out,
        attention_dir="causal" if task.causal else "bidirectional",
        **changes,
    )
    alignment = draw_alignment(task.model, config, AlignmentConfig(), seed=0)
    return Interchanges(task.model, derive_labels(task.model, config, alignment))


def pairs_of(task: Task, count: int, seed: int) -> Pairs:
    """Draws pairs of unrelated inputs."""
    generator = torch.Generator().manual_seed(seed)
    return Pairs(task.sample(count, generator), task.sample(count, generator))


def objective_of(
    case: str, terms: dict[str, Term], source_gradient: bool = True
) -> tuple[Objective, Transformer, Task]:
    """Makes an objective on a task of the catalogue, with an untrained transformer in double precision."""
    task = task_of(case)
    objective = Objective(interchanges_of(task), terms, source_gradient, tolerance=task.answers.tolerance)
    return objective, Transformer(objective.interchanges.labels.circuit.config, seed=0).double(), task


def by_number(pairs: Pairs) -> Drawn:
    """Makes interventions of which the choice and the source's positions are told by a pair's number."""
    number, nothing = pairs.base[:, 0], torch.zeros(0, len(pairs), dtype=torch.bool, device=pairs.base.device)
    none = Replacement(nothing, nothing, torch.zeros_like(number), torch.full_like(number, -1))
    return Drawn(number % 7, nothing, pairs.base + 1, pairs.base, pairs.base, none, False)
