"""Makes parts of a picture unrecognisable before it leaves this machine: drawn regions, and things of chosen labels.

What is hidden is averaged away first and blurred after, for looks: a blur alone can be undone. Nothing else of the
original file is kept, since its EXIF data may hold a small copy of the whole picture, and where it was taken.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hub.deliveries import Redacted
from hub.protocols import Detector
from hub.triggers.region import Polygon, check_region
from hub.types import Image, Sample
from hub.vision import decode
from shared.errors import ModelError, NotFound
from shared.image import image_facts

CONFIDENCE = 0.15
"""Lower than where campaigns look: to hide too much costs less than to hide too little."""

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
        """The picture without what is to be hidden, or None where nothing of it is. The same at every call.

        ImageError for what can't be decoded, ModelError where it can't be known what must be hidden.
        """
        polygons = self._regions.get(sample.camera, ())
        if not polygons and not self._labels:
            return None
        image = decode(picture)
        boxes = self._boxes(sample, image)
        if not polygons and not boxes:
            return None
        hidden = image.copy()
        for box, _ in boxes:
            hide(hidden, _corners(_grown(box)))
        size = np.array([image.shape[1], image.shape[0]])
        for polygon in polygons:
            hide(hidden, np.asarray(polygon) * size)
        what = [f"{count} {label}" for label, count in sorted(Counter(label for _, label in boxes).items())]
        if polygons:
            what.append(f"{len(polygons)} region{'s' if len(polygons) > 1 else ''}")
        return Redacted(_encoded(hidden, image_facts(picture).format), ", ".join(what))

    def _boxes(self, sample: Sample, image: Image) -> list[tuple[NDArray[np.float64], str]]:
        """Boxes to hide, pixels of the image, and their labels; the same thing once per who found it elsewhere."""
        if not self._labels:
            return []
        detector = self._detector()
        if not self._labels.issubset(detector.labels):
            unknown = ", ".join(sorted(self._labels.difference(detector.labels)))
            raise ModelError(f"{detector.name} can't find what is to be redacted: {unknown}")
        (found,) = detector.detect([image])
        boxes = self._chosen(found, (1.0, 1.0), self._confidence)
        return boxes


def hide(image: Image, corners: NDArray[np.floating]) -> None:
    ...
