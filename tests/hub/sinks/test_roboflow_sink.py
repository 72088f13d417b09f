"""The Roboflow destination: what arrives there, and that nothing is lost or doubled whatever goes wrong."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.attempt import Says, attempt
from hub.deliveries import Delivery, DeliveryState, Parcel
from hub.sinks.batches import Batches, batch_of
from hub.sinks.options import RoboflowOptions, SinkOptions
from hub.sinks.roboflow import RoboflowSink
from hub.types import Detections, RateLimit
from shared.errors import InvalidInput, NotSetUp, Paused, Refused, RetryLater
from tests.hub.delivering import parcel, picture
from tests.roboflow_server import ANSWERS, HAPPENINGS, KEY, RoboflowServer

NOON = 1795262400.0
"""2026-11-21, 12:00 UTC, a Saturday of week 47."""


@pytest.fixture
def server():
    with RoboflowServer(hold_s=2.0) as server:
        yield server


def sink_of(server: RoboflowServer, request_s: float = 5.0, **changes: object) -> RoboflowSink:
    options = RoboflowOptions(key=server.key, project="birds", url=server.url)
    return RoboflowSink(replace(options, **changes), request_s=request_s, send_s=4 * request_s)


def noon(i: int = 0, **changes: object) -> Parcel:
    return parcel(picture(i), **{"taken_at": NOON, "created_at": NOON, **changes})


# ── what arrives ─────────────────────────────────────────────────────────────────────────────────────


def test_a_sample_arrives_with_its_bytes_its_tags_and_why_it_was_taken(server):
    sent = replace(noon(tags=("a tow truck", "!"), control=True), redaction="2 faces blurred")
    image_id = sink_of(server, split="valid").send(sent)
    (there,) = server.images()
    assert (f"birds/{there.id}", there.data, there.split) == (image_id, picture(), "valid")
    assert there.name == f"porch_20261121T120000Z_{sent.sample.frame_id[:8]}.jpg"
    assert there.batch == "bowerbird-2026-11-21"
    assert there.tags == ["a-tow-truck", "2026-11-21", "campaign:birds", "camera:porch", "version:1", "control"]
    said = there.metadata
    assert (said["sample"], said["frame"], said["camera"]) == (sent.sample.id, sent.sample.frame_id, "porch")
    assert (said["taken_at"], said["threshold"]) == ("2026-11-21T12:00:00.000Z", 0.5)
    assert (said["redaction"], said["control"]) == ("2 faces blurred", True)
    assert all(isinstance(value, str | int | float | bool) for value in said.values())


def test_detections_become_predictions_around_their_centres(server):
    found = Detections(np.float32([[10, 20, 30, 60], [600, 400, 700, 500]]), np.float32([0.9, 0.5]), ("cat", "bird"))
    sink_of(server).send(noon(detections=found))
    (there,) = server.images()
    assert there.annotation["image"] == {"width": 640, "height": 480}
    cat, bird = there.annotation["predictions"]
    assert {name: cat[name] for name in ("x", "y", "width", "height")} == {"x": 20, "y": 40, "width": 20, "height": 40}
    assert (cat["class"], cat["class_id"], cat["confidence"]) == ("cat", 1, 0.9)
    assert (bird["x"], bird["width"], bird["class_id"]) == (620, 40, 0)  # what is beyond the picture is cut off


def test_predictions_have_the_same_ids_at_every_try(server):
    sink_of(server).send(noon())
    first = server.images()[0].annotation
    server.remove(server.images()[0].id)
    sink_of(server).send(noon())
    assert server.images()[0].annotation == first


def test_without_boxes_nothing_is_annotated(server):
    sink_of(server).send(noon(detections=Detections.empty()))
    assert not server.asked("annotate") + server.asked("project")


def test_annotations_can_be_switched_off(server):
    sink_of(server, annotate=False).send(noon())
    assert not server.asked("annotate") + server.asked("project")


def test_a_project_of_another_type_gets_no_boxes_and_is_asked_once():
    with RoboflowServer(projects={"birds": "single-label-classification"}) as server:
        sink = sink_of(server)
        for i in range(3):
            sink.send(noon(i))
        assert not server.asked("annotate")
        assert len(server.asked("project")) == 1


def test_a_frame_of_two_campaigns_is_one_image_with_the_tags_of_both(server):
    sink = sink_of(server)
    assert sink.send(noon()) == sink.send(noon(campaign="foxes", campaign_id=2))
    (there,) = server.images()
    assert {"campaign:birds", "campaign:foxes"} <= set(there.tags)


def test_png_stays_png(server):
    sink_of(server).send(parcel(picture(suffix=".png")))
    assert server.images()[0].name.endswith(".png")


def test_what_is_no_picture_is_refused_here(server):
    with pytest.raises(Refused, match="damaged"):
        sink_of(server).send(replace(noon(), picture=b"nothing"))
    assert not server.requests


# ── batches ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("every", "name"),
    [
        ("never", "bowerbird"),
        ("day", "bowerbird-2026-11-21"),
        ("week", "bowerbird-2026-W47"),
        ("month", "bowerbird-2026-11"),
    ],
)
def test_a_batch_is_named_by_its_period(every, name):
    assert batch_of("bowerbird", every, NOON) == name


def test_a_week_goes_by_its_own_year():
    assert batch_of("", "week", 1767182400.0) == "2026-W01"  # 2025-12-31


def test_a_full_batch_is_followed_by_the_next_counting_what_was_there(server):
    server.add("birds", b"1", batch="bowerbird-2026-11-21")
    sink = sink_of(server, batch_size=2)
    for i in range(4):
        sink.send(noon(i))
    names = [image.batch.removeprefix("bowerbird-2026-11-21") for image in server.images()]
    assert names == ["", "", "-2", "-2", "-3"]
    assert len(server.asked("batches")) == 1


def test_threads_fill_batches_to_the_brim_and_not_beyond(server):
    sink = sink_of(server, batch_size=5, annotate=False)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sink.send, [noon(i) for i in range(23)]))
    sizes = sink._api.batch_sizes("birds")
    assert sorted(sizes.values()) == [3, 5, 5, 5, 5]


def test_tries_that_fail_take_no_second_place(server):
    sink = sink_of(server, batch_size=1)
    server.fail("broken", route="upload", times=5)
    for _ in range(5):
        with pytest.raises(RetryLater):
            sink.send(noon())
    sink.send(noon())
    assert server.images()[0].batch == "bowerbird-2026-11-21"


def test_an_upload_whose_answer_was_lost_keeps_its_place(server):
    sink = sink_of(server, batch_size=1)
    server.fail("reset-after", route="upload")
    with pytest.raises(RetryLater):
        sink.send(noon())
    sink.send(noon())
    sink.send(noon(1))
    assert [image.batch for image in server.images()] == ["bowerbird-2026-11-21", "bowerbird-2026-11-21-2"]


@given(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60))
def test_no_batch_ever_holds_more_than_its_size(size, moves):
    batches, filled = Batches(size, {"b": 1}), {"b": 1}
    for sample, fills in moves:
        name, fresh = batches.take("b", str(sample))
        assert fresh or filled.get(name, 0) < size
        batches.done(str(sample), filled=fills)
        filled[name] = filled.get(name, 0) + fills
    assert max(filled.values()) <= max(size, 1)


# ── what is missing, and what goes wrong ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "error", "hint"),
    [
        ({"key": ""}, NotSetUp, "ROBOFLOW_KEY"),
        ({"project": ""}, NotSetUp, "ROBOFLOW_PROJECT"),
        ({"split": "half"}, InvalidInput, "train"),
        ({"batch_every": "year"}, InvalidInput, "week"),
    ],
)
def test_a_setting_that_is_missing_is_named_before_anything_is_asked(changes, error, hint, tmp_path):
    options = SinkOptions(tmp_path, replace(RoboflowOptions(key="k", project="p"), **changes))
    for make in (RoboflowSink.check, RoboflowSink.open):
        with pytest.raises(error) as caught:
            make(options, "")
        assert hint in caught.value.hint


def test_the_destination_may_name_its_project(server, tmp_path):
    server.projects["foxes"] = "object-detection"
    options = SinkOptions(tmp_path, RoboflowOptions(key=server.key, project="birds", url=server.url))
    RoboflowSink.open(options, "foxes").send(noon())
    assert not server.images("birds")
    assert server.images("foxes")


def test_the_rate_is_that_of_the_options(server):
    assert sink_of(server, rate=RateLimit(2, 1.0)).pace.rate == RateLimit(2, 1.0)


def test_a_project_that_is_not_there_pauses_the_destination(server):
    with pytest.raises(Paused, match="'trees'"):
        sink_of(server, project="trees").send(noon())


def test_a_project_that_can_not_be_counted_pauses_the_destination(server):
    with pytest.raises(Paused, match="'trees'"):
        sink_of(server, project="trees", batch_size=3).send(noon())


@pytest.mark.parametrize("kind", ["refused", "too-large", "forbidden"])
def test_a_refused_annotation_does_not_lose_the_upload(kind, server, caplog):
    server.fail(kind, route="annotate")
    with caplog.at_level(logging.WARNING):
        assert sink_of(server).send(noon()) == f"birds/{server.images()[0].id}"
    assert "annotation was refused" in caplog.text


def test_a_picture_that_is_there_is_not_uploaded_again_for_its_annotation(server):
    sink = sink_of(server)
    server.fail("image-not-found", route="annotate", times=3)
    delivery, tries = deliver(sink, noon())
    assert (delivery.state, tries, len(server.asked("upload"))) == (DeliveryState.SENT, 4, 1)
    assert server.images()[0].annotated == 1


def test_what_went_to_another_project_before_is_uploaded_to_this_one(server):
    server.projects["owls"] = "object-detection"
    there = sink_of(server).send(noon())
    assert sink_of(server, project="owls").send(replace(noon(), remote_id=there)).startswith("owls/")
    assert (len(server.images("birds")), len(server.images("owls"))) == (1, 1)


def test_a_revoked_key_pauses_with_the_id_of_what_was_uploaded(server):
    server.fail("revoked", route="annotate")
    with pytest.raises(Paused, match="ROBOFLOW_KEY") as caught:
        sink_of(server).send(noon())
    assert caught.value.remote_id == f"birds/{server.images()[0].id}"


PARKS = {"upload": {"refused", "bad-image", "too-large", "forbidden", "annotated", "annotated-before"}}
"""Answers that say that this picture will never be taken."""


@pytest.mark.parametrize("route", ["upload", "annotate", "project", "key"])
@pytest.mark.parametrize("kind", [*ANSWERS, *HAPPENINGS])
def test_whatever_goes_wrong_nothing_is_lost_or_doubled(kind, route, server, caplog):
    caplog.set_level(logging.DEBUG)
    sink = sink_of(server, request_s=0.25 if kind in HAPPENINGS else 10.0)
    server.fail(kind, route=route, times=2)
    delivery, _ = deliver(sink, noon())
    assert KEY not in caplog.text
    if kind in PARKS.get(route, ()):
        assert delivery.state is DeliveryState.PARKED
        server.heal()
        delivery, _ = deliver(sink, noon())  # as a person tries it again
    assert delivery.state is DeliveryState.SENT
    (there,) = server.images()
    assert delivery.remote_id == f"birds/{there.id}"
    assert there.data == picture()
    assert "campaign:birds" in there.tags
    refused = route == "annotate" and kind in {"refused", "bad-image", "too-large", "forbidden"}
    kept_away = refused or (route == "annotate" and kind in {"annotated", "annotated-before"})
    assert there.annotated == (0 if kept_away else 1)


def deliver(sink: RoboflowSink, sent: Parcel) -> tuple[Delivery, int]:
    """Try until it is sent or parked, as the forwarder does; also how often that was."""
    delivery = Delivery(1, sent.sample.id, "roboflow")
    for number in range(1, 30):
        tried = attempt(
            delivery, replace(sent, remote_id=delivery.remote_id), sink, clock=lambda: NOON, random=lambda: 0.0
        )
        delivery = tried.delivery
        assert KEY not in json.dumps([delivery.error, tried.reason])
        if delivery.state is not DeliveryState.PENDING:
            return delivery, number
        assert tried.says is not Says.WORKS
    raise AssertionError(f"still waiting: {delivery.error}")
