"""A task for locating a variable: all that a method may see. Never the alignment, the seed, path or certificate.

A method reads a model's weights, the values that the causal model gives the variable, and its answers when the variable
is interchanged. It may run the model with what single nodes write changed, all nodes beside each other:

    @torch.no_grad()
    def interchange(task):
        return dict(zip(task.nodes, task.iia(lambda batch: batch.differences).tolist()))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from siit.certificate import Answers
from siit.certificate.executor import Executor
from siit.discovery.task import NUMBERS, Passes
from siit.graph.architecture import ModelConfig
from siit.transformer import Transformer

Positions = Literal["some", "all"]


@dataclass(frozen=True, eq=False)
class VariablePairs:
    """Pairs of a base and a source, with what the causal model says of them.

    Attributes:
        base, source: token ids.
        source_positions: position ids of the source runs: permuted where the variable depends on positions only.
        interchanged: at which positions the variable has its source's value; at the others it has the base's.
        scored: where an answer is defined, with the variable interchanged and without; somewhere in each pair.
        target: the answer with the variable interchanged: class ids, or numbers.
        untouched: the answer to the base as it is, at the same places.
        values: variable -> its values on the base, ids (-1 undefined) or numbers (NaN undefined). Several variables
            have several entries where they can only be interchanged together.
        tokens: where the base has a token, and neither BOS nor padding.
    """

    base: Int[Tensor, "pairs pos"]
    source: Int[Tensor, "pairs pos"]
    source_positions: Int[Tensor, "pairs pos"]
    interchanged: Bool[Tensor, "pairs pos"]
    scored: Bool[Tensor, "pairs pos"]
    target: Shaped[Tensor, "pairs pos"]
    untouched: Shaped[Tensor, "pairs pos"]
    values: Mapping[str, Shaped[Tensor, "pairs pos"]]
    tokens: Bool[Tensor, "pairs pos"]

    def __len__(self) -> int:
        return len(self.base)

    def to(self, device: torch.device) -> VariablePairs:
        """Copies all of it to a device."""
        return self._each(lambda tensor: tensor.to(device))

    def some(self, rows: Int[Tensor, " some"]) -> VariablePairs:
        """Takes some of the pairs."""
        return self._each(lambda tensor: tensor[rows])

    def _each(self, change: Callable[[Tensor], Tensor]) -> VariablePairs:
        fields = {name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return VariablePairs(**fields, values={name: change(value) for name, value in self.values.items()})


@dataclass(frozen=True, eq=False)
class VariableTask:
    """A model, a variable of its causal model, and pairs in which the variable is interchanged.

    Attributes:
        model: the transformer, with its weights.
        answers: how its outputs are read and compared.
        classes: variable -> its number of values; None where they are numbers.
        train: pairs to fit on.
        held_out: others, to score on.
        passes: what was run so far.

    Raises:
        ValueError: a part without pairs.
    """

    model: Transformer
    answers: Answers
    classes: Mapping[str, int | None]
    train: VariablePairs
    held_out: VariablePairs
    passes: Passes = field(default_factory=Passes)

    def __post_init__(self) -> None:
        for name in ("train", "held_out"):
            if not len(getattr(self, name)):
                raise ValueError(f"{name}: found no pairs, accepted is at least one")

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        return self.model.config

    @property
    def device(self) -> torch.device:
        """Where the model is, and all tensors."""
        return self.model.embed.W_E.device

    @cached_property
    def executor(self) -> Executor:
        """Runs what follows a node."""
        return Executor(self.config, self.model.state_dict())

    @property
    def nodes(self) -> tuple[str, ...]:
        """Embeddings, heads and MLPs, in the order of computation."""
        return self.executor.senders

    @cached_property
    def batch_size(self) -> int:
        """How many pairs fit into a batch in which every node is changed alone."""
        return max(1, NUMBERS // (len(self.nodes) * self.train.base.shape[1] * self.config.d_model))

    def batches(self, pairs: VariablePairs, size: int | None = None) -> Iterator[VariableBatch]:
        """Yields pairs in batches.

        Args:
            pairs: `train` or `held_out`.
            size: pairs in a batch; as many as fit where None.
        """
        for rows in torch.arange(len(pairs)).split(size or self.batch_size):
            yield self.batch(pairs, rows)

    @torch.no_grad()
    def batch(self, pairs: VariablePairs, rows: Int[Tensor, " batch"]) -> VariableBatch:
        """Runs some pairs as they are, base and source.

        Args:
            pairs: `train` or `held_out`.
            rows: which of them.
        """
        some = pairs.some(rows.to(self.device))
        runs = self.model.run(some.base), self.model.run(some.source, some.source_positions)
        self.passes.forward += 2 * len(some)
        base, source = (self.executor.centred(torch.stack(run.senders)) for run in runs)
        return VariableBatch(self, some, base, source)

    @torch.no_grad()
    def iia(
        self, changes: Callable[[VariableBatch], Float[Tensor, "senders batch pos d_model"]]
    ) -> Float[Tensor, " senders"]:
        """Measures interchange intervention accuracy on the held-out pairs, of changes of each node alone.

        Args:
            changes: gives what is added to what each node writes on the bases of a batch.
        """
        right = [batch.right(batch.changed(changes(batch))) for batch in self.batches(self.held_out)]
        return torch.cat(right, 1).double().mean(1)


@dataclass(frozen=True, eq=False)
class VariableBatch:
    """Some pairs of a task, run on base and source, and ready to be changed.

    What nodes write is centred where the model has LayerNorm, see `siit.certificate.executor`.

    Attributes:
        task: whose pairs these are.
        pairs: what the causal model says of them.
        base, source: what each node writes in either run.
    """

    task: VariableTask
    pairs: VariablePairs
    base: Float[Tensor, "senders batch pos d_model"]
    source: Float[Tensor, "senders batch pos d_model"]

    def __len__(self) -> int:
        return len(self.pairs)

    @cached_property
    def differences(self) -> Float[Tensor, "senders batch pos d_model"]:
        """What each node writes on the source, less what it writes on the base; 0 where nothing is interchanged."""
        return (self.source - self.base) * self.pairs.interchanged[..., None]

    @cached_property
    def places(self) -> Int[Tensor, " scored"]:
        """Where answers are scored, of all positions of all pairs in a row."""
        return self.pairs.scored.flatten().nonzero().squeeze(1)

    @cached_property
    def target(self) -> Shaped[Tensor, " scored"]:
        """The right answers there, with the variable interchanged."""
        return self.pairs.target.flatten()[self.places]

    def changed(
        self, changes: Float[Tensor, "senders batch pos d_model"]
    ) -> Float[Tensor, "senders scored d_vocab_out"]:
        """Runs the bases with what one node writes changed, each node alone.

        Only what follows a node is computed, with the runs of all earlier nodes beside it.

        Args:
            changes: what is added to each node's output, at every position.

        Returns:
            Logits at the scored places.
        """
        executor, task = self.task.executor, self.task
        task.passes.forward += len(changes) * len(self)
        n_heads, done = task.config.n_heads, 2
        unchanged = self.base[:2].sum(0)
        runs = unchanged + changes[:2]
        for layer in executor.layers:
            heads = slice(done, done + n_heads)
            unchanged = unchanged + self.base[heads].sum(0) + layer.bias
            runs = torch.cat([runs + executor.attention(layer, runs), unchanged + changes[heads]])
            done += n_heads
            unchanged = unchanged + self.base[done]
            runs = torch.cat([runs + executor.mlp(layer, runs), (unchanged + changes[done]).unsqueeze(0)])
            done += 1
        return executor.logits(runs.flatten(1, 2)[:, self.places])

    def right(self, logits: Float[Tensor, "*any scored d_vocab_out"]) -> Bool[Tensor, "*any scored"]:
        """Tells where answers are the causal model's, with the variable interchanged."""
        return self.task.answers.right(logits, self.target.expand(logits.shape[:-1]))

    def loss(self, logits: Float[Tensor, "senders scored d_vocab_out"]) -> Float[Tensor, " senders"]:
        """Measures how far answers are from these: cross-entropy in nats, or the smooth L1 error of numbers.

        The latter is squared within the tolerance, and absolute above it, in the answers' unit.
        """
        tolerance = self.task.answers.tolerance
        target = self.target.expand(logits.shape[:-1])
        if tolerance is not None:
            return F.smooth_l1_loss(logits[..., 0], target, beta=tolerance, reduction="none").mean(1)
        return F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target).mean(1)
