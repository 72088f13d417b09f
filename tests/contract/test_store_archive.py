"""Every element and frame that was seen, on every store."""

from dataclasses import replace

import numpy as np
import pytest

from hub.archive import Newcomer, ScannedFile, SeenFrame
from hub.types import Batch, Detections, ElementKind
from shared.errors import InvalidInput
from tests.contract.storing import active, at_once, frames, sample, write
from tests.hub.making import observation, seed


def newcomer(number, external_id=None, version="v1", **changes):
    """An element of a frame of its own."""
    vector = np.eye(8, dtype=np.float32)[number % 8]
    box = (0.0, 0.0, 10.0, 10.0)
    return replace(Newcomer(f"n{number}", 1, version, "ann", 5.0, box, vector, external_id=external_id), **changes)


@pytest.fixture
def archive(store):
    return store.archive


# ── elements ─────────────────────────────────────────────────────────────────────────────────────────


def test_rows_come_by_id_and_go_on_after_one(store, archive):
    store.write(Batch(frames(5)))
    first = archive.rows("v1", after=0, limit=4)
    rest = archive.rows("v1", after=int(first.id[-1]), limit=99)
    assert (len(first), len(rest)) == (4, 6)
    ids = [*first.id, *rest.id]
    assert ids == sorted(ids) == archive.living("v1", first=0, last=10**6).tolist()
    assert archive.last_id("v1") == ids[-1]
    assert archive.count("v1") == len(ids)


def test_rows_have_what_filters_go_by(store, archive):
    store.write(Batch(frames(2, camera="yard")))
    rows = archive.rows("v1", after=0, limit=9)
    assert (rows.camera, rows.label) == (["yard"] * 4, ["", "bird"] * 2)
    assert rows.taken_at.tolist() == [100.0, 100.0, 101.0, 101.0] or rows.taken_at.tolist() == [101.0] * 2 + [100.0] * 2
    assert rows.row.tolist() == [0, 1, 0, 1]
    assert np.linalg.norm(rows.vectors, axis=1) == pytest.approx(1.0, abs=1e-6)


def test_cameras_are_those_of_frames_and_where_one_is_sought_in_vain_of_elements(store, archive):
    store.write(Batch(frames(2, camera="yard")))
    archive.add([newcomer(1)])
    assert archive.cameras() == archive.cameras(["yard"]) == {"yard"}
    assert archive.cameras(["ann"]) == {"yard", "ann"}


def test_of_nothing_there_are_no_rows(archive):
    assert len(archive.rows("v1", after=0, limit=9)) == len(archive.living("v1", first=0, last=9)) == 0
    assert (archive.last_id("v1"), archive.count("v1"), archive.random("v1"), archive.keys("v1")) == (0, 0, None, [])


def test_stored_elements_come_in_the_order_asked_for_without_those_that_are_gone(store, archive):
    store.write(Batch(frames(3)))
    ids = archive.rows("v1", after=0, limit=9).id.tolist()
    asked = [ids[4], 10**9, ids[0]]
    assert [each.element.id for each in archive.stored(asked)] == [ids[4], ids[0]]
    crop = archive.stored([ids[1]])[0].element
    assert (crop.kind, crop.label, crop.box, crop.confidence) == (
        ElementKind.CROP, "bird", (0, 0, 8, 8), pytest.approx(0.9)
    )  # fmt: skip


def test_what_was_removed_is_gone_and_its_id_is_not_used_again(store, archive):
    store.write(Batch(frames(3)))
    last = archive.last_id("v1")
    assert archive.remove([last, 10**9]) == 1
    assert archive.stored([last]) == []
    store.write(Batch(frames(1, start=7)))
    assert archive.rows("v1", after=last - 1, limit=9).id.min() > last


def test_elements_of_frames_come_by_row(store, archive):
    seen = frames(2)
    store.write(Batch(seen))
    found = archive.of_frames([each.frame.id for each in seen] + ["none"], "v1")
    assert {frame: [s.element.row for s in rows] for frame, rows in found.items()} == {
        each.frame.id: [0, 1] for each in seen
    }
    assert archive.of_frames([seen[0].frame.id], "v2") == {}


def test_any_element_is_drawn_sooner_or_later(store, archive):
    store.write(Batch(frames(2)))
    assert {archive.random("v1").element.id for _ in range(200)} == set(archive.keys("v1"))


# ── brought in from elsewhere ────────────────────────────────────────────────────────────────────────


def test_an_element_is_known_by_the_id_it_was_brought_in_with(archive):
    assert archive.add([newcomer(1, 500, label="logo", metadata={"url": "http://a/"}), newcomer(2)]) == 2
    (found,) = archive.by_key([500], "v1")
    assert (found.element.key, found.element.label, found.element.metadata) == (500, "logo", {"url": "http://a/"})
    assert archive.by_key([500], "v2") == []
    assert len(archive.keys("v1")) == 2


def test_ids_that_are_stored_already_are_skipped(archive):
    assert archive.add([newcomer(1, 7), newcomer(2, 7), newcomer(3, 8)]) == 2
    assert archive.add([newcomer(4, 8), newcomer(5, 9)]) == 1
    assert archive.keys("v1") == [7, 8, 9]
    assert archive.by_key([8], "v1")[0].element.frame_id == "n3"


def test_an_element_keeps_its_key_by_another_model(store, archive):
    store.write(Batch(frames(1)))
    key = archive.keys("v1")[0]
    assert archive.add([newcomer(1, key, version="v2"), newcomer(2, 70, version="v2"), newcomer(3, 70)]) == 3
    assert archive.keys("v2") == [key, 70]
    assert archive.by_key([70], "v1")[0].element.frame_id == "n3"
    assert archive.by_key([70], "v2")[0].element.frame_id == "n2"


def test_what_is_no_external_id_is_known_by_its_own_and_these_never_meet(store, archive):
    store.write(Batch(frames(2)))
    own = archive.keys("v1")
    assert archive.add([newcomer(1, own[0])]) == 0
    assert archive.add([newcomer(2, 1000)]) == 1
    store.write(Batch(frames(3, start=5)))
    archive.add([newcomer(3)])
    keys = archive.keys("v1")
    assert len(keys) == len(set(keys)) == 4 + 1 + 6 + 1
    assert min(set(keys) - set(own) - {1000}) > 1000


def test_writers_at_once_give_every_element_a_key_of_its_own(store, archive):
    calls = [lambda i=i: archive.add([newcomer(i, 100 * i)]) for i in range(4)]
    calls += [lambda i=i: store.write(Batch(frames(3, start=10 * i))) for i in range(4)]
    assert at_once(*calls) == [None] * 8
    keys = archive.keys("v1")
    assert len(keys) == len(set(keys)) == 4 + 24


def test_keys_come_page_by_page(archive):
    archive.add([newcomer(i, 10 * i) for i in range(6)])
    assert archive.keys("v1", limit=4) == [0, 10, 20, 30]
    assert archive.keys("v1", after=30, limit=4) == [40, 50]


@pytest.mark.parametrize(
    "wrong",
    [
        {"vector": np.ones(9, np.float32)},
        {"vector": np.zeros(8, np.float32)},
        {"vector": np.full(8, np.nan, np.float32)},
        {"external_id": -1},
        {"external_id": 2**62},
    ],
)
def test_what_would_spoil_an_index_is_refused_whole(archive, wrong):
    archive.add([newcomer(0)])
    with pytest.raises(InvalidInput):
        archive.add([newcomer(1), newcomer(2, **wrong)])
    assert archive.count("v1") == 1


def test_a_vector_is_stored_at_unit_length(archive):
    archive.add([newcomer(1, 1, vector=np.full(8, 3.0, np.float32))])
    assert np.linalg.norm(archive.by_key([1], "v1")[0].vector) == pytest.approx(1.0, abs=1e-6)


def test_an_element_embedded_anew_keeps_its_key_above_the_highest_id_of_elsewhere(store, archive):
    archive.add([newcomer(1, 2**62 - 1)])
    store.write(Batch(frames(1)))
    key = archive.keys("v1")[-1]
    assert key >= 2**62
    assert archive.add([newcomer(2, key, version="v2")]) == 1
    with pytest.raises(InvalidInput):
        archive.add([newcomer(3, key + 99)])


# ── frames ───────────────────────────────────────────────────────────────────────────────────────────


def test_every_frame_that_was_looked_at_comes_back_as_it_was_seen(store, archive):
    seen = [replace(each, detector="yolo 1") for each in frames(3)]
    store.write(Batch(seen, frames=[SeenFrame(seen[0].frame.id, "porch", 100.0, (640, 480), "", 5000)]))
    back = archive.observations("v1")
    assert [each.frame.id for each in back] == [each.frame.id for each in seen]
    for was, now in zip(seen, back, strict=True):
        assert (now.frame.camera, now.frame.taken_at, now.frame.jpeg) == ("porch", was.frame.taken_at, b"")
        assert (now.detections.label, now.detector, now.size_wh) == (("bird", "cat"), "yolo 1", (640, 480))
        assert now.detections.xyxy == pytest.approx(was.detections.xyxy)
        assert now.vectors == pytest.approx(was.vectors, abs=1e-3)
        assert now.embedding_version == "v1"
    assert archive.frames([seen[0].frame.id])[seen[0].frame.id].picture_bytes == 5000


def test_frames_come_oldest_first_page_by_page_within_a_time_and_of_cameras(store, archive):
    store.write(Batch([*frames(6), *frames(6, start=10, camera="yard")]))
    page = archive.observations("v1", since=102.0, until=113.0, limit=5)
    last = page[-1].frame
    rest = archive.observations("v1", since=102.0, until=113.0, after=(last.taken_at, last.id), limit=5)
    assert [each.frame.taken_at for each in (*page, *rest)] == [102, 103, 104, 105, 110, 111, 112]
    assert {each.frame.camera for each in archive.observations("v1", cameras=["yard"])} == {"yard"}
    assert archive.first_and_last() == (100.0, 115.0)
    assert archive.first_and_last(["yard"]) == (110.0, 115.0)
    assert archive.first_and_last(["none"]) is None


def test_of_another_embedding_version_a_frame_has_no_vectors(store, archive):
    store.write(Batch(frames(1)))
    (seen,) = archive.observations("v2")
    assert (len(seen.vectors), seen.embedding_version) == (0, None)


def test_without_a_record_of_its_detections_a_frames_crops_are_its_detections(store, archive):
    seen = observation(("bird", 0.9), ("cat", 0.5), vectors=np.eye(8)[:3])
    store.write(Batch([seen]))
    (back,) = archive.recall([seen.frame.id], "v1").values()
    assert back.detections.label == ("bird", "cat")
    assert len(back.vectors) == 3


def test_a_vector_that_was_not_stored_leaves_its_place(store, archive):
    vectors = np.eye(8, dtype=np.float32)[:3].copy()
    seen = replace(observation(("bird", 0.9), ("cat", 0.5), vectors=vectors), detector="yolo 1")
    seen.vectors[1] = np.nan
    store.write(Batch([seen]))
    (back,) = archive.observations("v1")
    assert back.vectors.argmax(axis=1).tolist() == [0, 0, 2]
    assert not back.vectors[1].any()


def test_looking_again_adds_what_was_found_and_forgets_nothing(store, archive):
    first = observation(vectors=np.eye(8)[:1])
    kept = SeenFrame(first.frame.id, "porch", 1000.0, (640, 480), "", 700)
    store.write(Batch([first], frames=[kept]))
    archive.add_frames([], [replace(observation(("bird", 0.9), vectors=np.eye(8)[:2]), detector="yolo 1")])
    (now,) = archive.observations("v1")
    assert (now.detections.label, now.detector, len(now.vectors)) == (("bird",), "yolo 1", 2)
    archive.add_frames([], [first])
    (now,) = archive.observations("v1")
    assert (now.detections.label, len(now.vectors)) == (("bird",), 2)
    assert archive.frames([kept.id])[kept.id] == kept


def test_a_frame_without_detections_was_looked_at_all_the_same(store, archive):
    seen = replace(observation(vectors=np.eye(8)[:1]), detector="yolo 1")
    store.write(Batch([seen]))
    (back,) = archive.observations("v1")
    assert back.detector == "yolo 1"
    assert len(back.detections) == len(Detections.empty())


# ── what is kept of pictures ─────────────────────────────────────────────────────────────────────────


def kept(count, start=0):
    return [
        SeenFrame(each.frame.id, "porch", each.frame.taken_at, each.size_wh, "", 1000) for each in frames(count, start)
    ]


def test_the_oldest_pictures_come_first_and_fade_to_thumbnails(store, archive):
    some = kept(4)
    store.write(Batch(frames(4), frames=some))
    assert archive.oldest_pictures(2) == some[:2]
    archive.keep({each.id: (0, 50) for each in some[:2]})
    assert [each.id for each in archive.oldest_pictures(9)] == [each.id for each in some[2:]]
    assert [(each.id, each.thumbnail_bytes) for each in archive.oldest_thumbnails(9)] == [(e.id, 50) for e in some[:2]]
    archive.keep({some[0].id: (0, 0)})
    assert [each.id for each in archive.oldest_thumbnails(9)] == [some[1].id]
    use = archive.usage()
    assert (use.frames, use.elements, use.pictures, use.picture_bytes) == (4, 8, 2, 2000)
    assert (use.thumbnails, use.thumbnail_bytes) == (1, 50)
    assert use.database_bytes > 10_000


def test_what_expired_is_what_is_old_and_was_not_selected(store, archive):
    of = active(store)
    some = kept(4)
    seen = frames(4)
    store.write(Batch(seen, [sample(of, seen[0])], frames=some))
    assert [each.id for each in archive.expired(102.0, limit=9)] == [some[1].id]
    assert [each.id for each in archive.expired(104.0, limit=2)] == [some[1].id, some[2].id]


def test_a_frame_is_forgotten_once_nothing_of_it_is_left(store, archive):
    store.write(Batch(frames(3), frames=kept(3)))
    assert archive.forget_frames(200.0, limit=9) == 0
    archive.keep({each.id: (0, 0) for each in kept(3)})
    assert archive.forget_frames(200.0, limit=9) == 0
    archive.remove(archive.keys("v1"))
    assert archive.forget_frames(102.0, limit=9) == 2
    assert len(archive.observations("v1")) == 1


def test_what_was_scanned_or_brought_in_outlives_what_cameras_showed(store, archive):
    scanned, shown = frames(2), frames(2, start=5)
    archive.add_frames(
        [SeenFrame(e.frame.id, "disk", e.frame.taken_at, e.size_wh, "film.mp4#1") for e in scanned], scanned
    )
    archive.add([newcomer(1, 70)])
    store.write(Batch(shown))
    assert store.prune(1e9, limit=99) == 4
    assert archive.forget_frames(1e9, limit=99) == 2
    assert [each.frame.id for each in archive.observations("v1")] == [each.frame.id for each in scanned]
    assert archive.count("v1") == 5


def test_where_another_detector_looks_no_vector_is_taken_for_that_of_another_thing(store, archive):
    def looked(detector, *labels):
        at = {"bird": 0, "cat": 1, "owl": 2}
        seen = observation(*((label, 0.9) for label in labels), vectors=np.eye(8)[[7, *(at[each] for each in labels)]])
        boxes = np.array([[10 * at[each], 0, 10 * at[each] + 9, 9] for each in labels], np.float32)
        return replace(seen, detections=replace(seen.detections, xyxy=boxes), detector=detector)

    first, second = looked("yolo 1", "bird", "cat"), looked("yolo 2", "owl", "cat", "bird")
    for look_again in (lambda seen: store.write(Batch([seen])), lambda seen: archive.add_frames([], [seen])):
        store.write(Batch([first]))
        archive.add([newcomer(1, frame_id=first.frame.id, row=9)])
        look_again(second)
        recalled = archive.recall([first.frame.id], "v1")[first.frame.id]
        assert recalled.detections.label == ("owl", "cat", "bird")
        assert recalled.vectors == pytest.approx(second.vectors, abs=1e-3)
        assert archive.count("v1") == 5  # and what was brought in
        archive.remove(archive.keys("v1"))
        look_again(first)


def test_files_that_were_scanned_are_known_again(archive):
    film = ScannedFile("h1", "film.mp4", ("a", "b"), 3.0)
    archive.add_scanned([film, film])
    assert archive.scanned(["h1", "h2"]) == {"h1": film}


# ── embedding versions ───────────────────────────────────────────────────────────────────────────────


def test_embedding_versions_and_what_uses_them(store, archive):
    of = active(store, embedding_version="v1", seeds=(seed(np.eye(8)[0]),))
    store.add_seeds("birds", [seed(np.eye(8)[0])])
    write(store, of, 2)
    archive.add([newcomer(1, version="v2", taken_at=900.0)])
    archive.record_embedder("v1", "clip", 8)
    archive.record_embedder("v3", "other", 4)
    new, used, idle = archive.embedding_versions()
    assert (new.version, new.embedder, new.dim, new.elements, new.campaigns) == ("v2", "", 8, 1, ())
    assert (used.version, used.embedder, used.elements, used.seeds, used.samples) == ("v1", "clip", 4, 1, 2)
    assert (used.campaigns, used.first_at, used.last_at) == (("birds",), 100.0, 101.0)
    assert (idle.version, idle.embedder, idle.dim, idle.elements) == ("v3", "other", 4, 0)


def test_the_embedder_that_was_chosen_last_counts_and_a_running_hub_learns_of_it(store, archive):
    assert archive.chosen_embedder() == ""
    archive.record_embedder("v1", "clip", 8)
    archive.record_embedder("v2", "other", 8)
    before = store.revision()
    archive.choose_embedder("v1", "clip-b32")
    archive.choose_embedder("v2", "clip-l14")
    archive.record_embedder("v2", "other, by another name", 8)
    assert archive.chosen_embedder() == "clip-l14"
    assert store.revision() > before
