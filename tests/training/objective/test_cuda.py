"""The same numbers on a CUDA device as on the CPU."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from siit.interchange import Pairs
from siit.training.configuration.settings import read_settings
from siit.training.fit.data_module import PairDataModule
from siit.training.fit.loop import make_module
from siit.training.objective import N_ABLATIONS, Objective, ReplayBuffer, RunningErrors
from siit.transformer import Transformer
from tests.builders import objectives
from tests.builders.runs import Compose, plan_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.parametrize("circuit_only", [False, True])
@pytest.mark.parametrize("case", ["frac_prevs", "histogram"])
def test_one_step(case: str, circuit_only: bool):
    task = objectives.task_of(case)
    interchanges = objectives.interchanges_of(task)
    pairs = objectives.pairs_of(task, 32, seed=0)
    generator = torch.Generator().manual_seed(0)
    drawn = Objective(interchanges, objectives.configured_terms("siit"), source_gradient=True).draw(
        pairs, generator, circuit_only
    )
    losses, logits, gradients = [], [], []
    for device in ("cpu", "cuda"):
        there = dataclasses.replace(interchanges, model=interchanges.model.to(device))
        objective = Objective(there, objectives.configured_terms("siit"), source_gradient=True)
        model = Transformer(interchanges.labels.circuit.config, seed=0).to(device)
        moved = {name: getattr(drawn, name).to(device) for name in vars(drawn) if name != "all_off"}
        step = objective.evaluate(
            model, Pairs(pairs.base.to(device), pairs.source.to(device)), dataclasses.replace(drawn, **moved)
        )
        step.loss.backward()
        losses.append(step.loss.detach().cpu())
        logits.append(step.logits.detach().cpu())
        gradients.append({name: value.grad.cpu() for name, value in model.named_parameters() if value.grad is not None})
    for on_cpu, on_cuda in (losses, logits, gradients):
        torch.testing.assert_close(on_cuda, on_cpu, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("case", ["frac_prevs", "ioi"])
def test_steps_never_wait_for_the_device(composed: Compose, case: str):
    """As `tests/training/fit/test_module.py` counts it on the CPU; CUDA itself sees copies to the device too."""
    settings = read_settings(composed(f"case={case}"))
    device = torch.device("cuda")
    module = make_module(plan_of(settings), settings).to(device)
    module.setup("fit")
    module.everything_from = 0
    data = PairDataModule(plan_of(settings).task, settings.trainer.batch_size, 50, settings.seed)
    optimizer = module.configure_optimizers()["optimizer"]
    for step in range(6):
        if step == 3:
            torch.cuda.set_sync_debug_mode("error")
        try:
            optimizer.zero_grad()
            module.training_step(data.draw(step, device), step).backward()
            module.on_after_backward()
            optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_draws_on_the_device():
    task = objectives.task_of("frac_prevs")
    interchanges = objectives.interchanges_of(task)
    there = dataclasses.replace(interchanges, model=interchanges.model.to("cuda"))
    objective = Objective(there, objectives.configured_terms("siit"), source_gradient=True)
    pairs = objectives.pairs_of(task, 32, seed=0)
    pairs = Pairs(pairs.base.cuda(), pairs.source.cuda())
    circuit = interchanges.labels.circuit
    errors = RunningErrors(len(interchanges.names), len(circuit.off_nodes) + len(circuit.off_edges), N_ABLATIONS).cuda()
    for priorities in (None, errors.priorities(0.5)):
        drawn = objective.draw(pairs, torch.Generator("cuda").manual_seed(0), False, priorities)
        tensors = [*vars(drawn).values(), *vars(drawn.replacement).values()]
        assert {value.device.type for value in tensors if isinstance(value, torch.Tensor)} == {"cuda"}
        step = objective.evaluate(Transformer(interchanges.labels.circuit.config, seed=0).cuda(), pairs, drawn)
        assert bool(step.loss.isfinite())


def test_replay_on_the_device():
    buffer, generator = ReplayBuffer(3).cuda(), torch.Generator("cuda").manual_seed(0)
    numbers = torch.arange(8, device="cuda").unsqueeze(1).expand(8, 3)
    pairs = Pairs(numbers, -numbers)
    buffer.add(pairs, objectives.by_number(pairs), numbers[:, 0] % 2 == 0)
    replayed = buffer.replay(Pairs(numbers + 100, numbers), 0.5, generator)
    found = replayed.pairs
    assert replayed.interchanged_again(objectives.by_number(pairs)).choice.device.type == "cuda"
    assert found.base.device.type == "cuda" and found.fresh is not None and not bool(found.fresh.all())
    assert set(found.base[~found.fresh, 0].tolist()) <= {0, 2, 4, 6}
