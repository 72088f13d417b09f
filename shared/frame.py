"""A frame, and its trip through HTTP headers and back: the wire contract of `GET /image.jpg`."""

import email.utils
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

CLOCK_TOLERANCE_S = 5.0
"""How far a camera's wall clock may be from ours before its timestamps are not believed."""

MAX_AGE_S = 3600.0
"""The oldest a picture may say it is and be believed."""


@dataclass(frozen=True)
class Frame:
    """One picture of one camera.

    camera: its name. seq: counts the frames of this camera in this process.
    taken_at: capture time, Unix seconds. jpeg: the bytes as the camera sent them (JPEG or PNG).
    etag: the camera's own name for the picture, or "". digest: its id, where the bytes are not at hand.
    """

    camera: str
    seq: int
    taken_at: float
    jpeg: bytes
    etag: str = ""
    digest: str = ""

    @cached_property
    def id(self) -> str:
        """Hash of the content: a picture that arrives twice is the same frame."""
        return self.digest or hashlib.blake2b(self.jpeg, digest_size=16).hexdigest()


def to_headers(
    *, camera: str, etag: str, taken_at: float, age_s: float, length: int, clock_synchronised: bool
) -> dict[str, str]:
    """Headers of a node's 200 (and 304) answer. taken_at: Unix seconds; age_s: monotonic seconds."""
    headers = {
        "Content-Type": "image/jpeg",
        "Content-Length": str(length),
        "ETag": f'"{etag}"',
        "Cache-Control": "no-cache",
        "X-Frame-Age-Ms": str(round(age_s * 1000)),
        "X-Camera-Name": camera,
    }
    if clock_synchronised:
        headers["X-Timestamp"] = f"{taken_at:.6f}"
        headers["Last-Modified"] = email.utils.formatdate(taken_at, usegmt=True)
    return headers


def capture_time(headers: Mapping[str, str], *, sent_at: float, received_at: float) -> float:
    """Unix seconds at which the picture of an answer was taken.

    A node's monotonic `X-Frame-Age-Ms` is believed first. An `X-Timestamp` is believed only within
    `CLOCK_TOLERANCE_S` of arrival, since other servers put a driver's clock or seconds since boot there.
    Otherwise it is the arrival minus half the round trip. sent_at, received_at: our clock, Unix seconds.
    """
    fallback = received_at - (received_at - sent_at) / 2
    age_ms = _number(headers.get("X-Frame-Age-Ms"))
    if age_ms is not None and 0 <= age_ms <= MAX_AGE_S * 1000:
        return fallback - age_ms / 1000
    stamp = _number(headers.get("X-Timestamp"))
    if stamp is not None and abs(received_at - stamp) <= CLOCK_TOLERANCE_S:
        return stamp
    return fallback


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if abs(value) < 1e15 else None
