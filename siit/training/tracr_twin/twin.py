"""The Tracr twin of a case: what Tracr compiles its program to, as a model of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from siit._extras import require
from siit.bundle import Vocab
from siit.causal import CausalModel
from siit.certificate import Answers
from siit.graph.architecture import ModelConfig
from siit.graph.circuit import Circuit
from siit.graph.tiers import tier
from siit.prediction import predict
from siit.tasks import Task
from siit.transformer import Transformer

if TYPE_CHECKING:
    from transformer_lens import HookedTransformer

    from tracr_cases import Case


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class TracrTwin:
    """Tracr's compiled weights as a transformer of ours: ReLU, no LayerNorm, and labels that are exact.

    Attributes:
        model: the transformer, in evaluation mode: token ids [batch, pos] -> logits [batch, pos, d_vocab_out]. Of
            classes the logits are what Tracr writes in their directions, 1 or 0.
        circuit: the labels, read off the weights. No certificate is needed: other edges are products of zeros.
        task: the causal model with its inputs, as training has them.
        directions: what Tracr calls each direction of the residual stream, `<label>:<value>` or `<label>`.
        extra_files: none; a bundle may have some.
    """

    model: Transformer
    circuit: Circuit
    task: Task
    directions: tuple[str, ...]
    extra_files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def case(self) -> str:
        """The task's name."""
        return self.task.name

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        return self.model.config

    @property
    def causal_model(self) -> CausalModel:
        """The high-level model, to be run with interventions on inputs of one's own."""
        return self.task.model

    @property
    def answers(self) -> Answers:
        """How outputs are read and compared."""
        return self.task.answers

    @property
    def vocab(self) -> Vocab:
        """What the ids stand for, the same as those of the case's trained models."""
        task = self.task
        return Vocab((*task.model.vocab, *task.special_tokens), task.bos_id, task.pad_id, task.model.classes)

    @property
    def tier(self) -> str:
        """Tier of the circuit, see `siit.graph.tiers`."""
        return tier(self.circuit)

    def __repr__(self) -> str:
        config = self.config
        shape = f"{config.n_layers} layers of {config.n_heads} heads, d_model {config.d_model}, {config.attention_dir}"
        return f"TracrTwin({self.case}: {shape}; {self.circuit!r})"

    def predict(self, inputs: Any) -> list[Any]:
        """Answers an input, or each of a batch, in the words of the vocabulary, see `siit.prediction.predict`.

        Args:
            inputs: a list of tokens, or a list of such lists.

        Raises:
            ValueError: an unknown token, or too many or too few of them.
        """
        return predict(self.model, self, self.causal_model, inputs)

    def to_hooked_transformer(self, *, circuit_hooks: bool = True) -> HookedTransformer:
        """Makes a HookedTransformer (TransformerLens 3.9), with a tokenizer; see `siit.interop.lens`."""
        from siit.interop.lens import to_hooked_transformer

        return to_hooked_transformer(self.model, circuit_hooks=circuit_hooks, bundle=self)


def tracr_twin(case: str | Case) -> TracrTwin:
    """Compiles a case's program with Tracr, and makes a model of ours of it; it takes a second or two.

        twin = siit.tracr_twin("frac_prevs")
        twin.predict(["x", "a", "x"])

    Padding is an input like any other here, and no answer depends on it; Tracr masks it.

    Args:
        case: its name, or a program of one's own.

    Raises:
        KeyError: there is no such case; the message suggests the nearest names.
        ValueError: the case has no RASP program, or Tracr cannot compile it.
        ImportError: Tracr is not installed; names the extra.
    """
    require("tracr", extra="train", needed_by="tracr_twin")
    from siit.training.tracr_twin.build import make_twin

    return make_twin(case)
