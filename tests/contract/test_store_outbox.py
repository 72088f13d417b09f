"""What every store does with deliveries: claims, notes, provenance, how destinations do, and what became of samples."""

from dataclasses import replace

import pytest

from hub.deliveries import DeliveryState, Fate, FateCount, Outcome, Provenance, SinkHealth, SinkState
from hub.types import Batch, Budget, RateLimit, Seed, SeedKind
from shared.errors import NotFound
from tests.contract.storing import active, frames, sample, write


def claim(store, limit=9, sink="folder", now=10.0, lease_s=60.0, **how):
    return store.claim(sink, now=now, lease_s=lease_s, limit=limit, **how)


def sent(store, delivery, **changes):
    store.settle(replace(delivery, state=DeliveryState.SENT, attempts=1, remote_id="r", **changes))


# ── claims ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_newest_can_be_claimed_first_and_nobody_else_gets_them(store):
    write(store, active(store), 5)
    oldest = claim(store, 2)
    newest = claim(store, 2, newest_first=True)
    first = oldest[0].id
    assert [d.id - first for d in oldest] == [0, 1]
    assert [d.id - first for d in newest] == [4, 3]
    assert [d.id - first for d in claim(store, newest_first=True)] == [2]


def test_the_newest_that_is_not_due_or_is_done_is_not_claimed(store):
    write(store, active(store), 4)
    one, two, three, _ = sorted(claim(store), key=lambda d: d.id)
    store.settle(replace(one, due_at=5.0))
    store.settle(replace(two, due_at=1000.0, attempts=1))
    sent(store, three)
    assert [d.id for d in claim(store, newest_first=True, now=20)] == [one.id]


def test_a_claim_of_one_destination_leaves_those_of_others(store):
    write(store, active(store, destinations=("folder", "roboflow:birds")), 3)
    assert len(claim(store)) == len(claim(store, sink="roboflow:birds")) == 3
    assert claim(store, sink="roboflow") == []


def test_destinations_that_something_waits_for_are_named(store):
    assert store.waiting_sinks() == []
    write(store, active(store, destinations=("folder", "roboflow:a", "roboflow:b", "webhook")), 3)
    assert store.waiting_sinks() == ["folder", "roboflow:a", "roboflow:b", "webhook"]
    for delivery in claim(store, sink="roboflow:a"):
        sent(store, delivery)
    for delivery in claim(store, sink="webhook"):
        store.settle(replace(delivery, state=DeliveryState.PARKED))
    assert store.waiting_sinks() == ["folder", "roboflow:b"]


# ── what is known of an attempt ──────────────────────────────────────────────────────────────────────


def test_what_is_noted_is_there_for_the_next_try_and_the_claim_holds(store):
    write(store, active(store), 1)
    (ours,) = claim(store)
    store.note(replace(ours, picture="abc123", redaction="2 faces", remote_id="r1", attempts=7, error="no"))
    assert claim(store, now=30) == []
    (again,) = claim(store, now=71)
    assert again == replace(ours, picture="abc123", redaction="2 faces", remote_id="r1")
    assert "abc123" in store.blob_keys()


def test_somebody_who_knew_less_makes_nothing_forgotten(store):
    write(store, active(store), 1)
    (late,) = claim(store)
    (ours,) = claim(store, now=71)
    store.note(replace(ours, picture="abc123", redaction="2 faces", remote_id="r1"))
    store.settle(replace(late, attempts=1, error="timed out", due_at=80.0))
    store.note(late)
    (kept,) = store.deliveries()
    assert (kept.picture, kept.redaction, kept.remote_id, kept.error) == ("abc123", "2 faces", "r1", "timed out")


# ── why it was taken ─────────────────────────────────────────────────────────────────────────────────


def test_a_sample_tells_why_it_was_taken(store):
    seed = Seed("owl", SeedKind.TEXT, "an owl at night")
    write(store, active(store, seeds=(seed,), budget=Budget(threshold=0.6)), 1)
    (taken,) = store.samples()
    assert store.provenance(taken.id) == Provenance(
        "birds", 1, "detection", 0.6, "an owl at night", taken.embedding_version, taken.detector
    )


@pytest.mark.parametrize(
    "budget", [Budget(target=RateLimit(5, 3600.0)), Budget(alarms=RateLimit(1, 86400.0, per_camera=True))]
)
def test_a_campaign_that_goes_by_no_fixed_threshold_has_none(store, budget):
    write(store, active(store, budget=budget), 1)
    assert store.provenance(store.samples()[0].id).threshold is None


def test_a_sample_that_is_not_there_has_no_provenance(store):
    with pytest.raises(NotFound):
        store.provenance("1:nothing")


# ── how destinations do ──────────────────────────────────────────────────────────────────────────────


def test_how_a_destination_does_is_kept_as_last_recorded(store):
    assert store.sink_health() == {}
    resting = SinkHealth("folder", SinkState.RESTING, "no answer", 100.25, 130.5)
    paused = SinkHealth("roboflow:birds", SinkState.PAUSED, "the key was revoked", 90.0, 120.0)
    store.record_sink_health(replace(resting, reason="at first"))
    store.record_sink_health(resting)
    store.record_sink_health(paused)
    assert store.sink_health() == {"folder": resting, "roboflow:birds": paused}


def test_a_retry_makes_what_waits_due_and_has_destinations_tried_at_once(store):
    write(store, active(store), 3)
    parked, waiting, done = claim(store)
    store.settle(replace(parked, state=DeliveryState.PARKED, attempts=1, error="no"))
    store.settle(replace(waiting, due_at=5000.0, attempts=4))
    sent(store, done)
    resting = SinkHealth("folder", SinkState.RESTING, "no answer", 100.0, 5000.0)
    store.record_sink_health(resting)
    assert store.retry(None, now=200.0) == 2
    assert store.sink_health() == {"folder": replace(resting, until=0.0)}
    assert {d.id for d in claim(store, now=200.0)} == {parked.id, waiting.id}


# ── what became of them ──────────────────────────────────────────────────────────────────────────────


def test_what_is_discarded_is_never_sent_and_what_was_sent_stays(store):
    made = active(store, destinations=("folder", "roboflow"))
    write(store, made, 3)
    (done, *_) = store.claim("roboflow", now=1e9, lease_s=1, limit=1)
    store.settle(replace(done, state=DeliveryState.SENT))
    assert store.discard(None, sink="roboflow") == 2
    assert store.discard([done.id, 10**6]) == 0
    assert store.discard([store.deliveries(sink="folder")[0].id]) == 1
    assert (len(store.deliveries(sink="folder")), len(store.deliveries(sink="roboflow"))) == (2, 1)
    assert len(store.samples()) == 3


def test_outcomes_are_asked_for_in_turn_and_what_was_deleted_no_more(store):
    write(store, active(store, destinations=("roboflow", "roboflow:birds", "roboflower", "folder")), 2)
    for sink in ("roboflow", "roboflow:birds", "roboflower", "folder"):
        for delivery in claim(store, sink=sink):
            sent(store, delivery)
    unread = store.unread("roboflow", read_before=100.0, limit=9)
    assert {d.sink for d in unread} == {"roboflow", "roboflow:birds"}
    assert len(unread) == 4
    first, second, third, _ = unread
    store.record_outcomes(
        [
            Outcome(first.id, Fate.DELETED, "", 50.0),
            Outcome(second.id, Fate.WAITING, "", 60.0),
            Outcome(third.id, Fate.ANNOTATED, "train", 200.0),
        ]
    )
    again = store.unread("roboflow", read_before=100.0, limit=9)
    assert [d.id for d in again] == [unread[3].id, second.id], "never read first, then those read longest ago"
    assert len(store.unread("roboflow", read_before=100.0, limit=1)) == 1


def test_nothing_is_asked_of_what_was_not_sent(store):
    write(store, active(store, destinations=("roboflow",)), 2)
    assert store.unread("roboflow", read_before=100.0, limit=9) == []


def test_fates_are_counted_by_campaign_version_camera_and_destination(store):
    of = active(store, destinations=("roboflow",))
    other = active(store, "cats", destinations=("roboflow",))
    seen = [*frames(3), *frames(1, start=3, camera="yard")]
    store.write(Batch(seen, [sample(of, each) for each in seen]))
    store.write(Batch(samples=[sample(other, frames(1, start=9)[0])]))
    claimed = sorted(claim(store, sink="roboflow"), key=lambda d: d.id)
    for delivery in claimed:
        sent(store, delivery)
    fates = (Fate.ANNOTATED, Fate.ANNOTATED, Fate.DELETED, Fate.ANNOTATED)
    store.record_outcomes([Outcome(d.id, fate, "valid", 9.0) for d, fate in zip(claimed, fates, strict=False)])
    store.record_outcomes([])
    birds = [
        FateCount("birds", 1, "porch", "roboflow", Fate.ANNOTATED, 2),
        FateCount("birds", 1, "porch", "roboflow", Fate.DELETED, 1),
        FateCount("birds", 1, "yard", "roboflow", Fate.ANNOTATED, 1),
    ]
    assert store.fates() == store.fates("birds") == birds
    assert store.fates("cats") == []
