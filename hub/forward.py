"""Empties the outbox: each sample reaches each of its destinations once, whatever dies on the way.

A delivery is claimed for a while, tried, and settled. A process that dies in between leaves the claim to run out, and
the delivery is tried again; destinations recognise a sample they have. Each destination has a lane of its own, so a
slow one holds up no other, and a breaker, so one that is away costs nothing and its backlog stays due.
"""

import logging
import threading
import time
from collections.abc import Callable

from hub.attempt import Desk
from hub.lane import LOOK_S, STOP_S, Drained, Lane, Parts, Turnstile
from hub.protocols import Blobs, Redact, Sink, Store
from shared.errors import StoreError

_log = logging.getLogger(__name__)

SLACK_S = 5.0
"""What a claim holds beside the time-outs, for the database."""


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
        slack_s: float = SLACK_S,
    ) -> None:
        self._parts = Parts(Desk(store, blobs, redact, clock, random), open, monotonic, slack_s, Turnstile())
        self._lanes: dict[str, Lane] = {}
        self._problem = ""

    def run(self, stop: threading.Event) -> None:
        """Drain, and wait for more, until `stop` is set; then drain what is due, and be back within ten seconds.

        A try that takes longer is left behind: its claim runs out, and it is tried again some day.
        """
        threads: list[threading.Thread] = []
        while True:
            stopping = stop.is_set()
            for lane in self._new_lanes_safely():
                threads.append(threading.Thread(target=lane.run, args=(stop,), name=f"to {lane.name}", daemon=True))
                threads[-1].start()
            if stopping:
                break
            stop.wait(LOOK_S)
        give_up_at = time.monotonic() + STOP_S
        for thread in threads:
            thread.join(max(0.0, give_up_at - time.monotonic()))

    def drain(self) -> Drained:
        """Try everything that is due now, destination after destination."""
        self._new_lanes()
        return sum((lane.drain() for lane in self._lanes.values()), Drained())

    def _new_lanes(self) -> list[Lane]:
        """Lanes to destinations for which something waits; at first to all that ever were, to finish what a process
        that was killed may have left there."""
        waiting = self._parts.desk.store.waiting_sinks()
        names = {*waiting, *(self._parts.desk.store.sink_health() if not self._lanes else ())} - self._lanes.keys()
        new = {name: Lane(name, self._parts) for name in sorted(names)}
        self._lanes.update(new)
        for name in waiting:
            self._lanes[name].needed = True
        return list(new.values())

    def _new_lanes_safely(self) -> list[Lane]:
        try:
            lanes = self._new_lanes()
        except StoreError as error:
            if error.message != self._problem:
                _log.error("%s", error.message)
            self._problem = error.message
            return []
        except Exception:  # noqa: BLE001  # what waits for destinations that are known must go on
            _log.exception("looking for destinations failed unexpectedly")
            return []
        self._problem = ""
        return lanes
