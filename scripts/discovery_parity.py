"""Records what public implementations of discovery methods say of a model, for tests/discovery/test_parity.py.

See docs/notes/discovery.md for what must be installed. AutoCircuit 1.0.1 imports two modules under names that
TransformerLens 3.9 no longer has; empty ones stand for them, since nothing of them is used here.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from siit.discovery import DiscoveryTask
from siit.interop.auto_circuit import edges_by_auto_circuit_names, from_prune_scores
from siit.interop.eap_ig import batches, metric, takes_ids
from siit.interop.lens import to_hooked_transformer

STEPS = 5
BASES, EXPONENTS = [1, 3], [-5, -4, -3, -2]
"""ACDC's thresholds: a base times a power of ten."""


def with_eap_ig(task: DiscoveryTask) -> dict[str, dict[str, float]]:
    """Scores edges by EAP and EAP-IG (inputs) of the EAP-IG package."""
    attribute, graphs = importlib.import_module("eap.attribute"), importlib.import_module("eap.graph")

    def scores(method: Callable[..., Any], **how: Any) -> dict[str, float]:
        hooked = to_hooked_transformer(task.model)
        graph = graphs.Graph.from_model(hooked)
        with takes_ids(attribute, device=task.device):
            found = method(hooked, graph, batches(task), metric, quiet=True, **how)
        return {name: abs(float(found[place(edge)])) for name, edge in graph.edges.items()}

    return {
        "eap": scores(attribute.get_scores_eap),
        "eap_ig_inputs": scores(attribute.get_scores_eap_ig, steps=STEPS),
    }


def place(edge: Any) -> tuple[int, int]:
    """Finds an edge in the package's matrix of scores."""
    return getattr(edge, "matrix_index", edge)


def with_auto_circuit(task: DiscoveryTask) -> dict[str, dict[str, float]]:
    """Finds the least threshold at which AutoCircuit's ACDC leaves an edge out, infinity where there is none."""
    lens = importlib.import_module("transformer_lens")
    for name in ("HookedTransformerKeyValueCache",):
        setattr(lens, name, getattr(lens, name, object))
    caching = types.ModuleType("transformer_lens.past_key_value_caching")
    caching.HookedTransformerKeyValueCache = caching.HookedTransformerKeyValueCacheEntry = object  # type: ignore[attr-defined]
    sys.modules.setdefault(caching.__name__, caching)
    acdc = importlib.import_module("auto_circuit.prune_algos.ACDC")
    data = importlib.import_module("auto_circuit.data")
    graphs = importlib.import_module("auto_circuit.utils.graph_utils")
    # It has no progress bar that can be turned off, and takes ids alone.
    empty = [torch.zeros(1, dtype=torch.int64)] * len(task)
    pairs = data.PromptDataset(list(task.clean), list(task.corrupted), empty, empty)
    loader = data.PromptDataLoader(pairs, seq_len=task.clean.shape[1], diverge_idx=0, batch_size=len(task))
    model = graphs.patchable_model(
        to_hooked_transformer(task.model), factorized=True, slice_output="not_first_seq", separate_qkv=True
    )
    # It takes edges from a set, in an order that differs from run to run; its sort by layer keeps the order of a list.
    order = list(reversed(edges_by_auto_circuit_names(task.config)))
    model.edges = sorted(model.edges, key=lambda edge: order.index(edge.name))
    target = "mse" if task.output == "numerical" else "kl_div"
    found = acdc.acdc_prune_scores(model, loader, None, EXPONENTS, BASES, target)
    return {"acdc": from_prune_scores(found, task.config)}


def main(maker: str, out: str) -> None:
    """Records one model's numbers.

    Args:
        maker: `module:function` that makes the task, positions in place, such as `tests.builders.parity:frac_prevs`.
        out: the file that is written.
    """
    module, _, function = maker.partition(":")
    task: DiscoveryTask = getattr(importlib.import_module(module), function)()
    tensors = {name: getattr(task, name).tolist() for name in ("clean", "corrupted", "scored", "target")}
    scores = {**with_eap_ig(task), **with_auto_circuit(task)}
    record = {
        "case": function,
        "output": task.output,
        **tensors,
        "steps": STEPS,
        "thresholds": sorted(base * 10.0**exponent for base in BASES for exponent in EXPONENTS),
        "scores": {
            method: {name: None if value == float("inf") else value for name, value in of_edges.items()}
            for method, of_edges in scores.items()
        },
    }
    Path(out).write_text(json.dumps(record) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
