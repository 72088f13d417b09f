"""What must not leave does not, and what leaves in its place is the same at every try."""

import hashlib
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from hub.blobs import open_blobs
from hub.deliveries import DeliveryState, Pace, Redacted, SinkState
from hub.forward import Forwarder
from hub.store import open_store
from shared.errors import ImageError, ModelError, RetryLater, StorageFull
from tests.hub.delivering import fill, picture

PACE = Pace(abreast=1)


@dataclass
class Away:
    """A destination that is not on this machine; it fails the first `failures` times, after it took what came."""

    name: ClassVar[str] = "away"
    leaves: bool = True
    pace: Pace = PACE
    failures: int = 0
    got: list[tuple[bytes, str]] = field(default_factory=list)

    def send(self, parcel):
        self.got.append((parcel.picture, parcel.redaction))
        if len(self.got) <= self.failures:
            raise RetryLater("no answer", after_s=0.0)
        return "r"

    def flush(self):
        pass


@pytest.fixture
def deliver(tmp_path):
    """Delivers one sample to a destination, as often as it is tried; the delivery as it is then."""
    fill(tmp_path, 1)
    store, now = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}"), [1000.0]
    blobs = open_blobs(f"file://{tmp_path / 'frames'}")

    def run(sink, redact, tries=1):
        forwarder = Forwarder(store, blobs, lambda _: sink, clock=lambda: now[0], random=lambda: 0.5, redact=redact)
        for _ in range(tries):
            now[0] += 10
            forwarder.drain()
        (delivery,) = store.deliveries()
        return delivery, blobs, store

    yield run
    store.close()


def test_another_picture_leaves_and_it_is_said_what_was_done(deliver):
    sink = Away()
    delivery, blobs, store = deliver(sink, lambda sample, picture: Redacted(b"blurred", "2 faces"))
    assert sink.got == [(b"blurred", "2 faces")]
    assert delivery.state is DeliveryState.SENT
    assert delivery.redaction == "2 faces"
    assert delivery.picture == hashlib.blake2b(b"blurred", digest_size=16).hexdigest()
    assert blobs.get(delivery.picture) == b"blurred"
    assert delivery.picture in store.blob_keys(), "no sweep takes it"


def test_every_try_sends_the_same_bytes_whatever_redacting_makes_of_it_later(deliver):
    made = []

    def never_the_same(sample, picture):
        made.append(picture)
        return Redacted(b"blurred %d" % len(made), "2 faces")

    sink = Away(failures=2)
    assert deliver(sink, never_the_same, tries=3)[0].state is DeliveryState.SENT
    assert sink.got == [(b"blurred 1", "2 faces")] * 3
    assert len(made) == 1


def test_what_needs_nothing_leaves_as_it_is(deliver):
    sink = Away()
    delivery, *_ = deliver(sink, lambda sample, picture: None)
    assert sink.got == [(picture(0), "")]
    assert (delivery.picture, delivery.redaction) == ("", "")


def test_what_stays_on_this_machine_is_not_redacted(deliver):
    sink = Away(leaves=False)
    deliver(sink, lambda sample, picture: Redacted(b"blurred", "2 faces"))
    assert sink.got == [(picture(0), "")]


@pytest.mark.parametrize(
    ("error", "state", "of_destination"),
    [
        (ImageError("truncated", "the picture is damaged"), DeliveryState.PARKED, False),
        (ModelError("the model is missing"), DeliveryState.PENDING, True),
        (StorageFull("no room left"), DeliveryState.PENDING, False),
        (ZeroDivisionError("a mistake"), DeliveryState.PENDING, False),
    ],
)
def test_what_cannot_be_redacted_does_not_leave(deliver, error, state, of_destination):
    def fails(sample, picture):
        raise error

    sink = Away()
    delivery, _, store = deliver(sink, fails, tries=40)
    assert sink.got == []
    assert delivery.state is state
    assert str(getattr(error, "message", error)) in delivery.error
    assert (store.sink_health()["folder"].state is SinkState.RESTING) == of_destination


def test_a_picture_that_cannot_be_stored_does_not_leave(deliver, monkeypatch):
    def full(self, key, data):
        raise StorageFull("no room left")

    monkeypatch.setattr("hub.blobs.FileBlobs.put", full)
    sink = Away()
    delivery, *_ = deliver(sink, lambda sample, picture: Redacted(b"blurred", "2 faces"))
    assert sink.got == []
    assert (delivery.state, delivery.error, delivery.picture) == (DeliveryState.PENDING, "no room left", "")
