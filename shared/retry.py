"""Waiting between tries: a value, not a loop."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Exponential back-off with full jitter: attempt n waits uniformly in [base, min(cap, base·factor^n)].

    base_s, cap_s: seconds. Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (full jitter), with a
    floor so that a failing peer is never asked in a tight loop.
    """

    base_s: float = 1.0
    cap_s: float = 60.0
    factor: float = 2.0

    def delay(self, attempt: int, random: Callable[[], float]) -> float:
        """Seconds to wait after failure number `attempt` (1 is the first). random: returns [0, 1)."""
        if attempt < 1:
            raise ValueError(f"attempts are counted from 1, got {attempt}")
        # 64 doublings pass any cap; the bound keeps the power finite after weeks of failures.
        ceiling = max(self.base_s, min(self.cap_s, self.base_s * self.factor ** min(attempt, 64)))
        return self.base_s + (ceiling - self.base_s) * random()
