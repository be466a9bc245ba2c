"""The fresh cases of a month follow from its name alone."""

from __future__ import annotations

import hashlib
import shlex

import pytest

from siit.catalogue import is_drawn
from siit.leaderboard.month import commands, month
from siit.training.configuration.programs import LARGEST_SEED
from tests.builders.runs import compose_small


def test_seeds_are_the_documented_hash():
    found = month("2026-12")
    digest = hashlib.sha256(b"siit leaderboard 2026-12 deep 0").hexdigest()
    assert found.seeds["deep"][0] == int(digest[:8], 16) % (2**31 - 1)
    assert found.model_seed == int(hashlib.sha256(b"siit leaderboard 2026-12 model").hexdigest()[:8], 16) % (2**31 - 1)


def test_months_share_no_case():
    first, second = (month(name).models for name in ("2026-12", "2027-01"))
    assert len({*first, *second}) == 16
    assert all(is_drawn(case) and int(case.rpartition("-")[2]) <= LARGEST_SEED for case, _ in first + second)


@pytest.mark.parametrize("name", ["2026-13", "2026-1", "december", "2026-12-01", "٢٠٢٦-12"])
def test_what_is_no_month_is_refused(name: str):
    with pytest.raises(ValueError, match=r"month: found .*, accepted is a year and a month, such as 2026-12"):
        month(name)


def test_the_commands_train_its_cases():
    """Hydra composes them: one configuration for each generator seed."""
    found = month("2026-12")
    training = [shlex.split(line) for line in commands(found) if line.startswith("siit train -m ")]
    assert len(training) == 2
    _, _, _, experiment, *overrides = training[1]
    values = dict(override.split("=", 1) for override in overrides)
    seeds = values.pop("case.generator_seed").split(",")
    config = compose_small(experiment, *(f"{key}={value}" for key, value in values.items()),
                           f"case.generator_seed={seeds[0]}")  # fmt: skip
    assert (config.case.name, config.seed) == found.models[4]
    assert config.out == "month-2026-12" and len(seeds) == 4
