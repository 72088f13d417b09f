import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.archive import ANY, Filter
from hub.corpus import Corpus, compaction, manifest
from hub.corpus.compaction import Limits
from hub.corpus.delta import Delta
from hub.store import open_store
from hub.types import ElementKind
from shared.errors import InvalidInput, StorageFull, StoreError
from tests.hub.corpora import add, brute, clustered, ids, recall

SMALL = Limits(exact_up_to=300, segment=3000, delta=500)
QUERIES = clustered(20, 7)


@pytest.fixture
def archive(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/hub.sqlite")
    yield store.archive
    store._database.close()


@pytest.fixture
def corpus(archive, tmp_path):
    return Corpus(archive, "v1", tmp_path / "index", limits=SMALL)


def finds_all(corpus, archive, where=ANY, at_least=1.0):
    found = [ids(each) for each in corpus.search(QUERIES, 10, where)]
    return recall(found, brute(archive, QUERIES, 10, where)) >= at_least


# ── searching ────────────────────────────────────────────────────────────────────────────────────────


def test_an_empty_corpus_finds_nothing(corpus):
    assert corpus.search(QUERIES, 10) == [[]] * len(QUERIES)
    assert corpus.build().elements == 0
    assert corpus.stats().elements == 0


def test_without_a_folder_search_is_exact_and_nothing_is_built(archive):
    add(archive, clustered(700))
    corpus = Corpus(archive, "v1", None)
    assert finds_all(corpus, archive)
    with pytest.raises(InvalidInput, match="in memory only"):
        corpus.build()


@pytest.mark.parametrize("index", ["annoy", "usearch"])
def test_an_index_finds_what_exact_search_finds(archive, tmp_path, index):
    add(archive, clustered(2500))
    corpus = Corpus(archive, "v1", tmp_path / "index", index=index, limits=SMALL)
    corpus.build()
    assert [each.kind for each in corpus.stats().segments] == [index]
    assert finds_all(corpus, archive, at_least=0.99)
    assert finds_all(corpus, archive, Filter(kind=ElementKind.CROP), at_least=0.99)


def test_hits_come_best_first_with_the_cosines_of_the_stored_vectors(corpus, archive):
    add(archive, clustered(400))
    corpus.build()
    (hits,) = corpus.search(QUERIES[:1], 25)
    assert len(hits) == 25
    assert [hit.cosine for hit in hits] == sorted((hit.cosine for hit in hits), reverse=True)
    for hit in hits:
        assert hit.cosine == pytest.approx(float(hit.vector @ QUERIES[0]), abs=1e-6)


def test_a_query_unlike_everything_is_compared_with_everything(corpus, archive):
    add(archive, clustered(2000))
    corpus.build()
    strange = np.linalg.svd(clustered(2000))[2][-1:].astype(np.float32)
    assert ids(corpus.search(strange, 10)[0]) == brute(archive, strange, 10)[0]


@pytest.mark.parametrize("bad", [np.zeros((1, 31)), np.full((1, 32), np.nan), np.zeros((1, 2, 16))])
def test_a_query_that_can_not_be_compared_is_refused(corpus, archive, bad):
    add(archive, clustered(10))
    with pytest.raises(InvalidInput):
        corpus.search(bad.astype(np.float32), 3)


@pytest.mark.parametrize("k", [0, -1, 10_001])
def test_a_number_of_results_out_of_range_is_refused(corpus, k):
    with pytest.raises(InvalidInput, match="results"):
        corpus.search(QUERIES, k)


# ── filters ──────────────────────────────────────────────────────────────────────────────────────────

names = st.lists(st.sampled_from(["camera-0", "camera-3", "label-1", "label-2", "", "elsewhere"]), max_size=2)
filters = st.builds(
    Filter,
    since=st.none() | st.integers(-10, 1900),
    until=st.none() | st.integers(-10, 1900),
    cameras=names.map(tuple),
    labels=names.map(tuple),
    kind=st.none() | st.sampled_from(list(ElementKind)),
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Two segments, one with an index, and a delta; some dead in each."""
    folder = tmp_path_factory.mktemp("mixed")
    store = open_store(f"sqlite:///{folder}/hub.sqlite")
    corpus = Corpus(store.archive, "v1", folder / "index", limits=SMALL)
    for first, count in ((0, 1200), (1200, 300), (1500, 200)):
        add(store.archive, clustered(count, first), first)
        if first < 1500:
            corpus.build()
    store.archive.remove(list(range(5, 1700, 9)))
    assert len(corpus.stats().segments) == 2
    yield corpus, store.archive
    store._database.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=filters, k=st.sampled_from([1, 10, 60]), query=st.integers(0, len(QUERIES) - 1))
def test_a_filter_finds_what_looking_at_each_finds(mixed, where, k, query):
    corpus, archive = mixed
    found, truth = ids(corpus.search(QUERIES[[query]], k, where)[0]), brute(archive, QUERIES[[query]], k, where)[0]
    assert len(found) == len(truth)
    assert len(set(found) & set(truth)) >= 0.95 * len(truth)


def test_filters_that_keep_one_in_a_hundred_are_exact(mixed):
    corpus, archive = mixed
    for where in (Filter(since=600, until=617), Filter(cameras=("camera-3",), labels=("label-1",), since=800)):
        assert finds_all(corpus, archive, where)


# ── what changes ─────────────────────────────────────────────────────────────────────────────────────


def test_what_is_added_is_found_at_once(corpus, archive):
    add(archive, clustered(600))
    corpus.build()
    corpus.search(QUERIES, 5)
    add(archive, QUERIES[:1], 600)
    assert corpus.search(QUERIES[:1], 1)[0][0].cosine == pytest.approx(1.0, abs=1e-3)
    assert not corpus.is_indexed(601)
    assert corpus.is_indexed(600)


def test_what_is_deleted_is_never_found_again(corpus, archive, tmp_path):
    add(archive, clustered(800))
    corpus.build()
    other = Corpus(archive, "v1", tmp_path / "index", limits=SMALL)
    best = ids(corpus.search(QUERIES[:1], 10)[0])
    other.search(QUERIES[:1], 10)
    archive.remove(best)
    for each in (corpus, other):
        assert ids(each.search(QUERIES[:1], 10)[0]) == brute(archive, QUERIES[:1], 10)[0]
    assert not corpus.is_indexed(best[0])


def test_many_added_and_deleted_right_after_a_build(corpus, archive):
    add(archive, clustered(2000))
    corpus.build()
    add(archive, clustered(400, 3), 2000)
    archive.remove([int(i) for i in np.random.default_rng(1).choice(np.arange(1, 2401), 600, replace=False)])
    assert finds_all(corpus, archive, at_least=0.99)
    assert finds_all(corpus, archive, Filter(cameras=("camera-2",)), at_least=0.99)
    stats = corpus.stats()
    assert stats.elements == stats.indexed + stats.delta == 1800
    assert stats.dead == 2000 - stats.indexed


def test_nearly_all_deleted_still_finds_the_rest(corpus, archive):
    add(archive, clustered(1500))
    corpus.build()
    archive.remove(list(range(1, 1491)))
    assert finds_all(corpus, archive)
    assert len(corpus.search(QUERIES[:1], 50)[0]) == 10


def test_a_segment_with_many_dead_is_written_again(corpus, archive):
    add(archive, clustered(1000))
    corpus.build()
    archive.remove(list(range(1, 301)))
    assert corpus.stats().dead == 300
    corpus.build()
    assert (corpus.stats().dead, corpus.stats().indexed) == (0, 700)
    archive.remove(list(range(301, 1001)))
    corpus.build()
    assert corpus.stats().segments == ()


def test_what_was_committed_late_is_found(archive):
    """On PostgreSQL a transaction may end after another with higher ids."""
    now = [0.0]
    add(archive, clustered(10))
    late = archive.rows("v1", after=4, limit=1)
    archive.remove([5])
    delta = Delta(archive, "v1", (), 0, clock=lambda: now[0])
    delta.refresh(100)
    delta._last, delta._passed_over = 10, [(60.0, late.id)]
    store_row = (
        "INSERT INTO elements SELECT 5, 'late', row, embedding_version, camera, taken_at, box, label, "
        "confidence, vector, NULL, NULL FROM elements WHERE id = 4"
    )
    with archive._database.writing() as connection:
        connection.exec_driver_sql(store_row)
    now[0] = 2.0
    delta.refresh(100)
    assert 5 in delta.part().ids


# ── building ─────────────────────────────────────────────────────────────────────────────────────────


def test_building_costs_what_is_new(corpus, archive):
    add(archive, clustered(1000))
    seen = []
    built = corpus.build(progress=lambda done, total: seen.append((done, total)))
    assert (built.elements, built.added, built.segments) == (1000, 1000, 1)
    assert seen == [(0, 1000), (1000, 1000)]
    add(archive, clustered(100, 1), 1000)
    before = corpus.stats().segments[0].name
    corpus.build(progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (100, 100)
    assert before in [each.name for each in corpus.stats().segments]
    corpus.build(progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (0, 0)


def test_force_writes_everything_again(corpus, archive):
    add(archive, clustered(500))
    corpus.build()
    before = corpus.stats().segments[0].name
    corpus.build(force=True)
    assert corpus.stats().segments[0].name != before


def test_no_segment_is_larger_than_it_may_be(archive, tmp_path):
    add(archive, clustered(1000))
    corpus = Corpus(archive, "v1", tmp_path / "index", limits=replace(SMALL, segment=400))
    corpus.build()
    assert [each.elements for each in corpus.stats().segments] == [400, 400, 200]
    assert finds_all(corpus, archive, at_least=0.99)


def test_another_kind_of_index_is_built_when_it_is_asked_for(archive, tmp_path):
    add(archive, clustered(1500))
    Corpus(archive, "v1", tmp_path / "index", limits=SMALL).build()
    corpus = Corpus(archive, "v1", tmp_path / "index", index="usearch", limits=SMALL)
    assert finds_all(corpus, archive, at_least=0.99)
    corpus.build()
    assert [each.kind for each in corpus.stats().segments] == ["usearch"]


def test_a_segment_whose_library_is_gone_is_left_out(archive, tmp_path, monkeypatch, caplog):
    add(archive, clustered(1500))
    Corpus(archive, "v1", tmp_path / "index", index="usearch", limits=SMALL).build()
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    corpus = Corpus(archive, "v1", tmp_path / "index", limits=SMALL)
    assert finds_all(corpus, archive)
    assert "usearch is not installed" in caplog.text


def test_too_large_a_delta_goes_to_disk(corpus, archive):
    add(archive, clustered(700))
    corpus.search(QUERIES, 1)
    stats = corpus.stats()
    assert (stats.delta, stats.indexed) == (0, 700)
    assert [each.kind for each in stats.segments] == ["exact"]
    corpus.build()
    assert [each.asked for each in corpus.stats().segments] == ["annoy"]


def test_a_delta_that_can_not_be_written_stays_in_memory(archive, tmp_path, caplog):
    (tmp_path / "index").write_text("in the way")
    add(archive, clustered(700))
    corpus = Corpus(archive, "v1", tmp_path / "index" / "below", limits=SMALL)
    assert finds_all(corpus, archive)
    assert "held in memory" in caplog.text
    with pytest.raises(StorageFull):
        corpus.build()


def test_embedding_versions_have_an_index_each(archive, tmp_path):
    add(archive, clustered(50))
    Corpus(archive, "v1", tmp_path, limits=SMALL).build()
    other = Corpus(archive, "../v 2", tmp_path, limits=SMALL)
    assert other.search(QUERIES, 3) == [[]] * len(QUERIES)
    other.build()
    assert all(path.parent == tmp_path for path in tmp_path.iterdir())


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["vector", "neighbours", "segment.json"])
def test_a_damaged_segment_is_left_out_said_and_built_again(archive, tmp_path, caplog, name):
    add(archive, clustered(1000))
    Corpus(archive, "v1", tmp_path / "index", limits=SMALL).build()
    (path,) = (tmp_path / "index" / "v1").glob(f"*/{name}")
    path.write_bytes(path.read_bytes()[:-10])
    corpus = Corpus(archive, "v1", tmp_path / "index", limits=SMALL)
    assert finds_all(corpus, archive)
    assert "read from the archive until" in caplog.text
    corpus.build()
    assert [each.elements for each in corpus.stats().segments] == [1000]
    assert finds_all(corpus, archive, at_least=0.99)


def test_a_broken_manifest_is_as_none(archive, tmp_path):
    add(archive, clustered(400))
    Corpus(archive, "v1", tmp_path / "index", limits=SMALL).build()
    (tmp_path / "index" / "v1" / "manifest.json").write_text("{")
    corpus = Corpus(archive, "v1", tmp_path / "index", limits=SMALL)
    assert finds_all(corpus, archive)
    corpus.build()
    assert len([path for path in (tmp_path / "index" / "v1").iterdir() if path.is_dir()]) == 1


BUILDER = """
import sys, time
from pathlib import Path
from hub.corpus import segments
from hub.corpus import Corpus
from hub.store import open_store
def stuck(*args):
    print("half-way", flush=True)
    time.sleep(60)
segments._finish = stuck
Corpus(open_store(sys.argv[1], migrate=False).archive, "v1", Path(sys.argv[2])).build()
"""


def test_a_builder_that_is_killed_half_way_costs_only_its_work(archive, tmp_path, corpus):
    add(archive, clustered(400))
    command = [sys.executable, "-c", BUILDER, f"sqlite:///{tmp_path}/hub.sqlite", str(tmp_path / "index")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == "half-way\n"
        with pytest.raises(StoreError, match="being built"):
            corpus.build()
        assert finds_all(corpus, archive)
        os.kill(builder.pid, signal.SIGKILL)
    folder = tmp_path / "index" / "v1"
    assert list(folder.glob(".part-*"))
    corpus.build()
    assert not list(folder.glob(".part-*"))
    assert finds_all(corpus, archive)


def test_readers_go_on_while_segments_are_swapped(archive, tmp_path):
    add(archive, clustered(900))
    readers = [Corpus(archive, "v1", tmp_path / "index", limits=SMALL) for _ in range(2)]
    builder = Corpus(archive, "v1", tmp_path / "index", limits=SMALL)
    builder.build()
    truth, wrong, done = brute(archive, QUERIES[:1], 10)[0], [], threading.Event()

    def read(corpus):
        while not done.is_set():
            found = ids(corpus.search(QUERIES[:1], 10)[0])
            if len(set(found) & set(truth)) < 9:
                wrong.append(found)

    threads = [threading.Thread(target=read, args=(corpus,)) for corpus in [*readers, *readers]]
    for thread in threads:
        thread.start()
    for _ in range(4):
        builder.build(force=True)
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(list((tmp_path / "index" / "v1").glob("*/segment.json"))) == len(builder.stats().segments)


def test_threads_that_search_while_others_add_and_delete_never_see_the_dead(corpus, archive):
    add(archive, clustered(900))
    corpus.build()
    dead: set[int] = set()
    wrong: list[object] = []
    done = threading.Event()

    def read():
        while not done.is_set():
            gone = set(dead)
            found = ids(corpus.search(QUERIES[:3], 10)[0])
            if gone & set(found) or len(found) != 10:
                wrong.append(found)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(15):
        add(archive, clustered(20, turn), 1000 + 20 * turn)
        doomed = brute(archive, QUERIES[[turn % 3]], 5)[0]
        archive.remove(doomed)
        dead.update(doomed)
        time.sleep(0.01)
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_spill_and_a_build_at_the_same_time_lose_nothing(archive, tmp_path, corpus, monkeypatch):
    """What was spilled above the span that a builder took, while it worked, is kept or read again."""
    add(archive, clustered(400))
    real = compaction._write

    def meanwhile(*args):
        entries = real(*args)
        monkeypatch.setattr(compaction, "_write", real)
        add(archive, clustered(700, 5), 400)
        corpus.search(QUERIES, 1)
        return entries

    monkeypatch.setattr(compaction, "_write", meanwhile)
    Corpus(archive, "v1", tmp_path / "index", limits=SMALL).build()
    assert finds_all(corpus, archive, at_least=0.99)
    corpus.build()
    assert corpus.stats().indexed == 1100
    assert manifest.read(tmp_path / "index" / "v1", "v1").holes() == []
