"""Properties of interventions, for any program, and answers worked out by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from tracr.rasp import rasp

from siit.causal import OUTPUT, CausalModel, HighLevelEdge, Inputs, Intervention, Interventions, Run
from siit.interchange import permuted_positions
from siit.training.rasp.from_rasp import build_causal_model
from tests.builders.programs import NAMES, answer, causal_model, encode, own, run, task

BATCH = 6
PROPERTY = settings(max_examples=12, deadline=None)


@dataclasses.dataclass(frozen=True)
class Scene:
    """A program with a base and a source batch, run."""

    model: CausalModel
    base: Inputs
    source: Inputs
    base_run: Run
    source_run: Run
    generator: torch.Generator

    def some(self, of: Any) -> list[Any]:
        """A random subset."""
        keep = torch.rand(len(of), generator=self.generator) < 0.5
        return [item for item, kept in zip(of, keep.tolist(), strict=True) if kept]

    def interventions(self, values: Run, mask: Tensor | None = None) -> Interventions:
        """Random variables and edges, set to what they are in another run."""
        return Interventions(
            {name: Intervention(values.values[name], mask) for name in self.some(list(self.model.variables))},
            {edge: Intervention(values.values[edge.parent], mask) for edge in self.some(self.model.edges)},
        )


CHOICES = st.tuples(st.sampled_from(NAMES), st.integers(0, 1 << 16), st.booleans())


def make_scene(name: str, seed: int, moved: bool) -> Scene:
    """A scene of a program; `moved`: the source's positions are permuted."""
    model, generator = causal_model(name), torch.Generator().manual_seed(seed)
    base = Inputs(task(name).sample(BATCH, generator))
    tokens = task(name).sample(BATCH, generator)
    source = Inputs(tokens, permuted_positions(tokens, len(model.vocab), generator) if moved else None)
    return Scene(model, base, source, model.run(base), model.run(source), generator)


def same(left: Run, right: Run, names: Any = None, rows: Any = slice(None)) -> bool:
    """Whether two runs hold the same, undefined values included, up to rounding."""

    def known(values: Tensor) -> Tensor:
        return values.double().nan_to_num(-7)

    names = left.values if names is None else names
    return torch.equal(left.scored[rows], right.scored[rows]) and all(
        torch.allclose(known(left.values[name][rows]), known(right.values[name][rows]), atol=1e-6) for name in names
    )


@PROPERTY
@given(CHOICES)
def test_an_exchange_with_what_is_there_changes_nothing(choice: tuple[str, int, bool]):
    scene = make_scene(*choice)
    found = scene.model.run(scene.base, scene.interventions(scene.base_run))
    assert same(found, scene.base_run)


@PROPERTY
@given(CHOICES)
def test_setting_everything_gives_the_source(choice: tuple[str, int, bool]):
    """Scored is what the base's slots allow."""
    scene = make_scene(*choice)
    everything = {name: Intervention(scene.source_run.values[name]) for name in scene.model.variables}
    found = scene.model.run(scene.base, Interventions(everything))
    assert same(dataclasses.replace(scene.source_run, scored=found.scored), found, [*scene.model.variables, OUTPUT])
    assert not (found.scored & (scene.base.tokens >= len(scene.model.vocab))).any()


@PROPERTY
@given(CHOICES, st.data())
def test_all_edges_of_a_variable_are_the_variable(choice: tuple[str, int, bool], data: st.DataObject):
    """The output edge included, where the variable is read as the answer."""
    scene = make_scene(*choice)
    name = data.draw(st.sampled_from(list(scene.model.variables)))
    interchange = Intervention(scene.source_run.values[name])
    by_variable = scene.model.run(scene.base, Interventions({name: interchange}))
    out = [edge for edge in scene.model.edges if edge.parent == name]
    by_edges = scene.model.run(scene.base, Interventions(edges=dict.fromkeys(out, interchange)))
    assert same(by_variable, by_edges, [other for other in by_variable.values if other != name])
    assert torch.equal(by_edges.values[name].nan_to_num(-7.0), scene.base_run.values[name].nan_to_num(-7.0))


@PROPERTY
@given(CHOICES)
def test_interventions_are_per_example(choice: tuple[str, int, bool]):
    scene = make_scene(*choice)
    mask = torch.rand(BATCH, generator=scene.generator) < 0.5
    everywhere = scene.interventions(scene.source_run)
    masked = Interventions(
        {name: dataclasses.replace(interchange, mask=mask) for name, interchange in everywhere.variables.items()},
        {edge: dataclasses.replace(interchange, mask=mask) for edge, interchange in everywhere.edges.items()},
    )
    found = scene.model.run(scene.base, masked)
    assert same(found, scene.model.run(scene.base, everywhere), rows=mask)
    assert same(found, scene.base_run, rows=~mask)


@PROPERTY
@given(CHOICES)
def test_a_batch_is_its_rows(choice: tuple[str, int, bool]):
    scene = make_scene(*choice)
    chosen = scene.interventions(scene.source_run)
    found = scene.model.run(scene.base, chosen)
    for row in range(BATCH):

        def alone(interchange: Intervention, row: int = row) -> Intervention:
            return Intervention(interchange.values[row : row + 1])

        single = scene.model.run(
            Inputs(scene.base.tokens[row : row + 1]),
            Interventions(
                {name: alone(interchange) for name, interchange in chosen.variables.items()},
                {edge: alone(interchange) for edge, interchange in chosen.edges.items()},
            ),
        )
        assert same(single, Run({k: v[row : row + 1] for k, v in found.values.items()}, found.scored[row : row + 1]))


@PROPERTY
@given(CHOICES, st.data())
def test_an_edge_wins_over_its_parent(choice: tuple[str, int, bool], data: st.DataObject):
    scene = make_scene(*choice)
    edge = data.draw(st.sampled_from([edge for edge in scene.model.edges if edge.parent in scene.model.variables]))
    own_value, other = scene.base_run.values[edge.parent], scene.source_run.values[edge.parent]
    others = {e: Intervention(other) for e in scene.model.edges if e.parent == edge.parent and e != edge}
    found = scene.model.run(
        scene.base, Interventions({edge.parent: Intervention(other)}, {edge: Intervention(own_value)})
    )
    assert same(
        found,
        scene.model.run(scene.base, Interventions(edges=others)),
        [name for name in found.values if name != edge.parent],
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_same_model_from_json_and_on_another_device_call(name: str):
    model = causal_model(name)
    copy = CausalModel.from_json(model.to_json()).to("cpu")
    tokens = task(name).sample(64, torch.Generator().manual_seed(3))
    assert same(copy.run(Inputs(tokens)), model.run(Inputs(tokens)))


def test_unknown_interventions():
    model = causal_model("frac_prevs")
    inputs = Inputs(encode(model, "axb"))
    value = Intervention(inputs.tokens)
    with pytest.raises(ValueError, match=r"interventions: found is_y, accepted: is_x, frac_prevs, tokens->is_x, "):
        model.run(inputs, Interventions({"is_y": value}))
    with pytest.raises(ValueError, match=r"found is_x->frac_prevs<q>, accepted"):
        model.run(inputs, Interventions(edges={HighLevelEdge("is_x", "frac_prevs", "q"): value}))


def exchanged(model: CausalModel, what: str, base: Any, source: Any, positions: list[int] | None = None) -> list[Any]:
    """The answer on the base with a variable or an edge, by name, from the source."""
    tokens = encode(model, source)
    ids = None
    if positions is not None:
        ids = torch.arange(tokens.shape[1]).unsqueeze(0).clone()
        ids[0, 1 : len(positions) + 1] = torch.tensor(positions)
    values = model.run(Inputs(tokens, ids)).values
    if what in model.variables:
        chosen = Interventions({what: Intervention(values[what])})
    else:
        edge = next(edge for edge in model.edges if str(edge) == what)
        chosen = Interventions(edges={edge: Intervention(values[edge.parent])})
    return answer(model, model.run(Inputs(encode(model, base)), chosen), len(base))


TWO_THIRDS, THIRD = 0.6667, 0.3333


@pytest.mark.parametrize(
    ("what", "base", "source", "positions", "expected"),
    [
        # is_x of the base: 0 1 0, of the source: 1 1 0
        ("is_x", "axb", "xxa", None, [1, 1, TWO_THIRDS]),
        ("is_x->frac_prevs<v>", "axb", "xxa", None, [1, 1, TWO_THIRDS]),
        ("tokens->is_x", "axb", "xxa", None, [1, 1, TWO_THIRDS]),
        ("frac_prevs", "axb", "xab", None, [1, 0.5, THIRD]),
        ("frac_prevs->output", "axb", "xab", None, [1, 0.5, THIRD]),
        # a shorter source says nothing about the last position
        ("is_x", "axbx", "xxa", None, [1, 1, TWO_THIRDS, None]),
        ("frac_prevs", "axbx", "xxa", None, [1, 1, TWO_THIRDS, None]),
        # queries 1 2 0 of keys 0 1 2, of the slots up to one's own: {1}, {1, 2}, {1}
        ("indices->frac_prevs<q>", "xab", "aaa", [2, 3, 1], [1, 0.5, 1]),
        # queries 0 1 2 of keys 1 2 0: {} which no input leads to, {1}, {1, 2, 3}
        ("indices->frac_prevs<k>", "xab", "aaa", [2, 3, 1], [None, 1, THIRD]),
        ("indices->frac_prevs<k>", "xab", "aaa", None, [1, 0.5, THIRD]),
    ],
)
def test_frac_prevs_by_hand(what: str, base: str, source: str, positions: list[int] | None, expected: list[Any]):
    assert exchanged(causal_model("frac_prevs"), what, base, source, positions) == expected


@pytest.mark.parametrize("length", ["length_share", "length", "length->mirrored", "tokens->length_share<k>"])
def test_reverse_with_another_length(length: str):
    model = causal_model("reverse")
    # A source of 6: positions 0 to 3 read from 5 4 3 2, of which 5 and 4 are padding.
    assert exchanged(model, length, "abcd", "zyxwvu") == [None, None, "d", "c"]
    # A source of 3: they read from 2 1 0 -1.
    assert exchanged(model, length, "abcd", "zyx") == ["c", "b", "a", None]
    assert exchanged(model, length, "abcd", "zyxw") == ["d", "c", "b", "a"]


@pytest.mark.parametrize(
    ("what", "base", "source", "positions", "expected"),
    [
        ("mirrored", "abcd", "zyx", None, ["c", "b", "a", None]),
        ("mirrored->reverse<q>", "abcd", "zyxwvu", None, [None, None, "d", "c"]),
        ("tokens->reverse<v>", "abcd", "zyxwvu", None, ["w", "x", "y", "z"]),
        ("tokens->reverse<v>", "abcd", "zyx", None, [None, "x", "y", "z"]),
        ("reverse", "abcd", "zyx", None, ["x", "y", "z", None]),
        # indices 2 0 3 1 are read: mirrored 1 3 0 2
        ("indices->mirrored", "abcd", "zyxw", [3, 1, 4, 2], ["b", "d", "a", "c"]),
        # the slots that hold indices 3 2 1 0
        ("indices->reverse<k>", "abcd", "zyxw", [3, 1, 4, 2], ["c", "a", "d", "b"]),
        ("indices->mirrored", "abcd", "zyxw", None, ["d", "c", "b", "a"]),
    ],
)
def test_reverse_by_hand(what: str, base: str, source: str, positions: list[int] | None, expected: list[Any]):
    assert exchanged(causal_model("reverse"), what, base, source, positions) == expected


@pytest.mark.parametrize(
    ("what", "base", "source", "expected"),
    [
        ("histogram_share", "aab", "bbb", [3, 3, 3]),
        ("histogram_share", "aabc", "bbb", [3, 3, 3, None]),
        ("histogram", "aab", "abc", [1, 1, 1]),
        # the keys a b b b of a longer source, asked for a a b
        ("tokens->histogram_share<k>", "aab", "abbb", [1, 1, 3]),
        ("tokens->histogram_share<k>", "aabb", "abc", [1, 1, 1, 1]),
        ("tokens->histogram_share<q>", "aab", "abb", [2, 1, 1]),
        ("tokens->histogram_share<q>", "aab", "ccc", [0, 0, 0]),
        ("tokens->histogram_share<q>", "aabc", "abb", [2, 1, 1, None]),
        # which slot is BOS is the same in every input
        ("tokens->histogram_share<v>", "aab", "cccc", [2, 2, 1]),
    ],
)
def test_histogram_by_hand(what: str, base: str, source: str, expected: list[Any]):
    assert exchanged(causal_model("histogram"), what, base, source) == expected


@pytest.mark.parametrize(
    ("what", "base", "source", "expected"),
    [
        # Base 3 1 2 has keys 27 10 20 and ranks 2 0 1; source 5 5 0 has keys 45 46 2 and ranks 1 2 0.
        ("rank", [3, 1, 2], [5, 5, 0], [2, 3, 1]),
        ("rank_share", [3, 1, 2], [5, 5, 0], [2, 3, 1]),
        ("sort_key", [3, 1, 2], [5, 5, 0], [2, 3, 1]),
        ("rank", [3, 1, 2], [5, 5, 0, 9], [2, 3, 1]),
        # ranks 1 2 3 0: rank 0 stands on the base's padding
        ("rank", [3, 1, 2], [5, 6, 7, 0], [None, 3, 1]),
        ("rank", [3, 1, 2, 0], [5, 6, 0], [None, None, None, None]),
        ("tokens->sort_by_key<v>", [3, 1, 2], [5, 5, 0], [5, 0, 5]),
        ("sort_by_key", [3, 1, 2], [5, 5, 0], [0, 5, 5]),
        # 45 46 2 ask for smaller ones of 27 10 20: ranks 3 3 0
        ("sort_key->rank_share<q>", [3, 1, 2], [5, 5, 0], [2, None, None]),
        # 27 10 20 ask for smaller ones of 45 46 2: ranks 1 1 1, a tie of different tokens
        ("sort_key->rank_share<k>", [3, 1, 2], [5, 5, 0], [None, None, None]),
        # 36 37 38 likewise, but the tokens that tie are the same
        ("sort_key->rank_share<k>", [4, 4, 4], [5, 5, 0], [None, 4, None]),
        # Keys 45 28 2 12 of which a shorter source leaves the first three: ranks 2 1 0 1.
        ("tokens->rank_share<k>", [5, 3, 0, 1], [9, 9, 9], [0, None, 5, None]),
    ],
)
def test_sort_by_key_by_hand(what: str, base: list[int], source: list[int], expected: list[Any]):
    assert exchanged(causal_model("sort_by_key"), what, base, source) == expected


def test_a_table_entry_that_raises():
    """6 // (next - token) is 6 // 1 on every input, and 6 // 0 where an interchange makes them equal."""

    def make() -> rasp.SOp:
        following = rasp.Map(lambda token: token + 1, rasp.tokens).named("following")
        return rasp.SequenceMap(lambda x, y: 6 // (x - y), following, rasp.tokens).named("share")

    model = build_causal_model(own(make, vocab=range(3)))
    assert answer(model, run(model, [0, 1, 2]), 3) == [6, 6, 6]
    assert exchanged(model, "following", [0, 1, 2], [0, 0, 1]) == [6, None, None]
    assert exchanged(model, "following", [0, 1, 2], [1, 2, 2]) == [3, 3, 6]


def test_a_number_of_an_undefined_value():
    """A mean over what is undefined, or a function of it, is undefined; a weighted sum too."""

    def make() -> rasp.SOp:
        flag = rasp.numerical(rasp.Map(lambda token: int(token == "a"), rasp.tokens)).named("flag")
        at_first = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == 0)
        first = rasp.numerical(rasp.Aggregate(at_first, flag, default=0)).named("first")
        last = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
        equal = rasp.numerical(rasp.Aggregate(last, flag, default=0)).named("equal")
        total = rasp.numerical(rasp.LinearSequenceMap(first, equal, 2, -1)).named("total")
        return rasp.Map(lambda value: round(value, 3) >= 1, total).named("large")

    model = build_causal_model(own(make))
    assert answer(model, run(model, "aab"), 3) == [True, True, True]
    assert answer(model, run(model, "baa"), 3) == [False, False, False]
    values = run(model, "baab").values["flag"].clone()
    values[0, 2] = torch.nan
    found = model.run(Inputs(encode(model, "baab")), Interventions({"flag": Intervention(values)}))
    # Both a's look at the undefined slot, both b's do not.
    assert answer(model, found, 4) == [False, None, None, False]
    values[0, 1] = torch.nan
    found = model.run(Inputs(encode(model, "baab")), Interventions({"flag": Intervention(values)}))
    assert answer(model, found, 4) == [None] * 4
