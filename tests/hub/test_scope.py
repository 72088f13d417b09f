from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.scope import (
    check_timezone,
    covers,
    format_hours,
    format_weekdays,
    parse_hours,
    parse_weekdays,
    window_of,
)
from hub.types import Scope
from shared.errors import InvalidInput

BERLIN = "Europe/Berlin"
DAY, HOUR = 86400.0, 3600.0


def at(text: str, zone: str = "") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone) if zone else UTC).timestamp()


def test_an_empty_scope_covers_everything():
    assert covers(Scope(), "porch", at("2026-11-21 03:00"))


def test_only_the_cameras_named_are_covered():
    scope = Scope(cameras=("porch", "gate"))
    assert covers(scope, "gate", 0.0)
    assert not covers(scope, "yard", 0.0)


@pytest.mark.parametrize(
    ("hours", "weekdays", "when", "covered"),
    [
        ("8-18", "", "2026-11-20 08:00", True),
        ("8-18", "", "2026-11-20 07:59:59", False),
        ("8-18", "", "2026-11-20 17:59:59", True),
        ("8-18", "", "2026-11-20 18:00", False),
        ("0-24", "", "2026-11-20 23:59:59", True),
        ("6-7,20-21", "", "2026-11-20 20:30", True),
        ("6-7,20-21", "", "2026-11-20 12:00", False),
        ("", "mon-fri", "2026-11-20 23:59", True),
        ("", "mon-fri", "2026-11-21 00:00", False),
        # Friday's night is Friday's until Saturday 6:00, and Saturday has none of its own.
        ("22:00-06:00", "fri", "2026-11-20 22:00", True),
        ("22:00-06:00", "fri", "2026-11-21 05:59", True),
        ("22:00-06:00", "fri", "2026-11-21 06:00", False),
        ("22:00-06:00", "fri", "2026-11-21 22:00", False),
        ("22:00-06:00", "fri", "2026-11-20 05:00", False),
        ("22:00-06:00", "sun", "2026-11-23 01:00", True),
        ("22:00-06:00", "", "2026-11-23 01:00", True),
        ("22:00-06:00", "", "2026-11-23 12:00", False),
    ],
)
def test_hours_and_weekdays_go_together(hours, weekdays, when, covered):
    scope = Scope(hours=parse_hours(hours), weekdays=parse_weekdays(weekdays))
    assert covers(scope, "porch", at(when)) is covered


def test_hours_go_by_the_clock_of_the_timezone_in_summer_and_winter():
    scope = Scope(hours=parse_hours("8-9"), timezone=BERLIN)
    assert covers(scope, "porch", at("2026-07-01 06:30")) and not covers(scope, "porch", at("2026-07-01 07:30"))
    assert covers(scope, "porch", at("2026-12-01 07:30")) and not covers(scope, "porch", at("2026-12-01 06:30"))


@pytest.mark.parametrize("when", [float("nan"), float("inf"), -1.0, 1e18])
def test_a_time_outside_the_calendar_is_in_no_hours_and_still_in_a_window(when):
    assert not covers(Scope(hours=((0, 1440),)), "porch", when)
    if when == when and abs(when) < 1e20:
        start, end = window_of(when, DAY, BERLIN)
        assert start <= when < end


@pytest.mark.parametrize(
    ("text", "hours", "written"),
    [
        ("22:00-06:00", ((1320, 360),), "22:00-06:00"),
        ("8-18", ((480, 1080),), "08:00-18:00"),
        ("06:30-07:15", ((390, 435),), "06:30-07:15"),
        (" 8 - 12 , 13:30-24 ", ((480, 720), (810, 1440)), "08:00-12:00,13:30-24:00"),
        ("20-0", ((1200, 1440),), "20:00-24:00"),
        ("", (), ""),
    ],
)
def test_hours_are_read_and_written(text, hours, written):
    assert parse_hours(text) == hours
    assert format_hours(hours) == written
    assert parse_hours(written) == hours


@pytest.mark.parametrize("text", ["8", "25-26", "8-25", "8:60-9", "8-8", "noon-1", "24-3", "8-18,", "-", "8-12-18"])
def test_nonsense_hours_are_refused_with_a_hint(text):
    with pytest.raises(InvalidInput) as refused:
        parse_hours(text)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("text", "days", "written"),
    [
        ("mon-fri", (0, 1, 2, 3, 4), "mon-fri"),
        ("sat,sun", (5, 6), "sat,sun"),
        ("Saturday, sun", (5, 6), "sat,sun"),
        ("fri-mon", (0, 4, 5, 6), "mon,fri-sun"),
        ("wed", (2,), "wed"),
        ("mon-mon", (0,), "mon"),
        ("mon-sun", (0, 1, 2, 3, 4, 5, 6), "mon-sun"),
        ("", (), ""),
    ],
)
def test_weekdays_are_read_and_written(text, days, written):
    assert parse_weekdays(text) == days
    assert format_weekdays(days) == written
    assert parse_weekdays(written) == days


@pytest.mark.parametrize("text", ["mo", "funday", "mon-", "-fri", "mon,,tue", "mon-tue-wed", "1-5"])
def test_nonsense_weekdays_are_refused_with_a_hint(text):
    with pytest.raises(InvalidInput) as refused:
        parse_weekdays(text)
    assert refused.value.hint


@given(st.sets(st.integers(0, 6)))
def test_every_set_of_weekdays_survives_being_written(days):
    assert parse_weekdays(format_weekdays(tuple(days))) == tuple(sorted(days))


@pytest.mark.parametrize("name", ["", "UTC", BERLIN, "America/Argentina/Ushuaia"])
def test_a_timezone_is_known(name):
    assert check_timezone(name) == name


@pytest.mark.parametrize(
    "name", ["Europe/Berln", "europe/berlin ", "Europe", "/etc/passwd", "../Berlin", "\0", "x" * 300]
)
def test_what_is_no_timezone_is_refused_with_a_hint(name):
    with pytest.raises(InvalidInput) as refused:
        check_timezone(name)
    assert refused.value.hint


def test_a_mistyped_timezone_names_the_nearest():
    with pytest.raises(InvalidInput, match="Europe/Berlin"):
        check_timezone("Europe/Berln")


@pytest.mark.parametrize(
    ("when", "zone", "start", "hours"),
    [
        ("2026-11-21 12:00", BERLIN, "2026-11-21 00:00", 24),
        ("2026-03-29 12:00", BERLIN, "2026-03-29 00:00", 23),
        ("2026-10-25 12:00", BERLIN, "2026-10-25 00:00", 25),
        # The clock jumps over midnight, from 24:00 to 1:00.
        ("2018-11-04 12:00", "America/Sao_Paulo", "2018-11-04 01:00", 23),
        ("2026-11-21 12:00", "", "2026-11-21 00:00", 24),
    ],
)
def test_a_day_goes_from_local_midnight_to_local_midnight(when, zone, start, hours):
    window = window_of(at(when, zone), DAY, zone)
    assert window == (at(start, zone), at(start, zone) + hours * HOUR)


def test_seven_days_are_the_calendar_week():
    start, end = window_of(at("2026-11-21 12:00", BERLIN), 7 * DAY, BERLIN)
    assert (start, end) == (at("2026-11-16 00:00", BERLIN), at("2026-11-23 00:00", BERLIN))


@pytest.mark.parametrize(
    ("per_s", "when", "start", "end"),
    [
        (HOUR, "2026-11-21 12:34", "2026-11-21 12:00", "2026-11-21 13:00"),
        (6 * HOUR, "2026-11-21 12:34", "2026-11-21 12:00", "2026-11-21 18:00"),
        (600, "2026-11-21 12:34", "2026-11-21 12:30", "2026-11-21 12:40"),
        # 5 hours do not divide the day: its last window is shorter.
        (5 * HOUR, "2026-11-21 23:00", "2026-11-21 20:00", "2026-11-22 00:00"),
    ],
)
def test_shorter_windows_follow_each_other_from_local_midnight(per_s, when, start, end):
    for zone in ("", BERLIN, "Asia/Kathmandu"):
        assert window_of(at(when, zone), per_s, zone) == (at(start, zone), at(end, zone))


def test_an_hour_that_comes_twice_is_two_windows():
    twice = at("2026-10-25 00:30"), at("2026-10-25 01:30")
    assert [window_of(t, HOUR, BERLIN) for t in twice] == [(t - 1800, t + 1800) for t in twice]


PERIODS = st.one_of(
    st.sampled_from([1.0, 600.0, HOUR, 5 * HOUR, 36 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY]), st.floats(0.1, 1e6)
)
ZONES = st.sampled_from(["", BERLIN, "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"])


@given(st.floats(1e8, 4e9), PERIODS, ZONES)
def test_every_time_is_in_its_window_and_the_next_begins_where_it_ends(when, per_s, zone):
    start, end = window_of(when, per_s, zone)
    assert start <= when < end
    assert window_of(start + 1e-3, per_s, zone)[0] == pytest.approx(start)
    assert window_of(end + 1e-3, per_s, zone)[0] == pytest.approx(end)
