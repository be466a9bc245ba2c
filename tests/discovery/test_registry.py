"""Methods by name, and one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from siit.discovery import METHODS, DiscoveryTask, Method, find_method
from siit.discovery.methods import InputGradients
from tests.builders.discovery import certified_task


def test_names_and_parameters():
    assert len(METHODS) > 10
    assert find_method("eap_ig_inputs", steps=7) == InputGradients(steps=7)
    assert isinstance(find_method("eap"), Method)


def test_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "own_methods.py").write_text(
        "from dataclasses import dataclass\n"
        "def slots(task, bonus=1.0):\n"
        "    return {edge: bonus * edge.endswith('<v>') for edge in task.edges}\n"
        "@dataclass\n"
        "class Constant:\n"
        "    value: float = 0.5\n"
        "    def __call__(self, task):\n"
        "        return dict.fromkeys(task.edges, self.value)\n"
        "LIST = []\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    task = certified_task(4)
    assert find_method("own_methods:slots")(task)["m0->a1.h0<v>"] == 1
    assert find_method("own_methods:slots", bonus=3.0)(task)["m0->a1.h0<v>"] == 3
    assert find_method("own_methods:Constant", value=0.25)(task)["m0->logits"] == 0.25
    for name, message in (
        ("own_methods", "found 'own_methods', accepted: module:function, exact"),
        ("own_methods:none", "has no attribute 'none'; accepted is a name in a module"),
        ("no_such_module_here:x", "No module named 'no_such_module_here'"),
        ("own_methods:LIST", "accepted is a function or a class"),
    ):
        with pytest.raises(ValueError, match=message):
            find_method(name)
    for name in ("own_methods:slots", "own_methods:Constant", "eap"):
        with pytest.raises(ValueError, match="unexpected keyword argument 'other'"):
            find_method(name, other=1)


@dataclass(frozen=True)
class Wants:
    """A class whose objects cannot be called."""

    def run(self, task: DiscoveryTask) -> None:
        """Runs nothing."""


def test_a_class_whose_objects_are_no_methods():
    with pytest.raises(ValueError, match="is not a callable object"):
        find_method(f"{__name__}:Wants")
