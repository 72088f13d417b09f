"""Network cameras and video URLs through OpenCV's FFmpeg: `rtsp://…`, `rtmp://…`, `http://…`."""

import importlib
import importlib.util
import logging
import os
import time
from typing import Any
from urllib.parse import urlsplit

import cv2

from camera_node.camera import Opener
from camera_node.picture import Picture, Wanted
from camera_node.sources.pace import Pace
from shared.errors import CameraError, ImageError, InvalidInput
from shared.log import redact

log = logging.getLogger(__name__)

OPEN_TIMEOUT_MS = 10_000
READ_TIMEOUT_MS = 4_000
SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "srt")
PAGE_HOSTS = ("youtube.com", "youtu.be", "twitch.tv", "vimeo.com", "dailymotion.com")
LOW_LATENCY = "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay"
"""TCP, because over UDP a lost packet smears the picture for seconds."""


def prepare(argument: str, wanted: Wanted) -> Opener:
    """argument: the URL."""
    parts = urlsplit(argument)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise InvalidInput(f"{redact(argument)!r} is no video URL", hint=f"It begins with {', '.join(SCHEMES[:6])}.")
    if _is_page(parts.hostname):
        if importlib.util.find_spec("yt_dlp") is None:
            raise InvalidInput(
                f"{parts.hostname} has pages, not video URLs; yt-dlp finds the video behind one",
                hint="Install it: pip install yt-dlp",
            )
        return lambda: Stream(resolve_page(argument), wanted)
    return lambda: Stream(argument, wanted)


class Stream:
    """An open stream; or a video file behind a URL, which is played at its own speed."""

    live = True

    def __init__(self, url: str, wanted: Wanted) -> None:
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", LOW_LATENCY)
        timeouts = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS,
            cv2.CAP_PROP_N_THREADS, 1,  # several decode a frame each, and so hold that many back
        ]  # fmt: skip
        self._name = redact(url)
        self._capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)
        if not self._capture.isOpened():
            self._capture.release()
            raise CameraError("no device", f"no device: the stream {self._name} does not answer with video")
        reported = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = reported if 0 < reported <= 240 else wanted.fps or 30.0
        is_file = self._capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        self._pace = Pace() if is_file else None
        self.fps = wanted.fps if is_file and wanted.fps else self.fps

    def grab(self) -> float:
        if self._pace:
            self._pace.wait(self.fps)
        began = time.monotonic()
        fine = self._capture.grab()
        now = time.monotonic()
        if now - began > 0.9 * READ_TIMEOUT_MS / 1000:
            # Even where there is a picture: it is an old one, which FFmpeg still had after its time-out.
            raise CameraError("stalled", f"stalled: the stream {self._name} sends nothing")
        if not fine:
            raise CameraError("no device", f"no device: the stream {self._name} ended or broke off")
        return now

    def retrieve(self) -> Picture:
        fine, pixels = self._capture.retrieve()
        if not fine:
            raise ImageError("undecodable", "FFmpeg could not decode a frame")
        return pixels  # type: ignore[return-value]

    def close(self) -> None:
        self._capture.release()


def _is_page(host: str) -> bool:
    return any(host == page or host.endswith(f".{page}") for page in PAGE_HOSTS)


def resolve_page(url: str) -> str:
    """The video URL behind a page, found by yt-dlp. CameraError when there is none."""
    yt_dlp: Any = importlib.import_module("yt_dlp")
    options = {"quiet": True, "no_warnings": True, "format": "best[height<=1080]/best", "socket_timeout": 10}
    try:
        with yt_dlp.YoutubeDL(options) as downloader:
            return str(downloader.extract_info(url, download=False)["url"])
    except (yt_dlp.utils.YoutubeDLError, KeyError, TypeError) as error:
        raise CameraError("no device", f"no device: yt-dlp found no video at {url}: {error}") from None
