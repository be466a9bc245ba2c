"""Measures whether what is off the circuit does no harm: each part alone, random subsets, and the adversary's.

Each under every kind of replacement. A share is of the scored positions of the fewest pairs that hold enough of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property

import torch
from jaxtyping import Bool
from torch import Tensor

from siit.certificate.adversary import Attack, attack
from siit.certificate.executor import Executor
from siit.certificate.fields import KINDS, Kind
from siit.certificate.held_out import HeldOutPairs
from siit.certificate.questions import Patch
from siit.certificate.reference import ReferenceModel
from siit.certificate.rows import Rows, rows_of
from siit.certificate.single_parts import alone
from siit.certificate.situation import Situation
from siit.certificate.tally import Batch, Count, Means
from siit.graph.circuit import Circuit

_ROWS = 768
"""Positions of a batch that a CPU runs at once, many times: what they take stays in its cache."""

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
        seed: of the adversary's random starts.
    """

    def __init__(
        self,
        model: ReferenceModel,
        circuit: Circuit,
        evidence: HeldOutPairs,
        means: Means,
        batch_size: int,
        seed: int = 0,
    ) -> None:
        self.model, self.circuit, self.means, self.batch_size, self.seed = model, circuit, means, batch_size, seed
        self.executor = Executor(model.config, model.parameters)
        self.evidence = evidence
        off_nodes, off_edges = set(circuit.off_nodes), set(circuit.off_edges)
        self._device = device = model.parameters["embed.W_E"].device
        self.nodes = torch.tensor([sender in off_nodes for sender in self.executor.senders], device=device)
        self.edges = torch.tensor([edge in off_edges for edge in self.executor.edges], device=device)

    def on(self, evidence: HeldOutPairs) -> OffCircuit:
        """Gives the same with other pairs."""
        return OffCircuit(self.model, self.circuit, evidence, self.means, self.batch_size, self.seed)

    def alone(self) -> Shares:
        """Replaces every node and every edge alone: the fields `strict_node` and `strict_edge`."""
        shares: Shares = {}
        node_names = [name for name, off in zip(self.executor.senders, self.nodes.tolist(), strict=True) if off]
        edge_names = [str(edge) for edge, off in zip(self.executor.edges, self.edges.tolist(), strict=True) if off]
        for kind, situation in self._small_situations():
            right = alone(situation, self.nodes, self.edges)
            _add(shares, f"strict_node.{kind}", node_names, right.nodes[self.nodes], situation)
            _add(shares, f"strict_edge.{kind}", edge_names, right.edges[self.edges], situation)
        return shares

    def subsets(self, subsets: Mapping[str, str]) -> Shares:
        """Replaces subsets of nodes and edges: the field `strict_subsets`.

        Args:
            subsets: as `siit.certificate.questions.draw_subsets` gives them.
        """
        shares: Shares = {}
        if not subsets:
            return shares
        off = len(self.circuit.off_nodes)
        edges = torch.stack([_mask(self.edges, bits[off:]) for bits in subsets.values()])
        nodes = torch.stack([_mask(self.nodes, bits[:off]) for bits in subsets.values()])
        for kind, situation in self._small_situations():
            # Of a small batch several are run at once.
            some = max(1, _ROWS // situation.scored.numel())
            parts = zip(edges.split(some), nodes.split(some), strict=True)
            right = torch.cat([situation.right_under(*part) for part in parts])
            _add(shares, f"strict_subsets.{kind}", list(subsets), right, situation)
        return shares

    def adversarial(self, bar: float | None = None) -> Shares:
        """Replaces the worst subset that the adversary finds for each example: the field `strict_adversarial`.

        Args:
            bar: where given, this ends as soon as too many answers are wrong for a kind's share to reach it. That share
                is then of the pairs so far, and kinds that come later have none.
        """
        shares: Shares = {}
        scored = max(int(self.evidence.scored(None).sum()), 1)
        # Zeros first: a model fails by them most often.
        for kind, situation, found in self._attacks(KINDS[::-1]):
            field = f"strict_adversarial.{kind}"
            right = situation.positions - found.wrong @ situation.pairs
            _add(shares, field, ["all"], right.unsqueeze(0), situation)
            count = shares[field]["all"]
            if bar is not None and (scored - count.positions + count.total) / scored < bar:
                break
        return shares

    def attack(self, kind: Kind) -> Attack:
        """Finds the worst subset of edges for each pair.

        Args:
            kind: of replacement.
        """
        found = [found for _, _, found in self._attacks((kind,))]
        edges, wrong = torch.cat([part.edges for part in found]), torch.cat([part.wrong for part in found])
        place = self._rows(kind).place.to(wrong.device)
        return Attack(edges[place], wrong[place])

    def _attacks(self, kinds: Collection[Kind]) -> Iterator[tuple[Kind, Situation, Attack]]:
        generators = {kind: torch.Generator().manual_seed(self.seed) for kind in kinds}
        # The random starts are drawn batch by batch: on every device of as many pairs.
        for kind, situation in self._situations(kinds, self.batch_size):
            yield kind, situation, attack(situation, self.edges, generators[kind])

    def _small_situations(self) -> Iterator[tuple[Kind, Situation]]:
        """Yields batches of the size that takes the least time."""
        most = _ROWS // self.model.config.n_ctx if self._device.type == "cpu" else self.batch_size
        return self._situations(KINDS, max(1, min(self.batch_size, most)))

    def _situations(self, kinds: Collection[Kind], batch_size: int) -> Iterator[tuple[Kind, Situation]]:
        """Yields every batch of pairs with each kind of replacement."""
        if not bool(self.edges.any()):
            return
        device = self._device
        for rows in dict.fromkeys(map(self._rows, kinds)):
            parts = zip(rows.pairs.batches(batch_size, device), rows.counts.split(batch_size), strict=True)
            for pairs, counts in parts:
                batch = Batch(self.model, pairs.trimmed() if self._trims else pairs, self.means)
                for kind in (kind for kind in kinds if self._rows(kind) is rows):
                    yield kind, self._situation(batch, kind, counts.to(device))

    def _situation(self, batch: Batch, kind: Kind, counts: Tensor) -> Situation:
        outputs, replacement = (
            self._outputs(values) for values in (batch.clean.outputs, batch.values(Patch(kind=kind)))
        )
        pairs = batch.evidence
        return Situation(
            self.executor,
            outputs,
            replacement,
            pairs.target(None),
            pairs.scored(None),
            counts.to(outputs),
            pairs.answers,
        )

    def _rows(self, kind: Kind) -> Rows:
        """The pairs, for what depends on their sources; else their different bases."""
        return self._pairs if kind == "resample" else self._bases

    @cached_property
    def _pairs(self) -> Rows:
        return rows_of(self.evidence, bases=False, sort=self._trims)

    @cached_property
    def _bases(self) -> Rows:
        return rows_of(self.evidence, bases=True, sort=self._trims)

    @property
    def _trims(self) -> bool:
        return self.model.config.attention_dir == "causal"

    def _outputs(self, values: Mapping[str, Tensor]) -> Tensor:
        """By sender, batch (1 where it is the same for all) and position."""
        stacked = torch.stack([values[name] for name in self.executor.senders])
        return self.executor.centred(stacked if stacked.ndim == 4 else stacked.unsqueeze(1))


def _mask(off: Bool[Tensor, " parts"], bits: str) -> Bool[Tensor, " parts"]:
    """A mask of all parts, of bits for those off the circuit."""
    mask = torch.zeros_like(off)
    mask[off] = torch.tensor([bit == "1" for bit in bits], device=off.device)
    return mask


def _add(shares: Shares, field: str, names: list[str], hits: Tensor, situation: Situation) -> None:
    positions = situation.positions
    counts = shares.setdefault(field, {})
    for name, total in zip(names, hits.tolist(), strict=True):
        counts[name] = counts.get(name, Count()) + Count(total, positions)
