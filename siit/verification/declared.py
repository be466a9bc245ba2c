"""The declared inputs: the task that a bundle says it is, made of its causal model and input space alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from siit.bundle import Bundle
from siit.causal import CausalModel
from siit.tasks import Task, task_from_json
from siit.tasks.fingerprint import INPUTS


def declared_task(bundle: Bundle, model: CausalModel, known: Mapping[str, Any] | None) -> Task:
    """Makes the task whose inputs a bundle declares.

    Args:
        bundle: the claims.
        model: its causal model.
        known: the input space of the catalogue's case, where the bundle is of that case. It counts where a bundle of
            an earlier version declares none.

    Raises:
        ValueError: no declaration where none is known, or one that cannot be; names the field.
    """
    data = bundle.causal_model.get(INPUTS, known)
    if data is None:
        raise ValueError(f"causal_model.json: {INPUTS}: found nothing, accepted is the declared input space")
    size = len(model.vocab)
    bos, pad, *_ = (*map(str, bundle.vocab.tokens[size:]), "PAD")
    task = task_from_json(bundle.case, model, data, (bos, pad))
    if (bos, pad) != task.special_tokens:
        raise ValueError(f"vocab.json: tokens: found {bos!r} and {pad!r}, accepted are {task.special_tokens}")
    if bundle.vocab.pad_id is None and task.min_len != model.max_len:
        raise ValueError(f"vocab.json: pad_id: found null, accepted where lengths vary is {size + 1}")
    found = bundle.config.attention_dir
    if task.causal != (found == "causal"):
        raise ValueError(f"config.json: attention_dir: found {found!r}, accepted is the other: the inputs say so")
    return task
