"""What the hub has seen: the values of stored elements and frames, and the seam behind which they are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hub.types import Box, ElementKind, Observation, Vectors


@dataclass(frozen=True)
class Element:
    """A stored whole frame or crop. key: what users and the ANN API know it by.

    row: 0 the whole frame, 1+i its detection i. box: pixels. label: of a crop, else what it was imported with, or "".
    metadata: what a user said of it.
    """

    id: int
    frame_id: str
    row: int
    embedding_version: str
    camera: str
    taken_at: float
    box: Box
    label: str = ""
    confidence: float = 1.0
    external_id: int | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    @property
    def key(self) -> int:
        """The id it was brought in with, or else its own. No two elements of an embedding version share one."""
        return self.id if self.external_id is None else self.external_id

    @property
    def kind(self) -> ElementKind:
        """Whole frame or crop."""
        return ElementKind.CROP if self.row else ElementKind.FRAME


@dataclass(frozen=True, eq=False)
class Stored:
    """An element and its vector: (d,) unit float32."""

    element: Element
    vector: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Hit:
    """An element that a search found. cosine: to what was searched for. vector: (d,) unit float32."""

    element: Element
    cosine: float
    vector: NDArray[np.float32]


@dataclass(frozen=True)
class Filter:
    """Which elements are meant; what is empty leaves nothing out.

    since, until: Unix seconds, `until` excluded. cameras, labels: names. kind: whole frames, crops, or None for both.
    """

    since: float | None = None
    until: float | None = None
    cameras: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    kind: ElementKind | None = None

    def covers(self, element: Element) -> bool:
        """Whether it leaves an element in."""
        return (
            (self.since is None or element.taken_at >= self.since)
            and (self.until is None or element.taken_at < self.until)
            and (not self.cameras or element.camera in self.cameras)
            and (not self.labels or element.label in self.labels)
            and (self.kind is None or element.kind is self.kind)
        )


ANY = Filter()


@dataclass(frozen=True, eq=False)
class Rows:
    """Elements by column, in the order of their ids: what an index is built from.

    id: (n,) int64. vectors: (n, d) unit float32. taken_at: (n,) float64, Unix seconds. row: (n,) int32.
    """

    id: NDArray[np.int64]
    vectors: Vectors
    taken_at: NDArray[np.float64]
    row: NDArray[np.int32]
    camera: Sequence[str]
    label: Sequence[str]

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, eq=False)
class Newcomer:
    """An element to be stored that no camera of ours showed. external_id: 0 to 2^62 − 1, or None for none."""

    frame_id: str
    row: int
    embedding_version: str
    camera: str
    taken_at: float
    box: Box
    vector: NDArray[np.float32]
    label: str = ""
    confidence: float = 1.0
    external_id: int | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


BROUGHT_IN = "import:"
"""The source of a frame that came without its picture, in a file of elements. No camera showed it, so it stays."""


@dataclass(frozen=True)
class SeenFrame:
    """A frame that was looked at.

    source: where its picture is when it is neither a camera's nor kept: a file, `archive.zip!member`, `film.mp4#12.3`;
    or BROUGHT_IN.
    picture_bytes, thumbnail_bytes: of what is kept of it in the ring of recent pictures; 0 for nothing.
    """

    id: str
    camera: str
    taken_at: float
    size_wh: tuple[int, int]
    source: str = ""
    picture_bytes: int = 0
    thumbnail_bytes: int = 0


@dataclass(frozen=True)
class Usage:
    """How much is kept. Bytes on disk; database_bytes: the pages that hold something."""

    elements: int
    frames: int
    pictures: int
    picture_bytes: int
    thumbnails: int
    thumbnail_bytes: int
    database_bytes: int


@dataclass(frozen=True)
class EmbeddingUse:
    """An embedding version and what uses it. embedder: its name, "" where it was never recorded.

    campaigns: names of those whose newest version goes by it. first_at, last_at: Unix seconds of its elements, or 0.
    """

    version: str
    embedder: str
    dim: int
    elements: int
    seeds: int
    samples: int
    campaigns: tuple[str, ...]
    first_at: float
    last_at: float


@dataclass(frozen=True)
class ScannedFile:
    """A file that was scanned whole. id: hash of its content and of how it was scanned. frames: ids, in order."""

    id: str
    source: str
    frames: tuple[str, ...]
    scanned_at: float


class Archive(Protocol):
    """Every element the hub has embedded, and every frame it has looked at. Each method is one transaction."""

    # elements
    def rows(self, embedding_version: str, *, after: int, limit: int) -> Rows:
        """Up to `limit` elements with an id above `after`, by id. Ids grow, and are never used twice."""

    def living(self, embedding_version: str, *, first: int, last: int) -> NDArray[np.int64]:
        """Ids from `first` to `last` that are stored, in order."""

    def last_id(self, embedding_version: str) -> int:
        """The highest id, 0 for none."""

    def stored(self, ids: Sequence[int]) -> list[Stored]:
        """Elements by their own ids, in the order asked for; those that are gone are left out."""

    def by_key(self, keys: Sequence[int], embedding_version: str) -> list[Stored]:
        """Elements by key, in the order asked for; unknown ones are left out."""

    def of_frames(self, frame_ids: Sequence[str], embedding_version: str) -> dict[str, list[Stored]]:
        """The elements of frames, by row."""

    def keys(self, embedding_version: str, *, after: int = -1, limit: int = 1_000_000) -> list[int]:
        """Keys above `after`, in order."""

    def count(self, embedding_version: str) -> int:
        """Elements of an embedding version."""

    def random(self, embedding_version: str) -> Stored | None:
        """Any element; None when there is none."""

    def add(self, elements: Sequence[Newcomer]) -> int:
        """Store elements; those are skipped whose external id is a key in their embedding version already, or whose
        frame, row and embedding version are stored. Returns how many were new. InvalidInput, and nothing stored, for a
        vector that is not finite or of another length than those stored, or an external id out of range."""

    def remove(self, ids: Sequence[int]) -> int:
        """Delete elements by their own ids; returns how many there were."""

    # frames
    def add_frames(self, frames: Sequence[SeenFrame], observations: Sequence[Observation] = ()) -> None:
        """Store frames and what was seen in them: detections, and vectors as elements. What is known already stays, but
        for crops that show nothing of what another detector finds now."""

    def frames(self, ids: Sequence[str]) -> dict[str, SeenFrame]:
        """Those that are known, by id."""

    def observations(
        self,
        embedding_version: str,
        *,
        since: float = 0.0,
        until: float = float("inf"),
        cameras: Sequence[str] = (),
        after: tuple[float, str] | None = None,
        limit: int = 500,
    ) -> list[Observation]:
        """What was seen in frames, oldest first, with no picture (`frame.jpeg` is empty): the next `limit` after the
        (taken_at, frame id) of the last one before. Vectors are those of the embedding version, where there are any."""

    def recall(self, frame_ids: Sequence[str], embedding_version: str) -> dict[str, Observation]:
        """The same of single frames, of those that are known."""

    def first_and_last(self, cameras: Sequence[str] = ()) -> tuple[float, float] | None:
        """When the first and the last frame were taken, None for no frame."""

    def cameras(self, sought: Sequence[str] = ()) -> set[str]:
        """Names of the cameras of stored frames; where some of those sought are not among them also those of elements,
        which looks at each."""

    # the ring of recent pictures
    def oldest_pictures(self, limit: int) -> list[SeenFrame]:
        """Of the frames whose picture is kept, those taken first."""

    def oldest_thumbnails(self, limit: int) -> list[SeenFrame]:
        """Of the frames of which only a thumbnail is kept, those taken first."""

    def keep(self, sizes: Mapping[str, tuple[int, int]]) -> None:
        """Record what is kept of frames now: by frame id, bytes of the picture and of the thumbnail."""

    def expired(self, before: float, *, limit: int) -> list[SeenFrame]:
        """The oldest frames taken before a time of which something is kept and no campaign selected."""

    def forget_frames(self, before: float, *, limit: int) -> int:
        """Delete up to `limit` of the oldest frames that a camera showed before a time of which no picture is kept,
        that no campaign selected, and that have no element any more; returns how many."""

    def forget_scanned(self, *, limit: int) -> int:
        """The same of frames that were scanned, whenever they were taken."""

    def usage(self) -> Usage: ...

    # scans
    def scanned(self, ids: Iterable[str]) -> dict[str, ScannedFile]:
        """Of files, those that were scanned whole."""

    def add_scanned(self, files: Sequence[ScannedFile]) -> None: ...

    # embedding versions
    def record_embedder(self, version: str, name: str, dim: int) -> None:
        """Remember what an embedding version is called."""

    def embedding_versions(self) -> list[EmbeddingUse]:
        """All that anything stored goes by, or that were recorded; newest elements first."""

    def chosen_embedder(self) -> str:
        """What the embedder that was switched to is loaded as, "" for none."""

    def choose_embedder(self, version: str, loaded_as: str) -> None:
        """Switch to an embedder that was recorded. loaded_as: its name as HUB_EMBEDDER takes it. Grows the store's
        `revision`, so that a running hub takes it up."""
