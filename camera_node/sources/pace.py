"""Pictures that could be had at any speed, given at the speed of a clock."""

import time


class Pace:
    """The first tick is at once; a late one is not made up for."""

    def __init__(self) -> None:
        self._due = 0.0

    def wait(self, fps: float) -> float:
        """Sleep until the tick is due, and make the next one due 1/fps later. Returns the monotonic time."""
        now = time.monotonic()
        if now < self._due:
            time.sleep(self._due - now)
            now = time.monotonic()
        # A small delay does not shift the beat; after a long one a new beat begins.
        late_s = now - self._due
        self._due = now + 1 / fps - (late_s if late_s < 1 / fps else 0)
        return now
