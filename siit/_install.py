"""Says how to install siit, as far as anybody can know: it is on no package index."""

from __future__ import annotations

import importlib.metadata

from siit._version import __version__

WHEEL = f"siit-{__version__}-py3-none-any.whl"
"""What `make wheel` puts into dist/."""


def repository() -> str | None:
    """Returns the address of the source's repository, where the installed package's metadata name one."""
    try:
        urls = importlib.metadata.metadata("siit").get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = {name.strip(): url.strip() for name, _, url in (entry.partition(",") for entry in urls)}
    return found.get("Repository")


def how_to_install(extra: str | None = None) -> str:
    """Words the commands that install siit, with an extra or without."""
    extras = f"[{extra}]" if extra else ""
    url = repository()
    if url is not None:
        return f"`pip install 'siit{extras} @ git+{url}'`"
    return (
        f"`pip install '.{extras}'` in a checkout of siit, or `pip install '{WHEEL}{extras}'` (`make wheel` builds it)"
    )
