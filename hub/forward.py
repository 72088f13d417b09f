"""Empties the outbox: each sample reaches each of its destinations once, whatever dies on the way.

A delivery is claimed for a while, tried, and settled. A process that dies in between leaves the claim to run out, and
the delivery is tried again; destinations recognise a sample they have. Each destination has a lane of its own, so a
slow one holds up no other, and a breaker, so one that is away costs nothing and its backlog stays due.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from hub.breaker import Breaker, Tokens, bounded
from hub.deliveries import Delivery, DeliveryState, Pace, Parcel, SinkHealth
from hub.protocols import Blobs, Redact, Sink, Store
from shared.errors import (
    Paused,
    Refused,
    RetryLater,
    StoreError,
)
from shared.log import redact as without_secrets
from shared.retry import Backoff

_log = logging.getLogger(__name__)

BACKOFF = Backoff(base_s=2.0, cap_s=3600.0)

WORDS = 1000
"""Characters that are kept of what a destination says."""

SLACK_S = 15.0
"""What a claim holds beside the time-outs: for the database, and for clocks that differ."""

NEWEST_SHARE = 4
"""One claim in so many takes the newest samples, the others those due longest: a backlog does not starve what is new,
nor the other way round."""

OPENING_S = 30.0
"""How long a destination that could not be opened is left before the next try."""

LOOK_S = 1.0
"""How often to look for new destinations, and whether a person asks for a try of one at rest."""

FLUSH_S = 2.0
FLUSH_SHARE = 0.05
"""A destination is flushed no more often than every FLUSH_S, and for no more than this share of the time."""

IDLE_S = 0.5
TROUBLE_S = 5.0
"""How long a lane waits after a mistake of ours."""

LAST_S = 5.0
STOP_S = 9.0
"""A stopping forwarder goes on emptying the outbox for LAST_S, and waits for what is under way until STOP_S."""


# ── one try ──────────────────────────────────────────────────────────────────────────────────────────


class Says(Enum):
    """What a try says of the destination as a whole."""

    NOTHING = auto()
    WORKS = auto()
    TROUBLED = auto()
    UNUSABLE = auto()


@dataclass(frozen=True)
class Tried:
    """How a try ended. delivery: as it is to be settled. reason: what is wrong with the destination, in its words.
    after_s: the wait it asked for, None where it did not."""

    delivery: Delivery
    says: Says = Says.NOTHING
    reason: str = ""
    after_s: float | None = None


def attempt(
    delivery: Delivery, parcel: Parcel, sink: Sink, *, clock: Callable[[], float], random: Callable[[], float]
) -> Tried:
    """Send once. clock: Unix seconds. random: in [0, 1).

    Refused parks it. RetryLater waits as long as the destination said, else ever longer. Paused does not count as a
    try, since it says nothing of the sample.
    """
    try:
        remote_id = sink.send(parcel)
    except Refused as error:
        return Tried(_parked(delivery, error.message, clock()), Says.WORKS)
    except Paused as error:
        kept = replace(delivery, error=_words(error.message), updated_at=clock())
        return Tried(_reached(kept, error.remote_id), Says.UNUSABLE, _words(f"{error.message} {error.hint}".strip()))
    except RetryLater as error:
        later = _reached(_later(delivery, error.message, clock(), random, error.after_s), error.remote_id)
        if error.of_sample:
            return Tried(later)
        return Tried(later, Says.TROUBLED, later.error, error.after_s)
    sent = replace(delivery, state=DeliveryState.SENT, remote_id=remote_id, error="")
    return Tried(replace(sent, attempts=delivery.attempts + 1, updated_at=clock()), Says.WORKS)


def _parked(delivery: Delivery, why: str, now: float) -> Delivery:
    tried = replace(delivery, attempts=delivery.attempts + 1, updated_at=now)
    return replace(tried, state=DeliveryState.PARKED, error=_words(why))


def _later(
    delivery: Delivery, why: str, now: float, random: Callable[[], float], after_s: float | None = None
) -> Delivery:
    tried = replace(delivery, attempts=delivery.attempts + 1, updated_at=now)
    wait_s = BACKOFF.delay(tried.attempts, random) if after_s is None else bounded(after_s)
    return replace(tried, due_at=now + wait_s, error=_words(why))


def _reached(delivery: Delivery, remote_id: str) -> Delivery:
    """It got as far as having an id there, if it did."""
    return replace(delivery, remote_id=remote_id or delivery.remote_id)


def _words(text: str) -> str:
    return without_secrets(text)[:WORDS]


@dataclass(frozen=True)
class Drained:
    """What became of deliveries that were claimed. waiting: will be tried again."""

    sent: int = 0
    waiting: int = 0
    parked: int = 0

    @property
    def tried(self) -> int:
        """All of them."""
        return self.sent + self.waiting + self.parked

    def __add__(self, other: "Drained") -> "Drained":
        return Drained(self.sent + other.sent, self.waiting + other.waiting, self.parked + other.parked)


# ── all destinations ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Parts:
    """What a lane works with. clock: Unix seconds. monotonic: seconds. random: in [0, 1)."""

    store: Store
    blobs: Blobs
    open: Callable[[str], Sink]
    clock: Callable[[], float]
    random: Callable[[], float]
    monotonic: Callable[[], float]
    redact: Redact | None


class Forwarder:
    """Drains the outbox until told to stop. Several may run on one database, each with sinks of its own.

    open: gives a destination by its name; InvalidInput where it can't work as it is set up. clock: Unix seconds.
    random: in [0, 1). redact: asked before a picture leaves this machine for the first time.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        open: Callable[[str], Sink],
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        redact: Redact | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = Parts(store, blobs, open, clock, random, monotonic, redact)
        self._lanes: dict[str, _Lane] = {}
        self._problem = ""

    def run(self, stop: threading.Event) -> None:
        """Drain, and wait for more, until `stop` is set; then drain what is due, and be back within ten seconds.

        A try that takes longer is left behind; its claim runs out, and it is tried again some day."""
        threads: list[threading.Thread] = []
        while not stop.is_set():
            for lane in self._new_lanes_safely():
                threads.append(threading.Thread(target=lane.run, args=(stop,), name=f"to {lane.name}", daemon=True))
                threads[-1].start()
            stop.wait(LOOK_S)
        give_up_at = time.monotonic() + STOP_S
        for thread in threads:
            thread.join(max(0.0, give_up_at - time.monotonic()))

    def drain(self) -> Drained:
        """Try everything that is due now, destination after destination."""
        self._new_lanes()
        return sum((lane.drain() for lane in self._lanes.values()), Drained())

    def _new_lanes(self) -> list["_Lane"]:
        names = [name for name in self._parts.store.waiting_sinks() if name not in self._lanes]
        new = {name: _Lane(name, self._parts) for name in names}
        self._lanes.update(new)
        return list(new.values())

    def _new_lanes_safely(self) -> list["_Lane"]:
        try:
            lanes = self._new_lanes()
        except StoreError as error:
            if error.message != self._problem:
                _log.error("%s", error.message)
            self._problem = error.message
            return []
        self._problem = ""
        return lanes


# ── the way to one destination ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Job:
    """A delivery that is ours until then. round: rests of the destination there were when it was handed out."""

    delivery: Delivery
    until: float
    round: int = 0


class _Lane:
    """The way to one destination. Its thread alone claims, settles and judges how the destination does; workers send.

    ready: claimed, and not handed out. under way: ids of what workers have.
    """

    def __init__(self, name: str, parts: Parts) -> None:
        self.name = name
        self._parts = parts
        self._sink: Sink | None = None
        self._pace = Pace()
        self._tokens: Tokens | None = None
        self._breaker = Breaker(SinkHealth(name))
        self._begun = False
        self._recorded = True
        self._round = 0
        self._ready: deque[_Job] = deque()
        self._under_way: dict[int, _Job] = {}
        self._unsettled: deque[Delivery] = deque()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[_Job, Tried]] = queue.SimpleQueue()
        self._workers = 0
        self._claims = 0
        self._claim_at = self._look_at = self._flush_at = float("-inf")
        self._unflushed = True  # a crash may have left something
        self._flush_failed = False
        self._problem = ""

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; then what is due, for LAST_S at most."""
        while not stop.is_set():
            self._safely(lambda: self._turn(IDLE_S), stop)
        began = time.monotonic()
        self._claim_at = float("-inf")
        while time.monotonic() < began + LAST_S and self._safely(lambda: self._turn(0.1), stop) is not None:
            if self._is_done():
                break
        self._safely(self._give_back, stop)
        while self._under_way and time.monotonic() < began + STOP_S:
            self._safely(lambda: self._collect(0.1), stop)
        if not self._under_way:
            self._safely(self._flush, stop)
        self._dismiss()

    def drain(self) -> Drained:
        """Try everything that is due now."""
        total = Drained()
        self._claim_at = self._look_at = float("-inf")
        while True:
            total += self._turn(0.1, flush=False)
            if self._is_done():
                break
        self._flush()
        self._dismiss()
        return total
