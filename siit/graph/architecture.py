"""Describes the shape of the low-level model: its configuration, components (nodes) and edges.

Names are those of `HookedTransformerConfig` (TransformerLens) for the configuration and those of
EAP-IG / MIB for components: `tok_embed`, `pos_embed`, `a{layer}.h{head}`, `m{layer}`, `logits`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from siit._text import shortened
from siit.graph.limits import MAX_LAYERS, SIZES, check_sums

Slot = Literal["q", "k", "v"]
HEAD_SLOTS: tuple[Slot, ...] = ("q", "k", "v")
ACTIVATIONS = ("gelu", "gelu_new", "relu", "silu")
DIRECTIONS = ("causal", "bidirectional")
NORMALIZATIONS = (None, "LN")
TOK_EMBED, POS_EMBED, LOGITS = "tok_embed", "pos_embed", "logits"
EMBEDDINGS = (TOK_EMBED, POS_EMBED)

_HEAD = re.compile(r"a(0|[1-9]\d*)\.h(0|[1-9]\d*)")
_MLP = re.compile(r"m(0|[1-9]\d*)")


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of a GPT-2-style transformer, under HookedTransformerConfig names, within `siit.graph.limits`.

    Raises:
        ValueError: names the field, what was found and what is accepted.
    """

    n_layers: int
    n_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    n_ctx: int
    """Positions, the beginning-of-sequence token included."""
    d_vocab: int
    """Input tokens, BOS and PAD included."""
    d_vocab_out: int
    """Output classes; 1 where the output is numerical."""
    act_fn: str = "gelu"
    attention_dir: str = "causal"
    normalization_type: str | None = "LN"
    positional_embedding_type: str = "standard"
    attn_only: bool = False
    eps: float = 1e-5

    def __post_init__(self) -> None:
        _check_fields(vars(self))
        check_sums(self.n_layers, self.n_heads, self.parameter_shapes().values())

    @property
    def n_parameters(self) -> int:
        """How many numbers the weights are."""
        return sum(math.prod(shape) for shape in self.parameter_shapes().values())

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Lists every parameter's name, as HookedTransformer names it, and shape."""
        heads, d_model, d_head, d_mlp = self.n_heads, self.d_model, self.d_head, self.d_mlp
        shapes: dict[str, tuple[int, ...]] = {
            "embed.W_E": (self.d_vocab, d_model),
            "pos_embed.W_pos": (self.n_ctx, d_model),
            "unembed.W_U": (d_model, self.d_vocab_out),
            "unembed.b_U": (self.d_vocab_out,),
        }
        norms = ["ln_final"] if self.normalization_type == "LN" else []
        for layer in range(self.n_layers):
            attn, mlp = f"blocks.{layer}.attn", f"blocks.{layer}.mlp"
            for slot in "QKV":
                shapes[f"{attn}.W_{slot}"] = (heads, d_model, d_head)
                shapes[f"{attn}.b_{slot}"] = (heads, d_head)
            shapes[f"{attn}.W_O"] = (heads, d_head, d_model)
            shapes[f"{attn}.b_O"] = (d_model,)
            shapes[f"{mlp}.W_in"] = (d_model, d_mlp)
            shapes[f"{mlp}.b_in"] = (d_mlp,)
            shapes[f"{mlp}.W_out"] = (d_mlp, d_model)
            shapes[f"{mlp}.b_out"] = (d_model,)
            if self.normalization_type == "LN":
                norms += [f"blocks.{layer}.ln1", f"blocks.{layer}.ln2"]
        for norm in norms:
            shapes[f"{norm}.w"] = shapes[f"{norm}.b"] = (d_model,)
        return shapes

    def to_json(self) -> dict[str, Any]:
        """Makes the architecture fields of a `config.json`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ModelConfig:
        """Reads the architecture fields of a `config.json`; its other fields are not looked at.

        Args:
            data: the file's content.

        Raises:
            ValueError: names the field, what was found and what is accepted.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        missing = [name for name in names if name not in data]
        if missing:
            raise ValueError(f"config: missing {', '.join(missing)}; needed are {', '.join(names)}")
        values = {name: data[name] for name in names}
        # Before they are taken for what they should be.
        _check_fields(values)
        return cls(**values)


def _check_fields(values: Mapping[str, Any]) -> None:
    for name, limit in SIZES.items():
        value = values[name]
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
            raise ValueError(f"{name}: found {shortened(value)}, accepted is an integer from 1 to {limit}")
    _check_choice("act_fn", values["act_fn"], ACTIVATIONS)
    _check_choice("attention_dir", values["attention_dir"], DIRECTIONS)
    _check_choice("normalization_type", values["normalization_type"], NORMALIZATIONS)
    _check_choice("positional_embedding_type", values["positional_embedding_type"], ("standard",))
    _check_choice("attn_only", values["attn_only"], (False,))
    if not isinstance(values["eps"], float) or not 0 < values["eps"] < 1:
        raise ValueError(f"eps: found {shortened(values['eps'])}, accepted is a number between 0 and 1")


def _check_choice(name: str, value: object, accepted: tuple[object, ...]) -> None:
    # `in` alone would take 0 for False.
    if not any(value is choice or (isinstance(choice, str) and value == choice) for choice in accepted):
        raise ValueError(f"{name}: found {shortened(value)}, accepted: {', '.join(map(repr, accepted))}")


@dataclass(frozen=True, order=True)
class Edge:
    """`sender -> receiver<slot>`: one component's term in the sum that one slot of another reads."""

    sender: str
    receiver: str
    slot: Slot | None = None

    def __str__(self) -> str:
        return f"{self.sender}->{self.receiver}" + (f"<{self.slot}>" if self.slot else "")


def head(layer: int, index: int) -> str:
    """Names an attention head."""
    return f"a{layer}.h{index}"


def mlp(layer: int) -> str:
    """Names an MLP."""
    return f"m{layer}"


def is_head(node: str) -> bool:
    """Tells attention heads from other nodes."""
    return _HEAD.fullmatch(node) is not None


def is_mlp(node: str) -> bool:
    """Tells MLPs from other nodes."""
    return _MLP.fullmatch(node) is not None


def layer_of(node: str) -> int:
    """Reads the layer off the name of a head or an MLP.

    Raises:
        ValueError: the node is another.
    """
    match = _HEAD.fullmatch(node) or _MLP.fullmatch(node)
    if match is None:
        raise ValueError(f"node: found {node!r}, accepted is a head a<layer>.h<head> or an MLP m<layer>")
    return int(match[1])


def head_index(node: str) -> int:
    """Reads a head's index within its layer off its name.

    Raises:
        ValueError: the node is no head.
    """
    match = _HEAD.fullmatch(node)
    if match is None:
        raise ValueError(f"node: found {node!r}, accepted is a head a<layer>.h<head>")
    return int(match[2])


def depth(node: str) -> tuple[int, int]:
    """Orders nodes by computation: a node reads exactly the nodes of smaller depth."""
    if node in EMBEDDINGS:
        return (-1, 0)
    if node == LOGITS:
        return (MAX_LAYERS, 0)
    return (layer_of(node), 1 if is_mlp(node) else 0)


def slots(node: str) -> tuple[Slot | None, ...]:
    """Lists the slots in which a node reads the residual stream; None stands for the only input."""
    if node in EMBEDDINGS:
        return ()
    return HEAD_SLOTS if is_head(node) else (None,)


def earliest_layers(
    reads: Mapping[str, Collection[str]], attention: Collection[str], with_mlp: Collection[str] = ()
) -> dict[str, int]:
    """Finds the earliest layer in which each part of a computation can be.

    Args:
        reads: part -> the parts that it reads, in an order of computation. What is no part (an input) is there from
            the start.
        attention: the parts that a layer's attention computes; its MLP, which comes after, computes all others.
        with_mlp: those of attention that need the MLP of their layer too, for themselves. Later parts that need it as
            well go to the next layer.
    """
    place: dict[str, int] = {}  # 2 * layer for attention, 2 * layer + 1 for an MLP
    used: set[int] = set()  # MLPs that compute something
    reserved: set[int] = set()  # those of them that one part of attention has for itself
    for part, parents in reads.items():
        after = max((place[parent] for parent in parents if parent in place), default=-1) + 1
        if part in attention and part not in with_mlp:
            place[part] = after + after % 2
            continue
        needed = after + after % 2 + 1 if part in attention else after + 1 - after % 2
        taken = used if part in with_mlp else reserved
        while needed in taken:
            needed += 2
        place[part] = needed
        used.add(needed)
        if part in with_mlp:
            reserved.add(needed)
    return {part: order // 2 for part, order in place.items()}


def components(config: ModelConfig) -> list[str]:
    """Lists heads and MLPs in the order of computation."""
    names: list[str] = []
    for layer in range(config.n_layers):
        names += [head(layer, index) for index in range(config.n_heads)]
        names.append(mlp(layer))
    return names


def nodes(config: ModelConfig) -> list[str]:
    """Lists all nodes in the order of computation."""
    return [*EMBEDDINGS, *components(config), LOGITS]


def edges(config: ModelConfig, members: list[str] | None = None) -> Iterator[Edge]:
    """Yields all edges between some nodes, receivers in the order of computation.

    Args:
        config: the architecture.
        members: the nodes; all if None.
    """
    place = {name: index for index, name in enumerate(nodes(config))}
    depths = {name: depth(name) for name in (place if members is None else sorted(members, key=place.__getitem__))}
    for receiver, own in depths.items():
        senders = [sender for sender, other in depths.items() if other < own]
        for slot in slots(receiver):
            for sender in senders:
                yield Edge(sender, receiver, slot)


def count_edges(config: ModelConfig) -> int:
    """Counts all edges of the model as graph formats have them, in which both embeddings are one node."""
    layer = config.n_heads + 1
    before = [1 + layer * index for index in range(config.n_layers + 1)]
    return sum(3 * config.n_heads * count + count + config.n_heads for count in before[:-1]) + before[-1]
