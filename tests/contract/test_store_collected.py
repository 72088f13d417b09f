"""What every store does with what the collector leaves."""

import multiprocessing
from dataclasses import replace

import numpy as np
import pytest

from hub.store import open_store
from hub.triggers.similarity import Similarity
from hub.types import Batch, Counts, ElementKind, Held, Linked, SampleStatus, Score, Stage
from shared.errors import InvalidInput, NotFound, StoreError
from tests.contract.storing import active, add_campaign, at_once, frames, judged, sample, write
from tests.hub.making import seed, unit


def test_a_sample_comes_back_as_it_was_written(store):
    made = active(store, tags=("night",))
    (seen,) = frames(1)
    linked = (Linked("f1", 99.5, 0.625), Linked("f2", 100.5, 0.5))
    written = sample(made, seen, control=True, linked=linked)
    assert store.write(Batch([seen], [written])) == [written]
    back = store.sample(written.id)
    assert (back.score, back.box, back.size_wh, back.tags) == (written.score, written.box, (640, 480), ("night",))
    assert (back.control, back.linked, back.detections.label) == (True, linked, ("bird", "cat"))
    np.testing.assert_allclose(back.detections.xyxy, written.detections.xyxy)
    np.testing.assert_allclose(back.vector, written.vector, atol=1e-3)
    assert np.linalg.norm(back.vector) == pytest.approx(1.0, abs=1e-6)


def test_writing_twice_is_writing_once(store):
    made = active(store)
    assert len(write(store, made, 5)) == 5
    assert write(store, made, 5) == []
    assert len(store.samples()) == 5
    assert len(store.deliveries()) == 5
    assert [(c.processed, c.collected) for c in store.counts("birds")] == [(5, 5)]


def test_samples_come_newest_first_page_by_page(store):
    made = active(store)
    write(store, made, 7)
    pages, before = [], None
    while page := store.samples(campaign="birds", limit=3, before=before):
        pages.append([s.taken_at - 100 for s in page])
        before = page[-1].id
    assert pages == [[6, 5, 4], [3, 2, 1], [0]]
    assert [s.taken_at for s in store.taken_by(1, limit=2)] == [106, 105]
    assert store.collected(1) == 7


def test_a_sample_is_known_by_the_beginning_of_its_id(store):
    made = active(store)
    one, other = (s.id for s in write(store, made, 2))
    shared = next(i for i in range(len(one)) if one[i] != other[i])
    assert store.sample_id(one) == store.sample_id(one[: shared + 1]) == one
    with pytest.raises(InvalidInput, match="several"):
        store.sample_id(one[:shared])
    for unknown in ("1:nothing", "%", "_"):
        with pytest.raises(NotFound):
            store.sample_id(unknown)


def test_reviews_are_kept_and_found(store):
    made = active(store)
    ids = [s.id for s in write(store, made, 4)]
    assert store.review(ids[:3], SampleStatus.ACCEPTED) == 3
    assert store.review(ids[:1], SampleStatus.DISCARDED) == 1
    assert {s.id for s in store.samples(status=SampleStatus.ACCEPTED)} == set(ids[1:3])
    with pytest.raises(NotFound):
        store.review([ids[3], "1:nothing"], SampleStatus.ACCEPTED)
    assert store.sample(ids[3]).status is SampleStatus.UNSORTED


def test_the_control_draw_is_found_apart_from_what_the_campaign_chose(store):
    made = active(store)
    chosen, drawn = (sample(made, seen, control=i == 1) for i, seen in enumerate(frames(2)))
    store.write(Batch(samples=[chosen, drawn]))
    assert [s.id for s in store.samples(control=True)] == [drawn.id]
    assert [s.id for s in store.samples(control=False)] == [chosen.id]
    assert len(store.samples()) == 2


_BAD = {
    "score": {"score": Score(float("nan"))},
    "cosine": {"score": Score(0.5, cosine=float("inf"))},
    "box": {"box": (0.0, 0.0, float("nan"), 1.0)},
    "vector": {"vector": np.array([np.nan, 1], np.float32)},
    "time": {"taken_at": float("nan")},
    "linked score": {"linked": (Linked("f", 1.0, float("nan")),)},
}


def test_a_sample_held_until_no_time_at_all_is_refused(store):
    made = active(store)
    (seen,) = frames(1)
    with pytest.raises(StoreError, match="no number"):
        store.write(Batch(held=[Held(sample(made, seen), Stage.BURST, float("nan"))]))


@pytest.mark.parametrize("what", _BAD)
@pytest.mark.parametrize("held", [False, True])
def test_a_sample_with_a_number_that_is_none_is_refused_and_nothing_of_its_batch_is_stored(store, what, held):
    made = active(store)
    seen = frames(2)
    good, bad = sample(made, seen[0]), sample(made, seen[1], **_BAD[what])
    batch = Batch(seen, [good], counts=judged(made, seen))
    batch = replace(batch, held=[Held(bad, Stage.BURST, 1.0)]) if held else replace(batch, samples=[good, bad])
    with pytest.raises(StoreError, match=f"{what} that is not a finite number"):
        store.write(batch)
    assert (store.samples(), store.held(), store.counts()) == ([], [], [])
    assert len(store.background("v1", ElementKind.FRAME, limit=9)) == 0


def test_a_vector_that_is_none_is_left_out_of_what_cameras_normally_show(store):
    seen = frames(2)
    seen[0].vectors[0, 0] = np.nan
    store.write(Batch(seen))
    assert len(store.background("v1", ElementKind.FRAME, limit=9)) == 1


# ── counting each frame once ─────────────────────────────────────────────────────────────────────────


def _processed(store, name=None):
    return sum(c.processed for c in store.counts(name))


def test_a_frame_counts_once_in_a_batch_and_over_batches(store):
    made = active(store)
    (seen,) = frames(1)
    store.write(Batch([seen, seen], counts=judged(made, [seen, seen])))
    assert _processed(store) == 1
    store.write(Batch([seen], counts=judged(made, [seen])))
    assert _processed(store) == 1


@pytest.mark.parametrize("chance", range(5))
def test_whatever_the_batches_processed_are_as_many_as_pairs_of_frame_and_campaign(store, chance):
    rng = np.random.default_rng(chance)
    campaigns = [active(store, name) for name in ("birds", "cats", "dogs")]
    pairs = set()
    for _ in range(12):
        seen = [
            frames(1, int(i), camera)[0]
            for i, camera in zip(rng.integers(0, 40, 9), rng.choice(["a", "b"], 9), strict=True)
        ]
        judging = [each for each in campaigns if rng.random() < 0.5]
        store.write(Batch(seen, counts=[row for each in judging for row in judged(each, seen)]))
        pairs |= {(each.campaign_id, s.frame.id) for each in judging for s in seen}
        assert _processed(store) == len(pairs)


def test_frames_that_did_not_change_are_counted_as_often_as_they_were_polled(store):
    made = active(store)
    (seen,) = frames(1)
    for _ in range(2):
        store.write(Batch([seen], counts=[Counts(made.campaign_id, 1, "porch", 1 + 7, 0)]))
    assert _processed(store) == 1 + 7 + 7


def test_a_frame_counts_for_every_campaign_that_judges_it_even_later(store):
    birds, cats = active(store, "birds"), active(store, "cats")
    seen = frames(3)
    store.write(Batch(seen[:2], counts=judged(birds, seen[:2])))
    store.write(Batch(seen, counts=[*judged(birds, seen), *judged(cats, seen)]))
    assert (_processed(store, "birds"), _processed(store, "cats")) == (3, 3)


def test_a_frame_judged_by_two_versions_of_a_campaign_counts_for_the_first(store):
    made = active(store)
    seen = frames(2)
    store.write(Batch(seen[:1], counts=judged(made, seen[:1])))
    store.write(Batch(seen, counts=judged(replace(made, number=2), seen)))
    assert {c.version: c.processed for c in store.counts()} == {1: 1, 2: 1}


def test_a_picture_that_two_cameras_show_counts_for_the_one_that_showed_it_first(store):
    made = active(store)
    seen = [*frames(2, camera="yard"), *frames(2, camera="porch")]
    store.write(Batch(seen, counts=judged(made, seen)))
    assert {c.camera: c.processed for c in store.counts()} == {"yard": 2, "porch": 0}


def test_frames_out_of_every_campaigns_sight_are_not_marked_as_judged(store):
    made = active(store)
    seen = frames(2)
    store.write(Batch(seen))
    store.write(Batch(seen, counts=[Counts(made.campaign_id, 1, "porch", 0, 0)]))
    store.write(Batch(seen, counts=judged(made, seen)))
    assert _processed(store) == 2


def test_a_sample_of_a_camera_without_frames_in_the_batch_is_counted(store):
    made = active(store)
    (seen,) = frames(1)
    store.write(Batch(samples=[sample(made, seen)], counts=[Counts(made.campaign_id, 1, "yard", 3, 0)]))
    assert {c.camera: (c.processed, c.collected) for c in store.counts()} == {"yard": (3, 0), "porch": (0, 1)}


def test_frames_are_counted_again_once_they_are_forgotten_with_age(store):
    made = active(store)
    seen = frames(4)
    store.write(Batch(seen, [sample(made, seen[0])], counts=judged(made, seen)))
    while store.prune(102.0, limit=1):
        pass
    store.write(Batch(seen, counts=judged(made, seen)))
    assert _processed(store) == 4 + 2


def test_writers_of_the_same_frames_in_another_order_count_them_once(store):
    made, other = active(store, "birds"), active(store, "cats")
    seen = frames(60)
    batches = [
        Batch(some, counts=[*judged(made, some), *judged(other, some)]) for some in (seen, seen[::-1], seen[20:], seen)
    ]
    assert at_once(*[lambda batch=batch: store.write(batch) for batch in batches]) == [None] * 4
    assert (_processed(store, "birds"), _processed(store, "cats")) == (60, 60)


def test_frames_that_one_campaign_judged_before_count_once_for_the_next_whoever_writes_them(store):
    birds, cats, dogs = (active(store, name) for name in ("birds", "cats", "dogs"))
    seen = frames(200)
    store.write(Batch(seen, counts=judged(birds, seen)))
    writes = [lambda of=of: store.write(Batch(seen, counts=judged(of, seen))) for of in (cats, dogs, cats, dogs)]
    assert at_once(*writes) == [None] * 4
    assert at_once(*writes) == [None] * 4
    assert [_processed(store, name) for name in ("birds", "cats", "dogs")] == [200, 200, 200]


def _write_all(url, start):
    store = open_store(url)
    (made,) = store.active_versions()
    for first in range(start, start + 100, 10):
        write(store, made, 10, first)
    store.close()


def test_two_processes_that_write_the_same_frames_count_them_once(store, url):
    active(store)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_all, args=(url, start)) for start in (0, 50)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert [(c.processed, c.collected) for c in store.counts()] == [(150, 150)]


# ── samples that wait ────────────────────────────────────────────────────────────────────────────────


def test_what_is_held_survives_reopening_exactly_and_in_the_order_it_came(store, url):
    made = active(store, tags=("night",))
    vector = unit([0.1, 0.2, 0.3])[0]
    waiting = [
        Held(sample(made, seen, vector=vector, control=True, linked=(Linked("f", 1.0, 0.1),)), Stage.BURST, 160.0)
        for seen in frames(3)
    ]
    store.write(Batch(held=waiting))
    store.write(Batch(held=[replace(waiting[0], stage=Stage.WINDOW, until=float("inf"))]))
    store.close()
    again = open_store(url)
    back = again.held()
    again.close()
    assert [h.sample.id for h in back] == [h.sample.id for h in waiting]
    assert [(h.stage, h.until) for h in back[:2]] == [(Stage.WINDOW, float("inf")), (Stage.BURST, 160.0)]
    assert np.array_equal(back[0].sample.vector, vector)
    kept, given = (
        {k: v for k, v in vars(h.sample).items() if k not in ("vector", "detections")} for h in (back[0], waiting[0])
    )
    assert kept == given


def test_a_held_sample_is_replaced_by_what_changed_of_it(store):
    made = active(store)
    (seen,) = frames(1)
    store.write(Batch(held=[Held(sample(made, seen, value=0.6), Stage.BURST, 1.0)]))
    store.write(Batch(held=[Held(sample(made, seen, value=0.7, vector=None), Stage.WINDOW, 2.0)]))
    (back,) = store.held()
    assert (back.sample.score.value, back.sample.vector, back.stage, back.until) == (0.7, None, Stage.WINDOW, 2.0)


def test_what_is_let_go_becomes_a_sample_in_the_same_breath_or_none_at_all(store):
    made = active(store)
    chosen, beaten, waits = (sample(made, seen) for seen in frames(3))
    store.write(Batch(held=[Held(each, Stage.WINDOW, 9.0) for each in (chosen, beaten, waits)]))
    assert store.samples() == []
    store.write(Batch(samples=[chosen], let_go=[chosen.id, beaten.id, "1:never-held"]))
    assert [h.sample.id for h in store.held()] == [waits.id]
    assert [s.id for s in store.samples()] == [chosen.id]
    assert len(store.deliveries()) == 1
    assert [(c.processed, c.collected) for c in store.counts()] == [(0, 1)]


def test_a_thousand_are_let_go_at_once(store):
    made = active(store)
    some = [sample(made, seen) for seen in frames(1200)]
    store.write(Batch(held=[Held(each, Stage.WINDOW, 9.0) for each in some]))
    store.write(Batch(let_go=[each.id for each in some]))
    assert store.held() == []


def test_writers_at_the_same_moment_lose_nothing_and_count_each_frame_once(store):
    made = active(store)
    ended = at_once(*[lambda start=start: write(store, made, 10, start) for start in (0, 5, 10, 15)])
    assert ended == [None] * 4
    assert store.collected(1) == 25
    assert len(store.deliveries(limit=100)) == 25
    assert [(c.processed, c.collected) for c in store.counts()] == [(25, 25)]


def test_old_elements_go_but_never_those_of_a_sample(store):
    made = active(store)
    seen = frames(10)
    waiting = Held(sample(made, seen[1]), Stage.WINDOW, 500.0)
    store.write(Batch(seen, [sample(made, seen[0])], held=[waiting]))
    assert store.prune(105.0, limit=4) == 4
    while store.prune(105.0, limit=4):
        pass
    left = store.background("v1", ElementKind.FRAME, limit=100)
    assert len(left) == 2 + 5
    assert len(store.samples()) == 1


def test_every_picture_that_a_row_names_is_listed(store):
    made = active(store)
    add_campaign(store, "t", Similarity(), [seed([1, 0], "a")])
    written = {s.frame_id for s in write(store, made, 2)}
    (other,) = frames(1, start=2)
    store.write(Batch(held=[Held(sample(made, other), Stage.BURST, 0.0)]))
    assert store.blob_keys() == written | {other.frame.id, "a"}
