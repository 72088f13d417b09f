"""When a destination is left alone, and how fast it is served: values that are told the time. Pure.

The breaker is the pattern of M. Nygard, "Release It!" (2007), its wait that of `shared.retry`. What is called closed
there is OPEN here, as of a shop; its half-open is any other state once `until` has passed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from hub.deliveries import SinkHealth, SinkState
from hub.types import RateLimit
from shared.retry import Backoff

TROUBLES = 5
"""So many in a row are taken for the destination's own, not for those samples'."""

RESTS = Backoff(base_s=2.0, cap_s=300.0)
PAUSES = Backoff(base_s=30.0, cap_s=600.0)

LONGEST_S = 86400.0
"""The longest that a destination may make us wait."""


@dataclass(frozen=True)
class Breaker:
    """What is known of a destination, and what follows for the next try.

    troubles: in a row, while it is open. rests: in a row, with nothing that worked between. rest_s: length of the
    rest that ends at `health.until`; a clock that was set back must not make it longer.
    """

    health: SinkHealth
    troubles: int = 0
    rests: int = 0
    rest_s: float = 0.0

    @classmethod
    def recorded(cls, health: SinkHealth, now: float) -> "Breaker":
        """As another process left it. now: Unix seconds."""
        rest_s = min(max(health.until - now, 0.0), LONGEST_S)
        return cls(replace(health, until=now + rest_s) if rest_s == LONGEST_S else health, rest_s=rest_s)

    @property
    def is_open(self) -> bool:
        """Whether everything may be tried."""
        return self.health.state is SinkState.OPEN

    def is_resting(self, now: float) -> bool:
        """Whether nothing may be tried; where neither this nor `is_open` holds, one delivery may."""
        return not self.is_open and 0.0 < self.health.until - now <= self.rest_s

    def worked(self, now: float) -> "Breaker":
        """The destination took something, or said in so many words why not."""
        if self.is_open:
            return replace(self, troubles=0)
        return Breaker(SinkHealth(self.health.sink, since=now))

    def troubled(self, reason: str, now: float, random: Callable[[], float], after_s: float | None = None) -> "Breaker":
        """It could not be reached, or had trouble of its own. after_s: the wait it asked for, if it did."""
        if self.is_open and self.troubles + 1 < TROUBLES:
            return replace(self, troubles=self.troubles + 1)
        rests = self._rests_in(SinkState.RESTING)
        wait_s = max(RESTS.delay(rests, random), bounded(after_s or 0.0))
        return self._rest(SinkState.RESTING, reason, now, rests, wait_s)

    def paused(self, reason: str, now: float, random: Callable[[], float], rest_s: float | None = None) -> "Breaker":
        """A person must do something. rest_s: when to try again, else ever more rarely."""
        rests = self._rests_in(SinkState.PAUSED)
        wait_s = PAUSES.delay(rests, random) if rest_s is None else rest_s
        return self._rest(SinkState.PAUSED, reason, now, rests, wait_s)

    def roused(self) -> "Breaker":
        """A person asks for a try at once."""
        return replace(self, health=replace(self.health, until=0.0), rests=0)

    def _rests_in(self, state: SinkState) -> int:
        return self.rests + 1 if self.health.state is state else 1

    def _rest(self, state: SinkState, reason: str, now: float, rests: int, wait_s: float) -> "Breaker":
        since = self.health.since if self.health.state is state else now
        health = SinkHealth(self.health.sink, state, reason, since, now + wait_s)
        return Breaker(health, rests=rests, rest_s=wait_s)


def bounded(after_s: float) -> float:
    """Seconds that a destination asked us to wait, as we do."""
    return min(max(after_s, 0.0), LONGEST_S)


@dataclass(frozen=True)
class Tokens:
    """A token bucket that never lets more than `limit.count` pass in any `limit.per_s` seconds.

    It holds a tenth of the count, and fills at what that leaves of the rate: burst + refill = count + 1, of which one
    falls just outside. held: at `at`, seconds of a monotonic clock. It starts empty, so that a limit holds over a
    restart, too.
    """

    limit: RateLimit
    at: float
    held: float = 0.0

    def __post_init__(self) -> None:
        if self.limit.count < 1 or self.limit.per_s <= 0:
            raise ValueError(f"a rate needs a count of 1 or more in more than 0 s, got {self.limit}")

    @property
    def burst(self) -> int:
        """The most it holds."""
        return 1 + (self.limit.count - 1) // 10

    @property
    def per_s(self) -> float:
        """Tokens that come in a second."""
        return (self.limit.count - self.burst + 1) / self.limit.per_s

    def later(self, at: float) -> "Tokens":
        """Filled up to a time."""
        held = self.held + max(at - self.at, 0.0) * self.per_s
        return replace(self, at=max(at, self.at), held=min(held, float(self.burst)))

    def take(self) -> "Tokens":
        """One less."""
        return replace(self, held=self.held - 1.0)

    @property
    def wait_s(self) -> float:
        """Seconds from `at` until there is a whole one."""
        return max(1.0 - self.held, 0.0) / self.per_s
