"""Filters as a person writes them: times ago, dates, names."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from hub.archive import Filter
from hub.protocols import Store
from hub.types import ElementKind
from shared.errors import InvalidInput, NotFound

_AGO = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])[a-z]*(?:\s+ago)?\s*")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_time(text: str, *, now: float) -> float:
    """Unix seconds of `7d`, `24h` (ago), or of an ISO 8601 date or time, UTC where it names no zone. InvalidInput."""
    if found := _AGO.fullmatch(text.lower()):
        return now - float(found[1]) * _SECONDS[found[2]]
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInput(
            f"{text!r} is no time", hint="Write how long ago (7d, 24h, 30m), or 2026-11-20 or 2026-11-20T18:00."
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def parse_filter(
    *,
    since: str | None = None,
    until: str | None = None,
    cameras: Sequence[str] = (),
    labels: Sequence[str] = (),
    kind: str | None = None,
    now: float,
) -> Filter:
    """A filter from what a person wrote. InvalidInput for a time that is none, or no time at all in between."""
    first = parse_time(since, now=now) if since else None
    last = parse_time(until, now=now) if until else None
    if first is not None and last is not None and first >= last:
        raise InvalidInput(f"nothing lies between {since} and {until}", hint="--since comes before --until.")
    if kind and kind not in list(ElementKind):
        raise InvalidInput(f"{kind!r} is no kind of element", hint="There are: frame, crop.")
    return Filter(first, last, tuple(cameras), tuple(labels), ElementKind(kind) if kind else None)


def check_cameras(names: Sequence[str], store: Store) -> None:
    """NotFound for a name that is neither a camera's nor that of anything stored."""
    known = {camera.name for camera in store.cameras()}
    if known.issuperset(names):
        return
    known |= store.archive.cameras(names)
    for name in names:
        if name not in known:
            raise NotFound("camera", name, known)
