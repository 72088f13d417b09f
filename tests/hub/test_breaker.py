"""When a destination is left alone, and how fast it is served."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.breaker import LONGEST_S, PAUSES, RESTS, TROUBLES, Breaker, Tokens
from hub.deliveries import SinkHealth, SinkState
from hub.types import RateLimit

FRESH = Breaker(SinkHealth("folder"))


def half():
    return 0.5


def resting(now=100.0, after_s=None):
    """A destination that just was in trouble once too often."""
    breaker = FRESH
    for _ in range(TROUBLES):
        breaker = breaker.troubled("away", now, half, after_s)
    return breaker


# ── the breaker ──────────────────────────────────────────────────────────────────────────────────────


def test_a_few_troubles_do_not_close_a_destination_and_what_works_between_starts_the_count_again():
    breaker = FRESH
    for _ in range(3):
        for _ in range(TROUBLES - 1):
            breaker = breaker.troubled("away", 100, half)
        assert breaker.is_open
        breaker = breaker.worked(100)
    assert breaker == FRESH


def test_so_many_in_a_row_let_it_rest_until_a_time():
    breaker = resting(now=100)
    assert breaker.health == SinkHealth("folder", SinkState.RESTING, "away", 100, 100 + RESTS.delay(1, half))
    assert breaker.is_resting(100) and breaker.is_resting(breaker.health.until - 0.01)
    assert not breaker.is_resting(breaker.health.until)
    assert not breaker.is_open, "one may be tried, not all"


def test_rests_grow_and_say_since_when_until_something_works():
    breaker, waits, now = resting(), [], 100.0
    for _ in range(12):
        waits.append(breaker.health.until - now)
        now = breaker.health.until
        breaker = breaker.troubled("still away", now, half)
    assert waits == sorted(waits)
    assert waits[-1] == RESTS.delay(99, half) < RESTS.cap_s
    assert breaker.health.since == 100
    assert breaker.worked(now) == Breaker(SinkHealth("folder", since=now))


@pytest.mark.parametrize(("after_s", "wait_s"), [(60, 60), (0.1, RESTS.delay(1, half)), (1e15, LONGEST_S)])
def test_a_longer_wait_that_the_destination_asks_for_holds_for_all_of_it(after_s, wait_s):
    assert resting(100, after_s).health.until == 100 + wait_s


def test_a_destination_that_needs_a_person_is_tried_ever_more_rarely():
    breaker = FRESH.paused("the key was revoked", 100, half)
    assert breaker.health == SinkHealth(
        "folder", SinkState.PAUSED, "the key was revoked", 100, 100 + PAUSES.delay(1, half)
    )
    for _ in range(9):
        breaker = breaker.paused("the key was revoked", 200, half)
    assert breaker.health.until == 200 + PAUSES.delay(10, half)
    assert FRESH.paused("not set up", 100, half, rest_s=30).health.until == 130


def test_trouble_of_another_kind_is_a_new_state():
    assert resting(100).paused("no key", 150, half).health.since == 150
    assert FRESH.paused("no key", 100, half).troubled("away", 150, half).health.state is SinkState.RESTING


def test_a_person_can_have_it_tried_at_once():
    assert not resting(100).roused().is_resting(100)
    assert not resting(100).roused().is_open


def test_a_clock_that_was_set_back_makes_no_rest_longer():
    breaker = resting(100)
    assert not breaker.is_resting(100 - 3600)


def test_a_new_process_goes_by_what_was_recorded():
    left = resting(100).health
    assert Breaker.recorded(left, 101).is_resting(101)
    assert not Breaker.recorded(left, left.until).is_resting(left.until)
    assert Breaker.recorded(SinkHealth("folder"), 5).is_open
    far = replace(left, until=1e12)
    assert Breaker.recorded(far, 100).health.until == 100 + LONGEST_S


# ── the pace ─────────────────────────────────────────────────────────────────────────────────────────


@given(
    count=st.integers(1, 60),
    per_s=st.floats(0.1, 100),
    gaps=st.lists(st.floats(0, 30), min_size=1, max_size=200),
)
def test_no_window_ever_has_more_than_the_rate_allows(count, per_s, gaps):
    tokens, now, sent = Tokens(RateLimit(count, per_s), at=0.0), 0.0, []
    for gap in gaps:
        now += gap
        tokens = tokens.later(now)
        while tokens.held >= 1:
            tokens = tokens.take()
            sent.append(now)
    for i, first in enumerate(sent):
        assert sum(first <= at < first + per_s * (1 - 1e-9) for at in sent[i:]) <= count


@pytest.mark.parametrize("count", [1, 2, 10, 100, 1000])
def test_over_time_nearly_the_whole_rate_is_used(count):
    tokens, sent = Tokens(RateLimit(count, 1.0), at=0.0), 0
    for step in range(1, 20_001):
        tokens = tokens.later(step / 1000)
        while tokens.held >= 1:
            tokens, sent = tokens.take(), sent + 1
    assert sent >= 0.88 * 20 * count


def test_it_starts_empty_and_says_how_long_to_wait():
    tokens = Tokens(RateLimit(1, 60.0), at=5.0)
    assert tokens.wait_s == 60.0
    assert tokens.later(35.0).wait_s == 30.0
    assert tokens.later(65.0).wait_s == 0.0
    assert tokens.later(1e9).held == 1.0
    assert tokens.later(35.0).later(20.0) == tokens.later(35.0), "time does not go back"


@pytest.mark.parametrize("limit", [RateLimit(0, 1.0), RateLimit(1, 0.0)])
def test_a_rate_of_nothing_is_a_mistake(limit):
    with pytest.raises(ValueError, match="a rate needs"):
        Tokens(limit, at=0.0)
