"""What the poller remembers of one camera from poll to poll."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hub.fetch import Target
from hub.still import Stillness
from hub.types import Camera, CameraHealth, Frame
from shared.errors import CameraError

_SMOOTHING = 0.2
"""Weight of the newest poll in the mean latency."""


@dataclass(eq=False)
class Watch:
    """Mutable, and only touched in the event loop. Made by `begin`.

    start: health when this poller began to watch; its counters go on. failures: in a row, for the back-off.
    """

    camera: Camera
    start: CameraHealth
    _state: CameraHealth
    target: Target | None = None
    seq: int = 0
    polled: int = 0
    unchanged: int = 0
    failed: int = 0
    failures: int = 0
    _etag: str = ""
    _modified: str = ""
    _is_node: bool = False
    _still: Stillness = field(default_factory=Stillness)
    _forgotten: bool = False
    _rejection: CameraError | None = None
    _probation: bool = False

    @classmethod
    def begin(cls, camera: Camera, start: CameraHealth | None, at: float) -> "Watch":
        """Watch a camera that was known by `start`, if at all. at: Unix seconds."""
        start = start or CameraHealth(camera.name)
        return cls(camera, start, replace(start, state="new", reason="", message="", since=at, latency_ms=0.0))

    def conditions(self) -> dict[str, str]:
        """Headers that spare the camera from sending the picture we have."""
        if self._etag:
            return {"If-None-Match": self._etag}
        return {"If-Modified-Since": self._modified} if self._modified else {}

    def repeated(self, now: float) -> None:
        """The camera named its picture as the one it gave last. CameraError frozen.

        now: steady seconds. Our own node says so only while it knows its camera to be alive, so it is believed.
        """
        self._refuse_again()
        if not self._is_node:
            self._check_frozen(now)
        self.unchanged += 1

    def arrived(self, frame: Frame, headers: Mapping[str, str], now: float) -> bool:
        """A picture came. Returns whether it is another than the last one. CameraError frozen."""
        self._etag = _echoable(headers.get("ETag", ""))
        self._modified = _echoable(headers.get("Last-Modified", ""))
        self._is_node = "X-Frame-Age-Ms" in headers
        # Python's own keyed 64-bit hash: a fifth of the cost of the frame's id, which a dropped frame never needs.
        picture = hash(frame.jpeg)
        again = picture == self._still.picture
        self._still = self._still.seen(picture, now)
        if again:
            self._refuse_again()
            self._check_frozen(now)
            if not self._forgotten:
                self.unchanged += 1
                return False
        self._forgotten, self._rejection = False, None
        self.seq += 1
        self._state = replace(self._state, last_frame_at=frame.taken_at)
        return True

    def forget(self) -> None:
        """Let the next picture count as new. How long it stood is still known."""
        self._etag = self._modified = ""
        self._forgotten = True

    def rejected(self, error: CameraError) -> None:
        """The picture can't be decoded: coming again, it is refused at once; the next one is on probation."""
        self._rejection, self._probation = error, True

    def is_up(self, at: float, took_s: float) -> bool:
        """A poll went well. Returns whether that is news. at: Unix seconds."""
        self.failures = 0
        before = self._state.latency_ms
        latency = took_s * 1000 if not before else before + _SMOOTHING * (took_s * 1000 - before)
        self._state = replace(self._state, latency_ms=latency)
        if self._probation:
            self._probation = False  # a second picture in a row that nobody rejects will do
            return False
        if self._state.state == "up":
            return False
        self._state = replace(self._state, state="up", reason="", message="", since=at)
        return True

    def is_news(self, error: CameraError, at: float) -> bool:
        """A poll failed. Returns whether this failure is another than the last poll's. at: Unix seconds."""
        self.failed += 1
        self.failures += 1
        before = self._state
        since = before.since if before.state == "failing" else at
        self._state = replace(before, state="failing", reason=error.reason, message=error.message, since=since)
        return (before.state, before.reason) != ("failing", error.reason)

    def health(self, dropped: int, at: float) -> CameraHealth:
        """For the store. dropped: since this poller began to watch."""
        return replace(
            self._state,
            polled=self.start.polled + self.polled,
            unchanged=self.start.unchanged + self.unchanged,
            dropped=self.start.dropped + dropped,
            failed=self.start.failed + self.failed,
            updated_at=at,
        )

    def _refuse_again(self) -> None:
        if self._rejection:
            raise self._rejection

    def _check_frozen(self, now: float) -> None:
        if self._still.is_frozen(now):
            stood_s = self._still.stood_s(now)
            raise CameraError("frozen", f"the same picture for {stood_s:.0f} s, longer than ever before")


def _echoable(value: str) -> str:
    """A header of the camera that may be sent back to it, or ""."""
    return value if value.isascii() and value.isprintable() and len(value) <= 256 else ""
