"""Where the Hydra configuration is: beside the package in a checkout, inside it when installed from a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]


def conf_dir() -> Path:
    """Finds the folder of the Hydra configuration.

    Raises:
        FileNotFoundError: neither place has it.
    """
    # An installed package has its own copy; looking there first keeps a stranger's `conf` beside it out.
    candidates = (_PACKAGE / "conf", _PACKAGE.parent / "conf")
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the configuration folder is in neither of {', '.join(map(str, candidates))}")
