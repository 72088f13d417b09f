"""What every store does with cameras and deliveries, and as a database. More in test_store_*.py beside this."""

import multiprocessing
import os
import signal
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.deliveries import DeliveryState
from hub.store import open_store
from hub.types import Camera, CameraHealth, ElementKind
from shared.errors import AlreadyExists, DatabaseTooNew, InvalidInput, NotFound, StorageFull, StoreError
from tests.contract.storing import active, write

# ── cameras ─────────────────────────────────────────────────────────────────────────────────────────────


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


# ── the outbox ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_claim_is_exclusive_until_it_runs_out_or_is_settled(store):
    write(store, active(store), 3)
    first = store.claim("folder", now=10, lease_s=60, limit=2)
    assert len(first) == 2
    assert [d.id for d in store.claim("folder", now=20, lease_s=60, limit=9)] == [first[0].id + 2]
    assert store.claim("folder", now=30, lease_s=60, limit=9) == []
    assert store.claim("roboflow", now=30, lease_s=60, limit=9) == []
    assert [d.id for d in store.claim("folder", now=70, lease_s=60, limit=9)] == [d.id for d in first]


def test_the_longest_due_are_claimed_first_so_that_failing_ones_hold_up_no_other(store):
    write(store, active(store), 3)
    first, *_ = store.claim("folder", now=10, lease_s=60, limit=1)
    store.settle(replace(first, attempts=1, due_at=20.0, error="busy"))
    assert [d.id - first.id for d in store.claim("folder", now=30, lease_s=60, limit=3)] == [1, 2, 0]


def test_what_is_sent_stays_sent(store):
    write(store, active(store), 1)
    (claimed,) = store.claim("folder", now=10, lease_s=1, limit=9)
    store.settle(replace(claimed, state=DeliveryState.SENT, attempts=1, remote_id="x"))
    store.settle(replace(claimed, state=DeliveryState.PENDING, attempts=1, error="late"))
    (kept,) = store.deliveries(state=DeliveryState.SENT)
    assert kept.remote_id == "x"
    assert store.retry(None, now=20) == 0
    assert store.delivery_counts()[DeliveryState.SENT] == 1


def test_parked_deliveries_are_due_again_when_a_person_says_so(store):
    write(store, active(store), 2)
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
    made = active(store)
    write(store, made, 300)
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
    (made,) = store.active_versions()
    start = 0
    while True:
        write(store, made, 4, start)
        start += 4


@pytest.mark.parametrize("after_s", [0.05, 0.3])
def test_a_writer_that_is_killed_leaves_whole_batches(store, url, after_s):
    active(store)
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


# ── the database itself ─────────────────────────────────────────────────────────────────────────────────


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
    made = active(store)
    write(store, made, 4)
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
