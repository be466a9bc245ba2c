"""The settings of the objective: its terms and its schedule."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from siit.training.configuration.case import CaseSettings, recipe_off_circuit
from siit.training.configuration.draws import AblationSettings, InterchangeSettings, TermSettings
from siit.training.configuration.errors import require
from siit.training.objective import Term


def _siit_terms() -> dict[str, TermSettings]:
    term = TermSettings(
        interchange=InterchangeSettings(none=0.2, unit=0.4, edge=0.4),
        off_circuit=recipe_off_circuit(),
        ablation=AblationSettings(resample=0.5, mean=0.1, zero=0.25, shifted=0.15),
        constant=0.5,
    )
    return {"siit": term}


@dataclass
class ObjectiveSettings:
    """Holds the expectation that is minimised; the defaults are Strict Interchange Intervention Training."""

    name: str = "siit"
    """Name of the objective, as its record keeps it."""
    terms: dict[str, TermSettings] = field(default_factory=_siit_terms)
    """Name -> term; the objective is their weighted sum."""
    circuit_first: float | None = CaseSettings.circuit_first
    """Share of right answers, in the worst interchange, at which the circuit-only phase ends; null: there is none.
    In that phase everything off the circuit is replaced in every example."""
    source_gradient: bool = True
    """Whether gradients flow through the source run too, so that nodes learn to write what others read."""
    probe_weight: float = CaseSettings.probe_weight
    """Factor of the loss of auxiliary probes: linear maps that read each variable off its nodes."""
    attention_weight: float = 1.0
    """Factor of the loss of supervised attention: heads learn to attend to what the causal model selects."""
    leakage_weight: float = 1.0
    """Factor of leakage: what members of the circuit read over off-circuit edges, as a share of what they read."""
    next_token: float = 0.0
    """Factor of the loss of predicting every next token, where the answers are tokens."""
    prioritised: float = 0.5
    """Prioritised sampling: share of the interchanges, and of the single off-circuit parts, that are drawn in
    proportion to their running errors. The others follow the probabilities of the terms."""
    replay: float = 0.25
    """Share of the pairs that come from the replay buffer: earlier ones that went wrong. Each meets again the
    interchange under which it did, with the same permuted positions; what is replaced off the circuit is drawn anew."""

    candidates: int = 256
    """Pairs that are answered at each step to find the hardest, which take the places of half of the new ones; 0: none.
    None are asked in the circuit-only phase. Half of the candidates are drawn for rare values of what is interchanged;
    without candidates, half of the new pairs are."""

    adversarial: float = 0.5
    """Share of the pairs that are attacked once the circuit-only phase is over. Earlier pairs come again, with the
    off-circuit parts replaced that the gradient of their loss names. They take the last places of a batch."""

    escalation: bool = True
    """Whether a run that stands still gives the variable that is wrong most often one more node, and trains on. That is
    a free head of its layer, or the layer's MLP. Where none is left, the run ends and says what is wrong."""

    def check(self) -> None:
        """Checks the ranges, and the terms.

        Raises:
            ConfigError: names the field, what was found and what is accepted.
        """
        for name in ("prioritised", "replay"):
            share = getattr(self, name)
            require(f"objective.{name}", share, 0 <= share < 1, "a number from 0 to below 1")
        require("objective.candidates", self.candidates, self.candidates >= 0, "0 or more")
        attacked = self.adversarial
        require("objective.adversarial", attacked, 0 <= attacked <= 0.5, "a number from 0 to 0.5")
        for name in ("probe_weight", "attention_weight", "leakage_weight", "next_token"):
            require(f"objective.{name}", getattr(self, name), getattr(self, name) >= 0, "0 or more")
        first, accepted = self.circuit_first, "null or a number above 0, at most 1"
        require("objective.circuit_first", first, first is None or 0 < first <= 1, accepted)
        require("objective.terms", {}, bool(self.terms), "at least one term")
        shares = {name: term.typed(f"objective.terms.{name}").share for name, term in self.terms.items()}
        require("objective.terms.*.share", shares, abs(sum(shares.values()) - 1) <= 1e-6, "shares that sum to 1")


def terms_of(objective: ObjectiveSettings) -> dict[str, Term]:
    """Makes the objective's terms.

    Raises:
        ConfigError: numbers that cannot be, or probabilities that do not sum to 1.
    """
    return {name: settings.typed(f"objective.terms.{name}") for name, settings in objective.terms.items()}


def plain_objective() -> ObjectiveSettings:
    """Makes an objective without terms, and without all that the papers' objectives do not have."""
    return ObjectiveSettings(
        name=MISSING,
        terms={},
        circuit_first=None,
        probe_weight=0.0,
        attention_weight=0.0,
        leakage_weight=0.0,
        prioritised=0.0,
        replay=0.0,
        candidates=0,
        adversarial=0.0,
        escalation=False,
    )
