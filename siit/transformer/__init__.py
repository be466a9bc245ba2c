"""The low-level model: a GPT-2-style transformer whose every component and edge can be patched per example."""

from siit.transformer.model import Outputs, Transformer
from siit.transformer.patching import BatchPatch, PatchPoints

__all__ = ["BatchPatch", "Outputs", "PatchPoints", "Transformer"]
