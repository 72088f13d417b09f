"""Settings of a node, each a flag of `camera-node serve` and an environment variable."""

import socket
import string
from dataclasses import dataclass

from camera_node.picture import Wanted
from shared.config import at_least, between, setting


def _is_name(name: str) -> str:
    fine = 0 < len(name) <= 64 and all(c in string.printable[:95] for c in name)
    return "" if fine else f"{name!r} is not a name: up to 64 printable ASCII characters"


def _is_turn(degrees: int) -> str:
    return "" if degrees in (0, 90, 180, 270) else f"{degrees} is none of 0, 90, 180, 270"


@dataclass(frozen=True)
class Settings:
    """What `camera-node serve` can be told."""

    source: str = setting(
        "auto",
        "CAMERA_SOURCE",
        "auto, opencv:<index or path>, picamera, folder:<path>[?fps=], pattern[?scene=], or a video URL",
        aliases=("STREAM_URL",),
    )
    host: str = setting("0.0.0.0", "CAMERA_HOST", "address to listen on")  # noqa: S104  a camera is there to be seen
    port: int = setting(5000, "CAMERA_PORT", "port to listen on; 0 picks a free one", check=between(0, 65535))
    name: str = setting(
        socket.gethostname(), "CAMERA_NAME", "what the camera calls itself; default: the machine", check=_is_name
    )
    width: int | None = setting(None, "CAMERA_WIDTH", "pixels asked of the device", check=between(16, 16384))
    height: int | None = setting(None, "CAMERA_HEIGHT", "pixels asked of the device", check=between(16, 16384))
    fps: float | None = setting(None, "CAMERA_FPS", "frames a second asked of it", check=between(0.01, 240))
    quality: int = setting(85, "CAMERA_QUALITY", "of JPEGs encoded here, 1 to 100", check=between(1, 100))
    rotate: int = setting(0, "CAMERA_ROTATE", "degrees clockwise: 0, 90, 180 or 270", check=_is_turn)
    idle_seconds: float = setting(
        10.0, "CAMERA_IDLE_SECONDS", "close the device after so long without requests", check=at_least(0)
    )
    token: str = setting("", "CAMERA_TOKEN", "what a request must carry, if anything", secret=True)

    @property
    def wanted(self) -> Wanted:
        """The part that is about pictures."""
        return Wanted(self.width, self.height, self.fps, self.quality, self.rotate)
