"""The command line's checks: what does not exist is answered with what does, before anything is composed for good."""

from __future__ import annotations

import re

import pytest

import tracr_cases
from siit.training.configuration.overrides import check_overrides

FIXED = "the catalogue fixes it, use case=custom for your own"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=gpt3"], "model: found 'gpt3'; accepted: gpt2_style, interpbench"),
        (["seeed=1"], "seeed: no such key in the top level, accepted: .*did you mean seed"),
        (["trainer.max_stepz=3"], "no such key in trainer, accepted: max_steps.*did you mean trainer.max_steps"),
        (["objective.terms.siit.kindd.zero=1"], "no such key in objective.terms.siit, accepted: weight"),
        (["+objective.terms.siit.ablation.noise=0.1"], "no such key in .*ablation, accepted: resample, mean, zero, sh"),
        (["case.off_circuit={noone: 1}"], "no such key in case.off_circuit, .*did you mean case.off_circuit.none"),
        (["+extra=1"], "extra: no such key"),
        (["base=model"], "base: no such key in the top level"),
        (["case=random", "case.teir=deep"], "no such key in case, accepted: .*did you mean case.tier"),
        (["~model"], "~model: found in the command, accepted are other values"),
        (["model={d_modell: 3}"], "no such key in model, .*did you mean model.d_model"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(arguments: list[str], message: str):
    assert re.search(message, check_overrides(arguments) or "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["case=frac_prev"],
            r"case: found 'frac_prev'; did you mean frac_prevs or .*\? `python -m siit.cases` lists all",
        ),
        (["case=frac_prevs,reverze", "-m"], "case: found 'reverze'; did you mean reverse"),
        (["case=zzzzzzzz"], "case: found 'zzzzzzzz'; `python -m siit.cases` lists all$"),
    ],
)
def test_a_case_that_is_not_there_gives_its_suggestion_first(arguments: list[str], message: str):
    error = check_overrides(arguments) or ""
    assert re.search(message, error)
    assert len(error) < 200, "no list of all cases"


@pytest.mark.parametrize("name", ["_recipe", "_catalogue", "_ioi", "catalogue", "ioi_cases"])
def test_what_cases_share_is_no_case(name: str):
    error = check_overrides([f"case={name}"]) or ""
    assert error.startswith(f"case: found '{name}'; ")
    assert not re.search(r"mean .*\b(_recipe|_catalogue|_ioi|catalogue|ioi_cases)\b", error)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["case.max_len=3"], f"case.max_len: found 3; {FIXED}"),
        (["case=frac_prevs", "case.none_is_answer=true"], f"case.none_is_answer: found True; {FIXED}"),
        (["case=frac_prevs", "+case.program=a:b"], f"case.program: found 'a:b'; {FIXED}"),
        (["case=reverse", "case.tier=deep"], "case.tier: found 'deep'; only case=random has it"),
        (["-m", "case=random,reverse", "case.tier=deep,single"], "case.tier: found 'deep'; only case=random has it"),
        (["-m", "case=reverse,random", "case.tier=deep,single"], "case.tier: found 'deep'; only case=random has it"),
        (["case=frac_prevs", "case.tokenizer=gpt2"], "found 'gpt2'; only case=ioi, ioi_next_token, ioi_full has it"),
        (["case=random", "case.vocab=[a,b]"], r"case.vocab: found \['a', 'b'\]; the generator fixes it"),
        (["case=random", "+case.max_len=9"], "case.max_len: found 9; the generator fixes it, use case=custom"),
        (["case=random", "case.program=a:b"], "case.program: found 'a:b'; the generator fixes it"),
        (["case=custom", "case.generator_seed=3"], "case.generator_seed: found 3; only case=random has it"),
        (["case=ioi_next_token", "case.vocab=[a,b]"], r"case.vocab: found \['a', 'b'\]; the set of sentences fixes it"),
        (["case=ioi", "case.max_len=4"], "case.max_len: found 4; the set of sentences fixes it"),
        (["case=ioi", "case.balanced=true"], "case.balanced: found True; the set of sentences fixes it"),
        (["case=ioi", "case.rearranged=true"], "case.rearranged: found True; the set of sentences fixes it"),
        (["case=ioi", "+case.tier=deep"], "case.tier: found 'deep'; only case=random has it"),
    ],
)
def test_a_key_of_another_case_says_whose_it_is(arguments: list[str], message: str):
    assert re.search(message, check_overrides(arguments) or "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trainer.max_steps=abc"], "trainer.max_steps: found 'abc', accepted is an integer"),
        (["-m", "trainer.max_steps=250,abc"], "trainer.max_steps: found 'abc', accepted is an integer"),
        (["model.n_layers=x"], "model.n_layers: found 'x', accepted is an integer or null"),
        (["trainer.progress_bar=5x"], "trainer.progress_bar: found '5x', accepted is true or false"),
        (["seed=null"], "seed: found None, accepted is an integer"),
        (["out=null"], "out: found None, accepted is a string"),
        (["case=random", "case.generator_seed=x"], "case.generator_seed: found 'x', accepted is an integer"),
        (["case=random", "case.tier=null"], "case.tier: found None, accepted is a string"),
        (["case=random", "case.generator_seed=null"], "case.generator_seed: found None, accepted is an integer"),
        (["case=custom", "case.vocab=ab"], "case.vocab: found 'ab', accepted is a list"),
        (["case.alignment.heads.is_x=two"], "case.alignment.heads.is_x: Value 'two' .* could not be converted"),
        (["seed=1", "case.vocab=[a,"], r"^case.vocab=\[a,: "),
    ],
)
def test_a_value_of_a_wrong_type_is_refused(arguments: list[str], message: str):
    assert re.search(message, check_overrides(arguments) or "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["case=reverse,histogram", "seed=0,1,2", "-m"],
        ["case=random", "case.tier=deep,composed", "case.generator_seed=range(10)", "-m"],
        ["case=sort_digits", "case.alignment.heads={earlier_same_share: 3}", "logger=wandb"],
        ["case=glob(ioi*)", "case.tokenizer=gpt2", "-m"],
        ["trainer={max_steps: 500}", "model=interpbench", "hydra.job.chdir=false"],
        ["experiment=cross_section", "-m"],
        ["case.min_len=null", "case.sampler=null", "model.n_layers=null"],
        ["--help"],
    ],
)
def test_good_overrides_pass(arguments: list[str]):
    assert check_overrides(arguments) is None


def test_the_catalogues_own_error_is_as_short():
    with pytest.raises(KeyError, match=r"found 'frac_prev'; did you mean frac_prevs") as caught:
        tracr_cases.get("frac_prev")
    assert len(str(caught.value)) < 200
