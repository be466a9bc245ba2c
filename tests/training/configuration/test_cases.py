"""The four kinds of cases: each checks its own fields before anything costs something, and makes its task."""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn

import pytest
from omegaconf import OmegaConf

from siit.training.configuration import programs, sentences
from siit.training.configuration.overrides import case_settings, composed
from siit.training.configuration.programs import CatalogueCase, CustomCase, DrawnCase
from siit.training.configuration.sentences import SentenceCase
from siit.training.configuration.settings import CaseSettings, ConfigError, read_settings
from siit.training.fit.plan import plan_for
from siit.training.generator import draws

Own = partial(CustomCase, program="json:loads", vocab=["a", "b"], max_len=4)
"""A program of one's own, but for what a test changes."""


@pytest.fixture
def nothing_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever takes time fails."""

    def expensive(*arguments: Any, **named: Any) -> NoReturn:
        raise AssertionError("something was computed before the fields were checked")

    for name in ("generate", "get", "build_causal_model", "_imported"):
        monkeypatch.setattr(programs, name, expensive)
    monkeypatch.setattr(sentences, "make_ioi_task", expensive)


@pytest.mark.usefixtures("nothing_costs")
@pytest.mark.parametrize(
    ("case", "message"),
    [
        (CatalogueCase(name="reverse", sampler="odd"), r"case.sampler: found 'odd', accepted is null .*, uniform"),
        (
            CatalogueCase(name="reverse", min_len=0),
            r"case.min_len: found 0, accepted is null \(as the program says\), 1",
        ),
        (DrawnCase(min_len=0), "case.min_len: found 0"),
        (DrawnCase(min_len=10), "case.min_len: found 10, accepted is at most 9"),
        (DrawnCase(sampler="odd"), "case.sampler: found 'odd'"),
        (DrawnCase(tier="foo"), "case.tier: found 'foo', accepted is pointwise, single, composed, deep"),
        (DrawnCase(generator_seed=-1), "case.generator_seed: found -1, accepted is an integer from 0 to 2147483647"),
        (DrawnCase(name="mine"), "case.name: found 'mine', accepted is 'random-composed-0' for this draw"),
        (
            Own(vocab=["a", "a"]),
            r"case.vocab: found \['a', 'a'\], accepted is two or more different strings or integers",
        ),
        (Own(vocab=["a", True]), "case.vocab: found"),
        (Own(vocab=["a", 0.5]), "case.vocab: found"),
        (Own(vocab=["a"]), "case.vocab: found"),
        (Own(max_len=1), "case.max_len: found 1, accepted is case.min_len=3 or more"),
        (Own(min_len=0), "case.min_len: found 0, accepted is 1 or more"),
        (Own(sampler="odd"), "case.sampler: found 'odd', accepted is uniform"),
        (Own(program="json"), "case.program: found 'json', accepted is <module>:<function>"),
        (Own(program=":loads"), "<module>:<function>"),
        (SentenceCase(name="oi"), "case.name: found 'oi', accepted is ioi, ioi_next_token, ioi_full"),
    ],
)
def test_fields_are_checked_before_anything_is_computed(case: CaseSettings, message: str):
    with pytest.raises(ConfigError, match=message):
        case.make_task()
    with pytest.raises(ConfigError, match=message):
        case.check()


@pytest.mark.usefixtures("nothing_costs")
def test_what_is_read_has_been_checked():
    with pytest.raises(ConfigError, match=r"case.tier: found 'foo'"):
        read_settings(composed("case=random", "case.tier=foo"))
    with pytest.raises(ConfigError, match=r"case.min_len: found 0"):
        read_settings(
            composed("case=custom", "case.program=a:b", "case.vocab=[a,b]", "case.max_len=4", "case.min_len=0")
        )


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            [],
            r"case.program, case.vocab, case.max_len: missing, accepted is a value: case.program=\.\.\. case.vocab",
        ),
        (["case.program=a:b", "case.max_len=4"], "^case.vocab: missing, accepted is a value: case.vocab="),
    ],
)
def test_a_program_of_ones_own_needs_three_fields(overrides: list[str], message: str):
    with pytest.raises(ConfigError, match=message):
        read_settings(composed("case=custom", *overrides))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (Own(program="json:nothing"), "case.program: json has no function 'nothing', it has: .*loads"),
        (Own(program="no_mod:f"), "case.program: cannot import 'no_mod'"),
        (CatalogueCase(name="frac_prev"), "case: found 'frac_prev'; did you mean frac_prevs"),
        (CatalogueCase(name="frac_prevs", min_len=9), "case.min_len: found 9, accepted is 1 to 4, the most tokens"),
    ],
)
def test_programs_that_cannot_be_had(case: programs.ProgramSettings, message: str):
    with pytest.raises(ConfigError, match=message):
        case.make_task()


def test_a_program_of_ones_own():
    plain, with_none = Own().rasp_case(), Own(none_is_answer=True, min_len=1).rasp_case()
    assert (plain.vocab, plain.max_len, plain.min_len, plain.causal) == (("a", "b"), 4, 3, False)
    assert (plain.none_is_answer, with_none.none_is_answer, with_none.min_len) == (False, True, 1)


def test_a_program_of_the_catalogue_takes_other_inputs():
    """Null leaves what the catalogue says; false does not."""
    own = CatalogueCase(name="sort_digits").rasp_case()
    other = CatalogueCase(name="sort_digits", min_len=1, balanced=False, rearranged=False).rasp_case()
    assert own.rearranged and (other.min_len, other.balanced, other.rearranged) == (1, False, False)
    assert (other.sampler, other.max_len) == (own.sampler, own.max_len)


def test_balance_needs_classes():
    with pytest.raises(ConfigError, match="frac_prevs: balanced: found true, accepted for numerical answers is false"):
        CatalogueCase(name="frac_prevs", balanced=True).make_task()


def test_a_random_case_is_named_after_its_draw():
    drawn = read_settings(composed("case=random", "case.tier=deep", "case.generator_seed=12")).case
    assert drawn == DrawnCase(tier="deep", generator_seed=12) and drawn.name == "random-deep-12"
    assert DrawnCase().name == "random-composed-0"


def test_a_random_case_is_what_the_generator_draws():
    case = DrawnCase(tier="single", generator_seed=4, sampler="often_repeated", min_len=4).rasp_case()
    assert (case.name, case.family) == ("random-single-4", "random")
    assert case.description.startswith("Computes count_next: the number of positions where")
    assert (case.sampler, case.min_len) == ("often_repeated", 4)


def test_a_generator_that_finds_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(draws, "draw_program", lambda *_: None)
    message = r"case.generator_seed: no well-formed composed program within 500 draws of seed 0; .*first \(500\)"
    with pytest.raises(ConfigError, match=message):
        DrawnCase().rasp_case()


def test_a_tokenizer_that_is_not_there():
    message = "case.tokenizer: found 'nowhere', accepted are words, gpt2, or a folder"
    with pytest.raises(ConfigError, match=message):
        SentenceCase(name="ioi", tokenizer="nowhere").make_task()


@pytest.mark.slow
@pytest.mark.ci
def test_the_cases_of_indirect_objects():
    """Each configuration names its case, gives a plan, and alone learns next tokens."""
    assert case_settings("ioi").objective.next_token == 0
    for case in ("ioi_next_token", "ioi_full"):
        settings = case_settings(case)
        task = settings.case.make_task()
        assert task.name == settings.case.name == case
        assert (settings.objective.next_token > 0) == (case == "ioi_next_token")
        plan = plan_for(task, settings)
        assert plan.config.n_layers == 6 and plan.config.attention_dir == "causal"
        assert not plan.interchanges.labels.circuit.excluded, "all is put to the test"
        assert set(plan.interchanges.labels.units) == set(task.model.variables)


def test_a_class_of_ones_own(monkeypatch: pytest.MonkeyPatch):
    """`_target_` may name any class that extends those of siit."""
    monkeypatch.setattr(programs, "ShortCase", ShortCase, raising=False)
    config = composed("case=reverse", "model=interpbench")
    plain: Any = OmegaConf.to_container(config, resolve=True)
    plain["case"] |= {"_target_": "siit.training.configuration.programs.ShortCase"}
    case = read_settings(OmegaConf.create(plain)).case
    assert isinstance(case, ShortCase) and case.rasp_case().max_len == 4


class ShortCase(CatalogueCase):
    """Cuts a program of the catalogue short."""

    def rasp_case(self) -> Any:
        import dataclasses

        return dataclasses.replace(super().rasp_case(), max_len=4)
