"""Runs the EAP-IG package (hannamw/EAP-IG) on our tasks: on ids, without an attention mask, on any device.

The package takes strings, makes ids and a mask of them with the model's tokenizer, and has the device `cuda` written
in. Under its mask a model that attends to padding answers otherwise than it was trained to.

    import eap.attribute
    from eap.graph import Graph
    from siit.interop.eap_ig import batches, edge_scores, metric, takes_ids

    hooked = to_hooked_transformer(task.model)
    graph = Graph.from_model(hooked)
    with takes_ids(eap.attribute, device=task.device):
        scores = eap.attribute.get_scores_eap(hooked, graph, batches(task), metric)
    found = edge_scores(graph, scores)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from siit.discovery.task import DiscoveryTask, TaskBatch

Ids = Int[Tensor, "batch pos"]


def batches(task: DiscoveryTask, size: int | None = None) -> list[tuple[Ids, Ids, TaskBatch]]:
    """Makes what the package takes for its data loader: clean ids, corrupted ids, and the batch as their label.

    Args:
        task: whose pairs these are.
        size: pairs in a batch; as many as fit where None.

    Raises:
        ValueError: a task that permutes positions, which a HookedTransformer cannot do.
    """
    if task.corrupted_positions is not None:
        raise ValueError("task: found permuted positions, accepted is task_of(..., permute_positions=False)")
    rows = torch.arange(len(task)).split(task.batch_size if size is None else size)
    on_device = ((part, part.to(task.device)) for part in rows)
    return [(task.clean[there], task.corrupted[there], task.batch(part)) for part, there in on_device]


def metric(
    logits: Float[Tensor, "batch pos d_vocab_out"], clean_logits: Any, input_lengths: Any, label: TaskBatch
) -> Float[Tensor, ""]:
    """Sums `TaskBatch.difference` over a batch, as the package's metrics do.

    Args:
        logits: of the run.
        clean_logits, input_lengths: not looked at; the package hands them over.
        label: the batch.
    """
    return label.difference(logits.flatten(0, 1)[label.places]).sum()


def edge_scores(graph: Any, scores: Float[Tensor, "forward backward"] | None = None) -> dict[str, float]:
    """Reads the size of every edge's score off the package's `Graph`, as its own `apply_topn` does.

    Args:
        graph: of the package; its edges have a `matrix_index`.
        scores: what a function of the package returned; None: those that the graph holds.

    Returns:
        Edge, named as in the package (`input->a1.h2<v>`), -> score: what `siit.evaluate` takes of a method.
    """
    matrix = (graph.scores if scores is None else scores).abs().tolist()
    places = {name: edge.matrix_index for name, edge in graph.edges.items()}
    return {name: matrix[sender][receiver] for name, (sender, receiver) in places.items()}


@contextmanager
def takes_ids(*modules: ModuleType, device: torch.device | str) -> Iterator[None]:
    """Lets modules of the package take ids, and make their tensors on a device, within a `with`.

    Args:
        modules: of the package, such as `eap.attribute`; each has its own `tokenize_plus` and `torch`.
        device: where they make what they would make on `cuda`.

    Raises:
        ValueError: a module without these.
    """
    replaced = {"tokenize_plus": _tokenized, "torch": _TorchOn(torch.device(device))}
    for module in modules:
        missing = [name for name in replaced if not hasattr(module, name)]
        if missing:
            raise ValueError(f"module: found no {missing[0]} in {module.__name__}, accepted are modules of EAP-IG")
    before = [(module, name, getattr(module, name)) for module in modules for name in replaced]
    try:
        for module, name, _ in before:
            setattr(module, name, replaced[name])
        yield
    finally:
        for module, name, own in before:
            setattr(module, name, own)


def _tokenized(model: Any, inputs: Ids, max_length: int | None = None) -> tuple[Ids, None, Tensor, int]:
    """Stands for the package's function: ids as they are, no mask, all of one length."""
    lengths = torch.full((len(inputs),), inputs.shape[1], device=inputs.device)
    return inputs, None, lengths, inputs.shape[1]


class _TorchOn:
    """Stands for the module `torch`, with `cuda` for another device where zeros are made."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    def zeros(self, *size: Any, **how: Any) -> Tensor:
        return torch.zeros(*size, **{**how, "device": self._device} if how.get("device") == "cuda" else how)
