"""Sweeps: what is done is not done again, what is damaged is, and what fails stops nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

import siit
from siit.bundle import IndexEntry
from siit.evaluation import Evaluation, EvaluationSetting, Results, read_evaluation, read_results
from siit.evaluation.circuits import CIRCUITS
from siit.evaluation.files import FailedJob, write_evaluation, write_results
from siit.evaluation.overview import overview
from siit.evaluation.sweep import EvaluationJob, jobs_of, sweep
from siit.loading import LoadedModel
from tests.builders.evaluations import some, two_models

SETTINGS = [EvaluationSetting(n_pairs=4), EvaluationSetting("plain", "zero", 4, 1)]


class Notes:
    """Keeps what a sweep tells."""

    def __init__(self) -> None:
        self.new: list[str] = []
        self.old: list[str] = []
        self.lost: list[FailedJob] = []
        self.texts: list[str] = []

    def evaluated(self, evaluation: Evaluation, *, again: bool) -> None:
        (self.old if again else self.new).append(f"{evaluation.case} {evaluation.method}")

    def failed(self, failed: FailedJob) -> None:
        self.lost.append(failed)

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_models(tmp_path_factory.mktemp("bundle"))


def run(root: Path, out: Path, *methods: str) -> tuple[Results, Notes, list[str]]:
    notes, loads = Notes(), []

    def load(entry: IndexEntry) -> LoadedModel:
        loads.append(entry.case)
        return siit.load(root, entry.case, entry.seed)

    results = sweep(CIRCUITS, jobs_of(CIRCUITS, siit.list_models(root), methods, SETTINGS), load, out, notes)
    return results, notes, loads


def test_what_is_there_is_not_done_again(root: Path, tmp_path: Path):
    first, notes, loads = run(root, tmp_path, "eap", "labels")
    assert len(notes.new) == len(first.evaluations) == 2 * 2 * 2 and len(loads) == 2
    second, again, loads = run(root, tmp_path, "eap", "labels", "structure")
    assert len(again.old) == 8 and len(again.new) == 4 and len(loads) == 2
    assert set(map(id_of, first.evaluations)) < set(map(id_of, second.evaluations))
    third, last, loads = run(root, tmp_path, "eap", "labels", "structure")
    assert (last.new, loads) == ([], []) and third == second
    assert not list(tmp_path.rglob(".*"))


def id_of(one: Evaluation) -> tuple[object, ...]:
    return one.case, one.method, one.setting, one.seconds


def rewritten(change: Callable[[Evaluation], Evaluation]) -> Callable[[Path], None]:
    return lambda path: write_evaluation(path, change(read_evaluation(path)))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "is damaged"),
        (lambda path: path.write_text("{}"), "is damaged"),
        (lambda path: path.write_text(""), "is damaged"),
        # Of another model under the same name, of another version, of other code, of a method that has changed since.
        (rewritten(lambda one: dataclasses.replace(one, manifest_sha256="0" * 64)), None),
        (rewritten(lambda one: dataclasses.replace(one, version="0.0.0")), None),
        (rewritten(lambda one: dataclasses.replace(one, code_sha256="0" * 64)), None),
        (rewritten(lambda one: dataclasses.replace(one, code_sha256=None)), None),
        (rewritten(lambda one: dataclasses.replace(one, method_sha256="0" * 64)), None),
    ],
)
def test_what_cannot_be_used_is_done_again(
    damage: Callable[[Path], object], told: str | None, root: Path, tmp_path: Path
):
    run(root, tmp_path, "structure")
    path = next(tmp_path.rglob("frac_prevs/**/permuted*.json"))
    whole = read_evaluation(path)
    damage(path)
    _, notes, _ = run(root, tmp_path, "structure")
    assert (len(notes.old), notes.new) == (3, ["frac_prevs structure"])
    assert len(notes.texts) == bool(told) and all(told in text for text in notes.texts if told)
    assert dataclasses.replace(read_evaluation(path), seconds=0.0) == dataclasses.replace(whole, seconds=0.0)


def test_a_method_that_fails_stops_no_other(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "failing_methods.py").write_text(
        "def on_the_small_one(task):\n"
        "    if task.config.n_heads == 3:\n"
        "        raise KeyError('no such\\nhook')\n"
        "    return dict.fromkeys(task.edges, 1.0)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    results, notes, _ = run(root, tmp_path / "out", "failing_methods:on_the_small_one", "structure")
    assert len(results.evaluations) == 6 and len(results.failed) == len(notes.lost) == 2
    assert {one.error for one in results.failed} == {"KeyError: 'no such\\nhook' (failing_methods.py, line 3)"}
    assert {one.case for one in results.failed} != {"frac_prevs"}
    # A second run tries again what failed, and that alone.
    _, again, _ = run(root, tmp_path / "out", "failing_methods:on_the_small_one", "structure")
    assert (len(again.old), len(again.new), len(again.lost)) == (6, 0, 2)


def test_a_model_that_cannot_be_loaded_stops_no_other(root: Path, tmp_path: Path):
    notes = Notes()

    def load(entry: IndexEntry) -> LoadedModel:
        if entry.case == "frac_prevs":
            raise ValueError("model.safetensors: damaged")
        return siit.load(root, entry.case, entry.seed)

    results = sweep(CIRCUITS, jobs_of(CIRCUITS, siit.list_models(root), ["structure"], SETTINGS), load, tmp_path, notes)
    assert len(results.evaluations) == 2
    assert [one.error for one in results.failed] == ["model.safetensors: damaged"] * 2


def test_a_method_that_changed_is_another(tmp_path: Path, root: Path):
    entry = siit.list_models(root)[0]
    job = EvaluationJob(entry, "mine:method", "a" * 64, SETTINGS[0])
    assert job.file(tmp_path).parent.name == "mine.method"
    found = dataclasses.replace(
        some(),
        case=entry.case,
        model_seed=entry.seed,
        manifest_sha256=entry.manifest_sha256,
        method="mine:method",
        method_sha256="a" * 64,
        setting=SETTINGS[0],
    )
    assert job.is_of(found) and not job.is_of(dataclasses.replace(found, method_sha256="b" * 64))


def test_unknown_methods_are_named_before_anything_runs():
    with pytest.raises(ValueError, match="method: found 'epa'; did you mean eap"):
        jobs_of(CIRCUITS, [], ["structure", "epa"], SETTINGS)


def test_results_are_read_as_they_were_written(tmp_path: Path):
    failed = FailedJob("reverse", 1, "mine:method", SETTINGS[1], "no")
    results = Results((some(), dataclasses.replace(some(), case="other")), (failed,), overview([some()]))
    write_results(tmp_path / "results.json", results)
    found = read_results(tmp_path / "results.json")
    assert found == dataclasses.replace(
        results, evaluations=tuple(dataclasses.replace(one, scores={}) for one in results.evaluations)
    )
    text = (tmp_path / "results.json").read_text()
    for old, new, message in (
        ("siit-results/1", "siit-results/9", r"results.json: format: found another one"),
        ('"model_seed": 1', '"model_seed": "1"', r"results.json: failed\[0\].model_seed: found '1'"),
        ('"error": "no"', '"errors": "no"', r"results.json: failed\[0\]: found no error"),
    ):
        assert old in text
        (tmp_path / "results.json").write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=message):
            read_results(tmp_path / "results.json")


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path):
    path = tmp_path / "one.json"
    write_evaluation(path, some())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_evaluation(path, dataclasses.replace(some(), seconds=float("nan")))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
