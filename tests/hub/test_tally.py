import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.rarity import score_of_rarity
from hub.tally import KNOWN, LONGEST_GAP_S, frames_per_s, half_life_of, seen, threshold_for
from hub.types import Budget, RateLimit

DAY, HOUR = 86400.0, 3600.0
HALF_LIFE = 3 * DAY
TWENTY_A_DAY = RateLimit(20, DAY)


def tally_of(scores, every_s=1.0, start=1e9, half_life_s=HALF_LIFE):
    tally = None
    for i, score in enumerate(scores):
        tally = seen(tally, float(score), start + i * every_s, half_life_s)
    return tally


def log_rarities(n, seed=0):
    """Scores as a calibrated scorer gives them: the rarity of a normal frame is uniform."""
    return score_of_rarity(1.0 - np.random.default_rng(seed).random(n))


DISTRIBUTIONS = {
    "log-rarity": log_rarities,
    "uniform": lambda n, seed=0: np.random.default_rng(seed).random(n),
    "normal": lambda n, seed=0: np.clip(np.random.default_rng(seed).normal(0.3, 0.1, n), 0, 1),
    "mostly nothing": lambda n, seed=0: (lambda r: np.where(r.random(n) < 0.97, 0.0, r.beta(2, 5, n)))(
        np.random.default_rng(seed)
    ),
    "beta": lambda n, seed=0: np.random.default_rng(seed).beta(2, 8, n),
}


def test_every_frame_is_counted_once():
    tally = tally_of([0.0, 0.5, 1.0, 0.5], half_life_s=1e12)
    assert tally.counts[[0, 256, 511]] == pytest.approx([1, 2, 1])
    assert (tally.seen, tally.since, tally.at) == (4, 1e9, 1e9 + 3)


def test_what_was_seen_a_half_life_ago_counts_half():
    tally = seen(seen(None, 0.1, 0.0, 100.0), 0.9, 100.0, 100.0)
    assert tally.counts[51] == pytest.approx(0.5)
    assert tally.counts[460] == 1.0


@pytest.mark.parametrize("score", [math.nan, -1.0, 2.0])
def test_a_score_out_of_range_breaks_nothing(score):
    tally = seen(None, score, 0.0, 100.0)
    assert tally.seen == 1
    assert tally.counts.sum() == (0.0 if math.isnan(score) else 1.0)


def test_a_tally_is_a_value():
    first = seen(None, 0.5, 0.0, 100.0)
    seen(first, 0.5, 0.0, 100.0)
    assert first.counts.sum() == 1.0


def test_the_rate_of_frames_is_known_at_once_and_after_days():
    for n in (300, 5 * 86400 // 60):
        assert frames_per_s(tally_of(np.zeros(n), every_s=60.0), HALF_LIFE) == pytest.approx(1 / 60, rel=0.01)


def test_a_clock_set_back_leaves_rate_and_scores_as_they_were():
    tally = tally_of(np.full(1000, 0.4))
    before = frames_per_s(tally, HALF_LIFE)
    for i in range(1000):
        tally = seen(tally, 0.4, 5e8 + i, HALF_LIFE)
    assert tally.at == 5e8 + 999
    assert frames_per_s(tally, HALF_LIFE) == pytest.approx(before, rel=0.02)


def test_a_clock_that_was_far_ahead_is_forgotten():
    tally = seen(tally_of(np.full(1000, 0.4)), 0.4, 9e9, HALF_LIFE)
    for i in range(1000):
        tally = seen(tally, 0.4, 1e9 + 1000 + i, HALF_LIFE)
    assert tally.at == 1e9 + 1999
    assert tally.at - tally.since == pytest.approx(2000 + LONGEST_GAP_S, rel=0.01)


def test_frames_that_come_late_change_neither_the_time_observed_nor_what_is_known():
    tally = tally_of(np.full(1000, 0.4))
    late = seen(tally, 0.4, tally.at - 30, HALF_LIFE)
    assert (late.at, late.since) == (tally.at, tally.since)
    assert late.counts.sum() == tally.counts.sum() + 1


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-1e7, 1e7)), min_size=1, max_size=60))
def test_whatever_the_clock_does_a_tally_stays_sound(steps):
    tally, at = None, 1e9
    for n, (score, step) in enumerate(steps, 1):
        at += step
        tally = seen(tally, score, at, HALF_LIFE)
        assert np.all(tally.counts >= 0) and 0 < tally.counts.sum() <= n + 1e-9
        assert tally.since <= tally.at + 1e-6 and tally.seen == n
    assert 0 <= threshold_for(tally, TWENTY_A_DAY, 0.5, HALF_LIFE).value <= 1


def test_an_outage_costs_no_more_than_a_day_of_memory():
    tally = tally_of(np.full(1000, 0.4))
    month_later = seen(tally, 0.4, tally.at + 30 * DAY, HALF_LIFE)
    assert month_later.counts.sum() == pytest.approx(tally.counts.sum() * 0.5 ** (1 / 3) + 1)


def test_until_enough_is_known_the_threshold_is_the_campaigns_own():
    said = threshold_for(tally_of(np.zeros(37)), TWENTY_A_DAY, 0.6, HALF_LIFE)
    assert said.value == 0.6
    assert said.source == "the campaign's own, 37 of 200 frames known"
    assert threshold_for(None, TWENTY_A_DAY, 0.6, HALF_LIFE).value == 0.6


def test_a_camera_that_shows_less_than_is_allowed_may_have_it_all():
    said = threshold_for(tally_of(log_rarities(KNOWN), every_s=2 * HOUR), TWENTY_A_DAY, 0.6, HALF_LIFE)
    assert said.value == 0.0
    assert "20/day" in said.source


def test_the_source_says_how_rare_and_for_how_many():
    said = threshold_for(tally_of(log_rarities(5000)), TWENTY_A_DAY, 0.6, HALF_LIFE)
    assert said.source == "1 in 4,321 of this camera's frames reach it, for 20/day"


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize(("known", "fewest", "most"), [(2000, 3, 60), (86400, 10, 40)])
def test_as_many_frames_reach_the_threshold_as_are_allowed(name, known, fewest, most):
    """20 a day of one frame a second is 1 in 4,320: after half an hour that is rarer than anything seen,
    and the tail of a score that is no rarity makes for too few rather than too many."""
    draw = DISTRIBUTIONS[name]
    reaching = []
    for seed in range(3 if known > 2000 else 9):
        value = threshold_for(tally_of(draw(known, seed)), TWENTY_A_DAY, 0.5, HALF_LIFE).value
        reaching.append(np.count_nonzero(draw(864_000, seed + 100) >= value) / 10)
    assert fewest <= np.median(reaching) <= most


def test_more_alarms_never_raise_the_threshold():
    tally = tally_of(log_rarities(20_000))
    values = [threshold_for(tally, RateLimit(n, DAY), 0.5, HALF_LIFE).value for n in range(1, 2000, 7)]
    assert values == sorted(values, reverse=True)


def test_frames_that_all_score_alike_give_a_threshold_and_no_error():
    for score in (0.0, 0.5, 511 / 512):
        assert score <= threshold_for(tally_of(np.full(500, score)), TWENTY_A_DAY, 0.5, HALF_LIFE).value <= 1


def test_half_lives_follow_the_period_of_the_alarms_within_an_hour_and_a_week():
    def of(per_s):
        return half_life_of(Budget(alarms=RateLimit(1, per_s)))

    assert [of(60), of(2 * HOUR), of(DAY), of(30 * DAY)] == [HOUR, 6 * HOUR, 3 * DAY, 7 * DAY]
    assert half_life_of(Budget()) == DAY
