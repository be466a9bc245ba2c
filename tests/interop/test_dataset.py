"""The evidence as a dataset of pairs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

import siit
from siit.bundle import write_bundle
from siit.interop.dataset import PairDataset
from tests.builders.bundles import make_bundle

EVIDENCE = make_bundle().evidence


def test_pairs_with_another_input():
    dataset = PairDataset(EVIDENCE)
    assert len(dataset) == 3
    pair = dataset[1]
    for field, name in (
        ("base", "base_tokens"),
        ("source", "source_tokens"),
        ("target", "base_target"),
        ("source_target", "source_target"),
        ("scored", "base_scored"),
        ("source_scored", "source_scored"),
    ):
        assert torch.equal(getattr(pair, field), EVIDENCE[name][1])


def test_pairs_with_a_contrast():
    pair = PairDataset(EVIDENCE, "swap")[2]
    assert torch.equal(pair.base, EVIDENCE["base_tokens"][2])
    assert torch.equal(pair.source, EVIDENCE["contrast/swap/tokens"][2])
    assert torch.equal(pair.source_target, EVIDENCE["contrast/swap/target"][2])
    assert torch.equal(pair.source_scored, EVIDENCE["contrast/swap/scored"][2])


def test_batches(tmp_path: Path):
    write_bundle(tmp_path, make_bundle())
    loaded = siit.load(tmp_path, "toy")
    first, second = DataLoader(loaded.dataset("swap"), batch_size=2)
    assert torch.equal(torch.cat([first.source, second.source]), loaded.evidence["contrast/swap/tokens"])
    assert loaded.model(first.base).shape == (2, 5, 2)


def test_what_there_is_not():
    with pytest.raises(ValueError, match="corruption: found 'mean', accepted: source, swap"):
        PairDataset(EVIDENCE, "mean")
    with pytest.raises(ValueError, match="evidence: found no base_tokens, accepted is the evidence of a model"):
        PairDataset({})
