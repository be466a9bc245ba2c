"""What a run is compared by before it is resumed, or taken as finished."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from omegaconf import OmegaConf
from tracr.rasp import rasp

import tracr_cases
from siit.training.fit.checkpoints import TASK, differing, run_record
from siit.training.rasp import task_from_case
from siit.training.rasp.from_rasp import build_causal_model
from tracr_cases import Case


def is_x() -> rasp.SOp:
    return rasp.Map(lambda token: token == "x", rasp.tokens).named("is_x")


def is_a() -> rasp.SOp:
    return rasp.Map(lambda token: token == "a", rasp.tokens).named("is_x")


IS_X = Case("is_x", is_x, ("a", "b", "x"), 4, "pointwise", "1 where the token is 'x'.")


def note(case: Case) -> dict[str, Any]:
    """What is noted, as it is read from its file."""
    text = OmegaConf.to_yaml(OmegaConf.create(run_record({"seed": 0}, task_from_case(case, build_causal_model(case)))))
    container: Any = OmegaConf.to_container(OmegaConf.create(text))
    return container


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"min_len": 2}, "task.min_len: 3 there, 2 here"),
        ({"sampler": "often_equal"}, "task.sampler: 'uniform' there, 'often_equal' here"),
        ({"balanced": True}, "task.balanced: False there, True here"),
        ({"causal": True}, "task.causal: False there, True here"),
        ({"make": is_a}, "task.causal_model: '[0-9a-f]{16}' there, '[0-9a-f]{16}' here"),
    ],
)
def test_a_change_of_the_program_is_named(changes: dict[str, Any], difference: str) -> None:
    differences = differing(note(dataclasses.replace(IS_X, **changes)), note(IS_X))
    assert len(differences) == 1
    assert re.fullmatch(difference, differences[0])


def test_words_are_not_compared() -> None:
    reworded = dataclasses.replace(IS_X, description="Whether the token is 'x'.", roles={"is_x": "whether it is 'x'"})
    assert differing(note(reworded), note(IS_X)) == []


def test_what_earlier_versions_noted_is_compared_without_the_task() -> None:
    earlier = {key: value for key, value in note(IS_X).items() if key != TASK}
    assert differing(note(IS_X), earlier) == []
    assert differing(note(IS_X), {**earlier, "seed": 1}) == ["seed: 1 there, 0 here"]


@pytest.mark.parametrize("name", ["square", "binary_addition", "mask_quoted", "emoji_sentiment"])
def test_what_is_noted_survives_its_file(name: str) -> None:
    case = tracr_cases.get(name)
    assert note(case) == run_record({"seed": 0}, task_from_case(case, build_causal_model(case)))
