"""Tracr twins: what Tracr (arXiv 2301.05062) compiles a case's program to, as models of our own, with exact labels."""

from siit.training.tracr_twin.twin import TracrTwin, tracr_twin

__all__ = ["TracrTwin", "tracr_twin"]
