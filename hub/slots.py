"""The newest picture of each camera, between the poller that brings them and the pipeline that takes them."""

import asyncio
from collections import Counter
from dataclasses import dataclass

from shared.frame import Frame

MAX_BYTES = 1 << 30
COUNT_WAIT_S = 1.0


@dataclass(frozen=True)
class Taken:
    """frames: at most one per camera, the longest waiting first. unchanged: by camera, how many polls since the
    last `take` brought the same picture again."""

    frames: list[Frame]
    unchanged: dict[str, int]


class Slots:
    """One slot per camera. The newest frame wins, the one it replaces is dropped and counted.

    A camera keeps its place in the queue when its frame is replaced, and goes to the end once taken: under
    overload cameras are served in turn, however fast one of them is. Memory: one frame per camera, and at most
    `max_bytes` (the longest waiting are dropped first). Only for use within one event loop, one taker at a time.

    count_wait_s: how long counts of unchanged pictures may wait for a frame to travel with.
    """

    def __init__(self, *, max_bytes: int = MAX_BYTES, count_wait_s: float = COUNT_WAIT_S) -> None:
        self._frames: dict[str, Frame] = {}
        self._unchanged: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._bytes = 0
        self._max_bytes = max_bytes
        self._count_wait_s = count_wait_s
        self._wanted = 1
        self._any = asyncio.Event()
        self._enough = asyncio.Event()

    def offer(self, frame: Frame) -> None:
        """Put a frame into its camera's slot."""
        before = self._frames.get(frame.camera)
        if before is not None:
            self._dropped[frame.camera] += 1
            self._bytes -= len(before.jpeg)
        self._frames[frame.camera] = frame
        self._bytes += len(frame.jpeg)
        while self._bytes > self._max_bytes and len(self._frames) > 1:
            self._dropped[self._pop().camera] += 1
        self._any.set()
        if len(self._frames) >= self._wanted:
            self._enough.set()

    def unchanged(self, camera: str) -> None:
        """Count a poll that brought the same picture again."""
        self._unchanged[camera] += 1
        self._any.set()

    def dropped(self, camera: str) -> int:
        """Frames of a camera that were replaced before anybody took them."""
        return self._dropped[camera]

    def remove(self, camera: str) -> None:
        """Forget a camera that is no longer polled."""
        frame = self._frames.pop(camera, None)
        self._bytes -= len(frame.jpeg) if frame else 0
        self._dropped.pop(camera, None)
        self._unchanged.pop(camera, None)

    async def take(self, max_frames: int, wait_s: float) -> Taken:
        """Up to `max_frames` frames: as soon as that many are there, or `wait_s` after the first one was seen.

        When no frame comes but unchanged pictures were counted, returns these alone, after `count_wait_s`.
        Cancelling loses nothing.
        """
        self._wanted = 1
        while not self._frames:
            self._rearm()
            await self._any.wait()
            if not self._frames and not await self._reached(1, self._count_wait_s) and self._unchanged:
                break
        if self._frames:
            await self._reached(max_frames, wait_s)
        frames = [self._pop() for _ in range(min(max_frames, len(self._frames)))]
        counts, self._unchanged = self._unchanged, Counter()
        return Taken(frames, dict(counts))

    async def _reached(self, wanted: int, wait_s: float) -> bool:
        """Whether `wanted` slots are full, within `wait_s`."""
        self._wanted = wanted
        if len(self._frames) < wanted and wait_s > 0:
            self._enough.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._enough.wait()
            except TimeoutError:
                pass
        return len(self._frames) >= wanted

    def _rearm(self) -> None:
        if not self._frames and not self._unchanged:
            self._any.clear()

    def _pop(self) -> Frame:
        """The frame that waited longest, out of its slot."""
        frame = self._frames.pop(next(iter(self._frames)))
        self._bytes -= len(frame.jpeg)
        return frame
