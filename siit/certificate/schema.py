"""The one place that knows the evidence: names, shapes, dtypes and values of the tensors in `evaluation.safetensors`.

Each is [pairs, n_ctx]. Required are `base_` and `source_` with `tokens`, `target` and `scored`, and `do/X/` with
`target` and `scored` for every unit and every carried high-level edge X. Optional are `source_positions`,
`do/X/source_positions`, and `contrast/<kind>/` and `probe/<name>/` with all of `tokens`, `target` and `scored`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from siit.certificate.answers import Answers
from siit.graph.architecture import POS_EMBED
from siit.graph.circuit import Circuit

Rule = Literal["tokens", "target", "scored", "positions"]
FIELDS: tuple[Rule, ...] = ("tokens", "target", "scored")
"""What a run of its own inputs has; an interchange has the last two."""
BASE, SOURCE, DO, CONTRAST, PROBE = "base_", "source_", "do/", "contrast/", "probe/"
SOURCE_POSITIONS = "source_positions"
_FURTHER = re.compile(r"((?:contrast|probe)/[A-Za-z0-9_.-]+)/(?:tokens|target|scored)")


class EvidenceError(ValueError):
    """Evidence that is not what the labels call for; its message is `<tensor>: found ..., accepted is ...`."""

    def __init__(self, name: str, found: object, accepted: object) -> None:
        super().__init__(f"{name}: found {found}, accepted is {accepted}")


def dtype_name(dtype: torch.dtype) -> str:
    """Gives torch's name of a dtype, such as int64."""
    return str(dtype).removeprefix("torch.")


@dataclass(frozen=True)
class Declared:
    """Says what a tensor is, before or after it is read.

    Attributes:
        dtype: torch's name, such as int64, or that of a file where torch has none.
        shape: its sizes.
    """

    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> Declared:
        """Describes a tensor."""
        return cls(dtype_name(tensor.dtype), tuple(tensor.shape))

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


@dataclass(frozen=True)
class Special:
    """Names the ids that are no tokens.

    Attributes:
        bos_id: first in every sequence, and nowhere else.
        pad_id: at the end only; None where all sequences have one length.
    """

    bos_id: int
    pad_id: int | None

    def at(self, tokens: Int[Tensor, "pairs pos"]) -> Bool[Tensor, "pairs pos"]:
        """Tells where BOS and PAD stand."""
        special = tokens == self.bos_id
        return special if self.pad_id is None else special | (tokens == self.pad_id)


def prefix_of(interchange: str | None) -> str:
    """Gives what the names of the bases' tensors begin with, under an interchange if one is given."""
    return BASE if interchange is None else f"{DO}{interchange}/"


def under(interchange: str | None, field: Rule) -> str:
    """Names a tensor of the bases, or, of the bases under an interchange, the targets or where they are scored."""
    return f"{prefix_of(interchange)}{field}"


def positions_under(interchange: str | None) -> str:
    """Names the position ids of the source run, under an interchange if one is given."""
    return SOURCE_POSITIONS if interchange is None else f"{DO}{interchange}/{SOURCE_POSITIONS}"


def of_contrast(kind: str, field: Rule | Literal[""] = "") -> str:
    """Names a tensor of a contrast of the bases; without a field, what all of them begin with."""
    return f"{CONTRAST}{kind}/{field}"


def of_probe(name: str, field: Rule) -> str:
    """Names a tensor of inputs of another kind."""
    return f"{PROBE}{name}/{field}"


def listed_under(prefix: str, names: Iterable[str]) -> list[str]:
    """Lists what stands between a prefix, such as `probe/`, and `/tokens`."""
    return [name.removeprefix(prefix).removesuffix("/tokens") for name in names if _is_listed(prefix, name)]


def scored_masks(tensors: Mapping[str, Shaped[Tensor, "pairs pos"]], *, bases: bool) -> list[Bool[Tensor, "pairs pos"]]:
    """Lists where answers under every interchange are scored, and, where `bases`, those of the bases too."""
    prefixes = (BASE, DO) if bases else (DO,)
    return [mask for name, mask in tensors.items() if name.startswith(prefixes) and name.endswith("scored")]


@dataclass(frozen=True)
class Schema:
    """Knows the evidence that labels call for.

    Attributes:
        circuit: the labels, with the architecture.
        answers: says whether targets are classes or numbers.

    Raises:
        ValueError: numerical answers of an architecture with several outputs.
    """

    circuit: Circuit
    answers: Answers

    def __post_init__(self) -> None:
        outputs = self.circuit.config.d_vocab_out
        if self.answers.output == "numerical" and outputs != 1:
            raise ValueError(f"d_vocab_out: found {outputs}, accepted is 1 for numerical outputs")

    @cached_property
    def interchanges(self) -> tuple[str, ...]:
        """Every unit and every high-level edge that is interchanged: the X of `do/X/...`."""
        return (*self.circuit.alignment, *self.circuit.edges_by_carried)

    @cached_property
    def required(self) -> dict[str, Rule]:
        """Tensors that all evidence has, with the rule for their values."""
        rules: dict[str, Rule] = {f"{run}{field}": field for run in (BASE, SOURCE) for field in FIELDS}
        return rules | {under(name, field): field for name in self.interchanges for field in FIELDS[1:]}

    @cached_property
    def permuted(self) -> frozenset[str]:
        """Names of position ids, any of which evidence may have."""
        return frozenset(map(positions_under, (None, *self.interchanges)))

    def rules(self, names: Iterable[str]) -> dict[str, Rule]:
        """Lists the tensors that evidence with these names must have, with the rule for their values.

        Args:
            names: any; unknown ones call for nothing.
        """
        rules = dict(self.required)
        for name in names:
            further = _FURTHER.fullmatch(name)
            if name in self.permuted:
                rules[name] = "positions"
            elif further:
                rules |= {f"{further[1]}/{field}": field for field in FIELDS}
        return rules

    def check_declared(self, declared: Mapping[str, Declared], narrower: Mapping[str, Sequence[str]] = {}) -> None:
        """Checks names, shapes and dtypes of a file, which holds nothing else.

        Args:
            declared: the tensors.
            narrower: for a dtype of `measure`, others that the file may have instead.

        Raises:
            EvidenceError: names the tensor, what was found and what is accepted.
        """
        rules = self.rules(declared)
        for name in declared:
            if name not in rules:
                raise EvidenceError(name, "a tensor of this name", "none such")
        self._check(declared, rules, narrower)

    def select(self, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> dict[str, Tensor]:
        """Checks what a measurement needs, and leaves out all else: contrasts, and names that are unknown.

        Permuted `source_positions` are needed where an edge from `pos_embed` is off the circuit.

        Raises:
            EvidenceError: names the tensor, what was found and what is accepted.
        """
        rules = self.rules(name for name in tensors if not name.startswith(CONTRAST))
        if any(edge.sender == POS_EMBED for edge in self.circuit.off_edges):
            rules[SOURCE_POSITIONS] = "positions"
        for name in tensors:
            if name.startswith(PROBE) and name not in rules:
                raise EvidenceError(name, "a tensor of this name", f"{PROBE}<name>/ with {', '.join(FIELDS)}")
        self._check({name: Declared.of(tensor) for name, tensor in tensors.items()}, rules)
        return {name: tensors[name] for name in rules}

    def check_values(self, tensors: Mapping[str, Shaped[Tensor, "pairs pos"]], special: Special | None = None) -> None:
        """Checks ids, targets and positions.

        Args:
            tensors: of the right names, shapes and dtypes.
            special: where they are known: sequences are whole, only tokens are scored, and nothing else is moved.

        Raises:
            EvidenceError: names the tensor, what was found and what is accepted.
        """
        rules, config = self.rules(tensors), self.circuit.config
        rules = {name: rule for name, rule in rules.items() if name in tensors}
        for name in (name for name, rule in rules.items() if rule == "tokens"):
            _check_range(name, tensors[name], config.d_vocab, "a token id")
            if special is not None:
                _check_sequences(name, tensors[name], special)
        for name in (name for name, rule in rules.items() if rule == "scored"):
            prefix, scored = name.removesuffix("scored"), tensors[name]
            if special is not None:
                tokens = tensors.get(f"{prefix}tokens", tensors[f"{BASE}tokens"])
                if bool((scored & special.at(tokens)).any()):
                    raise EvidenceError(name, "a scored BOS or PAD", "scores at tokens only")
            self._check_targets(f"{prefix}target", tensors[f"{prefix}target"][scored])
        for name in (name for name, rule in rules.items() if rule == "positions"):
            _check_range(name, tensors[name], config.n_ctx, "a position id")
            if special is not None:
                _check_permuted(name, tensors[name], special.at(tensors[f"{SOURCE}tokens"]))

    def _check(
        self,
        declared: Mapping[str, Declared],
        rules: Mapping[str, Rule],
        narrower: Mapping[str, Sequence[str]] = {},
    ) -> None:
        """Checks that these tensors are there, with one shape and the dtypes of their rules, or narrower ones."""
        first = declared.get(f"{BASE}tokens", Declared("", ()))
        pairs = first.shape[0] if first.shape else 0
        numbers = "int64" if self.answers.output == "categorical" else "float32"
        dtypes: dict[Rule, str] = {"tokens": "int64", "positions": "int64", "scored": "bool", "target": numbers}
        size = f"[{pairs or 'pairs'}, {self.circuit.config.n_ctx}], at least one pair"
        for name, rule in rules.items():
            found = declared.get(name)
            accepted = (*narrower.get(dtypes[rule], ()), dtypes[rule])
            whole = found is not None and found.dtype in accepted and found.shape == (pairs, self.circuit.config.n_ctx)
            if not whole or pairs < 1:
                raise EvidenceError(name, found or "nothing", f"{' or '.join(accepted)} {size}")

    def _check_targets(self, name: str, scored: Shaped[Tensor, " scored"]) -> None:
        if self.answers.output == "categorical":
            _check_range(name, scored, self.circuit.config.d_vocab_out, "a class", " at scored positions")
        elif not bool(scored.isfinite().all()):
            raise EvidenceError(name, "NaN or infinity", "a finite number at scored positions")


def _is_listed(prefix: str, name: str) -> bool:
    return name.startswith(prefix) and name.endswith("/tokens")


def _check_range(name: str, ids: Shaped[Tensor, "..."], size: int, what: str, where: str = "") -> None:
    outside = ids[(ids < 0) | (ids >= size)]
    if len(outside):
        raise EvidenceError(name, int(outside[0]), f"{what} from 0 to {size - 1}{where}")


def _check_sequences(name: str, tokens: Int[Tensor, "pairs pos"], special: Special) -> None:
    is_bos = tokens == special.bos_id
    if not bool(is_bos[:, 0].all()) or bool(is_bos[:, 1:].any()):
        raise EvidenceError(name, "BOS missing or out of place", f"id {special.bos_id} first and nowhere else")
    if special.pad_id is not None:
        is_pad = tokens == special.pad_id
        if bool((is_pad[:, :-1] & ~is_pad[:, 1:]).any()):
            raise EvidenceError(name, "a token after PAD", f"id {special.pad_id} at the end only")


def _check_permuted(name: str, positions: Int[Tensor, "pairs pos"], fixed: Bool[Tensor, "pairs pos"]) -> None:
    own = torch.arange(positions.shape[1], device=positions.device).expand_as(positions)
    if not torch.equal(positions.sort(dim=1).values, own):
        raise EvidenceError(name, "a row that is no permutation", "every position once in each row")
    if bool((fixed & (positions != own)).any()):
        raise EvidenceError(name, "a BOS or PAD that moved", "BOS and PAD in place")
