"""A published InterpBench case as a bundle: its labels, held against the causal model of the same program.

The files name no variables, tokens or classes. These come from our catalogue's program of the same InterpBench id, and
their ids from Tracr, whose encoders InterpBench uses. So this needs the extra `train`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from siit._extras import require
from siit.bundle import Bundle, write_bundle
from siit.bundle.untrusted import check_seed
from siit.graph.architecture import Edge, ModelConfig, is_head, layer_of
from siit.interpbench.files import META, PublishedCase, read_case
from siit.training.bundling import measured_bundle

if TYPE_CHECKING:
    from siit.causal import CausalModel
    from siit.interchange.alignment import Labels
    from siit.tasks import Task
    from tracr_cases import Case

BOS, PAD = "BOS", "PAD"
"""As InterpBench compiles its programs."""


def import_interpbench(
    folder: str | Path,
    root: str | Path | None = None,
    *,
    case: str | None = None,
    alignment: Mapping[str, Sequence[str]] | None = None,
    min_len: int | None = None,
) -> Bundle:
    """Reads a published case safely, measures what its labels are worth, and makes a bundle of it.

    Its circuit has the published edges, and as nodes the ends of these. Each edge carries the high-level edge that the
    program has there. Where it has none the edge carries nothing, so no interchange tests it. It stays in place where
    off-circuit edges are replaced. An edge of the program that the labels leave out counts as off the circuit.
    Published nodes whose variables never change on the inputs cannot be tested: they and their edges are taken out, and
    `circuit.excluded` says so.

    Token ids and classes are renumbered as ours are (the embedding's rows, the unembedding's columns); the model
    computes the same.

    Args:
        folder: as on the Hub, such as `InterpBench/3`; see `siit.interpbench.read_case`.
        root: where to write `interpbench-<id>/seed-<seed>` of the bundle too, certified or not; None: nowhere.
        case: the catalogue's name of the program; by default the one whose InterpBench id is the folder's name.
        alignment: variable -> its nodes. By default each variable is on the published nodes of its kind in its layer,
            where there is one way to place them.
        min_len: the smallest number of tokens; by default all sequences fill the context, as InterpBench's do.

    Raises:
        BundleError: a file that is missing, damaged or made to harm; nothing of it has run.
        ValueError: no such program, a model of another vocabulary, or no one alignment; says what is accepted.
        ImportError: the extra `train` is not installed.
    """
    for library in ("tracr.compiler", "jax", "haiku"):
        require(library, extra="train", needed_by="import_interpbench")
    from siit.interchange.evidence import build_evidence
    from siit.interchange.interventions import Interchanges
    from siit.tasks import ProgramPairSampler

    folder = Path(folder)
    published = read_case(folder)
    seed = check_seed(published.meta.get("seed", 0), META)
    program = dataclasses.replace(_find_case(folder.name, case), max_len=published.config.n_ctx - 1)
    task = _task(program, min_len)
    labels = _labels(task, published, alignment)
    parameters, classes = _renumbered(published, program, task.model)
    evidence = build_evidence(
        Interchanges(task.model, labels), ProgramPairSampler(task, "test"), 0, answers=task.answers
    )
    bundle, _ = measured_bundle(
        task,
        labels.circuit,
        parameters,
        evidence,
        case=f"interpbench-{program.interpbench_id}",
        seed=seed,
        train_yaml=f"# Not trained here: published by InterpBench, with this meta.json\n{json.dumps(published.meta)}\n",
        classes=classes,
    )
    if root is not None:
        write_bundle(Path(root), bundle, allow_uncertified=True)
    return bundle


def _find_case(identifier: str, name: str | None) -> Case:
    import tracr_cases

    cases = {other: tracr_cases.get(other) for other in tracr_cases.names()}
    if name is not None:
        if name not in cases:
            raise ValueError(f"case: found {name!r}, accepted: {', '.join(cases)}")
        return cases[name]
    by_id = {case.interpbench_id: case for case in cases.values() if case.interpbench_id is not None}
    if identifier not in by_id:
        raise ValueError(
            f"case: found a folder named {identifier!r}, accepted are the InterpBench ids "
            f"{', '.join(sorted(by_id, key=int))}, or a program of the catalogue by its name: case=..."
        )
    return by_id[identifier]


def _task(program: Case, min_len: int | None) -> Task:
    from siit.training.rasp import task_from_case
    from siit.training.rasp.from_rasp import build_causal_model

    fixed = dataclasses.replace(program, min_len=program.max_len if min_len is None else min_len)
    return task_from_case(fixed, build_causal_model(fixed))


def _labels(task: Task, published: PublishedCase, alignment: Mapping[str, Sequence[str]] | None) -> Labels:
    """The published circuit, with the high-level interchanges that its edges stand for."""
    from siit.interchange import Pairs
    from siit.interchange.alignment import AlignmentConfig, Labels, derive_labels, draw_alignment
    from siit.interchange.interventions import inert_parts

    config = published.config
    nodes = _labelled_nodes(published.edges)
    placed = alignment if alignment is not None else _infer(task.model, nodes)
    settings = AlignmentConfig(nodes=placed)
    generator = torch.Generator().manual_seed(0)
    pairs = Pairs(task.sample(4096, generator), task.sample(4096, generator))
    excluded = dict(inert_parts(task.model, pairs, generator))
    derived = derive_labels(task.model, config, draw_alignment(task.model, config, settings, seed=0), excluded)
    _check_cover(nodes, placed)
    members = set(derived.circuit.members)
    carries: dict[Edge, str | None] = {}
    for edge in published.edges:
        if {edge.sender, edge.receiver} <= members:
            carries[edge] = derived.circuit.carries.get(edge)
        else:
            excluded[f"published edge {edge}"] = "no interchange can test a node whose variable never changes"
    circuit = dataclasses.replace(derived.circuit, carries=carries, excluded=excluded)
    kept = {name: group for name, group in derived.edges.items() if name in circuit.edges_by_carried}
    return Labels(circuit, derived.units, kept)


def _labelled_nodes(edges: Sequence[Edge]) -> list[str]:
    ends = dict.fromkeys(end for edge in edges for end in (edge.sender, edge.receiver))
    return [node for node in ends if not node.endswith(("embed", "logits"))]


def _infer(model: CausalModel, nodes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Every variable on the published nodes of its kind in its layer.

    Raises:
        ValueError: a variable without such a node, or attention variables that could have each other's heads.
    """
    from siit.interchange.alignment import program_layers

    layers = program_layers(model)
    placed: dict[str, tuple[str, ...]] = {}
    for name, variable in model.variables.items():
        kind = [node for node in nodes if is_head(node) == variable.is_attention and layer_of(node) == layers[name]]
        rivals = [
            other
            for other, another in model.variables.items()
            if other != name and another.is_attention and variable.is_attention and layers[other] == layers[name]
        ]
        if not kind or (rivals and len(kind) > 1):
            what = "a head" if variable.is_attention else "the MLP"
            raise ValueError(
                f"alignment: {name} needs {what} of layer {layers[name]}, found "
                f"{', '.join(kind) or 'none'} in the labels{f', also for {rivals[0]}' if rivals else ''}; "
                "accepted is alignment={variable: nodes} with every variable"
            )
        placed[name] = tuple(kind)
    return placed


def _check_cover(nodes: Sequence[str], placed: Mapping[str, Sequence[str]]) -> None:
    free = sorted(set(nodes) - {node for group in placed.values() for node in group})
    if free:
        raise ValueError(
            f"alignment: found no variable on the published nodes {', '.join(free)}, "
            "accepted is alignment={variable: nodes} that puts one on each"
        )


def _renumbered(
    published: PublishedCase, program: Case, model: CausalModel
) -> tuple[dict[str, Tensor], tuple[Any, ...] | None]:
    """The weights with tokens and classes in our order, and the classes; those that never occur come last."""
    from tracr.compiler import compiling
    from tracr.craft import bases

    config = published.config
    token_space = bases.VectorSpaceWithBasis.from_values("tokens", {*program.vocab, BOS, PAD})
    token_ids = {direction.value: number for number, direction in enumerate(token_space.basis)}
    parameters = dict(published.parameters)
    _check_size("d_vocab", config, len(token_ids))
    rows = [token_ids[token] for token in (*program.vocab, BOS, PAD)]
    parameters["embed.W_E"] = parameters["embed.W_E"][rows]
    if model.classes is None:
        _check_size("d_vocab_out", config, 1)
        return parameters, None
    compiled = compiling.compile_rasp_to_model(
        program.expression(),
        vocab=set(program.vocab),
        max_seq_len=program.max_len,
        causal=config.attention_dir == "causal",
        compiler_bos=BOS,
        compiler_pad=PAD,
    )
    class_ids = compiled.output_encoder.encoding_map
    _check_size("d_vocab_out", config, len(class_ids))
    impossible = [value for value in model.classes if value not in class_ids]
    if impossible:
        raise ValueError(
            f"classes: found no output {impossible[0]!r} in the published model, accepted are models that can give all "
            f"answers of {program.name}"
        )
    classes = (*model.classes, *(value for value in class_ids if value not in model.classes))
    columns = [class_ids[value] for value in classes]
    for name in ("unembed.W_U", "unembed.b_U"):
        parameters[name] = parameters[name][..., columns]
    return parameters, classes


def _check_size(field: str, config: ModelConfig, accepted: int) -> None:
    if getattr(config, field) != accepted:
        raise ValueError(f"{field}: found {getattr(config, field)}, accepted is {accepted}, as Tracr gives the program")
