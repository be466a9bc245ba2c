"""The settings of loggers: where the metrics of a run go. `_target_` names what makes the logger."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class NoLogger:
    """Keeps no metrics."""

    _target_: str | None = None
    """What makes the logger; null: there is none."""


@dataclass
class CSVFile:
    """Writes one CSV file, <out>/.runs/<case>/seed-<seed>/metrics.csv, over all resumptions."""

    _target_: str = "siit.training.fit.loggers.MetricsFile"
    """What makes the logger."""


@dataclass
class TensorBoardFiles:
    """Writes TensorBoard's event files to <out>/.runs/<case>/seed-<seed>/tensorboard (extra tensorboard)."""

    _target_: str = "siit.training.fit.loggers.tensorboard_logger"
    """What makes the logger."""


@dataclass
class WeightsAndBiases:
    """Logs the configuration, metrics, the certificate and the circuit's picture; one run over all resumptions."""

    _target_: str = "siit.training.fit.loggers.wandb_logger"
    """What makes the logger."""
    offline: bool = True
    """Whether all of it stays in <out>/.runs/<case>/seed-<seed>/wandb, for `wandb sync`. False sends it while training,
    which needs an account."""
    entity: str | None = None
    """Whose project; null: the account's own."""
    project: str = "siit"
    """Project that the run belongs to."""
    name: str | None = "${case.name}-seed-${seed}"
    """Name of the run; null: one that Weights & Biases draws."""
    group: str | None = "${case.name}"
    """Group of the run; null: none."""
    tags: list[str] = field(default_factory=lambda: ["${objective.name}", "d_model ${model.d_model}"])
    """Words that the run is found by."""
