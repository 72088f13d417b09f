"""The Raspberry Pi's camera through picamera2: `picamera`, or `picamera:<number>`.

Up to the Pi 4 the hardware makes the JPEGs, as in the Picamera2 manual's MJPEG server. Where there is no such
hardware (Pi 5), frames stay in the camera's own buffers and only those that somebody wants are encoded,
straight from their YUV planes.
"""

import importlib
import importlib.util
import io
import logging
import threading
import time
from typing import Any

import cv2
import numpy as np

from camera_node.camera import Opener
from camera_node.picture import Picture, Wanted
from camera_node.sources.pace import Pace
from shared.errors import BowerbirdError, CameraError, InvalidInput

log = logging.getLogger(__name__)

DEFAULT_SIZE = (1280, 720)
DEFAULT_FPS = 30.0
GRAB_TIMEOUT_S = 4.0
INSTALL = (
    "On Raspberry Pi OS: sudo apt install -y python3-picamera2, and let the virtual environment see it: "
    "python3 -m venv --system-site-packages .venv"
)


def prepare(argument: str, wanted: Wanted) -> Opener:
    """argument: number of the camera, "" for the first."""
    if argument and not argument.isdigit():
        raise InvalidInput(f"picamera:{argument} is not a number", hint="Write picamera, or picamera:1 for the second.")
    modules = _import()
    return lambda: open_camera(modules, int(argument or 0), wanted)


def is_installed() -> bool:
    """Whether picamera2 can be imported at all."""
    return importlib.util.find_spec("picamera2") is not None


class _Modules:
    """picamera2 and libcamera, which exist on a Raspberry Pi only."""

    def __init__(self) -> None:
        self.picamera2: Any = importlib.import_module("picamera2")
        self.encoders: Any = importlib.import_module("picamera2.encoders")
        self.outputs: Any = importlib.import_module("picamera2.outputs")
        self.libcamera: Any = importlib.import_module("libcamera")

    @property
    def has_hardware_encoder(self) -> bool:
        """Without the hardware, picamera2's MJPEGEncoder is a software encoder of the same name."""
        return any(base.__name__ == "V4L2Encoder" for base in self.encoders.MJPEGEncoder.__mro__)


def _import() -> _Modules:
    try:
        return _Modules()
    except (ImportError, OSError) as error:
        raise BowerbirdError(f"picamera2 can't be used: {error}", hint=INSTALL) from None


def open_camera(modules: _Modules, number: int, wanted: Wanted) -> "EncodedByHardware | EncodedOnDemand":
    """CameraError when there is no camera, or another program has it."""
    if len(modules.picamera2.Picamera2.global_camera_info()) <= number:
        raise CameraError("no device", f"no device: libcamera finds no camera {number}", hint="Check its cable.")
    try:
        camera = modules.picamera2.Picamera2(number)
    except RuntimeError as error:
        raise CameraError("unavailable", f"unavailable: camera {number} {_why(error)}") from error
    try:
        _configure(modules, camera, wanted)
        if modules.has_hardware_encoder:
            return EncodedByHardware(modules, camera, wanted)
        return EncodedOnDemand(camera, wanted)
    except BaseException:
        camera.close()
        raise


def _why(error: BaseException) -> str:
    """What picamera2's error comes from; its own words are the same for all causes."""
    while error.__cause__:
        error = error.__cause__
    return "is in use (busy)" if "busy" in str(error).lower() else f"can't be opened: {error}"


def _configure(modules: _Modules, camera: Any, wanted: Wanted) -> None:
    size = wanted.width or DEFAULT_SIZE[0], wanted.height or DEFAULT_SIZE[1]
    configuration = camera.create_video_configuration(
        main={"size": size, "format": "YUV420"},
        # Full range, as a JPEG has it; the default for video looks washed out in one.
        colour_space=modules.libcamera.ColorSpace.Sycc(),
        controls={"FrameRate": wanted.fps or DEFAULT_FPS} if "FrameDurationLimits" in camera.camera_controls else {},
    )
    camera.configure(configuration)
    camera.options["quality"] = wanted.quality


class EncodedByHardware:
    """Each frame is a JPEG already."""

    live = True

    def __init__(self, modules: _Modules, camera: Any, wanted: Wanted) -> None:
        self._camera = camera
        self._newest = _Newest()
        self.fps = wanted.fps or DEFAULT_FPS
        quality = modules.encoders.Quality
        steps = ((50, quality.LOW), (75, quality.MEDIUM), (90, quality.HIGH))
        step = next((step for limit, step in steps if wanted.quality <= limit), quality.VERY_HIGH)
        camera.start_recording(modules.encoders.MJPEGEncoder(), modules.outputs.FileOutput(self._newest), quality=step)

    def grab(self) -> float:
        return self._newest.wait()

    def retrieve(self) -> Picture:
        return self._newest.jpeg

    def close(self) -> None:
        self._camera.stop_recording()
        self._camera.close()


class _Newest(io.BufferedIOBase):
    """What the encoder writes to: keeps the newest frame."""

    def __init__(self) -> None:
        self.jpeg = b""
        self._count = self._seen = 0
        self._written = threading.Condition()

    def write(self, data: Any) -> int:
        with self._written:
            self.jpeg = bytes(data)
            self._count += 1
            self._written.notify_all()
        return len(self.jpeg)

    def wait(self) -> float:
        """Until there is a frame not waited for yet."""
        with self._written:
            if not self._written.wait_for(lambda: self._count > self._seen, GRAB_TIMEOUT_S):
                raise CameraError("stalled", "stalled: the camera gives no pictures")
            self._seen = self._count
            return time.monotonic()


class EncodedOnDemand:
    """Holds the request (libcamera's frame buffers) last grabbed."""

    live = True

    def __init__(self, camera: Any, wanted: Wanted) -> None:
        self._camera = camera
        self._request: Any = None
        self.fps = wanted.fps or DEFAULT_FPS
        self._pace = Pace()
        camera.start()

    def grab(self) -> float:
        self._release()
        # A little faster than the camera, so that only one without a rate of its own is held back.
        self._pace.wait(self.fps * 1.25)
        try:
            self._request = self._camera.capture_request(wait=GRAB_TIMEOUT_S)
        except TimeoutError:
            raise CameraError("stalled", "stalled: the camera gives no pictures") from None
        return _taken(self._request.get_metadata())

    def retrieve(self) -> Picture:
        kind = self._request.config["main"]["format"]
        if kind in ("NV12", "NV21"):  # cameras that are no Pi's may insist on these
            code = cv2.COLOR_YUV2BGR_NV12 if kind == "NV12" else cv2.COLOR_YUV2BGR_NV21
            return np.asarray(cv2.cvtColor(self._request.make_array("main"), code), np.uint8)
        buffer = io.BytesIO()
        self._request.save("main", buffer, format="jpeg")
        return buffer.getvalue()

    def close(self) -> None:
        self._release()
        self._camera.cancel_all_and_flush()  # `stop` would wait for ever behind a capture that no picture ends
        self._camera.stop()
        self._camera.close()

    def _release(self) -> None:
        if self._request is not None:
            self._request.release()
            self._request = None


def _taken(metadata: dict[str, Any]) -> float:
    """Monotonic time of exposure: the sensor's stamp counts from boot, sleep included."""
    now = time.monotonic()
    if stamp_ns := metadata.get("SensorTimestamp"):
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - stamp_ns / 1e9
        return now - age_s if 0 <= age_s < 2 else now
    return now
