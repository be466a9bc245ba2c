"""Runs the low-level model: a GPT-2-style transformer, patched at nodes and edges in each example otherwise."""

from siit.transformer.model import Outputs, Transformer
from siit.transformer.patching import BatchPatch, PatchPoints

__all__ = ["BatchPatch", "Outputs", "PatchPoints", "Transformer"]
