"""The objective on the transformer that is written by hand: every answer follows from what its parts do."""

from __future__ import annotations

import math

import pytest
import torch

from siit.certificate import Answers
from siit.training.objective import Objective, Term
from siit.training.objective.draws import AblationDraw, InterchangeDraw, OffCircuitDraw
from siit.transformer import Transformer
from tests.builders import handmade, objectives

NAMES = ("is_x", "prev", "tokens->is_x", "indices->prev<q>", "indices->prev<k>", "is_x->prev<v>", "prev->output")


def handmade_model() -> Transformer:
    model = Transformer(handmade.CONFIG)
    model.load_state_dict(handmade.parameters())
    return model


def answer(base: list[int], source: list[int], name: str | None, positions: list[int]) -> list[bool | None]:
    """Whether the token before each slot is an x, None where nothing is before it."""
    # Whatever carries is_x, the answer is that of the source, only its positions can be interchanged apart from it.
    value = source if name not in (None, "indices->prev<q>", "indices->prev<k>") else base
    query = positions if name == "indices->prev<q>" else range(5)
    key = positions if name == "indices->prev<k>" else range(5)
    found: list[bool | None] = []
    for slot in range(5):
        before = [other for other in range(1, slot + 1) if key[other] == query[slot] - 1]
        found.append(value[before[0]] == handmade.X if before else None)
    return found


def test_labels_are_those_of_the_hand_written_circuit():
    interchanges = objectives.handmade_interchanges()
    assert dict(interchanges.labels.circuit.carries) == handmade.CARRIES
    assert interchanges.names == NAMES


@pytest.mark.parametrize("name", ["siit", "siit_node", "iit", "behaviour"])
@pytest.mark.parametrize("circuit_only", [False, True])
def test_every_intervention_leads_to_the_answer_by_hand(name: str, circuit_only: bool):
    objective = Objective(objectives.handmade_interchanges(), objectives.configured_terms(name), source_gradient=True)
    pairs = objectives.handmade_pairs(400, seed=0)
    drawn = objective.draw(pairs, torch.Generator().manual_seed(0), circuit_only)
    step = objective.evaluate(handmade_model(), pairs, drawn)
    for row in range(len(pairs)):
        choice = int(drawn.choice[row])
        interchanged = NAMES[choice - 1] if choice else None
        base, source = pairs.base[row].tolist(), pairs.source[row].tolist()
        expected = answer(base, source, interchanged, drawn.source_positions[row].tolist())
        scored, output = step.scored[row].tolist(), step.target[row].tolist()
        assert [bool(value) if at else None for value, at in zip(output, scored, strict=True)] == expected
    # The circuit is the whole truth of this transformer, so no replacement leads it astray.
    assert bool(Answers("categorical", None).right(step.logits, step.target)[step.scored].all())
    # Its logits are 0.5 against 1 or 0, whatever is replaced.
    assert step.loss.item() == pytest.approx(
        sum(term.weight for term in objective.terms.values()) * math.log(1 + math.exp(-0.5)), abs=1e-4
    )


def test_wrong_circuits_are_led_astray():
    """The head that copies is another than the label says: replaced, it takes the answer with it."""
    weights = {name: torch.zeros_like(tensor) for name, tensor in handmade.parameters().items()}
    weights |= {name: tensor for name, tensor in handmade.parameters().items() if "blocks.1.attn" not in name}
    handmade.copy_previous(weights, head=2, dimension=handmade.IS_X)
    model = Transformer(handmade.CONFIG)
    model.load_state_dict(weights)
    pairs = objectives.handmade_pairs(400, seed=0)

    def wrong(**draws: OffCircuitDraw | InterchangeDraw | AblationDraw) -> float:
        objective = Objective(objectives.handmade_interchanges(), {"one": Term(**draws)}, source_gradient=True)  # type: ignore[arg-type]
        step = objective.evaluate(model, pairs, objective.draw(pairs, torch.Generator().manual_seed(0), False))
        return float((~Answers("categorical", None).right(step.logits, step.target))[step.scored].float().mean())

    assert wrong() == 0
    # Half of the answers of an unrelated input are other than the base's.
    assert wrong(off_circuit=OffCircuitDraw(0.0, 1.0)) == pytest.approx(0.5, abs=0.07)
    # It is one of the six off-circuit nodes.
    assert wrong(off_circuit=OffCircuitDraw(0.0, one_node=1.0)) == pytest.approx(0.5 / 6, abs=0.03)
    # In zeros there is no x: half of the answers.
    zero = wrong(off_circuit=OffCircuitDraw(0.0, all_nodes=1.0), ablation=AblationDraw(0.0, 0.0, 1.0))
    assert zero == pytest.approx(0.5, abs=0.07)
    # Of both units only is_x still reaches the answer.
    assert wrong(interchange=InterchangeDraw(0.0, unit=1.0)) == pytest.approx(0.25, abs=0.06)
