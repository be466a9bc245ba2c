"""Curves of faithfulness: by hand on the hand-written model, and against one run at a time."""

from __future__ import annotations

import pytest
import torch

from siit.discovery import held_out_task, task_of
from siit.evaluation.faithfulness import SHARES, area, faithfulness
from siit.loading import LoadedModel
from tests.builders import handmade
from tests.builders.discovery import certified
from tests.builders.evaluations import hand_written


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return hand_written(tmp_path_factory.mktemp("bundle"))


def ranked(model: LoadedModel) -> dict[str, float]:
    """The circuit's edges first, that into the logits the last of them."""
    names = held_out_task(model, 1).edges
    on = {str(edge) for edge in handmade.CARRIES}
    return {name: 0.5 if name == "a1.h0->logits" else float(name in on) for name in names}


def test_by_hand(model: LoadedModel):
    task = held_out_task(model, 64, permute_positions=False)
    found = faithfulness(task, ranked(model), "edge", 5, None)
    assert found is not None
    # The answer's logit is 0.5 above the other. Replaced, it is so where the source has the same answer, else below.
    same = model.model(task.corrupted).argmax(-1) == task.target
    share = float((same & task.scored).sum() / task.scored.sum())
    assert found.whole == pytest.approx(0.5)
    assert found.empty == pytest.approx(share - 0.5, abs=1e-6)
    # Without the one edge into the logits nothing of the clean run reaches them; with all five all does.
    count = len(task.edges)
    assert [point.parts for point in found.curve] == [int(share * count) for share in SHARES]
    expected = [float(point.parts >= 5) for point in found.curve]
    assert [point.faithfulness for point in found.curve] == pytest.approx(expected, abs=1e-6)
    assert found.at_size.parts == 5 and found.at_size.accuracy == 1
    first = next(place for place, value in enumerate(expected) if value)
    ramp = (SHARES[first] - SHARES[first - 1]) / 2
    assert found.cpr == pytest.approx(1 - SHARES[first] + ramp)
    assert found.cmd == pytest.approx(SHARES[first - 1] - SHARES[0] + ramp)
    assert found.cpr + found.cmd == pytest.approx(1 - SHARES[0])
    assert (found.metric, found.pairs) == ("difference", 64)


def test_as_one_run_at_a_time():
    task = held_out_task(certified(), 32)
    scores = {name: (7 * number % 137) / 137 for number, name in enumerate(task.edges)}
    tolerance = certified().tolerance
    found = faithfulness(task, scores, "edge", 5, tolerance, ablation="mean")
    assert found is not None and tolerance is not None and found.metric == "error"
    order = sorted(task.edges, key=lambda name: -scores[name])
    (batch,) = task.batches()
    for point in (*found.curve, found.at_size):
        kept = set(order[: point.parts])
        masks = torch.tensor([float(name not in kept) for name in task.edges])
        distance = (batch.run(edges=masks, by="mean")[:, 0] - batch.readout.target).abs()
        value = -batch.per_example(distance).mean().item()
        assert point.faithfulness == pytest.approx((value - found.empty) / (found.whole - found.empty), abs=1e-4)
        assert point.accuracy == pytest.approx(batch.per_example((distance <= tolerance).float()).mean().item())


def test_nodes_are_kept_whole():
    task = held_out_task(certified(), 32)
    on = {*certified().circuit.unit_of, "tok_embed", "pos_embed"}
    scores = {name: float(name in on) for name in task.nodes}
    found = faithfulness(task, scores, "node", len(on), certified().tolerance)
    assert found is not None and found.at_size.accuracy == 1
    assert found.curve[-1].parts == len(task.nodes)


def test_equal_scores_are_in_the_order_of_the_seed():
    task = held_out_task(certified(), 8)
    equal = dict.fromkeys(task.edges, 1.0)
    found = [faithfulness(task, equal, "edge", 70, certified().tolerance, seed=seed) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_area_by_hand():
    assert area((0.0, 1.0, 3.0), (0.0, 2.0, 1.0)) == 1 + 3


def test_held_out_pairs_are_the_evidence_s():
    loaded = certified()
    rows = {
        tuple(row) for row in torch.cat([loaded.evidence["base_tokens"], loaded.evidence["source_tokens"]], 1).tolist()
    }
    held = held_out_task(loaded, 100)
    assert all(tuple(row) in rows for row in torch.cat([held.clean, held.corrupted], 1).tolist())
    seen = task_of(loaded, 100)
    assert not any(tuple(row) in rows for row in torch.cat([seen.clean, seen.corrupted], 1).tolist())
    assert len(held_out_task(loaded, 10**6)) <= len(loaded.evidence["base_tokens"])
    with pytest.raises(ValueError, match="n_pairs: found 0"):
        held_out_task(loaded, 0)
