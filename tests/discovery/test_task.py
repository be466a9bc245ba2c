"""What a method may see, what is measured, and that nothing else can be reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from siit.bundle import Bundle
from siit.causal import CausalModel
from siit.discovery import DiscoveryTask, find_method, task_of
from siit.graph.circuit import Circuit
from siit.loading import LoadedCircuit
from siit.tasks import Task
from tests.builders import handmade
from tests.builders.discovery import certified, certified_task, random_task
from tests.builders.transformers import ARCHITECTURES


def reachable(start: Any) -> list[Any]:
    """Lists all that attributes, containers and closures lead to."""
    found, seen, left = [], set(), [start]
    while left:
        thing = left.pop()
        if id(thing) in seen or isinstance(thing, (str, bytes, int, float, type, type(torch))):
            continue
        seen.add(id(thing))
        found.append(thing)
        if isinstance(thing, Mapping):
            left += [*thing.keys(), *thing.values()]
        elif isinstance(thing, (list, tuple, set, frozenset)):
            left += list(thing)
        left += list(getattr(thing, "__dict__", {}).values())
        left += [cell.cell_contents for cell in getattr(thing, "__closure__", None) or ()]
    return found


def test_no_label_can_be_reached_from_a_task():
    task = certified_task(8)
    find_method("acdc")(task)  # fills what is kept
    _ = task.means, task.edge_senders
    found = reachable((task, next(task.batches())))
    assert len(found) > 100 and any(thing is task.model for thing in found)
    assert [thing for thing in found if isinstance(thing, (Circuit, Bundle, LoadedCircuit, CausalModel, Task))] == []
    assert any(isinstance(thing, Circuit) for thing in reachable(certified()))


def test_pairs_are_not_those_of_the_evidence():
    task, evidence = certified_task(256), certified().evidence
    drawn = {(*base, *source) for base, source in zip(task.clean.tolist(), task.corrupted.tolist(), strict=True)}
    held_out = zip(evidence["base_tokens"].tolist(), evidence["source_tokens"].tolist(), strict=True)
    assert len(task) == 256 and drawn.isdisjoint({(*base, *source) for base, source in held_out})
    assert len(drawn) > 200
    run = certified().model(task.clean)[..., 0]
    assert bool(((run - task.target).abs()[task.scored] < 0.05).all()), "the causal model's answers are the model's"


def test_the_same_seed_draws_the_same_pairs():
    one, same, other = (certified_task(16, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.clean, same.clean)
    assert one.corrupted_positions is not None and same.corrupted_positions is not None
    assert torch.equal(one.corrupted_positions, same.corrupted_positions)
    assert not torch.equal(one.clean, other.clean)


def test_only_permuted_positions_show_edges_from_pos_embed():
    permuted, plain = (find_method("exact")(certified_task(permute_positions=permute)) for permute in (True, False))
    from_positions = [name for name in plain if name.startswith("pos_embed")]
    assert max(plain[name] for name in from_positions) < 1e-6
    assert min(permuted[f"pos_embed->a1.h0<{slot}>"] for slot in "qk") > 0.01


def test_what_is_refused():
    with pytest.raises(ValueError, match="n_pairs: found 0, accepted is at least 1"):
        task_of(certified(), 0)
    with pytest.raises(ValueError, match="corruption: found 'third_name', accepted: source"):
        task_of(certified(), corruption="third_name")
    task = certified_task(4)
    with pytest.raises(ValueError, match="pairs: found none, or some of which nothing is scored"):
        DiscoveryTask(task.model, "numerical", task.clean, task.corrupted, task.scored & False, task.target)


def test_all_pairs_there_are_may_be_drawn_again(tmp_path):
    import siit

    handmade.put(tmp_path)
    task = task_of(siit.load(tmp_path, "previous_is_x"), 32)
    assert len(task) == 32 and task.output == "categorical"


def test_the_difference_by_hand():
    task = random_task("causal", "LN", 3)
    batch = task.batch(torch.arange(4))
    clean, corrupted = task.model(task.clean), task.model(task.corrupted, task.corrupted_positions)
    for example in range(4):
        values = []
        for place in torch.nonzero(task.scored[example]).flatten().tolist():
            target = int(task.target[example, place])
            others = corrupted[example, place].clone()
            others[target] = -torch.inf
            values.append(clean[example, place, target] - clean[example, place, others.argmax()])
        expected = torch.stack(values).mean()
        torch.testing.assert_close(batch.difference(batch.run())[example], expected)
    divergence = batch.divergence(batch.run(embeddings=batch.corrupted[:2]))
    own, other = (logits.log_softmax(-1)[0, task.scored[0]] for logits in (clean, corrupted))
    torch.testing.assert_close(divergence[0], (own.exp() * (own - other)).sum(-1).mean())


def test_numbers_are_measured_away_from_the_corrupted_answer():
    task = random_task("causal", None, 1)
    batch = task.batch(torch.arange(4))
    corrupted = task.model(task.corrupted, task.corrupted_positions)[..., 0]
    side = torch.where(task.target.double() < corrupted, -1, 1)
    values = (task.model(task.clean)[..., 0] * side * task.scored).sum(1) / task.scored.sum(1)
    torch.testing.assert_close(batch.difference(batch.run()), values)


@pytest.mark.parametrize(("direction", "norm", "d_vocab_out"), ARCHITECTURES)
def test_the_difference_has_a_gradient_at_the_clean_run(direction: str, norm: str | None, d_vocab_out: int):
    task = random_task(direction, norm, d_vocab_out)
    batch = task.batch(torch.arange(4))
    masks = batch.masks(task.edges, per_example=True)
    logits = batch.run(edges=masks)
    torch.testing.assert_close(batch.divergence(logits), torch.zeros(4, dtype=torch.float64))
    assert bool(batch.gradient(batch.difference(logits), masks).abs().amax(1).gt(1e-4).all())


def test_passes_are_counted():
    task = random_task("causal", None, 3)
    batch = task.batch(torch.tensor([0, 2]))
    assert (task.passes.forward, task.passes.backward) == (4, 0)
    masks = batch.masks(task.nodes)
    batch.gradient(batch.difference(batch.run(nodes=masks)), masks)
    assert (task.passes.forward, task.passes.backward) == (6, 2)


def test_repeated_examples_are_the_examples():
    task = random_task("bidirectional", "LN", 3)
    batch = task.batch(torch.arange(4))
    several = batch.repeated(3)
    edges = (torch.rand(12, len(task.edges)) < 0.3).double()
    together = several.difference(several.run(edges=edges)).view(3, 4)
    alone = [batch.difference(batch.run(edges=part)) for part in edges.split(4)]
    torch.testing.assert_close(together, torch.stack(alone))
