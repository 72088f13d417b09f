"""From a camera to a Roboflow project that fails now and then, with the hub killed half-way, and back again."""

import hashlib
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from tests.e2e.processes import Hub, camera, wait_for
from tests.hub.delivering import picture
from tests.roboflow_server import RoboflowServer, Stored

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FAULTS = ("broken", "reset-after", "rate-limited-silently", "bad-gateway", "reset-during", "unsuccessful")
SEEDS = [
    ("two-tags.jpg", ["sample-more", "sample-threshold:99", "sample-tag:tow-truck", "sample-tag:night"]),
    ("no-threshold.jpg", ["sample-more", "sample-tag:tow-truck"]),
]


@dataclass
class Loop:
    """What is left behind."""

    hub: Hub
    server: RoboflowServer
    arrived: list[Stored] = field(default_factory=list)


@pytest.fixture(scope="module")
def loop(tmp_path_factory, models_dir, data_dir):
    """Twenty seconds of a camera, and everything delivered."""
    hub = Hub(tmp_path_factory.mktemp("loop") / "data", models_dir)
    hub.data_dir.mkdir()
    film = data_dir / "video" / "one-by-one-person-detection.mp4"
    with RoboflowServer(hold_s=1.0) as server, camera(film, 4) as url:
        seeds = {server.add("birds", picture(90 + i), name=n, tags=t).id for i, (n, t) in enumerate(SEEDS)}
        hub.env |= {"ROBOFLOW_KEY": server.key, "ROBOFLOW_PROJECT": "birds", "ROBOFLOW_API_URL": server.url}
        hub.env |= {"HUB_ROBOFLOW_MINUTES": "0.05", "HUB_DETECTOR": "yolov8n_dynamic"}
        hub("cameras", "add", "door", url, "--interval", "0.5")
        people = ("--trigger", "detection", "--labels", "person", "--threshold", "0.5")
        hub("campaigns", "create", "people", *people, "--destination", "folder", "--destination", "roboflow")
        hub("campaigns", "activate", "people")
        chance = random.Random(1)
        server.faulty = lambda route: chance.choice(FAULTS) if chance.random() < 0.25 else ""
        server.fail("image-not-found", route="annotate", times=2)
        hub.start()
        wait_for(lambda: len(server.images()) >= len(SEEDS) + 3, 90, "pictures arrive")
        hub.stop(signal.SIGKILL)
        hub.start()
        time.sleep(10)
        wait_for(lambda: _is_synced(hub), 30, "tags become campaigns")
        hub("cameras", "remove", "door")
        server.faulty = lambda route: ""
        wait_for(lambda: _all_sent(hub), 90, "everything is sent")
        assert hub.stop() == 0, hub.log()
        yield Loop(hub, server, [image for image in server.images() if image.id not in seeds])


def _is_synced(hub: Hub) -> bool:
    return sum(row["name"].startswith("roboflow/") for row in hub.json("campaigns", "list")) == 2


def _all_sent(hub: Hub) -> bool:
    hub("deliveries", "retry")
    return all(row["state"] == "sent" for row in hub.json("deliveries", "list", "--limit", "100000"))


def test_each_sample_is_there_once_and_as_its_camera_sent_it(loop):
    sent = {row["sample"].partition(":")[2] for row in _deliveries(loop) if row["destination"] == "roboflow"}
    there = Counter(hashlib.blake2b(image.data, digest_size=16).hexdigest() for image in loop.arrived)
    assert len(there) >= 8
    assert there == Counter(sent)


def test_the_folder_has_them_too(loop):
    taken = {row["id"].partition(":")[2] for row in loop.hub.json("samples", "list", "--campaign", "people")}
    files = (loop.hub.data_dir / "datasets" / "people" / "images").rglob("*.jpg")
    assert {file.stem for file in files} == taken


def test_each_says_why_it_was_taken(loop):
    people = [image for image in loop.arrived if image.metadata["campaign"] == "people"]
    assert people
    for image in people:
        assert {"campaign:people", "camera:door", "version:1"} <= set(image.tags)
        assert (image.metadata["threshold"], image.metadata["camera"], image.metadata["version"]) == (0.5, "door", 1)
        assert image.metadata["score"] >= 0.5
        assert "yolov8n" in image.metadata["detector"]


def test_what_was_detected_is_proposed_as_annotation_once(loop):
    for image in loop.arrived:
        if image.metadata["campaign"] == "people":
            assert image.annotated == 1
            assert "person" in {each["class"] for each in image.annotation["predictions"]}


def test_tags_became_campaigns_and_a_bad_tag_is_named(loop):
    report = loop.hub.json("roboflow", "sync")
    assert report["unchanged"] == ["roboflow/night", "roboflow/tow-truck"]
    ((problem),) = report["problems"]
    assert problem["image"] == "no-threshold.jpg"
    shown = loop.hub.json("campaigns", "show", "roboflow/tow-truck")
    assert (shown["state"], shown["tags"], shown["threshold"]) == ("active", ["tow-truck"], 0.99)


def test_what_became_of_them_is_read_back(loop):
    kept, thrown, *_ = [image for image in loop.arrived if image.metadata["campaign"] == "people"]
    kept.labels.append("person")
    loop.server.remove(thrown.id)
    # The running hub read them before, and what was read just now is not read again.
    wait_for(lambda: _people(loop)["annotated"] == 1, 30, "the outcomes are read")
    assert (_people(loop)["deleted"], _people(loop)["precision"]) == (1, 0.5)
    assert loop.hub.json("campaigns", "show", "people")["precision_there"] == 0.5


def _people(loop: Loop) -> dict[str, float]:
    rows = loop.hub.json("roboflow", "outcomes", "--campaign", "people")
    return next(row for row in rows if row["camera"] == "door")


def test_a_check_says_that_all_is_well_or_what_is_not(loop):
    assert all(row["ok"] for row in loop.hub.json("roboflow", "check"))
    loop.hub.env["ROBOFLOW_PROJECT"] = "brids"
    said = loop.hub("roboflow", "check", code=1)
    loop.hub.env["ROBOFLOW_PROJECT"] = "birds"
    assert "brids" in said


def test_the_key_is_nowhere(loop):
    key = loop.server.key.encode()
    for file in loop.hub.data_dir.rglob("*"):
        assert not file.is_file() or key not in file.read_bytes(), file
    assert loop.server.key not in str(_deliveries(loop))


def _deliveries(loop: Loop) -> list[dict]:
    return loop.hub.json("deliveries", "list", "--limit", "100000")
