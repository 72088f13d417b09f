"""The values that flow through the hub. All frozen; changed by `dataclasses.replace`.

Read this, protocols.py and pipeline.py first: they explain the hub.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shared.frame import Frame

if TYPE_CHECKING:
    from hub.archive import SeenFrame
    from hub.protocols import Trigger

__all__ = [
    "Background", "Batch", "Box", "Budget", "Calibration", "Camera", "CameraHealth", "Campaign", "CampaignState",
    "Counts", "Decision", "Detections", "ElementKind", "Fitted", "Frame", "Held", "Image",
    "Linked", "Matches", "Needs", "Observation", "Prior", "RateLimit", "Remembered", "Sample", "SampleStatus", "Scope",
    "Score", "Seed", "SeedKind", "Stage", "State", "Tally", "Vectors", "Version",
]  # fmt: skip

Image = NDArray[np.uint8]
"""Pixels: (height, width, 3) uint8, RGB, upright."""

Vectors = NDArray[np.float32]
"""(n, d) float32, each row of unit length."""

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the upright frame."""


class ElementKind(StrEnum):
    """What of a frame is embedded and scored."""

    FRAME = "frame"
    CROP = "crop"


@dataclass(frozen=True, eq=False)
class Detections:
    """Objects found in one frame, best first.

    xyxy: (n, 4) float32, pixels of the upright frame. confidence: (n,) float32 in [0, 1].
    label: n names.
    """

    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    label: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.label)
        if self.xyxy.shape != (n, 4) or self.confidence.shape != (n,):
            raise ValueError(
                f"{n} labels need xyxy ({n}, 4) and confidence ({n},), "
                f"got {self.xyxy.shape} and {self.confidence.shape}"
            )

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def empty(cls) -> Detections:
        """No objects."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), ())

    def box(self, i: int) -> Box:
        """Box i as plain floats."""
        x1, y1, x2, y2 = (float(v) for v in self.xyxy[i])
        return x1, y1, x2, y2


@dataclass(frozen=True)
class Needs:
    """What must be computed of a frame before a campaign can judge it.

    confidence: the least a detection must have to be of use. crop_confidence: the same for being embedded.
    """

    detections: bool = False
    frame_vector: bool = False
    crop_vectors: bool = False
    confidence: float = 1.0
    crop_confidence: float = 1.0

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            self.detections or other.detections,
            self.frame_vector or other.frame_vector,
            self.crop_vectors or other.crop_vectors,
            min(self.confidence, other.confidence),
            min(self.crop_confidence, other.crop_confidence),
        )


@dataclass(frozen=True, eq=False)
class Observation:
    """A frame and what was seen in it.

    size_wh: pixels of the upright frame. vectors: (rows, d) unit float32 where row 0 is the whole frame and
    row 1+i is the crop of detection i: one index everywhere. rows is 0 when nothing was embedded, 1 for the
    frame alone, and 1+k when the k best detections were embedded too. embedding_version: None for 0 rows.
    detector: name and version of what looked for detections, "" where nothing did.
    """

    frame: Frame
    size_wh: tuple[int, int]
    detections: Detections
    vectors: Vectors
    embedding_version: str | None = None
    detector: str = ""

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) > 1 + len(self.detections):
            raise ValueError(
                f"vectors must be (rows, d) with at most {1 + len(self.detections)} rows, "
                f"got shape {self.vectors.shape}"
            )

    def box(self, row: int) -> Box:
        """Where element `row` is: the whole frame for 0, else the box of detection row − 1."""
        if row == 0:
            return 0.0, 0.0, float(self.size_wh[0]), float(self.size_wh[1])
        return self.detections.box(row - 1)


# ── cameras ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Camera:
    """A URL that answers with a picture. interval_s: seconds between polls. token: sent as Bearer, or ""."""

    name: str
    url: str
    interval_s: float = 1.0
    token: str = field(default="", repr=False)
    enabled: bool = True


@dataclass(frozen=True)
class CameraHealth:
    """How polling a camera goes, as last reported by the collector.

    state: new, up or failing. reason: slug of the last failure (see shared.errors.CameraError), "" when up.
    since, last_frame_at, updated_at: Unix seconds. Counters grow from the camera's registration.
    """

    camera: str
    state: str = "new"
    reason: str = ""
    message: str = ""
    since: float = 0.0
    last_frame_at: float = 0.0
    latency_ms: float = 0.0
    polled: int = 0
    unchanged: int = 0
    dropped: int = 0
    failed: int = 0
    updated_at: float = 0.0


# ── campaigns ────────────────────────────────────────────────────────────────────────────────────────


class SeedKind(StrEnum):
    """What a seed was made from."""

    IMAGE = "image"
    CROP = "crop"
    TEXT = "text"
    SAMPLE = "sample"


@dataclass(frozen=True, eq=False)
class Seed:
    """An example of what a campaign wants.

    id: hash of its content. name: file name or the text itself. blob: id of its picture, "" for text.
    vector: (d,) unit float32, or None until embedded. negative: an example of what it does not want.
    box: of a sample's crop in its picture, pixels; None for the whole picture.
    """

    id: str
    kind: SeedKind
    name: str
    blob: str = ""
    vector: NDArray[np.float32] | None = None
    embedding_version: str | None = None
    negative: bool = False
    box: Box | None = None


@dataclass(frozen=True)
class Scope:
    """Where and when a campaign looks; what is empty leaves nothing out.

    cameras: names. hours: (start, end) in minutes of the local day, end excluded; start > end passes midnight.
    weekdays: 0 is Monday. timezone: IANA name the hours, weekdays and windows go by, "" for UTC.
    """

    cameras: tuple[str, ...] = ()
    hours: tuple[tuple[int, int], ...] = ()
    weekdays: tuple[int, ...] = ()
    timezone: str = ""


@dataclass(frozen=True)
class RateLimit:
    """At most `count` samples in any `per_s` seconds, of the campaign or of each camera."""

    count: int
    per_s: float
    per_camera: bool = False


@dataclass(frozen=True)
class Budget:
    """How much a campaign takes.

    threshold: lowest score selected. limits: all must hold. stop_after: total samples.
    duplicate_distance: cosine distance to a recent sample of the campaign below which an element is a
    near-duplicate (0: off). duplicate_s: only of samples taken less than this before or after (0: whenever).
    burst_s: frames of a camera that qualify less than this apart are one event, and the best of it one sample (0: off).
    target: the best `count` of each window of `per_s` seconds, held until it closes. per_camera: at most this many of
    them from one camera. variety: 0 to 1, how much of a window's choice goes by being unlike the others chosen.
    alarms: so many samples per camera and period; the threshold follows from the camera's recent scores.
    control: share of all frames drawn at random beside the campaign, to measure its yield and bias by.
    """

    threshold: float = 0.5
    limits: tuple[RateLimit, ...] = ()
    duplicate_distance: float = 0.0
    stop_after: int | None = None
    duplicate_s: float = 0.0
    burst_s: float = 0.0
    target: RateLimit | None = None
    per_camera: int | None = None
    variety: float = 0.0
    alarms: RateLimit | None = None
    control: float = 0.0


class CampaignState(StrEnum):
    """draft: never active. active: judging frames. inactive: keeps what it collected. archived: out of sight, too."""

    DRAFT = "draft"
    ACTIVE = "active"
    INACTIVE = "inactive"
    ARCHIVED = "archived"


@dataclass(frozen=True)
class Campaign:
    """Settings as they are being edited; `Version` is what frames are judged by.

    destinations: each `kind` or `kind:argument`, the kind in the SINKS table. version: number of the newest committed
    version, 0 for none.
    """

    id: int
    name: str
    trigger: Trigger
    scope: Scope = Scope()
    budget: Budget = Budget()
    destinations: tuple[str, ...] = ("folder",)
    tags: tuple[str, ...] = ()
    state: CampaignState = CampaignState.DRAFT
    version: int = 0
    created_at: float = 0.0


@dataclass(frozen=True)
class Calibration:
    """Piecewise-linear map from cosine to score: 0 at `floor`, 0.5 at `boundary`, 1 at cosine 1.

    source: how the two were found, a sentence for the user.
    """

    floor: float
    boundary: float
    source: str = ""


@dataclass(frozen=True, eq=False)
class Prior:
    """What is known of an embedder's vectors before any camera has shown something.

    text_mean: (d,) mean vector of many texts. concepts: (d, d) covariance of the vectors of many nouns, which says in
    what directions things differ. nouns: (n, d) vectors of nouns' texts, with which another text competes; only asked
    for where there is a text. None where it is not known, or the embedder understands no text.
    """

    text_mean: NDArray[np.float32] | None = None
    concepts: NDArray[np.floating[Any]] | None = None
    nouns: Vectors | None = None


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a scorer learned at commit, as plain data; hub/scorers says what it means.

    name: in the SCORERS table. facts: JSON values, for people too. arrays: float32 or float64.
    """

    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Version:
    """An immutable snapshot of a campaign, made by commit. Its seeds and scorer never change.

    scorer: how likeness to the seeds becomes a score; None when the trigger wants no seeds. embedding_version: None
    when the trigger embeds nothing.
    """

    id: int
    campaign_id: int
    campaign: str
    number: int
    trigger: Trigger
    scope: Scope
    budget: Budget
    destinations: tuple[str, ...]
    tags: tuple[str, ...]
    embedding_version: str | None
    seeds: tuple[Seed, ...]
    scorer: Fitted | None
    created_at: float


# ── what a campaign says of a frame ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class Matches:
    """How well rows fit the seeds of a target: value (n,) in [0, 1].

    nearest: the id of the seed nearest to row i and the cosine to it, looked up only for what is worth explaining.
    """

    value: NDArray[np.float32]
    nearest: Callable[[int], tuple[str, float]]


@dataclass(frozen=True)
class Score:
    """How well a frame fits a campaign.

    value: [0, 1], 0.5 is the boundary. row: the element that won (0 frame, 1+i detection i). seed: id of the
    nearest seed, "" where the trigger has none. cosine: to that seed. scorer: formula and its version.
    why: a short phrase ("bird 0.83").
    """

    value: float
    row: int = 0
    seed: str = ""
    cosine: float | None = None
    scorer: str = ""
    why: str = ""


@dataclass(frozen=True)
class Decision:
    """Whether a scored frame is taken, and the sentence that says why."""

    keep: bool
    reason: str


class SampleStatus(StrEnum):
    """What a person said of a sample."""

    UNSORTED = "unsorted"
    ACCEPTED = "accepted"
    DISCARDED = "discarded"


@dataclass(frozen=True)
class Linked:
    """A frame that belongs to the same event as a sample, and scored less. value: its score."""

    frame_id: str
    taken_at: float
    value: float


@dataclass(frozen=True, eq=False)
class Sample:
    """A frame a campaign selected, and the element that won.

    box: of the element, pixels. detections: everything found in the frame (for labels). vector: of the element
    compared for near-duplicates, or None. control: drawn at random beside the campaign, whatever its score. linked:
    the other frames of its burst. detector: name and version of what found the detections. `id` is campaign:frame, so
    adding twice is adding once: a frame counts once however often it is seen.
    """

    campaign_id: int
    campaign: str
    version: int
    frame_id: str
    camera: str
    taken_at: float
    size_wh: tuple[int, int]
    box: Box
    score: Score
    reason: str
    detections: Detections
    vector: NDArray[np.float32] | None = None
    embedding_version: str | None = None
    status: SampleStatus = SampleStatus.UNSORTED
    created_at: float = 0.0
    destinations: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    control: bool = False
    linked: tuple[Linked, ...] = ()
    detector: str = ""

    @property
    def id(self) -> str:
        """campaign id ":" frame id."""
        return f"{self.campaign_id}:{self.frame_id}"


@dataclass(frozen=True, eq=False)
class Background:
    """What these cameras normally show. vectors: (n, d) unit float32. frame: (n,) int64, rows of one frame alike."""

    vectors: Vectors
    frame: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.vectors)


class Stage(StrEnum):
    """What a held sample waits for: the end of its burst, or the close of its window."""

    BURST = "burst"
    WINDOW = "window"


@dataclass(frozen=True, eq=False)
class Held:
    """A sample that is chosen only if nothing better comes. until: Unix seconds, when that is known."""

    sample: Sample
    stage: Stage
    until: float


@dataclass(frozen=True, eq=False)
class Tally:
    """The recent scores of one camera in one campaign.

    counts: (bins,) float64, a histogram of scores over [0, 1] whose entries fade with time. at: Unix seconds of the
    newest. since: of the first. seen: frames ever, for the control draw.
    """

    counts: NDArray[np.float64]
    at: float = 0.0
    since: float = 0.0
    seen: int = 0


@dataclass(frozen=True)
class Counts:
    """How many frames of a camera a campaign version judged, and how many of them it took."""

    campaign_id: int
    version: int
    camera: str
    processed: int
    collected: int


@dataclass(frozen=True, eq=False)
class Batch:
    """What one turn of the pipeline leaves behind; written in one transaction.

    jpegs: frame id → bytes, for the frames of `samples` (stored before the rows that name them).
    counts: to be added to the stored ones. held: samples to hold, or to hold with what changed of them. let_go: ids of
    held samples that are held no longer, whether they became samples or not. frames: what is kept of frames' pictures,
    where something is; every frame of `observations` is stored. judged: whose frames `counts` counted, where these are
    not `observations`; nothing else of them is stored.
    """

    observations: Sequence[Observation] = ()
    samples: Sequence[Sample] = ()
    jpegs: Mapping[str, bytes] = field(default_factory=dict)
    counts: Sequence[Counts] = ()
    held: Sequence[Held] = ()
    let_go: Sequence[str] = ()
    frames: Sequence[SeenFrame] = ()
    judged: Sequence[Observation] | None = None


State = Mapping[str, Any]
"""What a trigger remembers of one camera: plain JSON values and arrays."""


@dataclass(frozen=True, eq=False)
class Remembered:
    """What judging for one campaign remembers of one camera, as it is stored."""

    campaign_id: int
    camera: str
    state: State
    tally: Tally | None = None
