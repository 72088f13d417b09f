"""The collector with a real poller, real models and a real database."""

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from hub import campaigns as life
from hub import collector as module
from hub.blobs import open_blobs
from hub.collector import Collector
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.models.embedder import load_embedder
from hub.models.yolo import load_detector
from hub.plan import Models
from hub.recent import Recent
from hub.room import Space
from hub.seeds import Pictures, picture_seeds, text_seeds
from hub.store import open_store
from hub.triggers.change import Change
from hub.triggers.detection import Detection
from hub.triggers.random import Random
from hub.triggers.similarity import Similarity
from hub.types import (
    Batch,
    Budget,
    Camera,
    Campaign,
    CampaignState,
    Counts,
    Detections,
    Frame,
    Needs,
    Observation,
    RateLimit,
    SeedKind,
)
from shared.errors import ModelError
from tests.hostile_cameras import HostileCameras, picture
from tests.hub.making import observation, seed, version


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
        self.ahead_s = 0.0
        self.start_anew(models)

    def start_anew(self, models, **more) -> None:
        """Another process on the same data. Its clock is `ahead_s` ahead of the cameras'."""
        clock = lambda: time.time() + self.ahead_s  # noqa: E731
        self.collector = Collector(self.store, self.blobs, models, indexes=self.folder / "indexes", now=clock, **more)

    def remember(self, models, what: Needs = Needs(frame_vector=True), retention_s: float = 86400.0) -> Recent:
        """From now on with a memory of what is seen."""
        roots = (open_blobs(f"file://{self.folder / name}") for name in ("recent", "thumbnails"))
        recent = Recent(
            *roots,
            self.store,
            disk=lambda: Space(10**12, 10**12),
            max_disk_gb=1.0,
            retention_s=retention_s,
        )
        self.start_anew(models, remember=what, recent=recent, retention_s=retention_s)
        return recent

    def activate(self, name: str, budget: Budget = Budget(0.0), trigger=None, seeds=(), embedder=None) -> None:
        """A campaign that takes whatever is looked at."""
        self.store.add_campaign(Campaign(0, name, trigger or Detection(), budget=budget), seeds)
        life.activate(self.store, self.blobs, name, lambda: embedder, now=time.time())

    def judged(self) -> set[str]:
        """The frames that were judged by some campaign."""
        with contextlib.closing(sqlite3.connect(self.folder / "hub.sqlite")) as database:
            return {frame for (frame,) in database.execute("select frame_id from judged_frames")}

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


# ── windows ──────────────────────────────────────────────────────────────────────────────────────────

LOT = Random(1)
"""Each picture has a score of its own, with no model at all."""

YEARS_S = 1e8


def best_of_long(count):
    """A budget of the `count` best of a window that goes on for days yet."""
    return Budget(0.0, target=RateLimit(count, next(s for s in (1e6, 1.3e6) if time.time() % s < s - 3600)))


def is_best(hub, samples, count):
    """Whether these are the best of all that was judged, each once."""
    frames = [Frame("one", 1, 0.0, picture(number)) for number in range(50)]
    values = {f.id: LOT.score(observation_of(f), None, {})[0].value for f in frames if f.id in hub.judged()}
    assert len(values) > count
    expected = sorted(values, key=values.__getitem__)[-count:]
    return sorted(s.frame_id for s in samples) == sorted(expected)


def observation_of(frame):
    return Observation(frame, (320, 240), Detections.empty(), np.zeros((0, 0), np.float32))


def _hold(hub, cameras, count=3):
    """Run until more was judged than a window takes, and something is held."""
    hub.store.add_camera(Camera("one", f"{cameras.url}/good", 0.05))
    hub.activate("best", best_of_long(count), LOT)
    hub.run(lambda: len(hub.judged()) > 12)
    assert hub.store.samples() == []
    assert len(hub.store.held()) == count


def _kill_at_the_end(hub):
    """Nothing is saved at the end but what was written on the way."""
    hub.collector._save_memory = lambda: None


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_a_window_goes_on_after_a_restart_and_gives_the_best_of_all_of_it_once(hub, store, models, cameras, killed):
    if killed:
        _kill_at_the_end(hub)
    _hold(hub, cameras)
    before = hub.judged()
    hub.start_anew(models)
    hub.run(
        lambda: len(hub.judged()) > len(before) + 8,
        _done(lambda: store.remove_camera("one")),
        _done(lambda: time.sleep(1.2)),
        _done(lambda: setattr(hub, "ahead_s", YEARS_S)),
        store.samples,
        lambda: not store.held(),
    )
    assert is_best(hub, store.samples(), 3)
    assert len(store.deliveries()) == 3
    assert all(sample.frame_id in hub.blobs for sample in store.samples())
    hub.start_anew(models)
    hub.run(_done(lambda: time.sleep(1.5)))
    assert len(store.samples()) == len(store.deliveries()) == 3
    assert sum(c.collected for c in store.counts()) == 3


def test_a_window_that_ended_while_the_hub_was_off_is_closed_when_it_starts(hub, store, models, cameras):
    _hold(hub, cameras)
    judged = hub.judged()
    store.remove_camera("one")
    hub.ahead_s = YEARS_S
    hub.start_anew(models)
    hub.run(lambda: len(store.samples()) == 3)
    assert hub.judged() == judged
    assert is_best(hub, store.samples(), 3)


def test_a_clock_that_is_set_back_in_mid_window_keeps_nothing_waiting(hub, store, cameras):
    hub.ahead_s = YEARS_S
    _hold(hub, cameras)
    held = {h.sample.frame_id for h in store.held()}
    hub.ahead_s = 0.0
    hub.start_anew(hub.collector._models)
    hub.run(lambda: len(store.samples()) >= 3, _done(lambda: time.sleep(1.5)))
    assert {s.frame_id for s in store.samples()} == held
    assert len(store.held()) == 3, "a window of the time it is now has begun"
    assert held.isdisjoint(h.sample.frame_id for h in store.held())


@pytest.mark.parametrize("state", [CampaignState.INACTIVE, CampaignState.ARCHIVED])
@pytest.mark.parametrize("off", [False, True], ids=["while it runs", "while it is off"])
def test_a_campaign_that_ends_in_mid_window_gives_what_it_held(hub, store, models, cameras, state, off):
    _hold(hub, cameras)
    held = {h.sample.frame_id for h in store.held()}
    end = _done(lambda: store.set_campaign_state("best", state))
    if off:
        end()
    hub.start_anew(models)
    hub.run(end, lambda: len(store.samples()) == 3, _done(lambda: time.sleep(1.2)))
    assert store.held() == []
    assert len(store.samples()) == len(store.deliveries()) == 3
    assert is_best(hub, store.samples(), 3)
    if off:
        assert {s.frame_id for s in store.samples()} == held
    assert sum(c.collected for c in store.counts("best")) == 3


def test_other_campaigns_hold_on_when_one_ends(hub, store, cameras):
    hub.activate("other", best_of_long(2), LOT)
    _hold_two = lambda: len(store.held()) == 5  # noqa: E731
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.05))
    hub.activate("best", best_of_long(3), LOT)
    hub.run(
        _hold_two,
        _done(lambda: store.set_campaign_state("best", CampaignState.INACTIVE)),
        lambda: len(store.samples(campaign="best")) == 3,
    )
    assert {h.sample.campaign for h in store.held()} == {"other"}
    assert store.samples(campaign="other") == []


def test_a_campaign_that_comes_changes_nothing_for_one_that_goes_on(hub, store, cameras):
    budget = Budget(0.0, (RateLimit(4, 1e6),), stop_after=6)
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.05))
    hub.activate("limited", budget)
    hub.activate("best", best_of_long(3), LOT)
    hub.run(
        lambda: len(hub.judged()) > 8,
        _done(lambda: hub.activate("all")),
        lambda: len(store.samples(campaign="all")) > 8,
        _done(lambda: store.set_campaign_state("limited", CampaignState.INACTIVE)),
        lambda: hub.collector.status.campaigns == 2,
        _done(lambda: store.set_campaign_state("limited", CampaignState.ACTIVE)),
        lambda: hub.collector.status.campaigns == 3,
        _done(lambda: time.sleep(0.5)),
    )
    assert len(store.samples(campaign="limited")) == 4
    held = {h.sample.frame_id for h in store.held()}
    assert len(held) == 3
    assert store.samples(campaign="best") == []


class SlowEmbedder(BuiltinEmbedder):
    """Waits before every batch until it may go on."""

    def __init__(self) -> None:
        self.may_go_on, self.waiting = threading.Event(), threading.Event()

    def embed(self, images):
        self.waiting.set()
        assert self.may_go_on.wait(20)
        return super().embed(images)


@pytest.mark.parametrize("target", [None, RateLimit(3, 1e6)], ids=["taken at once", "held"])
def test_frames_on_their_way_when_a_campaign_ends_are_neither_taken_nor_held(store, cameras, tmp_path, target):
    slow = SlowEmbedder()
    hub = Running(store, Models(lambda: None, lambda: slow, workers=2), tmp_path)
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.05))
    hub.activate("ends", Budget(0.0, target=target), Change())
    hub.run(
        slow.waiting.is_set,
        _done(lambda: time.sleep(0.3)),
        _done(lambda: store.set_campaign_state("ends", CampaignState.INACTIVE)),
        lambda: hub.collector.status.campaigns == 0,
        _done(slow.may_go_on.set),
        _done(lambda: time.sleep(0.5)),
    )
    assert (store.samples(), store.held(), store.counts()) == ([], [], [])


# ── what is remembered ───────────────────────────────────────────────────────────────────────────────


def _frames_known(store, camera="one"):
    """How many frames the running average of a camera is of, as last saved."""
    rows = [row for row in store.remembered(1) if row.camera == camera]
    return rows[0].state["state"]["frames"] if rows else 0


@pytest.fixture
def watching(store, cameras, tmp_path, monkeypatch):
    """A campaign whose trigger counts the frames it has seen, saved often."""
    monkeypatch.setattr(module, "MEMORY_S", 0.2)
    embedder = BuiltinEmbedder()
    hub = Running(store, Models(lambda: None, lambda: embedder), tmp_path)
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.05))
    hub.activate("changes", Budget(0.9), Change("compat"))
    return hub


def test_what_was_learned_of_a_camera_is_there_after_a_restart(watching, store):
    watching.run(lambda: _frames_known(store) > 8)
    known = _frames_known(store)
    assert known == len(watching.judged())
    watching.start_anew(watching.collector._models)
    watching.run(lambda: _frames_known(store) > known + 8)
    assert _frames_known(store) == sum(c.processed for c in store.counts())


def test_a_reset_makes_a_running_collector_start_anew_within_its_reload(watching, store):
    watching.run(
        lambda: _frames_known(store) > 20,
        _done(lambda: store.forget(1)),
        lambda: 0 < _frames_known(store) < 18,
        lambda: _frames_known(store) > 25,
    )


def test_a_reset_of_one_camera_leaves_the_others(watching, store, cameras):
    store.add_camera(Camera("two", f"{cameras.url}/good", 0.05))
    watching.run(
        lambda: min(_frames_known(store), _frames_known(store, "two")) > 15,
        _done(lambda: store.forget(1, "one")),
        lambda: 0 < _frames_known(store) < 12,
    )
    assert _frames_known(store, "two") > 15


def test_a_reset_counts_before_anything_was_saved_on_time(watching, store, monkeypatch):
    monkeypatch.setattr(module, "MEMORY_S", 3600.0)
    watching.run(
        lambda: len(watching.judged()) > 20,
        _done(lambda: store.forget(1)),
        lambda: store.remembered(1),
        _done(lambda: time.sleep(0.3)),
    )
    assert 0 < _frames_known(store) < 18


def test_a_reset_just_before_the_end_is_kept(watching, store):
    watching.run(lambda: _frames_known(store) > 8, _done(lambda: store.forget(1)))
    assert _frames_known(store) < 8


def test_what_was_learned_is_saved_while_a_campaign_can_not_be_taken_up(watching, store):
    broken = Running(store, Models(_no_detector, watching.collector._models.embedder), watching.folder)
    reached = []
    broken.run(
        lambda: _frames_known(store) > 5,
        _done(lambda: broken.activate("birds")),
        lambda: "no detector" in broken.collector.status.problem,
        _done(lambda: reached.append(_frames_known(store))),
        lambda: _frames_known(store) > reached[0] + 10,
    )


def _no_detector():
    raise ModelError("no detector")


def test_another_setting_of_a_trigger_starts_afresh(watching, store):
    def edit() -> None:
        store.update_campaign(replace(store.campaign("changes"), trigger=Change("compat", strategy="sma")))
        life.commit(store, watching.blobs, "changes", lambda: None, now=time.time())

    known = []
    watching.run(
        lambda: _frames_known(store) > 25,
        _done(edit),
        lambda: 0 < _frames_known(store) < 22,
        _done(lambda: known.append(_frames_known(store))),
        lambda: _frames_known(store) > known[0] + 5,
    )
    (row,) = store.remembered(1)
    assert "sma" in row.state["trigger"]


# ── another embedder ─────────────────────────────────────────────────────────────────────────────────


def test_under_another_embedder_seeds_are_embedded_anew_and_the_campaign_goes_on(store, cameras, tmp_path, models_dir):
    old, new = BuiltinEmbedder(), load_embedder(models_dir / "mobilenetv2", threads=1)
    hub = Running(store, Models(lambda: None, lambda: old), tmp_path)
    found = Pictures([("mine.jpg", picture(7)), ("other.jpg", picture(8))])
    seeds = picture_seeds(found, SeedKind.IMAGE, hub.blobs, old)
    hub.activate("like it", Budget(0.0), Similarity(), seeds, old)
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.05))
    hub.run(lambda: len(store.samples()) >= 5)
    before = {s.id: (s.version, s.embedding_version) for s in store.samples()}
    hub.start_anew(Models(lambda: None, lambda: new))
    hub.run(lambda: len(store.samples()) >= len(before) + 5)
    assert set(before.values()) == {(1, old.version)}
    first, second = store.versions("like it")
    assert (first.embedding_version, second.embedding_version, second.number) == (old.version, new.version, 2)
    assert [s.name for s in second.seeds] == ["mine.jpg", "other.jpg"]
    assert all(s.vector.shape == (new.dim,) for s in second.seeds)
    for sample in store.samples():
        assert (sample.version, sample.embedding_version) == before.get(sample.id, (2, new.version))
    collected = {c.version: c.collected for c in store.counts("like it")}
    assert collected == {1: len(before), 2: len(store.samples()) - len(before)}


def test_words_are_embedded_anew_only_by_a_model_that_understands_them(
    hub, store, cameras, tmp_path, models_dir, caplog
):
    clip, blind = load_embedder(models_dir / "clip-student", threads=1), BuiltinEmbedder()
    hub.activate("words", Budget(0.0), Similarity(), text_seeds(["a bird"], clip), clip)
    hub.activate("all", Budget(0.0))
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.05))
    hub.start_anew(Models(hub.collector._models.detector, lambda: blind))
    with caplog.at_level(logging.WARNING):
        hub.run(lambda: store.samples(campaign="all"))
    assert store.campaign("words").version == 1
    assert any("understands no text" in record.getMessage() for record in caplog.records)
    hub.start_anew(Models(hub.collector._models.detector, lambda: clip))
    hub.run(lambda: store.samples(campaign="words"))
    assert {s.version for s in store.samples(campaign="words")} == {1}


def test_a_running_collector_calibrates_a_campaign_once_it_has_seen_enough(store, cameras, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CALIBRATE_S", 0.3)
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.1))
    embedder = BuiltinEmbedder()
    hub = Running(store, Models(lambda: None, lambda: embedder), tmp_path)
    found = Pictures([("mine.jpg", picture(7))])
    seeds = picture_seeds(found, SeedKind.IMAGE, hub.blobs, embedder)
    hub.activate("owls", Budget(1.0), Similarity(), seeds, embedder)
    rows = np.random.default_rng(0).standard_normal((250, embedder.dim))
    seen = [observation(vectors=row, content=f"before {i}") for i, row in enumerate(rows)]
    counts = [Counts(store.campaign("owls").id, 1, "porch", len(seen), 0)]
    store.write(Batch([replace(one, embedding_version=embedder.version) for one in seen], counts=counts))
    hub.run(lambda: len(store.versions("owls")) == 2, lambda: store.counts("owls")[-1].version == 2)
    first, second = store.versions("owls")
    assert not first.scorer.facts["calibrated"]
    assert second.scorer.facts["calibrated"]
    assert second.seeds[0].id == first.seeds[0].id


# ── the memory of what was seen ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def blind():
    """Models without weights."""
    embedder = BuiltinEmbedder()
    return Models(_no_detector, lambda: embedder)


def test_what_is_seen_is_remembered_without_any_campaign(hub, store, cameras, blind):
    recent = hub.remember(blind)
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.05))
    hub.run(lambda: store.archive.usage().pictures >= 10)
    version = blind.embedder().version
    usage = store.archive.usage()
    assert usage.elements == usage.frames == usage.pictures == store.archive.count(version)
    seen = store.archive.observations(version)
    assert all(cv2.imdecode(np.frombuffer(recent.pictures.get(s.frame.id), np.uint8), 1) is not None for s in seen)
    (use,) = store.archive.embedding_versions()
    assert (use.version, use.embedder, use.dim) == (version, blind.embedder().name, blind.embedder().dim)


def test_a_scene_that_stands_still_is_remembered_once(hub, store, cameras, blind):
    hub.remember(blind)
    store.add_camera(Camera("still", f"{cameras.url}/same", 0.05))
    hub.run(lambda: "still" in store.health() and store.health()["still"].unchanged > 8)
    assert store.archive.usage().pictures == hub.collector.status.inferred == 1


def test_a_sample_has_its_picture_once_and_what_is_held_may_be_let_go(hub, store, cameras, blind):
    recent = hub.remember(blind)
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.05))
    hub.activate("some", Budget(0.0, (RateLimit(3, 1e6),)), Change())
    hub.activate("best", Budget(0.0, target=RateLimit(2, 1e6)), Change())
    hub.run(lambda: len(store.samples()) == 3 and len(store.held()) == 2 and store.archive.usage().pictures > 8)
    taken, held = {s.frame_id for s in store.samples()}, {h.sample.frame_id for h in store.held()}
    kept = set(recent.pictures.keys())
    assert kept | taken == hub.judged()
    assert not kept & taken
    assert held <= kept | taken


def test_crops_are_remembered_where_it_is_wanted(hub, store, cameras, models):
    hub.remember(models, Needs(True, True, True, confidence=0.25, crop_confidence=0.25))
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.1))
    hub.run(lambda: store.archive.usage().frames >= 2)
    assert all(each.detector for each in store.archive.observations(models.embedder().version))


def test_only_what_campaigns_need_is_computed_where_that_is_wanted(hub, store, cameras, models):
    hub.remember(models, Needs())
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.05))
    idle = []
    hub.run(
        _done(lambda: time.sleep(0.5)),
        _done(lambda: idle.append(store.archive.usage())),
        _done(lambda: hub.activate("none", Budget(1.0))),
        lambda: store.archive.usage().pictures > 2,
    )
    assert idle[0].frames == 0
    assert store.archive.usage().elements == 0


def _no_embedder():
    raise ModelError("no embedder")


def test_without_an_embedder_campaigns_go_on(hub, store, cameras, models, caplog):
    hub.remember(Models(models.detector, _no_embedder))
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.1))
    hub.activate("all")
    with caplog.at_level(logging.WARNING):
        hub.run(lambda: len(store.samples()) >= 3)
    assert "what is seen can't be searched for: no embedder" in caplog.messages


class FailingEmbedder(BuiltinEmbedder):
    """As a server that is not up."""

    def embed(self, images):
        raise ModelError("nobody answers")


def test_campaigns_that_need_no_vectors_go_on_while_embedding_fails(hub, store, cameras, models):
    failing = FailingEmbedder()
    hub.remember(Models(models.detector, lambda: failing))
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.1))
    hub.activate("all")
    hub.run(lambda: len(store.samples()) >= 3, lambda: "nobody answers" in hub.collector.status.problem)
    assert store.archive.usage().elements == 0


def test_where_the_disk_is_full_it_says_so_goes_on_judging_and_recovers(hub, store, cameras, blind, monkeypatch):
    monkeypatch.setattr(module, "TEND_S", 0.1)
    (hub.folder / "recent").mkdir()
    recent = hub.remember(blind)
    (hub.folder / "recent").rmdir()
    (hub.folder / "recent").write_text("a file where the folder should be")
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.05))
    hub.run(
        lambda: "recent" in hub.collector.status.problem,
        lambda: store.archive.usage().elements > 10,
        _done((hub.folder / "recent").unlink),
        lambda: len(recent.pictures.keys()) > 3,
        lambda: not hub.collector.status.problem,
    )
    kept = {each.id for each in store.archive.oldest_pictures(1000)}
    assert kept == set(recent.pictures.keys())


def test_what_is_older_than_anything_is_kept_is_forgotten_altogether(hub, store, cameras, blind, monkeypatch):
    for name in ("TEND_S", "SWEEP_S"):
        monkeypatch.setattr(module, name, 0.1)
    recent = hub.remember(blind, retention_s=3600.0)
    store.add_camera(Camera("one", f"{cameras.url}/good", 0.05))
    hub.activate("some", Budget(0.0, (RateLimit(1, 1e6),)), Change())
    hub.run(lambda: store.archive.usage().pictures > 5)
    hub.ahead_s = 4000.0
    (camera,) = store.cameras()
    store.update_camera(replace(camera, enabled=False))
    hub.remember(blind, retention_s=3600.0)
    hub.run(lambda: store.archive.usage().frames == 1)
    (sample,) = store.samples()
    assert set(store.archive.frames([sample.frame_id])) == {sample.frame_id}
    assert hub.blobs.get(sample.frame_id)
    assert recent.pictures.keys() == []
