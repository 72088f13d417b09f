"""Delivery under everything that goes wrong: at the end, what was sent is what was selected, exactly.

    python -m tests.bench.soak [--minutes 20] [--per-s 5] [--faults 0.15] [--seed 1]

Three processes: one stores samples all the time, a forwarder delivers them through the Roboflow destination, and a
server lets a share of all requests go wrong: 429 with and without Retry-After, 500, 502 with HTML, success:false,
time-outs before and after the body was read, connections reset in mid-upload or after it. The forwarder is killed
(kill -9) twice on the way. Then the faults end, and what is left must arrive: each sample's picture is on the server
once, annotated once, and each delivery is recorded as sent. Exit code 1 unless it is so.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub.blobs import open_blobs
from hub.deliveries import DeliveryState
from hub.forward import Forwarder
from hub.protocols import Store
from hub.sinks.options import RoboflowOptions
from hub.sinks.roboflow import RoboflowSink
from hub.store import open_store
from shared import log
from tests.bench.bench_forwarding import DESTINATION, Numbered, activate, fill
from tests.roboflow_server import KEY, RANDOM_FAULTS, WORKSPACE, RoboflowServer

SIZE = 50_000
REQUEST_S, SEND_S, HOLD_S = 2.0, 6.0, 4.0
LATEST_S = 300.0
"""So long after the last fault everything must have arrived."""


# ── the processes ────────────────────────────────────────────────────────────────────────────────────


def serve(fault_s: float, faults: float, seed: int) -> None:
    """Print the URL and answer, with faults at first."""
    source, until = random.Random(seed), time.monotonic() + fault_s
    server = RoboflowServer(hold_s=HOLD_S, keep=False)

    def faulty(route: str) -> str:
        wrong = time.monotonic() < until and source.random() < faults
        return source.choice((*RANDOM_FAULTS, "rate-limited")) if wrong else ""

    server.faulty = faulty
    print(server.url, flush=True)
    server.serve()


def write(root: Path, seconds: float, per_s: float) -> None:
    """Store samples, as a collector does: the picture first, then the row."""
    store, blobs, numbered = _store(root), open_blobs(f"file://{root / 'frames'}"), Numbered(SIZE)
    of = activate(store, DESTINATION)
    began, number = time.monotonic(), 0
    while number / per_s < seconds:
        time.sleep(max(0.0, began + number / per_s - time.monotonic()))
        key = numbered.add(number)
        blobs.put(key, numbered.get(key))
        fill(store, of, [key], number)
        number += 1
    store.close()


def forward(root: Path, url: str) -> None:
    """Deliver until told to stop."""
    log.setup("INFO")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    options = RoboflowOptions(KEY, WORKSPACE, "birds", url)
    store = _store(root)
    Forwarder(
        store,
        open_blobs(f"file://{root / 'frames'}"),
        lambda _: RoboflowSink(options, request_s=REQUEST_S, send_s=SEND_S),
        clock=time.time,
        random=random.random,
    ).run(stop)
    store.close()


def _store(root: Path) -> Store:
    return open_store(f"sqlite:///{root / 'hub.sqlite'}")


def _start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "tests.bench.soak", *arguments], text=True, **options)


@contextlib.contextmanager
def _ends(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# ── the run ──────────────────────────────────────────────────────────────────────────────────────────


def soak(root: Path, seconds: float, per_s: float, faults: float, seed: int) -> bool:
    """All of it; whether it went well."""
    serving = ("--serve", "--seconds", str(seconds), "--faults", str(faults), "--seed", str(seed))
    with (
        _ends(_start(*serving, stdout=subprocess.PIPE)) as server,
        _ends(_start("--write", str(root), "--seconds", str(seconds), "--per-s", str(per_s))) as writer,
        (root / "forwarder.log").open("a") as said,
    ):
        assert server.stdout
        url = server.stdout.readline().strip()
        store = _store(root)
        for killed in (True, True, False):
            with _ends(_start("--forward", str(root), "--url", url, stderr=said)) as forwarder:
                _wait(store, seconds / 3)
                if killed:
                    continue  # kill -9, in the midst of whatever it does
                writer.wait()
                arrived = _all_arrive(store)
                forwarder.terminate()
                clean = forwarder.wait(15) == 0
        well = _judge(root, store, url) and arrived and clean
        store.close()
    return well


def _wait(store: Store, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 30.0))
        counts = {state.value: count for state, count in store.delivery_counts().items()}
        print(f"  {time.strftime('%H:%M:%S')}  {counts}", flush=True)


def _all_arrive(store: Store) -> bool:
    """What waits long is asked for once, as a person would."""
    began = time.monotonic()
    asked = False
    while time.monotonic() < began + LATEST_S:
        counts = store.delivery_counts()
        if counts[DeliveryState.PENDING] == 0:
            return True
        if not asked and time.monotonic() > began + 30 and counts[DeliveryState.PARKED] == 0:
            store.retry(None, now=time.time())
            asked = True
        time.sleep(1.0)
    return False


def _judge(root: Path, store: Store, url: str) -> bool:
    with urllib.request.urlopen(f"{url}/_state", timeout=30) as answer:
        there = json.load(answer)
    blobs = open_blobs(f"file://{root / 'frames'}")
    deliveries = store.deliveries(limit=10**6)
    selected = {hashlib.sha256(blobs.get(each.sample_id.partition(":")[2])).hexdigest() for each in deliveries}
    came = collections.Counter(image["sha256"] for image in there)
    states = collections.Counter(each.state for each in deliveries)
    told = (root / "forwarder.log").read_text()
    files = [path.read_bytes() for path in root.glob("hub.sqlite*")]
    rows: list[tuple[str, int, bool]] = [
        ("selected", len(selected), len(selected) == len(deliveries) > 0),
        ("recorded as sent", states[DeliveryState.SENT], states[DeliveryState.SENT] == len(deliveries)),
        ("pictures on the server", came.total(), set(came) == selected and came.total() == len(selected)),
        ("annotated once", sum(i["annotated"] == 1 for i in there), all(i["annotated"] == 1 for i in there)),
        ("uploads that were of no use", sum(i["sent"] - 1 for i in there), True),
        ("tries beyond the first", sum(each.attempts - 1 for each in deliveries), True),
        ("rests of the destination", told.count(" rests for "), True),
        ("mistakes of ours in the log", told.count("unexpectedly"), "unexpectedly" not in told),
        ("the key in log or database", told.count(KEY), KEY not in told and not any(KEY.encode() in f for f in files)),
    ]
    for what, count, right in rows:
        print(f"{what:30}{count:8}  {'' if right else 'WRONG'}")
    return all(right for _, _, right in rows)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--per-s", type=float, default=5.0, help="samples")
    parser.add_argument("--faults", type=float, default=0.15, help="share of the requests that go wrong")
    parser.add_argument("--seed", type=int, default=1)
    for hidden in ("--write", "--forward"):
        parser.add_argument(hidden, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.serve:
        serve(given.seconds, given.faults, given.seed)
    elif given.write:
        write(given.write, given.seconds, given.per_s)
    elif given.forward:
        forward(given.forward, given.url)
    else:
        with tempfile.TemporaryDirectory() as folder:
            well = soak(Path(folder), given.minutes * 60, given.per_s, given.faults, given.seed)
        print("sent = selected, exactly" if well else "NOT AS IT SHOULD BE")
        return 0 if well else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
