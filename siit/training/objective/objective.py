"""Evaluates the objective in one source pass and one patched pass; each term has a share of the batch.

The InterpBench paper's terms (arXiv 2407.14494, section 3) and this project's edge terms are marginals of one
expectation. Draw an interchange on the circuit, what is replaced off the circuit, and by which ablation. The target is
always the causal model's answer under the interchange alone.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Num, Shaped
from torch import Tensor

from siit.causal import Run
from siit.graph.architecture import POS_EMBED
from siit.interchange import Pairs, permuted_positions
from siit.interchange.interventions import NONE, Interchanges
from siit.training.objective.auxiliary_probes import AuxiliaryProbes
from siit.training.objective.draws import (
    MEAN,
    RESAMPLE,
    SHIFTED,
    AblationDraw,
    InterchangeDraw,
    OffCircuitDraw,
    Replacement,
    draw_replacement,
)
from siit.training.objective.interventions import Drawn
from siit.training.objective.leakage import Leakage
from siit.training.objective.losses import next_token_loss, task_loss
from siit.training.objective.priorities import Priorities
from siit.training.objective.supervised_attention import SupervisedAttention
from siit.transformer import BatchPatch, Outputs, PatchPoints, Transformer


@dataclass(frozen=True)
class Term:
    """One expectation over interventions.

    Attributes:
        weight: factor of its loss.
        share: its part of the batch; the shares of all terms sum to 1.
        interchange: of each of its examples.
        off_circuit: what is replaced off the circuit.
        ablation: what replaces it.
        constant: probability that a constant edge is interchanged too, whatever else is. Such a high-level edge carries
            the same value in every input (which slot is BOS), so that this changes no answer.
    """

    weight: float = 1.0
    share: float = 1.0
    interchange: InterchangeDraw = dataclasses.field(default_factory=InterchangeDraw)
    off_circuit: OffCircuitDraw = dataclasses.field(default_factory=OffCircuitDraw)
    ablation: AblationDraw = dataclasses.field(default_factory=AblationDraw)
    constant: float = 0.0


@dataclass(frozen=True, eq=False)
class Step:
    """One evaluation of the objective.

    Attributes:
        loss: weighted sum of the losses.
        losses: each term's own loss, before weighting; and `next_token`, `probes`, `attention` and `leakage`, if any.
        logits: the patched model's output at all positions, or at the last token's alone if only that counts.
        target: the causal model's output under the interchange, at the same positions.
        scored: where the target counts.
        drawn: the interventions.
    """

    loss: Float[Tensor, ""]
    losses: Mapping[str, Tensor]
    logits: Float[Tensor, "batch pos classes"]
    target: Num[Tensor, "batch pos"]
    scored: Bool[Tensor, "batch pos"]
    drawn: Drawn


@dataclass(frozen=True, eq=False)
class Answered:
    """What a model answers to a batch under its interventions.

    Attributes:
        logits: the patched model's output at all positions, or at the last token's alone if only that counts.
        target: the causal model's output under the interchange, at the same positions.
        scored: where the target counts.
        run: the causal model under the interchange.
        source: the run of the sources, if there is one.
        outputs: of the patched run.
    """

    logits: Float[Tensor, "batch pos classes"]
    target: Num[Tensor, "batch pos"]
    scored: Bool[Tensor, "batch pos"]
    run: Run
    source: Outputs | None
    outputs: Outputs


@dataclass(frozen=True, eq=False)
class _Masks:
    """What each interchange patches, on one device.

    Attributes:
        senders: for each choice, the senders that it patches.
        edges: for each choice, the circuit edges that it patches.
        constant: for each constant interchange, the circuit edges that it patches.
        off_nodes: the off-circuit nodes' places among the senders.
    """

    senders: Bool[Tensor, "choice sender"]
    edges: Bool[Tensor, "choice edge"]
    constant: Bool[Tensor, "constant edge"]
    off_nodes: Int[Tensor, " node"]


class Objective:
    """Evaluates terms on a batch of pairs.

    Args:
        interchanges: the interchanges of the circuit, with the causal model.
        terms: by name; shares sum to 1.
        source_gradient: whether gradients flow through the source run too.
        probe_weight: factor of the auxiliary probes' loss, where there are any.
        attention_weight: factor of the loss of supervised attention.
        leakage_weight: factor of the mean leakage of the circuit's reads, in the plain runs of the sources.
        next_token: factor of the loss of predicting every next token, on the plain runs of the sources. The answers'
            classes must then be the tokens.
        tolerance: how far an answer may be off, where answers are numbers.

    Raises:
        ValueError: where the shares are not parts of a batch that sum to 1.
    """

    def __init__(
        self,
        interchanges: Interchanges,
        terms: Mapping[str, Term],
        source_gradient: bool,
        probe_weight: float = 0.0,
        attention_weight: float = 0.0,
        leakage_weight: float = 0.0,
        next_token: float = 0.0,
        tolerance: float | None = None,
    ) -> None:
        shares = {name: term.share for name, term in terms.items()}
        if not (all(share >= 0 for share in shares.values()) and abs(sum(shares.values()) - 1) <= 1e-6):
            raise ValueError(f"objective.terms: found shares {shares}, accepted are shares from 0 to 1 that sum to 1")
        self.interchanges = interchanges
        self.terms = dict(terms)
        self.source_gradient = source_gradient
        self.probe_weight, self.attention_weight = probe_weight, attention_weight
        self.leakage_weight, self.next_token = leakage_weight, next_token
        self.tolerance = tolerance
        self.points = PatchPoints(interchanges.labels.circuit)
        self.attention = SupervisedAttention(interchanges.model, interchanges.labels)
        self.leakage = Leakage(interchanges.labels.circuit, self.points.senders)
        self._masks_on: dict[torch.device, _Masks] = {}

    def _masks(self, device: torch.device) -> _Masks:
        """Makes the masks, or finds those it has made: at every step a copy to the device would wait for it."""
        if device not in self._masks_on:
            self._masks_on[device] = self._make_masks(device)
        return self._masks_on[device]

    def _make_masks(self, device: torch.device) -> _Masks:
        circuit, units = self.interchanges.labels.circuit, self.interchanges.n_units
        senders = torch.zeros(len(self.interchanges.names) + 1, len(self.points.senders), dtype=torch.bool)
        edges = torch.zeros(len(self.interchanges.names) + 1, self.points.n_circuit_edges, dtype=torch.bool)
        carried = list(circuit.carries.values())
        for index, name in enumerate(self.interchanges.names):
            if index < units:
                for node in circuit.alignment[name]:
                    senders[index + 1, self.points.senders.index(node)] = True
            else:
                edges[index + 1] = torch.tensor([carry == name for carry in carried])
        off = torch.tensor([self.points.senders.index(node) for node in circuit.off_nodes], dtype=torch.int64)
        constant = edges[1:][list(self.interchanges.constant)]
        return _Masks(senders.to(device), edges.to(device), constant.to(device), off.to(device))

    def draw_choice(
        self, batch: int, generator: torch.Generator, priorities: Priorities | None = None
    ) -> Int[Tensor, " batch"]:
        """Draws the interchanges of a batch, as `siit.interchange.interventions` numbers them.

        Args:
            batch: number of examples.
            generator: of the draw; the result is on its device.
            priorities: what is drawn more often; None: nothing.
        """
        units, edges = self.interchanges.n_units, len(self.interchanges.names) - self.interchanges.n_units
        counts = zip(self.terms.values(), self.counts(batch), strict=True)
        return torch.cat([term.interchange.draw(n, units, edges, generator, priorities) for term, n in counts])

    def draw(
        self,
        pairs: Pairs,
        generator: torch.Generator,
        circuit_only: bool,
        priorities: Priorities | None = None,
        choice: Int[Tensor, " batch"] | None = None,
    ) -> Drawn:
        """Draws the interventions of a batch.

        Args:
            pairs: the batch.
            generator: of the draws, on the pairs' device.
            circuit_only: whether everything off the circuit is replaced, whatever the terms say.
            priorities: what is drawn more often; None: nothing.
            choice: the interchanges, where they are drawn already.
        """
        if choice is None:
            choice = self.draw_choice(len(pairs), generator, priorities)
        circuit = self.interchanges.labels.circuit
        n_nodes, n_edges = len(circuit.off_nodes), len(circuit.off_edges)
        constants, replacements = [], []
        n_constant = sum(self.interchanges.constant)
        for term, count in zip(self.terms.values(), self.counts(len(pairs)), strict=True):
            off_circuit = OffCircuitDraw(none=0.0, all=1.0) if circuit_only else term.off_circuit
            chance = torch.rand(n_constant, count, device=generator.device, generator=generator)
            constants.append(chance < term.constant)
            replacements.append(
                draw_replacement(off_circuit, term.ablation, count, n_nodes, n_edges, generator, priorities)
            )
        if pairs.interchangeable is not None:
            choice = torch.where(pairs.interchangeable, choice, NONE)
        return Drawn(
            choice=choice,
            constant=torch.cat(constants, 1),
            source_positions=self.interchanges.source_positions(pairs, choice, generator),
            off_positions=permuted_positions(pairs.source, len(self.interchanges.model.vocab), generator),
            shifted=_shifted(pairs.source, generator),
            replacement=Replacement(
                nodes=torch.cat([part.nodes for part in replacements], 1),
                edges=torch.cat([part.edges for part in replacements], 1),
                ablation=torch.cat([part.ablation for part in replacements]),
                single=torch.cat([part.single for part in replacements]),
            ),
            all_off=circuit_only,
        )

    def counts(self, batch: int) -> list[int]:
        """Splits a batch: how many examples each term gets."""
        bounds, total = [0], 0.0
        for term in self.terms.values():
            total += term.share
            bounds.append(round(batch * total))
        return [end - start for start, end in itertools.pairwise(bounds)]

    def evaluate(
        self, model: Transformer, pairs: Pairs, drawn: Drawn, auxiliary_probes: AuxiliaryProbes | None = None
    ) -> Step:
        """Runs one source pass and one patched pass, and compares with the causal model.

        Args:
            model: the low-level model.
            pairs: the batch.
            drawn: its interventions.
            auxiliary_probes: add their loss to the terms'; None: there are none.
        """
        found = self.answer(model, pairs, drawn, self.attention.heads if self.attention_weight else ())
        source, outputs, run = found.source, found.outputs, found.run
        is_token = self._is_token(pairs.base)
        losses, start = {}, 0
        for name, count in zip(self.terms, self.counts(len(pairs)), strict=True):
            part = slice(start, start + count)
            losses[name] = task_loss(found.logits[part], found.target[part], found.scored[part], self.tolerance)
            start += count
        total = torch.stack([self.terms[name].weight * loss for name, loss in losses.items()]).sum()
        if self.next_token:
            assert source is not None
            losses["next_token"] = next_token_loss(source.logits, pairs.source, len(self.interchanges.model.vocab))
            total = total + self.next_token * losses["next_token"]
        if auxiliary_probes is not None:
            senders = dict(zip(self.points.senders, outputs.senders, strict=True))
            losses["probes"] = auxiliary_probes.loss(senders, run, is_token)
            total = total + self.probe_weight * losses["probes"]
        if run.attention:
            losses["attention"] = self.attention.loss(outputs.patterns, run, is_token)
            total = total + self.attention_weight * losses["attention"]
        if self.leakage_weight:
            assert source is not None
            is_slot = pairs.source <= len(self.interchanges.model.vocab)  # Padding has the last id, BOS the one before.
            losses["leakage"] = self.leakage.of(model, source.senders, is_slot).mean()
            total = total + self.leakage_weight * losses["leakage"]
        return Step(total, losses, found.logits, found.target, found.scored, drawn)

    def answer(self, model: Transformer, pairs: Pairs, drawn: Drawn, attention: Collection[str] = ()) -> Answered:
        """Runs one source pass and one patched pass, and the causal model.

        Args:
            model: the low-level model.
            pairs: the batch.
            drawn: its interventions.
            attention: variables whose heads' patterns are asked of the causal model.
        """
        run = self.interchanges.answers(pairs, drawn.choice, drawn.source_positions, attention)
        source = self.source_run(model, pairs, drawn)
        patch = None if source is None else self.patch(model, source, drawn, pairs.fresh)
        outputs = model.run(pairs.base, patch=patch)
        final, target, scored = outputs.final, run.output, run.scored
        if self.interchanges.model.scored_at == "last":
            final, target, scored = (_at_last(values, self._is_token(pairs.base)) for values in (final, target, scored))
        return Answered(outputs.unembed(final), target, scored, run, source, outputs)

    def _is_token(self, inputs: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
        return inputs < len(self.interchanges.model.vocab)

    def source_run(self, model: Transformer, pairs: Pairs, drawn: Drawn) -> Outputs | None:
        """Runs the model on the sources; None if no term patches and nothing else is learned of it.

        Args:
            model: the low-level model.
            pairs: the batch.
            drawn: its interventions; tell the sources' position ids.
        """
        never = all(
            term.interchange.none == 1 and term.off_circuit.none == 1 and term.constant == 0
            for term in self.terms.values()
        )
        learned = self.next_token > 0 or self.leakage_weight > 0
        if never and not (drawn.all_off or learned):
            return None
        wanted = self.source_gradient or learned
        with torch.set_grad_enabled(wanted and torch.is_grad_enabled()):
            return model.run(pairs.source, drawn.source_positions)

    def patch(
        self, model: Transformer, source: Outputs, drawn: Drawn, fresh: Bool[Tensor, " batch"] | None = None
    ) -> BatchPatch:
        """Makes the patch that carries out the drawn interventions.

        Args:
            model: the low-level model; its positions' embeddings replace each other.
            source: the source run.
            drawn: the interventions.
            fresh: over which examples means are taken; None: all.
        """
        with torch.set_grad_enabled(self.source_gradient and torch.is_grad_enabled()):
            ablation = self._ablation(model, source.senders, drawn, fresh)
        masks = self._masks(drawn.choice.device)
        senders, edges = masks.senders[drawn.choice].T, masks.edges[drawn.choice].T
        edges = edges | (masks.constant.unsqueeze(2) & drawn.constant.unsqueeze(1)).any(0)
        # Masks that an adversary ascends are numbers, with gradients.
        replaced = drawn.replacement
        nodes = senders.to(replaced.nodes.dtype).index_copy(0, masks.off_nodes, replaced.nodes)
        return BatchPatch(
            points=self.points,
            nodes=nodes,
            edges=torch.cat([edges.to(replaced.edges.dtype), replaced.edges]),
            interchange=source.senders if self.source_gradient else [output.detach() for output in source.senders],
            ablation=ablation,
            off_nodes_always=drawn.all_off,
        )

    def _ablation(
        self, model: Transformer, outputs: Sequence[Tensor], drawn: Drawn, fresh: Bool[Tensor, " batch"] | None
    ) -> list[Tensor]:
        """Computes what replaces each sender off the circuit, [batch, pos, d_model].

        A position's embedding is resampled from permuted positions; its mean at a position is itself.
        """
        batch, positions = drawn.shifted.shape
        chosen = drawn.replacement.ablation.unsqueeze(1)
        weight = torch.ones_like(chosen[:, 0]) if fresh is None else fresh
        weight = weight.to(outputs[0].dtype) / weight.sum().clamp(min=1)
        # All that can replace a sender at some position are rows of one table: its outputs, their means, and a zero.
        own = torch.arange(positions, device=chosen.device)
        first = positions * torch.arange(batch, device=chosen.device).unsqueeze(1)
        mean, zero = batch * positions + own, (batch + 1) * positions
        row = torch.where(chosen == MEAN, mean, torch.where(chosen == SHIFTED, first + drawn.shifted, zero))
        resampled = torch.where(chosen == RESAMPLE, first + own, row)
        permuted = torch.where(chosen == RESAMPLE, batch * positions + drawn.off_positions, row)
        replaced = []
        for name, output in zip(self.points.senders, outputs, strict=True):
            if name == POS_EMBED:
                means, rows = model.pos_embed.W_pos[:positions], permuted
            else:
                means, rows = (weight @ output.flatten(1)).view_as(output[0]), resampled
            table = torch.cat([output.flatten(0, 1), means, torch.zeros_like(means[:1])])
            replaced.append(F.embedding(rows, table))
        return replaced


def _at_last(
    values: Shaped[Tensor, "batch pos *rest"], is_token: Bool[Tensor, "batch pos"]
) -> Shaped[Tensor, "batch 1 *rest"]:
    """Selects what stands at each input's last token."""
    last = is_token.int().cumsum(1).argmax(1)
    return values[torch.arange(len(values), device=values.device), last].unsqueeze(1)


def _shifted(tokens: Int[Tensor, "batch pos"], generator: torch.Generator) -> Int[Tensor, "batch pos"]:
    """Shifts the positions of each example, in a circle, by a number that is drawn for it."""
    batch, positions = tokens.shape
    shift = torch.randint(1, max(2, positions), (batch, 1), device=generator.device, generator=generator)
    return (torch.arange(positions, device=generator.device) + shift) % positions
