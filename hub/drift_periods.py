"""Days, months and years by the local clock, and which of them others are compared with. Pure."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np

from hub.snapshots import Snapshots
from shared.errors import InvalidInput

_LATE = 0.1
"""Part of a period that may be missing at its start, or its end, and it still counts as full."""


class Increment(StrEnum):
    """How long a period is."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


_FORMATS = {Increment.DAY: "%Y-%m-%d", Increment.MONTH: "%Y-%m", Increment.YEAR: "%Y"}
_WRITTEN = {4: Increment.YEAR, 7: Increment.MONTH, 10: Increment.DAY}


def is_period(text: str) -> bool:
    """Whether a text is written as a period: `2026`, `2026-09` or `2026-09-14`."""
    return re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", text) is not None


def period_of(at: float, increment: Increment, timezone: str = "") -> str:
    """The period that a time, Unix seconds, falls in: `2026-09-14`, `2026-09` or `2026`. timezone: "" for UTC."""
    return datetime.fromtimestamp(at, _zone(timezone)).strftime(_FORMATS[increment])


def bounds(period: str, timezone: str = "") -> tuple[float, float]:
    """Start and end, end excluded, of a period; Unix seconds. InvalidInput for what is none."""
    try:
        increment = _WRITTEN[len(period)]
        first = datetime.strptime(period, _FORMATS[increment]).date()
        if increment is Increment.DAY:
            last = first + timedelta(days=1)
        else:
            months = first.year * 12 + first.month - 1 + (1 if increment is Increment.MONTH else 12)
            last = date(months // 12, months % 12 + 1, 1)
    except (KeyError, ValueError, OverflowError):
        raise InvalidInput(f"{period!r} is no period", hint="Write 2026, 2026-09 or 2026-09-14.") from None
    zone = _zone(timezone)
    return _midnight(first, zone), _midnight(last, zone)


def periods_between(first: float, last: float, increment: Increment, timezone: str = "") -> list[str]:
    """The periods from that of one time to that of another, oldest first."""
    found = [period_of(first, increment, timezone)]
    until = period_of(last, increment, timezone)
    while found[-1] < until:
        found.append(period_of(bounds(found[-1], timezone)[1], increment, timezone))
    return found


def periods_of(taken_at: Sequence[float] | np.ndarray, increment: Increment, timezone: str = "") -> np.ndarray:
    """(n,) the period of each time."""
    return np.array([period_of(float(at), increment, timezone) for at in taken_at], np.str_)


def earliest_full(first: float, periods: Sequence[str], timezone: str = "") -> str:
    """The first of `periods` (oldest first, those with frames) that was seen nearly from its start; `first` is the time
    of the first frame. The first of all where only the last would be left to compare it with."""
    start, end = bounds(periods[0], timezone)
    is_full = first <= start + _LATE * (end - start)
    return periods[0] if is_full or len(periods) < 3 else periods[1]


def is_full(period: str, first: float, last: float, timezone: str = "") -> bool:
    """Whether a period was seen nearly from its start to its end. first, last: the times of the first and last frame of
    all periods."""
    start, end = bounds(period, timezone)
    return first <= start + _LATE * (end - start) and last >= end - _LATE * (end - start)


def split(all_: Snapshots, period: str, timezone: str = "") -> tuple[Snapshots, Snapshots]:
    """Those of a period, and those of other times. InvalidInput when the period is none."""
    start, end = bounds(period, timezone)
    inside = (all_.taken_at >= start) & (all_.taken_at < end)
    return all_.pick(inside), all_.pick(~inside)


def _midnight(day: date, zone: tzinfo) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


def _zone(name: str) -> tzinfo:
    return ZoneInfo(name) if name else UTC
