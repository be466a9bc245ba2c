"""The laboratory of recipes: lists, what a run's end is read from, tables, and one real run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts import recipe, recipe_outcomes
from scripts.recipe import Laboratory
from scripts.recipe_outcomes import CERTIFIED, FAILED, TIME_UP, UNCERTIFIED, Job, Outcome
from siit.catalogue import catalogue, is_drawn
from tests.builders.runs import SMALL

LOG = """\
frac_prevs, seed 0: building the causal model
training from step 0 to 10,000 at most: circuit only
step 750: circuit only: 0.9723 of 0.97, passed: everything from here on; loss 0.11; 21.4 steps/s, at most 7 min more
step 1,000: everything: worst subset 0.9980 of 0.999; loss 0.04; 18.1 steps/s, at most 8 min more
step 1,000: every check passed; measuring the certificate on held-out test pairs
"""
COMPLAINT = (
    "siit.train: frac_prevs, seed 0: not certified after 1000 steps; 1 bar falls short:\n  strict_subsets: 0.998\n"
)


def outcome(case: str, ended: str, seconds: float, seed: int = 0) -> Outcome:
    trained = seconds - 10 if ended == CERTIFIED else None
    stood = "step 500: circuit only: 0.9 of 0.97"
    return Outcome(case, seed, ended, 500, trained, seconds, stood, "" if ended == CERTIFIED else "why")


def written(folder: Path, found: Sequence[Outcome], budget: int = 1200) -> Path:
    (folder / recipe_outcomes.RUNS).mkdir(parents=True)
    (folder / recipe_outcomes.RECIPE).write_text(json.dumps({"overrides": [], "budget": budget}))
    for one in found:
        path = folder / recipe_outcomes.RUNS / f"{Job(one.case, one.seed).name}.json"
        path.write_text(json.dumps(dataclasses.asdict(one)))
    return folder


def test_the_lists_are_of_cases_that_exist():
    development, test = recipe.read_list("development"), recipe.read_list("test")
    assert (len(development), len(test)) == (16, 48)
    assert all(job.case in catalogue() or is_drawn(job.case) for job in (*development, *test))
    assert not set(development) & set(test), "no model is in both"
    assert {case.tier for job in development if (case := catalogue().get(job.case))} == {
        "pointwise",
        "single",
        "composed",
        "deep",
    }


def test_what_is_drawn_is_new_and_follows_from_the_seed():
    excluded = [job.case for job in recipe.read_list("development")]
    drawn = recipe.draw(["reverse", "detect_abc"], excluded, 12, seed=3)
    assert drawn[:2] == ["reverse", "detect_abc"] and len(set(drawn)) == 12
    assert not set(drawn[2:]) & set(excluded)
    assert drawn == recipe.draw(["reverse", "detect_abc"], excluded, 12, seed=3)
    assert drawn != recipe.draw(["reverse", "detect_abc"], excluded, 12, seed=4)
    assert set(recipe.draw([], [], 195, seed=0)) == {n for n, case in catalogue().items() if case.family != "ioi"}


def test_a_list_is_a_file_too(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("reverse: [0, 1]  # two\nsquare: [7]\n")
    assert recipe.read_list(str(path)) == [Job("reverse", 0), Job("reverse", 1), Job("square", 7)]
    with pytest.raises(ValueError, match=r"found 'mine', accepted is a file, or one of development, test"):
        recipe.read_list("mine")
    path.write_text("- reverse\n")
    with pytest.raises(ValueError, match="found list, accepted are lines such as"):
        recipe.read_list(str(path))


def test_the_longest_run_is_first():
    jobs = [Job("square", 0), Job("sort_digits", 0), Job("random-deep-0", 0), Job("reverse", 0)]
    assert [job.case for job in recipe.longest_first(jobs)] == ["random-deep-0", "sort_digits", "reverse", "square"]


def test_where_a_run_stood_is_its_last_check():
    check = recipe.last_check(LOG)
    assert check == "step 1,000: everything: worst subset 0.9980 of 0.999; loss 0.04"
    assert recipe.steps_of(check) == 1000
    assert (recipe.last_check("nothing"), recipe.steps_of("")) == ("", None)
    assert recipe.diagnosis(LOG + COMPLAINT) == COMPLAINT.removeprefix("siit.train: ").strip()
    assert recipe.diagnosis("Traceback\nKeyError: 'x'\n") == "KeyError: 'x'"


def test_the_table_counts_failures_at_their_budget(tmp_path: Path):
    found = [outcome("reverse", CERTIFIED, 250), outcome("square", UNCERTIFIED, 40), outcome("ioi", TIME_UP, 1200)]
    folder = written(tmp_path / "a", found)
    text = recipe_outcomes.report(recipe_outcomes.outcomes(folder), recipe_outcomes.budget_of(folder))
    assert "| reverse | 0 | certified | 500 | 240 | 250 |  |" in text
    assert "| square | 0 | not certified | 500 |  | 1,200 | step 500: circuit only: 0.9 of 0.97 |" in text
    assert "1 of 3 certified within 1,200 CPU s each; 2,650 CPU s in all" in text


def test_two_recipes_are_compared_at_one_budget(tmp_path: Path):
    """At 600 s A has certified reverse alone, ioi not yet, and B both."""
    one = [outcome("reverse", CERTIFIED, 250), outcome("ioi", CERTIFIED, 700), outcome("identity", CERTIFIED, 20)]
    other = [outcome("reverse", CERTIFIED, 125), outcome("ioi", CERTIFIED, 300), outcome("square", FAILED, 1)]
    folders = written(tmp_path / "a", one), written(tmp_path / "b", other, 600)
    a, b = map(recipe_outcomes.outcomes, folders)
    text = recipe_outcomes.comparison(a, b, min(map(recipe_outcomes.budget_of, folders)))
    assert text.split("\n") == [
        "| case | seed | A certified | B certified | A, CPU s | B, CPU s | B / A |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| ioi | 0 | no | yes | 600 | 300 | 0.50 |",
        "| reverse | 0 | yes | yes | 250 | 125 | 0.50 |",
        "| all |  | 1 | 2 | 850 | 425 | 0.50 |",
        "",
        "In A alone: identity-seed-0.",
        "",
        "In B alone: square-seed-0.",
    ]


def test_a_folder_is_of_one_recipe(tmp_path: Path):
    Laboratory(tmp_path, ["trainer.batch_size=64"], 60)
    Laboratory(tmp_path, ["trainer.batch_size=64"], 60)
    with pytest.raises(ValueError, match=r"recipe.json: found .*64.*, accepted is .*, or another --out"):
        Laboratory(tmp_path, [], 60)
    with pytest.raises(ValueError, match="found no runs"):
        recipe_outcomes.outcomes(tmp_path)


def test_what_came_to_its_end_is_not_run_again(tmp_path: Path):
    """It would fail: there is no such case."""
    folder = written(tmp_path / "a", [outcome("nonsense", TIME_UP, 1200)])
    Laboratory(folder, [], 1200).run([Job("nonsense", 0)], 1)


@pytest.mark.parametrize("arguments", [["run", "test", "--out", "x", "-m"], ["table", "x", "a=1"], ["run", "test"]])
def test_a_wrong_usage_ends_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        recipe.main(arguments)
    assert end.value.code == 2 and "recipe" in capsys.readouterr().err


@pytest.mark.slow
def test_a_list_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """One run is bundled, but not certified (32 pairs are too few), one fails and is run again, one has no time."""
    small = [text for text in SMALL if not text.startswith(("case=", "seed=", "out="))]
    file, out = tmp_path / "list.yaml", tmp_path / "out"
    file.write_text("frac_prevs: [0]\nnonsense: [0]\n")
    recipe.main(["run", str(file), "--out", str(out), "--jobs", "2", "--budget", "100", *small])
    found = recipe_outcomes.outcomes(out)
    trained, failed = found[Job("frac_prevs", 0)], found[Job("nonsense", 0)]
    assert trained.ended == UNCERTIFIED and trained.steps and trained.training_seconds
    assert trained.training_seconds < trained.seconds
    assert failed.ended == FAILED and "nonsense" in failed.diagnosis
    assert "0 of 2 certified within 100 CPU s each" in capsys.readouterr().out
    recipe.main(["run", str(file), "--out", str(out), "--budget", "100", *small])
    assert capsys.readouterr().out.startswith("nonsense, seed 0: failed")
    recipe.main(["run", str(file), "--out", str(tmp_path / "brief"), "--budget", "1", *small])
    assert recipe_outcomes.outcomes(tmp_path / "brief")[Job("frac_prevs", 0)].ended == TIME_UP
