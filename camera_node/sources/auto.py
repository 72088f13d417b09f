"""`auto`: the Pi's camera when there is one, else the first local camera that gives pictures."""

import fcntl
import re
import sys
from pathlib import Path

from camera_node.camera import Opener, Source
from camera_node.picture import Wanted
from camera_node.sources import opencv, picamera
from shared.errors import BowerbirdError, CameraError, InvalidInput

_QUERYCAP = 0x80685600
_VIDEO_CAPTURE, _DEVICE_CAPS_AT = 0x1, 88
_NO_CAMERAS = ("bcm2835-isp", "bcm2835-codec", "unicam", "rp1-cfe", "pispbe", "rpi-hevc-dec", "rpivid")
"""Drivers of the Pi that offer capture nodes which OpenCV can make nothing of."""


def prepare(argument: str, wanted: Wanted) -> Opener:
    if argument:
        raise InvalidInput(f"auto takes no argument, got {argument!r}")
    return lambda: _first_that_works(wanted)


def _first_that_works(wanted: Wanted) -> Source:
    tried: list[str] = []
    openers = [opencv.prepare(device, wanted) for device in local_cameras()]
    if picamera.is_installed():
        try:
            openers.insert(0, picamera.prepare("", wanted))
        except BowerbirdError as error:
            tried.append(error.message)
    for opener in openers:
        try:
            return _working(opener)
        except CameraError as error:
            tried.append(error.message.removeprefix("no device: "))
    found = "; ".join(tried) if tried else "neither a Pi camera nor a USB camera is attached"
    raise CameraError("no device", f"no device: {found}", hint="Attach one, or name a source with --source.")


def _working(opener: Opener) -> Source:
    """An opened source that has given a picture; CameraError where there is none."""
    source = opener()
    try:
        source.grab()
    except CameraError:
        source.close()
        raise
    return source


def local_cameras() -> list[str]:
    """What OpenCV may find a camera behind, best guess first: device paths on Linux, else indices."""
    if sys.platform != "linux":
        return ["0", "1", "2"]
    nodes = sorted(Path("/dev").glob("video*"), key=lambda node: int(re.sub(r"\D", "", node.name) or 0))
    return [str(node) for node in nodes if _captures(node)]


def _captures(node: Path) -> bool:
    """Whether the driver says that pictures come out of this node (V4L2's VIDIOC_QUERYCAP)."""
    answer = bytearray(104)
    try:
        with node.open("rb", buffering=0) as device:
            fcntl.ioctl(device, _QUERYCAP, answer)
    except OSError:
        return False
    driver = bytes(answer[:16]).split(b"\0")[0].decode("ascii", "replace")
    capabilities = int.from_bytes(answer[_DEVICE_CAPS_AT : _DEVICE_CAPS_AT + 4], "little")
    return bool(capabilities & _VIDEO_CAPTURE) and driver not in _NO_CAMERAS
