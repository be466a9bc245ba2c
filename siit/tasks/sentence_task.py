"""Sentences with two names as a task (Wang et al., arXiv 2211.00593), split by what is held out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from siit._constants import constant
from siit.causal import Inputs
from siit.causal.mechanisms import UNDEFINED
from siit.interchange import Pairs
from siit.tasks.fingerprint import short_digest
from siit.tasks.pairs import Split, TooFewInputsError, mixed
from siit.tasks.sentences import Sentences
from siit.tasks.task import ReportedInputs, Task
from siit.tasks.training_pairs import TrainingPairSampler

NAMES_OF: dict[Split, tuple[int, int]] = {"train": (0, 93), "val": (93, 96), "test": (96, 100), "all": (0, 100)}
FILLERS_OF: dict[Split, tuple[int, int]] = {"train": (0, 80), "val": (80, 90), "test": (90, 100), "all": (0, 100)}
"""Which hundredths, from and to, of the pairs of names, and of places and objects, belong to a split."""
ROLES, OTHER_ORDER, OTHER_OBJECT, OTHER_SUBJECT, OTHER_NAMES, ANY = range(6)
"""What a source is, in the base's skeleton:

- the base's names with roles and places swapped;
- the other name as the subject, the first mentions where they are: the skeleton's other order;
- another indirect object;
- another subject;
- two other names;
- any sentence of any skeleton, which only replaces what is off the circuit.
"""
SOURCES = (0.45, 0.0, 0.1, 0.05, 0.15, 0.25)
"""Their shares."""
SOURCES_OF_BOTH_ORDERS = (0.25, 0.25, 0.1, 0.05, 0.1, 0.25)
"""Their shares where positions are interchanged too."""
MENTIONS = 3
"""How many times a sentence names someone."""
FIRST_TWO = (0.25, 0.5)
"""In which share of the sentences of ABBA and of BABA permuted positions are those of the first two mentions."""
NOT_FIRST = ((2, 1, 0), (0, 2, 1))
"""In the others: which mention takes each one's place in ABBA and in BABA."""


@dataclass(frozen=True, eq=False)
class SentenceTask(Task):
    """Sentences with two names, one of them twice; the answer is the other.

    Attributes:
        sentences: all that can be said.
        both_orders: whether some sources say the base in the other order.
        next_token: whether the model learns to predict every next token too.
    """

    sentences: Sentences = field(kw_only=True)
    both_orders: bool = field(kw_only=True, default=False)
    next_token: bool = field(kw_only=True, default=False)

    @property
    def all_interchangeable(self) -> bool:
        """Whether every pair can take part in an interchange: sources in other skeletons only replace."""
        return False

    def plain(self) -> None:
        """Makes nothing: sentences are drawn one way."""
        return

    def pairs(self, split: Split, device: torch.device | str = "cpu", seed: int = 0) -> SentencePairSampler:
        """Makes what draws the pairs of a split.

        Args:
            split: train, val, test or all.
            device: where pairs are drawn and live.
            seed: without effect: what is held out is the same for all seeds.
        """
        return SentencePairSampler(self, split, device)

    def training_pairs(self, device: torch.device | str = "cpu", seed: int = 0) -> TrainingPairSampler:
        """Makes what draws the pairs to train on: the split's own, for no value is rare."""
        return TrainingPairSampler(self.pairs("train", device, seed))

    def sample_pairs(self, count: int, generator: torch.Generator) -> Pairs:
        """Draws `count` training pairs, on the CPU."""
        return SentencePairSampler(self, "train").draw(count, generator)

    def sample(self, count: int, generator: torch.Generator) -> Int[Tensor, "count pos"]:
        """Draws `count` training sentences, on the CPU."""
        return self.sample_pairs(count, generator).base

    def permuted_positions(self, pairs: Pairs, generator: torch.Generator) -> Int[Tensor, "batch pos"]:
        """Swaps the places of two mentions of the source, each together with the word after it.

        They are the first two, or those that are not the first one of the base's subject. So a variable only takes
        places at which a name, or what follows one, can stand. And the subject's first mention is seldom hidden from
        the slot that looks for it (docs/ioi.md).

        Args:
            pairs: whose sources they are.
            generator: of the draw.
        """
        device = pairs.base.device
        is_name = constant(self.sentences.is_name, torch.bool, device)
        # In the same slots in both, but for sources that only replace what is off the circuit.
        in_base, mentions = (
            is_name[tokens].int().topk(MENTIONS, dim=1).indices.sort(1).values for tokens in (pairs.base, pairs.source)
        )
        first, _, last = pairs.base.gather(1, in_base).unbind(1)
        order = (first == last).long()  # as in ORDERS
        swapped = constant(NOT_FIRST, torch.int64, device)[order]
        share = constant(FIRST_TWO, torch.float32, device)[order]
        first_two = torch.rand(len(pairs), device=device, generator=generator) < share
        swapped = torch.where(first_two.unsqueeze(1), constant((1, 0, 2), torch.int64, device), swapped)
        other = mentions.gather(1, swapped)
        own = torch.arange(pairs.source.shape[1], device=device).expand_as(pairs.source)
        return own.scatter(1, torch.cat([mentions, mentions + 1], 1), torch.cat([other, other + 1], 1))

    def contrasts(self, base: Int[Tensor, "batch pos"], generator: torch.Generator) -> dict[str, Tensor]:
        """Makes `roles_exchanged`, with both names in each other's places, and `third_name`.

        The latter has another name as the second mention; then no name is mentioned twice, and there is no answer.

        Args:
            base: the sentences.
            generator: of the third names.
        """
        run = self.model.run(Inputs(base))
        repeated = run.values["duplicate"]
        subject = repeated.amax(1, keepdim=True)
        indirect_object = torch.where(run.scored, run.output, UNDEFINED).amax(1, keepdim=True)
        swapped = torch.where(base == subject, indirect_object, torch.where(base == indirect_object, subject, base))
        names = constant(self.sentences.name_ids, torch.int64, base.device)
        free = (names != subject) & (names != indirect_object)
        third = names[torch.multinomial(free.float(), 1, generator=generator)]
        return {"roles_exchanged": swapped, "third_name": torch.where(repeated >= 0, third, base)}

    def reported_inputs(self, count: int, generator: torch.Generator) -> dict[str, ReportedInputs]:
        """Draws `held_out_templates`; and `next_token`, at predictable positions, where that is learned.

        Args:
            count: sentences of each.
            generator: of the draw.
        """
        sampler = SentencePairSampler(self, "test", generator.device, held_out_templates=True)
        held_out = sampler.draw(count, generator).base
        run = self.model.run(Inputs(held_out))
        found = {"held_out_templates": ReportedInputs(held_out, torch.where(run.scored, run.output, 0), run.scored)}
        if self.next_token:
            found["next_token"] = SentencePairSampler(self, "test", generator.device).next_token_probe(count, generator)
        return found

    def fingerprint(self) -> dict[str, Any]:
        """Tells this task from another of the same name, by its sentences and sources too."""
        texts = self.sentences
        words = [ids.tolist() for ids in (texts.skeletons, texts.names, texts.places, texts.objects)]
        shares = [NAMES_OF, FILLERS_OF, SOURCES, SOURCES_OF_BOTH_ORDERS, FIRST_TWO]
        return {**super().fingerprint(), "sentences": short_digest([*words, *shares])}

    @property
    def special_tokens(self) -> tuple[str, str]:
        """Names BOS and PAD."""
        bos, pad = self.sentences.tokens[-2:]
        return bos, pad

    @property
    def input_count(self) -> int:
        """Counts the different sentences, held-out templates aside."""
        texts = self.sentences
        return texts.n_trained * len(texts.names) * (len(texts.names) - 1) * len(texts.places) * len(texts.objects)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What a sentence is made of: ids of one skeleton, and of the words in its slots, [batch] each."""

    skeleton: Tensor
    a: Tensor
    b: Tensor
    place: Tensor
    thing: Tensor


class SentencePairSampler:
    """Draws pairs of one split, vectorised, on one device.

    A pair of names, whatever their order, belongs to one split, as does a pair of a place and an object. So test
    sentences have names and fillers in combinations that training never saw.

    Args:
        task: whose sentences are drawn.
        split: train, val or test; or all sentences.
        device: where pairs are drawn and live.
        held_out_templates: draws from these instead of the others.
    """

    def __init__(
        self, task: SentenceTask, split: Split, device: torch.device | str = "cpu", held_out_templates: bool = False
    ) -> None:
        texts = task.sentences
        self.device = torch.device(device)
        self.shares = SOURCES_OF_BOTH_ORDERS if task.both_orders else SOURCES
        self.sentences = texts.to(self.device)
        n_names, n_places, n_objects = len(texts.names), len(texts.places), len(texts.objects)
        one_order = _in_split(n_names, n_names, *NAMES_OF[split]).triu(1)
        together = one_order | one_order.T
        if not bool(together.any()):
            raise TooFewInputsError(f"{task.name}: {n_names} names are too few to hold a {split} split out")
        first, last = (texts.n_trained, len(texts.skeletons)) if held_out_templates else (0, texts.n_trained)
        self.skeletons = torch.arange(first, last, device=self.device)
        self.partners = together.float().to(self.device)
        self.together = torch.nonzero(together).to(self.device)
        self.fillers = torch.nonzero(_in_split(n_places, n_objects, *FILLERS_OF[split])).to(self.device)
        self.names, self.places, self.objects = (
            ids.to(self.device) for ids in (texts.names, texts.places, texts.objects)
        )

    def draw(self, count: int, generator: torch.Generator) -> Pairs:
        """Draws `count` pairs; the generator lives on the sampler's device."""
        form = torch.multinomial(
            constant(self.shares, torch.float32, self.device), count, replacement=True, generator=generator
        )
        base, other = self._sentence(count, generator), self._sentence(count, generator)
        subject_is_a = base.skeleton % 2 == 1
        third_a, third_b = self._partner(base.b, generator), self._partner(base.a, generator)
        # The partner of the subject takes the indirect object's place, and the other way round.
        keeps_a = torch.where(form == OTHER_OBJECT, subject_is_a, ~subject_is_a)
        choices_a = torch.stack([base.b, base.a, *[torch.where(keeps_a, base.a, third_a)] * 2, other.a, other.a])
        choices_b = torch.stack([base.a, base.b, *[torch.where(keeps_a, third_b, base.b)] * 2, other.b, other.b])
        a, b = (choices.gather(0, form.unsqueeze(0)).squeeze(0) for choices in (choices_a, choices_b))
        in_order = torch.where(form == OTHER_ORDER, base.skeleton ^ 1, base.skeleton)
        skeleton = torch.where(form == ANY, other.skeleton, in_order)
        source = _Drawn(skeleton, a, b, other.place, other.thing)
        return Pairs(self._render(base), self._render(source), form != ANY)

    def next_token_probe(self, count: int, generator: torch.Generator) -> ReportedInputs:
        """Draws sentences with the token that follows, scored where it is predictable."""
        drawn = self._sentence(count, generator)
        tokens = self._render(drawn)
        scored = self.sentences.predictable.to(self.device)[drawn.skeleton]
        # BOS is never scored.
        scored = scored & (torch.arange(tokens.shape[1], device=self.device) > 0)
        return ReportedInputs(tokens, torch.where(scored, tokens.roll(-1, 1), 0), scored)

    def _sentence(self, count: int, generator: torch.Generator) -> _Drawn:
        def one_of(size: int) -> Tensor:
            return torch.randint(size, (count,), device=self.device, generator=generator)

        a, b = self.together[one_of(len(self.together))].unbind(1)
        place, thing = self.fillers[one_of(len(self.fillers))].unbind(1)
        return _Drawn(self.skeletons[one_of(len(self.skeletons))], a, b, place, thing)

    def _partner(self, name: Int[Tensor, " batch"], generator: torch.Generator) -> Int[Tensor, " batch"]:
        """Draws a name that may stand in one sentence with this one."""
        return torch.multinomial(self.partners[name], 1, generator=generator).squeeze(1)

    def _render(self, drawn: _Drawn) -> Int[Tensor, "batch pos"]:
        a, b = self.names[drawn.a], self.names[drawn.b]
        return self.sentences.render(drawn.skeleton, a, b, self.places[drawn.place], self.objects[drawn.thing])


def _in_split(rows: int, columns: int, first: int, last: int) -> Bool[Tensor, "rows columns"]:
    """Tells which pairs of two indices belong to some hundredths of them, the same for every seed."""
    part = mixed(torch.cartesian_prod(torch.arange(rows), torch.arange(columns))).reshape(rows, columns) % 100
    return (part >= first) & (part < last)
