"""From what a device gives to the JPEG we serve: untouched where possible, else scaled, turned and encoded."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.errors import ImageError
from shared.image import image_facts

Pixels = NDArray[np.uint8]
"""(height, width, 3) uint8, BGR as OpenCV has it."""

Picture = bytes | Pixels
"""JPEG bytes as the device made them, or pixels."""

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True)
class Wanted:
    """How pictures should be.

    width, height: asked of a device, and the most any picture has before it is turned. None leaves it to the
    source. fps: frames a second, None likewise. quality: of JPEGs we encode, 1..100. rotate: degrees clockwise.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    quality: int = 85
    rotate: int = 0


def to_jpeg(picture: Picture, wanted: Wanted) -> bytes:
    """The picture as a JPEG. Bytes that are as wanted already come back as they are. ImageError when damaged."""
    if isinstance(picture, bytes):
        facts = image_facts(picture)
        if facts.format != "jpeg":
            raise ImageError("wrong-type", f"the device gave a {facts.format} instead of a JPEG")
        if not facts.complete:
            raise ImageError("truncated", "the device gave half a JPEG")
        if not wanted.rotate and _scale(facts.width, facts.height, wanted) >= 1:
            return picture
        picture = decode(picture)
    return encode(picture, wanted)


def encode(pixels: Pixels, wanted: Wanted) -> bytes:
    """Pixels → scaled to fit, turned, JPEG."""
    height, width = pixels.shape[:2]
    scale = _scale(width, height, wanted)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if wanted.rotate:
        pixels = cv2.rotate(pixels, _TURNS[wanted.rotate])  # type: ignore[assignment]
    fine, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, wanted.quality])
    if not fine:
        raise ImageError("undecodable", f"a picture of shape {pixels.shape} can't be encoded")
    return jpeg.tobytes()


def decode(data: bytes) -> Pixels:
    """Pixels of a JPEG, PNG, BMP or WebP, upright. ImageError when they can't be had."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError("undecodable", f"can't be decoded: {error}") from None
    if pixels is None:
        raise ImageError("undecodable", "can't be decoded")
    return pixels  # type: ignore[return-value]


def _scale(width: int, height: int, wanted: Wanted) -> float:
    return min((wanted.width or width) / width, (wanted.height or height) / height)
