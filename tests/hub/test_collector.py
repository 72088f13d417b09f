"""The collector with a real poller, real models and a real database."""

import asyncio
import logging
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from hub import campaigns as life
from hub.blobs import open_blobs
from hub.collector import Collector
from hub.models.embedder import load_embedder
from hub.models.yolo import load_detector
from hub.plan import Models
from hub.store import open_store
from hub.triggers.detection import Detection
from hub.triggers.similarity import Similarity
from hub.types import Budget, Camera, Campaign, CampaignState, RateLimit
from tests.hostile_cameras import HostileCameras
from tests.hub.making import seed, version


@pytest.fixture(scope="module")
def models(models_dir):
    detector = load_detector(models_dir / "detectors" / "yolox_nano_416_dynbatch.onnx", threads=1, confidence=0.05)
    embedder = load_embedder(models_dir / "mobilenetv2", threads=1)
    return Models(lambda: detector, lambda: embedder, batch=2, workers=2)


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def cameras():
    with HostileCameras() as server:
        yield server


class Running:
    """A collector in this test's event loop."""

    def __init__(self, store, models, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.blobs = open_blobs(f"file://{folder / 'frames'}")
        self.collector = Collector(store, self.blobs, models, indexes=folder / "indexes")

    def activate(self, name: str, budget: Budget = Budget(0.0)) -> None:
        """A campaign that takes whatever is looked at."""
        self.store.add_campaign(Campaign(0, name, Detection(), budget=budget), ())
        life.activate(self.store, self.blobs, name, lambda: None, now=time.time())

    def run(self, *steps) -> None:
        """Run the collector; each step is a condition to wait for, or an action."""
        asyncio.run(self._run(steps))

    async def _run(self, steps) -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(self.collector.run(stop))
        try:
            for step in steps:
                await self._until(step, running)
        finally:
            stop.set()
            await running

    async def _until(self, step, running) -> None:
        give_up_at = time.monotonic() + 20
        while not await asyncio.to_thread(step):
            assert not running.done(), running.result()
            assert time.monotonic() < give_up_at, f"waited in vain: {self.collector.status}"
            await asyncio.sleep(0.05)


@pytest.fixture
def hub(store, models, tmp_path):
    return Running(store, models, tmp_path)


def _done(action):
    """A step that acts once."""

    def step() -> bool:
        action()
        return True

    return step


def test_a_scene_that_stands_still_is_looked_at_once_and_counted_each_time(hub, store, cameras):
    store.add_camera(Camera("still", f"{cameras.url}/same", 0.1))
    hub.activate("all")
    hub.run(lambda: sum(c.processed for c in store.counts("all")) >= 12)
    assert hub.collector.status.inferred == 1
    assert len(store.samples()) == 1
    assert store.health()["still"].unchanged >= 11


def test_a_campaign_that_starts_sees_the_scene_that_stands_still(hub, store, cameras):
    store.add_camera(Camera("still", f"{cameras.url}/same", 0.1))
    hub.activate("first")
    hub.run(
        lambda: store.samples(campaign="first"),
        _done(lambda: hub.activate("second")),
        lambda: store.samples(campaign="second"),
    )
    assert len(store.samples(campaign="first")) == 1


def test_cameras_and_campaigns_come_and_go_while_it_runs(hub, store, cameras):
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.1))
    hub.activate("all")
    settled = []
    hub.run(
        lambda: store.samples(camera="one"),
        _done(lambda: store.add_camera(Camera("two", f"{cameras.url}/good", 0.1))),
        lambda: store.samples(camera="two"),
        _done(lambda: store.set_campaign_state("all", CampaignState.INACTIVE)),
        lambda: hub.collector.status.campaigns == 0,
        _done(lambda: time.sleep(0.5)),
        _done(lambda: settled.append(store.counts("all"))),
        _done(lambda: time.sleep(0.7)),
    )
    assert store.counts("all") == settled[0]


def test_every_sample_has_its_picture(hub, store, cameras):
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.05))
    hub.activate("all")
    hub.run(lambda: len(store.samples()) >= 10)
    for sample in store.samples():
        assert hub.blobs.get(sample.frame_id)
    assert set(hub.blobs.keys()) == store.blob_keys()


def test_where_no_picture_can_be_stored_it_says_so_goes_on_polling_and_recovers(hub, store, cameras, tmp_path):
    (tmp_path / "frames").write_text("a file where the folder should be")
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.1))
    hub.activate("all", Budget(0.0, (RateLimit(3, 3600.0),)))
    hub.run(
        lambda: "frames" in hub.collector.status.problem,
        _done(lambda: store.health()),
        lambda: "one" in store.health() and store.health()["one"].polled > 10,
        _done(lambda: _nothing_half_written(store)),
        _done((tmp_path / "frames").unlink),
        lambda: len(store.samples()) == 3,
        lambda: not hub.collector.status.problem,
    )
    assert all(sample.frame_id in hub.blobs for sample in store.samples())


def test_a_still_scene_that_could_not_be_stored_is_looked_at_again(hub, store, cameras, tmp_path):
    (tmp_path / "frames").write_text("a file where the folder should be")
    store.add_camera(Camera("still", f"{cameras.url}/same", 0.1))
    hub.activate("all")
    hub.run(lambda: hub.collector.status.problem, _done((tmp_path / "frames").unlink), store.samples)
    assert len(store.samples()) == 1


def _nothing_half_written(store) -> None:
    assert store.samples() == []
    assert store.deliveries() == []


def test_a_campaign_whose_seeds_can_not_be_embedded_anew_is_left_out_and_named(hub, store, cameras, caplog):
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.1))
    other = seed(np.ones(8), "old")
    campaign = store.add_campaign(Campaign(0, "old seeds", Similarity()), [other])
    store.commit(version(Similarity(), (other,), campaign_id=campaign.id, campaign="old seeds"))
    store.set_campaign_state("old seeds", CampaignState.ACTIVE)
    hub.activate("all")
    with caplog.at_level(logging.WARNING):
        hub.run(lambda: store.samples(campaign="all"))
    assert store.samples(campaign="old seeds") == []
    assert any("'old seeds' are of another model" in record.getMessage() for record in caplog.records)


def test_a_picture_that_only_decoding_unmasks_is_named_on_its_camera(hub, store, cameras):
    whole = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[1].tobytes()
    middle = len(whole) // 2
    cameras.pictures[:] = [whole[:middle] + bytes(200) + whole[middle + 200 :]]
    store.add_camera(Camera("torn", f"{cameras.url}/good", 0.1))
    hub.activate("all")
    hub.run(lambda: "torn" in store.health() and store.health()["torn"].state == "failing")
    assert store.health()["torn"].reason == "not-an-image"
    assert store.samples() == []
