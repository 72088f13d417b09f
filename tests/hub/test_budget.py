from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.budget import REMEMBERED, Ledger, add, decide, format_limit, ledger_of, parse_limit
from hub.types import Budget, RateLimit, Score
from shared.errors import InvalidInput
from tests.hub.making import unit


def _take(budget, stream):
    """Which of (frame, time, score, vector) are taken, in order."""
    ledger, taken = Ledger(), []
    for name, at, value, vector in stream:
        said = decide(Score(value), budget, ledger, frame_id=name, taken_at=at, vector=vector)
        if said.keep:
            taken.append(name)
            ledger = add(ledger, budget, frame_id=name, taken_at=at, vector=vector)
    return taken


@pytest.mark.parametrize(("value", "keep"), [(0.5, True), (0.4999, False), (1.0, True), (0.0, False)])
def test_a_score_on_the_threshold_is_taken(value, keep):
    said = decide(Score(value), Budget(0.5), Ledger(), frame_id="a", taken_at=0, vector=None)
    assert said.keep is keep
    assert "threshold 0.500" in said.reason


def test_no_more_than_the_limit_in_any_window():
    budget = Budget(0.5, (RateLimit(2, 10),))
    stream = [(str(t), float(t), 0.9, None) for t in range(0, 30, 3)]
    assert _take(budget, stream) == ["0", "3", "12", "15", "24", "27"]


# Whole seconds, in which the test's own arithmetic is exact.
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(1, 5), st.integers(1, 300))
def test_whatever_comes_no_window_holds_more_than_the_limit(times, count, per_s):
    budget = Budget(0.0, (RateLimit(count, per_s),))
    taken = [float(t) for t in _take(budget, [(str(t), float(t), 1.0, None) for t in dict.fromkeys(times)])]
    for end in taken:
        assert sum(1 for t in taken if end - per_s < t <= end) <= count


def test_the_same_frame_is_taken_once():
    assert _take(Budget(), [("a", 0, 0.9, None), ("a", 5, 0.9, None)]) == ["a"]


def test_stop_after_counts_what_was_taken():
    assert _take(Budget(stop_after=2), [(n, i, 0.9, None) for i, n in enumerate("abcd")]) == ["a", "b"]


def test_near_duplicates_are_left_out_and_distinct_ones_taken():
    a, b = unit([1, 0])[0], unit([0, 1])[0]
    almost_a = unit([1, 0.1])[0]
    stream = [("a", 0, 0.9, a), ("a2", 1, 0.9, almost_a), ("b", 2, 0.9, b)]
    assert _take(Budget(duplicate_distance=0.05), stream) == ["a", "b"]
    assert _take(Budget(), stream) == ["a", "a2", "b"]


def test_an_old_sample_is_forgotten_but_still_counted():
    ledger, budget = Ledger(), Budget(duplicate_distance=0.1)
    for i in range(REMEMBERED + 10):
        angle = unit([np.cos(i), np.sin(i)])[0]
        ledger = add(ledger, budget, frame_id=str(i), taken_at=float(i), vector=angle)
    assert len(ledger.vectors) == len(ledger.times) == REMEMBERED
    assert ledger.taken == REMEMBERED + 10


def test_a_restarted_ledger_decides_as_the_one_that_was_lost():
    from hub.pipeline import Memory, judge
    from hub.target import SeedTarget
    from tests.hub.making import observation, version

    budget = Budget(0.1, (RateLimit(3, 100),), duplicate_distance=0.01)
    target = SeedTarget(version(budget=budget), None)
    seen = [
        observation(("bird", 0.9), vectors=[[np.cos(i), np.sin(i)]], content=str(i), at=20.0 * i) for i in range(12)
    ]
    whole = judge(seen, [target], Memory(), now=0)
    first = judge(seen[:5], [target], Memory(), now=0)
    restarted = Memory({1: ledger_of(first.samples, budget, taken=len(first.samples))})
    second = judge(seen[5:], [target], restarted, now=0)
    assert [s.id for s in (*first.samples, *second.samples)] == [s.id for s in whole.samples]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("20/hour", RateLimit(20, 3600)),
        ("5/minute", RateLimit(5, 60)),
        ("1/day", RateLimit(1, 86400)),
        ("3/10s", RateLimit(3, 10)),
        ("2 / 2 hours", RateLimit(2, 7200)),
    ],
)
def test_limits_are_read_and_written(text, limit):
    assert parse_limit(text) == limit
    assert parse_limit(format_limit(limit)) == limit


@pytest.mark.parametrize("text", ["", "20", "hour", "0/hour", "-1/hour", "20/fortnight", "a/hour", "1/0s"])
def test_what_is_no_limit_is_refused_with_an_example(text):
    with pytest.raises(InvalidInput, match="20/hour"):
        parse_limit(text)


def test_vectors_of_another_length_are_never_compared():
    budget = Budget(duplicate_distance=0.5)
    ledger = add(Ledger(), budget, frame_id="a", taken_at=0, vector=unit([1, 0])[0])
    said = decide(Score(1.0), budget, ledger, frame_id="b", taken_at=1, vector=unit([1, 0, 0])[0])
    assert said.keep
    assert replace(ledger, taken=5).taken == 5
