"""Makes a bundle of a model and its labels: measures what these are worth, and puts all of it together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jaxtyping import Float, Shaped
from torch import Tensor

from siit.bundle import Bundle, Vocab
from siit.causal import Class
from siit.certificate import Certificate, measure
from siit.graph.circuit import Circuit
from siit.tasks import declare
from siit.tasks.fingerprint import INPUTS
from siit.verification.idle_members import without_idle

if TYPE_CHECKING:
    from siit.tasks import Task


def measured_bundle(
    task: Task,
    circuit: Circuit,
    parameters: Mapping[str, Float[Tensor, "..."]],
    evidence: Mapping[str, Shaped[Tensor, "pairs pos"]],
    *,
    case: str,
    seed: int,
    train_yaml: str,
    classes: tuple[Class, ...] | None,
    extra_files: Mapping[str, bytes] | None = None,
    subsets: int = 100,
    staged: bool = False,
) -> tuple[Bundle, Certificate]:
    """Certifies a model on its evidence, and makes a bundle of all of it.

    A model is not certified either where a member of its circuit is idle, which `siit certify` would refuse.

    Args:
        task: what the model computes: its causal model, tokens, and how answers are compared.
        circuit: the labels, with the architecture.
        parameters: the weights, by their HookedTransformer names.
        evidence: held-out pairs, by the names of `evaluation.safetensors`, [pairs, n_ctx] each.
        case: the bundle's name of the task.
        seed: that the model was trained with.
        train_yaml: the configuration that produced the model.
        classes: what the output's ids stand for, the causal model's first; None where outputs are numbers.
        extra_files: further text files, by name.
        subsets: how many random subsets are measured.
        staged: whether measuring ends early where a bar fails, see `siit.certificate.measure`.

    Returns:
        The bundle, and the certificate that it holds.

    Raises:
        ValueError: parts that do not fit each other; names the one that is wrong.
    """
    certificate = measure(circuit.config, parameters, circuit, evidence, task.answers, subsets=subsets, staged=staged)
    certificate = without_idle(certificate, circuit, parameters, evidence, task.answers)
    bundle = Bundle(
        config=circuit.config,
        case=case,
        seed=seed,
        answers=task.answers,
        parameters=parameters,
        vocab=Vocab((*task.model.vocab, *task.special_tokens), task.bos_id, task.pad_id, classes),
        circuit=circuit,
        causal_model={**task.model.to_json(), INPUTS: declare(task)},
        evidence=evidence,
        exhaustive=False,
        certificate=certificate.to_json(),
        train_yaml=train_yaml,
        extra_files=dict(extra_files or {}),
    )
    return bundle, certificate
