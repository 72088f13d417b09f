"""Errands: made again and again beside collecting, whatever goes wrong in them."""

import logging
import threading
import time

import pytest

from hub import errands
from hub.errands import Errand, running
from shared.errors import BowerbirdError


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(errands, "FIRST_S", 0.0)
    monkeypatch.setattr(errands, "GIVE_UP_S", 0.2)


def _rounds(fail: Exception | None, at_least: int) -> int:
    """How often an errand that fails was made until `at_least` rounds were."""
    made, enough = [], threading.Event()

    def run() -> None:
        made.append(1)
        if len(made) >= at_least:
            enough.set()
        if fail:
            raise fail

    with running([Errand("looking", 0.001, run)]):
        assert enough.wait(10)
    return len(made)


def test_an_errand_is_made_again_and_again():
    assert _rounds(None, 3) >= 3


@pytest.mark.parametrize("error", [BowerbirdError("no network"), ZeroDivisionError("a bug")])
def test_one_that_fails_is_made_again(error):
    assert _rounds(error, 3) >= 3


def test_the_same_failure_is_said_once(caplog):
    with caplog.at_level(logging.WARNING):
        _rounds(BowerbirdError("no network", hint="Plug it in."), 5)
    (said,) = [record.getMessage() for record in caplog.records]
    assert "looking" in said
    assert "Plug it in." in said


def test_one_that_hangs_does_not_keep_the_hub_from_stopping():
    hanging = threading.Event()
    began = time.monotonic()
    with running([Errand("waiting", 1.0, hanging.wait)]):
        time.sleep(0.05)
    assert time.monotonic() - began < 5
    hanging.set()
