"""From bytes to pixels and from pixels to what a model wants: decode with limits, compare, letterbox, crop.

Pure functions over arrays. Everywhere an image is (height, width, 3) uint8, RGB, upright.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hub.types import Image
from shared.errors import ImageError
from shared.image import ImageFacts, image_facts

Thumbnail = NDArray[np.uint8]
"""(height / 8, width / 8) uint8 luminance, as stored (not turned upright)."""


@dataclass(frozen=True)
class DecodeLimits:
    """What is refused before any pixel is allocated. max_bytes: of the file. max_pixels: width × height."""

    max_bytes: int = 32 * 2**20
    max_pixels: int = 50_000_000


LIMITS = DecodeLimits()

_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))
"""What a JPEG is divided by as it is decoded, and how OpenCV is told so."""

UNCHANGED_TOLERANCE = 4.0
"""Grey levels. Measured: JPEG (quality 50 to 95) and sensor noise (σ up to 10) reach 3, a 16×16 px object that
differs by 10 levels from its ground reaches 5."""


def decode(data: bytes, limits: DecodeLimits = LIMITS) -> Image:
    """The picture in `data`: RGB, turned upright by its EXIF, transparency laid on white, 16 bits cut to 8.

    ImageError: too-large, too-many-pixels, truncated, animated, undecodable, not-an-image, wrong-type.
    """
    facts = _accepted(data, limits)
    if facts.format in ("jpeg", "bmp"):
        # Colour conversion (CMYK included) is the decoder's; a BMP's fourth channel means nothing.
        pixels = _read(data, facts, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    else:
        pixels = _as_rgb(_read(data, facts, cv2.IMREAD_UNCHANGED))
    return _upright(pixels, facts.orientation)


def thumbnail(data: bytes, limits: DecodeLimits = LIMITS) -> Thumbnail:
    """Luminance at an eighth of the size, for `unchanged`. A JPEG's is read off its DC terms, so it is cheap.

    ImageError as for `decode`.
    """
    facts = _accepted(data, limits)
    grey = cv2.IMREAD_REDUCED_GRAYSCALE_8 if min(facts.width, facts.height) >= 8 else cv2.IMREAD_GRAYSCALE
    return _read(data, facts, grey | cv2.IMREAD_IGNORE_ORIENTATION)


def reduced(data: bytes, longest: int, limits: DecodeLimits = LIMITS) -> Image:
    """The picture as `decode` gives it, or smaller: its longest side is at most `longest` pixels.

    A JPEG is decoded at a half, a quarter or an eighth of its size where that is as large, which costs a fraction.
    ImageError as for `decode`.
    """
    facts = _accepted(data, limits)
    share = max(facts.width, facts.height) / max(1, longest)
    if facts.format == "jpeg" and min(facts.width, facts.height) >= 8:
        flags = next((flags for by, flags in _REDUCED if share >= by), cv2.IMREAD_COLOR)
        pixels = _read(data, facts, flags | cv2.IMREAD_IGNORE_ORIENTATION)
        image = _upright(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8), facts.orientation)
    else:
        image = decode(data, limits)
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_LINEAR if scale > 0.5 else cv2.INTER_AREA  # the other is dear, and shows no more
    return np.asarray(cv2.resize(image, size_wh, interpolation=how), np.uint8)


def encode(image: Image, quality: int) -> bytes:
    """A JPEG of RGB pixels. quality: 1 to 100."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ImageError("undecodable", f"OpenCV can't make a JPEG of {image.shape[1]}×{image.shape[0]} pixels")
    return data.tobytes()


def unchanged(before: Thumbnail, after: Thumbnail, tolerance: float = UNCHANGED_TOLERANCE) -> bool:
    """Whether two thumbnails of one camera show the same: max |difference| after 3×3 smoothing ≤ tolerance.

    Compare with the last frame that was processed, not the last one polled, so that slow drift adds up.
    """
    if before.shape != after.shape:
        return False
    difference = cv2.subtract(before, after, dtype=cv2.CV_16S)
    return float(cv2.norm(cv2.GaussianBlur(difference, (3, 3), 0), cv2.NORM_INF)) <= tolerance


@dataclass(frozen=True)
class Placement:
    """Where an image went in a letterbox: model pixel = image pixel · scale + (dx, dy). size_wh: after scaling."""

    scale: float
    dx: int
    dy: int
    size_wh: tuple[int, int]

    def to_image(self, xyxy: NDArray[np.float32], size_wh: tuple[int, int]) -> NDArray[np.float32]:
        """Boxes (n, 4) in model pixels, as pixels of the image of `size_wh`, clipped to it."""
        offset = np.array([self.dx, self.dy, self.dx, self.dy], np.float32)
        boxes = (xyxy - offset) / np.float32(self.scale)
        bounds = np.array([*size_wh, *size_wh], np.float32)
        return np.clip(boxes, 0, bounds, out=boxes)


def place(size_wh: tuple[int, int], into_hw: tuple[int, int], *, centre: bool) -> Placement:
    """How an image is fitted whole into (height, width), aspect ratio kept, in the middle or at the top left.

    Rounding is the models' own: Ultralytics (centre) rounds the size to nearest and halves of the border down,
    YOLOX (top left) cuts the size off. Formulas: ultralytics LetterBox, yolox.data.data_augment.preproc.
    """
    (width, height), (rows, columns) = size_wh, into_hw
    scale = min(rows / height, columns / width)
    fit = round if centre else int
    w, h = max(1, fit(width * scale)), max(1, fit(height * scale))
    if not centre:
        return Placement(scale, 0, 0, (w, h))
    return Placement(scale, round((columns - w) / 2 - 0.1), round((rows - h) / 2 - 0.1), (w, h))


def letterbox(
    image: Image, into_hw: tuple[int, int], *, centre: bool, pad: int = 114
) -> tuple[Image, float, tuple[int, int]]:
    """`image` scaled into (height, width) with a border of `pad`. Returns the array, the scale and (dx, dy)."""
    at = place((image.shape[1], image.shape[0]), into_hw, centre=centre)
    canvas = np.full((*into_hw, 3), pad, np.uint8)
    w, h = at.size_wh
    canvas[at.dy : at.dy + h, at.dx : at.dx + w] = resize(image, at.size_wh)
    return canvas, at.scale, (at.dx, at.dy)


def resize(image: Image, size_wh: tuple[int, int]) -> Image:
    """Bilinear, as the detectors were trained with."""
    if (image.shape[1], image.shape[0]) == size_wh:
        return image
    return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)


def crop(image: Image, xyxy: NDArray[np.floating] | tuple[float, ...], margin: float = 0.0) -> Image:
    """The part of `image` in the box, cut to it and at least one pixel; a view, not a copy.

    xyxy: pixels, partly touched ones are included. margin: added on every side, as a share of the box's size.
    """
    x1, y1, x2, y2 = (float(v) for v in xyxy)
    height, width = image.shape[:2]
    left, right = _span(x1, x2, margin, width)
    top, bottom = _span(y1, y2, margin, height)
    return image[top:bottom, left:right]


def _span(low: float, high: float, margin: float, length: int) -> tuple[int, int]:
    low, high = sorted((low, high))
    border = (high - low) * margin
    first = int(np.clip(np.floor(low - border), 0, length - 1))
    last = int(np.clip(np.ceil(high + border), first + 1, length))
    return first, last


def _accepted(data: bytes, limits: DecodeLimits) -> ImageFacts:
    """The facts of a picture within the limits."""
    if len(data) > limits.max_bytes:
        raise ImageError("too-large", f"{len(data)} bytes, the most is {limits.max_bytes}")
    facts = image_facts(data)
    if facts.width * facts.height > limits.max_pixels:
        raise ImageError(
            "too-many-pixels",
            f"the header says {facts.width}×{facts.height}, the most is {limits.max_pixels} pixels",
        )
    if facts.animated:
        raise ImageError("animated", f"an animated {facts.format}", hint="Use a single picture.")
    if not facts.complete:
        raise ImageError("truncated", f"{len(data)} bytes of {facts.format} and no end of image")
    return facts


def _read(data: bytes, facts: ImageFacts, flags: int) -> Image:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError("undecodable", f"OpenCV can't decode this {facts.format}: {error.err}") from error
    if pixels is None:
        raise ImageError("undecodable", f"the {facts.format} data behind the header is damaged")
    return pixels  # type: ignore[return-value]  # (uint16 too; `_as_rgb` sees to it)


def _as_rgb(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Image:
    """Grey, BGR or BGRA of 8 or 16 bits as RGB, transparency laid on white."""
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=1 / 257)  # type: ignore[assignment]
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)
    if pixels.shape[2] == 3:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
    rgba = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA), np.uint16)
    alpha = rgba[..., 3:]
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _upright(image: Image, orientation: int) -> Image:
    """Undo an EXIF orientation 1…8 (CIPA DC-008, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        image = cv2.transpose(image)  # type: ignore[assignment]
    flips = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
    return np.asarray(cv2.flip(image, flips[orientation]), np.uint8) if orientation in flips else image
