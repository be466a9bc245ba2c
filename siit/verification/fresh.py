"""Fresh pairs: drawn by the verifier over the whole declared input space, and the model measured on them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from siit.causal import Inputs
from siit.certificate import BARS, Answers, Certificate, ReferenceModel
from siit.certificate.certificate import SHARES
from siit.interchange import Interchanges, Pairs, PairSampler, build_evidence, inert_parts
from siit.tasks import Task

SIGNIFICANCE = 1e-6
"""A bar fails on fresh pairs where chance would bring so many errors this seldom at a model just at the bar."""
PAIRS = 1024
"""Pairs to begin with, doubled until every quantity rests on enough of them; and those in which an excluded part may
change nothing."""
INERT_PAIRS = 1 << 14
"""Pairs in which a part that is not excluded has to change something: four times as many as training looks at."""
INPUTS = 1 << 15
"""Inputs on which accuracy alone is measured."""
_BATCH = 1024
HELD_OUT = 4096
"""Inputs of the test split that tell what the evidence can have."""
OFTEN = 0.005
"""Share of the fresh inputs above which a token or a length must occur in the evidence too."""


class Both:
    """Draws pairs in turn from several samplers, as many of each.

    Args:
        samplers: of one task, on one device.
    """

    def __init__(self, samplers: Sequence[PairSampler]) -> None:
        self.samplers = tuple(samplers)

    @property
    def device(self) -> torch.device:
        """Where pairs live."""
        return self.samplers[0].device

    def draw(self, count: int, generator: torch.Generator) -> Pairs:
        """Draws `count` pairs."""
        share = -(-count // len(self.samplers))
        drawn = [sampler.draw(share, generator) for sampler in self.samplers]
        base, source = (
            torch.stack([getattr(pairs, side) for pairs in drawn], 1).flatten(0, 1)[:count]
            for side in ("base", "source")
        )
        masks = [pairs.interchangeable for pairs in drawn if pairs.interchangeable is not None]
        if not masks:
            return Pairs(base, source)
        assert len(masks) == len(drawn), "samplers of one task tell of all pairs, or of none"
        return Pairs(base, source, torch.stack(masks, 1).flatten()[:count])


def whole_space(task: Task, seed: int) -> Both:
    """Makes what draws pairs of the whole input space: half as the task declares, half uniform over its tokens.

    Args:
        task: the declared one.
        seed: of the pools that pairs are drawn from.
    """
    samplers = [task.pairs("all", seed=seed)]
    if (plain := task.plain()) is not None:
        samplers.append(plain.pairs("all", seed=seed))
    return Both(samplers)


def fresh_evidence(sampler: Both, interchanges: Interchanges, answers: Answers, seed: int) -> dict[str, Tensor]:
    """Draws evidence, with the causal model's answers under every interchange.

    Args:
        sampler: of the whole input space.
        interchanges: of the derived labels.
        answers: tells when two answers differ.
        seed: of the draw.
    """
    return build_evidence(interchanges, sampler, seed, answers=answers, pairs=PAIRS)


@torch.no_grad()
def accuracy_findings(model: ReferenceModel, task: Task, sampler: Both, seed: int) -> Iterator[str]:
    """Tells whether the model's answers on many inputs, without any patch, speak against the bar: rare ones too.

    Args:
        model: the measured one.
        task: the declared one.
        sampler: of the whole input space.
        seed: of the draw.
    """
    device = model.parameters["embed.W_E"].device
    tokens = sampler.draw(INPUTS // 2, torch.Generator().manual_seed(seed))
    positions = right = 0
    for batch in torch.cat([tokens.base, tokens.source]).unique(dim=0).split(_BATCH):
        run = task.model.run(Inputs(batch))
        found = task.answers.right(model.run(batch.to(device)).logits.cpu(), run.output)
        positions, right = positions + int(run.scored.sum()), right + int((found & run.scored).sum())
    if positions and chance_of(positions - right, positions, 1 - BARS["accuracy"]) < SIGNIFICANCE:
        found_share, bar = right / positions, BARS["accuracy"]
        yield f"accuracy: found {found_share:.5f} on {positions} positions of {INPUTS} inputs, accepted is {bar}"


def bar_findings(certificate: Certificate) -> Iterator[str]:
    """Lists the bars that the fresh pairs speak against beyond chance, and the parts that move nothing."""
    for field in SHARES:
        if getattr(certificate, field) is None:
            yield f"{field}: not measured"
            continue
        positions = certificate.evidence["scored"].get(field, 0)
        shares = certificate.details.get(field) or {"all": getattr(certificate, field)}
        for name, share in sorted(shares.items(), key=lambda item: item[1]):
            wrong = round((1 - share) * positions)
            if positions and chance_of(wrong, positions, 1 - BARS[field]) < SIGNIFICANCE:
                yield f"{field}: {name}: found {share:.5f} on {positions} positions, accepted is {BARS[field]}"
                break
    effect = certificate.effect
    if effect is None:
        yield "effect: not measured"
        return
    for what, values in (("unit", effect.units), ("edge", effect.edges), ("node", effect.nodes)):
        for name, value in values.items():
            if not value > 0:
                yield f"effect: {what} {name}: found none on any fresh pair"


def chance_of(wrong: int, positions: int, rate: float) -> float:
    """Computes the probability of at least `wrong` errors among `positions`, each with probability `rate`."""
    if wrong <= 0:
        return 1.0
    log_rate, log_right = math.log(rate), math.log1p(-rate)

    def chance(errors: int) -> float:
        ways = math.lgamma(positions + 1) - math.lgamma(errors + 1) - math.lgamma(positions - errors + 1)
        return math.exp(ways + errors * log_rate + (positions - errors) * log_right)

    if wrong > positions * rate:
        # Summed from its largest part on: what is left out is smaller than rounding.
        return math.fsum(chance(errors) for errors in range(wrong, min(positions, wrong + 200) + 1))
    return 1.0 - math.fsum(chance(errors) for errors in range(wrong))


def coverage_findings(
    evidence: Mapping[str, Tensor], fresh: Mapping[str, Tensor], task: Task, seed: int
) -> Iterator[str]:
    """Lists lengths and tokens that fresh inputs have and the evidence lacks, and pairs that are repeated.

    What the test split itself lacks is not asked of the evidence: one of the names of `ioi` has no partner there. The
    fresh pairs have it.

    Args:
        evidence: of the bundle.
        fresh: pairs of the whole input space.
        task: the declared one.
        seed: of the test split, and of a draw from it.
    """
    size = len(task.model.vocab)
    stored, drawn = evidence["base_tokens"], fresh["base_tokens"]
    held_out = task.pairs("test", seed=seed).draw(HELD_OUT, torch.Generator().manual_seed(seed)).base
    for what, of in (("lengths", _lengths), ("tokens", _tokens)):
        here, there, offered = (of(tokens, size) for tokens in (stored, drawn, held_out))
        missing = torch.nonzero((there > OFTEN) & (offered > 0) & (here == 0)).flatten().tolist()
        if missing:
            first = ", ".join(map(str, missing[:8]))
            yield f"base_tokens: found none of the {what} {first}, accepted is every one of the inputs"
    ours, theirs = (_distinct(tensors) for tensors in (evidence, fresh))
    if ours < 0.5 * theirs:
        yield f"base_tokens: found {ours:.0%} different pairs, accepted are as many as chance brings, {theirs:.0%}"


def exhaustive_findings(evidence: Mapping[str, Tensor], task: Task) -> Iterator[str]:
    """Tells whether evidence that is called all there is has other pairs than each of all inputs, once."""
    sides = evidence["base_tokens"], evidence["source_tokens"]
    found, accepted = len(torch.cat(sides, 1).unique(dim=0)), task.input_count**2
    if (found, len(sides[0])) != (accepted, accepted):
        yield f"exhaustive: found {len(sides[0])} pairs, {found} of them different, accepted are all {accepted}, once"
    elif not torch.equal(torch.cat(sides).unique(dim=0), task.enumerate().unique(dim=0)):
        yield "exhaustive: found inputs that are not among the declared ones, accepted is each of these"


def _lengths(tokens: Tensor, size: int) -> Tensor:
    """Share of the inputs of each length."""
    return torch.bincount((tokens < size).sum(1), minlength=tokens.shape[1]) / len(tokens)


def _tokens(tokens: Tensor, size: int) -> Tensor:
    """Share of the inputs in which each token occurs."""
    return torch.stack([(tokens == token).any(1).float().mean() for token in range(size)])


def _distinct(evidence: Mapping[str, Tensor]) -> float:
    both = torch.cat([evidence["base_tokens"], evidence["source_tokens"]], 1)
    return len(both.unique(dim=0)) / len(both)


def inert_findings(task: Task, excluded: Mapping[str, str], seed: int) -> Iterator[str]:
    """Lists parts that are excluded as inert and change something on fresh pairs, and inert ones that are not excluded.

    Args:
        task: the declared one.
        excluded: what the labels leave out.
        seed: of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    pairs = task.sample_pairs(INERT_PAIRS, generator)
    inert = inert_parts(task.model, pairs, generator)
    for name in sorted(inert.keys() - excluded.keys()):
        yield f"excluded: {name}: found on the circuit, accepted are parts that change something: {inert[name]}"
    if excluded:
        few = inert_parts(task.model, Pairs(pairs.base[:PAIRS], pairs.source[:PAIRS]), generator)
        for name in excluded:
            if name not in few:
                yield f"excluded: {name}: found that it changes something, accepted are parts that change nothing"
