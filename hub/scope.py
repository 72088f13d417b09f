"""Where and when a campaign looks, and which window of time a frame belongs to. Pure.

All of it goes by wall-clock time in an IANA timezone: a day begins at local midnight and has 23 or 25 hours when the
clock changes.
"""

import difflib
import re
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from hub.types import Scope
from shared.errors import InvalidInput

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

DAY_S = 86400.0
DAY_MIN = 1440

_HOURS_HINT = "Write from-to, such as 8-18 or 22:00-06:00; several with a comma between them."
_WEEKDAYS_HINT = "Write days such as mon-fri or sat,sun."

_LATEST = datetime(9990, 1, 1, tzinfo=UTC).timestamp()
"""Beyond this (and before 1970) there is no calendar to go by."""


def covers(scope: Scope, camera: str, taken_at: float) -> bool:
    """Whether a campaign looks at what a camera took at a time, Unix seconds.

    Hours that pass midnight belong to the weekday they start on: fri 22:00-06:00 ends on Saturday morning.
    """
    if scope.cameras and camera not in scope.cameras:
        return False
    if not scope.hours and not scope.weekdays:
        return True
    if not _has_calendar(taken_at):
        return False
    local = datetime.fromtimestamp(taken_at, _zone(scope.timezone))
    minute, today = local.hour * 60 + local.minute, local.weekday()
    if not scope.hours:
        return today in scope.weekdays
    return any(_in_hours(start, end, minute, today, scope.weekdays) for start, end in scope.hours)


def _in_hours(start: int, end: int, minute: int, today: int, weekdays: tuple[int, ...]) -> bool:
    if start < end:
        return start <= minute < end and (not weekdays or today in weekdays)
    evening = minute >= start and (not weekdays or today in weekdays)
    return evening or (minute < end and (not weekdays or (today - 1) % 7 in weekdays))


def parse_hours(text: str) -> tuple[tuple[int, int], ...]:
    """`22:00-06:00`, `8-18` or `06:30-07:15, 20-24` as (start, end) minutes of the day; blank is ().

    Raises InvalidInput for what is no time of day and for hours of no length.
    """
    if not text.strip():
        return ()
    return tuple(_hours(part) for part in text.split(","))


def _hours(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"\s*(\d{1,2})(?::(\d\d))?\s*[-–]\s*(\d{1,2})(?::(\d\d))?\s*", text)
    if not found:
        raise InvalidInput(f"{text.strip()!r} are no hours", hint=_HOURS_HINT)
    (h1, m1), (h2, m2) = (int(found[1]), int(found[2] or 0)), (int(found[3]), int(found[4] or 0))
    start, end = h1 * 60 + m1, h2 * 60 + m2
    if max(m1, m2) > 59 or start >= DAY_MIN or end > DAY_MIN:
        raise InvalidInput(f"{text.strip()!r} are no hours of a day", hint=_HOURS_HINT)
    if start == end:
        raise InvalidInput(f"{text.strip()!r} is no time at all", hint="The whole day is 0-24, or no hours given.")
    return start, end or DAY_MIN


def format_hours(hours: tuple[tuple[int, int], ...]) -> str:
    """The inverse of `parse_hours`: `22:00-06:00,08:00-18:00`."""
    return ",".join(f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in hours)


def parse_weekdays(text: str) -> tuple[int, ...]:
    """`mon-fri`, `sat,sun` or `fri-mon` as weekdays, 0 is Monday, sorted; blank is (). Raises InvalidInput."""
    days: set[int] = set()
    for part in text.lower().split(",") if text.strip() else ():
        first, dash, last = (word.strip() for word in part.replace("–", "-").partition("-"))
        start = _weekday(first)
        length = (_weekday(last) - start) % 7 if dash else 0
        days |= {(start + i) % 7 for i in range(length + 1)}
    return tuple(sorted(days))


def _weekday(word: str) -> int:
    for i, (short, name) in enumerate(zip(WEEKDAYS, _NAMES, strict=True)):
        if len(word) >= len(short) and name.startswith(word):
            return i
    raise InvalidInput(f"{word!r} is no day of the week", hint=_WEEKDAYS_HINT)


def format_weekdays(days: tuple[int, ...]) -> str:
    """The inverse of `parse_weekdays`: three or more in a row are a span (`mon-fri`)."""
    runs: list[list[int]] = []
    for day in sorted(set(days)):
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(_format_run([WEEKDAYS[day] for day in run]) for run in runs)


def _format_run(names: list[str]) -> str:
    return f"{names[0]}-{names[-1]}" if len(names) > 2 else ",".join(names)


def check_timezone(name: str) -> str:
    """The name of a timezone as it came, "" for UTC. Raises InvalidInput with the nearest names."""
    try:
        _zone(name)
    except (KeyError, ValueError, OSError):
        known = {key.lower(): key for key in available_timezones()}
        near = [known[key] for key in difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.6)]
        hint = (
            f"Did you mean {', '.join(near)}?" if near else "Give an IANA name such as Europe/Berlin, or none for UTC."
        )
        raise InvalidInput(f"no timezone named {name!r}", hint=hint) from None
    return name


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    return ZoneInfo(name) if name else UTC


def window_of(taken_at: float, per_s: float, timezone: str) -> tuple[float, float]:
    """Start and end, end excluded, of the window of `per_s` seconds a time falls in; all are Unix seconds.

    - Whole days begin at local midnight; several are counted from a Monday, so 7 days are the calendar week.
    - Shorter windows follow each other from local midnight, in elapsed time; the last of a day ends with the day.
    - Anything else (36 hours) are multiples of per_s since 1970-01-01 UTC.
    """
    if not _has_calendar(taken_at) or (per_s > DAY_S and per_s % DAY_S):
        return _multiple(0.0, taken_at, per_s)
    zone = _zone(timezone)
    today = datetime.fromtimestamp(taken_at, zone).date().toordinal()
    days = max(1, int(per_s // DAY_S))
    first = today - (today - 1) % days
    start, end = _midnight(first, zone), _midnight(first + days, zone)
    if per_s >= DAY_S:
        return start, end
    start, until = _multiple(start, taken_at, per_s)
    return start, min(until, end)


def _has_calendar(at: float) -> bool:
    return 0.0 <= at < _LATEST


def _midnight(ordinal: int, zone: tzinfo) -> float:
    """Where the clock jumps over midnight this is the moment it jumps; where midnight comes twice, the first."""
    day = date.fromordinal(ordinal)
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


def _multiple(origin: float, at: float, per_s: float) -> tuple[float, float]:
    n = (at - origin) // per_s
    # A product may be rounded past the time itself.
    n += (origin + (n + 1) * per_s <= at) - (origin + n * per_s > at)
    return origin + n * per_s, origin + (n + 1) * per_s
