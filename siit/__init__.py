"""Transformers whose circuits are known, and measured to be true."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from siit._version import __version__

if TYPE_CHECKING:
    from siit.evaluation import evaluate
    from siit.loading import LoadedCircuit, LoadedModel, list_models, load, load_circuit
    from siit.scoring import score
    from siit.training.interpbench import import_interpbench
    from siit.training.tracr_twin import TracrTwin, tracr_twin

__all__ = [
    "LoadedCircuit",
    "LoadedModel",
    "TracrTwin",
    "__version__",
    "evaluate",
    "import_interpbench",
    "list_models",
    "load",
    "load_circuit",
    "score",
    "tracr_twin",
]

_HOMES = {
    **dict.fromkeys(("LoadedCircuit", "LoadedModel", "list_models", "load", "load_circuit"), "loading"),
    "evaluate": "evaluation",
    "import_interpbench": "training.interpbench",
    "score": "scoring",
    **dict.fromkeys(("TracrTwin", "tracr_twin"), "training.tracr_twin"),
}


def __getattr__(name: str) -> Any:
    # Lazy (PEP 562): importing siit, as every command line does first, must not wait for torch.
    if name in _HOMES:
        return getattr(importlib.import_module(f"siit.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'siit' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
