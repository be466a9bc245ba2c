"""The numbers of public implementations, recorded once (docs/notes/discovery.md says how)."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from siit.discovery import DiscoveryTask, Method
from siit.discovery.methods import Acdc, AttributionPatching, InputGradients
from tests.builders.discovery import DATA, certified

RECORD: dict[str, Any] = json.loads((DATA / "discovery" / "frac_prevs.json").read_text())


def tensor(name: str) -> Tensor:
    return torch.tensor(RECORD[name])


def task(scored: Tensor | None = None) -> DiscoveryTask:
    """Makes the task of the record, of whose pairs nothing is permuted."""
    scored = tensor("scored") if scored is None else scored
    return DiscoveryTask(
        certified().model, RECORD["output"], tensor("clean"), tensor("corrupted"), scored, tensor("target")
    )


def merged(name: str) -> str | None:
    """Names an edge as those who have one input do; None for edges from positions, which are not corrupted."""
    return None if name.startswith("pos_embed") else name.replace("tok_embed", "input")


def ranks(values: Tensor) -> Tensor:
    """Ranks values; equal ones share the mean of their ranks."""
    return (values.unsqueeze(1) > values).sum(1) + ((values.unsqueeze(1) == values).sum(1) - 1) / 2


@pytest.mark.parametrize(
    ("name", "method"), [("eap", AttributionPatching()), ("eap_ig_inputs", InputGradients(steps=RECORD["steps"]))]
)
def test_attribution_is_that_of_the_eap_ig_package(name: str, method: Method):
    recorded = RECORD["scores"][name]
    found = {merged(edge): score for edge, score in method(task()).items() if merged(edge)}
    assert found.keys() == recorded.keys()
    ours, theirs = torch.tensor([[found[edge], recorded[edge]] for edge in recorded], dtype=torch.float64).T
    assert float((ours - theirs).abs().max()) < 1e-6 < 1e-3 * float(theirs.max())
    assert float(torch.corrcoef(torch.stack([ranks(ours), ranks(theirs)]))[0, 1]) > 0.999


def test_acdc_is_auto_circuits():
    scored = torch.ones_like(tensor("scored"))
    scored[:, 0] = False  # it measures at all positions but the first
    of, everywhere = task(scored), torch.ones(1)
    kept = Acdc().kept(of, RECORD["thresholds"])
    for threshold, row in zip(RECORD["thresholds"], kept, strict=True):
        # What is recorded of an edge is the least threshold at which it is left out.
        everywhere = everywhere * row
        ours = {merged(name) for name, is_kept in zip(of.edges, everywhere.tolist(), strict=True) if is_kept}
        recorded = RECORD["scores"]["acdc"].items()
        assert ours == {name for name, least in recorded if least is None or least > threshold * 1.000001}
        assert len(ours) >= 3
    assert of.passes.forward < 1000, "one run for each edge, threshold and pair would be 14,080"
