"""Makes parts of a picture unrecognisable before it leaves this machine: drawn regions, and things of chosen labels.

What is hidden is averaged away first and blurred after, for looks: a blur alone can be undone. Nothing else of the
original file is kept, since its EXIF data may hold a small copy of the whole picture, and where it was taken.

A region is certain. A label is as good as its detector: of the people labelled in 128 pictures of COCO, YOLO11n hid
97 % of the large ones, 89 % of the medium ones and 54 % of those below 32×32 pixels. None of these was found again.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hub.deliveries import Redacted
from hub.protocols import Detector
from hub.triggers.region import Polygon, check_region
from hub.types import Image, Sample
from hub.vision import decode
from shared.errors import ImageError, InvalidInput, ModelError, NotFound
from shared.image import image_facts

CONFIDENCE = 0.1
"""As low as detectors are asked: to hide too much costs less than to hide too little."""

MARGIN = 0.1
"""How far beyond its box a thing is hidden, as a share of the box's width and height."""

BLOCKS = 8
LEAST_BLOCK = 16
"""At most so many blocks of even colour along the longer side of what is hidden, none of fewer pixels than that."""

SAME_IOU = 0.5
"""Boxes of a label that overlap more are one thing, found twice."""

JPEG_QUALITY = 92

Regions = Mapping[str, Sequence[Polygon]]
"""Polygons by camera."""

_Found = tuple[str, NDArray[np.float64]]
"""A label and its box, xyxy."""

_HINT = "Write them as: porch:0,0 0.3,0 0.3,1 0,1; gate:0.5,0.5 1,1 (two corners are a rectangle)."


class Redactor:
    """Hides regions of cameras, and everything with one of `labels`, in the whole picture.

    detector: asked for at each picture, where there are labels. confidence: of a detection that is hidden. What the
    sample's own detections name is hidden too, whatever its confidence.
    """

    def __init__(
        self,
        regions: Regions,
        labels: Sequence[str],
        detector: Callable[[], Detector],
        confidence: float = CONFIDENCE,
    ) -> None:
        for polygons in regions.values():
            for polygon in polygons:
                check_region(polygon)
        self._regions = regions
        self._labels = frozenset(labels)
        self._detector = detector
        self._confidence = confidence

    def check(self) -> None:
        """NotFound for a label that the detector does not know: it would never be hidden. ModelError as for a call."""
        if self._labels:
            detector = self._detector()
            for label in sorted(self._labels.difference(detector.labels)):
                raise NotFound(f"label of {detector.name}", label, detector.labels)

    def __call__(self, sample: Sample, picture: bytes) -> Redacted | None:
        """The picture without what is to be hidden, upright, or None where nothing of it is. The same at every call.

        ImageError for what can't be decoded, ModelError where it can't be known what must be hidden.
        """
        polygons = self._regions.get(sample.camera, ())
        if not polygons and not self._labels:
            return None
        image = decode(picture)
        found = self._found(sample, image)
        if not polygons and not found:
            return None
        hidden = image.copy()
        for _, box in found:
            hide(hidden, _corners(box))
        for polygon in polygons:
            hide(hidden, np.multiply(polygon, (image.shape[1], image.shape[0])))
        return Redacted(_encoded(hidden, image_facts(picture).format), _told(found, len(polygons)))

    def _found(self, sample: Sample, image: Image) -> list[_Found]:
        """What is to be hidden, in pixels of the image."""
        if not self._labels:
            return []
        detector = self._detector()
        if unknown := self._labels.difference(detector.labels):
            raise ModelError(f"{detector.name} can't find what is to be redacted: {', '.join(sorted(unknown))}")
        (seen,) = detector.detect([image])
        # Its campaign may have gone without a detector, or had a better one: both are looked at.
        stored = sample.detections
        scale = np.array([image.shape[1], image.shape[0]] * 2) / np.array([*sample.size_wh] * 2)
        return [
            *(
                (label, seen.xyxy[i].astype(np.float64))
                for i, label in enumerate(seen.label)
                if label in self._labels and seen.confidence[i] >= self._confidence
            ),
            *((label, stored.xyxy[i] * scale) for i, label in enumerate(stored.label) if label in self._labels),
        ]


def hide(image: Image, corners: NDArray[np.floating[Any]]) -> None:
    """Make what is inside a polygon, (n, 2) x and y in pixels, unrecognisable, in place."""
    height, width = image.shape[:2]
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (width - 1, height - 1))
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int), low + 1, (width, height))
    part = image[low[1] : high[1], low[0] : high[0]]
    inside = np.zeros(part.shape[:2], np.uint8)
    outline = np.rint(corners - low).astype(np.int32)[None]
    cv2.fillPoly(inside, outline, 1)
    cv2.polylines(inside, outline, isClosed=True, color=1, thickness=3)  # pixels that the outline cuts, too
    part[inside > 0] = _averaged(part)[inside > 0]


def _averaged(part: Image) -> Image:
    """Blocks of even colour, their edges smoothed."""
    height, width = part.shape[:2]
    block = max(LEAST_BLOCK, math.ceil(max(height, width) / BLOCKS))
    columns, rows = max(1, width // block), max(1, height // block)
    even = cv2.resize(
        cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA),
        (width, height),
        interpolation=cv2.INTER_NEAREST,
    )
    odd = block // 2 * 2 + 1
    return np.asarray(cv2.GaussianBlur(even, (odd, odd), 0), np.uint8)


def _corners(xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those of a box with a margin around it, (4, 2)."""
    low, high = xyxy[:2], xyxy[2:]
    margin = (high - low) * MARGIN + 2.0
    (x1, y1), (x2, y2) = low - margin, high + margin
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])


def _told(found: Sequence[_Found], regions: int) -> str:
    """ "2 person, 1 region". A thing that both detectors found counts once."""
    distinct: list[_Found] = []
    for label, box in found:
        if not any(label == other and _iou(box, known) > SAME_IOU for other, known in distinct):
            distinct.append((label, box))
    counts = sorted(Counter(label for label, _ in distinct).items())
    counts += [("region" if regions == 1 else "regions", regions)] if regions else []
    return ", ".join(f"{count} {name}" for name, count in counts)


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Intersection over union of two boxes."""
    overlap = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0.0, None).prod()
    union = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - overlap
    return float(overlap / union) if union > 0 else 0.0


def _encoded(image: Image, form: str) -> bytes:
    """A PNG as a PNG, everything else as a JPEG; pixels and nothing else."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    if form == "png":
        written, data = cv2.imencode(".png", bgr)
    else:
        written, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not written:
        raise ImageError("undecodable", "the redacted picture can't be encoded")
    return data.tobytes()


def parse_regions(text: str) -> dict[str, tuple[Polygon, ...]]:
    """Polygons by camera: "porch:0,0 0.3,0 0.3,1 0,1; gate:0.5,0.5 1,1". Two corners are a rectangle; a camera may be
    named more than once. InvalidInput, naming the part that can't be read."""
    regions: dict[str, tuple[Polygon, ...]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        camera, colon, corners = (piece.strip() for piece in part.rpartition(":"))
        if not colon or not camera:
            raise InvalidInput(f"{part!r} names no camera", hint=_HINT)
        regions[camera] = (*regions.get(camera, ()), _polygon(part, corners))
    return regions


def _polygon(part: str, text: str) -> Polygon:
    try:
        corners = tuple((float(x), float(y)) for x, y in (corner.split(",") for corner in text.split()))
    except ValueError:
        raise InvalidInput(f"{part!r} is no region", hint=_HINT) from None
    if len(corners) == 2:
        (x1, y1), (x2, y2) = corners
        corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
    try:
        check_region(corners)
    except InvalidInput as error:
        raise InvalidInput(f"{part!r}: {error.message}", hint=_HINT) from None
    return corners
