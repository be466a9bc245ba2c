"""What a bundle holds, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from siit.bundle._vocab import Vocab
from siit.certificate import Answers
from siit.graph.architecture import ModelConfig
from siit.graph.circuit import Circuit

BUNDLE_FORMAT, FIRST_FORMAT = "siit-bundle/2", "siit-bundle/1"
BUNDLE_FORMATS = (FIRST_FORMAT, BUNDLE_FORMAT)
"""Those that are read; the first of them is not written any more."""


@dataclass(frozen=True, eq=False, repr=False)
class Bundle:
    """One model with its labels and the evidence for them.

    Attributes:
        config: the architecture.
        case: the task's name.
        seed: the seed that the model was trained with.
        answers: how outputs are read and compared: whether they are classes or numbers, and the tolerance of numbers.
        parameters: the weights, float32, by their HookedTransformer names; empty where they were not read.
        vocab: what the ids stand for.
        circuit: the labels.
        causal_model: the high-level model as data (`CausalModel.to_json`).
        evidence: held-out pairs and the high-level model's answers, by the names of `evaluation.safetensors`; empty
            where they were not read. Dtypes are int64, float32 and bool, whatever the file holds.
        exhaustive: whether the evidence is all there is, because the input space was enumerated; False where the
            evidence was not read.
        certificate: what was measured, with `certified` as its verdict.
        train_yaml: the resolved configuration that produced the model, and its task.
        extra_files: further text files by name, such as `tokenizer.json`.
    """

    config: ModelConfig
    case: str
    seed: int
    answers: Answers
    parameters: Mapping[str, Tensor]
    vocab: Vocab
    circuit: Circuit
    causal_model: Mapping[str, Any]
    evidence: Mapping[str, Tensor]
    exhaustive: bool
    certificate: Mapping[str, Any]
    train_yaml: str
    extra_files: Mapping[str, bytes] = field(default_factory=dict)

    def __repr__(self) -> str:
        verdict = "certified" if self.certificate.get("certified") is True else "NOT certified"
        return (
            f"Bundle({self.case}, seed {self.seed}, {verdict}: {len(self.parameters)} tensors of weights, "
            f"{len(self.evidence)} of evidence)"
        )
