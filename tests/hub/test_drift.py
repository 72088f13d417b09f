"""Drift: what is found, what is not, and how often chance is taken for it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.drift import ALL_TIME, measure
from hub.drift_groups import group, left_out
from hub.drift_periods import Increment, bounds, earliest_full, is_full, is_period, period_of, periods_between, split
from hub.snapshots import Snapshots, snapshots, together
from hub.two_samples import (
    bandwidth,
    compare_distributions,
    compare_means,
    false_discoveries,
    kernel,
    witness,
)
from shared.errors import InvalidInput

DAY = 86400.0
JULY, AUGUST, SEPTEMBER = (bounds(f"2026-0{m}")[0] for m in (7, 8, 9))


def stream(rng, start, *, days=30.0, camera="porch", at=None, count=150, spread=1.0, tau_s=0.0) -> Snapshots:
    """Frames about a point, at random times. tau_s: how long the weather lasts, 0 for independent frames."""
    taken_at = np.sort(rng.uniform(0, days * DAY, count))
    noise = rng.normal(size=(count, 16))
    if tau_s:
        for i in range(1, count):
            keep = np.exp(-(taken_at[i] - taken_at[i - 1]) / tau_s)
            noise[i] = keep * noise[i - 1] + np.sqrt(1 - keep**2) * noise[i]
    centre = np.eye(16)[0] * 4 if at is None else np.asarray(at)
    ids = [f"{camera} {start + t:.0f}" for t in taken_at]
    return snapshots(centre + spread * noise, camera=[camera] * count, taken_at=start + taken_at, id=ids)


def distance(now, reference, rng, **options):
    groups, _, _ = group(now, reference, rng)
    return compare_distributions(groups, bandwidth(reference.vectors), rng, permutations=199, **options)


def report(reference, *now, increment=Increment.MONTH):
    return measure(reference, together(now), increment=increment, rng=np.random.default_rng(0))


# ── the figures ──────────────────────────────────────────────────────────────────────────────────────


def test_singles_give_the_unbiased_mmd_of_gretton():
    """Written out as the sums of the paper, over pairs."""
    rng = np.random.default_rng(1)
    x, y = (snapshots(rng.normal(size=(n, 4)) + 1) for n in (20, 30))
    groups, _, _ = group(x, y, rng)
    k_xx, k_yy, k_xy = (kernel(a.vectors, b.vectors, 0.7) for a, b in ((x, x), (y, y), (x, y)))
    expected = (k_xx.sum() - np.trace(k_xx)) / (20 * 19) + (k_yy.sum() - np.trace(k_yy)) / (30 * 29) - 2 * k_xy.mean()
    assert compare_distributions(groups, 0.7, rng, permutations=9).mmd2 == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("n", "m"), [(20, 20), (15, 60), (40, 20)])
def test_the_cosine_without_drift_is_as_low_as_said(n, m):
    """By simulation: the mean cosine of means of draws from one and the same distribution."""
    rng = np.random.default_rng(2)
    found, said = [], []
    for _ in range(300):
        sides = [snapshots(np.eye(32)[0] * 3 + rng.normal(size=(k, 32))) for k in (n, m)]
        means = compare_means(group(*sides, rng)[0], rng, resamples=2)
        found.append(means.cosine)
        said.append(means.expected)
    assert np.mean(found) == pytest.approx(np.mean(said), abs=0.01)
    assert np.mean(found) < 0.95


def test_the_expected_cosine_of_independent_vectors_is_the_formula():
    rng = np.random.default_rng(3)
    x, y = (snapshots(np.eye(8)[0] * 2 + rng.normal(size=(n, 8))) for n in (30, 50))
    of_x, of_y = (float((s.vectors.mean(axis=0, dtype=float) ** 2).sum()) for s in (x, y))
    rho = (50 * of_y - 1) / 49
    noise = (1 - of_x) / 29  # (1 − ρ)/n, without bias
    formula = rho / np.sqrt((rho + noise) * (rho + (1 - rho) / 50))
    assert compare_means(group(x, y, rng)[0], rng).expected == pytest.approx(formula, abs=1e-6)


def test_the_interval_holds_the_cosine_of_other_draws():
    rng = np.random.default_rng(4)
    made = []
    for _ in range(250):
        x, y = (snapshots(np.eye(16)[i] * 2 + np.ones(16) + rng.normal(size=(60, 16))) for i in (0, 1))
        made.append(compare_means(group(x, y, rng)[0], rng, resamples=200))
    middle = np.mean([means.cosine for means in made])
    assert np.mean([low <= middle <= high for low, high in (means.interval for means in made)]) >= 0.9
    assert all(means.interval[0] <= means.cosine <= means.interval[1] for means in made)


def test_a_change_of_spread_is_seen_by_the_distance_and_not_by_the_mean():
    rng = np.random.default_rng(5)
    half = rng.normal(size=(100, 16))
    centre = np.eye(16)[0] * 20
    before = stream(rng, JULY, at=centre, count=200)
    # Each with its mirror image: the mean stays where it was.
    wider = snapshots(
        centre + 3 * np.vstack([half, -half]),
        camera=["porch"] * 200,
        taken_at=AUGUST + np.tile(np.arange(100), 2) * 26e3,
    )
    (row, _) = report(before, wider).rows
    assert row.high > row.expected - 0.01
    assert row.cosine > 0.98
    assert row.drifted
    assert row.p <= 0.01


def test_the_distance_is_zero_for_twins_and_two_for_strangers():
    rng = np.random.default_rng(6)
    x = snapshots(np.tile(np.eye(4)[0], (10, 1)))
    y = snapshots(np.tile(np.eye(4)[1], (10, 1)))
    groups, _, _ = group(x, y, rng)
    assert compare_distributions(groups, 0.1, rng).mmd2 == pytest.approx(2)
    assert compare_distributions(group(x, x, rng)[0], bandwidth(x.vectors), rng).mmd2 == pytest.approx(0)


def test_the_bandwidth_of_one_picture_over_and_over_is_a_number():
    still = np.tile(np.eye(4)[0], (20, 1)).astype(np.float32)
    assert bandwidth(still) == 1.0
    assert bandwidth(still[:1]) == 1.0
    some = np.vstack([still, np.eye(4, dtype=np.float32)[1:2]])
    assert 0 < bandwidth(some) < 1


# ── false alarms ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("exchangeable", [True, False])
@pytest.mark.parametrize("tau_h", [0, 6])
def test_chance_is_seldom_taken_for_drift_even_where_frames_depend_on_each_other(exchangeable, tau_h):
    p = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        sides = [
            together([stream(rng, at, camera=name, tau_s=tau_h * 3600.0, count=80) for name in ("porch", "yard")])
            for at in (JULY, SEPTEMBER)
        ]
        p.append(distance(*sides, rng, exchangeable=exchangeable).p)
    assert np.mean(np.array(p) <= 0.05) <= 0.14


def test_counting_each_frame_as_independent_would_alarm_all_the_time():
    """Why there are stretches of time at all."""
    p = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sides = [stream(rng, at, tau_s=12 * 3600.0, count=300) for at in (JULY, SEPTEMBER)]
        singles = [snapshots(side.vectors) for side in sides]
        p.append(distance(*singles, rng).p)
    assert np.mean(np.array(p) <= 0.05) > 0.8


def test_p_is_uniform_without_drift():
    p = [
        distance(*(stream(rng, at, count=60) for at in (JULY, SEPTEMBER)), rng).p
        for rng in map(np.random.default_rng, range(150))
    ]
    assert abs(np.mean(p) - 0.5) < 0.08
    assert np.mean(np.array(p) <= 0.2) < 0.3


@given(st.lists(st.floats(0, 1), max_size=30))
def test_false_discoveries_are_an_end_of_the_order_and_no_more_than_the_single_tests(p):
    found = false_discoveries(np.array(p, float), 0.05)
    values = np.array(p, float)
    assert not found.any() or values[found].max() <= 0.05
    assert not found.any() or found.all() or values[found].max() <= values[~found].min()


def test_one_of_many_must_be_rarer_than_one_of_one():
    assert false_discoveries(np.array([0.04]), 0.05).tolist() == [True]
    assert false_discoveries(np.array([0.04, *[0.9] * 11]), 0.05).tolist() == [False] * 12
    assert false_discoveries(np.array([0.001, *[0.9] * 11]), 0.05)[0]


# ── cameras and strata ───────────────────────────────────────────────────────────────────────────────


def test_a_camera_that_was_off_for_half_the_time_is_no_drift():
    rng = np.random.default_rng(7)
    far = np.eye(16)[1] * 4
    before = together([stream(rng, JULY), stream(rng, JULY, camera="yard", at=far)])
    now = together([stream(rng, AUGUST), stream(rng, AUGUST, camera="yard", at=far, days=12, count=30)])
    found = report(before, now)
    assert found.rows[0].p > 0.05
    assert abs(found.rows[0].mmd2) < 0.01


def test_a_new_camera_is_left_out_of_the_rows_and_named():
    rng = np.random.default_rng(8)
    before = together([stream(rng, JULY), stream(rng, JULY, camera="gate")])
    now = together([stream(rng, AUGUST), stream(rng, AUGUST, camera="roof", at=-np.ones(16))])
    found = report(before, now)
    assert not found.rows[0].drifted
    assert any("roof" in note for note in found.notes)
    assert any("gate" in note for note in found.notes)
    assert left_out(now, before).sum() == 150
    roof = next(each for each in found.cameras if each.camera == "roof")
    assert not roof.own
    assert roof.drifted


def test_the_camera_that_moved_comes_first_and_its_frames_too():
    rng = np.random.default_rng(9)
    names = ["porch", "yard", "gate"]
    before = together([stream(rng, JULY, camera=name) for name in names])
    now = together([stream(rng, AUGUST, camera=name, at=np.eye(16)[int(name == "gate")] * 4) for name in names])
    found = report(before, now)
    assert found.latest == "2026-08"
    assert [each.camera for each in found.cameras if each.drifted] == ["gate"]
    assert all(each.own for each in found.cameras)
    assert found.cameras[0].mmd2 > 10 * abs(found.cameras[1].mmd2)
    assert {frame.camera for frame in found.frames[:5]} == {"gate"}
    assert found.frames[0].id.startswith("gate ")
    assert [f.witness for f in found.frames] == sorted((f.witness for f in found.frames), reverse=True)


def test_a_fleet_with_a_frame_or_two_of_each_camera_is_compared_as_one():
    rng = np.random.default_rng(10)
    fleet = [f"c{i}" for i in range(100)]
    sides = [together([stream(rng, at, camera=name, count=2) for name in fleet]) for at in (JULY, AUGUST)]
    found = report(*sides)
    assert found.rows[0].frames == 200
    assert found.rows[0].p > 0.05


def test_the_witness_tells_new_frames_from_old():
    rng = np.random.default_rng(11)
    old, new = stream(rng, AUGUST), stream(rng, AUGUST, at=np.eye(16)[2] * 4, count=40)
    both = together([old, new])
    groups, _, index = group(both, stream(rng, JULY), rng)
    value = witness(groups, 0.7)
    of_now = index < len(both)
    assert np.isnan(value[~of_now]).all()
    is_new = index[of_now] >= len(old)
    assert value[of_now][is_new].min() > np.median(value[of_now][~is_new])


# ── the report ───────────────────────────────────────────────────────────────────────────────────────


def test_all_time_is_found_to_have_drifted_though_its_stretches_hold_fewer_frames():
    """A year of 1,000 frames against a month of 1,000: not to be shuffled, since a few frames are noisier than many."""
    rng = np.random.default_rng(18)
    months = [bounds(f"2026-{m:02}")[0] for m in range(1, 13)]
    moved = np.eye(16)[0] * 4 + np.eye(16)[1] * 1.5
    found = report(stream(rng, months[0], count=600), *(stream(rng, at, at=moved) for at in months[1:]))
    assert found.rows[-1].p <= 0.01
    same = report(stream(rng, months[0], count=600), *(stream(rng, at) for at in months[1:]))
    assert 0.05 < same.rows[-1].p < 0.99


def test_a_row_for_each_period_with_frames_and_one_for_all_time():
    rng = np.random.default_rng(12)
    found = report(stream(rng, JULY), stream(rng, AUGUST), stream(rng, bounds("2026-11")[0], at=-np.ones(16)))
    assert [row.period for row in found.rows] == ["2026-08", "2026-11", ALL_TIME]
    assert [row.frames for row in found.rows] == [150, 150, 300]
    assert [row.drifted for row in found.rows[:-1]] == [False, True]
    assert found.now == found.rows[1]


def test_all_time_is_marked_by_its_own_p_and_not_by_that_of_a_month():
    rng = np.random.default_rng(12)
    months = [bounds(f"2026-{m:02}")[0] for m in range(2, 12)]
    *calm, last = months
    found = report(
        stream(rng, bounds("2026-01")[0]), *(stream(rng, at) for at in calm), stream(rng, last, at=-np.ones(16))
    )
    assert found.rows[-2].drifted
    assert found.rows[-1].p > 0.05
    assert not found.rows[-1].drifted
    assert all(row.p <= 0.05 for row in found.rows if row.drifted)


def test_the_same_seed_makes_the_same_report():
    rng = np.random.default_rng(13)
    sides = stream(rng, JULY), stream(rng, AUGUST, count=1200)
    assert report(*sides) == report(*sides)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 9])
def test_periods_with_few_frames_are_said_and_break_nothing(count):
    rng = np.random.default_rng(14)
    parts = [stream(rng, AUGUST, count=count)] if count else []
    found = report(stream(rng, JULY), *parts)
    assert (found.rows[0].p is None if found.rows else True) == (count < 5)
    assert bool(found.cannot_tell) == (count < 5)
    assert bool(found.notes) == (0 < count < 9)
    none = report(stream(rng, JULY, count=3), stream(rng, AUGUST))
    assert (none.rows, none.now) == ((), None)
    assert none.cannot_tell == "the reference (the reference) has 3 frames, and at least 5 are needed"


def test_a_report_of_new_cameras_alone_says_that_nothing_could_be_compared():
    rng = np.random.default_rng(14)
    sides = (
        stream(rng, JULY, camera="gate"),
        together([stream(rng, AUGUST), stream(rng, AUGUST, camera="gate", count=2)]),
    )
    found = report(*sides)
    assert (found.now, found.latest) == (None, "")
    assert "no month has at least 5 frames of cameras that the reference has" in found.cannot_tell


def test_pictures_of_no_named_camera_are_in_the_rows_and_no_camera():
    rng = np.random.default_rng(20)
    nameless = snapshots(stream(rng, AUGUST).vectors, taken_at=AUGUST + np.arange(150) * DAY / 6)
    found = report(snapshots(stream(rng, JULY).vectors), nameless)
    assert (found.rows[0].frames, found.cameras) == (150, ())


def test_frames_of_one_moment_and_pictures_all_alike_break_nothing():
    still = snapshots(np.ones((20, 4)), camera=["porch"] * 20, taken_at=[JULY] * 20)
    again = snapshots(np.ones((20, 4)), camera=["porch"] * 20, taken_at=[AUGUST] * 20)
    (row, _) = report(still, again).rows
    assert row.cosine == pytest.approx(1)
    assert row.mmd2 == pytest.approx(0)
    assert not row.drifted


def test_a_day_that_has_just_begun_raises_no_alarm():
    rng = np.random.default_rng(15)
    day = [stream(rng, JULY + i * DAY, days=1) for i in range(2)]
    morning = stream(rng, JULY + 2 * DAY, days=0.3, at=-np.ones(16))
    found = report(day[0], day[1], morning, increment=Increment.DAY)
    assert found.rows[1].p < 0.05
    assert found.latest == "2026-07-02"


def test_a_training_set_is_compared_with_all_cameras_though_it_has_no_times():
    rng = np.random.default_rng(16)
    pictures = snapshots(np.eye(16)[0] * 4 + rng.normal(size=(300, 16)))
    found = report(pictures, stream(rng, AUGUST), stream(rng, SEPTEMBER, at=np.eye(16)[1] * 4))
    assert [row.drifted for row in found.rows[:-1]] == [False, True]
    assert not found.cameras[0].own


# ── periods ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("increment", Increment)
@pytest.mark.parametrize("timezone", ["", "Europe/Berlin", "America/Santiago"])
@given(at=st.floats(0, 4e9))
def test_a_time_is_within_its_period(increment, timezone, at):
    start, end = bounds(period_of(at, increment, timezone), timezone)
    assert start <= at < end


def test_periods_go_on_without_a_gap_over_a_year_and_a_change_of_clock():
    assert periods_between(JULY, bounds("2027-01")[0], Increment.MONTH) == [
        "2026-07", "2026-08", "2026-09", "2026-10", "2026-11", "2026-12", "2027-01",
    ]  # fmt: skip
    days = periods_between(*bounds("2026", "Europe/Berlin"), Increment.DAY, "Europe/Berlin")
    assert (len(days), len(set(days))) == (366, 366)


@pytest.mark.parametrize("text", ["2026-13", "2026-02-30", "porch", "", "2026-1", "0000"])
def test_what_is_no_period_is_refused(text):
    with pytest.raises(InvalidInput):
        bounds(text)
    assert is_period("2026-09")
    assert not is_period("pictures/2026-09")


def test_the_reference_is_the_first_period_that_was_seen_whole():
    months = ["2026-07", "2026-08", "2026-09"]
    assert earliest_full(JULY + 2 * DAY, months) == "2026-07"
    assert earliest_full(JULY + 20 * DAY, months) == "2026-08"
    assert earliest_full(JULY + 20 * DAY, months[:2]) == "2026-07"
    assert is_full("2026-08", JULY + 20 * DAY, SEPTEMBER)
    assert not is_full("2026-07", JULY + 20 * DAY, SEPTEMBER)
    assert not is_full("2026-07", JULY, JULY + DAY)
    rng = np.random.default_rng(17)
    inside, outside = split(together([stream(rng, JULY), stream(rng, AUGUST, count=20)]), "2026-08")
    assert (len(inside), len(outside)) == (20, 150)


def test_snapshots_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="camera, taken_at and id"):
        Snapshots(np.eye(2, dtype=np.float32), np.array(["a"]), np.zeros(2), np.array(["a", "b"]))
