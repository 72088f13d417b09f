"""The way to one destination: claims what is to go there, keeps as many tries under way as it may, and settles them."""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from hub.attempt import Desk, Says, Tried, deliver, put_off, words
from hub.breaker import Breaker, Tokens
from hub.deliveries import Delivery, DeliveryState, Pace, SinkHealth, SinkState
from hub.protocols import Sink
from shared.errors import InvalidInput, Paused, StoreError

_log = logging.getLogger(__name__)

NEWEST_SHARE = 4
"""One claim in so many takes the newest samples, the others those due longest: a backlog does not starve what is new,
nor the other way round."""

LOOK_S = 1.0
"""How often to look for new destinations, and whether a person asks for a try of one at rest."""

OPENING_S = 30.0
"""How long a destination that could not be opened is left before the next try."""

FLUSH_S = 2.0
FLUSH_SHARE = 0.05
"""A destination is flushed no more often than every FLUSH_S, and for no more than this share of the time."""

EVERY_S = 0.015
"""Deliveries begin this far apart, of all destinations: a backlog is not to keep the interpreter from the poller, which
shares it. Eight threads that all have something to send make polls late by tens of milliseconds, one hardly any."""

IDLE_S = 0.5
TROUBLE_S = 5.0
"""How long a lane waits after a mistake of ours."""

LAST_S = 5.0
STOP_S = 9.0
"""A stopping forwarder goes on emptying the outbox for LAST_S, and waits for what is under way until STOP_S."""


_NEXT = {DeliveryState.PENDING: "tried again later", DeliveryState.PARKED: "kept for you (hub deliveries list)"}


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


@dataclass(frozen=True)
class Parts:
    """What a lane works with. monotonic: seconds."""

    desk: Desk
    open: Callable[[str], Sink]
    monotonic: Callable[[], float]
    slack_s: float
    turnstile: "Turnstile"


class Turnstile:
    """Lets one delivery pass every EVERY_S, whichever thread it is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next_at = float("-inf")

    def passes(self, now: float) -> bool:
        """Whether one may pass at a time, in monotonic seconds; then it has."""
        with self._lock:
            if now < self._next_at:
                return False
            self._next_at = now + EVERY_S
            return True

    def wait_s(self, now: float) -> float:
        """Until one may pass."""
        return max(0.0, self._next_at - now)


@dataclass(frozen=True)
class _Job:
    """A delivery that is ours until then. round: how often the destination had gone to rest when it was handed out.
    probe: whether it is to find out how the destination does."""

    delivery: Delivery
    until: float
    round: int = 0
    probe: bool = False


class Lane:
    """The way to one destination. Its own thread claims, settles, and judges how the destination does; workers only
    send, so that whatever the database does, no two of them wait for each other.

    needed: whether something waits for the destination.
    """

    def __init__(self, name: str, parts: Parts) -> None:
        self.name = name
        self.needed = False
        self._parts, self._desk = parts, parts.desk
        self._sink: Sink | None = None
        self._pace = Pace()
        self._tokens: Tokens | None = None
        self._breaker = Breaker(SinkHealth(name))
        self._begun = self._opened_late = False
        self._recorded = True
        self._round = 0
        self._ready: deque[_Job] = deque()
        self._under_way: dict[int, _Job] = {}
        self._unsettled: deque[Delivery] = deque()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[_Job, Tried]] = queue.SimpleQueue()
        self._workers = 0
        self._claims = 0
        self._idle = False
        self._claim_at = self._look_at = self._flushed_at = float("-inf")
        self._flush_wait_s = 0.0
        self._unflushed = True  # a crash may have left something
        self._flush_failed = False
        self._problem = ""

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; then what is due, for LAST_S at most, and what is under way, until STOP_S."""
        while not stop.is_set():
            self._safely(lambda: self._turn(IDLE_S), stop)
        began = time.monotonic()
        self._claim_at, self._idle = float("-inf"), False
        while not self._is_done() and time.monotonic() < began + LAST_S:
            if not self._safely(lambda: self._turn(0.1), stop):
                break
        self._safely(self._give_back, stop)
        while self._under_way and time.monotonic() < began + STOP_S:
            self._safely(lambda: self._collect(0.1, hand_out=False), stop)
        if not self._under_way:
            self._safely(self._flush, stop)
        self._dismiss()

    def drain(self) -> Drained:
        """Try everything that is due now."""
        total = Drained()
        self._claim_at, self._look_at, self._idle = float("-inf"), float("-inf"), False
        while not self._is_done():
            total += self._turn(0.1)
        if not self._rests():
            self._flush()
        self._dismiss()
        return total

    def _is_done(self) -> bool:
        return self._idle and not (self._ready or self._under_way or self._unsettled)

    def _safely(self, call: Callable[[], object], stop: threading.Event) -> bool:
        """The edge of a lane's thread: whatever goes wrong is said, and tried again after a while."""
        try:
            call()
        except StoreError as error:
            if error.message != self._problem:
                _log.error("%s", error.message, extra={"sink": self.name})
            self._problem = error.message
            stop.wait(IDLE_S)
            return False
        except Exception:  # noqa: BLE001  # a lane that ends silently would lose its destination
            _log.exception("forwarding failed unexpectedly", extra={"sink": self.name})
            stop.wait(TROUBLE_S)
            return False
        self._problem = ""
        return True

    def _turn(self, wait_s: float) -> Drained:
        """Hand out what there is, and take in what ended; wait for that so long. StoreError when the database can't
        be used."""
        if not self._begun:
            self._begin()
        self._write_down()
        if self._rests():
            self._give_back()
            self._look()
        if self._sink is None and not self._rests():
            self._open()
        self._claim()
        self._hand_out()
        done = self._collect(wait_s)
        if self._may_flush():
            self._flush()
        return done

    # ── the destination ──────────────────────────────────────────────────────────────────────────────

    def _begin(self) -> None:
        """Go by what was known of the destination before this process."""
        health = self._desk.store.sink_health().get(self.name)
        if health is not None:
            self._breaker = Breaker.recorded(health, self._desk.clock())
        else:
            self._breaker, self._recorded = Breaker(SinkHealth(self.name, since=self._desk.clock())), False
        self._open()
        self._begun = True

    def _open(self) -> None:
        try:
            self._sink = self._parts.open(self.name)
        except InvalidInput as error:
            self._opened_late = True
            if self.needed:
                why = words(error.told)
                now = self._desk.clock()
                self._judge(self._breaker.paused(why, now, self._desk.random, rest_s=OPENING_S))
            self._idle = True
            return
        self._pace = self._sink.pace
        if self._pace.rate is not None:
            self._tokens = Tokens(self._pace.rate, self._parts.monotonic())
        if self._opened_late:
            self._judge(self._breaker.worked(self._desk.clock()))

    def _rests(self) -> bool:
        return self._breaker.is_resting(self._desk.clock())

    def _look(self) -> None:
        """Whether a person, or another process, wants a destination at rest to be tried at once."""
        if self._parts.monotonic() < self._look_at:
            return
        self._look_at = self._parts.monotonic() + LOOK_S
        recorded = self._desk.store.sink_health().get(self.name)
        if recorded is not None and recorded.until <= self._desk.clock():
            self._breaker = self._breaker.roused()

    def _learn(self, job: _Job, tried: Tried) -> None:
        """What a try says of the destination. One that began before a rest says nothing new of what comes after."""
        now, random, is_news = self._desk.clock(), self._desk.random, job.round == self._round
        if tried.says is Says.WORKS and is_news:
            self._judge(self._breaker.worked(now))
        elif tried.says is Says.TROUBLED and is_news:
            self._judge(self._breaker.troubled(tried.reason, now, random, tried.after_s))
        elif tried.says is Says.UNUSABLE and (is_news or self._breaker.health.state is not SinkState.PAUSED):
            self._judge(self._breaker.paused(tried.reason, now, random))

    def _judge(self, now: Breaker) -> None:
        before, self._breaker = self._breaker.health, now
        if now.health == before:
            return
        self._recorded = False
        self._round += not now.is_open
        if now.health.state is before.state:
            return
        about = {"sink": self.name}
        if now.is_open:
            _log.info("works again", extra=about)
        elif now.health.state is SinkState.PAUSED:
            _log.error("paused, and nothing is lost: %s", now.health.reason, extra=about)
        else:
            _log.warning("rests for %.0f s: %s", now.rest_s, now.health.reason, extra=about)

    # ── deliveries ───────────────────────────────────────────────────────────────────────────────────

    def _claim(self) -> None:
        """Claim what will soon be worked on."""
        if self._sink is None or self._rests():
            self._idle = True
            return
        limit = self._room()
        if limit < 1 or self._parts.monotonic() < self._claim_at:
            return
        self._claims += 1
        lease_s, now = 3 * self._pace.timeout_s + self._parts.slack_s, self._desk.clock()
        newest_first = self._claims % NEWEST_SHARE == 0
        claimed = self._desk.store.claim(self.name, now=now, lease_s=lease_s, limit=limit, newest_first=newest_first)
        # A try that hangs for longer than its claim is not begun twice.
        self._ready += [_Job(each, now + lease_s) for each in claimed if each.id not in self._under_way]
        self._idle = len(claimed) < limit
        if self._idle:
            self._claim_at = self._parts.monotonic() + IDLE_S

    def _room(self) -> int:
        """How many deliveries to claim: one for every worker, and as many for when these are done."""
        if not self._breaker.is_open:
            return int(not self._ready and self._is_free())
        abreast, ready = self._pace.abreast, len(self._ready)
        room = 2 * abreast - len(self._under_way) - ready if ready <= abreast // 2 else 0
        return room if self._tokens is None else min(room, self._allowed() - ready)

    def _allowed(self) -> int:
        """How many the destination's rate allows now."""
        if self._tokens is None:
            return self._pace.abreast
        self._tokens = self._tokens.later(self._parts.monotonic())
        return int(self._tokens.held + 1e-6)

    def _is_free(self) -> bool:
        """Whether another may be handed out: as long as it is not known that the destination works, one at a time."""
        if self._rests() or len(self._under_way) >= self._pace.abreast:
            return False
        return self._breaker.is_open or all(job.round != self._round for job in self._under_way.values())

    def _hand_out(self) -> None:
        while self._ready and self._is_free() and self._allowed() > 0:
            if self._desk.clock() + self._pace.timeout_s > self._ready[0].until:
                self._ready.popleft()  # too late: somebody else may have it before we are done
                continue
            if not self._parts.turnstile.passes(time.monotonic()):
                return
            job = self._ready.popleft()
            if self._tokens is not None:
                self._tokens = self._tokens.take()
            self._under_way[job.delivery.id] = job = replace(job, round=self._round, probe=not self._breaker.is_open)
            if self._workers < len(self._under_way):
                self._workers += 1
                name = f"to {self.name} {self._workers}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
            self._jobs.put(job)

    def _collect(self, wait_s: float, *, hand_out: bool = True) -> Drained:
        """Take in what ended, wait for the first so long, and keep the workers busy meanwhile."""
        total = Drained()
        try:
            job, tried = self._ended.get(timeout=self._patience_s(wait_s))
            while True:
                total += self._end(job, tried)
                if hand_out:
                    self._hand_out()
                job, tried = self._ended.get_nowait()
        except queue.Empty:
            self._write_down()
        return total

    def _patience_s(self, wait_s: float) -> float:
        """How long to wait for something to end, when there is something else to do, too."""
        if self._is_done() and wait_s < IDLE_S:
            return 0.0
        if self._rests():
            return min(wait_s, max(0.01, self._breaker.health.until - self._desk.clock()))
        if self._sink is not None and self._is_free() and (self._ready or not self._idle):
            turn_s = self._parts.turnstile.wait_s(time.monotonic())
            return min(wait_s, max(0.001, turn_s, self._tokens.wait_s if self._tokens else 0.0))
        return wait_s

    def _end(self, job: _Job, tried: Tried) -> Drained:
        del self._under_way[job.delivery.id]
        self._unflushed = True
        self._learn(job, tried)
        ended = tried.delivery
        if tried.says is Says.UNUSABLE or (tried.says is Says.TROUBLED and job.probe):
            # It says nothing of the sample. It goes behind the others, should it be to blame all the same.
            ended = replace(ended, attempts=job.delivery.attempts, due_at=self._breaker.health.until)
        elif ended.state is not DeliveryState.SENT:
            level = logging.INFO if tried.says is Says.TROUBLED else logging.WARNING
            about = {"sink": self.name, "frame": ended.sample_id.partition(":")[2]}
            _log.log(level, "not delivered, and %s: %s", _NEXT[ended.state], ended.error, extra=about)
        self._unsettled.append(ended)
        sent, parked = ended.state is DeliveryState.SENT, ended.state is DeliveryState.PARKED
        return Drained(int(sent), int(not sent and not parked), int(parked))

    def _write_down(self) -> None:
        """Settle what ended, and record how the destination does; what can't be is kept for the next time."""
        while self._unsettled:
            self._desk.store.settle(self._unsettled[0])
            self._unsettled.popleft()
        if not self._recorded:
            self._desk.store.record_sink_health(self._breaker.health)
            self._recorded = True

    def _give_back(self) -> None:
        """What is claimed and not begun is anybody's again."""
        while self._ready:
            if self._desk.clock() < self._ready[0].until:
                self._desk.store.settle(self._ready[0].delivery)
            self._ready.popleft()

    # ── what is done once for many ───────────────────────────────────────────────────────────────────

    def _may_flush(self) -> bool:
        # A clock that was set back must not put it off.
        if 0 <= self._desk.clock() - self._flushed_at < self._flush_wait_s or self._rests():
            return False
        return self._breaker.is_open or self._flush_failed

    def _flush(self) -> None:
        """Let the destination finish what it does once for many samples."""
        if not self._unflushed or self._sink is None:
            return
        began, now = self._parts.monotonic(), self._desk.clock()
        try:
            self._sink.flush()
        except Paused as error:
            self._flush_failed = True
            why = words(error.told)
            self._judge(self._breaker.paused(why, now, self._desk.random))
            return
        if self._flush_failed:
            self._flush_failed = False
            self._judge(self._breaker.worked(now))
        self._unflushed = False
        self._flushed_at = self._desk.clock()
        self._flush_wait_s = max(FLUSH_S, (self._parts.monotonic() - began) / FLUSH_SHARE)

    # ── workers ──────────────────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                assert self._sink is not None, "nothing is claimed for a destination that is not open"
                tried = deliver(job.delivery, self._sink, self._desk)
            except Exception as error:  # noqa: BLE001  # the edge of a thread: one mistake must not end the others
                _log.exception("a delivery failed unexpectedly", extra={"sink": self.name})
                tried = Tried(
                    put_off(job.delivery, f"{type(error).__name__}: {error}", self._desk.clock(), self._desk.random)
                )
            self._ended.put((job, tried))

    def _dismiss(self) -> None:
        for _ in range(self._workers):
            self._jobs.put(None)
        self._workers = 0
