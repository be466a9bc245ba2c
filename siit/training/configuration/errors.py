"""The error of a configuration, and the check that raises it."""

from __future__ import annotations


class ConfigError(ValueError):
    """Refuses a configuration: names the key, what was found and what is accepted."""


def require(key: str, found: object, holds: bool, accepted: str) -> None:
    """Refuses a value that does not hold.

    Args:
        key: the field's full name, such as `trainer.max_steps`.
        found: its value.
        holds: whether it is accepted.
        accepted: which values are, in words.

    Raises:
        ConfigError: it does not hold.
    """
    if not holds:
        raise ConfigError(f"{key}: found {found!r}, accepted is {accepted}")
