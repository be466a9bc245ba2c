"""How long a run has trained, over all its interruptions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class Clock:
    """Seconds of training, checks included; it stands still until it is started.

    Attributes:
        wall, cpu: seconds by the clock, and of this process on all its threads, up to when it was last started.
    """

    wall: float = 0.0
    cpu: float = 0.0
    _since: tuple[float, float] | None = None

    def start(self) -> None:
        """Lets it run."""
        self._since = time.monotonic(), time.process_time()

    def stop(self) -> None:
        """Lets it stand still."""
        self.wall, self.cpu = self.read().values()
        self._since = None

    def read(self) -> dict[str, float]:
        """Seconds so far, `wall` and `cpu`."""
        if self._since is None:
            return {"wall": self.wall, "cpu": self.cpu}
        wall, cpu = self._since
        return {"wall": self.wall + time.monotonic() - wall, "cpu": self.cpu + time.process_time() - cpu}

    def restore(self, seconds: Mapping[str, float]) -> None:
        """Goes on from what `read` gave."""
        self.wall, self.cpu = float(seconds["wall"]), float(seconds["cpu"])
