"""What people made of the pictures that were sent."""

from dataclasses import replace

import pytest

from hub.deliveries import DeliveryState, Fate, FateCount
from hub.outcomes import AT_ONCE, Yield, overall, read_outcomes, yields
from hub.roboflow import Roboflow
from hub.sinks.roboflow_terms import remote_id
from hub.store import open_store
from shared.errors import Refused, RetryLater
from tests.hub.delivering import fill, picture
from tests.roboflow_server import RoboflowServer

PROJECTS = {"birds": "object-detection", "owls": "object-detection"}


@pytest.fixture
def server():
    with RoboflowServer(projects=PROJECTS) as running:
        yield running


@pytest.fixture
def api(server):
    with Roboflow(server.key, url=server.url) as client:
        yield client


@pytest.fixture
def store(tmp_path, server):
    """Four samples that were sent, two to each project."""
    fill(tmp_path, 2, ("roboflow", "roboflow:owls"))
    opened = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    for i, delivery in enumerate(opened.deliveries()):
        project = delivery.sink.partition(":")[2] or "birds"
        there = server.add(project, picture(i))
        opened.settle(replace(delivery, state=DeliveryState.SENT, remote_id=remote_id(project, there.id)))
    yield opened
    opened.close()


def fates(store):
    return {(each.sink, each.fate): each.count for each in store.fates()}


def test_each_is_asked_for_in_its_own_project(store, api, server):
    server.images("birds")[0].labels.append("owl")
    server.remove(server.images("owls")[1].id)
    assert read_outcomes(store, api, now=100.0, older_than_s=10.0) == 4
    assert fates(store) == {
        ("roboflow", Fate.ANNOTATED): 1,
        ("roboflow", Fate.WAITING): 1,
        ("roboflow:owls", Fate.WAITING): 1,
        ("roboflow:owls", Fate.DELETED): 1,
    }


def test_what_was_read_just_now_is_left_alone_and_what_was_deleted_for_ever(store, api, server):
    server.remove(server.images("owls")[0].id)
    read_outcomes(store, api, now=100.0, older_than_s=10.0)
    assert read_outcomes(store, api, now=105.0, older_than_s=10.0) == 0
    assert read_outcomes(store, api, now=200.0, older_than_s=10.0) == 3


def test_images_of_a_project_that_cannot_be_seen_are_not_taken_for_deleted(store, api, server):
    del server.projects["owls"]
    with pytest.raises(Refused, match="owls"):
        read_outcomes(store, api, now=100.0, older_than_s=10.0)
    assert fates(store) == {}


def test_what_was_read_before_a_failure_is_kept(tmp_path, api, server):
    fill(tmp_path, AT_ONCE + 2, ("roboflow",))
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    for delivery in store.deliveries():
        store.settle(replace(delivery, state=DeliveryState.SENT, remote_id="birds/gone"))
    answers = iter([""] * (AT_ONCE + 1) + ["broken"] * 100)
    server.faulty = lambda route: next(answers) if route == "image" else ""
    with pytest.raises(RetryLater):
        read_outcomes(store, api, now=100.0, older_than_s=10.0)
    assert fates(store) == {("roboflow", Fate.DELETED): AT_ONCE}
    store.close()


def test_precision_is_the_share_of_annotated_among_the_decided():
    counts = [
        FateCount("owls", 1, "barn", "roboflow", Fate.ANNOTATED, 3),
        FateCount("owls", 2, "barn", "roboflow", Fate.DELETED, 1),
        FateCount("owls", 2, "yard", "roboflow:other", Fate.WAITING, 5),
    ]
    rows = yields(counts)
    assert rows == [Yield("owls", "", 3, 1, 5), Yield("owls", "barn", 3, 1, 0), Yield("owls", "yard", 0, 0, 5)]
    assert [row.precision for row in rows] == [0.75, 0.75, None]
    assert overall(rows, "owls") == rows[0]
    assert overall(rows, "bats") is None
