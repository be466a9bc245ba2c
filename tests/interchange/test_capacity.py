"""How many heads and which MLPs variables get: from the causal model alone, unless settings say otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siit.causal import CausalModel, SelectionShare
from siit.graph.architecture import ModelConfig
from siit.interchange.alignment import AlignmentConfig, derive_labels, draw_alignment
from siit.interchange.capacity import Capacity, needed_capacity, one_head_each
from siit.tasks import Task
from siit.training.configuration.model import ModelSettings
from siit.training.fit.plan import architecture
from tests.builders.ioi import task as ioi_task
from tests.builders.programs import EVERY, NAMES, causal_model, task

SOME = ("ioi", "ioi_full", "median", *NAMES)


def subject(name: str) -> Task:
    return ioi_task(name) if name.startswith("ioi") else task(name)


def shape(name: str, settings: AlignmentConfig | None = None, **changes: int) -> ModelConfig:
    sizes: dict[str, Any] = changes
    return architecture(subject(name), ModelSettings(**sizes), settings or AlignmentConfig())


def renamed(model: CausalModel, names: dict[str, str]) -> CausalModel:
    """The same model whose variables are called otherwise; descriptions are taken away."""

    def other(value: Any) -> Any:
        if isinstance(value, list):
            return [other(item) for item in value]
        return names.get(value, value) if isinstance(value, str) else value

    data = model.to_json()
    data["variables"] = [
        {
            **variable,
            "name": names[variable["name"]],
            "description": "",
            "mechanism": {field: other(value) for field, value in variable["mechanism"].items()},
        }
        for variable in data["variables"]
    ]
    return CausalModel.from_json(data)


def test_what_was_found_by_hand_for_ioi():
    assert needed_capacity(ioi_task("ioi").model) == Capacity(
        {"duplicate": 2, "s_inhibition": 2, "name_mover": 3}, frozenset({"duplicate", "s_inhibition"})
    )
    assert needed_capacity(ioi_task("ioi_full").model) == Capacity(
        {"previous": 2, "duplicate": 2, "induction": 2, "s_inhibition": 2, "s_position": 2, "name_mover": 3},
        frozenset({"duplicate", "s_inhibition", "s_position"}),
    )


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("frac_prevs", {"frac_prevs": 1}),
        ("histogram", {"histogram_share": 2}),
        ("reverse", {"length_share": 2, "reverse": 1}),
        ("detect_abc", {"previous": 1, "before_previous": 1}),
        ("sort_digits", {"smaller_share": 2, "earlier_same_share": 2, "sort_digits": 1}),
    ],
)
def test_programs_by_hand(name: str, heads: dict[str, int]):
    assert needed_capacity(causal_model(name)) == Capacity(heads)
    assert one_head_each(causal_model(name)) == Capacity(dict.fromkeys(heads, 1))


@settings(deadline=None, max_examples=30)
@given(data=st.data())
@pytest.mark.parametrize("name", SOME)
def test_names_and_words_decide_nothing(name: str, data: st.DataObject):
    model = subject(name).model
    fresh = data.draw(st.permutations([f"v{index}" for index in range(len(model.variables))]))
    names = dict(zip(model.variables, fresh, strict=True))
    one, other = needed_capacity(model), needed_capacity(renamed(model, names))
    assert other.heads == {names[name]: count for name, count in one.heads.items()}
    assert other.mlps == {names[name] for name in one.mlps}


@settings(deadline=None, max_examples=30)
@given(data=st.data())
@pytest.mark.parametrize("name", SOME)
def test_what_is_set_wins(name: str, data: st.DataObject):
    model = subject(name).model
    needed = needed_capacity(model)
    attention = sorted(needed.heads)
    heads = data.draw(st.dictionaries(st.sampled_from(attention), st.integers(1, 5)))
    mlps = data.draw(st.none() | st.sets(st.sampled_from(attention)))
    found = AlignmentConfig(heads, mlps).capacity(model)
    assert found.heads == {**needed.heads, **heads}
    assert found.mlps == (needed.mlps if mlps is None else mlps)


def test_a_fixed_placement_asks_for_nothing_more():
    nodes = {"length_share": ["a0.h1"], "length": ["m0"], "mirrored": ["m1"], "reverse": ["a2.h3"]}
    settings = AlignmentConfig(nodes=nodes)
    assert settings.capacity(causal_model("reverse")) == one_head_each(causal_model("reverse"))
    assert shape("reverse", settings, n_heads=1).n_heads == 1


@pytest.mark.parametrize(
    ("name", "changes", "heads", "width"),
    [
        ("frac_prevs", {}, 4, 16),
        ("median", {}, 6, 16),
        ("median", {"d_model": 32}, 6, 8),
        ("median", {"n_heads": 8}, 8, 8),
        ("median", {"d_head": 5}, 6, 5),
        ("frac_prevs", {"n_heads": 2}, 2, 32),
    ],
)
def test_heads_of_a_model_follow_and_keep_their_width(name: str, changes: dict[str, int], heads: int, width: int):
    found = shape(name, None, **changes)
    assert (found.n_heads, found.d_head) == (heads, width)


def test_too_few_heads_are_refused():
    with pytest.raises(ValueError, match=r"model.n_heads: found 4, the program needs at least 6 in one layer"):
        shape("median", n_heads=4)
    with pytest.raises(ValueError, match=r"model.d_model: found 30, accepted is a multiple of 4 heads"):
        shape("median", d_model=30)


@pytest.mark.parametrize("name", [*SOME, *EVERY])
def test_every_case_fits_its_model(name: str):
    """By the rule, no two variables share a head, who needs an MLP has it for itself, and counts have two heads."""
    model, config = subject(name).model, shape(name)
    capacity = needed_capacity(model)
    for seed in range(3):
        placed = draw_alignment(model, config, AlignmentConfig(), seed)
        heads = [node for nodes in placed.values() for node in nodes if node.startswith("a")]
        assert len(set(heads)) == len(heads) == sum(capacity.heads.values())
        for variable in capacity.mlps:
            assert [name for name, nodes in placed.items() if placed[variable][-1] in nodes] == [variable]
        assert set(derive_labels(model, config, placed).circuit.unit_of) == {n for ns in placed.values() for n in ns}
    counting = {name for name, v in model.variables.items() if isinstance(v.mechanism, SelectionShare)}
    assert all(capacity.heads[name] >= 2 for name in counting)
