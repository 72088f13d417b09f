"""USB and other local cameras through OpenCV: `opencv:<index or device path>`.

A camera that makes JPEGs itself (MJPG) is passed through: OpenCV hands over its bytes undecoded.
"""

import logging
import os
import sys
import time
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from camera_node.camera import Opener
from camera_node.picture import Picture, Wanted
from shared import jpeg as jpeg_file
from shared.errors import CameraError, ImageError, InvalidInput

log = logging.getLogger(__name__)

DEFAULT_SIZE = (1280, 720)
SELECT_TIMEOUT_S = 3
MAX_TIMESTAMP_AGE_S = 2.0
_HUFFMAN_TABLE = 0xC4


def prepare(argument: str, wanted: Wanted) -> Opener:
    """argument: an index, a device path, or "" for the first device."""
    device = argument or "0"
    if not device.isdigit() and not device.startswith("/"):
        raise InvalidInput(
            f"opencv:{device} is neither an index nor a device path",
            hint="Write opencv:0, or opencv:/dev/v4l/by-id/… to name one camera for good.",
        )
    return lambda: OpenCVDevice(device, wanted)


class OpenCVDevice:
    """An open camera. device: an index or a path."""

    live = True

    def __init__(self, device: str, wanted: Wanted) -> None:
        # Read once by OpenCV; its own default of 10 s is longer than our readers wait.
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(SELECT_TIMEOUT_S))
        self._device = device
        self._capture = _open(device)
        self._configure(wanted)
        self.passes_through = self._try_passthrough()
        self.fps = _sane_fps(self._capture.get(cv2.CAP_PROP_FPS), wanted)
        log.info("camera %s: %s", device, self.describe())

    def describe(self) -> str:
        """One line for the log and for `camera-node check`."""
        width, height = (int(self._capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        how = "its own JPEGs, passed through" if self.passes_through else "pixels, encoded here"
        return f"{width}×{height}, {self.fps:g} fps, {how}"

    def grab(self) -> float:
        began = time.monotonic()
        fine = self._capture.grab()
        now = time.monotonic()
        if not fine and now - began > 0.9 * SELECT_TIMEOUT_S:
            raise CameraError("stalled", f"stalled: camera {self._device} sends nothing")
        if not fine:
            raise CameraError("no device", f"no device: camera {self._device} gives no pictures any more")
        taken = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        # V4L2 stamps its buffers with the monotonic clock; what other systems put there is not believed.
        return taken if 0 <= now - taken < MAX_TIMESTAMP_AGE_S else now

    def retrieve(self) -> Picture:
        fine, array = self._capture.retrieve()
        if not fine or array is None or array.size == 0:
            raise ImageError("undecodable", "OpenCV could not decode what the camera gave")
        if not self.passes_through:
            return array  # type: ignore[return-value]
        data = array.tobytes()
        if not data.startswith(b"\xff\xd8"):
            self._decode_instead()
            raise ImageError("wrong-type", "the camera promised JPEGs and gave something else")
        return with_huffman_tables(data)

    def close(self) -> None:
        self._capture.release()

    def _configure(self, wanted: Wanted) -> None:
        """Ask for MJPG first: other formats do not fit through USB at this size and rate."""
        ask = self._capture.set
        ask(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        ask(cv2.CAP_PROP_FRAME_WIDTH, wanted.width or DEFAULT_SIZE[0])
        ask(cv2.CAP_PROP_FRAME_HEIGHT, wanted.height or DEFAULT_SIZE[1])
        if wanted.fps:
            ask(cv2.CAP_PROP_FPS, wanted.fps)

    def _try_passthrough(self) -> bool:
        fourcc = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
        return fourcc in (b"MJPG", b"JPEG") and bool(self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0))

    def _decode_instead(self) -> None:
        log.warning("camera %s promised JPEGs and gives something else: decoding what it gives", self._device)
        self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 1)
        self.passes_through = False


def _open(device: str) -> cv2.VideoCapture:
    missing = CameraError("no device", f"no device: camera {device} is not there", hint=_HINT)
    path = f"/dev/video{device}" if device.isdigit() else device
    if sys.platform == "linux" and not Path(path).exists():
        raise missing
    backend = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
    capture = cv2.VideoCapture(int(device), backend) if device.isdigit() else cv2.VideoCapture(device, backend)
    if capture.isOpened():
        return capture
    capture.release()
    if sys.platform != "linux":
        raise missing
    if not os.access(path, os.R_OK | os.W_OK):
        message = f"no device: not allowed to open {path}"
        raise CameraError("no device", message, hint="Add this user to the group video.")
    raise CameraError("unavailable", f"unavailable: {path} can't be opened; it is in use, or no camera", hint=_HINT)


_HINT = "List cameras with: v4l2-ctl --list-devices"


def _sane_fps(reported: float, wanted: Wanted) -> float:
    return reported if 0 < reported <= 240 else wanted.fps or 30.0


def with_huffman_tables(jpeg: bytes) -> bytes:
    """A frame of motion JPEG as a JPEG file of its own: many cameras leave the standard tables out, and some pad.

    ImageError when its markers are damaged.
    """
    jpeg = jpeg.rstrip(b"\0")
    for marker, start, _ in jpeg_file.segments(jpeg):
        if marker == _HUFFMAN_TABLE:
            break
        if marker == jpeg_file.START_OF_SCAN:
            return jpeg[:start] + _standard_huffman_tables() + jpeg[start:]
    return jpeg


@cache
def _standard_huffman_tables() -> bytes:
    """The DHT segments of ITU-T T.81 annex K.3, taken from a JPEG that OpenCV writes with them."""
    _, jpeg = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8), [cv2.IMWRITE_JPEG_OPTIMIZE, 0])
    data = jpeg.tobytes()
    return b"".join(data[start:end] for marker, start, end in jpeg_file.segments(data) if marker == _HUFFMAN_TABLE)
