"""Empties the outbox: each sample reaches each of its destinations once, whatever dies on the way.

A delivery is claimed for a while, tried, and settled. A process that dies in between leaves the claim to run out, and
the delivery is tried again; destinations recognise a sample they have.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from hub.protocols import Blobs, Sink, Store
from hub.types import Delivery, DeliveryState, Sample
from shared.errors import BowerbirdError, NotFound, Paused, Refused, RetryLater, StoreError
from shared.log import redact
from shared.retry import Backoff

_log = logging.getLogger(__name__)

BACKOFF = Backoff(base_s=2.0, cap_s=3600.0)
LEASE_S = 120.0
BATCH = 16
ABREAST = 4
"""Deliveries to one destination under way at once."""

REST_S = 30.0
"""How long a destination is left alone once it said that it can't be used."""

IDLE_S = 0.5
LAST_S = 10.0
"""How long a stopping forwarder goes on emptying the outbox."""


def attempt(
    delivery: Delivery, sample: Sample, jpeg: bytes, sink: Sink, *, now: float, random: Callable[[], float]
) -> Delivery:
    """One try; how it ended, as a value. now: Unix seconds. random: in [0, 1)."""
    tried = replace(delivery, attempts=delivery.attempts + 1, updated_at=now)
    try:
        remote_id = sink.send(sample, jpeg)
    except Refused as error:
        return replace(tried, state=DeliveryState.PARKED, error=redact(error.message))
    except Paused as error:
        return replace(delivery, due_at=now + REST_S, error=redact(error.message), updated_at=now)
    except RetryLater as error:
        wait_s = BACKOFF.delay(tried.attempts, random) if error.after_s is None else error.after_s
        return replace(tried, due_at=now + wait_s, error=redact(error.message))
    return replace(tried, state=DeliveryState.SENT, remote_id=remote_id, error="")


class Forwarder:
    """Drains the outbox until told to stop. Several may run on one database."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        sinks: Mapping[str, Sink],
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._store, self._blobs, self._sinks = store, blobs, sinks
        self._clock, self._random = clock, random
        self._rest_until: dict[str, float] = {}
        self._problem = ""

    def run(self, stop: threading.Event) -> None:
        """Drain, and wait for more, until `stop` is set; then drain what is due, for LAST_S at most."""
        while not stop.is_set():
            if not self._drain_safely():
                stop.wait(IDLE_S)
        give_up_at = self._clock() + LAST_S
        while self._clock() < give_up_at and self._drain_safely():
            pass

    def drain(self) -> int:
        """One round over all destinations; returns how many deliveries were tried."""
        return sum(self._drain_sink(name, sink) for name, sink in self._sinks.items())

    def _drain_safely(self) -> int:
        try:
            tried = self.drain()
        except StoreError as error:
            self._say(error)
            return 0
        self._problem = ""
        return tried

    def _drain_sink(self, name: str, sink: Sink) -> int:
        now = self._clock()
        if now < self._rest_until.get(name, 0.0):
            return 0
        claimed = self._store.claim(name, now=now, lease_s=LEASE_S, limit=BATCH)
        if not claimed:
            return 0
        with ThreadPoolExecutor(ABREAST, f"deliver-{name}") as pool:
            ended = list(pool.map(lambda delivery: self._deliver(delivery, sink), claimed))
        self._flush(name, sink)
        return len(ended)

    def _deliver(self, delivery: Delivery, sink: Sink) -> Delivery:
        now = self._clock()
        if now < self._rest_until.get(delivery.sink, 0.0):
            ended = replace(delivery, due_at=self._rest_until[delivery.sink])
        else:
            ended = self._try(delivery, sink, now)
        self._store.settle(ended)
        return ended

    def _try(self, delivery: Delivery, sink: Sink, now: float) -> Delivery:
        try:
            sample = self._store.sample(delivery.sample_id)
            jpeg = self._blobs.get(sample.frame_id)
        except NotFound as error:
            return replace(delivery, state=DeliveryState.PARKED, error=error.message, updated_at=now)
        ended = attempt(delivery, sample, jpeg, sink, now=now, random=self._random)
        if ended.attempts == delivery.attempts:
            self._rest(delivery.sink, ended.error, now)
        return ended

    def _flush(self, name: str, sink: Sink) -> None:
        try:
            sink.flush()
        except Paused as error:
            self._rest(name, error.message, self._clock())

    def _rest(self, name: str, why: str, now: float) -> None:
        if now >= self._rest_until.get(name, 0.0):
            _log.error("rests for %.0f s: %s", REST_S, why, extra={"sink": name})
        self._rest_until[name] = now + REST_S

    def _say(self, error: BowerbirdError) -> None:
        if error.message != self._problem:
            _log.error("%s", error.message)
        self._problem = error.message
