"""One input: its tokens, the right answers, the model's, and where the circuit's heads look."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from siit.bundle import Bundle, Vocab
from siit.causal import CausalModel, Inputs, Scalar
from siit.certificate import ReferenceModel
from siit.graph.architecture import is_head
from siit.show.words import in_words

_LISTED = 40
NOT_FINITE = "not finite"


@dataclass(frozen=True, eq=False)
class Example:
    """One input, as it is shown.

    Attributes:
        name: where the input comes from.
        tokens: each position's token in words, BOS and padding included.
        special: which positions are BOS or padding.
        right: each position's right answer in words, None where it is not scored.
        found: the model's, None where it is not scored.
        wrong: the positions at which the model is wrong.
        patterns: head of the circuit -> [query, key], on the CPU.
        causal: whether heads look back only.
    """

    name: str
    tokens: tuple[str, ...]
    special: tuple[bool, ...]
    right: tuple[str | None, ...]
    found: tuple[str | None, ...]
    wrong: tuple[bool, ...]
    patterns: Mapping[str, Float[Tensor, "query key"]]
    causal: bool


def evidence_example(bundle: Bundle, index: int, device: torch.device | str = "cpu") -> Example:
    """Runs the model on the base of one of the evidence's pairs.

    Args:
        bundle: the model.
        index: of the pair.
        device: where the model runs.

    Raises:
        ValueError: there is no pair of this index.
    """
    bases = bundle.evidence["base_tokens"]
    if not 0 <= index < len(bases):
        raise ValueError(f"example: found {index}, accepted are 0 to {len(bases) - 1}, the pairs of the evidence")
    target, scored = bundle.evidence["base_target"][index], bundle.evidence["base_scored"][index]
    return _example(bundle, f"evidence, base of pair {index}", bases[index], target, scored, device)


def own_example(bundle: Bundle, text: str, device: torch.device | str = "cpu") -> Example:
    """Runs the model on an input of one's own; the right answers are the causal model's.

    Args:
        bundle: the model.
        text: tokens, see `parse_tokens`.
        device: where the model runs.

    Raises:
        ValueError: tokens or a length that the model does not take, or a causal model that cannot be read.
    """
    ids = bundle.vocab.encode(parse_tokens(text, bundle.vocab), bundle.config.n_ctx)
    run = CausalModel.from_json(bundle.causal_model).run(Inputs(ids[None]))
    return _example(bundle, "tokens given", ids, run.output[0], run.scored[0], device)


def parse_tokens(text: str, vocab: Vocab) -> list[Scalar]:
    """Tokens from a text: separated by commas, or by spaces, or a JSON list, which tells 1 from "1".

    Raises:
        ValueError: names the token, and the tokens that there are.
    """
    known = [token for index, token in enumerate(vocab.tokens) if index not in (vocab.bos_id, vocab.pad_id)]
    listed = _json_list(text)
    if listed is not None:
        return [
            _only(piece, [token for token in known if (type(token), token) == (type(piece), piece)], known)
            for piece in listed
        ]
    # A comma may be a token itself, in a sentence.
    words = text.split()
    pieces = words if len(words) > 1 and all(_fitting(word, known) for word in words) else text.split(",")
    return [_only(piece, _fitting(piece, known), known) for piece in pieces]


def _fitting(piece: str, known: Sequence[Scalar]) -> list[Scalar]:
    exact = [token for token in known if str(token) == piece]
    return exact or [token for token in known if str(token).strip() == piece.strip()]


def _only(piece: object, fitting: Sequence[Scalar], known: Sequence[Scalar]) -> Scalar:
    if len(fitting) == 1:
        return fitting[0]
    accepted = ", ".join(map(repr, known[:_LISTED])) + (", ..." if len(known) > _LISTED else "")
    many = f" ({' or '.join(map(repr, fitting))}? a JSON list tells)" if fitting else ""
    raise ValueError(f"tokens: found {piece!r}{many}, accepted are {accepted}")


def _json_list(text: str) -> list[object] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


@torch.no_grad()
def _example(
    bundle: Bundle,
    name: str,
    ids: Int[Tensor, " pos"],
    target: Shaped[Tensor, " pos"],
    scored: Bool[Tensor, " pos"],
    device: torch.device | str,
) -> Example:
    model = ReferenceModel(bundle.config, {key: tensor.to(device) for key, tensor in bundle.parameters.items()})
    answers, vocab = bundle.answers, bundle.vocab
    run = model.run(ids[None].to(device))
    found = answers.of(run.logits).cpu()
    right = answers.same(found, target[None].to(found))[0]
    heads = [node for node in bundle.circuit.members if is_head(node)]
    special = [int(number) in (vocab.bos_id, vocab.pad_id) for number in ids]
    return Example(
        name=name,
        tokens=tuple(in_words(vocab.tokens[int(number)]) for number in ids),
        special=tuple(special),
        right=_shown(target, scored, bundle),
        found=_shown(found[0], scored, bundle),
        wrong=tuple((scored & ~right).tolist()),
        patterns={head: model.pattern(head, run)[0].float().cpu() for head in heads},
        causal=bundle.config.attention_dir == "causal",
    )


def _shown(answers: Shaped[Tensor, " pos"], scored: Bool[Tensor, " pos"], bundle: Bundle) -> tuple[str | None, ...]:
    """Answers in words, None where they are not scored; numbers to a tenth of the tolerance or finer."""
    classes = bundle.vocab.classes

    def words(answer: int | float) -> str:
        if bundle.answers.tolerance is not None:
            digits = min(max(1 - math.floor(math.log10(bundle.answers.tolerance)), 0), 9)
            # Not -0.00.
            return f"{round(answer, digits) + 0.0:.{digits}f}" if math.isfinite(answer) else NOT_FINITE
        return in_words(classes[int(answer)] if classes else int(answer)) if answer >= 0 else NOT_FINITE

    return tuple(
        words(answer) if counted else None for answer, counted in zip(answers.tolist(), scored.tolist(), strict=True)
    )
