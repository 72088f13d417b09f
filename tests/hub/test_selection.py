import math
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.budget import GRACE_S, Ledger, ledger_of, rank, remembered
from hub.bursts import MOST_LINKED
from hub.rarity import score_of_rarity
from hub.selection import changes, close, offer, threshold_now
from hub.tally import is_drawn
from hub.types import Budget, Detections, RateLimit, Sample, Score, Stage
from tests.hub.making import unit

NONE = Detections.empty()
DAY, HOUR = 86400.0, 3600.0
NOON = datetime(2026, 11, 21, 12, tzinfo=ZoneInfo("UTC")).timestamp()


def sample(name="a", score=0.9, at=NOON, camera="porch", vector=None):
    box = (0.0, 0.0, 1.0, 1.0)
    return Sample(1, "birds", 1, str(name), camera, at, (1, 1), box, Score(score, why="bird"), "", NONE, vector)


def run(budget, stream, ledger=None, timezone="", now=None):
    """Offer all, closing what is over after each; the ledger, what was released and the decisions."""
    ledger, released, decisions = ledger or Ledger(), [], []
    for one in stream:
        at = one.taken_at if now is None else now
        ledger, more, said = offer(ledger, budget, timezone, one, now=at)
        ledger, ended = close(ledger, budget, timezone, now=at)
        released += more + ended
        decisions.append(said)
    return ledger, released, decisions


def finish(budget, stream, **how):
    """What is released of a stream in all."""
    ledger, released, _ = run(budget, stream, **how)
    return released + close(ledger, budget, how.get("timezone", ""), now=math.inf)[1]


def names(samples):
    return [s.frame_id for s in samples]


# ── one frame at a time ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("score", "threshold", "keep"),
    [(0.5, 0.5, True), (0.4999, 0.5, False), (0.0, 0.0, True), (1.0, 1.0, True), (0.9999, 1.0, False)],
)
def test_a_frame_on_the_threshold_is_taken(score, threshold, keep):
    _, released, (said,) = run(Budget(threshold), [sample(score=score)])
    assert said.keep is keep and len(released) == keep
    assert "threshold" in said.reason and "bird" in said.reason


def test_what_is_taken_says_why_and_when():
    ledger, released, said = offer(Ledger(), Budget(), "", sample(score=0.9), now=77.0)
    assert (released[0].reason, released[0].created_at) == (said.reason, 77.0)
    assert said.reason == "score 0.900 reaches the threshold 0.500: bird"
    assert ledger.taken == 1


@pytest.mark.parametrize("budget", [Budget(0), Budget(0, control=1.0), Budget(0, target=RateLimit(1, DAY))])
def test_a_score_that_is_no_number_is_never_taken_not_even_as_control(budget):
    ledger, released, (said,) = run(budget, [sample(score=math.nan)])
    assert not released and not ledger.held and not said.keep
    assert "not a number" in said.reason


@pytest.mark.parametrize(
    "budget", [Budget(), Budget(target=RateLimit(2, DAY)), Budget(burst_s=10), Budget(burst_s=10, control=1.0)]
)
def test_the_same_frame_is_taken_or_held_once(budget):
    assert names(finish(budget, [sample("a"), sample("a", at=NOON + 2), sample("a", at=NOON + 60)])) == ["a"]


@pytest.mark.parametrize(
    ("budget", "word"),
    [
        (Budget(0.95), "threshold"),
        (Budget(stop_after=1), "has its 1 samples"),
        (Budget(limits=(RateLimit(1, HOUR),)), "1/hour"),
        (Budget(duplicate_distance=0.1), "near-duplicate"),
        (Budget(target=RateLimit(1, DAY)), "not among the best"),
        (Budget(target=RateLimit(2, DAY), duplicate_distance=0.1), "near-duplicate"),
        (Budget(burst_s=10), "same event"),
    ],
)
def test_every_refusal_says_why(budget, word):
    look = unit([1, 0])[0]
    stream = [sample("a", vector=look), sample("b", score=0.8, at=NOON + 1, vector=look)]
    assert word in run(budget, stream)[2][1].reason
    assert not run(budget, stream)[2][1].keep


def test_every_scored_frame_enters_the_tally_of_its_camera():
    stream = [sample(i, score=0.1, at=NOON + i, camera="ab"[i % 2]) for i in range(5)]
    ledger, _, _ = run(Budget(0.5), stream)
    assert {camera: tally.seen for camera, tally in ledger.tallies.items()} == {"a": 3, "b": 2}


def test_frames_without_vectors_are_near_duplicates_of_nothing():
    budget = Budget(duplicate_distance=0.5, target=RateLimit(5, DAY), variety=0.5)
    stream = [sample("a"), sample("b", vector=unit([1, 0])[0]), sample("c"), sample("d", vector=unit([1, 0, 0])[0])]
    assert sorted(names(finish(budget, stream))) == ["a", "b", "c", "d"]


# ── windows ──────────────────────────────────────────────────────────────────────────────────────────

STREAMS = st.lists(
    st.tuples(st.integers(0, 20), st.floats(0, 3600), st.sampled_from("abc")), min_size=1, max_size=60
).map(lambda rows: [sample(i, score / 20, NOON + at, camera) for i, (score, at, camera) in enumerate(rows)])


def best(stream, count, own=None):
    """The N best by sorting them all, at most `own` of a camera."""
    chosen = []
    for one in sorted(stream, key=rank):
        if len(chosen) < count and sum(c.camera == one.camera for c in chosen) < (own or count):
            chosen.append(one)
    return chosen


@given(STREAMS, st.integers(1, 8), st.one_of(st.none(), st.integers(1, 4)))
def test_a_window_takes_exactly_the_best_best_first_in_whatever_order_they_come(stream, count, own):
    budget = Budget(0.0, target=RateLimit(count, DAY), per_camera=own)
    assert names(finish(budget, stream, now=NOON)) == names(best(stream, count, own))


@given(STREAMS, st.integers(1, 4))
def test_a_target_per_camera_is_a_window_for_each(stream, count):
    budget = Budget(0.0, target=RateLimit(count, DAY, per_camera=True))
    expected = [n for c in "abc" for n in names(best([s for s in stream if s.camera == c], count))]
    assert sorted(names(finish(budget, stream, now=NOON))) == sorted(expected)


@given(STREAMS, st.integers(1, 4))
def test_no_more_is_held_than_the_window_takes(stream, count):
    ledger, _, _ = run(Budget(0.0, target=RateLimit(count, DAY)), stream, now=NOON)
    assert len(ledger.held) == min(count, len(stream))


def test_of_equal_scores_the_earlier_frame_wins():
    stream = [sample("late", at=NOON + 9), sample("early", at=NOON), sample("later", at=NOON + 20)]
    assert names(finish(Budget(target=RateLimit(1, DAY)), stream, now=NOON)) == ["early"]


def test_a_window_says_what_it_chose_from():
    stream = [sample(i, score=i / 10, at=NOON + i) for i in range(10)]
    first, last = finish(Budget(0.3, target=RateLimit(2, DAY)), stream)
    assert first.reason == "among the best 2 of the day (score 0.90, the least of them 0.80)"
    assert "score 0.80" in last.reason


def test_a_window_closes_when_it_is_over_and_a_little_later():
    budget = Budget(target=RateLimit(2, HOUR))
    ledger, _, (said,) = run(budget, [sample("a")])
    assert said.keep and "held" in said.reason
    for now, released in [(NOON, 0), (NOON + HOUR + GRACE_S - 1, 0), (NOON + HOUR + GRACE_S, 1)]:
        assert len(close(ledger, budget, "", now=now)[1]) == released
    assert close(ledger, budget, "", now=NOON + HOUR + GRACE_S)[0].held == ()


def test_a_frame_in_time_joins_the_old_window_and_a_late_one_the_present():
    budget = Budget(target=RateLimit(9, HOUR))
    ledger = Ledger()
    for name, at, now in [
        ("in time", NOON - 2, NOON + 3),
        ("late", NOON - 2, NOON + 60),
        ("clock ahead", NOON + 9 * HOUR, NOON + 60),
        ("clock at nothing", 0.0, NOON + 60),
        ("usual", NOON + 60, NOON + 60),
    ]:
        ledger, _, _ = offer(close(ledger, budget, "", now=now)[0], budget, "", sample(name, at=at), now=now)
        if name == "in time":
            assert [h.until for h in ledger.held] == [NOON]
    assert [h.until for h in ledger.held] == [NOON + HOUR] * 4


def test_nothing_is_held_for_ever_when_the_hubs_clock_is_set_back():
    budget = Budget(target=RateLimit(9, DAY), burst_s=10)
    ledger, _, _ = run(budget, [sample("a"), sample("b", at=NOON + 60)])
    assert {h.stage for h in ledger.held} == {Stage.BURST, Stage.WINDOW}
    ledger, released = close(ledger, budget, "", now=NOON - 365 * DAY)
    assert sorted(names(released)) == ["a", "b"] and ledger.held == ()


def test_a_window_of_a_target_that_is_no_more_is_released():
    ledger, _, _ = run(Budget(target=RateLimit(9, DAY)), [sample("a")])
    ledger, released = close(ledger, Budget(), "", now=NOON)
    assert names(released) == ["a"] and ledger.held == ()


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 29, 23), (10, 25, 25), (11, 21, 24)])
def test_the_window_of_a_day_is_as_long_as_the_day_is_there(month, day, hours):
    zone = "Europe/Berlin"
    midnight = datetime(2026, month, day, tzinfo=ZoneInfo(zone)).timestamp()
    every_hour = [sample(i, at=midnight + i * HOUR, score=0.6 + i / 100) for i in range(30)]
    ledger, released, _ = run(Budget(target=RateLimit(1, DAY)), every_hour, timezone=zone)
    assert names(released) == [str(hours - 1)]
    assert names(h.sample for h in ledger.held) == ["29"]


def test_of_two_near_duplicates_in_a_window_the_better_is_kept():
    look, near, other = unit([1, 0])[0], unit([1, 0.1])[0], unit([0, 1])[0]
    stream = [sample("a", 0.7, vector=look), sample("b", 0.9, vector=near), sample("c", 0.8, vector=look)]
    stream.append(sample("d", 0.6, vector=other))
    budget = Budget(duplicate_distance=0.05, target=RateLimit(3, DAY))
    assert names(finish(budget, stream)) == ["b", "d"]


def test_limits_leave_the_best_of_each_period_of_a_window():
    budget = Budget(0.0, (RateLimit(1, HOUR),), target=RateLimit(4, DAY))
    stream = [sample(i, score, NOON + i * 1800) for i, score in enumerate([0.5, 0.9, 0.8, 0.7])]
    assert names(finish(budget, stream)) == ["1", "3"]


def test_stop_after_bounds_what_a_window_releases():
    budget = Budget(0.0, stop_after=2, target=RateLimit(4, DAY))
    assert names(finish(budget, [sample(i, i / 10) for i in range(6)])) == ["5", "4"]


def test_variety_takes_the_unlike_before_the_slightly_better():
    look, other = unit([1, 0])[0], unit([0, 1])[0]
    stream = [sample("a", 0.9, vector=look), sample("b", 0.89, vector=look), sample("c", 0.7, vector=other)]
    chosen = {v: names(finish(Budget(target=RateLimit(2, DAY), variety=v), stream)) for v in (0.0, 0.1, 0.5)}
    assert chosen == {0.0: ["a", "b"], 0.1: ["a", "b"], 0.5: ["a", "c"]}


def test_variety_looks_at_what_was_taken_before():
    look, other = unit([1, 0])[0], unit([0, 1])[0]
    budget = Budget(target=RateLimit(1, HOUR), variety=0.5)
    stream = [sample("first", 0.9, vector=look), sample("alike", 0.9, NOON + HOUR, vector=look)]
    stream.append(sample("other", 0.8, NOON + HOUR + 1, vector=other))
    assert names(finish(budget, stream)) == ["first", "other"]


def test_a_pool_for_variety_keeps_the_shares_of_cameras():
    budget = Budget(0.0, target=RateLimit(4, DAY), per_camera=1, variety=0.3)
    stream = [sample(i, i / 100, camera="abc"[i % 3], vector=unit([1, i])[0]) for i in range(60)]
    ledger, _, _ = run(budget, stream)
    assert len(ledger.held) <= 16
    assert sorted(s.camera for s in finish(budget, stream)) == ["a", "b", "c"]


# ── bursts ───────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_gives_its_best_frame_and_the_others_linked_to_it():
    scores = [0.6, 0.9, 0.7, 0.3, 0.8]
    stream = [sample(i, score, NOON + i) for i, score in enumerate(scores)]
    (only,) = finish(Budget(0.5, burst_s=5), stream)
    assert only.frame_id == "1"
    assert sorted((one.frame_id, one.value) for one in only.linked) == [("0", 0.6), ("2", 0.7), ("4", 0.8)]
    assert "the best of 4 frames of an event of 4 s" in only.reason


@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 9)), min_size=1, max_size=40))
def test_events_are_what_lies_less_than_burst_s_apart(rows):
    stream = [sample(i, s / 10, NOON + t) for i, (t, s) in enumerate(sorted(rows, key=lambda row: row[0]))]
    events = []
    for one in stream:
        if events and one.taken_at - events[-1][-1].taken_at < 5:
            events[-1].append(one)
        else:
            events.append([one])
    released = finish(Budget(0.0, burst_s=5), stream)
    assert names(released) == [min(event, key=rank).frame_id for event in events]
    assert [len(s.linked) + 1 for s in released] == [len(event) for event in events]


def test_cameras_have_their_own_events():
    stream = [sample(i, 0.9, NOON + i, camera="ab"[i % 2]) for i in range(6)]
    assert sorted(s.camera for s in finish(Budget(burst_s=10), stream)) == ["a", "b"]


def test_a_burst_counts_once_against_limits_and_stop_after():
    budget = Budget(0.5, (RateLimit(2, HOUR),), stop_after=2, burst_s=5)
    stream = [sample(f"{event}.{i}", 0.9, NOON + 100 * event + i) for event in range(4) for i in range(4)]
    assert names(finish(budget, stream)) == ["0.0", "1.0"]


def test_an_event_without_end_is_cut():
    stream = [sample(i, 0.6, NOON + i) for i in range(1000)]
    released = finish(Budget(burst_s=5), stream)
    assert names(released) == ["0", "300", "600", "900"]


def test_an_event_remembers_its_first_its_last_and_the_best_frames():
    stream = [sample(i, 0.9 if i == 400 else 0.5 + i / 10_000, NOON + i / 4) for i in range(1100)]
    (only,) = finish(Budget(burst_s=5), stream)
    kept = [one.frame_id for one in only.linked]
    assert len(kept) == MOST_LINKED and only.frame_id == "400"
    assert kept[0] == "0" and set(kept[1:]) == {str(i) for i in range(1100 - MOST_LINKED + 1, 1100)}


def test_an_event_ends_by_the_hubs_clock_however_far_off_the_cameras_is():
    budget = Budget(burst_s=10)
    for off in (-DAY, 0, DAY):
        ledger, _, _ = offer(Ledger(), budget, "", sample("a", at=NOON + off), now=NOON)
        assert close(ledger, budget, "", now=NOON + 14)[1] == []
        assert names(close(ledger, budget, "", now=NOON + 15)[1]) == ["a"]


def test_a_clock_set_back_begins_a_new_event():
    stream = [sample("a", at=NOON), sample("b", at=NOON - HOUR), sample("c", at=NOON - HOUR + 1)]
    assert names(finish(Budget(burst_s=10), stream, now=NOON)) == ["a", "b"]


def test_the_best_of_a_burst_goes_on_to_its_window():
    budget = Budget(burst_s=5, target=RateLimit(1, HOUR))
    stream = [sample("a", 0.7, NOON), sample("b", 0.9, NOON + 1), sample("c", 0.8, NOON + 60)]
    ledger, released, _ = run(budget, stream)
    assert not released and [h.stage for h in ledger.held] == [Stage.BURST, Stage.WINDOW]
    assert names(finish(budget, stream)) == ["b"]


def test_a_burst_across_the_end_of_a_window_is_one_sample():
    budget = Budget(burst_s=10, target=RateLimit(5, HOUR))
    end = NOON + HOUR
    stream = [sample(f"{s}", 0.9 if s == -4 else 0.8, end + s) for s in range(-20, 20, 4)]
    released = finish(budget, [sample("old", at=NOON), *stream, sample("next", at=end + 600)])
    assert sorted(names(released)) == ["-4", "next", "old"]


# ── the control draw ─────────────────────────────────────────────────────────────────────────────────


def test_one_frame_of_each_block_is_drawn_at_a_place_that_varies():
    drawn = [i for i in range(10_000) if is_drawn(1, "porch", i, 0.01)]
    assert [i // 100 for i in drawn] == list(range(100))
    assert len({i % 100 for i in drawn}) > 40


def test_a_control_is_taken_whatever_its_score_and_whatever_the_limits():
    budget = Budget(0.5, (RateLimit(1, DAY),), stop_after=1, control=1.0)
    ledger, released, decisions = run(budget, [sample(i, 0.12, NOON + i) for i in range(5)])
    assert all(s.control for s in released) and len(released) == 5 and all(d.keep for d in decisions)
    assert released[0].reason == "control: 1 frame in 1 at random; its score was 0.12" == decisions[0].reason
    assert ledger.taken == 0 and len(ledger.times) == 0


BUDGETS = st.builds(
    Budget,
    threshold=st.sampled_from([0.0, 0.5]),
    limits=st.sampled_from([(), (RateLimit(3, 600),), (RateLimit(1, 900, per_camera=True),)]),
    duplicate_distance=st.sampled_from([0.0, 0.01]),
    duplicate_s=st.sampled_from([0.0, 300.0]),
    stop_after=st.sampled_from([None, 5]),
    burst_s=st.sampled_from([0.0, 60.0]),
    target=st.sampled_from([None, RateLimit(2, 900), RateLimit(1, 600, per_camera=True)]),
    per_camera=st.sampled_from([None, 1]),
    variety=st.sampled_from([0.0, 0.4]),
    alarms=st.sampled_from([None, RateLimit(4, 3600)]),
    control=st.sampled_from([0.0, 0.2]),
)

ROWS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(-120, 400), st.sampled_from("ab"), st.integers(0, 12)), max_size=50
)


def stream_of(rows, start=NOON):
    """Frames in an order that is mostly that of time, with steps back, and vectors that are sometimes None."""
    stream, at = [], start
    for i, (score, step, camera, angle) in enumerate(rows):
        at += step
        vector = unit([math.cos(angle), math.sin(angle)])[0] if angle else None
        stream.append(sample(i, score / 20, at, camera, vector))
    return stream


@given(ROWS, BUDGETS)
@settings(max_examples=300)
def test_every_drawn_frame_is_stored_once_whether_it_was_chosen_or_not(rows, budget):
    budget = replace(budget, control=0.2)
    stream, seen, drawn = stream_of(rows), {}, set()
    for one in stream:
        number = seen.get(one.camera, 0)
        drawn |= {one.frame_id} if is_drawn(1, one.camera, number, budget.control) else set()
        seen[one.camera] = number + 1
    released = finish(budget, stream)
    assert len(set(names(released))) == len(released)
    assert drawn <= set(names(released))
    assert set(names(s for s in released if s.control)) <= drawn


@given(ROWS, BUDGETS)
@settings(max_examples=300)
def test_the_control_draw_changes_nothing_of_what_is_chosen(rows, budget):
    with_draw, without = (finish(replace(budget, control=c), stream_of(rows)) for c in (0.2, 0.0))
    assert names(s for s in with_draw if not s.control) == names(without)


# ── restarts ─────────────────────────────────────────────────────────────────────────────────────────


def as_said(released, decisions):
    return [(s.id, s.reason, s.control, s.linked) for s in released], [(d.keep, d.reason) for d in decisions]


def restarted(ledger, released, budget):
    """The ledger as it is made of what the store has; held samples come in any order."""
    chosen = [s for s in released if not s.control]
    newest = chosen[-remembered(budget) :]
    return ledger_of(newest, budget, taken=len(chosen), held=ledger.held[::-1], tallies=ledger.tallies)


@given(ROWS, BUDGETS, st.integers(0, 50))
@settings(max_examples=500, deadline=None)
def test_a_restart_anywhere_changes_nothing(rows, budget, cut):
    stream = stream_of(rows)
    ledger, before, _ = run(budget, stream[:cut])
    ways = []
    for start in (ledger, restarted(ledger, before, budget)):
        end, released, decisions = run(budget, stream[cut:], ledger=start)
        released += close(end, budget, "", now=math.inf)[1]
        ways.append(as_said(released, decisions))
    assert ways[0] == ways[1]


@given(ROWS, BUDGETS)
@settings(max_examples=200, deadline=None)
def test_nothing_grows_or_is_lost(rows, budget):
    stream = stream_of(rows)
    ledger, released, _ = run(budget, stream)
    cameras = {s.camera for s in stream}
    assert len(ledger.held) <= 2 * 8 * len(cameras) + len(cameras)
    assert [h.until for h in ledger.held if h.stage is Stage.WINDOW] == sorted(
        h.until for h in ledger.held if h.stage is Stage.WINDOW
    )
    assert ledger.taken == sum(not s.control for s in released)
    empty, _ = close(ledger, budget, "", now=math.inf)
    assert empty.held == ()


@given(ROWS, BUDGETS)
@settings(max_examples=200, deadline=None)
def test_what_is_stored_of_the_held_samples_follows_from_the_changes(rows, budget):
    ledger, stored = Ledger(), {}
    for one in stream_of(rows):
        before = ledger
        ledger, _, _ = run(budget, [one], ledger=ledger)
        held, let_go = changes(before, ledger)
        stored = {k: v for k, v in stored.items() if k not in let_go} | {h.sample.id: h for h in held}
    assert stored == {h.sample.id: h for h in ledger.held}


@given(ROWS, BUDGETS, BUDGETS, st.integers(0, 50))
@settings(max_examples=300, deadline=None)
def test_a_new_budget_finds_what_the_old_one_held(rows, old, new, cut):
    stream = stream_of(rows)
    ledger, before, _ = run(old, stream[:cut])
    held = {h.sample.id for h in ledger.held}
    end, after, _ = run(new, stream[cut:], ledger=ledger)
    end, last = close(end, new, "", now=math.inf)
    ids = [s.id for s in before + after + last]
    assert end.held == () and len(set(ids)) == len(ids)
    if not (new.target or new.limits or new.duplicate_distance or new.stop_after):
        linked = {f"1:{one.frame_id}" for s in after + last for one in s.linked}
        assert held <= set(ids) | linked


# ── alarms, and the threshold shown ──────────────────────────────────────────────────────────────────


def test_an_alarm_budget_gives_about_so_many_per_camera_and_day():
    budget, taken = Budget(0.5, alarms=RateLimit(20, DAY)), {"busy": 0, "calm": 0}
    ledger, rng = Ledger(), np.random.default_rng(0)
    normal = 1.0 - rng.random(4 * 8640)
    scores = {"busy": np.minimum(score_of_rarity(normal / 30), 1.0), "calm": score_of_rarity(normal)}
    for i in range(4 * 8640):  # a frame each 10 s, for four days
        for camera in taken:
            one = sample(f"{camera}{i}", float(scores[camera][i]), NOON + 10 * i, camera)
            ledger, released, _ = offer(ledger, budget, "", one, now=one.taken_at)
            taken[camera] += len(released) if i >= 8640 else 0
    assert all(3 * 10 <= n <= 3 * 40 for n in taken.values())


def test_the_alarm_threshold_replaces_the_campaigns_own_once_it_is_known():
    budget = Budget(0.9, alarms=RateLimit(20, DAY))
    stream = [sample(i, 0.2 + i % 100 / 1000, NOON + i) for i in range(300)]
    ledger, _, decisions = run(budget, [*stream, sample("rare", 0.6, NOON + 300)])
    assert threshold_now(Ledger(), budget, "porch").value == 0.9
    assert 0.3 < threshold_now(ledger, budget, "porch").value < 0.6
    assert decisions[-1].keep and "20/day" in decisions[-1].reason


def test_the_threshold_shown_is_that_of_a_window_once_it_is_full():
    budget = Budget(0.3, target=RateLimit(3, DAY))
    stream = [sample(i, 0.5 + i / 10) for i in range(4)]
    shown = [threshold_now(run(budget, stream[:n])[0], budget, "porch") for n in range(5)]
    assert [t.value for t in shown] == pytest.approx([0.3, 0.3, 0.3, 0.5, 0.6])
    assert shown[-1].source == "the best 3 so far begin at 0.6"
    assert shown[0].source == "the campaign's own"


def test_the_threshold_shown_of_a_camera_whose_share_is_full_is_its_own():
    budget = Budget(0.3, target=RateLimit(9, DAY), per_camera=1)
    ledger, _, _ = run(budget, [sample("a", 0.7, camera="gate")])
    assert threshold_now(ledger, budget, "gate").value == 0.7
    assert threshold_now(ledger, budget, "porch").value == 0.3
