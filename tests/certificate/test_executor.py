"""The executor of masked runs: against the reference's replacements, and its gradients against finite differences."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from siit.certificate import ReferenceModel
from siit.certificate.executor import Executor
from siit.graph.architecture import EMBEDDINGS, ModelConfig
from tests.certificate.test_reference import configs, random_model

torch.set_num_threads(1)


def setting(config: ModelConfig, seed: int) -> tuple[ReferenceModel, Executor, Tensor, Tensor]:
    """A model in double precision, its executor, tokens, and tokens of the sources."""
    model, tokens = random_model(config, seed)
    return model, Executor(config, model.parameters), tokens, tokens.flip(0)


def outputs(model: ReferenceModel, executor: Executor, tokens: Tensor) -> Tensor:
    found = model.run(tokens).outputs
    return executor.centred(torch.stack([found[name] for name in executor.senders]))


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_masks_of_zero_and_one_are_replacements(data: st.DataObject):
    model, executor, tokens, sources = setting(data.draw(configs()), data.draw(st.integers(0, 100)))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 100)))
    nodes, edges = (
        torch.rand(len(tokens), len(parts), generator=generator) < 0.3 for parts in (executor.senders, executor.edges)
    )
    own, others = outputs(model, executor, tokens), outputs(model, executor, sources)
    final = executor.masked(own[:2], others, edges.double(), nodes.T.double())
    for row in range(len(tokens)):
        clean, source = model.run(tokens[row : row + 1]), model.run(sources[row : row + 1])
        patched = model.patched(
            clean,
            {name: source.outputs[name] for name, on in zip(executor.senders, nodes[row], strict=True) if on},
            {edge: source.outputs[edge.sender] for edge, on in zip(executor.edges, edges[row], strict=True) if on},
        )
        torch.testing.assert_close(executor.logits(final[row : row + 1]), patched.logits)
    alike = executor.masked(own[:2], others, edges[0].double(), nodes[0].double())
    rows = executor.masked(own[:2], others, edges[:1].double().expand(3, -1), nodes[:1].T.double().expand(-1, 3))
    torch.testing.assert_close(alike, rows)


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_what_stands_before_the_first_replaced_edge_need_not_be_computed(data: st.DataObject):
    model, executor, tokens, sources = setting(data.draw(configs()), data.draw(st.integers(0, 100)))
    own, others = outputs(model, executor, tokens), outputs(model, executor, sources)
    first = data.draw(st.integers(0, len(executor.block_ends) - 1))
    masks = torch.rand(len(tokens), len(executor.edges), dtype=torch.float64)
    masks[:, : [0, *executor.block_ends][first]] = 0
    whole = executor.masked(own[:2], others, masks)
    part = executor.masked(own[: executor.senders_before(first)], others, masks, first=first)
    torch.testing.assert_close(part, whole)


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_senders_that_are_replaced_everywhere_need_not_be_computed(data: st.DataObject):
    model, executor, tokens, sources = setting(data.draw(configs()), data.draw(st.integers(0, 100)))
    own, others = outputs(model, executor, tokens), outputs(model, executor, sources)
    nodes = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(own), max_size=len(own))))
    edges = torch.rand(len(executor.edges), dtype=torch.float64).round()
    whole = executor.masked(own[:2], others, edges, nodes.double())
    torch.testing.assert_close(executor.masked(own[:2], others, edges, nodes.double(), replaced=nodes.tolist()), whole)


@given(st.data())
@settings(max_examples=10, deadline=None)
def test_a_mask_of_an_edge_moves_its_term_linearly(data: st.DataObject):
    model, executor, tokens, sources = setting(data.draw(configs()), data.draw(st.integers(0, 100)))
    clean, source = model.run(tokens), model.run(sources)
    index = data.draw(st.integers(0, len(executor.edges) - 1))
    edge, masks = executor.edges[index], torch.zeros(len(executor.edges), dtype=torch.float64)
    masks[index] = 0.3
    term = 0.7 * clean.outputs[edge.sender] + 0.3 * source.outputs[edge.sender]
    final = executor.masked(outputs(model, executor, tokens)[:2], outputs(model, executor, sources), masks)
    torch.testing.assert_close(executor.logits(final), model.patched(clean, edges={edge: term}).logits)


@given(st.data())
@settings(max_examples=6, deadline=None)
def test_gradients_are_those_of_finite_differences(data: st.DataObject):
    config = data.draw(configs().filter(lambda config: config.act_fn != "relu" and config.n_layers < 3))
    model, executor, tokens, sources = setting(config, data.draw(st.integers(0, 100)))
    own, others = outputs(model, executor, tokens)[:, :1], outputs(model, executor, sources)[:, :1]
    edges = torch.rand(1, len(executor.edges), dtype=torch.float64, requires_grad=True)
    nodes = torch.rand(len(executor.senders), 1, dtype=torch.float64, requires_grad=True)

    def logits(edges: Tensor, nodes: Tensor) -> Tensor:
        return executor.logits(executor.masked(own[:2], others, edges, nodes)).sum((0, 1))

    assert torch.autograd.gradcheck(logits, (edges, nodes), eps=1e-6, atol=1e-4, rtol=1e-3)


def test_the_order_of_senders_and_edges():
    executor = Executor(ModelConfig(2, 2, 4, 2, 4, 3, 3, 2), _zeros())
    assert executor.senders == (*EMBEDDINGS, "a0.h0", "a0.h1", "m0", "a1.h0", "a1.h1", "m1")
    blocks = executor.blocks(torch.arange(len(executor.edges)))
    assert [tuple(block.shape) for block in blocks] == [(6, 2), (1, 4), (6, 5), (1, 7), (1, 8)]
    assert str(executor.edges[int(blocks[2][4, 3])]) == "a0.h1->a1.h1<k>"


def _zeros() -> dict[str, Tensor]:
    config = ModelConfig(2, 2, 4, 2, 4, 3, 3, 2)
    return {name: torch.zeros(shape) for name, shape in config.parameter_shapes().items()}
