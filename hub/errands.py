"""What a running hub does now and then beside collecting: each errand in a thread of its own, so that a slow server
delays nothing else."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from shared.errors import BowerbirdError

_log = logging.getLogger(__name__)

FIRST_S = 2.0
"""How long after the start the first round is made."""

GIVE_UP_S = 5.0
"""How long a stopping hub waits for an errand under way."""


@dataclass(frozen=True)
class Errand:
    """name: for the log. every_s: seconds between the end of a round and the next. run: one round."""

    name: str
    every_s: float
    run: Callable[[], None]


@contextmanager
def running(errands: Sequence[Errand]) -> Iterator[None]:
    """Run errands beside the body; one that is still under way GIVE_UP_S after its end is left behind."""
    stop = threading.Event()
    # Daemons, since a thread that waits for a server must not keep the process alive.
    threads = [threading.Thread(target=_rounds, args=(each, stop), name=each.name, daemon=True) for each in errands]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(GIVE_UP_S)


def _rounds(errand: Errand, stop: threading.Event) -> None:
    said = ""
    wait_s = FIRST_S
    while not stop.wait(wait_s):
        wait_s = errand.every_s
        try:
            errand.run()
        except BowerbirdError as error:
            if error.message != said:
                _log.warning("%s: %s", errand.name, error)
            said = error.message
        except Exception:  # noqa: BLE001  # the edge of a thread: an errand that ends silently would never be missed
            _log.exception("%s failed unexpectedly", errand.name)
        else:
            said = ""
