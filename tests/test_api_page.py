"""docs/api.md: its code blocks run, in order, and say what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import siit
from tests.builders import handmade

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "api.md").read_text()


@pytest.mark.slow
@pytest.mark.ci
def test_the_blocks_run(tmp_path: Path):
    names: dict[str, Any] = {}
    *blocks, last = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    for block in blocks:
        exec(compile(block, "docs/api.md", "exec"), names)
    m = names["m"]
    assert m.predict(["x", "a", "x"]) == pytest.approx([1.0, 0.5, 0.67], abs=0.02)
    assert m.model(names["tokens"]).shape == (1, m.config.n_ctx, 1)
    assert names["found"].average_precision == 1.0
    assert names["result"].edge["visible"].average_precision > 0.5

    assert "verify(m.bundle" in last
    handmade.put(tmp_path)
    names["m"] = siit.load(tmp_path, "previous_is_x")  # verified in seconds
    exec(compile(last, "docs/api.md", "exec"), names)
    assert names["verification"].certified
