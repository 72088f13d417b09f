from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.budget import REMEMBERED, Ledger, add, decide, format_limit, ledger_of, parse_limit, remembered
from hub.types import Budget, Detections, RateLimit, Sample, Score
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


def _sample(name, at, vector=None, camera="porch", control=False):
    no_box = (0.0, 0.0, 1.0, 1.0)
    return Sample(
        1, "birds", 1, name, camera, at, (1, 1), no_box, Score(0.9), "", Detections.empty(), vector, control=control
    )


def _taken_with_restart(budget, stream, cut):
    ledger, taken = Ledger(), []
    for i, (at, angle, camera) in enumerate(stream):
        if i == cut:
            ledger = ledger_of(taken, budget, taken=len(taken))
        vector = unit([np.cos(angle), np.sin(angle)])[0] if angle else None
        entry = {"frame_id": str(i), "taken_at": float(at), "camera": camera, "vector": vector}
        if decide(Score(1.0), budget, ledger, **entry).keep:
            ledger = add(ledger, budget, **entry)
            taken.append(_sample(str(i), float(at), vector, camera))
    return [sample.frame_id for sample in taken]


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 40), st.sampled_from("ab")), max_size=40),
    st.integers(0, 40),
)
def test_a_ledger_made_of_its_samples_decides_as_the_one_that_was_lost(stream, cut):
    limits = RateLimit(9, 100), RateLimit(4, 100, per_camera=True)
    budget = Budget(0.0, limits, duplicate_distance=0.002, duplicate_s=50)
    assert _taken_with_restart(budget, stream, cut) == _taken_with_restart(budget, stream, None)


def test_a_limit_per_camera_leaves_room_for_the_others():
    budget = Budget(0.0, (RateLimit(1, 10, per_camera=True),))
    ledger = add(Ledger(), budget, frame_id="a", taken_at=0.0, vector=None, camera="porch")
    same, other = (
        decide(Score(1.0), budget, ledger, frame_id="b", taken_at=1.0, vector=None, camera=camera)
        for camera in ("porch", "gate")
    )
    assert not same.keep and "1/10 seconds/camera" in same.reason
    assert other.keep


def test_a_limit_per_camera_remembers_enough_for_many_cameras():
    assert remembered(Budget(limits=(RateLimit(20, 3600, per_camera=True),))) == 20 * 256
    assert remembered(Budget(limits=(RateLimit(10**9, 3600, per_camera=True),))) == 65_536
    assert remembered(Budget(limits=(RateLimit(5000, 3600),))) == 5000
    assert remembered(Budget()) == REMEMBERED


@pytest.mark.parametrize(
    ("apart_s", "duplicate_s", "keep"),
    [(0, 0, False), (1e6, 0, False), (99, 100, False), (-99, 100, False), (100, 100, True), (-100, 100, True)],
)
def test_a_near_duplicate_is_one_only_within_its_time(apart_s, duplicate_s, keep):
    budget, look = Budget(0.0, duplicate_distance=0.1, duplicate_s=duplicate_s), unit([1, 0])[0]
    ledger = add(Ledger(), budget, frame_id="a", taken_at=1e7, vector=look)
    said = decide(Score(1.0), budget, ledger, frame_id="b", taken_at=1e7 + apart_s, vector=look)
    assert said.keep is keep


def test_a_sample_without_a_vector_is_like_nothing():
    budget, look = Budget(0.0, duplicate_distance=2.0), unit([1, 0])[0]
    assert _take(budget, [("a", 0, 1, None), ("b", 1, 1, None), ("c", 2, 1, look), ("d", 3, 1, None)]) == list("abcd")


def test_vectors_of_a_new_model_take_the_place_of_the_old():
    budget = Budget(0.0, duplicate_distance=0.1)
    old, new = unit([1, 0])[0], unit([1, 0, 0])[0]
    stream = [("a", 0, 1, old), ("b", 1, 1, new), ("c", 2, 1, new), ("d", 3, 1, old)]
    assert _take(budget, stream) == ["a", "b", "d"]


def test_control_draws_leave_no_trace():
    budget = Budget(limits=(RateLimit(1, 100),))
    ledger = ledger_of([_sample("a", 0.0, control=True)], budget, taken=0)
    assert not ledger.frames and not len(ledger.times)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_a_score_that_is_no_number_is_never_taken(threshold):
    said = decide(Score(float("nan")), Budget(threshold), Ledger(), frame_id="a", taken_at=0, vector=None)
    assert not said.keep and "not a number" in said.reason


@pytest.mark.parametrize(
    ("value", "threshold", "keep"), [(0.0, 0.0, True), (1.0, 1.0, True), (np.nextafter(1.0, 0.0), 1.0, False)]
)
def test_threshold_0_takes_all_and_1_only_the_highest(value, threshold, keep):
    assert decide(Score(value), Budget(threshold), Ledger(), frame_id="a", taken_at=0, vector=None).keep is keep


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("20/hour", RateLimit(20, 3600)),
        ("5/minute", RateLimit(5, 60)),
        ("1/day", RateLimit(1, 86400)),
        ("3/10s", RateLimit(3, 10)),
        ("2 / 2 hours", RateLimit(2, 7200)),
        ("3/week", RateLimit(3, 604800)),
        ("5/hour/camera", RateLimit(5, 3600, per_camera=True)),
        ("5/hour per camera", RateLimit(5, 3600, per_camera=True)),
        ("5 / 10 min / camera", RateLimit(5, 600, per_camera=True)),
        ("2/10s/camera", RateLimit(2, 10, per_camera=True)),
    ],
)
def test_limits_are_read_and_written(text, limit):
    assert parse_limit(text) == limit
    assert parse_limit(format_limit(limit)) == limit


@pytest.mark.parametrize(
    "text", ["", "20", "hour", "0/hour", "-1/hour", "20/fortnight", "a/hour", "1/0s", "5/hour/node", "5/hourcamera"]
)
def test_what_is_no_limit_is_refused_with_an_example(text):
    with pytest.raises(InvalidInput, match="20/hour"):
        parse_limit(text)


def test_vectors_of_another_length_are_never_compared():
    budget = Budget(duplicate_distance=0.5)
    ledger = add(Ledger(), budget, frame_id="a", taken_at=0, vector=unit([1, 0])[0])
    said = decide(Score(1.0), budget, ledger, frame_id="b", taken_at=1, vector=unit([1, 0, 0])[0])
    assert said.keep
    assert replace(ledger, taken=5).taken == 5
