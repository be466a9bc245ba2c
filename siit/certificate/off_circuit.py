"""Measures whether what is off the circuit does no harm: each part alone, random subsets, and the adversary's.

Each under every kind of replacement. A share is of the scored positions of the fewest pairs that hold enough of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Bool
from torch import Tensor

from siit.certificate.adversary import SEED, Attack, attack
from siit.certificate.alone import right_alone
from siit.certificate.executor import Executor
from siit.certificate.held_out import HeldOutPairs
from siit.certificate.questions import KINDS, Kind, Patch
from siit.certificate.reference import ReferenceModel
from siit.certificate.situation import Situation
from siit.certificate.tally import Batch, Count, Means
from siit.graph.circuit import Circuit

Shares = dict[str, dict[str, Count]]
"""Field and kind, joined by a dot -> component -> what was counted."""


class OffCircuit:
    """The parts off a circuit, and pairs on which they are replaced.

    Args:
        model: the measured one.
        circuit: its labels.
        evidence: the pairs.
        means: of each sender's output, as the certificate takes them.
        batch_size: pairs in a batch.
    """

    def __init__(
        self, model: ReferenceModel, circuit: Circuit, evidence: HeldOutPairs, means: Means, batch_size: int
    ) -> None:
        self.model, self.circuit, self.means, self.batch_size = model, circuit, means, batch_size
        self.executor = Executor(model.config, model.parameters)
        self._trims = model.config.attention_dir == "causal"
        self._order = evidence.by_need if self._trims else torch.arange(evidence.pairs, device=evidence.base.device)
        self.evidence = evidence.at(self._order)
        off_nodes, off_edges = set(circuit.off_nodes), set(circuit.off_edges)
        device = model.parameters["embed.W_E"].device
        self.nodes = torch.tensor([sender in off_nodes for sender in self.executor.senders], device=device)
        self.edges = torch.tensor([edge in off_edges for edge in self.executor.edges], device=device)

    def alone(self) -> Shares:
        """Replaces every node and every edge alone: the fields `strict_node` and `strict_edge`."""
        shares: Shares = {}
        node_names = [name for name, off in zip(self.executor.senders, self.nodes.tolist(), strict=True) if off]
        edge_names = [str(edge) for edge, off in zip(self.executor.edges, self.edges.tolist(), strict=True) if off]
        for situation in self._situations():
            for kind in KINDS:
                right = right_alone(situation, situation.replacements[kind], self.nodes, self.edges)
                for field, names, hits in (
                    ("strict_node", node_names, right.nodes[self.nodes]),
                    ("strict_edge", edge_names, right.edges[self.edges]),
                ):
                    _add(shares, f"{field}.{kind}", names, hits, situation)
        return shares

    def subsets(self, subsets: Mapping[str, str]) -> Shares:
        """Replaces subsets of nodes and edges: the field `strict_subsets`.

        Args:
            subsets: as `siit.certificate.questions.draw_subsets` gives them.
        """
        shares: Shares = {}
        masks = [(self._nodes(bits), self._edges(bits)) for bits in subsets.values()]
        for situation in self._situations():
            scored = float(situation.scored.sum())
            for kind in KINDS:
                with torch.no_grad():
                    wrong = torch.stack([situation.wrong(kind, *mask).sum() for mask in masks])
                _add(shares, f"strict_subsets.{kind}", list(subsets), scored - wrong, situation)
        return shares

    def adversarial(self) -> Shares:
        """Replaces the worst subset that the adversary finds for each example: the field `strict_adversarial`."""
        shares: Shares = {}
        for kind in KINDS:
            for situation, found in self._attacks(kind):
                hits = situation.scored.sum() - found.wrong.sum()
                _add(shares, f"strict_adversarial.{kind}", ["all"], hits.unsqueeze(0), situation)
        return shares

    def attack(self, kind: Kind) -> Attack:
        """Finds the worst subset of edges for each pair, in the order of the evidence.

        Args:
            kind: of replacement.
        """
        found = [found for _, found in self._attacks(kind)]
        back = self._order.argsort()
        edges, wrong = torch.cat([part.edges for part in found]), torch.cat([part.wrong for part in found])
        return Attack(edges[back], wrong[back])

    def _attacks(self, kind: Kind) -> Iterator[tuple[Situation, Attack]]:
        generator = torch.Generator().manual_seed(SEED)
        for situation in self._situations():
            yield situation, attack(situation, kind, self.edges, generator)

    def _situations(self) -> Iterator[Situation]:
        device = self.model.parameters["embed.W_E"].device
        for pairs in self.evidence.batches(self.batch_size, device):
            pairs = pairs.trimmed() if self._trims else pairs
            batch = Batch(self.model, pairs, self.means)
            replacements = {kind: self._outputs(batch.values(Patch(kind=kind))) for kind in KINDS}
            yield Situation(
                self.executor,
                self._outputs(batch.clean.outputs),
                replacements,
                pairs.target(None),
                pairs.scored(None),
                pairs.answers,
            )

    def _outputs(self, values: Mapping[str, Tensor]) -> Tensor:
        """By batch (1 where it is the same for all), sender and position."""
        stacked = torch.stack([values[name] for name in self.executor.senders], -3)
        return self.executor.centred(stacked if stacked.ndim == 4 else stacked.unsqueeze(0))

    def _nodes(self, bits: str) -> Tensor:
        return self._mask(self.nodes, bits[: len(self.circuit.off_nodes)])

    def _edges(self, bits: str) -> Tensor:
        return self._mask(self.edges, bits[len(self.circuit.off_nodes) :])

    def _mask(self, off: Bool[Tensor, " parts"], bits: str) -> Tensor:
        """A mask for one example that stands for all."""
        mask = torch.zeros(len(off), dtype=self.model.parameters["embed.W_E"].dtype, device=off.device)
        mask[off] = torch.tensor([float(bit) for bit in bits], dtype=mask.dtype, device=off.device)
        return mask.unsqueeze(0)


def _add(shares: Shares, field: str, names: list[str], hits: Tensor, situation: Situation) -> None:
    positions = int(situation.scored.sum())
    counts = shares.setdefault(field, {})
    for name, total in zip(names, hits.tolist(), strict=True):
        counts[name] = counts.get(name, Count()) + Count(total, positions)
