"""The declared input space of a task, as data: what a bundle says that its model's inputs are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from siit.causal import CausalModel
from siit.tasks.sentence_task import MENTIONS, SentenceTask
from siit.tasks.sentences import OBJECT, ORDERS, SUBJECT, Sentences
from siit.tasks.task import Task

TOKENS, SENTENCES = "tokens", "sentences"
_FLAGS = ("balanced", "rearranged")
_SENTENCE_FLAGS = ("both_orders", "next_token")
_IDS = ("names", "places", "objects")


def declare(task: Task) -> dict[str, Any]:
    """Makes plain data of a task's input space; `task_from_json` reads it."""
    if isinstance(task, SentenceTask):
        texts = task.sentences
        return {
            "type": SENTENCES,
            "skeletons": texts.skeletons.tolist(),
            "n_trained": texts.n_trained,
            **{name: getattr(texts, name).tolist() for name in _IDS},
            **{name: getattr(task, name) for name in _SENTENCE_FLAGS},
        }
    fields = ("min_len", "causal", "sampler", *_FLAGS)
    return {"type": TOKENS, **{name: getattr(task, name) for name in fields}}


def task_from_json(name: str, model: CausalModel, data: object, special: tuple[str, str]) -> Task:
    """Reads the task that `declare` described.

    Args:
        name: of the case.
        model: its causal model.
        data: as `declare` gives it; from outside, so that everything is checked.
        special: what BOS and PAD are called.

    Raises:
        ValueError: names the field, what was found and what is accepted.
    """
    if not isinstance(data, Mapping):
        raise _wrong("", data, "an object")
    kind = data.get("type")
    if kind == TOKENS:
        _expect_keys(data, ("type", "min_len", "causal", "sampler", *_FLAGS))
        _check(data, "min_len", int, "a whole number")
        _check(data, "sampler", str, "a name")
        for flag in ("causal", *_FLAGS):
            _check(data, flag, bool, "true or false")
        return Task(name, model, **{key: value for key, value in data.items() if key != "type"})
    if kind == SENTENCES:
        _expect_keys(data, ("type", "skeletons", "n_trained", *_IDS, *_SENTENCE_FLAGS))
        for flag in _SENTENCE_FLAGS:
            _check(data, flag, bool, "true or false")
        sentences = _sentences(data, model, special)
        flags = {flag: data[flag] for flag in _SENTENCE_FLAGS}
        return SentenceTask(name, model, min_len=1, causal=True, sentences=sentences, **flags)
    raise _wrong("type", kind, f"{TOKENS!r} or {SENTENCES!r}")


def _sentences(data: Mapping[str, Any], model: CausalModel, special: tuple[str, str]) -> Sentences:
    size = len(model.vocab)
    rows = _ids(data["skeletons"], "skeletons", OBJECT, size + 2)
    if rows.ndim != 2 or rows.shape[1] != model.max_len + 1 or not bool((rows[:, 0] == size).all()):
        raise _wrong("skeletons", list(rows.shape), f"rows of {model.max_len + 1} ids, BOS (id {size}) first")
    _check(data, "n_trained", int, "a whole number")
    if not 0 < data["n_trained"] <= len(rows):
        raise _wrong("n_trained", data["n_trained"], f"a number from 1 to {len(rows)}")
    words = []
    for name in _IDS:
        ids = _ids(data[name], name, 0, size)
        if ids.ndim != 1 or not bool((ids.diff() > 0).all()):
            raise _wrong(name, ids.tolist()[:8], "ascending ids of tokens")
        words.append(ids)
    mentions = torch.isin(rows, torch.tensor(ORDERS))
    named = torch.isin(rows, torch.cat([words[0], torch.tensor([SUBJECT])]))
    if bool(named.any()) or bool(mentions[:, -1].any()) or not bool((mentions.sum(1) == MENTIONS).all()):
        raise _wrong("skeletons", "other mentions of names", f"{MENTIONS} slots of names in each, none of them last")
    return Sentences((*map(str, model.vocab), *special), data["n_trained"], rows, *words)


def _ids(data: object, name: str, low: int, high: int) -> Tensor:
    try:
        ids = torch.tensor(data)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise _wrong(name, type(data).__name__, "a list of ids, or of rows of as many") from error
    if ids.dtype != torch.int64 or not ids.numel() or not bool(((ids >= low) & (ids < high)).all()):
        raise _wrong(name, f"{ids.dtype} entries", f"ids from {low} to {high - 1}")
    return ids


def _expect_keys(data: Mapping[str, Any], accepted: tuple[str, ...]) -> None:
    if set(data) != set(accepted):
        odd = sorted(set(map(str, data)) ^ set(accepted))
        raise _wrong(odd[0], "a field too many" if odd[0] in data else "nothing", ", ".join(accepted))


def _check(data: Mapping[str, Any], key: str, kind: type, accepted: str) -> None:
    if type(data[key]) is not kind:
        raise _wrong(key, data[key], accepted)


def _wrong(key: str, found: object, accepted: str) -> ValueError:
    text = repr(found)
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    return ValueError(f"inputs{'.' if key else ''}{key}: found {shown}, accepted is {accepted}")
