"""What training took (`training.json`, a further file of a model's folder): the fields that anything reads, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from siit.bundle._errors import wrong

TRAINING_FILE = "training.json"
_COUNTS = {"steps": 0, "threads": 1, "tests": 1}
"""Field -> the least that it can be; earlier versions wrote no `tests`."""
_LARGEST = 1 << 53


def check_training(record: Mapping[str, Any]) -> None:
    """Checks steps, seconds, threads, device and tests, where they are there; other fields are not looked at.

    Args:
        record: the file's content.

    Raises:
        BundleError: names the field, what was found and what is accepted.
    """
    for name, least in _COUNTS.items():
        value = record.get(name, least)
        if type(value) is not int or not least <= value <= _LARGEST:
            raise wrong(TRAINING_FILE, name, value, f"a whole number from {least} to {_LARGEST}")
    if not isinstance(record.get("device", ""), str):
        raise wrong(TRAINING_FILE, "device", record["device"], "a text")
    seconds = record.get("seconds", {})
    if not isinstance(seconds, dict):
        raise wrong(TRAINING_FILE, "seconds", seconds, "an object of numbers")
    for name, value in seconds.items():
        if type(value) not in (int, float) or not 0 <= value <= _LARGEST or not math.isfinite(value):
            raise wrong(TRAINING_FILE, f"seconds.{name}", value, "a number of seconds from 0 up")
