"""Random draws of frames and samples by time, on every store."""

from dataclasses import replace

import numpy as np
import pytest

from hub.types import Batch
from tests.contract.storing import active, frames, write
from tests.hub.making import observation


def drawn(store, limit=10, **changes):
    values = {"since": 0.0, "until": 1e9, "seed": 0, "limit": limit, **changes}
    return store.draw_frames("v1", **values)


def test_when_the_first_and_the_last_frame_were_taken(store):
    assert store.taken_between("v1") is None
    store.write(Batch([*frames(5), *frames(5, start=10, camera="yard")]))
    assert store.taken_between("v1") == (100.0, 114.0)
    assert store.taken_between("v1", camera="yard") == (110.0, 114.0)
    assert store.taken_between("v2") is None


def test_when_the_first_and_the_last_sample_of_a_campaign_were_taken(store):
    of = active(store)
    assert store.taken_between("v1", campaign="birds") is None
    write(store, of, 7, start=3)
    assert store.taken_between("v1", campaign="birds") == (103.0, 109.0)
    assert store.taken_between("v2", campaign="birds") == (103.0, 109.0)
    assert store.taken_between("v1", campaign="birds", camera="yard") is None


def test_frames_of_a_time_and_a_camera_come_oldest_first_with_their_vectors(store):
    store.write(Batch([*frames(8), *frames(8, start=8, camera="yard")]))
    some = drawn(store, since=102.0, until=110.0)
    assert some.taken_at.tolist() == [102.0 + i for i in range(8)]
    assert some.camera.tolist() == ["porch"] * 6 + ["yard"] * 2
    assert some.vectors.argmax(axis=1).tolist() == [2, 3, 4, 5, 6, 7, 0, 1]
    assert set(some.id.tolist()) <= {each.frame.id for each in frames(16)}
    assert drawn(store, camera="yard", limit=99).camera.tolist() == ["yard"] * 8


@pytest.mark.parametrize("many", [40, 900])
def test_a_draw_is_random_and_the_same_for_the_same_seed(store, many):
    """Of a small table, and of one in which ids are probed."""
    store.write(Batch(frames(many)))
    first, again, other = drawn(store), drawn(store), drawn(store, seed=1)
    assert len(set(first.id.tolist())) == 10
    assert first.id.tolist() == again.id.tolist() != other.id.tolist()
    assert np.ptp(first.taken_at) > many / 4


def test_every_frame_is_drawn_about_as_often(store):
    store.write(Batch(frames(60)))
    times = np.concatenate([drawn(store, limit=6, seed=seed).taken_at for seed in range(100)])
    hits = np.bincount((times - 100).astype(int), minlength=60)
    assert hits.sum() == 600
    assert hits.reshape(6, 10).sum(axis=1).min() > 60
    assert hits.max() < 30


def test_the_few_frames_of_a_new_model_are_found_among_many(store):
    store.write(Batch(frames(400)))
    new = [replace(each, embedding_version="v2") for each in frames(5, start=1000)]
    store.write(Batch(new))
    assert len(store.draw_frames("v2", since=0.0, until=1e9, limit=4, seed=0)) == 4


def test_no_frame_is_an_empty_draw(store):
    assert len(drawn(store)) == 0
    store.write(Batch(frames(3)))
    assert len(drawn(store, since=500.0)) == 0
    assert len(drawn(store, camera="roof")) == 0


def test_samples_are_drawn_by_time_and_seed(store):
    of = active(store)
    write(store, of, 50)
    first, other = (store.draw_samples("birds", since=110.0, until=140.0, limit=9, seed=seed) for seed in (0, 1))
    assert len(first) == 9
    assert [s.taken_at for s in first] == sorted(s.taken_at for s in first)
    assert all(110 <= s.taken_at < 140 and s.campaign == "birds" for s in first)
    assert [s.id for s in first] != [s.id for s in other]
    assert store.draw_samples("foxes", since=0.0, until=1e9, limit=9, seed=0) == []
    assert store.draw_samples("birds", since=0.0, until=1e9, limit=9, seed=0, camera="yard") == []


def test_vectors_of_whole_frames_by_id(store):
    some = frames(4)
    store.write(Batch([*some, observation(content="blind")]))
    ids = [each.frame.id for each in some]
    found = store.frame_vectors("v1", [*ids, "absent", observation(content="blind").frame.id])
    assert set(found) == set(ids)
    assert [int(found[each].argmax()) for each in ids] == [0, 1, 2, 3]
    assert store.frame_vectors("v2", ids) == {}
    assert store.frame_vectors("v1", []) == {}
