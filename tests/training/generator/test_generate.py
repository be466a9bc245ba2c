"""Random programs: the same everywhere, of their tier, and well formed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siit.bundle import seed_folder
from siit.catalogue import drawn_name
from siit.causal import Inputs, Intervention, Interventions
from siit.graph.tiers import TIERS, tier
from siit.interchange import Pairs, permuted_positions
from siit.interchange.interventions import differs
from siit.training.configuration.settings import Settings
from siit.training.fit.plan import plan_for
from siit.training.generator import GeneratorError, attempts, generate
from siit.training.generator.checks import Inspected, Rejected, check_program, hidden_nodes
from siit.training.generator.draws import drawn
from siit.training.rasp import task_from_case
from siit.training.rasp.agreement import check_agreement
from tracr_cases import Case


@cache
def well_formed(wanted: str, seed: int) -> tuple[Case, Inspected]:
    """The first draw that passes all checks but the comparison with Tracr's compiled model, which takes seconds."""
    for number in range(500):
        case = drawn(wanted, seed, number)
        if case is not None:
            try:
                return case, check_program(case, wanted)
            except Rejected:
                continue
    raise AssertionError("nothing in 500 draws")


tiers_and_seeds = given(st.sampled_from(TIERS), st.integers(0, (1 << 31) - 1))


@pytest.mark.slow
@pytest.mark.ci
@settings(max_examples=5, deadline=None)
@tiers_and_seeds
def test_a_program_is_a_well_formed_task_of_its_tier(wanted: str, seed: int):
    check_task(wanted, seed)
    check_effects(wanted, seed)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@tiers_and_seeds
def test_many_programs_are_well_formed_tasks_of_their_tiers(wanted: str, seed: int):
    check_task(wanted, seed)
    check_effects(wanted, seed)


def check_task(wanted: str, seed: int) -> None:
    """The program's form, and that RASP and the causal model agree."""
    case, found = well_formed(wanted, seed)
    model = found.model
    check_agreement(case, model, samples=100, seed=seed % 1000, compiled=False)
    # In the default model, at the places that a seed draws, it is what it was taken for.
    circuit = plan_for(task_from_case(case, model), Settings()).interchanges.labels.circuit
    assert tier(circuit) == wanted
    assert set(circuit.alignment) == set(found.circuit.alignment) and len(hidden_nodes(found.circuit)) <= 14
    assert 3 <= len(case.vocab) <= 8 and 5 <= case.max_len <= 9 and case.min_len == 3
    assert model.classes is not None and 2 <= len(model.classes) <= 10
    assert set(case.roles) == set(model.variables) and all(case.roles.values())
    assert case.description.startswith("Computes ") and case.description.endswith(".")
    assert seed_folder(case.name, 0) == f"random-{wanted}-{seed}/seed-0"


def check_effects(wanted: str, seed: int) -> None:
    """On other pairs than the checks': every variable matters, and the answer is balanced and mostly defined."""
    case, found = well_formed(wanted, seed)
    model, task = found.model, task_from_case(case, found.model)
    generator = torch.Generator().manual_seed(1)
    pairs = Pairs(task.sample(2000, generator), task.sample(2000, generator))
    own = model.run(Inputs(pairs.base))
    source = model.run(Inputs(pairs.source))
    moved = model.run(Inputs(pairs.source, permuted_positions(pairs.source, len(case.vocab), generator)))
    fixed = model.position_only_without(found.circuit.excluded)
    for name in model.variables:
        value = (moved if name in fixed else source).values[name]
        run = model.run(Inputs(pairs.base), Interventions({name: Intervention(value)}))
        changed = (differs(run.output, own.output) & run.scored & own.scored).any(1).float().mean()
        assert changed > 0.07, name
    shares = torch.bincount(own.output[own.scored]) / own.scored.sum()
    assert shares.max() < 0.85
    is_token = pairs.base < len(case.vocab)
    assert (own.scored | ~is_token).float().mean() > 0.95


FIXED = [("pointwise", 2), ("single", 4), ("composed", 7), ("deep", 0)]
DIGEST = """
import hashlib, json, sys
from tests.training.generator.test_generate import FIXED, digest
print(json.dumps([digest(*fixed) for fixed in FIXED]))
"""


def digest(wanted: str, seed: int) -> str:
    """Of all that a program is: its words and its causal model."""
    case, found = well_formed(wanted, seed)
    content = [case.description, case.vocab, case.max_len, case.causal, dict(case.roles), found.model.to_json()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@pytest.mark.slow
def test_a_seed_gives_the_same_program_in_every_process():
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", DIGEST], env=environment, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == [digest(*fixed) for fixed in FIXED]


@pytest.mark.slow
def test_other_seeds_give_other_programs():
    assert len({digest("composed", seed) for seed in (0, 1, 2, 7)}) == 4


@pytest.mark.parametrize(
    ("wanted", "seed", "description"),
    [
        (
            "pointwise",
            2,
            "Computes kept: the position where at_least_1 holds, else 0 (at_least_1: whether the token is at least 1).",
        ),
        (
            "single",
            4,
            "Computes count_next: the number of positions where the token is the value after the token here, "
            "cyclically.",
        ),
        (
            "composed",
            7,
            "Computes count_of_1: the number of positions where count_same is 1 "
            "(count_same: the number of positions where the token is equal to the token here).",
        ),
    ],
)
def test_programs_stay_what_they_are(wanted: str, seed: int, description: str):
    """Whoever changes the grammar or the checks changes the task that a published name and seed stand for."""
    assert well_formed(wanted, seed)[0].description == description


def test_the_last_attempt_is_taken_and_no_other():
    *others, last = attempts("composed", 7)
    assert all(attempt.rejected is not None for attempt in others)
    assert last.rejected is None and last.case is not None
    assert last.case.name == drawn_name("composed", 7) == "random-composed-7"
    assert last.compile_seconds is not None and last.compile_seconds > 0


@pytest.mark.slow
@pytest.mark.parametrize("wanted", TIERS)
def test_generated_programs_agree_with_tracr(wanted: str):
    for seed in (1000, 1001, 1002):
        case = generate(wanted, seed)
        check_agreement(case, check_program(case, wanted).model, samples=200, seed=9)


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="tier: found 'foo', accepted: pointwise, single, composed, deep"):
        generate("foo", 0)
    with pytest.raises(ValueError, match="generator_seed: found -1, accepted is 0 or more"):
        generate("deep", -1)
    message = r"no well-formed deep program within 1 draws of seed 1; why they were rejected: .* \(1\)\. Accepted is"
    with pytest.raises(GeneratorError, match=message):
        generate("deep", 1, draws=1)
