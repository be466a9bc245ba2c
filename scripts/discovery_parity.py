"""Records what public implementations of discovery methods say of a model, for tests/discovery/test_parity.py.

    python -m scripts.discovery_parity tests.builders.parity:frac_prevs tests/data/discovery/frac_prevs.json [PART...]

See docs/notes/discovery.md for what must be installed. AutoCircuit 1.0.1 imports two modules under names that
TransformerLens 3.9 no longer has; empty ones stand for them, since nothing of them is used here.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from siit.discovery import DiscoveryTask, TaskBatch
from siit.graph.circuit import Circuit
from siit.interop.auto_circuit import edges_by_auto_circuit_names, from_prune_scores
from siit.interop.eap_ig import batches, edge_scores, metric, takes_ids
from siit.interop.lens import to_hooked_transformer
from tests.builders.parity import PARTS, weights_digest, with_pairs

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
        return edge_scores(graph, found)

    return {
        "eap": scores(attribute.get_scores_eap),
        "eap_ig_inputs": scores(attribute.get_scores_eap_ig, steps=STEPS),
    }


def with_evaluate_graph(task: DiscoveryTask, circuit: Circuit, tolerance: float | None) -> dict[str, Any]:
    """Runs a circuit alone by the EAP-IG package, which reads the graph file that we export.

    Args:
        task: the pairs; all that is not on the circuit is what it is in the corrupted run.
        circuit: any of the model's.
        tolerance: how far a number may be off; None where answers are classes.

    Returns:
        The edges that the package has on the graph, those of them that it prunes first, the logits at the scored
        places of all pairs, and the share of right answers: of each pair's scored places, averaged over pairs.
    """
    evaluate, graphs = importlib.import_module("eap.evaluate"), importlib.import_module("eap.graph")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.json"
        path.write_text(json.dumps(circuit.to_graph_json()), encoding="utf-8")
        graph = graphs.Graph.from_json(str(path))

    def edges() -> list[str]:
        return [name for name, edge in graph.edges.items() if bool(edge.in_graph)]

    def answers(logits: Tensor, clean_logits: Any, input_lengths: Any, label: TaskBatch) -> Tensor:
        return logits.flatten(0, 1)[label.places]

    def right(logits: Tensor, clean_logits: Any, input_lengths: Any, label: TaskBatch) -> Tensor:
        found, target = answers(logits, None, None, label), label.readout.target
        is_right = found.argmax(-1) == target if tolerance is None else (found[:, 0] - target).abs() <= tolerance
        return label.per_example(is_right.to(found))

    before = edges()
    with takes_ids(evaluate, device=task.device):
        hooked = to_hooked_transformer(task.model)
        logits, shares = evaluate.evaluate_graph(hooked, graph, batches(task), [answers, right], quiet=True)
    return {
        "weights": weights_digest(task.model),
        "edges": before,
        "pruned": sorted({*before} - {*edges()}),
        "accuracy": round(float(shares.double().mean()), 6),
        "logits": [[float(f"{value:.8g}") for value in row] for row in logits.tolist()],
    }


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


def main(maker: str, out: str, *parts: str) -> None:
    """Records one model's numbers. A file that is there keeps its pairs, and the parts that are not asked for.

    Args:
        maker: `module:function` that makes the task, positions in place, such as `tests.builders.parity:frac_prevs`;
            the module's `CIRCUITS` has the circuit under the function's name.
        out: the file that is written.
        parts: of `tests.builders.parity.PARTS`; all where none is named.

    Raises:
        ValueError: a part that there is not.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise ValueError(f"part: found {unknown[0]!r}, accepted: {', '.join(PARTS)}")
    parts = parts or PARTS
    name, _, function = maker.partition(":")
    module = importlib.import_module(name)
    task: DiscoveryTask = getattr(module, function)()
    record: dict[str, Any] = {"case": function, "output": task.output}
    if Path(out).exists():
        record = json.loads(Path(out).read_text(encoding="utf-8"))
        task = with_pairs(task, record)
    record |= {field: getattr(task, field).tolist() for field in ("clean", "corrupted", "scored", "target")}
    if "scores" in parts:
        scores = {**with_eap_ig(task), **with_auto_circuit(task)}
        record["steps"] = STEPS
        record["thresholds"] = sorted(base * 10.0**exponent for base in BASES for exponent in EXPONENTS)
        record["scores"] = {
            method: {name: None if value == float("inf") else value for name, value in of_edges.items()}
            for method, of_edges in scores.items()
        }
    if "circuit" in parts:
        record["circuit"] = with_evaluate_graph(task, *module.CIRCUITS[function]())
    Path(out).write_text(json.dumps(record) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
