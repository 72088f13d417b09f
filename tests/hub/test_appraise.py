import math
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.appraise import Appraiser, goes_by_time
from hub.target import SeedTarget
from hub.triggers.change import Change
from hub.triggers.detection import Detection
from hub.triggers.everything import Everything
from hub.types import Budget, RateLimit, Scope
from tests.hub.making import observation, version

DAY = 86_400.0


def target(campaign_id=1, label="bird", budget=Budget(), trigger=None, **changes):
    name = f"campaign-{campaign_id}"
    trigger = trigger or Detection((label,))
    return SeedTarget(version(trigger, campaign_id=campaign_id, campaign=name, budget=budget, **changes), None)


def birds(*scores, camera="porch", every_s=10.0, start=1000.0):
    return [
        observation(("bird", score), content=f"{camera}-{i}", camera=camera, at=start + i * every_s)
        for i, score in enumerate(scores)
    ]


def appraiser(*targets, **how):
    return Appraiser(targets, clock=lambda: 77.0, **how)


def scores(samples):
    return [round(sample.score.value, 3) for sample in samples]


SCORES = st.lists(st.integers(8, 64).map(lambda n: n / 64), min_size=1, max_size=40)


@given(SCORES, st.integers(1, 7))
def test_statistics_are_aquariums(values, size):
    judge = appraiser(target())
    seen = birds(*values)
    taken = [sample for i in range(0, len(seen), size) for sample in judge.add(seen[i : i + size])]
    (said,) = judge.statistics
    assert said.seen == len(values)
    assert said.collected == len(taken) == sum(value >= 0.5 for value in values)
    assert (said.least, said.most) == (min(values), max(values))
    assert said.mean == pytest.approx(statistics.fmean(values))
    assert said.deviation == pytest.approx(statistics.pstdev(values), abs=1e-9)
    assert said.best == seen[values.index(max(values))].frame.id


def test_nothing_seen_is_all_zeros():
    (said,) = appraiser(target()).statistics
    assert (said.seen, said.least, said.most, said.mean, said.deviation, said.best) == (0, 0.0, 0.0, 0.0, 0.0, "")


def test_only_frames_in_scope_are_seen():
    judge = appraiser(target(scope=Scope(("porch",))))
    judge.add([*birds(0.9), *birds(0.9, camera="shed")])
    assert judge.statistics[0].seen == 1


def test_a_sample_is_made_now_and_was_taken_then():
    (sample,) = appraiser(target()).add(birds(0.9))
    assert (sample.created_at, sample.taken_at) == (77.0, 1000.0)


def test_a_threshold_takes_the_place_of_the_campaigns_own():
    campaign = target(budget=Budget(0.2, alarms=RateLimit(1, DAY)))
    assert scores(appraiser(campaign, threshold=0.6).add(birds(0.5, 0.7, 0.6))) == [0.7, 0.6]


# ── the best of all ──────────────────────────────────────────────────────────────────────────────────


@given(SCORES, st.integers(1, 50), st.integers(1, 9))
def test_the_best_of_all_are_the_best_however_they_come(values, best, size):
    judge = appraiser(target(budget=Budget(0.99)), best=best)
    seen = birds(*values)
    for i in range(0, len(seen), size):
        assert judge.add(seen[i : i + size]) == []
        assert len(judge._chosen.listed()) <= best
    taken = judge.finish()
    assert [s.score.value for s in taken] == sorted(values, reverse=True)[:best]
    assert judge.statistics[0].collected == len(taken)
    assert judge.finish() == []


def test_each_frame_goes_to_the_campaign_it_fits_best():
    seen = [
        observation(("bird", 0.9), ("cat", 0.8), content="a"),
        observation(("bird", 0.2), ("cat", 0.7), content="b"),
        observation(("dog", 0.9), content="c"),
    ]
    judge = appraiser(target(1, "bird"), target(2, "cat"), best=10)
    judge.add(seen)
    taken = judge.finish()
    assert [(s.campaign_id, s.frame_id) for s in taken] == [(1, seen[0].frame.id), (2, seen[1].frame.id)]
    assert taken[0].reason.startswith("number 1 of the best among 3 frames")


def test_a_frame_that_fits_not_at_all_is_not_among_the_best():
    judge = appraiser(target(), best=5)
    judge.add([observation(("cat", 0.9)), *birds(0.1)])
    assert scores(judge.finish()) == [0.1]


def test_a_frame_that_comes_twice_takes_one_place():
    judge = appraiser(target(), best=2)
    for _ in range(2):
        judge.add(birds(0.9, 0.5))
    assert scores(judge.finish()) == [0.9, 0.5]


def test_of_equals_the_first_are_taken():
    judge = appraiser(target(), best=2)
    seen = birds(0.5, 0.5, 0.5)
    judge.add(seen)
    assert [s.frame_id for s in judge.finish()] == [each.frame.id for each in seen[:2]]


def test_the_top_is_remembered_whether_taken_or_not():
    judge = appraiser(target(1), target(2, "cat"), top=2)
    judge.add(birds(0.1, 0.3, 0.2))
    assert {campaign: scores(top) for campaign, top in judge.top.items()} == {1: [0.3, 0.2], 2: []}


# ── budgets on the frames' own clock ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [1, 4, 100])
def test_the_best_of_each_day_do_not_depend_on_how_frames_are_batched(size):
    judge = appraiser(target(budget=Budget(0.1, target=RateLimit(2, DAY))))
    seen = birds(*(0.1 + i % 8 / 10 for i in range(24)), every_s=DAY / 8, start=0.0)
    taken = [s for i in range(0, 24, size) for s in judge.add(seen[i : i + size])] + judge.finish()
    assert sorted((int(s.taken_at // DAY), round(s.score.value, 1)) for s in taken) == [
        (day, score) for day in range(3) for score in (0.7, 0.8)
    ]


@pytest.mark.parametrize("size", [1, 5, 100])
def test_an_event_gives_its_best_frame_and_the_last_one_is_closed_at_the_end(size):
    judge = appraiser(target(budget=Budget(0.5, burst_s=30.0)))
    seen = [*birds(0.6, 0.9, 0.7), *birds(0.8, 0.55, start=5000.0, camera="porch")]
    seen[3:] = [replace(each, frame=replace(each.frame, jpeg=each.frame.jpeg + b"!")) for each in seen[3:]]
    taken = [s for i in range(0, len(seen), size) for s in judge.add(seen[i : i + size])]
    assert scores(taken + judge.finish()) == [0.9, 0.8]


def test_limits_go_by_the_time_of_the_frames():
    judge = appraiser(target(budget=Budget(0.5, (RateLimit(1, 3600.0),))))
    assert len(judge.add(birds(*[0.9] * 10, every_s=1000.0))) == 3


def test_frames_given_together_are_judged_in_the_order_of_their_time():
    judge = appraiser(target(budget=Budget(0.5, stop_after=1)))
    early, late = birds(0.6, 0.9)
    assert judge.add([late, early])[0].frame_id == early.frame.id


def test_counts_are_of_frames_in_scope_and_of_samples():
    judge = appraiser(target(1, scope=Scope(("porch",))), target(2, "cat"))
    seen = [*birds(0.9, 0.1), *birds(0.9, camera="shed")]
    counts = judge.counts(seen, judge.add(seen))
    assert [(c.campaign_id, c.camera, c.processed, c.collected) for c in counts] == [
        (1, "porch", 2, 1),
        (2, "porch", 2, 0),
        (2, "shed", 1, 0),
    ]


@pytest.mark.parametrize(
    ("trigger", "budget", "best", "answer"),
    [
        (Detection(("bird",)), Budget(0.3, control=0.1), False, False),
        (Everything(), Budget(), False, False),
        (Detection(("bird",), disagreement=("flicker",)), Budget(), False, True),
        (Change(), Budget(), False, True),
        (Change(), Budget(), True, True),
        (Everything(), Budget(limits=(RateLimit(1, 1.0),)), False, True),
        (Everything(), Budget(limits=(RateLimit(1, 1.0),)), True, False),
        (Everything(), Budget(duplicate_distance=0.1), False, True),
        (Everything(), Budget(stop_after=3), False, True),
        (Everything(), Budget(burst_s=3), False, True),
        (Everything(), Budget(target=RateLimit(1, DAY)), False, True),
    ],
)
def test_what_goes_by_time(trigger, budget, best, answer):
    assert goes_by_time(target(trigger=trigger, budget=budget).version, best=best) is answer


def test_a_score_that_is_no_number_counts_as_zero():
    judge = appraiser(target())
    judge.add([observation(("bird", math.nan))])
    assert judge.statistics[0].most == 0.0
