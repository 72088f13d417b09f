"""The poller: asks every camera for its picture at a fixed rate, whatever the others do."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from hub.addresses import AddressRules
from hub.answer import Limits, Unchanged, read_answer
from hub.fetch import Answer, Target, fetch, target_of
from hub.slots import Slots
from hub.transport import CameraTransport
from hub.types import Camera, CameraHealth, Frame
from hub.watch import Watch
from shared.errors import BowerbirdError, CameraError
from shared.retry import Backoff

_log = logging.getLogger(__name__)

_RULES = AddressRules()
_LIMITS = Limits()
_BACKOFF = Backoff(base_s=1.0, cap_s=30.0)

START_JITTER_S = 5.0
"""Cameras begin spread over their interval, but none waits longer than this for its first poll."""

LEAST_INTERVAL_S = 0.01


@dataclass(frozen=True)
class Tick:
    """One poll, in seconds after it was due: when it began and when it was over."""

    began_s: float
    over_s: float


def next_due(due: float, interval_s: float, now: float) -> float:
    """When to poll after the poll that was due at `due`, seconds on a steady clock.

    Ticks stay on the grid due + k · interval_s, so rounding and slow answers never add up. A tick less than one
    interval late is polled at once; older ones are skipped.
    """
    due += interval_s
    return due + max(0.0, (now - due) // interval_s) * interval_s


class Poller:
    """Polls cameras and puts their frames into `slots`; one task per camera, started and stopped by `set_cameras`.

    transport: anything under httpx's API, closed by `close`. clock: steady seconds. wall: Unix seconds. random: in
    [0, 1). All but `reject` and `forget` belong to the event loop; those two may be called from any thread.
    """

    def __init__(
        self,
        slots: Slots,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        rules: AddressRules = _RULES,
        limits: Limits = _LIMITS,
        backoff: Backoff = _BACKOFF,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._slots, self._rules, self._limits, self._backoff = slots, rules, limits, backoff
        self._transport = transport or CameraTransport(rules)
        self._clock, self._wall, self._random = clock, wall, random
        self._watches: dict[str, Watch] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.ticks: deque[Tick] = deque(maxlen=10_000)
        """The newest polls of all cameras: how punctual the poller is."""

    async def set_cameras(self, cameras: Sequence[Camera], known: Mapping[str, CameraHealth] | None = None) -> None:
        """Poll these and no others. Cameras that stay as they were are not disturbed.

        known: health at the last run, whose counters go on counting; used for cameras that are new to this poller.
        """
        self._loop = asyncio.get_running_loop()
        wanted = {camera.name: camera for camera in cameras if camera.enabled}
        same = {name for name, watch in self._watches.items() if wanted.get(name) == watch.camera}
        await self._stop(set(self._watches) - same)
        starts = {**(known or {}), **{health.camera: health for health in self.health()}}
        for name in set(self._watches) - same:
            del self._watches[name]
            self._slots.remove(name)
        for name in wanted.keys() - same:
            watch = Watch.begin(wanted[name], starts.get(name), self._wall())
            self._watches[name] = watch
            self._tasks[name] = asyncio.create_task(self._keep_polling(watch), name=f"poll {name}")

    def health(self) -> list[CameraHealth]:
        """How it goes with each camera that is polled."""
        now = self._wall()
        return [watch.health(self._slots.dropped(name), now) for name, watch in self._watches.items()]

    async def fetch_once(self, camera: Camera) -> Frame:
        """One poll of a camera that need not be among those polled. Raises CameraError, InvalidInput."""
        answer = await self._fetch(target_of(camera, self._rules), {})
        seen = self._read(camera.name, 1, answer)
        if isinstance(seen, Unchanged):
            raise CameraError("bad-status", "304 Not Modified, without having been asked for changes only")
        return seen

    def reject(self, camera: str, error: CameraError) -> None:
        """The camera's newest frame turned out to be no picture when it was decoded."""
        self._in_loop(self._reject, camera, error)

    def forget(self) -> None:
        """Give every camera's next picture even if it has not changed."""
        self._in_loop(self._forget)

    async def close(self) -> None:
        """Stop polling and close all connections. `health` can still be read."""
        await self._stop(set(self._tasks))
        await self._transport.aclose()

    # ── one camera ───────────────────────────────────────────────────────────────────────────────────

    async def _keep_polling(self, watch: Watch) -> None:
        interval_s = max(LEAST_INTERVAL_S, watch.camera.interval_s)
        due = self._clock() + self._random() * min(interval_s, START_JITTER_S)
        while True:
            await asyncio.sleep(max(0.0, due - self._clock()))
            began = self._clock()
            hold_off_s = await self._poll(watch)
            over = self._clock()
            self.ticks.append(Tick(began - due, over - due))
            due = over + hold_off_s if hold_off_s else next_due(due, interval_s, over)

    async def _poll(self, watch: Watch) -> float:
        """One poll; returns how long to hold off after a failure, else 0."""
        watch.polled += 1
        try:
            await self._look(watch)
        except CameraError as error:
            return self._failed(watch, error)
        except BowerbirdError as error:
            return self._failed(watch, CameraError("unreachable", error.message, hint=error.hint))
        except Exception:  # noqa: BLE001 - the edge of this camera's task: what breaks on one answer must not end its polling
            _log.exception("polling broke", extra={"camera": watch.camera.name})
            return self._failed(watch, CameraError("unreachable", "polling broke; the log has the details"))
        return 0.0

    async def _look(self, watch: Watch) -> None:
        """Ask, and offer what is new."""
        if watch.target is None:
            watch.target = target_of(watch.camera, self._rules)
        conditions = watch.conditions()
        answer = await self._fetch(watch.target, conditions)
        seen = self._read(watch.camera.name, watch.seq + 1, answer)
        if isinstance(seen, Unchanged) and not conditions:
            raise CameraError("bad-status", "304 Not Modified, without having been asked for changes only")
        now = self._clock()
        if isinstance(seen, Unchanged):
            watch.repeated(now)
            self._slots.unchanged(watch.camera.name)
        elif watch.arrived(seen, answer.headers, now):
            self._slots.offer(seen)
        else:
            self._slots.unchanged(watch.camera.name)
        if watch.is_up(answer.received_at, answer.received_at - answer.sent_at):
            _log.info("up", extra={"camera": watch.camera.name})

    async def _fetch(self, target: Target, conditions: Mapping[str, str]) -> Answer:
        return await fetch(self._transport, target, conditions, limits=self._limits, wall=self._wall)

    def _read(self, camera: str, seq: int, answer: Answer) -> Frame | Unchanged:
        return read_answer(
            camera, seq, answer.status, answer.headers, answer.body,
            sent_at=answer.sent_at, received_at=answer.received_at, limits=self._limits,
        )  # fmt: skip

    def _failed(self, watch: Watch, error: CameraError) -> float:
        if watch.is_news(error, self._wall()):
            _log.warning("%s: %s", error.reason, error.message, extra={"camera": watch.camera.name})
        if error.reason == "frozen":
            return 0.0  # it answers well enough: nothing is spared by waiting
        # At least the interval; a wait the camera named is kept, with a little jitter against stampedes.
        wait_s = error.retry_after_s
        if wait_s is None:
            wait_s = self._backoff.delay(watch.failures, self._random)
        else:
            wait_s *= 1 + 0.1 * self._random()
        return max(wait_s, watch.camera.interval_s)

    # ── the rest ─────────────────────────────────────────────────────────────────────────────────────

    async def _stop(self, names: set[str]) -> None:
        tasks = [self._tasks.pop(name) for name in names if name in self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reject(self, camera: str, error: CameraError) -> None:
        watch = self._watches.get(camera)
        if watch and watch.is_news(error, self._wall()):
            _log.warning("%s: %s", error.reason, error.message, extra={"camera": camera})
        if watch:
            watch.rejected(error)

    def _forget(self) -> None:
        for watch in self._watches.values():
            watch.forget()

    def _in_loop(self, call: Callable[..., None], *args: object) -> None:
        if self._loop and self._loop.is_running():
            self._loop.call_soon_threadsafe(call, *args)
        else:
            call(*args)
