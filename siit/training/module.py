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

from siit.certificate import BARS, Certificate, measure
from siit.certificate.certificate import SHARES
from siit.data import Pairs
from siit.evidence import evidence_pairs
from siit.objective import N_KINDS, Decoders, Mistakes, Objective, RunningErrors, Step, right
from siit.training.clock import Clock
from siit.training.data_module import step_generator
from siit.training.optimizer import MuonAdamW
from siit.training.settings import TrainerSettings
from siit.transformer import Transformer

ROUNDS = 4
"""How often each validation pair is used, with another exchange each time, to see whether the circuit alone passes: a
few exchanges leave few positions with an answer."""


def _cosine(progress: float) -> float:
    """From 1 to 0 as progress goes from 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, progress))))


class SIITModule(pl.LightningModule):
    """Trains a transformer so that its circuit, and nothing else, computes the causal model.

    Args:
        model: the transformer.
        objective: what is minimised.
        evidence: validation pairs with the causal model's answers.
        tolerance: within what a numerical answer is right.
        circuit_first: share of right answers of the circuit alone, in its worst exchange, at which off-circuit parts
            are let in; None starts with them.
        keep_decoders: whether decoders are used after off-circuit parts are let in, too.
        focus: share of the draws of interchanges and of single off-circuit parts that follow their running errors.
        replay: share of the pairs that are earlier mistakes.
        replay_exchanges: whether these meet the exchange again under which they went wrong.
        settings: optimisation.
        seed: of all draws.
    """

    def __init__(
        self,
        model: Transformer,
        objective: Objective,
        evidence: Mapping[str, Tensor],
        tolerance: float | None,
        circuit_first: float | None,
        keep_decoders: bool,
        focus: float,
        replay: float,
        replay_exchanges: bool,
        settings: TrainerSettings,
        seed: int,
    ) -> None:
        super().__init__()
        self.model = model
        self.averaged = copy.deepcopy(model).requires_grad_(False)
        self.objective = objective
        self.evidence = dict(evidence)
        self.tolerance, self.settings, self.seed = tolerance, settings, seed
        self.focus, self.replay, self.replay_exchanges = focus, replay, replay_exchanges
        self.circuit_first, self.keep_decoders = circuit_first, keep_decoders
        self.relaxed_at: int | None = None
        """The step from which off-circuit parts are not always replaced; None before."""
        if circuit_first is None:
            self.relaxed_at = 0
        self.passes = 0
        self.clock = Clock()
        self.certificate: Certificate | None = None
        labels = objective.exchanges.labels
        self.decoders = Decoders(objective.exchanges.model, labels, model.config.d_model, seed)
        circuit = labels.circuit
        parts = len(circuit.off_nodes) + len(circuit.off_edges)
        self.errors = RunningErrors(len(objective.exchanges.names), parts, N_KINDS)
        self.mistakes = Mistakes(model.config.n_ctx)

    def setup(self, stage: str) -> None:
        exchanges = self.objective.exchanges
        self.objective.exchanges = dataclasses.replace(exchanges, model=exchanges.model.to(self.device))
        self.evidence = {name: tensor.to(self.device) for name, tensor in self.evidence.items()}

    def on_train_start(self) -> None:
        self.clock.start()

    def on_train_end(self) -> None:
        self.clock.stop()

    def configure_optimizers(self) -> Any:
        settings = self.settings
        matrices: list[nn.Parameter] = []
        others = list(self.decoders.parameters())
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

        They start at step 0, and anew where off-circuit parts are let in: what is not learned when one ends is not
        learned at its low learning rate either (warm restarts: Loshchilov and Hutter, arXiv 1608.03983). Without
        `restarts` the last one, after off-circuit parts are let in, is not followed by others.
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
        replayed = self.mistakes.replay(pairs, self.replay, generator) if self.replay else None
        if replayed is not None:
            pairs = replayed.pairs
        focus = self.errors.focus(self.focus) if self.focus else None
        drawn = self.objective.draw(pairs, generator, self.relaxed_at is None, focus)
        if replayed is not None and self.replay_exchanges:
            drawn = replayed.exchanged_again(drawn)
        wanted = self.objective.decoding > 0 and (self.relaxed_at is None or self.keep_decoders)
        decoders = self.decoders if wanted else None
        step = self.objective.evaluate(self.model, pairs, drawn, decoders)
        self._note_errors(pairs, step)
        self.log("loss", step.loss, prog_bar=True, batch_size=len(pairs))
        for name, loss in step.losses.items():
            self.log(f"loss/{name}", loss, batch_size=len(pairs))
        return step.loss

    @torch.no_grad()
    def _note_errors(self, pairs: Pairs, step: Step) -> None:
        wrong = ~right(step.logits, step.target, self.tolerance) & step.scored
        self.errors.note(step.drawn.choice, step.drawn.replacement.single, wrong.sum(1), step.scored.sum(1))
        if self.replay:
            self.mistakes.note(pairs, step.drawn, wrong.any(1))

    @torch.no_grad()
    def on_train_batch_end(self, *args: Any) -> None:
        step = self.global_step
        keep = min(self.settings.weight_averaging, step / (step + 10))
        own: list[Tensor] = list(self.model.parameters())
        averaged: list[Tensor] = list(self.averaged.parameters())
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
            {name: tensor.detach() for name, tensor in self.averaged.state_dict().items()},
            self.objective.exchanges.labels.circuit,
            self.evidence,
            output="categorical" if self.tolerance is None else "numerical",
            tolerance=self.tolerance,
            screen=screen,
            # Nothing is asked for, but single parts and subsets need not take all pairs.
            min_scored=1,
            min_changed=0,
            bars={**BARS, **dict.fromkeys(shares, self.settings.validation_bar)},
        )

    @torch.no_grad()
    def _circuit_alone(self) -> float:
        """Share of right answers with everything off the circuit replaced, in the worst exchange."""
        pairs = evidence_pairs(self.evidence)
        generator = step_generator(self.seed, 0, self.device)
        exchanges = self.objective.exchanges
        count = len(exchanges.names) + 1
        total, good = torch.zeros(2, count, device=self.device)
        for shift in range(ROUNDS):
            drawn = self.objective.draw(pairs, generator, True)
            choice = (torch.arange(len(pairs), device=self.device) + shift) % count
            drawn = dataclasses.replace(
                drawn,
                choice=choice,
                constant=torch.zeros_like(drawn.constant),
                source_positions=exchanges.source_positions(pairs, choice, generator),
            )
            step = self.objective.evaluate(self.averaged, pairs, drawn)
            correct = right(step.logits, step.target, self.tolerance) & step.scored
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
