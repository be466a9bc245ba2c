"""What is too large is refused by what it declares, before anything is allocated for it."""

from __future__ import annotations

import dataclasses
import importlib
import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siit.causal import CausalModel
from siit.graph import limits
from siit.graph.architecture import ModelConfig, count_edges
from siit.graph.circuit import Circuit
from tests.builders import handmade

SMALL = handmade.CONFIG
measure_module = importlib.import_module("siit.certificate.measure")
"""`siit.certificate.measure` is the function."""


def refusal(make: Callable[[], object]) -> str:
    """The error of making something, which must be made without memory for it."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError) as caught:
            make()
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    return str(caught.value)


@pytest.mark.parametrize("field", list(limits.SIZES))
@pytest.mark.parametrize("times", [1, 10**6, 10**300])
def test_sizes(field: str, times: int):
    limit = limits.SIZES[field]
    too_much: dict[str, Any] = {field: limit * times + 1}
    assert refusal(lambda: dataclasses.replace(SMALL, **too_much)).startswith(f"{field}: found ")
    at_limit: dict[str, Any] = {"n_heads": 1, "n_layers": 1, "d_model": 1, field: limit}
    assert getattr(dataclasses.replace(SMALL, **at_limit), field) == limit


def test_what_sizes_come_to():
    found = refusal(lambda: dataclasses.replace(SMALL, n_layers=64, n_heads=16))
    assert found == "n_layers, n_heads: found 1088 heads and MLPs, accepted are at most 1024"
    dataclasses.replace(SMALL, n_layers=64, n_heads=15)
    found = refusal(lambda: dataclasses.replace(SMALL, d_model=1 << 13, d_mlp=1 << 15))
    assert found.startswith("parameters: found ") and found.endswith("in all, accepted are at most 268,435,456")


@pytest.mark.parametrize(("layers", "width", "vocab", "positions"), [(12, 768, 50_257, 1024), (2, 2048, 423, 4096)])
def test_sensible_models_are_within_the_limits(layers: int, width: int, vocab: int, positions: int):
    config = ModelConfig(layers, 12, width, 64, 4 * width, positions, vocab, vocab)
    assert sum(map(math.prod, config.parameter_shapes().values())) > 5e7


def causal_model(**changes: Any) -> dict[str, Any]:
    return {**handmade.causal_model().to_json(), **changes}


def nested(entries: int) -> list[list[int]]:
    row = [0] * 1024
    return [row] * (entries // 1024 + 1)


@pytest.mark.parametrize("max_len", [limits.MAX_POSITIONS, 10**8, 10**300])
def test_positions_of_a_causal_model(max_len: int):
    assert "max_len: found" in refusal(lambda: CausalModel.from_json(causal_model(max_len=max_len)))
    assert "max_len: found" in refusal(lambda: CausalModel(("a",), max_len, [handmade.causal_model().answer]))


def test_parts_of_a_causal_model():
    many = list(range(limits.MAX_VOCAB + 1))
    assert "vocab: malformed: found 131073 tokens" in refusal(lambda: CausalModel.from_json(causal_model(vocab=many)))
    variables = handmade.causal_model().to_json()["variables"]
    assert "variables: malformed: found 2048" in refusal(
        lambda: CausalModel.from_json(causal_model(variables=variables * 1024))
    )
    table = {"type": "table", "inputs": ["tokens"], "table": nested(limits.MAX_TABLE_ENTRIES)}
    large = [{**variables[0], "mechanism": table}]
    assert "table: found more than 16,777,216 entries" in refusal(
        lambda: CausalModel.from_json(causal_model(variables=large))
    )
    selection = {**variables[1]["mechanism"], "predicate": nested(limits.MAX_TABLE_ENTRIES)}
    large = [variables[0], {**variables[1], "mechanism": selection}]
    assert "predicate: found more than 16,777,216 entries" in refusal(
        lambda: CausalModel.from_json(causal_model(variables=large))
    )


@given(layers=st.integers(1, 5), heads=st.integers(1, 5))
def test_edges_are_counted_without_being_made(layers: int, heads: int):
    config = dataclasses.replace(SMALL, n_layers=layers, n_heads=heads)
    assert count_edges(config) == len(Circuit(config, {}, {}).to_graph_json()["edges"])


@pytest.mark.slow
def test_a_batch_holds_fewer_pairs_where_one_of_them_is_large(monkeypatch: pytest.MonkeyPatch):
    """Whatever a batch is, what is measured is the same."""
    sizes: list[int] = []
    source_means = measure_module.source_means

    def watched(model: Any, evidence: Any, batch_size: int) -> Any:
        sizes.append(batch_size)
        return source_means(model, evidence, batch_size)

    monkeypatch.setattr(measure_module, "source_means", watched)
    # Of one pair, the most numbers are those of the 2 * 3 heads, 2 MLPs and 3 other nodes, at 5 positions of 11.
    for numbers in (1 << 27, 100 * 5 * 11 * 11, 1):
        monkeypatch.setattr(measure_module, "_NUMBERS", numbers)
        assert handmade.certify() == handmade.certify(batch_size=64)
    assert sizes == [128, 64, 100, 64, 1, 1]
