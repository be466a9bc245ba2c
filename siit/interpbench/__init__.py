"""InterpBench's published models: read without running anything in them; `siit.import_interpbench` measures them."""

from siit.interpbench.files import PublishedCase, read_case

__all__ = ["PublishedCase", "read_case"]
