"""The configuration, typed: what Hydra composes from `conf/` is checked against these classes.

Every field's meaning and unit stands beside its default in `conf/`.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException, ValidationError

from siit.graph.tiers import TIERS
from siit.training.objective import AblationDraw, InterchangeDraw, OffCircuitDraw, Term


class ConfigError(ValueError):
    """A configuration that cannot be: names the key, what was found and what is accepted."""


@dataclass
class AlignmentSettings:
    """How variables are placed, see `siit.interchange.alignment`."""

    heads: dict[str, int] = field(default_factory=dict)
    mlps: list[str] = field(default_factory=list)
    nodes: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class CaseSettings:
    """Which program: one of the catalogue, a user's own, or a random one."""

    name: str = "???"
    program: str | None = None
    vocab: list[Any] | None = None
    max_len: int | None = None
    min_len: int | None = None
    causal: bool | None = None
    none_is_answer: bool | None = None
    sampler: str | None = None
    balanced: bool | None = None
    rearranged: bool | None = None
    tier: str | None = None
    generator_seed: int | None = None
    tokenizer: str | None = None
    circuit_first: float = 1.0
    probe_weight: float = 0.0
    keep_probes: bool = False
    replay_interchanges: bool = False
    off_circuit: dict[str, float] = field(default_factory=dict)
    alignment: AlignmentSettings = field(default_factory=AlignmentSettings)


@dataclass
class ModelSettings:
    """The transformer's shape; what is null follows from the task."""

    n_layers: int | None = None
    extra_layers: int = 0
    n_heads: int = 4
    d_model: int = 64
    d_head: int | None = None
    d_mlp: int | None = None
    act_fn: str = "gelu"
    normalization_type: str | None = "LN"
    eps: float = 1e-5
    embedding_std: float = 1.0
    position_std: float = 0.3
    spread_embeddings: bool = False


@dataclass
class TermSettings:
    """One term of the objective, see `siit.training.objective.Term`."""

    weight: float = 1.0
    share: float = 1.0
    interchange: dict[str, float] = field(default_factory=dict)
    off_circuit: dict[str, float] = field(default_factory=dict)
    ablation: dict[str, float] = field(default_factory=dict)
    constant: float = 0.0


@dataclass
class ObjectiveSettings:
    """The expectation that is minimised, and its schedule."""

    name: str = "???"
    terms: dict[str, TermSettings] = field(default_factory=dict)
    circuit_first: float | None = None
    source_gradient: bool = True
    probe_weight: float = 0.0
    keep_probes: bool = False
    next_token: float = 0.0
    prioritised: float = 0.0
    replay: float = 0.0
    replay_interchanges: bool = False


@dataclass
class TrainerSettings:
    """Optimisation, checks and hardware."""

    max_steps: int = 1
    batch_size: int = 1
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.0
    warmup_steps: int = 0
    anneal_steps: int = 1
    restarts: bool = True
    momentum: float = 0.95
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    ema_decay: float = 0.0
    check_every: int = 100
    checks_in_a_row: int = 2
    validation_pairs: int = 512
    validation_bar: float = 0.999
    screen: float = 0.98
    accelerator: str = "auto"
    threads: int = 1
    progress_bar: bool = True


@dataclass
class Settings:
    """All of one run's configuration."""

    case: CaseSettings = field(default_factory=CaseSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    logger: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    out: str = "checkpoints"
    resume: bool = True
    allow_uncertified: bool = False


def read_settings(config: DictConfig) -> Settings:
    """Checks a composed configuration's keys and types.

    Raises:
        ConfigError: names the key, what was found and what is accepted.
    """
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Settings), config)
        settings = OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        raise ConfigError(unknown_key(config, str(error.full_key or error.key))) from error
    except ValidationError as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    except OmegaConfBaseException as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    assert isinstance(settings, Settings)
    _check_ranges(settings)
    return settings


def unknown_key(config: DictConfig, key: str) -> str:
    """What to say of a key that does not exist: what does, at the deepest level that the key reaches."""
    known: Any = config
    path: list[str] = []
    for part in re.split(r"[.\[\]]+", key):
        accepted = [str(name) for name in list(known) if str(name) != part]
        if part in known and isinstance(known[part], DictConfig):
            known, path = known[part], [*path, part]
            continue
        near = difflib.get_close_matches(part, accepted, n=1)
        where = ".".join(path) or "the top level"
        hint = f"; did you mean {'.'.join([*path, near[0]])}?" if near else ""
        return f"{key}: no such key in {where}, accepted: {', '.join(accepted)}{hint}"
    return f"{key}: no such key"


_POSITIVE = (
    "max_steps", "batch_size", "learning_rate", "anneal_steps", "gradient_clip", "check_every", "checks_in_a_row",
    "validation_pairs", "threads",
)  # fmt: skip
_SHARES = ("momentum", "beta1", "beta2", "ema_decay")


def _check_ranges(settings: Settings) -> None:
    trainer, objective, model = settings.trainer, settings.objective, settings.model
    for name in ("n_layers", "n_heads", "d_model", "d_head", "d_mlp", "embedding_std", "position_std"):
        value = getattr(model, name)
        _require(f"model.{name}", value, value is None or value > 0, "a number above 0")
    _require("model.extra_layers", model.extra_layers, model.extra_layers >= 0, "0 or more")
    for name in _POSITIVE:
        _require(f"trainer.{name}", getattr(trainer, name), getattr(trainer, name) > 0, "a number above 0")
    for name in _SHARES:
        value = getattr(trainer, name)
        _require(f"trainer.{name}", value, 0 <= value < 1, "a number from 0 to below 1")
    for name in ("warmup_steps", "final_learning_rate", "weight_decay"):
        _require(f"trainer.{name}", getattr(trainer, name), getattr(trainer, name) >= 0, "0 or more")
    for name in ("validation_bar", "screen"):
        value = getattr(trainer, name)
        _require(f"trainer.{name}", value, 0 <= value <= 1, "a number from 0 to 1")
    multiple = trainer.max_steps % trainer.check_every == 0
    _require(
        "trainer.max_steps", trainer.max_steps, multiple, f"a multiple of trainer.check_every={trainer.check_every}"
    )
    _require(
        "trainer.accelerator", trainer.accelerator, trainer.accelerator in ("auto", "cpu", "gpu"), "auto, cpu, gpu"
    )
    _require("seed", settings.seed, 0 <= settings.seed < 1 << 31, "an integer from 0 to 2147483647")
    tier, drawn = settings.case.tier, settings.case.generator_seed
    _require("case.tier", tier, tier is None or tier in TIERS, ", ".join(TIERS))
    _require("case.generator_seed", drawn, drawn is None or 0 <= drawn < 1 << 31, "an integer from 0 to 2147483647")
    for name in ("prioritised", "replay"):
        share = getattr(objective, name)
        _require(f"objective.{name}", share, 0 <= share < 1, "a number from 0 to below 1")
    again, possible = objective.replay_interchanges, objective.replay > 0
    _require("objective.replay_interchanges", again, possible or not again, "false where objective.replay is 0")
    for name in ("probe_weight", "next_token"):
        _require(f"objective.{name}", getattr(objective, name), getattr(objective, name) >= 0, "0 or more")
    first = objective.circuit_first
    _require("objective.circuit_first", first, first is None or 0 < first <= 1, "null or a number above 0, at most 1")
    _require("objective.terms", {}, bool(objective.terms), "at least one term")


def _require(key: str, found: object, holds: bool, accepted: str) -> None:
    if not holds:
        raise ConfigError(f"{key}: found {found!r}, accepted is {accepted}")


def terms_of(objective: ObjectiveSettings) -> dict[str, Term]:
    """The objective's terms, typed.

    Raises:
        ConfigError: unknown draws, or probabilities that do not sum to 1.
    """
    terms = {}
    for name, settings in objective.terms.items():
        key = f"objective.terms.{name}"
        _require(f"{key}.share", settings.share, 0 < settings.share <= 1, "a number above 0, at most 1")
        _require(f"{key}.weight", settings.weight, settings.weight >= 0, "0 or more")
        _require(f"{key}.constant", settings.constant, 0 <= settings.constant <= 1, "a probability")
        terms[name] = Term(
            weight=settings.weight,
            share=settings.share,
            interchange=_draw(InterchangeDraw, settings.interchange, f"{key}.interchange"),
            off_circuit=_draw(OffCircuitDraw, settings.off_circuit, f"{key}.off_circuit"),
            ablation=_draw(AblationDraw, settings.ablation, f"{key}.ablation"),
            constant=settings.constant,
        )
    return terms


def _draw(kind: Any, values: dict[str, float], key: str) -> Any:
    accepted = list(kind.__dataclass_fields__)
    unknown = sorted(set(values) - set(accepted))
    if unknown:
        raise ConfigError(f"{key}: unknown {', '.join(unknown)}, accepted: {', '.join(accepted)}")
    if not values:
        return kind()
    try:
        return kind(**{name: values.get(name, 0.0) for name in accepted})
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from error
