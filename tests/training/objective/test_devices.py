"""The same on every device: numbers, draws, replay; and no step waits for one.

What is run on a GPU is run on the CPU too, where it says less, so that it still runs when a GPU is at hand.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from siit.interchange import Pairs
from siit.training.configuration.settings import read_settings
from siit.training.fit.data_module import PairDataModule, step_generator
from siit.training.fit.loop import make_module
from siit.training.fit.module import SIITModule
from siit.training.objective import ReplayBuffer
from tests.builders import objectives
from tests.builders.runs import Compose, plan_of

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
on_devices = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
CASES = ["frac_prevs", "histogram", "ioi"]


def moved(value: Any, device: str) -> Any:
    """Copies a tensor to a device, and so the fields of a dataclass; leaves all else."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{name: moved(field, device) for name, field in vars(value).items()})
    return value


def on_device(module: SIITModule, device: str) -> SIITModule:
    """Copies a module to a device, with its causal model, in the phase in which all is trained."""
    there = copy.deepcopy(module).to(device)
    there.setup("fit")
    there.everything_from = 0
    return there


@contextmanager
def waiting_is_an_error(device: str) -> Iterator[None]:
    """Has CUDA refuse what waits for the device."""
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("default")


@on_devices
@pytest.mark.parametrize("circuit_only", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_a_step_is_that_of_the_cpu(composed: Compose, case: str, circuit_only: bool, device: str):
    settings = read_settings(composed(f"case={case}"))
    module = make_module(plan_of(settings), settings)
    generator = step_generator(0, 0, torch.device("cpu"))
    pairs = plan_of(settings).task.pairs("train").draw(32, generator)
    drawn = module.objective.draw(pairs, generator, circuit_only)
    found = []
    for where in ("cpu", device):
        there = on_device(module, where)
        step = there.objective.evaluate(there.model, moved(pairs, where), moved(drawn, where), there.auxiliary_probes)
        step.loss.backward()
        named = there.model.named_parameters()
        gradients = {name: value.grad.cpu() for name, value in named if value.grad is not None}
        found.append((step.loss.detach().cpu(), step.logits.detach().cpu(), gradients))
    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=1e-4)


@on_devices
@pytest.mark.parametrize("case", CASES)
def test_steps_never_wait_for_the_device(composed: Compose, case: str, device: str):
    settings = read_settings(composed(f"case={case}"))
    module = on_device(make_module(plan_of(settings), settings), device)
    data = PairDataModule(plan_of(settings).task, settings.trainer.batch_size, 50, settings.seed)
    optimizer = module.configure_optimizers()["optimizer"]

    def step(number: int) -> None:
        optimizer.zero_grad()
        module.training_step(data.draw(number, torch.device(device)), number).backward()
        module.on_after_backward()
        optimizer.step()

    for number in range(3):
        step(number)
    with waiting_is_an_error(device):
        for number in range(3, 6):
            step(number)
    assert bool(module.losses["loss"].isfinite())


@on_devices
def test_draws_are_on_the_device(composed: Compose, device: str):
    settings = read_settings(composed("case=frac_prevs"))
    module = on_device(make_module(plan_of(settings), settings), device)
    pairs = plan_of(settings).task.pairs("train", device).draw(32, torch.Generator(device).manual_seed(0))
    for priorities in (None, module.errors.priorities(0.5)):
        generator = torch.Generator(device).manual_seed(0)
        drawn = module.objective.draw(pairs, generator, circuit_only=False, priorities=priorities)
        tensors = [pairs.base, *vars(drawn).values(), *vars(drawn.replacement).values()]
        assert {value.device.type for value in tensors if isinstance(value, torch.Tensor)} == {device}


@on_devices
def test_replay_is_on_the_device(device: str):
    buffer, generator = ReplayBuffer(3).to(device), torch.Generator(device).manual_seed(0)
    numbers = torch.arange(8, device=device).unsqueeze(1).expand(8, 3)
    pairs = Pairs(numbers, -numbers)
    buffer.add(pairs, objectives.by_number(pairs), numbers[:, 0] % 2 == 0)
    replayed = buffer.replay(Pairs(numbers + 100, numbers), 0.5, generator)
    found = replayed.pairs
    assert replayed.interchanged_again(objectives.by_number(pairs)).choice.device.type == device
    assert found.base.device.type == device and found.fresh is not None and not bool(found.fresh.all())
    assert set(found.base[~found.fresh, 0].tolist()) <= {0, 2, 4, 6}
