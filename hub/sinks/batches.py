"""Names of upload batches: a new one every day, week or month, and the next one once it is full."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime

_PERIODS = {"never": "", "day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}


def batch_of(prefix: str, every: str, at: float) -> str:
    """The batch of a time: "bowerbird-2026-11-21", -2026-W47 or -2026-11. every: of options.PERIODS. at: Unix seconds,
    UTC days."""
    period = datetime.fromtimestamp(at, UTC).strftime(_PERIODS[every]) if _PERIODS[every] else ""
    return "-".join(part for part in (prefix, period) if part)


class Batches:
    """Places in batches of at most `size` pictures. Several threads may take places at once.

    A sample keeps its place while it is tried again, so that outages fill no batch with pictures that never came.
    """

    def __init__(self, size: int, counts: Mapping[str, int]) -> None:
        self._size = size
        self._counts = dict(counts)
        self._places: dict[str, str] = {}
        self._lock = threading.Lock()

    def take(self, batch: str, sample_id: str) -> tuple[str, bool]:
        """The name of the batch that a sample goes to, and whether it did not have this place before."""
        with self._lock:
            if sample_id in self._places:
                return self._places[sample_id], False
            name, number = batch, 1
            while self._counts.get(name, 0) >= self._size:
                number += 1
                name = f"{batch}-{number}"
            self._counts[name] = self._counts.get(name, 0) + 1
            self._places[sample_id] = name
            return name, True

    def done(self, sample_id: str, *, filled: bool) -> None:
        """A sample needs its place no longer. filled: whether its picture is there."""
        with self._lock:
            name = self._places.pop(sample_id, None)
            if name is not None and not filled:
                self._counts[name] -= 1
