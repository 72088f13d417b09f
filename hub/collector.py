"""The collector: poller → decode → perceive → judge → write, as stages that overlap, plus what keeps them current.

Each stage hands its work to the next through a short queue, so few batches are in flight and a slow model makes the
slots drop old frames instead of filling memory. Threads do the work; the event loop only polls. Batches are looked
at side by side (on a CPU, one thread a batch beats all threads on one batch), and judged in the order they came.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from hub.archive import SeenFrame
from hub.blobs import sweep
from hub.campaigns import calibrate_anew, renew, worth_calibrating_at
from hub.memory import Key, changed, recall, remembers, rows_of, without
from hub.pipeline import Decoded, Memory, Rejected, decode_all, judge, perceive
from hub.plan import Models, Plan, make_plan
from hub.poll import Poller
from hub.protocols import Blobs, Embedder, Store
from hub.recent import Recent
from hub.selection import close
from hub.slots import Slots, Taken
from hub.types import Batch, Frame, Held, Needs, Observation, Remembered, Version
from hub.vision import thumbnail, unchanged
from shared.errors import BowerbirdError, CameraError, ImageError, ModelError, StoreError

_log = logging.getLogger(__name__)
T = TypeVar("T")

RELOAD_S = 0.5
HEALTH_S = 1.0
WINDOWS_S = 1.0
CALIBRATE_S = 30.0
MEMORY_S = 10.0
"""How often what judging remembers is saved: a collector that is killed forgets no more than this."""

SWEEP_S = 600.0
TEND_S = 5.0
"""How often there is made room for pictures that come."""

RETRY_S = 5.0
"""How long a chore that failed rests."""

GATHER_S = 0.005
"""How long a batch waits for more frames after its first."""


@dataclass(frozen=True)
class Work:
    """A batch on its way through the stages. lost: why what only memory needs was not computed, None where it was."""

    plan: Plan
    decoded: Sequence[Decoded] = ()
    seen: Sequence[Observation] = ()
    unchanged: Mapping[str, int] = field(default_factory=dict)
    lost: ModelError | None = None


@dataclass(frozen=True)
class Status:
    """A line's worth of how it goes. frames: judged since start, unchanged ones included."""

    cameras: int = 0
    up: int = 0
    frames: int = 0
    inferred: int = 0
    samples: int = 0
    campaigns: int = 0
    problem: str = ""


class Collector:
    """Runs until told to stop. All state that must survive is in the store.

    remember: what is computed of every frame that changed, whatever campaigns need. recent: keeps the pictures of those
    that no campaign took.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        models: Models,
        *,
        indexes: Path | None,
        retention_s: float = 30 * 86400.0,
        now: Callable[[], float] = time.time,
        remember: Needs = Needs(),
        recent: Recent | None = None,
    ) -> None:
        self._store, self._blobs, self._models = store, blobs, models
        self._remembering, self._recent = remember, recent
        self._indexes, self._retention_s, self._now = indexes, retention_s, now
        self._slots = Slots()
        self._poller = Poller(self._slots)
        self._plan = Plan()
        self._memory = Memory()
        self._judging: Mapping[int, Version] = {}
        self._saved: dict[Key, Remembered] = {}
        self._calibrated_at: dict[int, int] = {}
        self._thumbnails: dict[str, np.ndarray] = {}
        self._revision = -1
        self._looked_again_at = 0.0
        self._status = Status()
        self._problems: Mapping[str, str] = {}
        self._decoders = ThreadPoolExecutor(4, "decode")
        self._preparer = ThreadPoolExecutor(1, "prepare")
        self._inference = ThreadPoolExecutor(models.workers, "inference")
        self._database = ThreadPoolExecutor(1, "database")

    @property
    def status(self) -> Status:
        """How it goes now; may be read from any thread."""
        return self._status

    async def run(self, stop: asyncio.Event) -> None:
        """Poll, judge and write until `stop` is set; then finish what is in flight."""
        decoded: asyncio.Queue[Work | None] = asyncio.Queue(1)
        perceived: asyncio.Queue[asyncio.Future[Work] | None] = asyncio.Queue(self._models.workers + 1)
        await self._reload()
        stages = [
            asyncio.create_task(self._feed(decoded, stop), name="feed"),
            asyncio.create_task(self._perceive(decoded, perceived), name="perceive"),
            asyncio.create_task(self._finish(perceived), name="finish"),
        ]
        chores = [
            asyncio.create_task(self._every(RELOAD_S, self._reload), name="reload"),
            asyncio.create_task(self._every(HEALTH_S, self._report_health), name="health"),
            asyncio.create_task(self._every(WINDOWS_S, self._close_windows), name="windows"),
            asyncio.create_task(self._every(MEMORY_S, self._save), name="memory"),
            asyncio.create_task(self._every(CALIBRATE_S, self._calibrate), name="calibrate"),
            asyncio.create_task(self._every(SWEEP_S, self._sweep), name="sweep"),
            asyncio.create_task(self._every(TEND_S, self._tend), name="tend"),
        ]
        try:
            flow = asyncio.create_task(_all(stages))
            # A chore only ends by failing, and then the collector must not go on half-alive.
            done, _ = await asyncio.wait((flow, *chores), return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            for task in (*chores, *stages):
                task.cancel()
            await asyncio.gather(*chores, *stages, return_exceptions=True)
            await self._poller.close()
            await self._in(self._database, self._save_memory)
            await self._in(self._database, self._store.record_health, self._poller.health())
            for pool in (self._decoders, self._preparer, self._inference, self._database):
                pool.shutdown(wait=True)

    # ── stages ───────────────────────────────────────────────────────────────────────────────────────

    async def _feed(self, out: asyncio.Queue[Work | None], stop: asyncio.Event) -> None:
        stopped = asyncio.create_task(stop.wait())
        while not stop.is_set():
            take = asyncio.create_task(self._slots.take(self._models.batch, GATHER_S))
            await asyncio.wait((take, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not take.done():
                take.cancel()
                break
            await out.put(await self._in(self._preparer, self._prepare, take.result()))
        stopped.cancel()
        await out.put(None)

    def _prepare(self, taken: Taken) -> Work:
        """Leave out what did not change, decode the rest."""
        plan = self._plan
        same = dict(taken.unchanged)
        if not plan.targets and plan.needs == Needs():
            return Work(plan)
        fresh = []
        for frame in taken.frames:
            if self._is_unchanged(frame):
                same[frame.camera] = same.get(frame.camera, 0) + 1
            else:
                fresh.append(frame)
        decoded, rejected = decode_all(fresh, self._decoders)
        for each in rejected:
            self._reject(each)
        return Work(plan, decoded, unchanged=same)

    def _is_unchanged(self, frame: Frame) -> bool:
        """Whether a frame looks like the last one of its camera that was processed."""
        try:
            now = thumbnail(frame.jpeg)
        except ImageError:
            return False  # decoding it will say what is wrong
        before = self._thumbnails.get(frame.camera)
        if before is not None and unchanged(before, now):
            return True
        self._thumbnails[frame.camera] = now
        return False

    def _reject(self, rejected: Rejected) -> None:
        self._thumbnails.pop(rejected.frame.camera, None)
        reason = rejected.error.reason if rejected.error.reason in CameraError.REASONS else "not-an-image"
        self._poller.reject(rejected.frame.camera, CameraError(reason, rejected.error.message))

    async def _perceive(
        self, source: asyncio.Queue[Work | None], out: asyncio.Queue[asyncio.Future[Work] | None]
    ) -> None:
        """Look at batches side by side, as many as there are workers, and pass them on in order.

        One more is always handed in, so that a worker that is done has its next batch at once.
        """
        free = asyncio.Semaphore(self._models.workers + 1)
        loop = asyncio.get_running_loop()
        while (work := await source.get()) is not None:
            await free.acquire()
            looking = loop.run_in_executor(self._inference, _look, work)
            looking.add_done_callback(lambda _: free.release())
            await out.put(looking)
        await out.put(None)

    async def _finish(self, source: asyncio.Queue[asyncio.Future[Work] | None]) -> None:
        while (looking := await source.get()) is not None:
            try:
                work = await looking
            except ModelError as error:
                self._trouble("models", error)
                self._look_again()
                continue
            if work.lost is not None:
                self._trouble("models", work.lost)
            elif work.seen:
                self._well("models")
            if work.seen or work.unchanged:
                await self._in(self._database, self._judge_and_write, work)

    def _judge_and_write(self, work: Work) -> None:
        """Select and store a batch. Memory moves on only once the batch is stored, so nothing is half-taken."""
        now = self._now()
        targets = [target for target in work.plan.targets if self._is_judging(target.version)]
        judged = judge(work.seen, targets, self._memory, now=now, unchanged=work.unchanged)
        jpegs = {seen.frame.id: seen.frame.jpeg for seen in work.seen}
        taken = {sample.frame_id for sample in judged.samples}
        kept: list[SeenFrame] = []
        try:
            for sample in (*judged.samples, *(held.sample for held in judged.held)):
                if sample.frame_id in jpegs:  # else it was stored when the sample was held
                    self._blobs.put(sample.frame_id, jpegs[sample.frame_id])
            kept = self._keep([seen for seen in work.seen if seen.frame.id not in taken])
            new = self._store.write(
                Batch(
                    work.seen,
                    judged.samples,
                    counts=judged.counts,
                    held=judged.held,
                    let_go=judged.let_go,
                    frames=kept,
                )
            )
        except StoreError as error:
            if self._recent is not None:
                self._recent.discard(kept)
            self._trouble("store", error)
            self._look_again()
            return
        self._well("store")
        self._memory = judged.memory
        self._save_newcomers({seen.frame.camera for seen in work.seen})
        for sample in new:
            _log.info(
                "took a sample: %s",
                sample.reason,
                extra={"campaign": sample.campaign, "camera": sample.camera, "frame": sample.frame_id},
            )
        self._status = replace(
            self._status,
            frames=self._status.frames + len(work.seen) + sum(work.unchanged.values()),
            inferred=self._status.inferred + len(work.seen),
            samples=self._status.samples + len(new),
        )

    def _keep(self, seen: Sequence[Observation]) -> list[SeenFrame]:
        """Keep the pictures of frames that may be wanted later; a full disk stops nothing else."""
        if self._recent is None or not seen:
            return []
        kept = self._recent.keep(seen)
        if self._recent.problem is not None:
            self._trouble(self._keep.__name__, self._recent.problem)
        else:
            self._well(self._keep.__name__)
        return kept

    def _is_judging(self, version: Version) -> bool:
        """Whether a campaign still judges as it did when the batch set out: what it remembers is of its trigger now."""
        now = self._judging.get(version.campaign_id)
        return now is not None and now.trigger == version.trigger

    # ── chores ───────────────────────────────────────────────────────────────────────────────────────

    async def _reload(self) -> None:
        """Pick up changed cameras and campaigns."""
        revision = await self._in(self._database, self._store.revision)
        if revision == self._revision:
            return
        cameras = [camera for camera in await self._in(self._database, self._store.cameras) if camera.enabled]
        known = await self._in(self._database, self._store.health)
        versions = await self._in(self._database, self._store.active_versions)
        plan = await self._in(
            self._preparer,
            make_plan,
            versions,
            self._models,
            self._plan,
            self._indexes,
            self._renew,
            self._remembering,
        )
        # Behind every write that is under way, so that the ledgers are complete.
        await self._in(self._database, self._remember, plan, {version.campaign_id for version in versions})
        # In the preparing thread, so that no frame meets the thumbnails of the plan before.
        await self._in(self._preparer, self._adopt, plan)
        await self._poller.set_cameras(cameras, known)
        self._revision = revision
        self._status = replace(self._status, cameras=len(cameras), campaigns=len(plan.targets))

    def _renew(self, version: Version, embedder: Embedder) -> Version:
        """The embedder was changed: embed the seeds anew and go on with a version of its own."""
        _log.info("embedding the seeds of %r anew by %s", version.campaign, embedder.name)
        return renew(self._store, self._blobs, version, embedder, now=self._now())

    def _remember(self, plan: Plan, active: set[int]) -> None:
        """Start new versions from what is stored, once what only memory knew is stored too. active: campaign ids."""
        self._save_memory()
        if (embedder := plan.embedder) is not None:
            self._store.archive.record_embedder(embedder.version, embedder.name, embedder.dim)
        held = self._store.held()
        self._close_abandoned([each for each in held if each.sample.campaign_id not in active])
        versions = {target.version.campaign_id: target.version for target in plan.targets}
        before = {version.id for version in self._judging.values()}
        recalled = recall(self._store, [v for v in versions.values() if v.id not in before], held)
        ledgers, states = {**self._memory.ledgers, **recalled.ledgers}, {**self._memory.states, **recalled.states}
        self._memory = Memory({each: ledgers[each] for each in versions}, {each: states[each] for each in versions})
        self._judging = versions
        self._saved = rows_of(self._memory, versions.values())

    def _close_abandoned(self, held: Sequence[Held]) -> None:
        """Take what inactive campaigns held: it was good enough when they stopped."""
        for campaign, name in sorted({(each.sample.campaign_id, each.sample.campaign) for each in held}):
            version = self._store.versions(name)[-1]
            ledger = recall(self._store, [version], held).ledgers[campaign]
            _, samples = close(ledger, version.budget, version.scope.timezone, now=float("inf"))
            gone = [each.sample.id for each in held if each.sample.campaign_id == campaign]
            self._store.write(Batch(samples=samples, let_go=gone))

    async def _save(self) -> None:
        await self._in(self._database, self._save_memory)

    def _save_memory(self) -> None:
        """Save what changed, less what was reset meanwhile."""
        if self._store.revision() != self._revision:
            self._forget_reset()
        now = rows_of(self._memory, self._judging.values())
        if rows := changed(now, self._saved):
            self._store.remember(rows)
        self._saved = now

    def _forget_reset(self) -> None:
        """Forget what somebody took out of the store."""
        campaigns = {campaign for campaign, _ in self._saved}
        stored = {(row.campaign_id, row.camera) for each in campaigns for row in self._store.remembered(each)}
        self._memory = without(self._memory, set(self._saved) - stored)

    def _save_newcomers(self, cameras: Iterable[str]) -> None:
        """A camera that is new is saved at once: only what is in the store can be reset by a person."""
        pairs = [(campaign, camera) for campaign in self._judging for camera in cameras]
        if any(pair not in self._saved and remembers(self._memory, pair) for pair in pairs):
            try:
                self._save_memory()
            except StoreError as error:
                self._trouble(self._save.__name__, error)

    async def _calibrate(self) -> None:
        """Scores mean more once it is known what the cameras show: let campaigns that were started before learn it."""
        for target in self._plan.targets:
            version, embedder = target.version, self._plan.embedder
            if embedder is None or version.embedding_version != embedder.version:
                continue
            processed = sum(c.processed for c in await self._in(self._database, self._store.counts, version.campaign))
            if processed < max(worth_calibrating_at(version), 2 * self._calibrated_at.get(version.id, 0)):
                continue
            self._calibrated_at[version.id] = processed
            call = partial(calibrate_anew, self._store, version, embedder, now=self._now())
            if anew := await asyncio.to_thread(call):
                _log.info("%s goes on as version %d: its scores are calibrated anew", anew.campaign, anew.number)

    async def _close_windows(self) -> None:
        """Windows and bursts end whether or not a frame comes."""
        if any(ledger.held for ledger in self._memory.ledgers.values()):
            await self._in(self._database, self._judge_and_write, Work(self._plan))

    def _adopt(self, plan: Plan) -> None:
        before = {target.version.id for target in self._plan.targets}
        if {target.version.id for target in plan.targets} - before:
            # A campaign that is new must see each scene once, however still it is.
            self._forget_scenes()
        self._plan = plan
        _log.info("judging for %d campaigns", len(plan.targets))

    def _look_again(self) -> None:
        """A batch was lost: let every scene count as new, however still it is, but not at every poll."""
        if self._now() >= self._looked_again_at + RETRY_S:
            self._looked_again_at = self._now()
            self._forget_scenes()

    def _forget_scenes(self) -> None:
        self._thumbnails.clear()
        self._poller.forget()

    async def _report_health(self) -> None:
        health = self._poller.health()
        await self._in(self._database, self._store.record_health, health)
        self._status = replace(self._status, up=sum(1 for h in health if h.state == "up"))

    async def _sweep(self) -> None:
        before = self._now() - self._retention_s
        while await self._in(self._database, self._prune, before):  # noqa: ASYNC110  # nobody could set an event
            await asyncio.sleep(0.05)  # lets a batch be written between two small deletions

        while await self._in(self._database, self._forget_frames, before):  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.05)
        await asyncio.to_thread(self._sweep_blobs)  # a large store takes long to list, and writing must go on

    def _sweep_blobs(self) -> None:
        sweep(self._blobs, self._store.blob_keys(), now=self._now())
        if self._recent is not None:
            self._recent.sweep(self._now())

    def _prune(self, before: float) -> int:
        return self._store.prune(before, limit=1000)

    def _forget_frames(self, before: float) -> int:
        return self._store.archive.forget_frames(before, limit=1000)

    async def _tend(self) -> None:
        # Beside the writing of batches: most of it is making thumbnails.
        if self._recent is not None:
            while await asyncio.to_thread(self._recent.tend, self._now()):  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.05)

    async def _every(self, period_s: float, chore: Callable[[], Awaitable[None]]) -> None:
        wait_s = period_s
        while True:
            await asyncio.sleep(wait_s)
            try:
                await chore()
            except BowerbirdError as error:
                self._trouble(chore.__name__, error)
                wait_s = max(period_s, RETRY_S)  # loading a model that fails costs seconds
            else:
                self._well(chore.__name__)
                wait_s = period_s

    # ── edges ────────────────────────────────────────────────────────────────────────────────────────

    def _trouble(self, where: str, error: BowerbirdError) -> None:
        """Something does not work for now: said once, and shown until it works again."""
        if self._problems.get(where) != error.message:
            _log.error("%s", error.message)
        self._show({**self._problems, where: error.message})

    def _well(self, where: str) -> None:
        if where in self._problems:
            _log.info("works again: %s", self._problems[where])
            self._show({name: said for name, said in self._problems.items() if name != where})

    def _show(self, problems: Mapping[str, str]) -> None:
        self._problems = problems
        self._status = replace(self._status, problem="; ".join(problems.values()))

    async def _in(self, pool: Executor, call: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, call, *args)


async def _all(tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks)


def _look(work: Work) -> Work:
    """Perceive a batch. What only memory needs is done without where its model fails: campaigns go on."""
    plan, lost = work.plan, None
    if not work.decoded:
        return work
    try:
        seen = perceive(work.decoded, plan.needs, plan.detector, plan.embedder)
    except ModelError as error:
        if plan.needed == plan.needs:
            raise
        seen, lost = perceive(work.decoded, plan.needed, plan.detector, plan.embedder), error
    return replace(work, seen=seen, decoded=(), lost=lost)
