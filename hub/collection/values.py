"""What goes between a client and a hub, and the limits of it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hub.types import Detections, Needs, Score, Vectors, Version

PICTURES = 16
"""Pictures in one request."""

BOXES = 100
"""Boxes of one picture."""

PICTURE_BYTES = 32 * 2**20
REQUEST_BYTES = 64 * 2**20
"""Of all pictures in one request, and what is said of them."""

MARKS = 5_000
"""Processed frames in one request."""

CAMPAIGNS = 200
METADATA_BYTES = 16 * 2**10
"""Of a frame's or a box's metadata, as JSON."""

NAME = 200
CAMERA_NAME = 100


@dataclass(frozen=True)
class EmbedderName:
    """An embedding version, and what its embedder is called; "" where that was never recorded."""

    version: str
    name: str
    dim: int


@dataclass(frozen=True, eq=False)
class State:
    """Campaigns as they stood at one moment. embedders: of their embedding versions."""

    versions: Sequence[Version]
    embedders: Sequence[EmbedderName]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture to be looked at. data: JPEG or PNG. xyxy: (n, 4) float32 pixels, boxes to embed in place of what a
    detector finds; None to ask the detector, where `needs` wants one."""

    data: bytes = field(repr=False)
    xyxy: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Looked:
    """What was seen in a picture. vectors: as in `Observation`; of given boxes a row each."""

    size_wh: tuple[int, int]
    detections: Detections
    vectors: Vectors
    embedding_version: str
    detector: str = ""


@dataclass(frozen=True)
class Taken:
    """A frame that a campaign took. campaign_id, number: its version. score.row: 0 the frame, 1+i detection i."""

    campaign_id: int
    number: int
    score: Score
    reason: str


@dataclass(frozen=True, eq=False)
class Upload:
    """A frame that some campaign took, whole. taken_at: Unix seconds.

    vectors: (rows, d) unit float32 as in `Observation`; a row of zeros is one that is not known. metadata: by row.
    """

    picture: bytes = field(repr=False)
    camera: str
    taken_at: float
    detections: Detections
    vectors: Vectors
    embedding_version: str
    taken: Sequence[Taken]
    detector: str = ""
    metadata: Mapping[int, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True)
class Mark:
    """A frame that campaigns judged. versions: (campaign id, version number) of those it was in the scope of."""

    frame_id: str
    camera: str
    taken_at: float
    versions: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Receipt:
    """What became of uploads: samples that were new, those that were there already, and those a campaign refused."""

    new: int = 0
    known: int = 0
    refused: int = 0

    def __add__(self, other: "Receipt") -> "Receipt":
        return Receipt(self.new + other.new, self.known + other.known, self.refused + other.refused)


class Collection(Protocol):
    """What a client asks of a hub."""

    def state(self, names: Sequence[str]) -> State:
        """The active campaigns, or those named (by name or id). NotFound for an unknown one, InvalidInput for one that
        is not active."""

    def look(self, pictures: Sequence[Picture], needs: Needs, embedding_version: str) -> list[Looked]:
        """Embed pictures. InvalidInput when the hub's embedder is another; ImageError for what is no picture."""

    def add(self, uploads: Sequence[Upload], marks: Sequence[Mark]) -> Receipt:
        """Store what was taken, and count what was processed. Saying it twice is saying it once."""

    def close(self) -> None: ...
