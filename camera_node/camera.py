"""One device, any number of readers.

`Camera.snapshot()` is all a reader needs. Behind it one thread owns the device: it opens it when somebody asks,
publishes the newest picture, and closes it when nobody has asked for a while.
"""

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from camera_node.picture import Picture, Wanted, to_jpeg
from shared.errors import CameraError, ImageError
from shared.retry import Backoff

log = logging.getLogger(__name__)

MAX_STUCK_THREADS = 3
"""Threads that may hang in a driver before we stop starting new ones."""

MAX_DAMAGED = 30
"""Damaged pictures in a row until the device counts as broken. A torn frame now and then is normal for USB."""

RARE_S = 0.2
"""Where frames are further apart, each is retrieved, asked for or not: waiting for the next would be too long."""


class Source(Protocol):
    """An open device. One thread uses it."""

    @property
    def live(self) -> bool:
        """Whether pictures show the present, and so get a capture time in their EXIF; a replay does not."""

    @property
    def fps(self) -> float:
        """Pictures a second, as far as known."""

    def grab(self) -> float:
        """Wait for the next picture; the monotonic time it was taken. CameraError when the device is gone."""

    def retrieve(self) -> Picture:
        """The picture last grabbed: JPEG bytes as the device made them, or pixels (height, width, 3) BGR.
        Called only when somebody wants it. ImageError when this one is damaged; the next may be good."""

    def close(self) -> None:
        """Give the device back."""


_BACKOFF = Backoff(base_s=0.5, cap_s=10.0)

Opener = Callable[[], Source]
"""Opens a device, or raises CameraError with what is wrong. Called again after each close."""


@dataclass(frozen=True)
class Shot:
    """A picture and when it was taken: `taken_at` in Unix seconds, `clock` in monotonic seconds."""

    seq: int
    jpeg: bytes
    taken_at: float
    clock: float
    live: bool


@dataclass(frozen=True)
class Patience:
    """How long what may take, in seconds.

    idle_s: without a request until the device is closed. answer_s: a reader waits for a picture.
    open_s, grab_s: the device may be busy with one call until it counts as stuck. max_age_s: how long before the
    request a picture may have been taken; None is one frame interval. backoff: between tries to open a device.
    """

    idle_s: float = 10.0
    answer_s: float = 5.0
    open_s: float = 20.0
    grab_s: float = 5.0
    max_age_s: float | None = None
    backoff: Backoff = _BACKOFF


@dataclass(frozen=True)
class _Failure:
    """Why there is no picture, and the monotonic time of the next try."""

    reason: str
    message: str
    retry_at: float

    def error(self) -> CameraError:
        # A new one for each reader: raising one object again and again would grow its traceback for ever.
        return CameraError(self.reason, self.message, retry_after_s=max(1.0, self.retry_at - time.monotonic()))


class _Turn:
    """One life of the capture thread. `phase` and since when, for the readers to see whether it hangs."""

    def __init__(self) -> None:
        self.over = False
        self.damaged = 0
        self.fps = 0.0
        self.thread: threading.Thread | None = None
        self.enter("opening")

    def enter(self, phase: str) -> None:
        self.phase, self.since = phase, time.monotonic()

    @property
    def interval_s(self) -> float:
        return 1 / (self.fps or 30.0)


class Camera:
    """Shares one device. Safe to use from any thread; two cameras in a process know nothing of each other."""

    def __init__(self, opener: Opener, wanted: Wanted | None = None, patience: Patience | None = None) -> None:
        self.boot = secrets.token_hex(4)
        self._opener = opener
        self._wanted = wanted or Wanted()
        self._patience = patience or Patience()
        # All below is guarded by _changed.
        self._changed = threading.Condition()
        self._turn: _Turn | None = None
        self._stuck: list[_Turn] = []
        self._shot: Shot | None = None
        self._failure: _Failure | None = None
        self._seq = 0
        self._waiting = 0
        self._asked_at = 0.0
        self._stopped = False

    # ── for readers ──────────────────────────────────────────────────────────────────────────────────

    def snapshot(self) -> Shot:
        """A picture taken no earlier than `max_age_s` before now; CameraError after `answer_s` at the latest."""
        asked_at = time.monotonic()
        with self._changed:
            self._asked_at = asked_at
            self._waiting += 1
            try:
                return self._await(asked_at)
            finally:
                self._waiting -= 1

    def stop(self, wait_s: float = 1.0) -> None:
        """Send waiting readers away and close the device; returns after `wait_s` even when it hangs."""
        with self._changed:
            self._stopped = True
            turn = self._turn
            if turn:
                turn.over = True
            self._changed.notify_all()
        if turn and turn.thread:
            turn.thread.join(wait_s)

    @property
    def is_open(self) -> bool:
        """Whether a thread is at the device, or trying to be."""
        with self._changed:
            return self._turn is not None

    def _await(self, asked_at: float) -> Shot:
        while True:
            if self._stopped:
                raise CameraError("stopping", "stopping", retry_after_s=5)
            turn = self._keep_alive()
            max_age_s = turn.interval_s if self._patience.max_age_s is None else self._patience.max_age_s
            if self._shot and self._shot.clock >= asked_at - max_age_s:
                return self._shot
            if self._failure:
                raise self._failure.error()
            left_s = asked_at + self._patience.answer_s - time.monotonic()
            if left_s <= 0 and turn.phase == "opening":
                raise CameraError("starting", "starting: the device is being opened", retry_after_s=1)
            if left_s <= 0:
                raise CameraError("stalled", "stalled: the device gives no pictures", retry_after_s=1)
            self._changed.wait(left_s)

    def _keep_alive(self) -> _Turn:
        """See that a thread is at work. One that hangs in its driver is left behind and another one started."""
        turn = self._turn
        if turn and time.monotonic() - turn.since > self._limit_s(turn):
            log.warning("the device does not answer while %s; starting over", turn.phase)
            turn.over = True
            self._stuck.append(turn)
            self._turn, self._shot = None, None
            self._failure = _Failure("stalled", "stalled: the device does not answer", time.monotonic() + 1)
        return self._turn or self._start()

    def _limit_s(self, turn: _Turn) -> float:
        if turn.phase == "opening":
            return self._patience.open_s
        return float("inf") if turn.phase == "pausing" else self._patience.grab_s + 2 * turn.interval_s

    def _start(self) -> _Turn:
        self._stuck = [turn for turn in self._stuck if turn.thread and turn.thread.is_alive()]
        if len(self._stuck) >= MAX_STUCK_THREADS:
            message = "stalled: the driver hangs; replug the camera or restart its machine"
            raise CameraError("stalled", message, retry_after_s=10)
        turn = _Turn()
        turn.thread = threading.Thread(target=self._run, args=(turn,), name="capture", daemon=True)
        self._turn = turn
        turn.thread.start()
        return turn

    # ── the thread ───────────────────────────────────────────────────────────────────────────────────

    def _run(self, turn: _Turn) -> None:
        attempt = 0
        while self._is_wanted(turn):
            attempt = 1 if self._capture(turn) else attempt + 1
            self._pause(turn, attempt)

    def _is_wanted(self, turn: _Turn) -> bool:
        """Whether the turn goes on. When it does not it has ended: the next reader starts another."""
        with self._changed:
            if not self._is_idle() and not turn.over:
                return True
            turn.over = True
            if self._turn is turn:
                self._turn, self._shot, self._failure = None, None, None
            self._changed.notify_all()
            return False

    def _capture(self, turn: _Turn) -> bool:
        """Open, and capture until the device fails or nobody asks. Returns whether it gave any picture."""
        source: Source | None = None
        first = self._seq
        turn.enter("opening")
        try:
            source = self._opener()
            turn.fps = source.fps
            while not turn.over and not self._is_idle():
                self._next(turn, source)
        except CameraError as error:
            self._fail(turn, error)
        except Exception as error:  # a driver may raise anything; the thread has to outlive it
            log.exception("the device failed in an unexpected way")
            self._fail(turn, CameraError("unavailable", f"unavailable: {error}"))
        finally:
            turn.enter("closing")
            if source:
                _close(source)
        return self._seq > first

    def _next(self, turn: _Turn, source: Source) -> None:
        turn.enter("grabbing")
        clock = source.grab()
        turn.fps = source.fps
        if self._shot and not self._waiting and turn.interval_s < RARE_S:
            return  # nobody looks: leave it undecoded
        turn.enter("retrieving")
        try:
            jpeg = to_jpeg(source.retrieve(), self._wanted)
        except ImageError as error:
            self._skip_damaged(turn, error)
            return
        turn.damaged = 0
        self._publish(turn, jpeg, clock, source.live)

    def _skip_damaged(self, turn: _Turn, error: ImageError) -> None:
        turn.damaged += 1
        log.debug("skipped a damaged picture: %s", error)
        if turn.damaged >= MAX_DAMAGED:
            raise CameraError("unavailable", f"unavailable: {turn.damaged} damaged pictures in a row: {error.message}")

    def _publish(self, turn: _Turn, jpeg: bytes, clock: float, live: bool) -> None:
        taken_at = time.time() - (time.monotonic() - clock)
        with self._changed:
            if self._turn is not turn:
                return  # this thread was given up meanwhile
            if self._failure:
                log.info("pictures again")
            self._seq += 1
            self._failure = None
            self._shot = Shot(self._seq, jpeg, taken_at, clock, live)
            self._changed.notify_all()

    def _fail(self, turn: _Turn, error: CameraError) -> None:
        with self._changed:
            if self._turn is not turn:
                return
            if self._failure is None or self._failure.message != error.message:
                log.warning("%s", error)
            self._failure = _Failure(error.reason, error.message, time.monotonic() + 1)
            self._shot = None
            self._changed.notify_all()

    def _is_idle(self) -> bool:
        return not self._waiting and time.monotonic() - self._asked_at > self._patience.idle_s

    def _pause(self, turn: _Turn, attempt: int) -> None:
        """Wait before the next try, unless nothing failed."""
        turn.enter("pausing")
        with self._changed:
            if self._turn is turn and self._failure and not turn.over:
                delay_s = self._patience.backoff.delay(attempt, random.random)
                self._failure = replace(self._failure, retry_at=time.monotonic() + delay_s)
                self._changed.wait_for(lambda: turn.over, delay_s)


def _close(source: Source) -> None:
    try:
        source.close()
    except Exception:  # a driver may raise anything; the thread has to outlive it
        log.exception("the device could not be closed")
