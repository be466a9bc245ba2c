"""A portrait of one model: all statistics that are compared with other models'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from siit.causal import OUTPUT, CausalModel, Inputs
from siit.certificate import Answers
from siit.discovery import DiscoveryTask, find_method
from siit.graph.architecture import EMBEDDINGS
from siit.realism.ablation import right_whole, right_without
from siit.realism.activations import (
    NodeActivations,
    activation_statistics,
    cosines,
    mean_of_pairs,
    node_outputs,
    overlaps,
    participation,
)
from siit.realism.superposition import variable_overlaps
from siit.realism.weights import MatrixStatistics, weight_statistics

EXACT = "exact"
METHODS = ("eap", "eap_ig_inputs", EXACT)
"""Discovery methods whose scores are compared: a fast one, a better one, and the one that both approximate."""


@dataclass(frozen=True)
class Portrait:
    """What is told of one model, on one set of inputs.

    Attributes:
        right: share of the scored answers that are right.
        right_without: node -> the same with the node's outputs replaced by their mean.
        weights: of every matrix.
        activations: of every node.
        writers: how many heads and MLPs share the variance of all that these write, see `participation`.
        cosine: the mean over pairs of heads and MLPs, see `cosines`; None where fewer than two vary.
        overlap: likewise, see `overlaps`.
        variable_overlap: pairs of variables -> see `variable_overlaps`, in the stream that the logits are read from.
        edge_scores: method -> edge -> its score.
        edges: how many edges share the sum of the scores of exact patching, see `participation`.
    """

    right: float
    right_without: Mapping[str, float]
    weights: tuple[MatrixStatistics, ...]
    activations: tuple[NodeActivations, ...]
    writers: float
    cosine: float | None
    overlap: float | None
    variable_overlap: Mapping[str, float]
    edge_scores: Mapping[str, Mapping[str, float]]
    edges: float


def portrait(task: DiscoveryTask, causal_model: CausalModel, answers: Answers) -> Portrait:
    """Measures a model.

    Args:
        task: the model and its inputs; the same inputs for all models that are compared.
        causal_model: what variables are on these inputs.
        answers: when an answer is right.
    """
    outputs = node_outputs(task)
    hidden = outputs[len(EMBEDDINGS) :]
    activations = activation_statistics(task.nodes, outputs)
    values = causal_model.run(Inputs(task.clean.cpu())).values
    scored = task.scored.cpu()
    scores = {name: dict(find_method(name)(task)) for name in METHODS}
    return Portrait(
        right=right_whole(task, answers),
        right_without=right_without(task, answers),
        weights=weight_statistics(task.config, {name: own.cpu() for name, own in task.model.state_dict().items()}),
        activations=activations,
        writers=participation(torch.tensor([one.variance for one in activations if one.node not in EMBEDDINGS])),
        cosine=mean_of_pairs(cosines(hidden)),
        overlap=mean_of_pairs(overlaps(hidden)),
        variable_overlap=variable_overlaps(
            outputs.sum(0).cpu(), {name: own[scored] for name, own in values.items() if name != OUTPUT}
        ),
        edge_scores=scores,
        edges=participation(torch.tensor(list(scores[EXACT].values()))),
    )
