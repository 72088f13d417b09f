"""The values of delivery: a sample on its way to a destination, what goes with it, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum

from hub.types import RateLimit, Sample


class DeliveryState(StrEnum):
    """pending: due at `due_at`. sent: done. parked: needs a person."""

    PENDING = "pending"
    SENT = "sent"
    PARKED = "parked"


@dataclass(frozen=True)
class Delivery:
    """One sample on its way to one destination. due_at, updated_at: Unix seconds.

    sink: the destination, `kind` or `kind:argument`. remote_id: the destination's id of it, once it is there, even
    where something else is still to be done. picture: blob that is sent in place of the frame, "" for the frame itself.
    redaction: what was made unrecognisable in it, a phrase for people; "" when nothing was.
    """

    id: int
    sample_id: str
    sink: str
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    due_at: float = 0.0
    remote_id: str = ""
    error: str = ""
    updated_at: float = 0.0
    picture: str = ""
    redaction: str = ""


@dataclass(frozen=True)
class Provenance:
    """Why a sample was taken, and by which models.

    threshold: of the campaign's version, None where it goes by a target or an alarm budget (`reason` then says how
    much). seed: name of the nearest seed, "" without. detector: name and version of the model that found `labels`, ""
    where none was asked. embedding_version: of the model that embedded it, "" without.
    """

    campaign: str
    version: int
    trigger: str
    threshold: float | None
    seed: str = ""
    embedding_version: str = ""
    detector: str = ""


@dataclass(frozen=True, eq=False)
class Parcel:
    """A sample as it is handed to a destination.

    picture: the bytes to send, the same at every try. redaction: what was made unrecognisable in it, "" for nothing.
    remote_id: the destination's id of it, where an earlier try got that far.
    """

    sample: Sample
    picture: bytes
    provenance: Provenance
    redaction: str = ""
    remote_id: str = ""


@dataclass(frozen=True)
class Pace:
    """How fast a destination may be served. abreast: deliveries under way at once. rate: no more than that, None for no
    limit. timeout_s: the longest that one `send` takes, whatever the destination does."""

    abreast: int = 4
    rate: RateLimit | None = None
    timeout_s: float = 15.0


class SinkState(StrEnum):
    """open: in use. resting: tried again by itself after a while. paused: a person must do something first."""

    OPEN = "open"
    RESTING = "resting"
    PAUSED = "paused"


@dataclass(frozen=True)
class SinkHealth:
    """How a destination does, as last seen by the forwarder. reason: its own words, "" while it is open.

    since, until: Unix seconds; until: when it is tried again, 0 while it is open.
    """

    sink: str
    state: SinkState = SinkState.OPEN
    reason: str = ""
    since: float = 0.0
    until: float = 0.0


class Fate(StrEnum):
    """What people made of a delivered picture. waiting: nothing yet. annotated: it is labelled and kept.
    deleted: it was thrown away."""

    WAITING = "waiting"
    ANNOTATED = "annotated"
    DELETED = "deleted"


@dataclass(frozen=True)
class Outcome:
    """What became of a delivery, as read back from its destination. split: train, valid, test or "".
    checked_at: Unix seconds."""

    delivery_id: int
    fate: Fate
    split: str = ""
    checked_at: float = 0.0


@dataclass(frozen=True)
class FateCount:
    """How many delivered samples of a campaign version and camera met a fate at a destination."""

    campaign: str
    version: int
    camera: str
    sink: str
    fate: Fate
    count: int


@dataclass(frozen=True, eq=False)
class Redacted:
    """A picture without what must not leave. picture: its bytes. what: what was made unrecognisable, for people."""

    picture: bytes
    what: str
