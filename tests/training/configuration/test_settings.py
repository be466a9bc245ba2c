"""Bad configurations: every wrong key or value gives what was found and what is accepted."""

from __future__ import annotations

import re

import pytest

from siit.train import train
from siit.training.configuration.overrides import check_overrides, register_cases
from siit.training.configuration.settings import ConfigError, read_settings, terms_of
from siit.training.fit.plan import find_case, find_task, plan_for
from siit.training.generator import draws
from siit.training.rasp.from_rasp import ProgramError
from tests.builders.runs import Compose


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["case=frac_prevz"], "case: found 'frac_prevz'; did you mean frac_prevs"),
        (["case=frac_prevs,reverze", "-m"], "did you mean reverse"),
        (["model=gpt3"], "model: found 'gpt3'; accepted: gpt2_style, interpbench"),
        (["seeed=1"], "seeed: no such key in the top level, accepted: .*did you mean seed"),
        (["trainer.max_stepz=3"], "no such key in trainer, accepted: max_steps.*did you mean trainer.max_steps"),
        (["objective.terms.siit.ablationn.zero=1"], "no such key in objective.terms.siit, accepted: weight"),
        (["+extra=1"], "extra: no such key"),
        (["case=random", "case.teir=deep"], "no such key in case, accepted: .*did you mean case.tier"),
        (["case=reverse", "case.tier=deep"], "case.tier: no such key in case"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(arguments: list[str], message: str) -> None:
    register_cases()
    error = check_overrides(arguments)
    assert error is not None
    assert re.search(message, error)


def test_good_overrides_pass() -> None:
    register_cases()
    assert check_overrides(["case=reverse,histogram", "seed=0,1,2", "-m"]) is None
    assert check_overrides(["case=random", "case.tier=deep,composed", "case.generator_seed=range(10)", "-m"]) is None
    assert check_overrides(["case=sort_digits", "case.alignment.heads={earlier_same_share: 3}", "logger=wandb"]) is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.max_steps=abc", "trainer.max_steps: Value 'abc'"),
        ("trainer.max_steps=7", "accepted is a multiple of trainer.check_every=10"),
        ("trainer.learning_rate=0", "trainer.learning_rate: found 0.0, accepted is a number above 0"),
        ("trainer.accelerator=tpu", "accepted is auto, cpu, gpu"),
        ("seed=-1", "seed: found -1"),
        ("model.n_heads=0", "model.n_heads: found 0"),
        ("objective.prioritised=1", "objective.prioritised: found 1.0"),
        ("objective.replay=1", "objective.replay: found 1.0"),
        ("objective.probe_weight=-1", "objective.probe_weight: found -1.0, accepted is 0 or more"),
        ("objective.next_token=-0.5", "objective.next_token: found -0.5, accepted is 0 or more"),
        ("+case.tier=foo", "case.tier: found 'foo', accepted is pointwise, single, composed, deep"),
        ("+case.generator_seed=-1", "case.generator_seed: found -1, accepted is an integer from 0 to 2147483647"),
        ("+case.generator_seed=x", "case.generator_seed: Value 'x'"),
    ],
)
def test_bad_values(composed: Compose, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_settings(composed(override))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["objective.terms.siit.constant=2"], "objective.terms.siit.constant: found 2.0, accepted is a probability"),
        (["objective.terms.siit.ablation.zero=3"], "ablation: AblationDraw: found .*sum to 1"),
        (["objective.terms.siit.share=0"], "share: found 0.0"),
        (
            ["objective.replay=0", "objective.replay_interchanges=true"],
            "objective.replay_interchanges: found True, accepted is false where objective.replay is 0",
        ),
        (["+objective.terms.siit.ablation.noise=0.1"], "unknown noise, accepted: resample, mean, zero"),
    ],
)
def test_bad_terms(composed: Compose, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        terms_of(read_settings(composed(*overrides)).objective)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["case=reverse", "model.n_layers=2"], "model.n_layers: found 2, the program needs at least 3"),
        (["case=open_minus_close_fraction", "model.n_heads=1"], "model.n_heads: found 1, .* at least 2 in one layer"),
        (["model.d_model=30"], "model.d_model: found 30, accepted is a multiple"),
        (["model.act_fn=tanh"], "act_fn: found 'tanh', accepted: 'gelu'"),
        (["case.alignment.heads.nothing=2"], "unknown variables .*accepted: is_x, frac_prevs"),
    ],
)
def test_impossible_plans(composed: Compose, overrides: list[str], message: str) -> None:
    settings = read_settings(composed(*overrides))
    task = find_task(settings.case)
    with pytest.raises(ConfigError, match=message):
        plan_for(task, settings)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("case.sampler=odd", "sampler: found 'odd', accepted: uniform"),
        ("case.min_len=9", "min_len: found 9, accepted are 1 to"),
    ],
)
def test_impossible_inputs(composed: Compose, override: str, message: str) -> None:
    with pytest.raises((ConfigError, ProgramError), match=message):
        find_task(read_settings(composed(override)).case)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["case=custom"], "case.program: missing"),
        (
            ["case=custom", "case.program=json:nothing", "case.vocab=[a,b]", "case.max_len=4"],
            "has no function 'nothing'",
        ),
        (["case=custom", "case.program=json", "case.vocab=[a,b]", "case.max_len=4"], "<module>:<function>"),
        (["case=custom", "case.program=no_mod:f", "case.vocab=[a,b]", "case.max_len=4"], "cannot import 'no_mod'"),
        (["case=custom", "case.program=json:loads", "case.vocab=[a,a]", "case.max_len=4"], "case.vocab"),
        (["case=custom", "case.program=json:loads", "case.vocab=[a,b]", "case.max_len=1"], "case.max_len: found 1"),
        (["case=frac_prevs", "case.max_len=3"], "the catalogue fixes it"),
        (
            ["case=frac_prevs", "case.tokenizer=gpt2"],
            "case.tokenizer: found 'gpt2', .* only ioi, ioi_next_token, ioi_full",
        ),
        (["case=frac_prevs", "case.none_is_answer=true"], "case.none_is_answer: found True; the catalogue fixes it"),
    ],
)
def test_bad_cases(composed: Compose, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_case(read_settings(composed(*overrides)).case)


def test_a_program_of_ones_own(composed: Compose) -> None:
    own = ["case=custom", "case.program=json:loads", "case.vocab=[a,b]", "case.max_len=4"]
    plain, with_none = (
        find_case(read_settings(composed(*own, f"case.none_is_answer={flag}")).case) for flag in ("false", "true")
    )
    assert (plain.vocab, plain.max_len, plain.min_len, plain.causal) == (("a", "b"), 4, 3, False)
    assert (plain.none_is_answer, with_none.none_is_answer) == (False, True)


@pytest.mark.parametrize("objective", ["siit", "siit_node", "iit", "behaviour"])
@pytest.mark.parametrize("case", ["frac_prevs", "random", "ioi", "ioi_next_token", "ioi_full"])
def test_a_cases_recipe_is_read_by_siit_alone(composed: Compose, case: str, objective: str) -> None:
    settings = read_settings(composed(f"case={case}", f"objective={objective}"))
    terms, chosen = terms_of(settings.objective), settings.objective
    if objective == "siit":
        assert vars(terms["siit"].off_circuit).items() >= settings.case.off_circuit.items()
        assert (chosen.probe_weight, chosen.replay_interchanges) == (
            settings.case.probe_weight,
            settings.case.replay_interchanges,
        )
    else:
        assert "siit" not in terms and (chosen.probe_weight, chosen.replay, chosen.replay_interchanges) == (0, 0, False)


def test_a_random_case_is_named_after_its_draw(composed: Compose) -> None:
    drawn = read_settings(composed("case=random", "case.tier=deep", "case.generator_seed=12")).case
    assert (drawn.name, drawn.tier, drawn.generator_seed) == ("random-deep-12", "deep", 12)
    assert read_settings(composed("case=random")).case.name == "random-composed-0"


def test_a_random_case_is_what_the_generator_draws(composed: Compose) -> None:
    overrides = ["case=random", "case.tier=single", "case.generator_seed=4"]
    case = find_case(read_settings(composed(*overrides)).case)
    assert (case.name, case.family) == ("random-single-4", "random")
    assert case.description.startswith("Computes count_next: the number of positions where")


def test_a_random_case_takes_other_inputs(composed: Compose) -> None:
    case = find_case(read_settings(composed("case=random", "case.sampler=often_repeated", "case.min_len=4")).case)
    assert (case.name, case.sampler, case.min_len) == ("random-composed-0", "often_repeated", 4)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["case=random", "case.tier=null"], "case.tier: missing; case=random needs"),
        (["case=random", "case.generator_seed=null"], "case.generator_seed: missing; case=random needs"),
        (["case=random", "case.name=mine"], "case.name: found 'mine', accepted for this draw is 'random-composed-0'"),
        (["case=reverse", "+case.tier=deep", "+case.generator_seed=1"], "case.name: found 'reverse', accepted"),
        (["case=random", "+case.vocab=[a,b]"], "case.vocab: found .*; the generator fixes it"),
        (["case=random", "+case.max_len=9"], "case.max_len: found 9; the generator fixes it"),
        (["case=random", "+case.program=a:b"], "case.program: found 'a:b'; the generator fixes it"),
    ],
)
def test_bad_random_cases(composed: Compose, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_case(read_settings(composed(*overrides)).case)


def test_a_generator_that_finds_nothing(composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "draw_program", lambda *_: None)
    message = r"case.generator_seed: no well-formed composed program within 500 draws of seed 0; .*first \(500\)"
    with pytest.raises(ConfigError, match=message):
        find_case(read_settings(composed("case=random")).case)


def test_next_tokens_need_answers_that_are_tokens(composed: Compose) -> None:
    message = r"objective\.next_token: found 0\.5, accepted is 0 where answers are not tokens, as in case=histogram"
    with pytest.raises(ConfigError, match=message):
        train(composed("case=histogram", "objective.next_token=0.5"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("case.vocab=[a,b]", r"case.vocab: found \['a', 'b'\]; accepted for case=ioi.* is null"),
        ("case.max_len=4", "case.max_len: found 4; accepted for case=ioi.* is null"),
        ("case.balanced=true", "case.balanced: found True; accepted"),
        ("case.rearranged=true", "case.rearranged: found True; accepted"),
        ("+case.tier=deep", "case.tier: found 'deep'; accepted"),
        ("case.tokenizer=nowhere", "case.tokenizer: found 'nowhere', accepted are words, gpt2, or a folder"),
    ],
)
def test_what_indirect_objects_cannot_have(composed: Compose, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_task(read_settings(composed("case=ioi_next_token", override)).case)


def test_the_cases_of_indirect_objects(composed: Compose) -> None:
    """Each configuration names its case, gives a plan, and alone learns next tokens."""
    assert read_settings(composed("case=ioi")).objective.next_token == 0
    for case in ("ioi_next_token", "ioi_full"):
        settings = read_settings(composed(f"case={case}", "model.d_model=64"))
        task = find_task(settings.case)
        assert task.name == settings.case.name == case
        assert (settings.objective.next_token > 0) == (case == "ioi_next_token")
        plan = plan_for(task, settings)
        assert plan.config.n_layers == 6 and plan.config.attention_dir == "causal"
        assert not plan.interchanges.labels.circuit.excluded, "all is put to the test"
        assert set(plan.interchanges.labels.units) == set(task.model.variables)
