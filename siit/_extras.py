"""Libraries that only some exports need: imported where they are used, and named where they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from siit._install import how_to_install


def require(module: str, *, extra: str, needed_by: str, attribute: str | None = None) -> ModuleType:
    """Imports a library of one of our extras.

    Args:
        module: its name.
        extra: the extra that installs it.
        needed_by: what cannot work without it.
        attribute: a name that the module must have; other versions of it lack the name.

    Raises:
        ImportError: names the extra.
    """
    advice = f"accepted is what the extra {extra!r} installs: {how_to_install(extra)}"
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(f"{needed_by}: found no {error.name}, {advice}", name=error.name) from error
    if attribute is not None:
        try:
            getattr(found, attribute)
        except (AttributeError, ImportError) as error:
            raise ImportError(f"{needed_by}: found a {module} without {attribute}, {advice}", name=module) from error
    return found
