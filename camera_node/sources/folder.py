"""Replay: `folder:<path>`, images and videos in name order, over and over, at the speed of a clock.

JPEG files come out byte for byte. A picture rests on the screen for 1/fps (a second, unless `?fps=` says
otherwise), a video plays at its own speed. A file that can't be shown is named in the log and left out.
"""

import logging
from pathlib import Path

import cv2

from camera_node.camera import Opener
from camera_node.picture import Picture, Wanted, decode
from camera_node.sources import query
from camera_node.sources.pace import Pace
from shared.errors import CameraError, ImageError, InvalidInput
from shared.image import image_facts

log = logging.getLogger(__name__)

IMAGES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp"))
VIDEOS = frozenset((".mp4", ".m4v", ".avi", ".mkv", ".mov", ".webm", ".mjpeg", ".mpg", ".ts"))
MAX_FILES = 100_000


def prepare(argument: str, wanted: Wanted) -> Opener:
    """argument: a folder (searched to any depth) or one file, and `?fps=`."""
    path, options = query.split(argument, ("fps",))
    fps = query.number(options, "fps", least=0.01, most=240) or wanted.fps
    reel = Reel(_files(Path(path).expanduser()) if path else [], path)
    return lambda: Replay(reel, fps)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise InvalidInput(f"there is no folder or file {path}")
    found = []
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.suffix.lower() in IMAGES | VIDEOS:
            found.append(file)
        if len(found) > MAX_FILES:
            raise InvalidInput(f"{path} holds more than {MAX_FILES:,} images and videos", hint="Name a smaller one.")
    return sorted(found)


class Reel:
    """The files, and how far they have been played. Outlives a closed replay: time does not run backwards."""

    def __init__(self, files: list[Path], path: str) -> None:
        self.files = files
        self.path = path
        self.at = 0
        self.frame = 0
        if not files:
            endings = ", ".join(sorted(IMAGES | VIDEOS))
            raise InvalidInput(f"folder:{path} has nothing to show", hint=f"Shown are: {endings}")

    @property
    def file(self) -> Path:
        """The file being played. CameraError when none is left."""
        if not self.files:
            raise CameraError("no device", f"no device: nothing in {self.path} can be shown")
        return self.files[self.at % len(self.files)]

    def advance(self) -> None:
        """On to the next file, after the last to the first."""
        self.at, self.frame = (self.at + 1) % max(1, len(self.files)), 0

    def drop(self, reason: str) -> None:
        """Leave the current file out from now on."""
        log.warning("left out %s: %s", self.file, reason)
        del self.files[self.at % len(self.files)]
        self.frame = 0


class Replay:
    """A reel being played."""

    live = False

    def __init__(self, reel: Reel, fps: float | None) -> None:
        self._reel = reel
        self._wanted_fps = fps
        self._video: cv2.VideoCapture | None = None
        self._still: Picture | None = None
        self.fps = fps or 1.0
        self._pace = Pace()

    def grab(self) -> float:
        while not self._advance():
            pass  # ends: each turn plays, finishes or drops a file, and a reel without files raises
        return self._pace.wait(self.fps)

    def retrieve(self) -> Picture:
        if self._still is not None:
            return self._still
        fine, pixels = self._video.retrieve() if self._video else (False, None)
        if not fine or pixels is None:
            raise ImageError("undecodable", f"a frame of {self._reel.file} can't be decoded")
        return pixels  # type: ignore[return-value]

    def close(self) -> None:
        if self._video:
            self._video.release()
        self._video = None

    def _advance(self) -> bool:
        """Make the next picture the current one; False when the current file had none (left)."""
        file = self._reel.file
        self._still = None
        return self._next_frame(file) if file.suffix.lower() in VIDEOS else self._next_still(file)

    def _next_still(self, file: Path) -> bool:
        try:
            self._still = _read(file)
        except (ImageError, OSError) as error:
            self._reel.drop(str(error))
            return False
        self.fps = self._wanted_fps or 1.0
        self._reel.advance()
        return True

    def _next_frame(self, file: Path) -> bool:
        if self._video is None:
            self._video = cv2.VideoCapture(str(file), cv2.CAP_FFMPEG)
            if self._reel.frame:
                self._video.set(cv2.CAP_PROP_POS_FRAMES, self._reel.frame)
            own_fps = self._video.get(cv2.CAP_PROP_FPS)
            self.fps = self._wanted_fps or (own_fps if 0 < own_fps <= 240 else 25.0)
        if self._video.grab():
            self._reel.frame += 1
            return True
        self.close()
        if self._reel.frame:
            self._reel.advance()
        else:
            self._reel.drop("no video can be read from it")
        return False


def _read(file: Path) -> Picture:
    data = file.read_bytes()
    facts = image_facts(data)
    if not facts.complete:
        raise ImageError("truncated", "the file is cut off")
    return data if facts.format == "jpeg" else decode(data)
