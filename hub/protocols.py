"""Every seam of the hub on one page. Stages know these, never an implementation."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from hub.archive import Archive
from hub.deliveries import (
    Delivery,
    DeliveryState,
    FateCount,
    Outcome,
    Pace,
    Parcel,
    Provenance,
    Redacted,
    SinkHealth,
)
from hub.snapshots import Snapshots
from hub.types import (
    Background,
    Batch,
    Calibration,
    Camera,
    CameraHealth,
    Campaign,
    CampaignState,
    Counts,
    Detections,
    ElementKind,
    Held,
    Image,
    Matches,
    Needs,
    Observation,
    Prior,
    Remembered,
    Sample,
    SampleStatus,
    Score,
    Seed,
    State,
    Vectors,
    Version,
)


class Detector(Protocol):
    """Finds objects. Boxes come in pixels of the image given, best first."""

    @property
    def name(self) -> str:
        """File or built-in name, for listings."""

    @property
    def version(self) -> str:
        """UUIDv5 of its weights and settings."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label it can give."""

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """One answer per image; images may differ in size."""


class Embedder(Protocol):
    """Turns pictures into unit vectors."""

    @property
    def name(self) -> str:
        """File or built-in name, for listings."""

    @property
    def version(self) -> str:
        """UUIDv5 of weights and preprocessing. Vectors of two versions never meet."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def typical(self) -> Mapping[str, Calibration]:
        """Where cosines of its vectors lie, by seed kind ("image", "text"): for campaigns without background."""

    @property
    def prior(self) -> Prior:
        """What is known of its vectors beforehand."""

    def embed(self, images: Sequence[Image]) -> Vectors:
        """(n, dim) unit float32, a row per image; images may differ in size."""

    def nouns(self) -> Vectors:
        """(n, dim) unit float32: nouns' texts, (0, dim) where text is not understood. The first time a minute for a
        text tower; kept from then on."""

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """(n, dim) unit float32. ModelError, with what can be done, where text is not understood."""


class Trigger(Protocol):
    """A function from what was seen to a score; a frozen dataclass, stored as JSON and shown as a form."""

    name: ClassVar[str]
    capped_by_matches: ClassVar[bool]
    """Whether its score is never above the best match of a frame, so that only frames with a good one need a look."""

    @property
    def element(self) -> ElementKind:
        """What competes within a frame: the frame itself, or its crops."""

    @property
    def needs(self) -> Needs:
        """What must be computed before `score` can be asked."""

    @property
    def wants_seeds(self) -> bool:
        """Whether a version without seeds makes no sense."""

    def score(self, seen: Observation, matches: Matches | None, state: State) -> tuple[Score, State]:
        """Score one frame. matches: a row per row of `seen.vectors` when the trigger wants seeds, else None.
        state: what the last call for this camera returned, {} at first."""


class Scorer(Protocol):
    """Likeness to a version's seeds, as a score."""

    def score(self, rows: Vectors) -> NDArray[np.float32]:
        """(n,) in [0, 1] for rows (n, d) unit float32; 0.5 is the boundary, and 1 is a seed itself."""


class Target(Protocol):
    """A committed version, ready to be asked."""

    @property
    def version(self) -> Version:
        """What it was made from."""

    def match(self, rows: Vectors) -> Matches:
        """How well each row, (n, d) unit float32, fits the seeds."""


class Blobs(Protocol):
    """Pictures by content hash."""

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Store whole or not at all; storing a key again is free. StorageFull when there is no room.

        durable: False need not outlive a power cut, and may then be found cut short; it is stored faster.
        """

    def get(self, key: str) -> bytes:
        """NotFound when absent."""

    def __contains__(self, key: str) -> bool: ...

    def delete(self, key: str) -> None:
        """Absent is fine."""

    def keys(self) -> Sequence[str]:
        """All of them."""

    def age_s(self, key: str, now: float) -> float:
        """Seconds since it was stored; 0 when it is gone. now: Unix seconds."""


class Sink(Protocol):
    """A destination of samples. Used by several threads at once."""

    name: ClassVar[str]
    leaves: ClassVar[bool]
    """Whether pictures leave this machine, so that what is to be redacted must be."""

    @property
    def pace(self) -> Pace:
        """How fast it may be served."""

    def send(self, parcel: Parcel) -> str:
        """Deliver one sample, return the destination's id for it. Sending twice must leave one copy.
        Raises DeliveryError: RetryLater, Refused or Paused."""

    def flush(self) -> None:
        """Called after a round of deliveries: finish what is better done once for many. Raises Paused."""


class Redact(Protocol):
    """Makes unrecognisable what must not leave this machine."""

    def __call__(self, sample: Sample, picture: bytes) -> Redacted | None:
        """picture: the sample's frame, JPEG or PNG. None when nothing of it is to be redacted. ImageError when it can't
        be read, ModelError when what must be hidden can't be found for now."""


class Store(Protocol):
    """All state, in one database. Each method is one transaction."""

    @property
    def archive(self) -> Archive:
        """Every element and frame that was seen."""

    # cameras
    def add_camera(self, camera: Camera) -> None: ...
    def update_camera(self, camera: Camera) -> None: ...
    def remove_camera(self, name: str) -> None: ...
    def cameras(self) -> list[Camera]: ...
    def record_health(self, health: Sequence[CameraHealth]) -> None: ...
    def health(self) -> dict[str, CameraHealth]: ...

    # campaigns
    def add_campaign(self, campaign: Campaign, seeds: Sequence[Seed]) -> Campaign: ...
    def update_campaign(self, campaign: Campaign) -> None: ...
    def campaign(self, name: str) -> Campaign: ...
    def campaigns(self) -> list[Campaign]: ...
    def set_campaign_state(self, name: str, state: CampaignState) -> None: ...
    def add_seeds(self, name: str, seeds: Sequence[Seed]) -> int: ...
    def remove_seeds(self, name: str, seed_ids: Sequence[str]) -> int: ...
    def seeds(self, name: str) -> list[Seed]: ...
    def commit(self, version: Version) -> Version: ...
    def versions(self, name: str) -> list[Version]: ...
    def active_versions(self) -> list[Version]: ...
    def revision(self) -> int:
        """Grows with every change to cameras, campaigns and versions; cheap to ask every second."""

    # what the collector leaves
    def write(self, batch: Batch) -> list[Sample]:
        """Elements, samples, deliveries, counters and what is held together; returns the samples that were new.

        A frame counts as processed once for each campaign, however often it is seen.
        """

    def held(self) -> list[Held]:
        """Samples that wait for their burst or window, of all campaigns, in the order they came."""

    def remember(self, rows: Sequence[Remembered]) -> None:
        """Save what judging remembers of cameras, in place of what was saved before."""

    def remembered(self, campaign_id: int) -> list[Remembered]: ...
    def forget(self, campaign_id: int, camera: str | None = None) -> int:
        """Drop what judging remembers, of one camera or of all; returns of how many. Grows `revision`."""

    def samples(
        self,
        *,
        campaign: str | None = None,
        status: SampleStatus | None = None,
        camera: str | None = None,
        control: bool | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[Sample]:
        """Newest first; `before` is the id of the last sample of the page before."""

    def sample(self, sample_id: str) -> Sample: ...
    def sample_id(self, beginning: str) -> str:
        """The whole id of a sample, from as much of it as no other has. NotFound for none, InvalidInput for several."""

    def review(self, sample_ids: Sequence[str], status: SampleStatus) -> int: ...
    def taken_by(self, campaign_id: int, *, limit: int) -> list[Sample]:
        """The newest samples of a campaign over all versions, newest first: what its budget must remember. Control
        draws are left out."""

    def collected(self, campaign_id: int) -> int:
        """Samples ever taken by a campaign, control draws left out."""

    def review_counts(self, campaign: str) -> Mapping[tuple[SampleStatus, bool], int]:
        """Samples of a campaign by status and by whether they are control draws."""

    def counts(self, campaign: str | None = None) -> list[Counts]: ...
    def background(
        self,
        embedding_version: str,
        element: ElementKind,
        *,
        limit: int,
        cameras: Sequence[str] = (),
        labels: Sequence[str] = (),
        confidence: float = 0.0,
    ) -> Background:
        """A random draw of stored elements: what these cameras normally show. Empty cameras or labels mean any;
        labels and confidence are those of crops. Of a crop campaign, all stored crops of up to `limit` frames."""

    def taken_between(
        self, embedding_version: str, *, campaign: str | None = None, camera: str | None = None
    ) -> tuple[float, float] | None:
        """When the first and the last stored frame (sample, of a campaign) were taken; None when there is none."""

    def draw_frames(
        self,
        embedding_version: str,
        *,
        since: float,
        until: float,
        limit: int,
        seed: int,
        camera: str | None = None,
    ) -> Snapshots:
        """A random draw of stored frames taken from `since` on and before `until`, oldest first. The same for the same
        seed while nothing is added."""

    def draw_samples(
        self, campaign: str, *, since: float, until: float, limit: int, seed: int, camera: str | None = None
    ) -> list[Sample]:
        """The same of a campaign's samples."""

    def frame_vectors(self, embedding_version: str, frame_ids: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        """The stored vectors (d,) of whole frames, of those that have one."""

    def prune(self, before: float, *, limit: int) -> int:
        """Delete up to `limit` of the oldest elements that a camera showed before a time and no campaign selected. What
        was scanned or brought in from elsewhere stays."""

    def blob_keys(self) -> set[str]:
        """Every blob some row names."""

    # the outbox
    def claim(self, sink: str, *, now: float, lease_s: float, limit: int, newest_first: bool = False) -> list[Delivery]:
        """Pending deliveries that are due, hidden from other claimers until now + lease_s: those due longest first, or
        those of the newest samples."""

    def note(self, delivery: Delivery) -> None:
        """Record what is known so far of an attempt under way (remote_id, picture, redaction), and keep the claim."""

    def settle(self, delivery: Delivery) -> None:
        """Record how an attempt ended and give up the claim."""

    def waiting_sinks(self) -> list[str]:
        """Destinations that pending deliveries go to."""

    def provenance(self, sample_id: str) -> Provenance:
        """Why a sample was taken, and by which models."""

    def deliveries(
        self, *, state: DeliveryState | None = None, sink: str | None = None, limit: int = 100
    ) -> list[Delivery]: ...
    def delivery_counts(self) -> Mapping[DeliveryState, int]: ...
    def retry(self, delivery_ids: Sequence[int] | None, *, now: float) -> int:
        """Make parked (and waiting) deliveries due at once; None means all. Destinations at rest are tried again."""

    def discard(self, delivery_ids: Sequence[int] | None, *, sink: str | None = None) -> int:
        """Forget deliveries that were not sent: those named, those of a destination, or all; returns how many. Their
        samples stay."""

    def record_sink_health(self, health: SinkHealth) -> None: ...
    def sink_health(self) -> dict[str, SinkHealth]:
        """By destination, as last recorded."""

    def sink_counts(self) -> Mapping[tuple[str, DeliveryState], int]:
        """How many deliveries of each destination are in which state."""

    # what became of deliveries
    def unread(self, sink_kind: str, *, read_before: float, limit: int) -> list[Delivery]:
        """Sent deliveries to destinations of a kind whose outcome was not read since, those never read first. What
        was deleted is not asked for again."""

    def record_outcomes(self, outcomes: Sequence[Outcome]) -> None: ...
    def fates(self, campaign: str | None = None) -> list[FateCount]:
        """What became of deliveries whose outcome was ever read."""

    def close(self) -> None: ...
