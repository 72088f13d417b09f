"""What is offered to campaigns: a picture, boxes in it, embeddings of one's own, and what one knows of it."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hub.client.pictures import PictureLike
from hub.collection.checks import check_camera, check_metadata, check_time
from hub.collection.values import BOXES, NAME
from hub.types import Detections
from shared.errors import AlreadyExists, InvalidInput, NotFound

MetadataValue = str | int | float | bool | None | Sequence[str | int | float | bool]

CAMERA = "collection-client"
"""The camera of frames of which nobody said by what they were taken."""

RESERVED = ("frame_id", "label_id")


@dataclass(frozen=True, eq=False)
class Embedding:
    """vector: (d,) unit float32. model_id: what its user calls the model, or ""."""

    vector: NDArray[np.float32]
    model_id: str = ""


@dataclass(frozen=True, eq=False)
class LabelBox:
    """A box and what is said of it. xyxy: pixels."""

    label_id: str
    classification: str
    xyxy: tuple[float, float, float, float]
    confidence: float
    user_attrs: Mapping[str, MetadataValue] = field(default_factory=dict)


class LabeledFrame:
    """A frame to be offered to campaigns.

    frame_id: your own name for it; offering a frame_id twice is offering it once. date_captured: when it was taken, as
    ISO text, datetime (UTC where it says no zone) or Unix seconds; by default now. device_id: what took it: the camera
    whose campaigns it may belong to.

    >>> frame = LabeledFrame(frame_id="drive-7/000132", device_id="front", date_captured="2026-05-01T12:00:00Z")
    >>> frame.add_image("drive-7/000132.jpg")
    >>> frame.add_label_2d_bbox(label_id="a", classification="truck", top=20, left=40, width=200, height=120)
    >>> frame.add_crop_embedding(label_id="a", embedding=[0.6, 0.8])
    >>> frame.add_user_metadata("weather", "rain")
    >>> frame
    LabeledFrame(frame_id='drive-7/000132', boxes=1)
    """

    def __init__(
        self, *, frame_id: str, date_captured: str | float | datetime | None = None, device_id: str | None = None
    ) -> None:
        if not isinstance(frame_id, str) or not 0 < len(frame_id) <= NAME or not frame_id.isprintable():
            raise InvalidInput(f"frame_id must be 1 to {NAME} printable characters, got {str(frame_id)[:40]!r}")
        self.frame_id = frame_id
        self.taken_at = time.time() if date_captured is None else unix_seconds(date_captured)
        self.camera = CAMERA
        self.image: PictureLike | None = None
        self.embedding: Embedding | None = None
        self.crop_embeddings: dict[str, Embedding] = {}
        self.boxes: dict[str, LabelBox] = {}
        self.user_metadata: dict[str, MetadataValue] = {}
        if device_id:
            self._set_camera(device_id)

    def __repr__(self) -> str:
        return f"LabeledFrame(frame_id={self.frame_id!r}, boxes={len(self.boxes)})"

    def add_user_metadata(self, key: str, val: MetadataValue) -> None:
        """Something you know of the frame; samples keep it. At most 16 KB of JSON in all."""
        if key in RESERVED:
            raise InvalidInput(f"metadata named {key!r} is the client's own", hint="Take another name.")
        wanted = {**self.user_metadata, str(key): val}
        check_metadata(wanted)
        self.user_metadata = wanted

    def add_image(
        self,
        image: PictureLike | None = None,
        *,
        image_url: str | None = None,
        sensor_id: str | None = None,
        date_captured: str | float | datetime | None = None,
    ) -> None:
        """The picture: a path, bytes, pixels ((height, width, 3) uint8, RGB) or an http(s) URL.

        It is read when it must be embedded, or else when the frame is saved; for many frames give paths rather than
        bytes. sensor_id, date_captured: as the frame's own device_id and date_captured, and in their place.
        """
        given = image if image is not None else image_url
        if given is None or (image is not None and image_url is not None):
            raise InvalidInput("a frame has one picture", hint="Give image or image_url.")
        if self.image is not None:
            raise AlreadyExists("picture of frame", self.frame_id, hint="A frame has one; make a frame for each.")
        if date_captured is not None:
            self.taken_at = unix_seconds(date_captured)
        if sensor_id:
            self._set_camera(sensor_id)
        self.image = given

    def add_frame_embedding(self, *, embedding: ArrayLike, model_id: str = "") -> None:
        """Your own embedding of the whole picture, (d,); any length but zero. model_id: of the model that made it."""
        self.embedding = Embedding(unit_vector(embedding, f"frame {self.frame_id!r}"), model_id)

    def add_label_2d_bbox(
        self,
        *,
        label_id: str,
        classification: str,
        top: float,
        left: float,
        width: float,
        height: float,
        confidence: float | None = None,
        user_attrs: Mapping[str, MetadataValue] | None = None,
        embedding: ArrayLike | None = None,
        model_id: str = "",
    ) -> None:
        """A box in pixels of the upright picture: what campaigns of crops look at in place of a detector's.

        confidence: in [0, 1], 1 by default. embedding: your own of the crop; or say it by `add_crop_embedding`.
        """
        if label_id in self.boxes:
            raise AlreadyExists(f"box in frame {self.frame_id!r}", label_id)
        if len(self.boxes) >= BOXES:
            raise InvalidInput(f"frame {self.frame_id!r} has {BOXES} boxes already, and that is the most")
        sure = 1.0 if confidence is None else float(confidence)
        numbers = [float(each) for each in (left, top, left + width, top + height)]
        if not all(map(math.isfinite, numbers)) or width <= 0 or height <= 0 or not 0.0 <= sure <= 1.0:
            raise InvalidInput(f"box {label_id!r} needs a width, a height and a confidence between 0 and 1")
        if not classification.isprintable() or len(classification) > NAME or not 0 < len(label_id) <= NAME:
            raise InvalidInput(f"box {label_id!r} needs an id and a class of at most {NAME} printable characters")
        attrs = dict(user_attrs or {})
        check_metadata(attrs)
        x1, y1, x2, y2 = numbers
        self.boxes[label_id] = LabelBox(label_id, classification, (x1, y1, x2, y2), sure, attrs)
        if embedding is not None:
            self.add_crop_embedding(label_id=label_id, embedding=embedding, model_id=model_id)

    def add_crop_embedding(self, *, label_id: str, embedding: ArrayLike, model_id: str = "") -> None:
        """Your own embedding of the crop of a box, (d,)."""
        if label_id not in self.boxes:
            raise NotFound(f"box in frame {self.frame_id!r}", label_id, self.boxes)
        vector = unit_vector(embedding, f"box {label_id!r} of frame {self.frame_id!r}")
        self.crop_embeddings[label_id] = Embedding(vector, model_id)

    @property
    def ordered_boxes(self) -> list[LabelBox]:
        """The most confident first: box i is row 1+i of the frame's elements."""
        return sorted(self.boxes.values(), key=lambda box: -box.confidence)

    @property
    def embeddings(self) -> list[Embedding]:
        """All that were given."""
        return [*([self.embedding] if self.embedding else []), *self.crop_embeddings.values()]

    def detections(self) -> Detections:
        """The boxes, best first."""
        boxes = self.ordered_boxes
        return Detections(
            np.array([box.xyxy for box in boxes], np.float32).reshape(-1, 4),
            np.array([box.confidence for box in boxes], np.float32),
            tuple(box.classification for box in boxes),
        )

    def metadata(self) -> dict[int, dict[str, object]]:
        """What is said of each row: of the frame, and beside that of the box."""
        of_frame: dict[str, object] = {**self.user_metadata, "frame_id": self.frame_id}
        rows = {
            1 + i: {**of_frame, **box.user_attrs, "label_id": box.label_id} for i, box in enumerate(self.ordered_boxes)
        }
        return {0: of_frame, **rows}

    def _set_camera(self, name: str) -> None:
        check_camera(name)
        self.camera = name


def unix_seconds(when: str | float | datetime) -> float:
    """A moment as Unix seconds; UTC where it says no zone. InvalidInput for what is none."""
    try:
        moment = datetime.fromisoformat(when) if isinstance(when, str) else when
        if isinstance(moment, datetime):
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        at = float(moment)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInput(f"{when!r} is no time", hint="Write it as 2026-05-01T12:00:00Z.") from error
    check_time(at)
    return at


def unit_vector(embedding: ArrayLike, of: str) -> NDArray[np.float32]:
    """(d,) unit float32. InvalidInput for what has no direction."""
    try:
        vector: NDArray[Any] = np.asarray(embedding, np.float64)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"the embedding of {of} is no list of numbers") from error
    if vector.ndim != 1 or not len(vector):
        raise InvalidInput(f"the embedding of {of} has shape {vector.shape}, and must have (d,)")
    largest = float(np.abs(vector).max())
    if not math.isfinite(largest) or largest == 0.0:
        raise InvalidInput(f"the embedding of {of} is zero or not finite")
    scaled = vector / largest  # so that no square is out of range
    return np.asarray(scaled / np.linalg.norm(scaled), np.float32)
