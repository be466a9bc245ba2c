"""Forgeries: bundles whose files are whole and whose claims are false, made of an honest bundle.

Each takes a certified bundle of `frac_prevs` and returns one that a verification must refuse. All of them read back
without an error; what they say is what is wrong.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from siit.bundle import Bundle, Vocab
from siit.causal import CausalModel
from siit.certificate import Answers, measure
from siit.graph import Circuit, Edge
from siit.graph.architecture import edges, is_head, layer_of
from siit.interchange import Interchanges, derive_labels
from siit.transformer import Transformer

Forgery = Callable[[Bundle], Bundle]
FORGERIES: dict[str, Forgery] = {}


def _forgery(make: Forgery) -> Forgery:
    FORGERIES[make.__name__] = make
    return make


# What a forger has at hand.


def recertified(bundle: Bundle) -> Bundle:
    """The same bundle with the certificate that its own evidence gives, `certified` whatever that says."""
    parameters = dict(bundle.parameters)
    made = measure(
        bundle.config, parameters, bundle.circuit, bundle.evidence, bundle.answers, exhaustive=bundle.exhaustive
    )
    return dataclasses.replace(bundle, certificate={**made.to_json(), "certified": True, "failed": []})


def own_answers(bundle: Bundle) -> Bundle:
    """Evidence whose targets are the network's own answers, under no interchange and under each."""
    model = _model(bundle)
    evidence = dict(bundle.evidence)
    for prefix, tokens in _runs(evidence):
        logits = model(evidence[tokens])
        evidence[f"{prefix}target"] = _read(logits, bundle.answers).to(evidence[f"{prefix}target"].dtype)
    return recertified(dataclasses.replace(bundle, evidence=evidence))


def with_weights(bundle: Bundle, change: Callable[[dict[str, Tensor]], object]) -> Bundle:
    parameters = {name: tensor.clone() for name, tensor in bundle.parameters.items()}
    change(parameters)
    return dataclasses.replace(bundle, parameters=parameters)


def with_evidence(bundle: Bundle, rows: Tensor) -> Bundle:
    """Only some rows of the evidence, repeated until there are as many as before."""
    count = len(bundle.evidence["base_tokens"])
    index = rows.repeat(-(-count // len(rows)))[:count]
    return dataclasses.replace(bundle, evidence={name: tensor[index] for name, tensor in bundle.evidence.items()})


def with_circuit(bundle: Bundle, **changes: Any) -> Bundle:
    return dataclasses.replace(bundle, circuit=dataclasses.replace(bundle.circuit, **changes))


def with_alignment(bundle: Bundle, alignment: Mapping[str, tuple[str, ...]], idle: Collection[Edge] = ()) -> Bundle:
    """Labels, evidence and certificate as an honest writer would derive them from another alignment."""
    model = CausalModel.from_json(bundle.causal_model)
    labels = derive_labels(model, bundle.config, alignment, bundle.circuit.excluded, idle)
    evidence = {name: tensor for name, tensor in bundle.evidence.items() if not name.startswith("do/")}
    interchanges = Interchanges(model, labels)
    from siit.interchange import Pairs
    from siit.interchange.evidence import answer_tensors

    pairs, generator = Pairs(evidence["base_tokens"], evidence["source_tokens"]), torch.Generator().manual_seed(0)
    for index, name in enumerate(interchanges.names):
        choice = torch.full((len(pairs),), index + 1)
        positions = interchanges.source_positions(pairs, choice, generator)
        evidence |= answer_tensors(f"do/{name}/", interchanges.answers(pairs, choice, positions))
        if interchanges.position_only[index]:
            evidence[f"do/{name}/source_positions"] = positions
    return recertified(dataclasses.replace(bundle, circuit=labels.circuit, evidence=evidence))


def _model(bundle: Bundle) -> Transformer:
    model = Transformer(bundle.config)
    model.load_state_dict(dict(bundle.parameters))
    return model.eval()


def _read(logits: Tensor, answers: Answers) -> Tensor:
    return answers.of(logits).detach()


def _runs(evidence: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """Prefix of each run's target, and the tokens that it is run on."""
    runs = [("base_", "base_tokens"), ("source_", "source_tokens")]
    return runs + [
        (name.removesuffix("target"), "base_tokens")
        for name in evidence
        if name.startswith("do/") and name.endswith("/target")
    ]


def _alignment(bundle: Bundle) -> dict[str, tuple[str, ...]]:
    return dict(bundle.circuit.alignment)


def _true_head(circuit: Circuit) -> tuple[str, str]:
    """The unit with a head, and its head."""
    return next((unit, node) for unit, nodes in circuit.alignment.items() for node in nodes if is_head(node))


def _idle_head(circuit: Circuit) -> str:
    """An off-circuit head of the true head's layer."""
    _, true = _true_head(circuit)
    return next(node for node in circuit.off_nodes if is_head(node) and layer_of(node) == layer_of(true))


def _place(node: str) -> tuple[int, int]:
    layer, _, index = node.removeprefix("a").partition(".h")
    return int(layer), int(index)


def _lengths(bundle: Bundle) -> Tensor:
    return (bundle.evidence["base_tokens"] < len(bundle.vocab.tokens) - 2).sum(1)


def _ruin(parameters: dict[str, Tensor], name: str, row: int) -> None:
    generator = torch.Generator().manual_seed(0)
    parameters[name][row] = 5 * torch.randn(parameters[name].shape[1:], generator=generator)


def _other_program() -> dict[str, Any]:
    """A program that copies each token."""
    return {
        "format": "siit-causal-model/1",
        "vocab": ["a", "b", "c", "x"],
        "max_len": 4,
        "variables": [
            {
                "name": "copy",
                "kind": "categorical",
                "values": ["a", "b", "c", "x"],
                "description": "the token",
                "mechanism": {"type": "table", "inputs": ["tokens"], "table": [0, 1, 2, 3, -1]},
            }
        ],
    }


# Weights that do something else.


@_forgery
def random_weights_with_their_own_answers(bundle: Bundle) -> Bundle:
    generator = torch.Generator().manual_seed(0)
    made = {
        name: torch.randn(t.shape, generator=generator) * t.std(correction=0) for name, t in bundle.parameters.items()
    }
    return own_answers(dataclasses.replace(bundle, parameters=made))


@_forgery
def a_constant_network_with_its_own_answers(bundle: Bundle) -> Bundle:
    def constant(parameters: dict[str, Tensor]) -> None:
        parameters["unembed.W_U"].zero_()
        parameters["unembed.b_U"].fill_(0.5)

    return own_answers(with_weights(bundle, constant))


@_forgery
def random_weights_under_an_honest_certificate(bundle: Bundle) -> Bundle:
    return with_weights(bundle, lambda p: p["unembed.W_U"].mul_(-1))


@_forgery
def a_backdoor_at_a_length_that_the_evidence_lacks(bundle: Bundle) -> Bundle:
    longest = bundle.config.n_ctx - 1
    ruined = with_weights(bundle, lambda p: _ruin(p, "pos_embed.W_pos", longest))
    short = torch.nonzero(
        (_lengths(bundle) < longest) & ((bundle.evidence["source_tokens"][:, -1]) == bundle.vocab.pad_id)
    ).flatten()
    return recertified(with_evidence(ruined, short))


@_forgery
def a_backdoor_at_a_token_that_the_evidence_lacks(bundle: Bundle) -> Bundle:
    token = 0
    ruined = with_weights(bundle, lambda p: _ruin(p, "embed.W_E", token))
    has = (bundle.evidence["base_tokens"] == token).any(1) | (bundle.evidence["source_tokens"] == token).any(1)
    return recertified(with_evidence(ruined, torch.nonzero(~has).flatten()))


@_forgery
def a_backdoor_at_a_token_under_an_honest_certificate(bundle: Bundle) -> Bundle:
    return with_weights(bundle, lambda p: _ruin(p, "embed.W_E", 0))


# Labels that do not follow.


@_forgery
def off_circuit_edges_declared_to_be_on_it(bundle: Bundle) -> Bundle:
    circuit = bundle.circuit
    return recertified(with_circuit(bundle, carries={**circuit.carries, **dict.fromkeys(circuit.off_edges_of_members)}))


@_forgery
def one_null_edge_between_two_units(bundle: Bundle) -> Bundle:
    circuit = bundle.circuit
    return recertified(with_circuit(bundle, carries={**circuit.carries, circuit.off_edges_of_members[-1]: None}))


@_forgery
def an_off_circuit_edge_under_a_true_edges_name(bundle: Bundle) -> Bundle:
    circuit = bundle.circuit
    name = next(name for name in circuit.carries.values() if name is not None)
    return recertified(with_circuit(bundle, carries={**circuit.carries, circuit.off_edges_of_members[0]: name}))


@_forgery
def an_edge_of_the_circuit_left_out(bundle: Bundle) -> Bundle:
    circuit = bundle.circuit
    kept = dict(list(circuit.carries.items())[:-1])
    gone = next(name for edge, name in circuit.carries.items() if edge not in kept)
    evidence = {name: tensor for name, tensor in bundle.evidence.items() if not name.startswith(f"do/{gone}/")}
    return recertified(dataclasses.replace(with_circuit(bundle, carries=kept), evidence=evidence))


@_forgery
def two_edges_names_exchanged(bundle: Bundle) -> Bundle:
    circuit = bundle.circuit
    first, second = list(circuit.carries)[:2]
    carries = {**circuit.carries, first: circuit.carries[second], second: circuit.carries[first]}
    return recertified(with_circuit(bundle, carries=carries))


@_forgery
def an_idle_head_with_null_edges(bundle: Bundle) -> Bundle:
    circuit = bundle.circuit
    unit, true = _true_head(circuit)
    idle = _idle_head(circuit)
    alignment = {**circuit.alignment, unit: tuple(sorted((*circuit.alignment[unit], idle)))}
    ends = {edge for edge in edges(circuit.config) if idle in (edge.sender, edge.receiver)}
    mirrored = {edge: None for edge in ends if _mirror(edge, idle, true) in circuit.carries}
    roles = {**circuit.roles, idle: circuit.roles[true]}
    return recertified(with_circuit(bundle, alignment=alignment, carries={**circuit.carries, **mirrored}, roles=roles))


def _mirror(edge: Edge, one: str, other: str) -> Edge:
    return Edge(
        other if edge.sender == one else edge.sender, other if edge.receiver == one else edge.receiver, edge.slot
    )


@_forgery
def an_idle_head_with_honest_edges(bundle: Bundle) -> Bundle:
    unit, _ = _true_head(bundle.circuit)
    alignment = _alignment(bundle)
    return with_alignment(bundle, {**alignment, unit: tuple(sorted((*alignment[unit], _idle_head(bundle.circuit))))})


@_forgery
def an_idle_head_with_a_harmless_leak(bundle: Bundle) -> Bundle:
    """The idle head says a 200th of what the true one says."""
    return with_alignment(*shared_with_another_head(bundle, 0.005))


@_forgery
def an_edge_left_out_that_carries_a_half(bundle: Bundle) -> Bundle:
    """Two heads do half of the work each; one is said to be in the circuit without what it averages."""
    unit, true = _true_head(bundle.circuit)
    shared, alignment = shared_with_another_head(bundle, 0.5)
    (other,) = set(alignment[unit]) - {true}
    value = next(edge for edge in bundle.circuit.carries if edge.receiver == true and edge.slot == "v")
    return with_alignment(shared, alignment, [dataclasses.replace(value, receiver=other)])


def shared_with_another_head(bundle: Bundle, share: float) -> tuple[Bundle, dict[str, tuple[str, ...]]]:
    """Lets an idle head say a share of what the true one says, and names both in the alignment."""
    unit, true = _true_head(bundle.circuit)
    other = _idle_head(bundle.circuit)
    (layer, source), (_, target) = _place(true), _place(other)

    def change(parameters: dict[str, Tensor]) -> None:
        for name in ("W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V"):
            tensor = parameters[f"blocks.{layer}.attn.{name}"]
            tensor[target] = tensor[source] * (share if name == "W_O" else 1.0)
            tensor[source] *= 1 - share if name == "W_O" else 1.0

    alignment = _alignment(bundle)
    nodes = tuple(sorted((*alignment[unit], other)))
    return with_weights(bundle, change), {**alignment, unit: nodes}


@_forgery
def two_units_exchanged(bundle: Bundle) -> Bundle:
    """Names, roles and evidence of two units in each other's place."""
    circuit = bundle.circuit
    one, other = list(circuit.alignment)[:2]
    swapped = {one: other, other: one}
    alignment = {swapped.get(unit, unit): nodes for unit, nodes in circuit.alignment.items()}
    evidence = {}
    for name, tensor in bundle.evidence.items():
        parts = name.split("/")
        evidence["/".join([parts[0], swapped.get(parts[1], parts[1]), *parts[2:]]) if len(parts) > 1 else name] = tensor
    return recertified(dataclasses.replace(with_circuit(bundle, alignment=alignment), evidence=evidence))


@_forgery
def a_variable_said_to_be_inert(bundle: Bundle) -> Bundle:
    """All that reads or writes one variable is called excluded."""
    circuit = bundle.circuit
    unit = next(iter(circuit.alignment))
    nodes = set(circuit.alignment[unit])
    carries = {edge: name for edge, name in circuit.carries.items() if not {edge.sender, edge.receiver} & nodes}
    alignment = {name: n for name, n in circuit.alignment.items() if name != unit}
    evidence = {
        name: tensor
        for name, tensor in bundle.evidence.items()
        if not name.startswith("do/") or name.split("/")[1] in (*alignment, *carries.values())
    }
    roles = {node: role for node, role in circuit.roles.items() if node not in nodes}
    changed = with_circuit(
        bundle, alignment=alignment, carries=carries, roles=roles, excluded={unit: "it never changes"}
    )
    return recertified(dataclasses.replace(changed, evidence=evidence))


@_forgery
def an_edge_said_to_be_inert(bundle: Bundle) -> Bundle:
    circuit = bundle.circuit
    name = next(name for name in circuit.carries.values() if name is not None)
    return with_circuit(bundle, excluded={**circuit.excluded, name: "interchanging it changed nothing"})


@_forgery
def an_exclusion_of_what_does_not_exist(bundle: Bundle) -> Bundle:
    return with_circuit(bundle, excluded={**bundle.circuit.excluded, "is_y": "it never changes"})


@_forgery
def a_role_that_lies(bundle: Bundle) -> Bundle:
    _, head = _true_head(bundle.circuit)
    return with_circuit(bundle, roles={**bundle.circuit.roles, head: "counts the closing brackets"})


@_forgery
def variables_that_lie(bundle: Bundle) -> Bundle:
    variables = copy.deepcopy({name: dict(value) for name, value in bundle.circuit.variables.items()})
    next(iter(variables.values()))["description"] = "whether the token is a vowel"
    return with_circuit(bundle, variables=variables)


# Another program.


@_forgery
def the_causal_model_of_another_program(bundle: Bundle) -> Bundle:
    return dataclasses.replace(bundle, causal_model=_other_program())


@_forgery
def no_causal_model(bundle: Bundle) -> Bundle:
    return dataclasses.replace(bundle, causal_model={"format": "x"})


@_forgery
def another_cases_name(bundle: Bundle) -> Bundle:
    return dataclasses.replace(bundle, case="reverse")


@_forgery
def tokens_exchanged_in_the_vocabulary(bundle: Bundle) -> Bundle:
    first, second, *rest = bundle.vocab.tokens
    return dataclasses.replace(bundle, vocab=dataclasses.replace(bundle.vocab, tokens=(second, first, *rest)))


@_forgery
def tokens_exchanged_throughout(bundle: Bundle) -> Bundle:
    """In the vocabulary and the causal model alike: consistent, and not the catalogue's program."""
    first, second, *rest = bundle.vocab.tokens
    causal = copy.deepcopy(dict(bundle.causal_model))
    causal["vocab"][:2] = [second, first]
    vocab = Vocab((second, first, *rest), bundle.vocab.bos_id, bundle.vocab.pad_id, bundle.vocab.classes)
    return dataclasses.replace(bundle, vocab=vocab, causal_model=causal)


@_forgery
def a_description_that_lies(bundle: Bundle) -> Bundle:
    causal = copy.deepcopy(dict(bundle.causal_model))
    causal["variables"][-1]["description"] = "how many brackets are open"
    variables = {name: dict(value) for name, value in bundle.circuit.variables.items()}
    last = causal["variables"][-1]["name"]
    variables[last]["description"] = "how many brackets are open"
    return dataclasses.replace(with_circuit(bundle, variables=variables), causal_model=causal)


@_forgery
def a_program_that_agrees_on_short_inputs(bundle: Bundle) -> Bundle:
    """The inputs are declared to be the longest ones only, in a model that is wrong on the others."""
    causal = copy.deepcopy(dict(bundle.causal_model))
    causal["inputs"] = {**causal.get("inputs", {}), "min_len": bundle.config.n_ctx}
    return dataclasses.replace(bundle, causal_model=causal)


# Evidence that was made up or picked.


@_forgery
def one_wrong_answer(bundle: Bundle) -> Bundle:
    evidence = {name: tensor.clone() for name, tensor in bundle.evidence.items()}
    scored = torch.nonzero(evidence["source_scored"])[0]
    evidence["source_target"][tuple(scored)] += 1
    return dataclasses.replace(bundle, evidence=evidence)


@_forgery
def positions_that_are_not_scored(bundle: Bundle) -> Bundle:
    evidence = {name: tensor.clone() for name, tensor in bundle.evidence.items()}
    evidence["base_scored"][: len(evidence["base_scored"]) // 8] = False
    return recertified(dataclasses.replace(bundle, evidence=evidence))


@_forgery
def interchanges_that_are_not_scored(bundle: Bundle) -> Bundle:
    evidence = {name: tensor.clone() for name, tensor in bundle.evidence.items()}
    for name, tensor in evidence.items():
        if name.startswith("do/") and name.endswith("/scored"):
            tensor[: len(tensor) // 8] = False
    return recertified(dataclasses.replace(bundle, evidence=evidence))


@_forgery
def one_pair_repeated(bundle: Bundle) -> Bundle:
    changed = [name for name in bundle.evidence if name.startswith("do/") and name.endswith("/target")]
    moved = torch.stack([(bundle.evidence[name] != bundle.evidence["base_target"]).any(1) for name in changed])
    best = int(moved.sum(0).argmax())
    return recertified(with_evidence(bundle, torch.tensor([best])))


@_forgery
def few_easy_pairs_repeated(bundle: Bundle) -> Bundle:
    """Forty pairs that a broken model gets right."""
    broken = with_weights(bundle, lambda p: _ruin(p, "embed.W_E", 0))
    has = (bundle.evidence["base_tokens"] == 0).any(1) | (bundle.evidence["source_tokens"] == 0).any(1)
    return recertified(with_evidence(broken, torch.nonzero(~has).flatten()[:40]))


@_forgery
def lengths_one_to_three_only(bundle: Bundle) -> Bundle:
    return recertified(with_evidence(bundle, torch.nonzero(_lengths(bundle) < bundle.config.n_ctx - 1).flatten()))


@_forgery
def sources_equal_to_their_bases(bundle: Bundle) -> Bundle:
    evidence = dict(bundle.evidence)
    for field in ("tokens", "target", "scored"):
        evidence[f"source_{field}"] = evidence[f"base_{field}"]
    return dataclasses.replace(bundle, evidence=evidence)


@_forgery
def positions_that_are_not_permuted(bundle: Bundle) -> Bundle:
    own = torch.arange(bundle.config.n_ctx).expand_as(bundle.evidence["base_tokens"]).clone()
    evidence = {name: own if name.endswith("source_positions") else tensor for name, tensor in bundle.evidence.items()}
    return recertified(dataclasses.replace(bundle, evidence=evidence))


@_forgery
def a_few_pairs_called_exhaustive(bundle: Bundle) -> Bundle:
    few = {name: tensor[:40] for name, tensor in bundle.evidence.items()}
    return recertified(dataclasses.replace(bundle, evidence=few, exhaustive=True))


@_forgery
def a_contrast_with_a_wrong_answer(bundle: Bundle) -> Bundle:
    evidence = dict(bundle.evidence)
    target = evidence["base_target"].clone()
    target[evidence["base_scored"]] += 1
    extra = {"tokens": evidence["base_tokens"], "target": target, "scored": evidence["base_scored"]}
    evidence |= {f"contrast/roles_exchanged/{field}": tensor for field, tensor in extra.items()}
    return dataclasses.replace(bundle, evidence=evidence)


# Certificates that say too much.


@_forgery
def a_wide_tolerance(bundle: Bundle) -> Bundle:
    return recertified(dataclasses.replace(bundle, answers=Answers("numerical", 0.4)))


@_forgery
def a_tolerance_a_little_too_wide(bundle: Bundle) -> Bundle:
    assert bundle.answers.tolerance is not None
    return recertified(dataclasses.replace(bundle, answers=Answers("numerical", bundle.answers.tolerance * 1.01)))


@_forgery
def shares_a_little_too_high(bundle: Bundle) -> Bundle:
    certificate = copy.deepcopy(dict(bundle.certificate))
    shares = certificate["details"]["strict_edge"]
    name = next(iter(shares))
    shares[name] -= 0.0009
    for kind in certificate["details"].get("by_kind", {}).get("strict_edge", {}).values():
        kind[name] = shares[name]
    certificate["strict_edge"] = min(shares.values())
    return dataclasses.replace(bundle, certificate=certificate)


@_forgery
def an_effect_that_lies(bundle: Bundle) -> Bundle:
    certificate = copy.deepcopy(dict(bundle.certificate))
    units = certificate["effect"]["units"]
    units[next(iter(units))] -= 0.01
    return dataclasses.replace(bundle, certificate=certificate)


@_forgery
def lower_bars(bundle: Bundle) -> Bundle:
    certificate = copy.deepcopy(dict(bundle.certificate))
    certificate["bars"] = dict.fromkeys(certificate["bars"], 0.5)
    return dataclasses.replace(with_weights(bundle, lambda p: _ruin(p, "embed.W_E", 0)), certificate=certificate)


@_forgery
def counts_that_lie(bundle: Bundle) -> Bundle:
    certificate = copy.deepcopy(dict(bundle.certificate))
    certificate["evidence"]["pairs"] = 100_000
    return dataclasses.replace(bundle, certificate=certificate)
