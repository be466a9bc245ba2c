"""The LightningModule: one step of the objective, averaged weights, and the check that ends training."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from siit.certificate import BARS, Answers, Certificate, measure
from siit.certificate.certificate import SHARES
from siit.interchange import Pairs
from siit.interchange.evidence import evidence_pairs
from siit.training.configuration.settings import TrainerSettings
from siit.training.fit.clock import Clock
from siit.training.fit.data_module import step_generator
from siit.training.fit.optimizer import MuonAdamW
from siit.training.objective import N_ABLATIONS, AuxiliaryProbes, Objective, ReplayBuffer, RunningErrors, Step
from siit.transformer import Transformer

ROUNDS = 4
"""How often each validation pair is used, with another interchange each time, to see whether the circuit alone passes.

A few interchanges leave few positions with an answer."""


def _cosine(progress: float) -> float:
    """From 1 to 0 as progress goes from 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, progress))))


class SIITModule(pl.LightningModule):
    """Trains a transformer so that its circuit, and nothing else, computes the causal model.

    Args:
        model: the transformer.
        objective: what is minimised.
        evidence: validation pairs with the causal model's answers.
        answers: tells when an answer is right.
        circuit_first: share of right answers of the circuit alone, in its worst interchange, that ends
            the circuit-only phase; None: there is none.
        keep_probes: whether auxiliary probes are trained after the circuit-only phase too.
        prioritised: share of the draws of interchanges and of single parts that follow their running errors.
        replay: share of the pairs that are earlier ones that went wrong.
        replay_interchanges: whether these meet the interchange again under which they went wrong.
        settings: optimisation.
        seed: of all draws.
    """

    def __init__(
        self,
        model: Transformer,
        objective: Objective,
        evidence: Mapping[str, Tensor],
        answers: Answers,
        circuit_first: float | None,
        keep_probes: bool,
        prioritised: float,
        replay: float,
        replay_interchanges: bool,
        settings: TrainerSettings,
        seed: int,
    ) -> None:
        super().__init__()
        self.model = model
        self.ema = copy.deepcopy(model).requires_grad_(False)
        self.objective = objective
        self.evidence = dict(evidence)
        self.answers, self.settings, self.seed = answers, settings, seed
        self.prioritised, self.replay, self.replay_interchanges = prioritised, replay, replay_interchanges
        self.circuit_first, self.keep_probes = circuit_first, keep_probes
        self.relaxed_at: int | None = None
        """The step from which off-circuit parts are not always replaced; None before."""
        if circuit_first is None:
            self.relaxed_at = 0
        self.passes = 0
        self.clock = Clock()
        self.certificate: Certificate | None = None
        labels = objective.interchanges.labels
        self.auxiliary_probes = AuxiliaryProbes(objective.interchanges.model, labels, model.config.d_model, seed)
        circuit = labels.circuit
        parts = len(circuit.off_nodes) + len(circuit.off_edges)
        self.errors = RunningErrors(len(objective.interchanges.names), parts, N_ABLATIONS)
        self.replay_buffer = ReplayBuffer(model.config.n_ctx)

    def setup(self, stage: str) -> None:
        interchanges = self.objective.interchanges
        self.objective.interchanges = dataclasses.replace(interchanges, model=interchanges.model.to(self.device))
        self.evidence = {name: tensor.to(self.device) for name, tensor in self.evidence.items()}

    def on_train_start(self) -> None:
        self.clock.start()

    def on_train_end(self) -> None:
        self.clock.stop()

    def configure_optimizers(self) -> Any:
        settings = self.settings
        matrices: list[nn.Parameter] = []
        others = list(self.auxiliary_probes.parameters())
        for name, parameter in self.model.named_parameters():
            own_name = name.rpartition(".")[2]
            is_matrix = own_name.startswith("W_") and own_name not in ("W_E", "W_pos")
            (matrices if is_matrix else others).append(parameter)
        optimizer = MuonAdamW(
            matrices,
            others,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
            betas=(settings.beta1, settings.beta2),
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self._learning_rate_factor(step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _learning_rate_factor(self, step: int) -> float:
        """Warm-up, times cosines over `anneal_steps`, then twice, four times ... as many.

        They start at step 0, and anew when the circuit-only phase ends: what is not learned when one ends is not
        learned at its low learning rate either (warm restarts: Loshchilov and Hutter, arXiv 1608.03983). Without
        `restarts` the last one, after the circuit-only phase, is not followed by others.
        """
        settings = self.settings
        since, cycle = step - (self.relaxed_at or 0), settings.anneal_steps
        restarts = settings.restarts or self.relaxed_at is None
        while restarts and since >= cycle:
            since, cycle = since - cycle, 2 * cycle
        factor = min(1.0, (step + 1) / (settings.warmup_steps + 1)) * _cosine(since / cycle)
        return max(factor, settings.final_learning_rate / settings.learning_rate)

    def training_step(self, pairs: Pairs, batch_idx: int) -> Tensor:
        generator = step_generator(self.seed, 2 * self.global_step + 1, self.device)
        replayed = self.replay_buffer.replay(pairs, self.replay, generator) if self.replay else None
        if replayed is not None:
            pairs = replayed.pairs
        priorities = self.errors.priorities(self.prioritised) if self.prioritised else None
        drawn = self.objective.draw(pairs, generator, self.relaxed_at is None, priorities)
        if replayed is not None and self.replay_interchanges:
            drawn = replayed.interchanged_again(drawn)
        wanted = self.objective.probe_weight > 0 and (self.relaxed_at is None or self.keep_probes)
        auxiliary_probes = self.auxiliary_probes if wanted else None
        step = self.objective.evaluate(self.model, pairs, drawn, auxiliary_probes)
        self._note_errors(pairs, step)
        self.log("loss", step.loss, prog_bar=True, batch_size=len(pairs))
        for name, loss in step.losses.items():
            self.log(f"loss/{name}", loss, batch_size=len(pairs))
        return step.loss

    @torch.no_grad()
    def _note_errors(self, pairs: Pairs, step: Step) -> None:
        wrong = ~self.answers.right(step.logits, step.target) & step.scored
        self.errors.update(step.drawn.choice, step.drawn.replacement.single, wrong.sum(1), step.scored.sum(1))
        if self.replay:
            self.replay_buffer.add(pairs, step.drawn, wrong.any(1))

    @torch.no_grad()
    def on_train_batch_end(self, *args: Any) -> None:
        step = self.global_step
        keep = min(self.settings.ema_decay, step / (step + 10))
        own: list[Tensor] = list(self.model.parameters())
        averaged: list[Tensor] = list(self.ema.parameters())
        torch._foreach_lerp_(averaged, own, 1 - keep)

    def validation_step(self, batch: int, batch_idx: int) -> None:
        """Measures the averaged weights: the circuit alone until it passes, and from then on the certificate."""
        if self.relaxed_at is None:
            assert self.circuit_first is not None
            alone = self._circuit_alone()
            self._log_check("circuit_alone", alone, True)
            if alone >= self.circuit_first:
                self.relaxed_at = self.global_step
        self._log_check("circuit_only", float(self.relaxed_at is None), False)
        if self.relaxed_at is not None:
            self._check_certificate()

    def _check_certificate(self) -> None:
        """Whether every bar holds on the validation pairs; training ends where they did often enough in a row."""
        self.certificate = self.measure(self.settings.screen)
        self.passes = self.passes + 1 if self.certificate.certified else 0
        worst_node, worst_edge = self.certificate.worst_node, self.certificate.worst_edge
        shown = {
            "worst_node": None if worst_node is None else worst_node[1],
            "worst_edge": None if worst_edge is None else worst_edge[1],
            "joint": self.certificate.strict_joint,
        }
        for name in ("accuracy", "iia", "edge_iia", "strict_node", "strict_edge", "strict_subsets"):
            self._log_check(name, getattr(self.certificate, name), False)
        for name in ("joint_mean", "joint_zero"):
            self._log_check(name, getattr(self.certificate, name), False)
        for name, value in shown.items():
            self._log_check(name, value, True)
        if self.passes >= self.settings.checks_in_a_row:
            self.trainer.should_stop = True

    def _log_check(self, name: str, value: float | None, prog_bar: bool) -> None:
        self.log(f"val/{name}", math.nan if value is None else value, prog_bar=prog_bar, batch_size=1)

    def measure(self, screen: float | None) -> Certificate:
        """The certificate of the averaged weights on the validation evidence, with validation's own bar for the shares.

        But for the worst of 100 subsets, which is a minimum over many small samples already.
        """
        shares = [name for name in SHARES if name != "strict_subsets"]
        return measure(
            self.model.config,
            {name: tensor.detach() for name, tensor in self.ema.state_dict().items()},
            self.objective.interchanges.labels.circuit,
            self.evidence,
            self.answers,
            screen=screen,
            # Nothing is asked for, but single parts and subsets need not take all pairs.
            min_scored=1,
            min_changed=0,
            bars={**BARS, **dict.fromkeys(shares, self.settings.validation_bar)},
        )

    @torch.no_grad()
    def _circuit_alone(self) -> float:
        """Share of right answers with everything off the circuit replaced, in the worst interchange."""
        pairs = evidence_pairs(self.evidence)
        generator = step_generator(self.seed, 0, self.device)
        interchanges = self.objective.interchanges
        count = len(interchanges.names) + 1
        total, good = torch.zeros(2, count, device=self.device)
        for shift in range(ROUNDS):
            drawn = self.objective.draw(pairs, generator, True)
            choice = (torch.arange(len(pairs), device=self.device) + shift) % count
            drawn = dataclasses.replace(
                drawn,
                choice=choice,
                constant=torch.zeros_like(drawn.constant),
                source_positions=interchanges.source_positions(pairs, choice, generator),
            )
            step = self.objective.evaluate(self.ema, pairs, drawn)
            correct = self.answers.right(step.logits, step.target) & step.scored
            total.index_add_(0, choice, step.scored.sum(1).float())
            good.index_add_(0, choice, correct.sum(1).float())
        return float(torch.where(total > 0, good / total.clamp(min=1), 1.0).min())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["siit"] = {
            "relaxed_at": self.relaxed_at,
            "passes": self.passes,
            "seconds": self.clock.read(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.relaxed_at = checkpoint["siit"]["relaxed_at"]
        self.passes = int(checkpoint["siit"]["passes"])
        self.clock.restore(checkpoint["siit"]["seconds"])

    @property
    def steps_done(self) -> int:
        """Training steps so far, those before a resumption included."""
        return self.trainer.global_step
