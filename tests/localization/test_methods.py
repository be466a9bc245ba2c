"""Methods: each finds what was put there, and agrees with an independent implementation where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from siit.localization import METHODS, Locator, find_locator
from siit.localization.methods import DistributedAlignmentSearch, NodeInterchange, Probing
from siit.localization.methods.das import orthonormal, projected
from siit.localization.methods.probing import fitted
from tests.builders import handmade
from tests.builders.variables import certified_variable, random_variable_task, rotated_task, turn


def test_das_finds_a_rotated_direction():
    """A whole m0 says too much.

    tok_embed has such a direction too: one that writes what the head reads (Makelov et al., arXiv 2311.17030).
    """
    task = rotated_task()
    search = DistributedAlignmentSearch(directions=1, steps=40, batch_size=32, learning_rate=0.05)
    basis = search.trained(task)
    scores = dict(zip(task.nodes, task.iia(lambda batch: projected(batch.differences, basis)).tolist(), strict=True))
    assert scores["m0"] == 1.0 and NodeInterchange()(task)["m0"] < 0.8
    assert max(value for node, value in scores.items() if node not in ("m0", "tok_embed")) < 0.8
    # Interchanging it changes what the head reads by more than half, and what the logits read by less.
    direction = basis[task.nodes.index("m0"), :, 0]
    read, shown = turn()[handmade.IS_X], turn()[handmade.BIAS]
    change = ((read + shown) @ direction) * direction
    assert change @ read > 0.5 > change @ shown


def test_das_repeats_and_is_never_worse_than_its_start_on_the_training_pairs():
    task = certified_variable("is_x")
    search = DistributedAlignmentSearch(directions=2, steps=4, batch_size=4)
    assert search(task) == search(task) and search(task)["m0"] == 1.0


def test_all_directions_are_the_whole_node():
    """Whatever they are turned by."""
    task = random_variable_task("causal", None, 3)
    spans = torch.randn(len(task.nodes), 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    basis = orthonormal(spans)
    assert torch.allclose(basis.mT @ basis, torch.eye(8, dtype=torch.float64).expand(len(task.nodes), 8, 8))
    (batch,) = task.batches(task.train)
    assert torch.allclose(projected(batch.differences, basis), batch.differences)
    assert DistributedAlignmentSearch(directions=99, steps=1, batch_size=2)(task).keys() == set(task.nodes)


@pytest.mark.parametrize("classes", [2, 5])
def test_probes_of_classes_are_normal_distributions_of_one_covariance(classes: int):
    """The posterior of classes, by densities instead of discriminants."""
    generator = torch.Generator().manual_seed(classes)
    values = torch.randint(classes, (200,), generator=generator)
    means = torch.randn(classes, 6, generator=generator)
    rows = (means[values] + torch.randn(200, 6, generator=generator)).double()
    weight, bias = fitted([(rows[None, :120], values[:120]), (rows[None, 120:], values[120:])], classes, 0.0)
    centres = torch.stack([rows[values == one].mean(0) for one in range(classes)])
    covariance = (rows - centres[values]).T.cov(correction=0)
    density = torch.distributions.MultivariateNormal(centres, covariance).log_prob(rows.unsqueeze(1))
    posterior = (density + (values.bincount() / 200).log()).log_softmax(-1)
    assert torch.allclose((rows @ weight + bias)[0].log_softmax(-1), posterior, atol=1e-8)


def test_probes_of_numbers_are_least_squares():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(2, 50, 4, generator=generator).double()
    values = torch.randn(50, generator=generator).double()
    weight, bias = fitted([(rows, values)], None, 0.0)
    for node in range(2):
        design = torch.cat([rows[node], torch.ones(50, 1, dtype=torch.float64)], 1)
        solved = torch.linalg.lstsq(design, values.unsqueeze(1)).solution
        assert torch.allclose(torch.cat([weight[node], bias[node]]), solved, atol=1e-8)


def test_a_probe_reads_what_is_written():
    """m0 writes nothing but the variable, and a0's heads write nothing at all."""
    scores = Probing()(rotated_task())
    share = rotated_task().held_out.values["is_x"][rotated_task().held_out.tokens].double().mean().item()
    assert scores["m0"] == scores["tok_embed"] == 1.0
    assert scores["a0.h1"] == pytest.approx(max(share, 1 - share), abs=0.1)
    numbers = Probing()(certified_variable("frac_prevs"))
    assert numbers["a1.h0"] > 0.999 and 0 <= numbers["pos_embed"] < 0.2


def test_names_and_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "own_locators.py").write_text("def late(task):\n    return {n: float(n > 'm') for n in task.nodes}\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_locator("das", directions=3) == DistributedAlignmentSearch(directions=3)
    assert all(isinstance(find_locator(name), Locator) for name in METHODS)
    assert find_locator("own_locators:late")(rotated_task())["m1"] == 1.0
    with pytest.raises(ValueError, match="found 'dsa', accepted: module:function, probing, interchange, das"):
        find_locator("dsa")
    with pytest.raises(ValueError, match="directions: found 0"):
        find_locator("das", directions=0)
