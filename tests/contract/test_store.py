"""What every store does, on SQLite and on a real PostgreSQL."""

import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from hub.pipeline import Memory, judge
from hub.store import open_store
from hub.store.tables import metadata
from hub.target import SeedTarget
from hub.triggers.detection import Detection
from hub.triggers.similarity import Similarity
from hub.types import (
    Batch,
    Budget,
    Calibration,
    Camera,
    CameraHealth,
    Campaign,
    CampaignState,
    DeliveryState,
    ElementKind,
    RateLimit,
    SampleStatus,
    Scope,
)
from shared.errors import AlreadyExists, BowerbirdError, DatabaseTooNew, InvalidInput, NotFound, StorageFull, StoreError
from tests.contract.postgres import binaries, cluster
from tests.hub.making import observation, seed, unit, version


@pytest.fixture(scope="session")
def postgres():
    bin_dir = binaries()
    if bin_dir is None:
        message = "no PostgreSQL server: apt-get install postgresql"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    with cluster(bin_dir) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.sqlite'}"
    server = request.getfixturevalue("postgres")
    name = f"db{time.monotonic_ns()}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"create database {name}"))
    engine.dispose()
    return server.rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture
def store(url):
    opened = open_store(url)
    yield opened
    opened.close()


def _campaign(store, name="birds", trigger=None, seeds=(), **changes):
    return store.add_campaign(Campaign(0, name, trigger or Detection(("bird",)), created_at=1.0, **changes), seeds)


def _active(store, name="birds", **changes):
    """A committed, active campaign and a target for it."""
    campaign = _campaign(store, name)
    made = store.commit(version(campaign_id=campaign.id, campaign=name, **changes))
    store.set_campaign_state(name, CampaignState.ACTIVE)
    return SeedTarget(made, None)


def _samples(target, count, start=0):
    seen = [
        observation(("bird", 0.9), ("cat", 0.3), vectors=np.eye(8)[[i % 8, (i + 1) % 8]], content=str(i), at=100.0 + i)
        for i in range(start, start + count)
    ]
    return seen, judge(seen, [target], Memory(), now=5.0)


def _write(store, target, count, start=0):
    seen, judged = _samples(target, count, start)
    return store.write(Batch(seen, judged.samples, counts=judged.counts))


# ── cameras ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_camera_comes_back_as_it_was_given(store):
    porch = Camera("porch", "http://porch.local:5000/image.jpg", 0.5, "secret", enabled=False)
    store.add_camera(porch)
    assert store.cameras() == [porch]
    store.update_camera(replace(porch, enabled=True))
    assert store.cameras()[0].enabled
    with pytest.raises(AlreadyExists):
        store.add_camera(porch)
    store.remove_camera("porch")
    assert store.cameras() == []


def test_an_unknown_camera_is_answered_with_the_nearest(store):
    store.add_camera(Camera("porch", "http://a/"))
    with pytest.raises(NotFound, match="porch"):
        store.remove_camera("proch")


def test_health_is_the_newest_report_and_goes_with_its_camera(store):
    store.add_camera(Camera("porch", "http://a/"))
    first = CameraHealth("porch", "failing", "timeout", "no answer", 1, 2, 3.5, 4, 5, 6, 7, 8)
    store.record_health([first, CameraHealth("gone")])
    store.record_health([replace(first, polled=5)])
    assert store.health() == {"porch": replace(first, polled=5)}
    store.remove_camera("porch")
    assert store.health() == {}


def test_what_a_hostile_camera_says_is_stored_without_what_a_database_refuses(store):
    store.add_camera(Camera("porch", "http://a/"))
    store.record_health([CameraHealth("porch", "failing", "bad-status", "500 \0 Oops \udc80 é")])
    assert store.health()["porch"].message == "500  Oops ? é"


# ── campaigns ────────────────────────────────────────────────────────────────────────────────────────


def test_a_campaign_comes_back_as_it_was_made(store):
    budget = Budget(0.3, (RateLimit(20, 3600),), 0.05, 100)
    trigger = Similarity(ElementKind.CROP, ("truck",), scorer="cosine")
    made = _campaign(store, "trucks", trigger, scope=Scope(("porch",)), budget=budget, tags=("a", "b"))
    assert store.campaign("trucks") == made
    assert store.campaigns() == [made]
    with pytest.raises(AlreadyExists):
        _campaign(store, "trucks")
    with pytest.raises(NotFound, match="trucks"):
        store.campaign("truck")


def test_seeds_keep_their_vectors_exactly_and_are_replaced_by_id(store):
    first, second = seed([0.1, 0.2, 0.3], "a"), seed([1, 0, 0], "b")
    _campaign(store, "t", Similarity(), [first, second])
    assert [s.name for s in store.seeds("t")] == ["a", "b"]
    assert np.array_equal(store.seeds("t")[0].vector, first.vector)
    again = replace(first, vector=unit([0, 0, 1])[0], embedding_version="v2")
    assert store.add_seeds("t", [again, seed([0, 1, 0], "c")]) == 1
    assert [(s.name, s.embedding_version) for s in store.seeds("t")] == [("a", "v2"), ("b", "v1"), ("c", "v1")]


def test_a_version_never_changes_whatever_happens_to_its_campaign(store):
    campaign = _campaign(store, "t", Similarity(), [seed([1, 0], "a")])
    made = store.commit(version(Similarity(), tuple(store.seeds("t")), campaign_id=campaign.id, campaign="t"))
    store.update_campaign(replace(campaign, budget=Budget(0.9)))
    store.add_seeds("t", [replace(seed([0, 1], "a"), embedding_version="v2"), seed([0, 1], "b")])
    (kept,) = store.versions("t")
    assert (kept.budget, kept.number, kept.id) == (made.budget, 1, made.id)
    assert [(s.name, s.embedding_version) for s in kept.seeds] == [("a", "v1")]
    assert kept.calibrations == {"image": Calibration(0.2, 0.6), "text": Calibration(0.1, 0.25)}


def test_two_commits_at_once_do_not_both_become_the_same_version(store):
    campaign = _campaign(store)
    store.commit(version(campaign_id=campaign.id))
    with pytest.raises(InvalidInput, match="meanwhile"):
        store.commit(version(campaign_id=campaign.id))


def _at_once(*calls):
    """What calls in threads of their own raised, or None for each."""
    start = threading.Barrier(len(calls))

    def run(call):
        start.wait()
        try:
            call()
        except BowerbirdError as error:
            return error
        return None

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_of_commits_at_the_same_moment_one_becomes_the_version(store):
    campaign = _campaign(store)
    made = version(campaign_id=campaign.id)
    ended = _at_once(*[lambda: store.commit(made)] * 4)
    assert [type(error) for error in ended].count(InvalidInput) == 3
    assert [v.number for v in store.versions("birds")] == [1]


def test_only_the_newest_version_of_active_campaigns_is_judged_by(store):
    campaign = _campaign(store)
    with pytest.raises(InvalidInput, match="commit"):
        store.set_campaign_state("birds", CampaignState.ACTIVE)
    store.commit(version(campaign_id=campaign.id))
    assert store.active_versions() == []
    store.set_campaign_state("birds", CampaignState.ACTIVE)
    store.commit(version(campaign_id=campaign.id, number=2))
    assert [v.number for v in store.active_versions()] == [2]
    store.set_campaign_state("birds", CampaignState.INACTIVE)
    assert store.active_versions() == []


def test_the_revision_grows_with_every_change_that_a_collector_must_see(store):
    seen = [store.revision()]

    def grew():
        seen.append(store.revision())
        return seen[-1] > seen[-2]

    store.add_camera(Camera("porch", "http://a/"))
    assert grew()
    campaign = _campaign(store)
    assert grew()
    store.commit(version(campaign_id=campaign.id))
    assert grew()
    store.set_campaign_state("birds", CampaignState.ACTIVE)
    assert grew()
    store.record_health([CameraHealth("porch")])
    assert not grew()


# ── what the collector leaves ────────────────────────────────────────────────────────────────────────


def test_a_sample_comes_back_as_it_was_written(store):
    target = _active(store, tags=("night",))
    seen, judged = _samples(target, 1)
    (written,) = store.write(Batch(seen, judged.samples, counts=judged.counts))
    back = store.sample(written.id)
    assert (back.score, back.box, back.size_wh, back.tags) == (written.score, written.box, (640, 480), ("night",))
    assert back.detections.label == ("bird",) or back.detections.label == ("bird", "cat")
    np.testing.assert_allclose(back.detections.xyxy, written.detections.xyxy)
    np.testing.assert_allclose(back.vector, written.vector, atol=1e-3)
    assert np.linalg.norm(back.vector) == pytest.approx(1.0, abs=1e-6)


def test_writing_twice_is_writing_once(store):
    target = _active(store)
    assert len(_write(store, target, 5)) == 5
    assert _write(store, target, 5) == []
    assert len(store.samples()) == 5
    assert len(store.deliveries()) == 5
    assert [(c.processed, c.collected) for c in store.counts("birds")] == [(10, 5)]


def test_samples_come_newest_first_page_by_page(store):
    target = _active(store)
    _write(store, target, 7)
    pages, before = [], None
    while page := store.samples(campaign="birds", limit=3, before=before):
        pages.append([s.taken_at - 100 for s in page])
        before = page[-1].id
    assert pages == [[6, 5, 4], [3, 2, 1], [0]]
    assert [s.taken_at for s in store.taken_by(1, limit=2)] == [106, 105]
    assert store.collected(1) == 7


def test_reviews_are_kept_and_found(store):
    target = _active(store)
    ids = [s.id for s in _write(store, target, 4)]
    assert store.review(ids[:3], SampleStatus.ACCEPTED) == 3
    assert store.review(ids[:1], SampleStatus.DISCARDED) == 1
    assert {s.id for s in store.samples(status=SampleStatus.ACCEPTED)} == set(ids[1:3])
    with pytest.raises(NotFound):
        store.review([ids[3], "1:nothing"], SampleStatus.ACCEPTED)
    assert store.sample(ids[3]).status is SampleStatus.UNSORTED


def test_the_background_is_drawn_from_the_right_elements(store):
    target = _active(store)
    _write(store, target, 40)
    frames = store.background("v1", ElementKind.FRAME, limit=25)
    assert frames.shape == (25, 8)
    assert len(store.background("v1", ElementKind.CROP, limit=1000)) == 40
    assert len(store.background("v2", ElementKind.FRAME, limit=10)) == 0
    np.testing.assert_allclose(np.linalg.norm(frames, axis=1), 1, atol=1e-6)


def test_the_background_of_a_new_model_is_found_among_many_elements_of_the_old(store):
    target = _active(store)
    _write(store, target, 200)
    seen = [replace(each, embedding_version="v2") for each in _samples(target, 5, start=1000)[0]]
    store.write(Batch(seen))
    assert len(store.background("v2", ElementKind.FRAME, limit=4)) == 4
    assert len(store.background("v2", ElementKind.CROP, limit=5)) == 5
    assert len(store.background("v1", ElementKind.FRAME, limit=5)) == 5


def test_writers_at_the_same_moment_lose_nothing_and_count_each_frame_once(store):
    target = _active(store)
    ended = _at_once(*[lambda start=start: _write(store, target, 10, start) for start in (0, 5, 10, 15)])
    assert ended == [None] * 4
    assert store.collected(1) == 25
    assert len(store.deliveries(limit=100)) == 25
    assert [(c.processed, c.collected) for c in store.counts()] == [(40, 25)]


def test_old_elements_go_but_never_those_of_a_sample(store):
    target = _active(store, budget=Budget(0.5, stop_after=2))
    _write(store, target, 10)
    assert store.prune(105.0, limit=4) == 4
    while store.prune(105.0, limit=4):
        pass
    left = store.background("v1", ElementKind.FRAME, limit=100)
    assert len(left) == 2 + 5
    assert len(store.samples()) == 2


def test_every_picture_that_a_row_names_is_listed(store):
    target = _active(store)
    _campaign(store, "t", Similarity(), [seed([1, 0], "a")])
    frames = {s.frame_id for s in _write(store, target, 2)}
    assert store.blob_keys() == frames | {"a"}


# ── the outbox ───────────────────────────────────────────────────────────────────────────────────────


def test_a_claim_is_exclusive_until_it_runs_out_or_is_settled(store):
    _write(store, _active(store), 3)
    first = store.claim("folder", now=10, lease_s=60, limit=2)
    assert len(first) == 2
    assert [d.id for d in store.claim("folder", now=20, lease_s=60, limit=9)] == [first[0].id + 2]
    assert store.claim("folder", now=30, lease_s=60, limit=9) == []
    assert store.claim("roboflow", now=30, lease_s=60, limit=9) == []
    assert [d.id for d in store.claim("folder", now=70, lease_s=60, limit=9)] == [d.id for d in first]


def test_the_longest_due_are_claimed_first_so_that_failing_ones_hold_up_no_other(store):
    _write(store, _active(store), 3)
    first, *_ = store.claim("folder", now=10, lease_s=60, limit=1)
    store.settle(replace(first, attempts=1, due_at=20.0, error="busy"))
    assert [d.id - first.id for d in store.claim("folder", now=30, lease_s=60, limit=3)] == [1, 2, 0]


def test_what_is_sent_stays_sent(store):
    _write(store, _active(store), 1)
    (claimed,) = store.claim("folder", now=10, lease_s=1, limit=9)
    store.settle(replace(claimed, state=DeliveryState.SENT, attempts=1, remote_id="x"))
    store.settle(replace(claimed, state=DeliveryState.PENDING, attempts=1, error="late"))
    (kept,) = store.deliveries(state=DeliveryState.SENT)
    assert kept.remote_id == "x"
    assert store.retry(None, now=20) == 0
    assert store.delivery_counts()[DeliveryState.SENT] == 1


def test_parked_deliveries_are_due_again_when_a_person_says_so(store):
    _write(store, _active(store), 2)
    for claimed in store.claim("folder", now=10, lease_s=60, limit=9):
        store.settle(replace(claimed, state=DeliveryState.PARKED, attempts=1, error="no"))
    assert store.claim("folder", now=100, lease_s=60, limit=9) == []
    parked = store.deliveries(state=DeliveryState.PARKED)
    assert store.retry([parked[0].id], now=100) == 1
    assert [d.id for d in store.claim("folder", now=100, lease_s=60, limit=9)] == [parked[0].id]


def _claim_all(url, queue):
    store = open_store(url)
    mine, empty = [], 0
    while empty < 3:
        some = store.claim("folder", now=1000.0, lease_s=600.0, limit=3)
        mine += [d.id for d in some]
        empty = 0 if some else empty + 1
    store.close()
    queue.put(mine)


def test_four_processes_claim_each_of_300_deliveries_exactly_once(store, url):
    target = _active(store)
    _write(store, target, 300)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=_claim_all, args=(url, queue)) for _ in range(4)]
    for worker in workers:
        worker.start()
    claimed = [delivery for _ in workers for delivery in queue.get(timeout=60)]
    for worker in workers:
        worker.join()
    assert len(claimed) == 300
    assert len(set(claimed)) == 300


def _write_for_ever(url):
    store = open_store(url)
    target = SeedTarget(store.active_versions()[0], None)
    start = 0
    while True:
        _write(store, target, 4, start)
        start += 4


@pytest.mark.parametrize("after_s", [0.05, 0.3])
def test_a_writer_that_is_killed_leaves_whole_batches(store, url, after_s):
    _active(store)
    context = multiprocessing.get_context("spawn")
    writer = context.Process(target=_write_for_ever, args=(url,))
    writer.start()
    while not store.samples(limit=1):
        time.sleep(0.01)
    time.sleep(after_s)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    samples = store.collected(1)
    assert samples % 4 == 0
    assert len(store.deliveries(limit=100_000)) == samples
    assert sum(c.collected for c in store.counts()) == samples
    assert len(store.background("v1", ElementKind.FRAME, limit=100_000)) == samples


# ── the database itself ──────────────────────────────────────────────────────────────────────────────


def test_the_migrations_make_the_tables_that_the_statements_expect(url):
    open_store(url).close()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def _open(url, queue):
    try:
        open_store(url).close()
        queue.put("")
    except Exception as error:
        queue.put(repr(error))


def test_processes_that_open_a_fresh_database_at_once_all_succeed(url):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=_open, args=(url, queue)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [queue.get(timeout=60) for _ in workers] == ["", "", ""]
    for worker in workers:
        worker.join()


def test_a_database_of_a_newer_hub_is_refused_and_left_alone(url):
    open_store(url).close()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    with pytest.raises(DatabaseTooNew, match="9999"):
        open_store(url)


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path):
    (tmp_path / "hub.sqlite").write_text("this is a letter to my aunt" * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(StoreError, match="can't be opened"):
        open_store(f"sqlite:///{tmp_path / 'nowhere' / 'hub.sqlite'}")


@pytest.mark.parametrize("bad", ["not a url", "mysql+nothing://x/y", "postgres9://x"])
def test_a_url_that_names_no_database_is_bad_input(bad):
    with pytest.raises(InvalidInput, match="database"):
        open_store(bad)


def test_a_server_that_is_away_is_named_without_its_password():
    with pytest.raises(StoreError) as caught:
        open_store("postgresql+psycopg://bower:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value)


def test_a_full_database_says_so_and_loses_nothing(tmp_path):
    path = tmp_path / "hub.sqlite"
    store = open_store(f"sqlite:///{path}")
    target = _active(store)
    _write(store, target, 4)
    with sqlite3.connect(path) as connection:
        pages = connection.execute("pragma page_count").fetchone()[0]
    connection.close()
    with store._database.writing() as connection:
        connection.exec_driver_sql(f"pragma max_page_count = {pages}")
        with pytest.raises(sa.exc.OperationalError, match="full"):
            for i in range(1000):
                connection.execute(sa.text("insert into facts values (:n, 1)"), {"n": f"{i}" * 50})
    assert len(store.samples()) == 4
    store.close()


def test_a_read_only_database_says_so(tmp_path):
    path = tmp_path / "hub.sqlite"
    open_store(f"sqlite:///{path}").close()
    store = open_store(f"sqlite:///file:{Path(path)}?mode=ro&uri=true")
    with pytest.raises(StorageFull, match="read-only"):
        store.add_camera(Camera("porch", "http://a/"))
    store.close()
