"""The four classes of cases: which one settings name, and what one of them says of another's keys."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import hydra

from siit.training.configuration.case import CaseSettings
from siit.training.configuration.errors import ConfigError
from siit.training.configuration.programs import CatalogueCase, CustomCase, DrawnCase
from siit.training.configuration.sentences import SentenceCase

CASE_TYPES: tuple[type[CaseSettings], ...] = (CatalogueCase, CustomCase, DrawnCase, SentenceCase)


def case_type(target: Any) -> type[CaseSettings]:
    """Finds the class that `case._target_` names: one of the four, or one that extends them.

    Raises:
        ConfigError: there is no such class, or it is none of a case.
    """
    try:
        found = hydra.utils.get_class(target)
    # Hydra imports what the path names, which may fail in any way of its own.
    except Exception as error:
        raise ConfigError(f"case._target_: found {target!r}, accepted is {_accepted()}") from error
    if not issubclass(found, CaseSettings):
        raise ConfigError(f"case._target_: found {target!r}, accepted is {_accepted()}")
    return found


def _accepted() -> str:
    return f"a class of settings of a case, such as {', '.join(str(one._target_) for one in CASE_TYPES)}"


def other_cases_key(of: type[CaseSettings], key: str, found: Any) -> str | None:
    """Says why a case has not a key that another one has, and what to do; None where no case has it.

    Args:
        of: the class of the case.
        key: the key, without `case.`.
        found: its value.
    """
    owners = [one for one in CASE_TYPES if key in {field.name for field in fields(one)}]
    if not owners or of in owners:
        return None
    if CustomCase in owners:
        return f"case.{key}: found {found!r}; {of.FIXED_BY} fixes it, use case=custom for your own"
    listed = " or ".join(one.CHOSEN_BY for one in owners)
    return f"case.{key}: found {found!r}; only {listed} has it, and {of.CHOSEN_BY} was chosen"
