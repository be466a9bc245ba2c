"""One evaluation of the objective against patched runs that are put together by hand, example by example."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from siit.causal import CausalModel, Inputs, Intervention, Interventions, Run
from siit.certificate import ReferenceModel
from siit.graph.architecture import POS_EMBED
from siit.interchange import Pairs
from siit.interchange.alignment import derive_labels
from siit.training.objective import (
    N_ABLATIONS,
    AblationDraw,
    InterchangeDraw,
    Objective,
    OffCircuitDraw,
    Priorities,
    Term,
)
from siit.training.objective.draws import MEAN, RESAMPLE, SHIFTED, ZERO
from siit.training.objective.interventions import Drawn
from siit.training.objective.losses import next_token_loss
from siit.transformer import BatchPatch, Outputs, Transformer
from tests.builders import objectives

BATCH = 24


def reference_of(model: Transformer) -> ReferenceModel:
    return ReferenceModel(model.config, dict(model.state_dict()))


def expected_logits(objective: Objective, model: Transformer, pairs: Pairs, drawn: Drawn) -> Tensor:
    """Each example alone through the reference executor, with the replacements that its draw stands for."""
    reference, circuit, names = reference_of(model), objective.interchanges.labels.circuit, objective.interchanges.names
    every = reference.run(pairs.source, drawn.source_positions)
    place = model.pos_embed.W_pos.detach()
    mean = {name: output.mean(0) for name, output in every.outputs.items()}
    mean[POS_EMBED] = place[: pairs.source.shape[1]]
    logits = []
    for row in range(len(pairs)):
        source = {name: output[row] for name, output in every.outputs.items()}
        resampled = {**source, POS_EMBED: place[drawn.off_positions[row]]}
        zero = {name: torch.zeros_like(output) for name, output in source.items()}
        shifted = {name: output[drawn.shifted[row]] for name, output in source.items()}
        kinds = {RESAMPLE: resampled, MEAN: mean, ZERO: zero, SHIFTED: shifted}
        ablation = kinds[int(drawn.replacement.ablation[row])]
        nodes = {
            name: ablation[name]
            for name, on in zip(circuit.off_nodes, drawn.replacement.nodes[:, row], strict=True)
            if on
        }
        edges = {
            edge: ablation[edge.sender]
            for edge, on in zip(circuit.off_edges, drawn.replacement.edges[:, row], strict=True)
            if on
        }
        choice = int(drawn.choice[row])
        if choice:
            name = names[choice - 1]
            nodes |= {node: source[node] for node in circuit.alignment.get(name, ())}
            edges |= {edge: source[edge.sender] for edge in circuit.edges_by_carried.get(name, ())}
        constant = [name for name, same in zip(names, objective.interchanges.constant, strict=True) if same]
        for name, on in zip(constant, drawn.constant[:, row], strict=True):
            edges |= {edge: source[edge.sender] for edge in circuit.edges_by_carried[name] if on}
        clean = reference.run(pairs.base[row : row + 1])
        logits.append(reference.patched(clean, nodes, edges).logits)
    return torch.cat(logits)


def expected_answer(objective: Objective, pairs: Pairs, drawn: Drawn, row: int) -> Run:
    """The causal model on one base, with one interchange."""
    interchanges, one = objective.interchanges, slice(row, row + 1)
    source = interchanges.model.run(Inputs(pairs.source[one], drawn.source_positions[one]))
    choice = int(drawn.choice[row])
    name = interchanges.names[choice - 1] if choice else ""
    units, edges = interchanges.labels.units.get(name, ()), interchanges.labels.edges.get(name, ())
    interventions = Interventions(
        {variable: Intervention(source.values[variable]) for variable in units},
        {edge: Intervention(source.values[edge.parent]) for edge in edges},
    )
    return interchanges.model.run(Inputs(pairs.base[one]), interventions)


def smooth_error(error: Tensor, tolerance: float) -> Tensor:
    size = error.abs()
    return torch.where(size < tolerance, size.square() / (2 * tolerance), size - tolerance / 2)


@pytest.mark.parametrize("circuit_only", [False, True])
@pytest.mark.parametrize("terms", ["siit", "siit_node"])
@pytest.mark.parametrize("case", ["frac_prevs", "histogram", "reverse"])
def test_examples_are_their_own_patched_runs(case: str, terms: str, circuit_only: bool):
    objective, model, task = objectives.objective_of(case, objectives.configured_terms(terms))
    pairs = objectives.pairs_of(task, BATCH, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), circuit_only)
    assert drawn.all_off == circuit_only
    step = objective.evaluate(model, pairs, drawn)
    torch.testing.assert_close(step.logits, expected_logits(objective, model, pairs, drawn))
    assert step.drawn is drawn
    losses, start = {}, 0
    for name, count in zip(objective.terms, objective.counts(BATCH), strict=True):
        each = []
        for row in range(start, start + count):
            run = expected_answer(objective, pairs, drawn, row)
            assert torch.equal(run.scored[0], step.scored[row])
            target, logits = run.output[run.scored], step.logits[row][run.scored[0]]
            if target.is_floating_point():
                assert objective.tolerance is not None
                each.append(smooth_error(logits[:, 0] - target, objective.tolerance))
            else:
                each.append(F.cross_entropy(logits, target, reduction="none"))
        losses[name], start = torch.cat(each).mean(), start + count
    torch.testing.assert_close(dict(step.losses), losses, check_dtype=False)
    total = sum(term.weight * losses[name] for name, term in objective.terms.items())
    torch.testing.assert_close(step.loss, total, check_dtype=False)


def test_the_papers_three_losses():
    """Behaviour, interchange and strictness for one node at a time, computed apart, with the paper's weights."""
    objective, model, task = objectives.objective_of("histogram", objectives.configured_terms("siit_node"))
    pairs = objectives.pairs_of(task, 60, seed=1)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(1), False)
    step = objective.evaluate(model, pairs, drawn)
    counts = objective.counts(60)
    assert counts == [20, 20, 20] and list(step.losses) == ["behaviour", "iit", "strict"]
    behaviour, iit, strict = torch.arange(60).split(counts)
    assert not drawn.choice[behaviour].any() and not drawn.choice[strict].any()
    chosen = drawn.choice[iit]
    assert int(chosen.min()) >= 1 and int(chosen.max()) <= objective.interchanges.n_units
    assert (
        not drawn.replacement.nodes[:, behaviour].any()
        and not drawn.replacement.nodes[:, iit].any()
        and not drawn.replacement.edges.any()
    )
    assert torch.equal(drawn.replacement.nodes[:, strict].sum(0), torch.ones(20, dtype=torch.int64))
    assert bool((drawn.replacement.ablation == RESAMPLE).all())

    reference, circuit = reference_of(model), objective.interchanges.labels.circuit
    causal = objective.interchanges.model

    def loss(logits: list[Tensor], answers: list[Run]) -> Tensor:
        scored = torch.cat([run.scored for run in answers])
        return F.cross_entropy(torch.cat(logits)[scored], torch.cat([run.output for run in answers])[scored])

    logits: dict[str, list[Tensor]] = {"behaviour": [], "iit": [], "strict": []}
    answers: dict[str, list[Run]] = {"behaviour": [], "iit": [], "strict": []}
    for row in range(60):
        base, source = pairs.base[row : row + 1], pairs.source[row : row + 1]
        clean, other = reference.run(base), reference.run(source)
        if row in behaviour:
            logits["behaviour"].append(clean.logits)
            answers["behaviour"].append(causal.run(Inputs(base)))
        elif row in iit:
            unit = list(circuit.alignment)[int(drawn.choice[row]) - 1]
            replaced = {node: other.outputs[node] for node in circuit.alignment[unit]}
            logits["iit"].append(reference.patched(clean, replaced).logits)
            values = causal.run(Inputs(source)).values
            do = Interventions({variable: Intervention(values[variable]) for variable in unit.split("+")})
            answers["iit"].append(causal.run(Inputs(base), do))
        else:
            (node,) = (name for name, on in zip(circuit.off_nodes, drawn.replacement.nodes[:, row], strict=True) if on)
            logits["strict"].append(reference.patched(clean, {node: other.outputs[node]}).logits)
            answers["strict"].append(causal.run(Inputs(base)))
    separate = {name: loss(logits[name], answers[name]) for name in logits}
    torch.testing.assert_close(dict(step.losses), separate, check_dtype=False)
    total = separate["behaviour"] + separate["iit"] + 0.4 * separate["strict"]
    torch.testing.assert_close(step.loss, total, check_dtype=False)


def run_of(objective: Objective, model: Transformer, pairs: Pairs, drawn: Drawn) -> Outputs:
    source = objective.source_run(model, pairs, drawn)
    assert source is not None
    return source


def test_behaviour_alone_is_the_plain_model():
    objective, model, task = objectives.objective_of("frac_prevs", objectives.configured_terms("behaviour"))
    pairs = objectives.pairs_of(task, BATCH, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), False)
    assert objective.source_run(model, pairs, drawn) is None
    step = objective.evaluate(model, pairs, drawn)
    assert torch.equal(step.logits, model(pairs.base))
    assert torch.equal(step.scored, task.model.run(Inputs(pairs.base)).scored)


def test_everything_on_the_circuit():
    """A transformer without off-circuit nodes."""
    task = objectives.task_of("histogram")
    some = objectives.interchanges_of(task)
    config = dataclasses.replace(some.labels.circuit.config, n_heads=1)
    alignment = {"histogram_share": ("a0.h0",), "histogram": ("m0",)}
    whole = dataclasses.replace(some, labels=derive_labels(task.model, config, alignment))
    assert whole.labels.circuit.off_nodes == []
    model = Transformer(config, seed=0).double()
    for terms in ("siit", "siit_node"):
        objective = Objective(whole, objectives.configured_terms(terms), source_gradient=True)
        pairs = objectives.pairs_of(task, BATCH, seed=0)
        for circuit_only in (False, True):
            drawn = objective.draw(pairs, torch.Generator().manual_seed(0), circuit_only)
            step = objective.evaluate(model, pairs, drawn)
            torch.testing.assert_close(step.logits, expected_logits(objective, model, pairs, drawn))


def test_position_interchanges_permute_positions():
    objective, _, task = objectives.objective_of("frac_prevs", objectives.configured_terms("siit"))
    pairs = objectives.pairs_of(task, 300, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), False)
    own = torch.arange(task.n_ctx)
    positional = torch.tensor([False, *objective.interchanges.position_only])[drawn.choice]
    assert 0 < int(positional.sum()) < 300
    assert bool((drawn.source_positions[~positional] == own).all())
    assert not bool((drawn.source_positions[positional] == own).all(1).all())
    for positions in (drawn.source_positions, drawn.off_positions):
        assert bool((positions.sort(1).values == own).all())
        fixed = pairs.source >= len(task.model.vocab)
        assert bool((positions == own)[fixed].all())


@pytest.mark.parametrize("source_gradient", [False, True])
def test_gradient_through_the_source(source_gradient: bool):
    objective, model, task = objectives.objective_of("frac_prevs", objectives.configured_terms("siit"), source_gradient)
    pairs = objectives.pairs_of(task, BATCH, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), False)
    patch = objective.patch(model, run_of(objective, model, pairs, drawn), drawn)
    assert isinstance(patch, BatchPatch)
    assert all(value.requires_grad == source_gradient for value in (*patch.interchange, *patch.ablation))
    objective.evaluate(model, pairs, drawn).loss.backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters() if parameter.grad is not None)
    with torch.no_grad():
        assert not objective.evaluate(model, pairs, drawn).loss.requires_grad


def test_means_are_those_of_pairs_drawn_anew():
    terms = {"siit": Term(off_circuit=OffCircuitDraw(0.0, 1.0), ablation=AblationDraw(0.0, 1.0, 0.0))}
    objective, model, task = objectives.objective_of("frac_prevs", terms)
    pairs = objectives.pairs_of(task, BATCH, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), False)
    source = run_of(objective, model, pairs, drawn)
    fresh = torch.arange(BATCH) % 3 > 0
    patch = objective.patch(model, source, drawn, fresh)
    for name, output, replaced in zip(objective.points.senders, source.senders, patch.ablation, strict=True):
        if name != "pos_embed":
            torch.testing.assert_close(replaced, output[fresh].mean(0).expand_as(output))


def test_shifted_is_another_position_of_the_same_source():
    terms = {"siit": Term(off_circuit=OffCircuitDraw(0.0, 1.0), ablation=AblationDraw(0.0, 0.0, 0.0, 1.0))}
    objective, model, task = objectives.objective_of("frac_prevs", terms)
    pairs = objectives.pairs_of(task, BATCH, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), False)
    assert bool((drawn.shifted != torch.arange(task.n_ctx)).all())
    source = run_of(objective, model, pairs, drawn)
    patch = objective.patch(model, source, drawn)
    for output, replaced in zip(source.senders, patch.ablation, strict=True):
        for example, places in enumerate(drawn.shifted):
            assert torch.equal(replaced[example], output[example, places])


def test_priorities_reach_the_terms():
    objective, _, task = objectives.objective_of("frac_prevs", objectives.configured_terms("siit"))
    pairs = objectives.pairs_of(task, BATCH, seed=0)
    count = len(objective.interchanges.names)
    errors = torch.zeros(count).index_fill(0, torch.tensor([2]), 0.1)
    circuit = objective.interchanges.labels.circuit
    priorities = Priorities(1.0, errors, torch.ones(len(circuit.off_nodes) + len(circuit.off_edges) + 1, N_ABLATIONS))
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), False, priorities)
    assert set(drawn.choice.tolist()) == {0, 3}


def test_constant_edges_are_interchanged_beside_all_else():
    """In reverse, the attention left on BOS is read off values that say which slot is BOS."""
    terms = {"siit": Term(interchange=InterchangeDraw(0.5, 0.5), constant=0.25)}
    objective, model, task = objectives.objective_of("reverse", terms)
    assert [
        name for name, same in zip(objective.interchanges.names, objective.interchanges.constant, strict=True) if same
    ] == ["tokens->length_share<v>"]
    pairs = objectives.pairs_of(task, 400, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), False)
    assert drawn.constant.shape == (1, 400)
    assert drawn.constant.float().mean().item() == pytest.approx(0.25, abs=0.08)
    few = Pairs(pairs.base[:BATCH], pairs.source[:BATCH])
    drawn = objective.draw(few, torch.Generator().manual_seed(1), False)
    assert 0 < int(drawn.constant.sum()) < BATCH
    step = objective.evaluate(model, few, drawn)
    torch.testing.assert_close(step.logits, expected_logits(objective, model, few, drawn))
    without = objective.evaluate(model, few, dataclasses.replace(drawn, constant=torch.zeros_like(drawn.constant)))
    assert torch.equal(step.target, without.target)
    assert not torch.equal(step.logits, without.logits)


@pytest.mark.parametrize("source_gradient", [False, True])
@pytest.mark.parametrize("terms", ["siit", "behaviour"])
def test_next_tokens_are_learned_on_the_plain_sources(terms: str, source_gradient: bool):
    """Whatever else is drawn, and whether or not gradients flow from the interchanges into the source run."""
    plain, model, task = objectives.objective_of(
        "first_token_everywhere", objectives.configured_terms(terms), source_gradient
    )
    assert task.model.classes == task.model.vocab
    objective = Objective(plain.interchanges, plain.terms, source_gradient, next_token=0.5)
    pairs = objectives.pairs_of(task, BATCH, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), False)
    drawn = dataclasses.replace(drawn, source_positions=torch.arange(task.n_ctx).expand_as(pairs.source))
    without, step = plain.evaluate(model, pairs, drawn), objective.evaluate(model, pairs, drawn)
    expected = next_token_loss(model(pairs.source), pairs.source, len(task.model.vocab))
    torch.testing.assert_close(step.losses["next_token"], expected)
    torch.testing.assert_close(step.loss, without.loss + 0.5 * expected, check_dtype=False)
    torch.testing.assert_close(step.logits, without.logits)

    def gradient(loss: Tensor) -> Tensor:
        (found,) = torch.autograd.grad(loss, [model.unembed.W_U], retain_graph=True)
        return found

    torch.testing.assert_close(gradient(step.losses["next_token"]), gradient(expected))
    if terms == "siit":
        patch = objective.patch(model, run_of(objective, model, pairs, drawn), drawn)
        assert all(value.requires_grad == source_gradient for value in (*patch.interchange, *patch.ablation))


def test_what_is_not_interchangeable_only_replaces_what_is_off_the_circuit():
    objective, model, task = objectives.objective_of("histogram", objectives.configured_terms("siit"))
    pairs = objectives.pairs_of(task, 200, seed=0)
    interchangeable = torch.arange(200) % 2 == 0
    some = dataclasses.replace(pairs, interchangeable=interchangeable)
    drawn, every = (objective.draw(these, torch.Generator().manual_seed(0), False) for these in (some, pairs))
    assert (
        torch.equal(drawn.choice[interchangeable], every.choice[interchangeable])
        and every.choice[~interchangeable].any()
    )
    assert not drawn.choice[~interchangeable].any()
    assert torch.equal(drawn.replacement.nodes, every.replacement.nodes)
    few = Pairs(some.base[:BATCH], some.source[:BATCH], interchangeable[:BATCH])
    drawn = objective.draw(few, torch.Generator().manual_seed(1), False)
    step = objective.evaluate(model, few, drawn)
    torch.testing.assert_close(step.logits, expected_logits(objective, model, few, drawn))
    plain = task.model.run(Inputs(few.base))
    assert torch.equal(step.scored[~interchangeable[:BATCH]], plain.scored[~interchangeable[:BATCH]])


def test_where_only_the_last_token_counts_nothing_else_is_unembedded():
    every, model, _ = objectives.objective_of("frac_prevs", objectives.configured_terms("siit"))
    causal = every.interchanges.model
    last = CausalModel(causal.vocab, causal.max_len, list(causal.variables.values()), "last")
    interchanges = dataclasses.replace(every.interchanges, model=last)
    objective = Objective(interchanges, every.terms, every.source_gradient, tolerance=every.tolerance)
    bos, x, a, pad = 4, 3, 0, 5
    base = torch.tensor([[bos, x, a, x, a], [bos, a, x, pad, pad], [bos, x, pad, pad, pad]])
    pairs = Pairs(base, base.roll(1, 0))
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), False)
    step, whole = objective.evaluate(model, pairs, drawn), every.evaluate(model, pairs, drawn)
    rows, places = torch.arange(3), torch.tensor([4, 2, 1])
    torch.testing.assert_close(step.logits, whole.logits[rows, places].unsqueeze(1))
    torch.testing.assert_close(step.target, whole.target[rows, places].unsqueeze(1), equal_nan=True)
    assert torch.equal(step.scored, whole.scored[rows, places].unsqueeze(1)) and bool(step.scored.any())
    assert every.tolerance is not None
    error = whole.logits[rows, places, 0] - whole.target[rows, places]
    expected = smooth_error(error, every.tolerance).nanmean()
    torch.testing.assert_close(step.loss, expected, check_dtype=False)


def test_circuit_only_overrides_the_terms():
    objective, model, task = objectives.objective_of("frac_prevs", objectives.configured_terms("behaviour"))
    pairs = objectives.pairs_of(task, BATCH, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), True)
    assert drawn.all_off and bool(drawn.replacement.nodes.all()) and bool(drawn.replacement.edges.all())
    patch = objective.patch(model, run_of(objective, model, pairs, drawn), drawn)
    assert patch.off_nodes_always


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any), st.integers(0, 300))
@settings(deadline=None)
def test_shares_split_the_batch(weights: list[int], batch: int):
    shares = [weight / sum(weights) for weight in weights]
    terms = {f"term {index}": Term(share=share) for index, share in enumerate(shares)}
    counts = Objective(objectives.handmade_interchanges(), terms, source_gradient=True).counts(batch)
    assert sum(counts) == batch
    assert all(abs(count - share * batch) <= 1 for count, share in zip(counts, shares, strict=True))


def test_terms_take_their_shares_in_turn():
    terms = {
        "plain": Term(share=0.25),
        "unit": Term(share=0.5, interchange=InterchangeDraw(0.0, 1.0)),
        "off": Term(share=0.25, off_circuit=OffCircuitDraw(0.0, 1.0)),
    }
    objective = Objective(objectives.handmade_interchanges(), terms, source_gradient=True)
    assert objective.counts(8) == [2, 4, 2]
    drawn = objective.draw(objectives.handmade_pairs(8, seed=0), torch.Generator().manual_seed(0), False)
    assert (drawn.choice > 0).tolist() == [False] * 2 + [True] * 4 + [False] * 2
    assert (
        drawn.replacement.nodes.all(0).tolist() == drawn.replacement.edges.any(0).tolist() == [False] * 6 + [True] * 2
    )


@pytest.mark.parametrize("shares", [(), (0.5, 0.4), (1.5, -0.5), (math.nan, 1.0)])
def test_shares_are_checked(shares: tuple[float, ...]):
    terms = {f"term {index}": Term(share=share) for index, share in enumerate(shares)}
    with pytest.raises(
        ValueError, match=r"objective\.terms: found shares .*, accepted are shares from 0 to 1 that sum"
    ):
        Objective(objectives.handmade_interchanges(), terms, source_gradient=True)
