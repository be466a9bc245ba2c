"""The settings of what is drawn for each example of a term; see `siit.training.objective.draws`."""

from __future__ import annotations

from dataclasses import dataclass, field

from siit.training.configuration.errors import ConfigError, require
from siit.training.objective import AblationDraw, InterchangeDraw, OffCircuitDraw, Term


@dataclass
class InterchangeSettings:
    """Holds the probabilities of the interchange on the circuit; they sum to 1."""

    none: float = InterchangeDraw.none
    """Probability that nothing is interchanged."""
    unit: float = InterchangeDraw.unit
    """Probability that one unit (a variable's nodes) takes its activations from the source."""
    edge: float = InterchangeDraw.edge
    """Probability that one high-level edge (q, k and v apart) takes its activations from the source."""


@dataclass
class OffCircuitSettings:
    """Holds the probabilities of what is replaced off the circuit; they sum to 1."""

    none: float = OffCircuitDraw.none
    """Probability that nothing is replaced."""
    all: float = OffCircuitDraw.all
    """Probability that every off-circuit node and edge is replaced."""
    subset: float = OffCircuitDraw.subset
    """Probability that a random subset of them is replaced."""
    one: float = OffCircuitDraw.one
    """Probability that a single one of them is replaced, or all of them as if they were one."""
    all_nodes: float = OffCircuitDraw.all_nodes
    """Probability that every off-circuit node is replaced, and no edge."""
    one_node: float = OffCircuitDraw.one_node
    """Probability that a single off-circuit node is replaced (the InterpBench paper's strict term)."""


@dataclass
class AblationSettings:
    """Holds the probabilities of the ablation of off-circuit parts; they sum to 1."""

    resample: float = AblationDraw.resample
    """Probability that the source's activation takes the part's place."""
    mean: float = AblationDraw.mean
    """Probability that the mean at the position does."""
    zero: float = AblationDraw.zero
    """Probability that zero does."""
    shifted: float = AblationDraw.shifted
    """Probability that the source's activation at another position does. Without it, off-circuit parts may say what is
    the same in every input (which slot is BOS) beside the circuit edge that does. Replaced by zero, that edge then has
    no effect of its own."""


@dataclass
class TermSettings:
    """Holds one term of the objective."""

    weight: float = Term.weight
    """Factor of the term's loss."""
    share: float = Term.share
    """Share of the batch that the term takes; all shares sum to 1."""
    interchange: InterchangeSettings = field(default_factory=InterchangeSettings)
    """What is interchanged on the circuit."""
    off_circuit: OffCircuitSettings = field(default_factory=OffCircuitSettings)
    """What is replaced off the circuit."""
    ablation: AblationSettings = field(default_factory=AblationSettings)
    """By what it is replaced."""
    constant: float = Term.constant
    """Probability that a high-level edge which reads the same in every input (which slot is BOS) is interchanged too.
    It changes no answer, and teaches early that what counts is which slots are attended, not what they hold."""

    def typed(self, key: str) -> Term:
        """Makes the term of these settings.

        Args:
            key: of the settings, `objective.terms.<name>`.

        Raises:
            ConfigError: numbers that cannot be, or probabilities that do not sum to 1.
        """
        require(f"{key}.share", self.share, 0 < self.share <= 1, "a number above 0, at most 1")
        require(f"{key}.weight", self.weight, self.weight >= 0, "0 or more")
        require(f"{key}.constant", self.constant, 0 <= self.constant <= 1, "a probability")
        place = "interchange"
        try:
            interchange = InterchangeDraw(**vars(self.interchange))
            place = "off_circuit"
            off_circuit = OffCircuitDraw(**vars(self.off_circuit))
            place = "ablation"
            ablation = AblationDraw(**vars(self.ablation))
        except ValueError as error:
            raise ConfigError(f"{key}.{place}: {error}") from error
        return Term(self.weight, self.share, interchange, off_circuit, ablation, self.constant)
