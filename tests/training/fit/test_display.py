"""What a run says: lines that can be read in a log, and a live line on a terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from siit._text import duration
from siit.training.configuration.settings import read_settings
from siit.training.fit.checkpoints import RunFolder
from siit.training.fit.checks import HOPELESS
from siit.training.fit.display import Display, LiveDisplay
from siit.training.fit.loop import fit
from siit.training.fit.pipeline import train_model
from tests.builders.runs import Compose, plan_of


def test_without_a_terminal_there_is_one_plain_line_for_each_stage_and_check(
    composed: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = iter([(0.25, "is_x"), (0.5, "is_x")])
    monkeypatch.setitem(HOPELESS, "numerical", 1.0)
    monkeypatch.setattr("siit.training.fit.checks.circuit_alone", lambda *arguments: next(alone))
    train_model(composed("trainer.max_steps=30"), Display("a: "))
    said = capsys.readouterr().out
    lines = [line for line in said.splitlines() if line.startswith("a: ")]
    expected = [
        r"building the causal model",
        r"checking it against RASP and Tracr, drawing the alignment",
        r"model: 2 layers of 4 heads, d_model 16, [\d,]+ parameters",
        r"circuit: \d+ nodes and 5 edges; off it: \d+ nodes and \d+ edges",
        rf"device: CPU, 1 thread; model goes to {tmp_path}/frac_prevs/seed-0",
        rf"checkpoints and metrics: {tmp_path}/\.runs/frac_prevs/seed-0",
        r"drawing validation pairs",
        r"training from step 0 to 30 at most: circuit only",
        r"step 10: circuit only: 0\.2500 of 0\.3 \(is_x\); loss \S+; \S+ steps/s, at most \d+ s more",
        r"step 20: circuit only: 0\.5000 of 0\.3, passed: everything from here on; loss .*",
        r"step 30: everything: [\w -]+ 0\.\d{4} of 0\.999[24].*; loss .*, at most 0 s more",
        r"step 30: no step is left; measuring the certificate on held-out test pairs",
        r"\d+ pairs; .*",
        rf"{tmp_path}/frac_prevs/seed-0: NOT certified, 30 steps in .*",
    ]
    assert len(lines) == len(expected)
    for line, pattern in zip(lines, expected):
        assert re.fullmatch(f"a: {pattern}", line), (line, pattern)
    assert not re.search(r"\bnan\b|v_num|epoch|srun|\x1b", said, re.IGNORECASE)


def test_on_a_terminal_a_live_line_shows_phase_step_pace_and_loss(composed: Compose, tmp_path: Path) -> None:
    terminal = io.StringIO()
    display = LiveDisplay(console=Console(file=terminal, force_terminal=True, width=200))
    settings = read_settings(composed("trainer.max_steps=20", "objective.circuit_first=1"))
    folder = RunFolder(tmp_path, "frac_prevs", 0)
    folder.open({}, resume=False)
    fit(plan_of(settings), settings, folder, display=display)
    shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", terminal.getvalue())
    assert re.search(r"circuit only .*step \d+; loss \S+; \S+ steps/s, at most \d+ s more", shown)
    assert "checking step 10" in shown and "checking step 20" in shown
    stays = [line.strip() for line in re.split(r"[\r\n]", shown) if re.match(r"step \d+: ", line)]
    assert [line.partition(":")[0] for line in stays] == ["step 10", "step 20"]
    assert not re.search(r"\bnan\b|v_num|epoch", shown, re.IGNORECASE)


def test_names_of_a_line_are_not_taken_for_markup() -> None:
    terminal = io.StringIO()
    LiveDisplay(console=Console(file=terminal)).say("case.vocab=[a,b] [bold]")
    assert terminal.getvalue() == "case.vocab=[a,b] [bold]\n"


@pytest.mark.parametrize(("seconds", "words"), [(0.0, "0 s"), (89.0, "89 s"), (600.0, "10 min"), (12600.0, "3.5 h")])
def test_times_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
