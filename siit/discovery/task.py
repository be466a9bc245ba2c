"""A task for circuit discovery: all that a method may see of a model. Never its circuit, seed, path or certificate.

A method reads a model's weights, pairs of a clean and a corrupted input, and how an answer is measured. It patches
through `TaskBatch`, in each example other edges, so that many candidates share one run. What it runs is counted.

    def attribution(task):
        total = torch.zeros(len(task.edges))
        for batch in task.batches():
            masks = batch.masks(task.edges)
            total += batch.gradient(batch.difference(batch.run(edges=masks)), masks)
        return dict(zip(task.edges, (total / len(task)).abs().tolist()))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from siit.certificate.answers import Output
from siit.certificate.executor import Executor
from siit.certificate.fields import Kind
from siit.discovery.readout import Metric, Readout
from siit.graph.architecture import ModelConfig
from siit.transformer import Transformer

Level = Literal["edge", "node"]
NUMBERS = 1 << 22
"""Of all senders' outputs in one batch, at most."""


@dataclass
class Passes:
    """Counts what a method has run, in examples: one input through the whole model, or back through it.

    Attributes:
        forward: runs; one in which only what follows a part is computed again counts as one.
        backward: runs back, with gradients.
    """

    forward: int = 0
    backward: int = 0


@dataclass(frozen=True, eq=False)
class DiscoveryTask:
    """A model, pairs of inputs, and what is measured of its answers.

    Attributes:
        model: the transformer, with its weights.
        output: `categorical` where answers are classes, `numerical` where they are numbers.
        clean: token ids of the clean inputs.
        corrupted: token ids of the inputs that replace them.
        scored: where an answer to the clean input is defined and counted; somewhere in each pair.
        target: the right answers there: class ids, or numbers.
        corrupted_positions: position ids of the corrupted runs; None: each slot's own. Edges from `pos_embed` can only
            be seen where these are permuted.
        passes: what was run so far.

    Raises:
        ValueError: no pairs, or one of which nothing is scored.
    """

    model: Transformer
    output: Output
    clean: Int[Tensor, "pairs pos"]
    corrupted: Int[Tensor, "pairs pos"]
    scored: Bool[Tensor, "pairs pos"]
    target: Shaped[Tensor, "pairs pos"]
    corrupted_positions: Int[Tensor, "pairs pos"] | None = None
    passes: Passes = field(default_factory=Passes)

    def __post_init__(self) -> None:
        if not len(self.clean) or not bool(self.scored.any(1).all()):
            raise ValueError("pairs: found none, or some of which nothing is scored; accepted is something in each")

    def __len__(self) -> int:
        return len(self.clean)

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
        """Runs the model under masks."""
        return Executor(self.config, self.model.state_dict())

    @cached_property
    def edges(self) -> tuple[str, ...]:
        """All edges of the model, in the order in which masks have them."""
        return tuple(map(str, self.executor.edges))

    @property
    def nodes(self) -> tuple[str, ...]:
        """Embeddings, heads and MLPs, in the order of computation, in which masks have them."""
        return self.executor.senders

    @cached_property
    def edge_senders(self) -> Int[Tensor, " edges"]:
        """Finds the place in `nodes` of each edge's sender."""
        place = {name: index for index, name in enumerate(self.nodes)}
        return torch.tensor([place[edge.sender] for edge in self.executor.edges], device=self.device)

    @cached_property
    def _scored(self) -> Bool[Tensor, "pairs pos"]:
        """Copies `scored` to the CPU."""
        return self.scored.cpu()

    @cached_property
    def batch_size(self) -> int:
        """How many pairs fit into a batch."""
        return max(1, NUMBERS // (len(self.nodes) * self.clean.shape[1] * self.config.d_model))

    @cached_property
    def means(self) -> Float[Tensor, "senders 1 pos d_model"]:
        """Averages what each node writes at each position over the corrupted runs, centred."""
        total = sum(batch.corrupted.sum(1, keepdim=True) for batch in self.batches())
        assert isinstance(total, Tensor)
        return total / len(self)

    def batches(self, size: int | None = None) -> Iterator[TaskBatch]:
        """Yields all pairs, in batches.

        Args:
            size: pairs in a batch; as many as fit where None.
        """
        size = self.batch_size if size is None else size
        for rows in torch.arange(len(self)).split(size):
            yield self.batch(rows)

    @torch.no_grad()
    def batch(self, rows: Int[Tensor, " batch"]) -> TaskBatch:
        """Runs some pairs as they are, clean and corrupted.

        Args:
            rows: which pairs; on the CPU, so that nothing waits for the device.
        """
        # Only the CPU can tell how many places are scored without waiting.
        places = self._scored[rows].flatten().nonzero().squeeze(1).to(self.device)
        rows = rows.to(self.device)
        positions = None if self.corrupted_positions is None else self.corrupted_positions[rows]
        clean, corrupted = self.model.run(self.clean[rows]), self.model.run(self.corrupted[rows], positions)
        self.passes.forward += 2 * len(rows)
        logits = [run.unembed(run.final.flatten(0, 1)[places]) for run in (clean, corrupted)]
        outputs = [self.executor.centred(torch.stack(run.senders)) for run in (clean, corrupted)]
        readout = Readout.between(self.output, self.target[rows].flatten()[places], *logits)
        return TaskBatch(self, outputs[0], outputs[1], self.scored[rows], places, readout)


@dataclass(frozen=True, eq=False)
class TaskBatch:
    """Some pairs of a task, run clean and corrupted, and ready to be patched.

    What nodes write is centred where the model has LayerNorm, see `siit.certificate.executor`.

    Attributes:
        task: whose pairs these are.
        clean, corrupted: what each node writes in either run.
        scored: where answers count.
        places: these places, of all positions of all examples in a row.
        readout: measures logits at these places.
    """

    task: DiscoveryTask
    clean: Float[Tensor, "senders batch pos d_model"]
    corrupted: Float[Tensor, "senders batch pos d_model"]
    scored: Bool[Tensor, "batch pos"]
    places: Int[Tensor, " scored"]
    readout: Readout

    def __len__(self) -> int:
        return len(self.scored)

    @cached_property
    def example(self) -> Int[Tensor, " scored"]:
        """Tells which example each scored place belongs to."""
        return self.places // self.scored.shape[1]

    @cached_property
    def weights(self) -> Float[Tensor, " scored"]:
        """Weighs scored places, so that each example's add up to 1."""
        return (1 / self.scored.sum(1).to(self.clean))[self.example]

    def masks(self, names: Sequence[str], per_example: bool = False) -> Float[Tensor, "*batch parts"]:
        """Makes masks of zeros, which take gradients.

        Args:
            names: of the task's edges, or of its nodes.
            per_example: whether each example has masks of its own, [batch, parts].
        """
        shape = (len(self), len(names)) if per_example else (len(names),)
        return torch.zeros(shape, device=self.clean.device, dtype=self.clean.dtype, requires_grad=True)

    def replacement(self, by: Kind) -> Float[Tensor, "senders #batch pos d_model"]:
        """Gives what replaces each node's output: that of the corrupted run, its mean over all of these, or zero."""
        if by == "resample":
            return self.corrupted
        return self.task.means if by == "mean" else torch.zeros_like(self.clean[:, :1])

    def run(
        self,
        edges: Float[Tensor, "*batch edges"] | None = None,
        nodes: Float[Tensor, "*batch senders"] | None = None,
        *,
        by: Kind = "resample",
        embeddings: Float[Tensor, "2 batch pos d_model"] | None = None,
        directions: Float[Tensor, "senders batch pos d_model"] | None = None,
    ) -> Float[Tensor, "scored d_vocab_out"]:
        """Runs the clean inputs with parts replaced by degrees, from 0 (as it is) to 1 (replaced).

        Args:
            edges: masks of edges, for all examples or each; None: none is replaced.
            nodes: masks of nodes, likewise.
            by: kind of replacement.
            embeddings: what both embeddings write; None: what they write on the clean inputs.
            directions: what a mask of 1 adds to an edge's sum; None: the replacement less what the sender writes.

        Returns:
            Logits at the scored places.
        """
        task = self.task
        task.passes.forward += len(self)
        final = task.executor.masked(
            self.clean[:2] if embeddings is None else embeddings,
            self.replacement(by),
            self.clean.new_zeros(len(task.edges)) if edges is None else edges,
            nodes if nodes is None else nodes.mT.contiguous() if nodes.ndim == 2 else nodes,
            directions,
        )
        return task.executor.logits(final.flatten(0, 1)[self.places])

    def run_from(
        self, block: int, edges: Float[Tensor, "*batch edges"], *, by: Kind = "resample"
    ) -> Float[Tensor, "scored d_vocab_out"]:
        """Runs the clean inputs with edges replaced that all enter late parts: only these are computed.

        Args:
            block: the first that an edge may enter, as `siit.certificate.executor.Executor.blocks` counts them.
            edges: masks of edges, for all examples or each.
            by: kind of replacement.

        Returns:
            Logits at the scored places.
        """
        executor = self.task.executor
        self.task.passes.forward += len(self)
        known = self.clean[: executor.senders_before(block)]
        final = executor.masked(known, self.replacement(by), edges, first=block)
        return executor.logits(final.flatten(0, 1)[self.places])

    def difference(self, logits: Float[Tensor, "scored d_vocab_out"]) -> Float[Tensor, " batch"]:
        """Measures how far answers are from the corrupted run's, on the right side; see `Readout.difference`."""
        return self.per_example(self.readout.difference(logits))

    def divergence(self, logits: Float[Tensor, "scored d_vocab_out"]) -> Float[Tensor, " batch"]:
        """Measures how far answers are from the clean run's; see `Readout.divergence`."""
        return self.per_example(self.readout.divergence(logits))

    def measured(self, metric: Metric, logits: Float[Tensor, "scored d_vocab_out"]) -> Float[Tensor, " batch"]:
        """Measures either by its name."""
        return self.per_example(self.readout.measured(metric, logits))

    def per_example(self, values: Float[Tensor, " scored"]) -> Float[Tensor, " batch"]:
        """Averages values of scored places over each example."""
        return values.new_zeros(len(self)).index_add(0, self.example, values * self.weights)

    def gradient(self, values: Float[Tensor, " batch"], masks: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Gives the gradient of the sum of all examples' values.

        Args:
            values: of each example.
            masks: that the run was made with, or what these were made of.
        """
        return self.gradients(values, [masks])[0]

    def gradients(self, values: Float[Tensor, " batch"], several: Sequence[Float[Tensor, "..."]]) -> tuple[Tensor, ...]:
        """Gives the same for several tensors, by one pass."""
        self.task.passes.backward += len(self)
        return torch.autograd.grad(values.sum(), several)

    def repeated(self, times: int) -> TaskBatch:
        """Repeats all examples, so that each can have several masks; those of the first masks come first.

        Args:
            times: how often each example is there.
        """
        if times == 1:
            return self
        size = self.scored.numel()
        first = torch.arange(times, device=self.places.device).unsqueeze(1) * size
        return TaskBatch(
            self.task,
            self.clean.repeat(1, times, 1, 1),
            self.corrupted.repeat(1, times, 1, 1),
            self.scored.repeat(times, 1),
            (first + self.places).flatten(),
            self.readout.repeated(times),
        )
