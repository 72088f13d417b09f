"""Films as pictures: which frames of a film are worth a look, and any of them again by its time.

A frame is looked at every now and then, cheaply, at some of its pixels; it is taken when one is due or when the scene
changes, unless it looks like the last one that was taken. Frames in between are decoded, as those after them need it,
and never become pictures.
"""

import io
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from hub.types import Image
from hub.vision import LIMITS, Thumbnail, unchanged
from shared.errors import ImageError, NotFound

QUALITY = 92
"""Of the JPEG that a frame becomes. Its id is a hash of these bytes, so this number must never change."""

LOOK_S = 0.4
"""How often a film is looked at for a change of scene, and for anything new once a frame is due."""

CUT = 30.0
"""Grey levels that the pictures before and after a change of scene differ by, on average. Measured at this pace: of 231
looks, two at cars passing close by exceed it (46); pictures of unrelated scenes differ by 43 to 100, all but 1 %."""

_EPS_S = 0.0006
"""Times in names have three digits behind the point."""

_RUN_UP_S = 2.0
"""How far before a frame reading begins again."""

_UNKNOWN_RATE = 25.0
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_opening = threading.Lock()
_MAC_EPOCH_S = 2_082_844_800
"""From 1904 to 1970."""

# What FFmpeg says of damaged films would stand between our lines; what matters of it is reported here.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


@dataclass(frozen=True, eq=False)
class Still:
    """A frame that was taken. at: seconds from the film's beginning, to the millisecond."""

    at: float
    jpeg: bytes


@dataclass(frozen=True)
class FilmFacts:
    """What is known before a frame is read; 0 for what is not. created_at: Unix seconds, None where it is not said."""

    duration_s: float
    frames: int
    created_at: float | None


def sample(film: Path | bytes, every_s: float = 1.0, *, threads: int = 1) -> Iterator[Still]:
    """The frames worth a look: at least every `every_s` seconds and at changes of scene, none that looks like the last.

    ImageError when the film can't be opened, and after the last frame that can be read when there should be more.
    """
    with _open(film, threads) as reel:
        due, look_at = -np.inf, -np.inf
        before: Thumbnail | None = None
        last: Thumbnail | None = None
        while (at := reel.advance()) is not None:
            if at < look_at - _EPS_S or (picture := reel.picture()) is None:
                continue
            glance = _glance(picture)
            wanted = at >= due - _EPS_S or (before is not None and is_cut(before, glance))
            before = glance
            if wanted:
                now = _thumbnail(picture)
                if last is None or not unchanged(last, now):
                    last, due = now, at + every_s
                    yield Still(round(at, 3), _jpeg(picture))
            # When a frame falls due is the next look, if that is sooner.
            look_at = min(at + LOOK_S, due) if due > at + _EPS_S else at + min(LOOK_S, every_s)
        reel.check_end()


def frame_at(film: Path | bytes, at: float) -> bytes:
    """The very bytes that `sample` made of the frame at that time. NotFound when there is none, ImageError."""
    for start in (max(0.0, at - _RUN_UP_S), 0.0):
        with _open(film, 1) as reel:
            # Seeking lands wrong in some films; then all is read from the beginning, as `sample` did.
            if start and not reel.seek(start):
                continue
            while (now := reel.advance()) is not None and now < at + _EPS_S:
                if abs(now - at) < _EPS_S and (picture := reel.picture()) is not None:
                    return _jpeg(picture)
    raise NotFound("frame", f"{at:.3f} s", hint="The film was changed since it was scanned.")


def film_facts(film: Path | bytes) -> FilmFacts:
    """Of a film that can be opened. ImageError."""
    with _open(film, 1) as reel:
        head = io.BytesIO(film) if isinstance(film, bytes) else film.open("rb")
        with head:
            return FilmFacts(reel.frames / reel.rate, reel.frames, _created_at(head))


def is_cut(before: Thumbnail, after: Thumbnail) -> bool:
    """Whether the scene changed between two looks: mean |difference| of the pictures."""
    return before.shape != after.shape or cv2.norm(before, after, cv2.NORM_L1) / before.size >= CUT


def _jpeg(picture: Image) -> bytes:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ImageError("undecodable", "a frame that can't be written as JPEG")
    return data.tobytes()


def _glance(picture: Image) -> Thumbnail:
    """One pixel of 64: as good as their mean for telling scenes apart, at a tenth of the cost; noise would show."""
    size = (max(1, picture.shape[1] // 8), max(1, picture.shape[0] // 8))
    few = cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.cvtColor(few, cv2.COLOR_BGR2GRAY), np.uint8)


def _thumbnail(picture: Image) -> Thumbnail:
    size = (max(1, picture.shape[1] // 8), max(1, picture.shape[0] // 8))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────


class _Reel:
    """An opened film, read frame by frame."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0.01 < rate < 1000 else _UNKNOWN_RATE
        self.frames = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self._read = 0
        self._at = -1.0
        self._pixels: Image | None = None

    def advance(self) -> float | None:
        """The time of the next frame, None at the end."""
        if not self._capture.grab():
            return None
        at = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        # Streams without times (raw ones) are counted.
        self._at = at if at > self._at else max(self._at + 1.0 / self.rate, self._read / self.rate)
        self._read += 1
        return self._at

    def picture(self) -> Image | None:
        """The frame just passed, BGR and upright, until the next one is asked for; None when it is damaged."""
        # One buffer for all: fresh memory for each costs as much as the conversion of colours.
        done, pixels = self._capture.retrieve(self._pixels)
        self._pixels = np.asarray(pixels, np.uint8) if done else None
        return self._pixels

    def seek(self, at: float) -> bool:
        """To a frame at or before `at`; whether it can be trusted."""
        self._capture.set(cv2.CAP_PROP_POS_MSEC, at * 1000.0)
        return self._capture.get(cv2.CAP_PROP_POS_MSEC) > 0

    def check_end(self) -> None:
        """ImageError when frames are missing. Containers count a few more than can be decoded."""
        if not self._read:
            raise ImageError("undecodable", "not one frame can be read")
        if self._read < 0.95 * self.frames - 2:
            said = self.frames / self.rate
            raise ImageError("truncated", f"it ends after {self._at:.1f} of {said:.1f} seconds")


@contextmanager
def _without_options_for_streams() -> Iterator[None]:
    """OpenCV reads them whenever it opens something: what makes a live stream prompt makes a film lose frames."""
    with _opening:
        options = os.environ.pop(_OPTIONS, None)
        try:
            yield
        finally:
            if options is not None:
                os.environ[_OPTIONS] = options


@contextmanager
def _open(film: Path | bytes, threads: int) -> Iterator[_Reel]:
    # OpenCV holds no reference to a stream: it must live as long as what reads it.
    stream = io.BytesIO(film) if isinstance(film, bytes) else None
    options = [cv2.CAP_PROP_N_THREADS, threads]
    try:
        with _without_options_for_streams():
            capture = cv2.VideoCapture(stream or os.fspath(film), cv2.CAP_FFMPEG, options)  # type: ignore[arg-type]
    except cv2.error as error:
        raise ImageError("undecodable", f"OpenCV can't open this film: {error.err}") from error
    try:
        if not capture.isOpened():
            raise ImageError("undecodable", "not a film that can be read")
        width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if width * height > LIMITS.max_pixels:
            raise ImageError("too-many-pixels", f"{width:.0f}×{height:.0f}, the most is {LIMITS.max_pixels} pixels")
        yield _Reel(capture)
    finally:
        capture.release()


def _created_at(file: io.BufferedIOBase | io.BufferedReader) -> float | None:
    """When an MP4 or QuickTime film says it was made: ISO 14496-12, the boxes moov, mvhd."""
    position, end, path = 0, file.seek(0, io.SEEK_END), [b"moov", b"mvhd"]
    for _ in range(10_000):
        file.seek(position)
        head = file.read(16)
        if position + 8 > end or len(head) < 8:
            return None
        size, kind = struct.unpack_from(">L4s", head)
        body = 8
        if size == 1 and len(head) == 16:
            size, body = struct.unpack_from(">Q", head, 8)[0], 16
        if kind == path[0]:
            position += body
            path.pop(0)
            if not path:
                return _mvhd_time(file, position)
        elif size < 8:
            return None
        else:
            position += size
    return None


def _mvhd_time(file: io.BufferedIOBase | io.BufferedReader, position: int) -> float | None:
    file.seek(position)
    data = file.read(12)
    if len(data) < 12:
        return None
    seconds: int = struct.unpack_from(">Q" if data[0] == 1 else ">L", data, 4)[0]
    # Many writers leave it 0, or count from 1970.
    return float(seconds - _MAC_EPOCH_S) if seconds > _MAC_EPOCH_S else None
