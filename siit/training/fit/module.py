"""Takes the training steps: draws interventions, evaluates the objective, notes what went wrong."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from jaxtyping import Bool
from torch import Tensor

from siit.certificate import Answers
from siit.interchange import Pairs
from siit.training.configuration.settings import ObjectiveSettings, TrainerSettings
from siit.training.fit.checkpoint_file import IDLE, REVISIONS, STANDS_STILL
from siit.training.fit.data_module import StepPairs, step_generator
from siit.training.fit.optimizer import MuonAdamW
from siit.training.fit.revisions import Revisions
from siit.training.fit.schedule import learning_rate_factor
from siit.training.objective import (
    N_ABLATIONS,
    Adversary,
    Answered,
    AuxiliaryProbes,
    Candidates,
    Drawn,
    Objective,
    Priorities,
    ReplayBuffer,
    RunningErrors,
    Step,
    answer_losses,
)
from siit.transformer import Transformer

EVERYTHING_FROM = "everything_from"
"""The key of a checkpoint."""
COUNTED = ("errors.", "replay_buffer.", "adversary.")
"""What is kept by the number of an interchange or of a part, and so holds for one circuit alone."""


class SIITModule(pl.LightningModule):
    """Trains a transformer so that its circuit, and nothing else, computes the causal model.

    Args:
        model: the transformer.
        objective: what is minimised.
        answers: tells when an answer is right.
        chosen: the objective's settings: prioritised sampling, replay, auxiliary probes, circuit-only phase.
        settings: the optimizer's.
        seed: of all draws.
        revisions: what the run has changed about its labels so far.

    Attributes:
        ema: the averaged weights, which `callbacks.Averaging` keeps; they are checked, certified and saved.
        everything_from: the step at which the circuit-only phase ended; None while it lasts.
        stands_still: the interchange that stays wrong, once a check has found that the run stands still.
        idle: the edges that leave the circuit, once a check has found that all else holds and these carry nothing.
        losses: of the latest step, on its device: `loss`, and each part's own as `loss/<part>`.
    """

    def __init__(
        self,
        model: Transformer,
        objective: Objective,
        answers: Answers,
        chosen: ObjectiveSettings,
        settings: TrainerSettings,
        seed: int,
        revisions: Revisions | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.ema = copy.deepcopy(model).requires_grad_(False)
        self.objective, self.answers = objective, answers
        self.chosen, self.settings, self.seed = chosen, settings, seed
        self.revisions = revisions or Revisions()
        self.stands_still: str | None = None
        self.idle: tuple[str, ...] = ()
        self.everything_from: int | None = 0 if chosen.circuit_first is None else None
        self.losses: dict[str, Tensor] = {}
        interchanges = objective.interchanges
        circuit = interchanges.labels.circuit
        self.auxiliary_probes = AuxiliaryProbes(interchanges.model, interchanges.labels, model.config.d_model, seed)
        parts = len(circuit.off_nodes) + len(circuit.off_edges)
        self.errors = RunningErrors(len(interchanges.names), parts, N_ABLATIONS)
        self.replay_buffer = ReplayBuffer(model.config.n_ctx)
        attacked = round(chosen.adversarial * settings.batch_size)
        n_constant, off = sum(interchanges.constant), (len(circuit.off_nodes), len(circuit.off_edges))
        self.adversary = Adversary(attacked, model.config.n_ctx, n_constant, *off) if attacked else None
        self._ascend: Callable[[], None] | None = None

    def setup(self, stage: str) -> None:
        interchanges = self.objective.interchanges
        self.objective.interchanges = dataclasses.replace(interchanges, model=interchanges.model.to(self.device))

    def configure_optimizers(self) -> Any:
        optimizer = MuonAdamW.for_model(self.model, self.auxiliary_probes.parameters(), self.settings)
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(self.settings, step, self.everything_from)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def training_step(self, batch: StepPairs, batch_idx: int) -> Tensor:
        chosen, circuit_only = self.chosen, self.everything_from is None
        generator = step_generator(self.seed, 2 * self.global_step + 1, self.device)
        priorities = self.errors.priorities(chosen.prioritised) if chosen.prioritised else None
        choice = self.objective.draw_choice(batch.count, generator, priorities)
        picks = chosen.candidates > 0 and not circuit_only
        pairs = batch.draw_as_data() if picks else batch.draw(choice, self.objective.interchanges)
        replayed = self.replay_buffer.replay(pairs, chosen.replay, generator) if chosen.replay else None
        if replayed is not None:
            pairs = replayed.pairs
        drawn = self.objective.draw(pairs, generator, circuit_only, priorities, choice)
        if replayed is not None:
            drawn = replayed.interchanged_again(drawn)
        if picks:
            replaceable = torch.ones_like(drawn.choice, dtype=torch.bool) if replayed is None else ~replayed.again
            candidates = self._candidates(batch, generator, priorities)
            pairs, drawn = candidates.replace(pairs, drawn, replaceable, generator)
        adversary = None if circuit_only else self.adversary
        if adversary is not None:
            pairs, drawn = adversary.replace_last(pairs, drawn)
        probed = chosen.probe_weight > 0
        step = self.objective.evaluate(self.model, pairs, drawn, self.auxiliary_probes if probed else None)
        wrong = self._note(pairs, step, adversary)
        if adversary is not None:
            self._ascend = functools.partial(adversary.ascend, pairs, step.drawn, wrong, generator)
        return step.loss

    def on_after_backward(self) -> None:
        if self._ascend is not None:
            self._ascend()
            self._ascend = None

    @torch.no_grad()
    def _candidates(self, batch: StepPairs, generator: torch.Generator, priorities: Priorities | None) -> Candidates:
        """Draws pairs for what is interchanged in them, and answers them."""
        objective = self.objective
        choice = objective.draw_choice(self.chosen.candidates, generator, priorities)
        pairs = batch.draw(choice, objective.interchanges)
        drawn = objective.draw(pairs, generator, False, priorities, choice)
        found = objective.answer(self.model, pairs, drawn)
        self._count(pairs, drawn, self._wrong(found), found.scored)
        loss = answer_losses(found.logits, found.target, found.scored, objective.tolerance)
        return Candidates(pairs, drawn, loss.amax(1))

    def _wrong(self, found: Answered | Step) -> Bool[Tensor, "batch pos"]:
        return ~self.answers.right(found.logits, found.target) & found.scored

    def _count(self, pairs: Pairs, drawn: Drawn, wrong: Bool[Tensor, "batch pos"], scored: Tensor) -> None:
        """Counts errors for prioritised sampling.

        Pairs that come again since they were wrong, or for rare answers, would make errors seem larger than they are.
        """
        counted = torch.ones_like(wrong[:, 0]) if pairs.fresh is None else pairs.fresh
        self.errors.update(drawn.choice, drawn.replacement.single, wrong.sum(1) * counted, scored.sum(1) * counted)

    @torch.no_grad()
    def _note(self, pairs: Pairs, step: Step, adversary: Adversary | None) -> Bool[Tensor, " batch"]:
        """Keeps a step's losses, and its errors for prioritised sampling and replay; returns who was wrong.

        It never waits for the device.
        """
        self.losses = {"loss": step.loss.detach()}
        self.losses |= {f"loss/{name}": loss.detach() for name, loss in step.losses.items()}
        wrong = self._wrong(step)
        self._count(pairs, step.drawn, wrong, step.scored)
        if self.chosen.replay:
            kept = wrong.any(1)
            if adversary is not None:
                # The adversary shows its own again; here they would crowd out all others.
                kept = kept & ~adversary.attacked(len(kept))
            self.replay_buffer.add(pairs, step.drawn, kept)
        return wrong.any(1)

    @property
    def averaged(self) -> dict[str, Tensor]:
        """The averaged weights, by their HookedTransformer names, on the module's device."""
        return {name: tensor.detach() for name, tensor in self.ema.state_dict().items()}

    def worst_interchange(self) -> tuple[float, str]:
        """Finds the largest running error of the interchanges, and its name; waits for the device."""
        error, place = self.errors.interchanges.max(0)
        return float(error), self.objective.interchanges.names[int(place)]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[EVERYTHING_FROM] = self.everything_from
        checkpoint[REVISIONS] = self.revisions.to_json()
        checkpoint[STANDS_STILL] = self.stands_still or ""
        checkpoint[IDLE] = list(self.idle)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        before = Revisions.from_json(checkpoint[REVISIONS])
        if len(before.widened) == len(self.revisions.widened):
            self.everything_from = checkpoint[EVERYTHING_FROM]
        # Else this circuit is wider, and its circuit-only phase begins anew.
        if len(before) == len(self.revisions):
            return
        # This is another circuit: what is counted by its parts begins anew.
        own = {name: value for name, value in self.state_dict().items() if name.startswith(COUNTED)}
        checkpoint["state_dict"] |= own
