"""One try of a delivery: fetch what is sent, redact it where it must be, send it; how it ended is a value."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from hub.breaker import bounded
from hub.deliveries import Delivery, DeliveryState, Parcel
from hub.protocols import Blobs, Redact, Sink, Store
from hub.types import Sample
from shared.errors import BowerbirdError, ImageError, ModelError, NotFound, Paused, Refused, RetryLater
from shared.log import redact as without_secrets
from shared.retry import Backoff

BACKOFF = Backoff(base_s=2.0, cap_s=3600.0)

MOST_OF_SAMPLE = 15
"""Tries, over half a day, after which what a destination can't do with this one sample waits for a person."""

WORDS = 1000
"""Characters that are kept of what a destination says."""


class Says(Enum):
    """What a try says of the destination as a whole."""

    NOTHING = auto()
    WORKS = auto()
    TROUBLED = auto()
    UNUSABLE = auto()


@dataclass(frozen=True)
class Tried:
    """How a try ended. delivery: as it is to be settled. reason: what is wrong with the destination, in its words.
    after_s: the wait it asked for, None where it did not."""

    delivery: Delivery
    says: Says = Says.NOTHING
    reason: str = ""
    after_s: float | None = None


def attempt(
    delivery: Delivery, parcel: Parcel, sink: Sink, *, clock: Callable[[], float], random: Callable[[], float]
) -> Tried:
    """Send once. clock: Unix seconds. random: in [0, 1).

    Refused parks it. RetryLater waits as long as the destination said, else ever longer. Paused does not count as a
    try, since it says nothing of the sample. Trouble with this sample alone is parked after MOST_OF_SAMPLE tries.
    """
    try:
        remote_id = sink.send(parcel)
    except Refused as error:
        return Tried(_parked(delivery, error.message, clock()), Says.WORKS)
    except Paused as error:
        kept = replace(delivery, error=words(error.message), updated_at=clock())
        return Tried(_reached(kept, error.remote_id), Says.UNUSABLE, words(error.told))
    except RetryLater as error:
        later = _reached(put_off(delivery, error.message, clock(), random, error.after_s), error.remote_id)
        if error.of_sample:
            return Tried(replace(later, state=DeliveryState.PARKED) if later.attempts >= MOST_OF_SAMPLE else later)
        return Tried(later, Says.TROUBLED, later.error, error.after_s)
    sent = replace(delivery, state=DeliveryState.SENT, remote_id=remote_id, error="")
    return Tried(replace(sent, attempts=delivery.attempts + 1, updated_at=clock()), Says.WORKS)


def _parked(delivery: Delivery, why: str, now: float) -> Delivery:
    tried = replace(delivery, attempts=delivery.attempts + 1, updated_at=now)
    return replace(tried, state=DeliveryState.PARKED, error=words(why))


def put_off(
    delivery: Delivery, why: str, now: float, random: Callable[[], float], after_s: float | None = None
) -> Delivery:
    """To be tried again: when the destination said, else ever later."""
    tried = replace(delivery, attempts=delivery.attempts + 1, updated_at=now)
    wait_s = BACKOFF.delay(tried.attempts, random) if after_s is None else bounded(after_s)
    return replace(tried, due_at=now + wait_s, error=words(why))


def _reached(delivery: Delivery, remote_id: str) -> Delivery:
    """It got as far as having an id there, if it did."""
    return replace(delivery, remote_id=remote_id or delivery.remote_id)


def words(text: str) -> str:
    """What somebody else said, as it may be stored and shown."""
    return without_secrets(text)[:WORDS]


@dataclass(frozen=True)
class Desk:
    """Where deliveries come from, and what is done to pictures before they leave. clock, random: as of `attempt`."""

    store: Store
    blobs: Blobs
    redact: Redact | None
    clock: Callable[[], float]
    random: Callable[[], float]


def deliver(delivery: Delivery, sink: Sink, desk: Desk) -> Tried:
    """Fetch a sample and its picture, redact it if it leaves, and try to send it."""
    try:
        sample = desk.store.sample(delivery.sample_id)
        delivery, picture = _picture(delivery, sample, desk, leaves=sink.leaves)
        why = desk.store.provenance(sample.id)
    except (NotFound, ImageError) as error:
        return Tried(_parked(delivery, error.message, desk.clock()))
    except ModelError as error:
        later = put_off(delivery, error.message, desk.clock(), desk.random)
        return Tried(later, Says.TROUBLED, later.error)
    except BowerbirdError as error:
        return Tried(put_off(delivery, error.message, desk.clock(), desk.random))
    parcel = Parcel(sample, picture, why, delivery.redaction, delivery.remote_id)
    return attempt(delivery, parcel, sink, clock=desk.clock, random=desk.random)


def _picture(delivery: Delivery, sample: Sample, desk: Desk, *, leaves: bool) -> tuple[Delivery, bytes]:
    """The bytes to send, and the delivery as it is known now. What was made unrecognisable once is stored before it is
    sent, so that every try sends the same bytes, and a destination knows what it has."""
    if delivery.picture:
        return delivery, desk.blobs.get(delivery.picture)
    picture = desk.blobs.get(sample.frame_id)
    redacted = desk.redact(sample, picture) if desk.redact is not None and leaves else None
    if redacted is None:
        return delivery, picture
    key = hashlib.blake2b(redacted.picture, digest_size=16).hexdigest()
    desk.blobs.put(key, redacted.picture)
    noted = replace(delivery, picture=key, redaction=redacted.what)
    desk.store.note(noted)
    return noted, redacted.picture
