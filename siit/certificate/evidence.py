"""The evidence, checked: held-out pairs, and the high-level model's answers under every interchange."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from siit.certificate.answers import Answers
from siit.graph.architecture import POS_EMBED, ModelConfig
from siit.graph.circuit import Circuit

SOURCE_POSITIONS = "source_positions"
PROBE = "probe/"
_PROBE_FIELDS = ("tokens", "target", "scored")


@dataclass(frozen=True, eq=False)
class Evidence:
    """Tensors by the names of a bundle's `evaluation.safetensors`, of N pairs of T positions.

    Attributes:
        tensors: `base_tokens`, `base_target`, `do/<interchange>/target` and so on, [N, T] each.
        answers: how targets are compared.
    """

    tensors: Mapping[str, Shaped[Tensor, "pairs pos"]]
    answers: Answers

    @property
    def pairs(self) -> int:
        return len(self.tensors["base_tokens"])

    @property
    def base(self) -> Int[Tensor, "pairs pos"]:
        return self.tensors["base_tokens"]

    @property
    def source(self) -> Int[Tensor, "pairs pos"]:
        return self.tensors["source_tokens"]

    def target(self, interchange: str | None) -> Shaped[Tensor, "pairs pos"]:
        """The high-level model's answer on the base, under an interchange if one is given."""
        return self.tensors["base_target" if interchange is None else f"do/{interchange}/target"]

    def scored(self, interchange: str | None) -> Bool[Tensor, "pairs pos"]:
        """Where that answer is defined and counted."""
        return self.tensors["base_scored" if interchange is None else f"do/{interchange}/scored"]

    def changed(self, interchange: str) -> Bool[Tensor, "pairs pos"]:
        """Where an interchange changes the high-level model's answer, both answers being scored."""
        both = self.scored(None) & self.scored(interchange)
        return both & ~self.answers.same(self.target(interchange), self.target(None))

    def counts(self, interchange: str) -> InterchangeCounts:
        """What the evidence holds on one interchange."""
        base, own, changed = self.scored(None), self.scored(interchange), self.changed(interchange)
        return InterchangeCounts(
            scored=int(own.sum()),
            undefined_share=int((base & ~own).sum()) / max(int(base.sum()), 1),
            changed_pairs=int(changed.any(1).sum()),
            changed_positions=int(changed.sum()),
        )

    def first(self, pairs: int) -> Evidence:
        """The first pairs alone."""
        return Evidence({name: tensor[:pairs] for name, tensor in self.tensors.items()}, self.answers)

    def enough(self, min_scored: int) -> int:
        """How many pairs, 1,024 doubled, have bases with so many scored positions; all if none are asked for."""
        count = 1024 if min_scored else self.pairs
        while count < self.pairs and int(self.scored(None)[:count].sum()) < min_scored:
            count *= 2
        return min(count, self.pairs)

    @property
    def probes(self) -> list[str]:
        """Names of the inputs of another kind."""
        return [name.split("/")[1] for name in self.tensors if name.startswith(PROBE) and name.endswith("/tokens")]

    def probe(self, name: str) -> Evidence:
        """Inputs of another kind as bases, each with the one before it as its source."""
        tokens, target, scored = (self.tensors[f"{PROBE}{name}/{field}"] for field in _PROBE_FIELDS)
        bases = {"base_tokens": tokens, "base_target": target, "base_scored": scored}
        return Evidence({**bases, "source_tokens": tokens.roll(1, 0)}, self.answers)

    def batches(self, size: int, device: torch.device) -> Iterator[Evidence]:
        """Consecutive parts of at most `size` pairs, on the device."""
        for start in range(0, self.pairs, size):
            part = {name: tensor[start : start + size].to(device) for name, tensor in self.tensors.items()}
            yield Evidence(part, self.answers)

    def shortest_first(self) -> Evidence:
        """The same pairs in the order of how many positions they need."""
        order = self._needed.argsort(stable=True)
        return Evidence({name: tensor[order] for name, tensor in self.tensors.items()}, self.answers)

    def trimmed(self) -> Evidence:
        """Without the last positions, where none of them is scored: in a causal model they change nothing before."""
        needed = int(self._needed.max())
        return Evidence({name: tensor[:, :needed] for name, tensor in self.tensors.items()}, self.answers)

    @property
    def _needed(self) -> Int[Tensor, " pairs"]:
        """Up to which position of a base something is scored, at least 1."""
        prefixes, ending = ("base_", "do/"), "scored"
        masks = [mask for name, mask in self.tensors.items() if name.startswith(prefixes) and name.endswith(ending)]
        scored = torch.stack(masks).any(0)
        return (scored * torch.arange(1, scored.shape[1] + 1, device=scored.device)).amax(1).clamp(min=1)


@dataclass(frozen=True)
class InterchangeCounts:
    """What the evidence holds on one interchange.

    Attributes:
        scored: positions at which the high-level model's answer under the interchange is scored.
        undefined_share: of the base's scored positions, the share at which it is not.
        changed_pairs: pairs in which the interchange changes the answer somewhere.
        changed_positions: positions at which it does.
    """

    scored: int
    undefined_share: float
    changed_pairs: int
    changed_positions: int


def check_parameters(config: ModelConfig, parameters: Mapping[str, Float[Tensor, "..."]]) -> None:
    """Raises ValueError, naming the tensor, unless the weights are the architecture's, finite, and on one device."""
    shapes = config.parameter_shapes()
    _check_names(parameters, shapes, "parameters")
    for name in parameters:
        if name not in shapes:
            raise ValueError(f"parameters: found {name}, accepted are the names of ModelConfig.parameter_shapes()")
    first = parameters["embed.W_E"]
    for name, shape in shapes.items():
        tensor = parameters[name]
        if tuple(tensor.shape) != shape or tensor.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"{name}: found {_kind(tensor)}, accepted is float32 or float64 {list(shape)}")
        if (tensor.dtype, tensor.device) != (first.dtype, first.device):
            raise ValueError(
                f"{name}: found {tensor.dtype} on {tensor.device}, accepted is that of embed.W_E, "
                f"{first.dtype} on {first.device}"
            )
        if not bool(tensor.isfinite().all()):
            bad = int((~tensor.isfinite()).sum())
            raise ValueError(f"{name}: found {bad} values that are NaN or infinite, accepted are finite weights")


def check_evidence(
    config: ModelConfig, circuit: Circuit, tensors: Mapping[str, Shaped[Tensor, "..."]], answers: Answers
) -> Evidence:
    """Checks names, dtypes, shapes and values, and keeps what the certificate needs.

    Raises:
        ValueError: names the tensor, what was found and what is accepted.
    """
    if answers.output == "numerical" and config.d_vocab_out != 1:
        raise ValueError(f"d_vocab_out: found {config.d_vocab_out}, accepted is 1 for numerical outputs")
    target = torch.int64 if answers.output == "categorical" else torch.float32
    needed = {"base_tokens": torch.int64, "source_tokens": torch.int64}
    interchanges = [*circuit.alignment, *circuit.edges_by_carried]
    prefixes = ["base_", "source_", *(f"do/{name}/" for name in interchanges)]
    for prefix in prefixes:
        needed |= {f"{prefix}target": target, f"{prefix}scored": torch.bool}
    if any(edge.sender == POS_EMBED for edge in circuit.off_edges):
        needed[SOURCE_POSITIONS] = torch.int64
    positions = [SOURCE_POSITIONS, *(f"do/{name}/{SOURCE_POSITIONS}" for name in interchanges)]
    needed |= {name: torch.int64 for name in positions if name in tensors}
    probes = {name.rpartition("/")[0] for name in tensors if name.startswith(PROBE)}
    for probe in sorted(probes):
        needed |= {f"{probe}/tokens": torch.int64, f"{probe}/target": target, f"{probe}/scored": torch.bool}
    prefixes += [f"{probe}/" for probe in sorted(probes)]
    _check_names(tensors, needed, "evidence")
    pairs = tensors["base_tokens"].shape[0] if tensors["base_tokens"].ndim else 0
    for name, dtype in needed.items():
        tensor, kind = tensors[name], str(dtype).removeprefix("torch.")
        if tensor.dtype != dtype or tuple(tensor.shape) != (pairs, config.n_ctx) or pairs < 1:
            size = f"[{pairs or 'pairs'}, {config.n_ctx}]"
            raise ValueError(f"{name}: found {_kind(tensor)}, accepted is {kind} {size}, at least one pair")
    for name in ("base_tokens", "source_tokens", *(f"{probe}/tokens" for probe in sorted(probes))):
        _check_range(name, tensors[name], config.d_vocab, "token ids")
    for name in needed.keys() & positions:
        _check_range(name, tensors[name], config.n_ctx, "position ids")
    for prefix in prefixes:
        scored = tensors[f"{prefix}target"][tensors[f"{prefix}scored"]]
        if answers.output == "categorical":
            _check_range(f"{prefix}target", scored, config.d_vocab_out, "classes at scored positions")
        elif not bool(scored.isfinite().all()):
            raise ValueError(f"{prefix}target: found NaN or infinity, accepted are finite values at scored positions")
    return Evidence({name: tensors[name] for name in needed}, answers)


def _check_names(tensors: Mapping[str, Tensor], needed: Mapping[str, object], what: str) -> None:
    missing = [name for name in needed if name not in tensors]
    if missing:
        found = ", ".join(sorted(tensors)[:6]) or "nothing"
        raise ValueError(f"{what}: missing {', '.join(missing)}; found {found}{', ...' if len(tensors) > 6 else ''}")


def _check_range(name: str, ids: Tensor, size: int, what: str) -> None:
    outside = ids[(ids < 0) | (ids >= size)]
    if len(outside):
        raise ValueError(f"{name}: found {int(outside[0])}, accepted are {what} from 0 to {size - 1}")


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
