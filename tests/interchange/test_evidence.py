"""Evidence: what its tensors are, and that every quantity rests on enough of them."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from siit.causal import Inputs
from siit.certificate.fields import MIN_CHANGED, MIN_SCORED
from siit.interchange import Pairs
from siit.interchange.evidence import build_evidence, evidence_pairs
from siit.tasks import ProgramPairSampler
from tests.builders.programs import NAMES, NEUTRAL, interchanges, task

SMALL = {"pairs": 128, "min_scored": 1, "min_changed": 1}
COSTLY = ("reverse_if_sorted", "sort_digits")
"""Cases of which enough evidence takes seconds."""


def build(name: str, seed: int, **sizes: int) -> dict[str, Tensor]:
    """Evidence of the test split."""
    return build_evidence(interchanges(name), sampler(name), seed, answers=task(name).answers, **sizes)


@cache
def sampler(name: str) -> ProgramPairSampler:
    return ProgramPairSampler(task(name), "test")


@cache
def evidence(name: str) -> dict[str, Tensor]:
    """A small one."""
    return build(name, 3, **SMALL)


def changed(name: str, found: dict[str, Tensor], label: str) -> int:
    """Pairs whose answer an interchange changes, beyond the tolerance, at a position that both score."""
    both = found[f"do/{label}/scored"] & found["base_scored"]
    gap = (found[f"do/{label}/target"] - found["base_target"]).abs()
    return int((both & (gap > (task(name).answers.tolerance or 0))).any(1).sum())


@pytest.mark.parametrize("name", ["frac_prevs", "histogram", "reverse"])
def test_names_shapes_types(name: str):
    found, subject = evidence(name), task(name)
    rows = len(found["base_tokens"])
    expected = {"base_tokens", "source_tokens", "source_positions"}
    expected |= {f"{run}_{field}" for run in ("base", "source") for field in ("target", "scored")}
    these = interchanges(name)
    expected |= {f"do/{label}/{field}" for label in these.names for field in ("target", "scored")}
    moved = {label for label, by_position in zip(these.names, these.position_only, strict=True) if by_position}
    expected |= {f"do/{label}/source_positions" for label in moved}
    assert set(found) == expected
    number = torch.float32 if subject.answers.output == "numerical" else torch.int64
    for key, tensor in found.items():
        kind = key.rpartition("/")[2].rpartition("_")[2]
        assert tuple(tensor.shape) == (rows, subject.n_ctx)
        assert tensor.dtype == {"scored": torch.bool, "target": number}.get(kind, torch.int64), key
        assert tensor.device.type == "cpu"


@pytest.mark.parametrize("name", ["frac_prevs", "reverse"])
def test_only_what_is_scored_has_a_target(name: str):
    found = evidence(name)
    for key in [key for key in found if key.endswith("target")]:
        scored = found[key.removesuffix("target") + "scored"]
        assert not scored[
            found["source_tokens" if key == "source_target" else "base_tokens"] >= task(name).bos_id
        ].any()
        assert not found[key][~scored].any() and found[key].isfinite().all()


@pytest.mark.parametrize("name", ["frac_prevs", "reverse"])
def test_answers_can_be_had_again(name: str):
    """From the tokens and the positions in the evidence, by the causal model."""
    found, these = evidence(name), interchanges(name)
    pairs = Pairs(found["base_tokens"], found["source_tokens"])
    base = these.model.run(Inputs(pairs.base))
    assert torch.equal(base.scored, found["base_scored"])
    for index, label in enumerate(these.names):
        positions = found.get(f"do/{label}/source_positions")
        run = these.answers(pairs, torch.full((len(pairs),), index + 1), positions)
        assert torch.equal(run.scored, found[f"do/{label}/scored"])
        assert torch.equal(run.output[run.scored], found[f"do/{label}/target"][run.scored])


@pytest.mark.parametrize("name", ["frac_prevs", "reverse"])
def test_positions_stay_in_place_at_bos_and_padding(name: str):
    found = evidence(name)
    own = torch.arange(task(name).n_ctx).expand_as(found["source_positions"])
    fixed = found["source_tokens"] >= task(name).bos_id
    for key in [key for key in found if key.endswith("source_positions")]:
        assert torch.equal(found[key].sort(1).values, own)
        assert torch.equal(found[key][fixed], own[fixed]) and (found[key] != own).any()


def test_a_seed_is_its_evidence():
    again, other = (build("frac_prevs", seed, **SMALL) for seed in (3, 4))
    assert all(torch.equal(tensor, again[key]) for key, tensor in evidence("frac_prevs").items())
    assert not torch.equal(other["base_tokens"], again["base_tokens"])


def test_pairs_are_of_the_split():
    inputs = set(map(tuple, sampler("reverse").tokens.tolist()))
    for tokens in ("base_tokens", "source_tokens"):
        assert set(map(tuple, evidence("reverse")[tokens].tolist())) <= inputs


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=(pytest.mark.slow, pytest.mark.ci) if name in COSTLY else ()) for name in NAMES]
)
def test_there_is_enough(name: str):
    """4,096 scored positions under every interchange, and 200 pairs that it changes, the constant ones apart."""
    these = interchanges(name)
    found = build(name, 0)
    for label, constant in zip(these.names, these.constant, strict=True):
        assert found[f"do/{label}/scored"].sum() >= MIN_SCORED
        count = changed(name, found, label)
        assert count == 0 if constant or label in NEUTRAL else count >= MIN_CHANGED, label


def test_pairs_are_doubled_until_there_is_enough():
    def rows(**changes: int) -> int:
        return len(build("frac_prevs", 0, **{**SMALL, "pairs": 16, **changes})["base_tokens"])

    assert rows() == 16
    assert rows(min_scored=100) == 64, "at most 4 scored positions each, fewer where some are undefined"
    assert rows(min_changed=64) >= 128


def test_pairs_of_evidence():
    """Exchangeable are those in which some interchange is scored."""
    found = evidence("frac_prevs")
    pairs = evidence_pairs(found)
    assert torch.equal(pairs.base, found["base_tokens"]) and torch.equal(pairs.source, found["source_tokens"])
    assert pairs.interchangeable is not None and pairs.interchangeable.all()
    some = dict(found)
    for key in [key for key in found if key.startswith("do/") and key.endswith("/scored")]:
        some[key] = found[key].clone()
        some[key][:5] = False
    some["do/is_x/scored"][3, 2] = True
    interchangeable = evidence_pairs(some).interchangeable
    assert interchangeable is not None and (~interchangeable).nonzero().flatten().tolist() == [0, 1, 2, 4]
    plain = {key: tensor for key, tensor in found.items() if not key.startswith("do/")}
    assert evidence_pairs(plain).interchangeable is None


def test_evidence_of_pairs_that_cannot_all_be_exchanged():
    class Half:
        device = torch.device("cpu")

        def draw(self, count: int, generator: torch.Generator) -> Pairs:
            pairs = sampler("frac_prevs").draw(count, generator)
            return Pairs(pairs.base, pairs.source, torch.arange(count) % 2 == 0)

    found = build_evidence(interchanges("frac_prevs"), Half(), 3, answers=task("frac_prevs").answers, **SMALL)
    every = evidence("frac_prevs")
    assert torch.equal(found["base_scored"], every["base_scored"])
    for label in interchanges("frac_prevs").names:
        scored = found[f"do/{label}/scored"]
        assert torch.equal(scored[::2], every[f"do/{label}/scored"][::2]) and not scored[1::2].any()


def test_tasks_without_contrasts_and_probes():
    assert task("frac_prevs").further_evidence(evidence("frac_prevs")["base_tokens"], 0) == {}
