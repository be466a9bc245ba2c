"""The garbage collector while modules are imported."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from siit._imports import kept_for_good


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    collects = gc.isenabled()
    yield
    gc.unfreeze()
    gc.enable() if collects else gc.disable()


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_is_off_and_then_as_it_was(collects: bool):
    gc.enable() if collects else gc.disable()
    with kept_for_good():
        assert not gc.isenabled()
    assert gc.isenabled() is collects


def test_what_was_made_is_never_looked_at_again():
    with kept_for_good():
        made: list[object] = []
        made.append(made)
    assert gc.get_freeze_count() > 0
    assert not any(one is made for one in gc.get_objects())


def test_an_import_that_fails_leaves_it_on():
    gc.enable()
    with pytest.raises(ImportError), kept_for_good():
        raise ImportError
    assert gc.isenabled()
