"""What every store remembers of judging, by camera."""

import numpy as np
import pytest

from hub.store import open_store
from hub.types import Camera, Remembered, Tally
from shared.errors import InvalidInput, StoreError
from tests.contract.storing import add_campaign

_STATE = {"mean": np.arange(6, dtype=np.float32).reshape(2, 3), "n": 7, "since": None, "last": (1, [0.1, "é"])}


def _tally(seen=3):
    return Tally(np.linspace(0, 9, 64), at=12.5, since=1.25, seen=seen)


def test_what_judging_remembers_survives_reopening_bit_for_bit(store, url):
    made = add_campaign(store)
    store.remember([Remembered(made.id, "yard", {}), Remembered(made.id, "porch", _STATE, _tally())])
    store.close()
    again = open_store(url)
    porch, yard = again.remembered(made.id)
    again.close()
    assert (porch.camera, porch.campaign_id, yard.camera, yard.state, yard.tally) == ("porch", 1, "yard", {}, None)
    assert np.array_equal(porch.state["mean"], _STATE["mean"])
    assert porch.state["last"] == _STATE["last"]
    assert np.array_equal(porch.tally.counts, _tally().counts)
    assert (porch.tally.at, porch.tally.since, porch.tally.seen) == (12.5, 1.25, 3)


def test_what_is_remembered_takes_the_place_of_what_was(store):
    made = add_campaign(store)
    store.remember([Remembered(made.id, "porch", _STATE, _tally())])
    store.remember([Remembered(made.id, "porch", {"n": 8}, None), Remembered(made.id, "yard", {"n": 1}, _tally(9))])
    assert [(r.state, r.tally and r.tally.seen) for r in store.remembered(made.id)] == [({"n": 8}, None), ({"n": 1}, 9)]


def test_one_camera_or_all_are_forgotten_and_of_one_campaign_only(store):
    birds, cats = add_campaign(store, "birds"), add_campaign(store, "cats")
    store.remember([Remembered(c.id, camera, {}) for c in (birds, cats) for camera in ("porch", "yard", "roof")])
    assert store.forget(birds.id, "yard") == 1
    assert store.forget(birds.id, "nowhere") == 0
    assert [r.camera for r in store.remembered(birds.id)] == ["porch", "roof"]
    assert store.forget(birds.id) == 2
    assert store.remembered(birds.id) == []
    assert len(store.remembered(cats.id)) == 3


def test_a_thousand_cameras_are_remembered_at_once(store):
    made = add_campaign(store)
    rows = [Remembered(made.id, f"camera {i:04}", {"n": i}) for i in range(1100)]
    store.remember(rows)
    assert [r.state["n"] for r in store.remembered(made.id)] == list(range(1100))


def test_what_is_no_plain_value_is_refused_and_nothing_is_replaced(store):
    made = add_campaign(store)
    store.remember([Remembered(made.id, "porch", {"n": 1})])
    with pytest.raises(InvalidInput, match="object"):
        store.remember([Remembered(made.id, "porch", {"n": object()})])
    assert store.remembered(made.id)[0].state == {"n": 1}


def test_memory_of_no_campaign_is_an_error_of_ours(store):
    with pytest.raises(StoreError):
        store.remember([Remembered(99, "porch", {})])


def test_a_camera_that_is_removed_is_forgotten(store):
    made = add_campaign(store)
    for name in ("porch", "yard"):
        store.add_camera(Camera(name, f"http://{name}"))
    store.remember([Remembered(made.id, "porch", _STATE), Remembered(made.id, "yard", _STATE)])
    store.remove_camera("porch")
    assert [row.camera for row in store.remembered(made.id)] == ["yard"]
