"""InterpBench's published models: read without running anything in them, and measured as ours are."""

from siit.interpbench.files import PublishedCase, read_case
from siit.interpbench.measured import import_interpbench

__all__ = ["PublishedCase", "import_interpbench", "read_case"]
