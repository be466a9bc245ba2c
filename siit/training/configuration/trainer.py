"""The settings of optimisation, checks and hardware."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from siit.training.configuration.errors import require

_POSITIVE = (
    "max_steps", "batch_size", "learning_rate", "anneal_steps", "gradient_clip", "check_every", "validation_pairs",
    "threads",
)  # fmt: skip
_ACCELERATORS = ("auto", "cpu", "gpu")
_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


@dataclass
class TrainerSettings:
    """Holds how a model is optimised, how often it is checked, and on what it is trained."""

    max_steps: int = 10000
    """Steps at most; training ends earlier once the validation certificate holds. Nothing else depends on it: a run
    that has used them up goes on with more."""
    batch_size: int = 128
    """Pairs of base and source in a step."""
    learning_rate: float = 1e-2
    """Learning rate after the warm-up, of Muon (matrices) and AdamW (all else) alike. It falls (a cosine) over
    anneal_steps. In the circuit-only phase it begins anew each time, half as high, over twice as many steps. After it,
    it falls once, from where it is then, or from a quarter of this."""
    final_learning_rate: float = 4e-4
    """Smallest learning rate after the warm-up: the cosine never falls below it."""
    warmup_steps: int = 100
    """Steps over which the learning rate first rises, linearly."""
    anneal_steps: int = 1000
    """Steps over which the learning rate falls the first time, and at least after the circuit-only phase. There it
    falls over as many steps as that phase took, if these are more."""
    momentum: float = 0.95
    """Momentum of Muon."""
    beta1: float = 0.9
    """Decay of AdamW's average of gradients, per step."""
    beta2: float = 0.99
    """Decay of AdamW's average of squared gradients, per step."""
    weight_decay: float = 0.0
    """Decoupled weight decay of matrices; embeddings, biases and gains have none."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient of all parameters."""
    ema_decay: float = 0.999
    """Share of the averaged weights (EMA) that is kept at each step, at most. They average over about the last tenth of
    the steps, and are what is checked, certified and saved."""
    check_every: int = 50
    """Steps between two checkpoints, from the last of which an interrupted run resumes. A check may follow each, but
    comes at the earliest when a tenth more steps are done than at the last one."""
    validation_pairs: int = 2048
    """Pairs of each of two sets. Training ends when the validation certificate holds on both."""
    validation_bar: float = 0.9994
    """Share of right answers that each figure of a check must reach. It is more than the certificate's bar of 0.999,
    because the test pairs are others. Each set has to reach it. The worst of 20 random subsets, a minimum over many
    small samples, keeps the certificate's 0.999. Bars of interchanges and of the adversary are half-way between."""
    evidence_pairs: int | None = None
    """Pairs of the held-out evidence; null: drawn until everything that the certificate asks rests on enough of them.
    With fewer, which a trial run may have to save time, no model is certified."""
    accelerator: str = "auto"
    """What to compute on: auto, cpu or gpu."""
    devices: Any = 1
    """One device, as Lightning names it: 1 for any, or the index of a GPU in a list, [2]. With 1, the jobs of a sweep
    take the GPUs that they see in turn."""
    precision: str = "32-true"
    """Precision of training, as Lightning names it: 32-true, bf16-mixed or 16-mixed. What is checked and certified is
    computed in 32 bits."""
    threads: int = 1
    """CPU threads of this process; for models this small one is fastest."""
    progress_bar: bool = True
    """Whether progress is shown on the terminal."""

    def check(self) -> None:
        """Checks the ranges.

        Raises:
            ConfigError: names the field, what was found and what is accepted.
        """
        for name in _POSITIVE:
            require(f"trainer.{name}", getattr(self, name), getattr(self, name) > 0, "a number above 0")
        for name in ("momentum", "beta1", "beta2", "ema_decay"):
            require(f"trainer.{name}", getattr(self, name), 0 <= getattr(self, name) < 1, "a number from 0 to below 1")
        for name in ("warmup_steps", "final_learning_rate", "weight_decay"):
            require(f"trainer.{name}", getattr(self, name), getattr(self, name) >= 0, "0 or more")
        last, first = self.final_learning_rate, self.learning_rate
        require("trainer.final_learning_rate", last, last <= first, f"at most trainer.learning_rate={first}")
        bar = self.validation_bar
        require("trainer.validation_bar", bar, 0 <= bar <= 1, "a number from 0 to 1")
        fixed = self.evidence_pairs
        require("trainer.evidence_pairs", fixed, fixed is None or fixed > 0, "null or a number above 0")
        whole = self.max_steps % self.check_every == 0
        require("trainer.max_steps", self.max_steps, whole, f"a multiple of trainer.check_every={self.check_every}")
        known = self.accelerator in _ACCELERATORS
        require("trainer.accelerator", self.accelerator, known, ", ".join(_ACCELERATORS))
        match self.devices:
            case [int(only)] | int(only) if type(only) is int:
                one = only >= 0 if isinstance(self.devices, list) else only == 1
            case _:
                one = False
        accepted = "1, or the index of one GPU in a list, such as [0]; several models are trained by a sweep"
        require("trainer.devices", self.devices, one, accepted)
        require("trainer.precision", self.precision, self.precision in _PRECISIONS, ", ".join(_PRECISIONS))
