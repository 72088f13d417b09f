"""The SOURCES table: what `--source` can name.

A source is `name`, `name:argument` or, for streams, a URL. Its entry checks the argument (InvalidInput, before
anything is served) and returns an opener; only the opener touches the device.
"""

from collections.abc import Callable

from camera_node.camera import Opener
from camera_node.picture import Wanted
from camera_node.sources import auto, folder, opencv, pattern, picamera, stream
from shared.errors import InvalidInput, NotFound

Prepare = Callable[[str, Wanted], Opener]

SOURCES: dict[str, Prepare] = {
    "auto": auto.prepare,
    "opencv": opencv.prepare,
    "picamera": picamera.prepare,
    "stream": stream.prepare,
    "folder": folder.prepare,
    "pattern": pattern.prepare,
}


def prepare(spec: str, wanted: Wanted) -> Opener:
    """An opener for what the user wrote, e.g. `opencv:0`, `folder:clips?fps=5` or `rtsp://…`.

    InvalidInput when it names no source or its argument can't be right.
    """
    name = spec.split(":")[0].split("?")[0]
    if "://" in spec and name not in SOURCES:
        return stream.prepare(spec, wanted)
    if name not in SOURCES and name.startswith(("/", ".", "~")):
        raise InvalidInput(f"no source named {name!r}", hint=f"To replay it: folder:{name}")
    if name not in SOURCES:
        raise NotFound("source", name, SOURCES)
    return SOURCES[name](spec[len(name) :].removeprefix(":"), wanted)
