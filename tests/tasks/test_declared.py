"""The declared input space: what is written is read back, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from siit.tasks import SentenceTask, declare, task_from_json
from siit.tasks.sentences import ORDERS
from tests.builders import ioi
from tests.builders.programs import task


def again(name: str, changes: dict[str, Any] | None = None) -> Any:
    """The task that its declaration gives, after a trip through JSON."""
    subject = ioi.task(name) if name.startswith("ioi") else task(name)
    data = {**json.loads(json.dumps(declare(subject))), **(changes or {})}
    return subject, task_from_json(name, subject.model, data, subject.special_tokens)


@pytest.mark.parametrize(
    "name",
    [
        "frac_prevs",
        pytest.param("reverse_if_sorted", marks=pytest.mark.slow),
        "histogram",
        "ioi",
        "ioi_full",
        "ioi_next_token",
    ],
)
def test_a_declared_task_draws_the_same_pairs(name: str):
    subject, found = again(name)
    assert isinstance(found, SentenceTask) == name.startswith("ioi")
    assert found.fingerprint() == subject.fingerprint()
    for split in ("test", "all"):
        one, other = (t.pairs(split, seed=3).draw(50, torch.Generator().manual_seed(1)) for t in (subject, found))
        assert torch.equal(one.base, other.base) and torch.equal(one.source, other.source)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("frac_prevs", {"type": "text"}, "inputs.type: found 'text', accepted is 'tokens' or 'sentences'"),
        ("frac_prevs", {"min_len": True}, "inputs.min_len: found True, accepted is a whole number"),
        ("frac_prevs", {"min_len": 9}, "min_len: found 9, accepted are 1 to 4"),
        ("frac_prevs", {"sampler": "all"}, "sampler: found 'all', accepted: uniform"),
        ("frac_prevs", {"balanced": 1}, "inputs.balanced: found 1, accepted is true or false"),
        ("frac_prevs", {"odd": 1}, "inputs.odd: found 'a field too many', accepted is type, min_len"),
        ("ioi", {"skeletons": []}, "inputs.skeletons: found"),
        ("ioi", {"skeletons": [[1, 2], [3]]}, "inputs.skeletons: found 'list', accepted is a list of ids"),
        ("ioi", {"skeletons": [[1, 2]]}, r"inputs.skeletons: found \[1, 2\], accepted is rows of \d+ ids, BOS"),
        ("ioi", {"names": [3, 2]}, r"inputs.names: found \[3, 2\], accepted is ascending ids"),
        ("ioi", {"names": [1 << 40]}, "inputs.names: found 'torch.int64 entries', accepted is ids from 0"),
        ("ioi", {"n_trained": 0}, "inputs.n_trained: found 0, accepted is a number from 1"),
        ("ioi", {"both_orders": None}, "inputs.both_orders: found None, accepted is true or false"),
    ],
)
def test_declarations_that_cannot_be(name: str, changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        again(name, changes)


@pytest.mark.parametrize("change", ["fewer", "more", "literal", "last"])
def test_skeletons_mention_three_names(change: str):
    """Positions of the mentions are permuted, so that there must be three, and a word after each."""
    data = json.loads(json.dumps(declare(ioi.task("ioi"))))
    row = data["skeletons"][0]
    slot = next(index for index, token in enumerate(row) if token in ORDERS)
    word = next(index for index, token in enumerate(row) if 0 <= token < min(data["names"]) and index > slot)
    if change == "fewer":
        row[slot] = row[word]
    elif change == "last":
        row[slot], row[-1] = row[word], row[slot]
    else:
        row[word] = data["names"][0] if change == "literal" else row[slot]
    with pytest.raises(ValueError, match=r"inputs\.skeletons: found 'other mentions of names', accepted is 3 slots"):
        again("ioi", {"skeletons": data["skeletons"]})


def test_no_object():
    with pytest.raises(ValueError, match="inputs: found 3, accepted is an object"):
        task_from_json("frac_prevs", task("frac_prevs").model, 3, ("BOS", "PAD"))
