"""Deliveries: each sample reaches each destination once, whatever dies on the way."""

import contextlib
import hashlib
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
from pycocotools.coco import COCO

from hub.attempt import BACKOFF, MOST_OF_SAMPLE, Says, attempt
from hub.blobs import open_blobs
from hub.breaker import LONGEST_S, TROUBLES
from hub.deliveries import Delivery, DeliveryState, Pace, Parcel, SinkHealth, SinkState
from hub.forward import SLACK_S, Forwarder
from hub.lane import OPENING_S, Drained
from hub.sinks.folder import FolderSink
from hub.store import open_store
from hub.types import Frame, RateLimit
from shared.errors import NotSetUp, Paused, Refused, RetryLater, StoreError
from tests.hub.delivering import fill, parcel, picture, sample
from tests.hub.dying import forward, redacted, upload

SINK = "folder"
PACE = Pace()
LEASE_S = 3 * PACE.timeout_s + SLACK_S


@dataclass
class Told:
    """A destination that does as it is told: an error for a frame, or in general, until it is taken away."""

    name: ClassVar[str] = SINK
    leaves: ClassVar[bool] = False
    errors: dict[str, Exception] = field(default_factory=dict)
    always: Exception | None = None
    got: list[str] = field(default_factory=list)
    flushes: int = 0
    pause_s: float = 0.0
    pace: Pace = PACE

    def send(self, parcel: Parcel) -> str:
        time.sleep(self.pause_s)
        frame_id = parcel.sample.frame_id
        if error := self.errors.get(frame_id, self.always):
            raise error
        assert Frame("", 0, 0, parcel.picture).id == frame_id
        self.got.append(frame_id)
        return f"remote-{frame_id}"

    def flush(self) -> None:
        self.flushes += 1


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def outbox(tmp_path):
    """Ten samples to be delivered; the store."""
    fill(tmp_path, 10)
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    yield store
    store.close()


@pytest.fixture
def forwarder(tmp_path, outbox, clock):
    """Makes a forwarder to a sink, or to several by name."""

    def make(*sinks, **named):
        blobs = open_blobs(f"file://{tmp_path / 'frames'}")
        by_name = {SINK: sinks[0]} if sinks else named
        return Forwarder(outbox, blobs, by_name.__getitem__, clock=clock, random=lambda: 0.5)

    return make


# ── one try ──────────────────────────────────────────────────────────────────────────────────────────

WAITING = Delivery(7, "1:x", SINK, attempts=2, due_at=1, error="before", remote_id="r1")


@pytest.mark.parametrize(
    ("error", "expected", "says"),
    [
        (None, {"state": DeliveryState.SENT, "attempts": 3, "remote_id": "remote-x", "error": ""}, Says.WORKS),
        (Refused("too blurred"), {"state": DeliveryState.PARKED, "attempts": 3, "error": "too blurred"}, Says.WORKS),
        (Paused("no room", remote_id="r2"), {"error": "no room", "remote_id": "r2"}, Says.UNUSABLE),
        (RetryLater("busy", after_s=7), {"attempts": 3, "due_at": 57, "error": "busy"}, Says.TROUBLED),
        (RetryLater("busy", after_s=-7), {"attempts": 3, "due_at": 50, "error": "busy"}, Says.TROUBLED),
        (RetryLater("", after_s=1e15), {"attempts": 3, "due_at": 50 + LONGEST_S, "error": ""}, Says.TROUBLED),
        (RetryLater(""), {"attempts": 3, "due_at": 50 + BACKOFF.delay(3, lambda: 0.5), "error": ""}, Says.TROUBLED),
        (
            RetryLater("not there yet", after_s=1, remote_id="r2", of_sample=True),
            {"attempts": 3, "due_at": 51, "error": "not there yet", "remote_id": "r2"},
            Says.NOTHING,
        ),
        (
            Refused("bad ?api_key=abc123"),
            {"state": DeliveryState.PARKED, "attempts": 3, "error": "bad ?api_key=***"},
            Says.WORKS,
        ),
    ],
)
def test_how_a_try_ends_is_a_value(error, expected, says):
    what = replace(sample(picture(1)), frame_id="x")
    sink = Told(always=error)
    if error is None:
        what = sample(picture(1))
        expected["remote_id"] = f"remote-{what.frame_id}"
    ours = replace(parcel(), sample=what, picture=picture(1))
    ended = attempt(WAITING, ours, sink, clock=lambda: 50, random=lambda: 0.5)
    assert ended.delivery == replace(WAITING, updated_at=50, **expected)
    assert ended.says is says


# ── draining ─────────────────────────────────────────────────────────────────────────────────────────


def test_everything_due_is_sent_once(forwarder, outbox):
    sink = Told()
    assert forwarder(sink).drain() == Drained(sent=10)
    assert forwarder(sink).drain() == Drained()
    assert len(sink.got) == len(set(sink.got)) == 10
    sent = outbox.deliveries(state=DeliveryState.SENT)
    assert {d.remote_id for d in sent} == {f"remote-{frame}" for frame in sink.got}
    assert {d.attempts for d in sent} == {1}


def test_the_oldest_go_first_and_one_claim_in_four_takes_the_newest(tmp_path, clock):
    frames = fill(tmp_path, 40)
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    sink = Told(pace=Pace(abreast=1))
    blobs = open_blobs(f"file://{tmp_path / 'frames'}")
    Forwarder(store, blobs, lambda _: sink, clock=clock, random=lambda: 0.5).drain()
    store.close()
    place = {frame: i for i, frame in enumerate(frames)}
    order = [place[frame] for frame in sink.got]
    old = [i for i in order if i < 30]
    assert order[:4] == [0, 1, 2, 3]
    assert old == sorted(old)
    assert 4 <= sum(i >= 30 for i in order[:24]) <= 8


def test_one_that_is_refused_is_parked_and_the_others_arrive(forwarder, outbox):
    bad = outbox.samples()[4].frame_id
    sink = Told({bad: Refused("never")})
    assert forwarder(sink).drain() == Drained(sent=9, parked=1)
    (parked,) = outbox.deliveries(state=DeliveryState.PARKED)
    assert (parked.error, parked.sample_id) == ("never", f"1:{bad}")
    assert forwarder(sink).drain().tried == 0


def test_passing_trouble_is_tried_again_ever_later(forwarder, outbox, clock):
    bad = outbox.samples()[4].frame_id
    sink = Told({bad: RetryLater("busy")})
    ours, waits = forwarder(sink), []
    assert ours.drain() == Drained(sent=9, waiting=1)
    for _ in range(4):
        (waiting,) = outbox.deliveries(state=DeliveryState.PENDING)
        waits.append(waiting.due_at - clock.now)
        clock.now = waiting.due_at - 0.01
        assert ours.drain().tried == 0
        clock.now = waiting.due_at
        assert ours.drain().tried == 1
    assert waits == sorted(waits) and waits[-1] > 4 * waits[0]
    sink.errors.clear()
    clock.now += 3600
    assert ours.drain() == Drained(sent=1)


def test_a_destination_that_is_paused_is_left_alone_and_loses_nothing(forwarder, outbox, clock):
    sink = Told(always=Paused("disk full"))
    ours = forwarder(sink)
    ours.drain()
    assert ours.drain() == Drained()
    assert outbox.delivery_counts()[DeliveryState.PENDING] == 10
    assert {d.attempts for d in outbox.deliveries()} == {0}
    sink.always = None
    clock.now += 60
    assert ours.drain() == Drained(sent=10)


def test_a_sample_whose_picture_is_gone_waits_for_a_person(forwarder, outbox, tmp_path):
    gone = outbox.samples()[0].frame_id
    open_blobs(f"file://{tmp_path / 'frames'}").delete(gone)
    assert forwarder(Told()).drain() == Drained(sent=9, parked=1)
    (parked,) = outbox.deliveries(state=DeliveryState.PARKED)
    assert gone in parked.error


def test_a_picture_that_cannot_be_read_is_tried_again_and_holds_up_nothing(forwarder, outbox, tmp_path):
    bad = outbox.samples()[0].frame_id
    path = tmp_path / "frames" / bad[:2] / bad
    path.unlink()
    path.mkdir()
    assert forwarder(Told()).drain() == Drained(sent=9, waiting=1)
    assert "can't be read" in outbox.deliveries(state=DeliveryState.PENDING)[0].error


def test_a_mistake_in_a_destination_does_not_end_the_deliveries(forwarder, outbox, caplog):
    bad = outbox.samples()[0].frame_id
    assert forwarder(Told({bad: ZeroDivisionError("oops")})).drain() == Drained(sent=9, waiting=1)
    assert outbox.deliveries(state=DeliveryState.PENDING)[0].error == "ZeroDivisionError: oops"
    assert "unexpectedly" in caplog.text


def test_a_claim_that_ran_out_meanwhile_is_left_to_others(forwarder, outbox, clock):
    other = Told()

    class Slow(Told):
        """So slow at its first sample that somebody else has delivered everything meanwhile."""

        first = threading.Lock()

        def send(self, parcel):
            if self.first.acquire(blocking=False):
                clock.now += LEASE_S + 1
                forwarder(other).drain()
            return super().send(parcel)

    slow = Slow(pace=Pace(abreast=1))
    forwarder(slow).drain()
    assert len(other.got) == 10
    assert len(slow.got) == 1, "only what was under way already"
    assert outbox.delivery_counts()[DeliveryState.SENT] == 10


# ── the loop ─────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def _running(forwarder):
    """It runs in a thread of its own; then it is told to stop, and does."""
    stop = threading.Event()
    thread = threading.Thread(target=forwarder.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=20)
    assert not thread.is_alive()


def _until(true, seconds=10.0):
    give_up_at = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up_at, "waited in vain"
        time.sleep(0.01)


def test_a_forwarder_that_is_stopped_empties_the_outbox_first(forwarder, outbox):
    sink = Told(pause_s=0.05)
    with _running(forwarder(sink)):
        pass
    assert len(sink.got) == 10
    assert sink.flushes


def test_many_deliveries_are_flushed_together(tmp_path, clock):
    fill(tmp_path, 60)
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    sink = Told()
    blobs = open_blobs(f"file://{tmp_path / 'frames'}")
    with _running(Forwarder(store, blobs, lambda _: sink, clock=clock, random=lambda: 0.5)):
        _until(lambda: len(sink.got) == 60)
        assert sink.flushes <= 1
        clock.now += 10
        _until(lambda: sink.flushes == 2)
        time.sleep(0.6)
        assert sink.flushes == 2, "there was nothing new"
    store.close()


def test_a_slow_destination_holds_up_no_other(tmp_path):
    fill(tmp_path, 20, ("slow", "quick"))
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    slow, quick = Told(pause_s=0.3), Told()
    blobs = open_blobs(f"file://{tmp_path / 'frames'}")
    sinks = {"slow": slow, "quick": quick}
    with _running(Forwarder(store, blobs, sinks.__getitem__, clock=time.time, random=lambda: 0.5)):
        _until(lambda: len(quick.got) == 20)
        assert len(slow.got) < 20
    assert len(slow.got) == 20
    store.close()


def test_a_database_that_fails_for_a_while_does_not_end_the_loop(tmp_path, outbox, clock, caplog):
    class Flaky:
        """The store behind a wire that is cut until it is mended."""

        cut = True

        def __getattr__(self, name):
            if self.cut:
                raise StoreError("the database is away")
            return getattr(outbox, name)

    store, sink = Flaky(), Told()
    blobs = open_blobs(f"file://{tmp_path / 'frames'}")
    with _running(Forwarder(store, blobs, lambda _: sink, clock=clock, random=lambda: 0.5)):
        _until(lambda: "away" in caplog.text)
        store.cut = False
        _until(lambda: len(sink.got) == 10)
    assert caplog.text.count("away") == 1


# ── a destination in trouble ─────────────────────────────────────────────────────────────────────────


def _tried(outbox):
    return sum(d.attempts for d in outbox.deliveries())


def test_one_that_is_away_is_left_alone_and_then_probed_once_and_then_all_go(forwarder, outbox, clock, caplog):
    sink = Told(always=RetryLater("no answer"), pace=Pace(abreast=1))
    ours = forwarder(sink)
    assert ours.drain().tried == TROUBLES
    health = outbox.sink_health()[SINK]
    assert (health.state, health.reason, health.since) == (SinkState.RESTING, "no answer", clock.now)
    clock.now = health.until - 0.1
    assert ours.drain() == Drained()
    for _ in range(3):
        clock.now = outbox.sink_health()[SINK].until
        assert ours.drain() == Drained(waiting=1), "a probe, and no more"
    assert _tried(outbox) == TROUBLES, "a probe says nothing of its sample"
    sink.always = None
    clock.now += 3600
    assert ours.drain() == Drained(sent=10)
    assert outbox.sink_health()[SINK] == SinkHealth(SINK, since=clock.now)
    assert caplog.text.count("rests for") == 1


def test_a_long_outage_leaves_the_backlog_due(forwarder, outbox, clock):
    sink = Told(always=RetryLater("no answer"))
    ours = forwarder(sink)
    for _ in range(100):
        ours.drain()
        clock.now = max(clock.now, outbox.sink_health()[SINK].until)
    assert clock.now > 3 * 3600
    assert _tried(outbox) < TROUBLES + PACE.abreast
    assert max(d.due_at for d in outbox.deliveries()) <= clock.now + 1
    sink.always = None
    assert ours.drain() == Drained(sent=10), "at once, when it is back"


@pytest.mark.parametrize(
    ("error", "last"),
    [
        (RetryLater("not found", of_sample=True), DeliveryState.PARKED),
        (RetryLater("away"), DeliveryState.PENDING),
    ],
)
def test_trouble_with_one_sample_waits_for_a_person_in_the_end_and_that_with_all_never(error, last, clock):
    delivery = replace(WAITING, attempts=MOST_OF_SAMPLE - 2)
    for expected in (DeliveryState.PENDING, last):
        delivery = attempt(delivery, parcel(), Told(always=error), clock=clock, random=lambda: 0.5).delivery
        assert delivery.state is expected


def test_a_sample_in_trouble_says_nothing_of_its_destination(forwarder, outbox):
    assert forwarder(Told(always=RetryLater("not there yet", of_sample=True))).drain() == Drained(waiting=10)
    assert forwarder(Told(always=Refused("no"))).drain() == Drained()
    assert outbox.sink_health()[SINK].state is SinkState.OPEN


def test_a_person_who_asks_for_a_retry_has_it_tried_at_once(forwarder, outbox, clock, caplog):
    sink = Told(always=Paused("the key was revoked", hint="Set another."))
    ours = forwarder(sink)
    ours.drain()
    health = outbox.sink_health()[SINK]
    assert (health.state, health.reason) == (SinkState.PAUSED, "the key was revoked. Set another.")
    assert "the key was revoked. Set another." in caplog.text
    sink.always = None
    assert ours.drain() == Drained()
    outbox.retry(None, now=clock.now)
    assert ours.drain() == Drained(sent=10)


def test_a_process_that_starts_goes_by_what_the_last_one_recorded(forwarder, outbox, clock):
    forwarder(Told(always=Paused("no room"))).drain()
    sink = Told()
    assert forwarder(sink).drain() == Drained()
    clock.now = outbox.sink_health()[SINK].until
    assert forwarder(sink).drain() == Drained(sent=10)


def test_what_a_destination_says_is_recorded_without_its_key(forwarder, outbox, caplog):
    forwarder(Told(always=Paused("no access with ?api_key=abc123"))).drain()
    told = f"{outbox.sink_health()} {outbox.deliveries()} {caplog.text}"
    assert "?api_key=***" in told and "abc123" not in told


def test_one_that_cannot_be_opened_keeps_everything_until_it_can(tmp_path, outbox, clock):
    def not_yet(name):
        if clock.now < 1020:
            raise NotSetUp("there is no key", hint="Set ROBOFLOW_KEY.")
        return sink

    sink = Told()
    ours = Forwarder(outbox, open_blobs(f"file://{tmp_path / 'frames'}"), not_yet, clock=clock, random=lambda: 0.5)
    assert ours.drain() == Drained()
    health = outbox.sink_health()[SINK]
    assert (health.state, health.reason) == (SinkState.PAUSED, "there is no key. Set ROBOFLOW_KEY.")
    clock.now = 1025.0
    assert ours.drain() == Drained()
    clock.now += OPENING_S
    assert ours.drain() == Drained(sent=10)
    assert outbox.sink_health()[SINK].state is SinkState.OPEN


def test_how_far_a_try_got_is_there_for_the_next(forwarder, outbox, clock):
    bad = outbox.samples()[0].frame_id
    sink = Told({bad: RetryLater("half done", remote_id="r1", after_s=0.0)})
    forwarder(sink).drain()
    (half,) = outbox.deliveries(state=DeliveryState.PENDING)
    assert half.remote_id == "r1"


# ── workers ──────────────────────────────────────────────────────────────────────────────────────────


def test_one_that_takes_long_holds_up_no_other(forwarder, outbox):
    free = threading.Event()

    class OneSlow(Told):
        first = threading.Lock()

        def send(self, parcel):
            if self.first.acquire(blocking=False):
                assert free.wait(10)
            return super().send(parcel)

    sink = OneSlow()
    with _running(forwarder(sink)):
        _until(lambda: len(sink.got) == 9)
        free.set()
    assert len(sink.got) == 10


def test_no_more_are_sent_at_once_than_the_destination_bears(forwarder):
    at_once, most, lock = [0], [0], threading.Lock()

    class Counting(Told):
        def send(self, parcel):
            with lock:
                at_once[0] += 1
                most[0] = max(most[0], at_once[0])
            try:
                return super().send(parcel)
            finally:
                with lock:
                    at_once[0] -= 1

    forwarder(Counting(pace=Pace(abreast=3), pause_s=0.05)).drain()
    assert most[0] == 3


def test_the_rate_of_a_destination_is_never_passed(forwarder):
    times = []

    class Timed(Told):
        def send(self, parcel):
            times.append(time.monotonic())
            return super().send(parcel)

    assert forwarder(Timed(pace=Pace(rate=RateLimit(5, 0.25)))).drain().sent == 10
    assert times[9] - times[0] > 0.25


def test_a_claim_outlasts_the_tries_before_it(tmp_path, outbox, clock):
    leases = []

    class Watched:
        def __getattr__(self, name):
            return getattr(outbox, name)

        def claim(self, sink, *, lease_s, limit, **how):
            leases.append((lease_s, limit))
            return outbox.claim(sink, lease_s=lease_s, limit=limit, **how)

    sink = Told(pace=Pace(abreast=2, timeout_s=40))
    blobs = open_blobs(f"file://{tmp_path / 'frames'}")
    Forwarder(Watched(), blobs, lambda _: sink, clock=clock, random=lambda: 0.5).drain()
    assert all(lease_s > 2 * 40 + 40 for lease_s, _ in leases)
    assert all(limit <= 2 * 2 for _, limit in leases)


def test_a_try_that_hangs_is_left_behind_when_it_is_stopped(forwarder, outbox, monkeypatch):
    monkeypatch.setattr("hub.lane.LAST_S", 0.1)
    monkeypatch.setattr("hub.lane.STOP_S", 0.3)
    monkeypatch.setattr("hub.forward.STOP_S", 0.3)
    free, sink = threading.Event(), Told()
    sink.send = lambda parcel: free.wait(10)
    began = time.monotonic()
    with _running(forwarder(sink)):
        pass
    assert time.monotonic() - began < 5
    free.set()
    assert outbox.delivery_counts()[DeliveryState.PENDING] == 10


# ── kill −9 ──────────────────────────────────────────────────────────────────────────────────────────


def _check_whole(root: Path, frames: list[str]) -> None:
    """Every sample is in the folder once, labelled, listed, and nothing else is there."""
    folder = root / "datasets" / "birds"
    assert sorted(p.stem for p in (folder / "images/train").iterdir()) == sorted(frames)
    assert sorted(p.stem for p in (folder / "labels/train").iterdir()) == sorted(frames)
    assert not list((folder / ".parts").iterdir())
    for i, frame in enumerate(frames):
        assert (folder / "images/train" / f"{frame}.jpg").read_bytes() == picture(i)
        assert len((folder / "labels/train" / f"{frame}.txt").read_text().splitlines()) == 2
    coco = COCO(str(folder / "annotations.json"))
    assert sorted(Path(image["file_name"]).stem for image in coco.imgs.values()) == sorted(frames)
    assert len(coco.anns) == 2 * len(frames)
    store = open_store(f"sqlite:///{root / 'hub.sqlite'}")
    assert store.delivery_counts() == {state: len(frames) * (state == DeliveryState.SENT) for state in DeliveryState}
    store.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_before_any_of_its_steps_it_loses_nothing_and_sends_nothing_twice(tmp_path):
    (tmp_path / "before").mkdir()
    frames = fill(tmp_path / "before", 2)
    step, now, done = 0, 1000.0, False
    while not done:
        step += 1
        root = Path(shutil.copytree(tmp_path / "before", tmp_path / str(step)))
        done = forward(root, now=now, die_at_step=step)
        assert forward(root, now=now + LEASE_S + 1)
        _check_whole(root, frames)
    assert step > 20, f"it died at {step} steps only"


@pytest.fixture(scope="module")
def roboflow():
    """A server in a process of its own, with a project for each step that a process may die at."""
    projects = [argument for step in range(120) for argument in ("--project", f"p{step}")]
    command = [sys.executable, "-m", "tests.roboflow_server", *projects]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    yield process.stdout.readline().strip()
    process.kill()
    process.communicate()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_killed_around_any_of_its_calls_an_upload_arrives_once_and_always_the_same(tmp_path, roboflow):
    (tmp_path / "before").mkdir()
    fill(tmp_path / "before", 1, ("roboflow",))
    step, now, done = 0, 1000.0, False
    while not done:
        step += 1
        root = Path(shutil.copytree(tmp_path / "before", tmp_path / str(step)))
        done = upload(root, roboflow, f"p{step}", now=now, die_at_step=step)
        assert upload(root, roboflow, f"p{step}", now=now + 1000)
        store = open_store(f"sqlite:///{root / 'hub.sqlite'}")
        (delivery,) = store.deliveries()
        store.close()
        assert (delivery.state, delivery.redaction) == (DeliveryState.SENT, "1 face")
    assert step > 30, f"it died at {step} steps only"
    expected = hashlib.sha256(redacted(sample(), picture(0)).picture).hexdigest()
    there = httpx.get(f"{roboflow}/_state").json()
    assert sorted(i["project"] for i in there) == sorted(f"p{n}" for n in range(1, step + 1))
    assert {(i["sha256"], i["annotated"]) for i in there} == {(expected, 1)}


_FORWARD = """
import random, sys, threading, time
from pathlib import Path
from hub.blobs import open_blobs
from hub.deliveries import Pace
from hub.forward import Forwarder
from hub.sinks.folder import FolderSink
from hub.store import open_store
root = Path(sys.argv[1])
store = open_store(f"sqlite:///{root / 'hub.sqlite'}")
blobs = open_blobs(f"file://{root / 'frames'}")
FolderSink.pace = Pace(timeout_s=0.1)
open = lambda _: FolderSink(root / "datasets")
Forwarder(store, blobs, open, clock=time.time, random=random.random, slack_s=0.2).run(threading.Event())
"""


def test_killed_again_and_again_at_any_moment_it_loses_nothing_and_sends_nothing_twice(tmp_path):
    frames = fill(tmp_path, 80)
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    sent = []
    for arrived in (3, 13, 23, 33, 43, 53):
        child = subprocess.Popen([sys.executable, "-c", _FORWARD, str(tmp_path)])
        _until(lambda n=arrived: len(list((tmp_path / "datasets").rglob("*.jpg"))) >= n, 30)
        child.kill()
        child.wait()
        sent.append(store.delivery_counts()[DeliveryState.SENT])
    assert 0 < sent[0] < 80, "it was killed in the middle"
    blobs, sink = open_blobs(f"file://{tmp_path / 'frames'}"), FolderSink(tmp_path / "datasets")
    later = time.time() + 10
    Forwarder(store, blobs, lambda _: sink, clock=lambda: later, random=lambda: 0.5).drain()
    store.close()
    _check_whole(tmp_path, frames)
