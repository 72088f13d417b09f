"""How fast samples are delivered, in how much memory, and whether a backlog makes polling late.

    python -m tests.bench.bench_forwarding [--samples 1000] [--backlog 10000] [--cameras 100] [--seconds 15]

Pictures of 200 KB go through the Roboflow destination to a local server, a process of its own, that takes in, parses,
hashes and answers them; cameras are another process. Both servers share one core, and all of the hub has the other.
"began" is how late a poll began, "picture" how long after it was due its picture was in its slot.
"""

import argparse
import asyncio
import contextlib
import hashlib
import os
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hub.blobs import open_blobs
from hub.deliveries import DeliveryState
from hub.forward import Forwarder
from hub.poll import Poller, Tick
from hub.protocols import Blobs, Store
from hub.sinks.options import RoboflowOptions
from hub.sinks.roboflow import RoboflowSink
from hub.slots import Slots
from hub.store import open_store
from hub.triggers.detection import Detection
from hub.types import Batch, Camera, Campaign, CampaignState, Detections, Sample, Score, Version
from tests.bench.bench_poller import pin, snapshot
from tests.bench.bench_poller import server as cameras
from tests.hub.making import version
from tests.roboflow_server import KEY, WORKSPACE

SIZE = 200_000
DESTINATION = "roboflow:birds"
WRITTEN_AT_ONCE = 100


# ── samples ──────────────────────────────────────────────────────────────────────────────────────────


class Numbered:
    """Pictures by content hash, each made when it is asked for out of its number: a backlog that fits on any disk."""

    def __init__(self, size: int = SIZE) -> None:
        self._base = snapshot(size)
        self._number: dict[str, int] = {}

    def make(self, number: int) -> bytes:
        """The picture of a number, like no other."""
        return self._base[:6] + struct.pack(">Q", number) + self._base[14:]

    def add(self, number: int) -> str:
        """Its key."""
        key = hashlib.blake2b(self.make(number), digest_size=16).hexdigest()
        self._number[key] = number
        return key

    def get(self, key: str) -> bytes:
        """Its bytes."""
        return self.make(self._number[key])

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Nothing is kept."""

    def __contains__(self, key: str) -> bool:
        return key in self._number

    def delete(self, key: str) -> None:
        """It is forgotten."""
        self._number.pop(key, None)

    def keys(self) -> Sequence[str]:
        """All of them."""
        return list(self._number)

    def age_s(self, key: str, now: float) -> float:
        """They are always new."""
        return 0.0


def activate(store: Store, destination: str) -> Version:
    """A campaign whose samples go there."""
    campaign = store.add_campaign(Campaign(0, "birds", Detection(("bird",))), ())
    made = store.commit(version(campaign_id=campaign.id, destinations=(destination,)))
    store.set_campaign_state("birds", CampaignState.ACTIVE)
    return made


def sample(of: Version, frame_id: str, number: int, now: float) -> Sample:
    """A sample of a frame with a bird in it."""
    box = np.array([[10, 10, 200, 200]], np.float32)
    return Sample(
        campaign_id=of.campaign_id,
        campaign=of.campaign,
        version=of.number,
        frame_id=frame_id,
        camera=f"camera-{number % 10}",
        taken_at=now,
        size_wh=(1280, 720),
        box=(10.0, 10.0, 200.0, 200.0),
        score=Score(0.8, 1, why="bird 0.80"),
        reason="bird 0.80",
        detections=Detections(box, np.array([0.8], np.float32), ("bird",)),
        created_at=now,
        destinations=of.destinations,
        tags=("bench",),
    )


def fill(store: Store, of: Version, frame_ids: Sequence[str], first: int = 0) -> None:
    """Store samples to be delivered."""
    now = time.time()
    for start in range(0, len(frame_ids), WRITTEN_AT_ONCE):
        some = enumerate(frame_ids[start : start + WRITTEN_AT_ONCE], first + start)
        store.write(Batch(samples=[sample(of, frame_id, number, now) for number, frame_id in some]))


# ── the parts ────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def roboflow(*arguments: str, core: int | None = None) -> Iterator[str]:
    """The URL of a server in a process of its own."""
    command = [sys.executable, "-m", "tests.roboflow_server", "--forget", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if core is not None and hasattr(os, "sched_setaffinity"):
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(process.pid, {cores[core % len(cores)]})
        assert process.stdout
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def forwarding(store: Store, blobs: Blobs, url: str) -> Iterator[None]:
    """A forwarder runs, as in `hub run`, in a thread of its own."""
    options = RoboflowOptions(KEY, WORKSPACE, "birds", url)
    stop = threading.Event()
    forwarder = Forwarder(store, blobs, lambda _: RoboflowSink(options), clock=time.time, random=random.random)
    thread = threading.Thread(target=forwarder.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def forwarding_apart(database: str, url: str) -> Iterator[None]:
    """The same in a process of its own: what of the lateness is the machine's, whoever sends."""
    command = [sys.executable, "-m", "tests.bench.bench_forwarding", "--forward", database, url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    try:
        process.stdout.readline()
        yield
    finally:
        process.stdin.close()
        process.wait()


def forward_until_told(database: str, url: str) -> None:
    """Deliver the backlog until standard input ends."""
    store, blobs = open_store(database), Numbered()
    for i in range(10**6, 10**6 + len(store.deliveries(limit=10**6))):
        blobs.add(i)
    with forwarding(store, blobs, url):
        print("delivering", flush=True)
        sys.stdin.read()
    store.close()


def memory_mb() -> float:
    """What this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def sent(store: Store) -> int:
    """Deliveries that arrived."""
    return store.delivery_counts()[DeliveryState.SENT]


# ── what is measured ─────────────────────────────────────────────────────────────────────────────────


def rate(root: Path, url: str, count: int) -> None:
    """Print how fast `count` samples are delivered from files, and what memory that takes."""
    store, blobs, numbered = open_store(f"sqlite:///{root / 'rate.sqlite'}"), open_blobs(f"file://{root}"), Numbered()
    keys = [numbered.add(i) for i in range(count)]
    for key in keys:
        blobs.put(key, numbered.get(key))
    fill(store, activate(store, DESTINATION), keys)
    early = peak = 0.0
    began, cpu = time.monotonic(), time.process_time()
    with forwarding(store, blobs, url):
        while (arrived := sent(store)) < count:
            peak = max(peak, memory_mb())
            early = early or (memory_mb() if arrived >= count // 5 else 0.0)
            time.sleep(0.1)
        wall, cpu = time.monotonic() - began, time.process_time() - cpu
        late = memory_mb()
    store.close()
    print(f"{count} samples of {SIZE // 1000} KB in {wall:.1f} s: {count / wall:.0f}/s, {cpu / wall:.0%} of a core")
    print(f"memory {early:.0f} MB after a fifth, {late:.0f} MB at the end ({late - early:+.1f}), {peak:.0f} at most")


async def lateness(root: Path, url: str, camera_url: str, backlog: int, count: int, seconds: float) -> None:
    """Print how late polls are, with and without a backlog being delivered, in turns."""
    database = f"sqlite:///{root / 'backlog.sqlite'}"
    store, blobs = open_store(database), Numbered()
    fill(store, activate(store, DESTINATION), [blobs.add(i) for i in range(10**6, 10**6 + backlog)])
    slots = Slots()
    poller = Poller(slots)
    await poller.set_cameras([Camera(f"c{i}", f"{camera_url}/{i}") for i in range(count)])
    taker = asyncio.create_task(_take(slots))
    await asyncio.sleep(3)  # connections are made
    senders: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
        "nothing to deliver": contextlib.nullcontext,
        "backlog delivered": lambda: forwarding(store, blobs, url),
        "… by another process": lambda: forwarding_apart(database, url),
    }
    ticks: dict[str, list[Tick]] = {name: [] for name in senders}
    arrived = 0
    for name in [*senders, *senders]:
        with senders[name]():
            before = await asyncio.to_thread(sent, store)
            await asyncio.sleep(1.0)
            poller.ticks = some = _Ticks()
            await asyncio.sleep(seconds)
            poller.ticks = _Ticks()
            ticks[name] += some
            arrived += await asyncio.to_thread(sent, store) - before
    taker.cancel()
    await poller.close()
    store.close()
    print(f"\n{count} cameras at 1 frame/s; backlog of {backlog}, {arrived / (seconds + 1) / 4:.0f}/s of it delivered")
    print("                     polls began p50   p99 ms picture p50   p99 ms")
    for name, all_ in ticks.items():
        began, over = (
            np.percentile([getattr(t, what) for t in all_], [50, 99]) * 1e3 for what in ("began_s", "over_s")
        )
        print(f"{name:20} {len(all_):5} {began[0]:9.1f} {began[1]:8.1f} {over[0]:11.1f} {over[1]:8.1f}")


class _Ticks(list[Tick]):
    """All of them, not only the newest."""


async def _take(slots: Slots) -> None:
    while True:
        await slots.take(16, 0.005)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--backlog", type=int, default=10_000)
    parser.add_argument("--cameras", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--forward", nargs=2, metavar=("DATABASE", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    pin(1)
    if given.forward:
        forward_until_told(*given.forward)
        return
    sys.setswitchinterval(0.0005)  # as `hub run` does
    with tempfile.TemporaryDirectory() as folder, roboflow(core=0) as url, cameras() as camera_url:
        rate(Path(folder), url, given.samples)
        asyncio.run(lateness(Path(folder), url, camera_url, given.backlog, given.cameras, given.seconds))


if __name__ == "__main__":
    main()
