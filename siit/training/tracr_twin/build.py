"""Makes a Tracr twin: a case's program is found, compiled, converted and labelled."""

from __future__ import annotations

from siit.catalogue import IOI, catalogue, drawn_place
from siit.training.generator import generate
from siit.training.rasp import build_causal_model, task_from_case
from siit.training.rasp.compiled import compile_program
from siit.training.rasp.from_rasp import variables_by_label
from siit.training.tracr_twin.labels import twin_circuit
from siit.training.tracr_twin.twin import TracrTwin
from siit.training.tracr_twin.weights import twin_weights
from siit.transformer import Transformer
from tracr_cases import Case, get


def make_twin(case: str | Case) -> TracrTwin:
    """Makes the twin of a case.

    Args:
        case: its name, or a program of one's own.

    Raises:
        KeyError: there is no such case; the message suggests the nearest names.
        ValueError: the case has no RASP program, or Tracr cannot compile it.
    """
    program = case if isinstance(case, Case) else _program(case)
    model = build_causal_model(program)
    weights = twin_weights(compile_program(program), model, program.causal)
    transformer = Transformer(weights.config)
    transformer.load_state_dict(weights.parameters)
    return TracrTwin(
        model=transformer.eval(),
        circuit=twin_circuit(weights, model, variables_by_label(program)),
        task=task_from_case(program, model),
        directions=weights.directions,
    )


def _program(name: str) -> Case:
    """Finds a program of the catalogue, or draws one of the generator's."""
    if (place := drawn_place(name)) is not None:
        return generate(*place)
    if name in catalogue() and catalogue()[name].family == IOI:
        raise ValueError(
            f"tracr_twin: found {name!r}, which is no RASP program, so that Tracr has nothing to compile; accepted are "
            "the other cases, which `siit cases` lists"
        )
    return get(name)
