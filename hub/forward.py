"""Empties the outbox: each sample reaches each of its destinations once, whatever dies on the way.

A delivery is claimed for a while, tried, and settled. A process that dies in between leaves the claim to run out, and
the delivery is tried again; destinations recognise a sample they have. Each destination has a lane of its own, so a
slow one holds up no other.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from hub.deliveries import Delivery, DeliveryState, Parcel
from hub.protocols import Blobs, Sink, Store
from shared.errors import NotFound, Paused, Refused, RetryLater, StoreError
from shared.log import redact
from shared.retry import Backoff

_log = logging.getLogger(__name__)

BACKOFF = Backoff(base_s=2.0, cap_s=3600.0)
LONGEST_S = 86400.0
"""The longest that a destination may make us wait."""

BATCH = 8
ABREAST = 4
"""Deliveries to one destination under way at once."""

LEASE_S = 30.0
"""How long a claim holds, and so how soon what a dead process claimed is tried again."""

REST_S = 30.0
"""How long a destination is left alone once it said that it can't be used."""

FLUSH_S = 2.0
FLUSH_SHARE = 0.05
"""A destination is flushed no more often than every FLUSH_S, and for no more than this share of the time."""

IDLE_S = 0.5
LAST_S = 10.0
"""How long a stopping forwarder goes on emptying the outbox."""


def attempt(delivery: Delivery, parcel: Parcel, sink: Sink, *, now: float, random: Callable[[], float]) -> Delivery:
    """One try; how it ended, as a value. now: Unix seconds. random: in [0, 1).

    Refused parks it. RetryLater waits as long as the destination said, else ever longer. Paused does not count as a
    try, since it says nothing of the sample.
    """
    tried = replace(delivery, attempts=delivery.attempts + 1, updated_at=now)
    try:
        remote_id = sink.send(parcel)
    except Refused as error:
        return replace(tried, state=DeliveryState.PARKED, error=redact(error.message))
    except Paused as error:
        return replace(delivery, due_at=now + REST_S, error=redact(error.message), updated_at=now)
    except RetryLater as error:
        return _later(tried, error.message, now, random, error.after_s)
    return replace(tried, state=DeliveryState.SENT, remote_id=remote_id, error="")


def _later(
    tried: Delivery, why: str, now: float, random: Callable[[], float], after_s: float | None = None
) -> Delivery:
    wait_s = BACKOFF.delay(tried.attempts, random) if after_s is None else min(max(after_s, 0.0), LONGEST_S)
    return replace(tried, due_at=now + wait_s, error=redact(why))


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


class Forwarder:
    """Drains the outbox until told to stop. Several may run on one database, each with sinks of its own.

    clock: Unix seconds. random: in [0, 1). lease_s: a destination must answer within half of it.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        sinks: Mapping[str, Sink],
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        lease_s: float = LEASE_S,
    ) -> None:
        self._lanes = [_Lane(store, blobs, name, sink, clock, random, lease_s) for name, sink in sinks.items()]

    def run(self, stop: threading.Event) -> None:
        """Drain, and wait for more, until `stop` is set; then drain what is due, for LAST_S at most."""
        threads = [threading.Thread(target=lane.run, args=(stop,), name=f"forward-{lane.name}") for lane in self._lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def drain(self) -> Drained:
        """Try everything that is due now, destination after destination."""
        total = Drained()
        for lane in self._lanes:
            while (turn := lane.turn()).tried:
                total += turn
            lane.flush()
        return total


class _Lane:
    """The way to one destination."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        name: str,
        sink: Sink,
        clock: Callable[[], float],
        random: Callable[[], float],
        lease_s: float,
    ) -> None:
        self.name = name
        self._store, self._blobs, self._sink = store, blobs, sink
        self._clock, self._random, self._lease_s = clock, random, lease_s
        self._rested_at = float("-inf")
        self._flushed_at = float("-inf")
        self._flush_wait_s = 0.0
        self._unflushed = True  # a crash may have left something
        self._problem = ""

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; then what is due, for LAST_S at most."""
        while not stop.is_set():
            if not self._safely(self._turn_and_flush).tried:
                stop.wait(IDLE_S)
        give_up_at = self._clock() + LAST_S
        while self._clock() < give_up_at and self._safely(self.turn).tried:
            pass
        self._safely(self.flush)

    def turn(self) -> Drained:
        """Claim a few deliveries and try them. StoreError when the database can't be used."""
        now = self._clock()
        if self._rests(now):
            return Drained()
        claimed = self._store.claim(self.name, now=now, lease_s=self._lease_s, limit=BATCH)
        if not claimed:
            return Drained()
        self._unflushed = True
        with ThreadPoolExecutor(ABREAST, f"deliver-{self.name}") as pool:
            ended = list(pool.map(lambda delivery: self._deliver(delivery, now + self._lease_s), claimed))
        states = [delivery.state for delivery in ended]
        sent, parked = states.count(DeliveryState.SENT), states.count(DeliveryState.PARKED)
        return Drained(sent, len(ended) - sent - parked, parked)

    def flush(self) -> Drained:
        """Let the destination finish what it does once for many samples."""
        if not self._unflushed:
            return Drained()
        began = self._clock()
        try:
            self._sink.flush()
        except Paused as error:
            self._rest(error.message)
            return Drained()
        self._unflushed = False
        self._flushed_at = self._clock()
        self._flush_wait_s = max(FLUSH_S, (self._flushed_at - began) / FLUSH_SHARE)
        return Drained()

    def _turn_and_flush(self) -> Drained:
        done = self.turn()
        now = self._clock()
        # A clock that was set back must not put it off.
        if not 0 <= now - self._flushed_at < self._flush_wait_s and not self._rests(now):
            self.flush()
        return done

    def _safely(self, call: Callable[[], Drained]) -> Drained:
        """The edge of a lane's thread: whatever goes wrong is said, and tried again."""
        try:
            done = call()
        except StoreError as error:
            if error.message != self._problem:
                _log.error("%s", error.message, extra={"sink": self.name})
            self._problem = error.message
            return Drained()
        except Exception:  # noqa: BLE001  # a lane that ends silently would lose its destination
            _log.exception("forwarding failed unexpectedly", extra={"sink": self.name})
            return Drained()
        self._problem = ""
        return done

    def _deliver(self, delivery: Delivery, until: float) -> Delivery:
        """Try a delivery that is ours until then, and settle it."""
        now = self._clock()
        if now >= until:
            return delivery  # too late: somebody else may have it
        if self._rests(now):
            ended = replace(delivery, due_at=self._rested_at + REST_S)
        else:
            try:
                ended = self._try(delivery, now)
            except Exception as error:  # noqa: BLE001  # the edge of a thread: one mistake must not end the others
                _log.exception("a delivery failed unexpectedly", extra={"sink": self.name})
                tried = replace(delivery, attempts=delivery.attempts + 1, updated_at=now)
                ended = _later(tried, f"{type(error).__name__}: {error}", now, self._random)
        self._store.settle(ended)
        return ended

    def _try(self, delivery: Delivery, now: float) -> Delivery:
        tried = replace(delivery, attempts=delivery.attempts + 1, updated_at=now)
        try:
            sample = self._store.sample(delivery.sample_id)
            jpeg = self._blobs.get(sample.frame_id)
        except NotFound as error:
            return replace(tried, state=DeliveryState.PARKED, error=error.message)
        except StoreError as error:
            return _later(tried, error.message, now, self._random)
        parcel = Parcel(sample, jpeg, self._store.provenance(sample.id), delivery.redaction, delivery.remote_id)
        ended = attempt(delivery, parcel, self._sink, now=now, random=self._random)
        if ended.attempts == delivery.attempts:
            self._rest(ended.error)
        elif ended.state is not DeliveryState.SENT:
            about = {"sink": self.name, "campaign": sample.campaign, "frame": sample.frame_id}
            _log.warning("not delivered (%s): %s", ended.state, ended.error, extra=about)
        return ended

    def _rests(self, now: float) -> bool:
        return 0 <= now - self._rested_at < REST_S

    def _rest(self, why: str) -> None:
        now = self._clock()
        if not self._rests(now):
            _log.error("rests for %.0f s: %s", REST_S, why, extra={"sink": self.name})
        self._rested_at = now
