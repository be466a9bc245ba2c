"""Methods that locate variables, one module each; their parameters are fields, and calling one scores a task."""

from siit.localization.methods.das import DistributedAlignmentSearch
from siit.localization.methods.interchange import NodeInterchange
from siit.localization.methods.probing import Probing

__all__ = ["DistributedAlignmentSearch", "NodeInterchange", "Probing"]
