"""What every store says these cameras normally show."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hub.types import Batch, ElementKind
from tests.contract.storing import frames
from tests.hub.making import observation


def _crops(*found, content, camera="porch"):
    """A frame whose row i is told by its vector: 1 in place i."""
    return observation(*found, vectors=np.eye(8)[: 1 + len(found)], content=content, camera=camera)


def test_the_background_is_drawn_from_the_right_elements(store):
    store.write(Batch(frames(40)))
    whole = store.background("v1", ElementKind.FRAME, limit=25)
    assert whole.vectors.shape == (25, 8)
    assert whole.frame.tolist() == list(range(25))
    np.testing.assert_allclose(np.linalg.norm(whole.vectors, axis=1), 1, atol=1e-6)
    crops = store.background("v1", ElementKind.CROP, limit=1000)
    assert (len(crops), crops.frame.dtype) == (40, np.int64)


@pytest.mark.parametrize("element", ElementKind)
def test_no_background_is_an_empty_one(store, element):
    assert len(store.background("v1", element, limit=10)) == 0
    store.write(Batch(frames(3)))
    none = store.background("v2", element, limit=10)
    assert (len(none), none.vectors.ndim, none.frame.shape) == (0, 2, (0,))


@pytest.mark.parametrize("many", [3, 400])
def test_all_crops_of_a_frame_come_together(store, many):
    """Of a small table and of one in which ids are drawn."""
    store.write(
        Batch(
            [_crops(("bird", 0.9), ("cat", 0.8), ("bird", 0.2), content=f"{i}") for i in range(many)]
            + [_crops(content=f"none {i}") for i in range(many)]
        )
    )
    drawn = store.background("v1", ElementKind.CROP, limit=3)
    assert drawn.frame.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert drawn.vectors.argmax(axis=1).tolist() == [1, 2, 3] * 3


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        ({"labels": ["bird"]}, [1, 3]),
        ({"labels": ["bird"], "confidence": 0.5}, [1]),
        ({"confidence": 0.5}, [1, 2]),
        ({"labels": ["bird", "cat"], "cameras": ["yard"]}, [1]),
        ({"cameras": ["yard", "porch"]}, [1, 1, 2, 3]),
        ({"labels": ["fox"]}, []),
        ({"cameras": ["roof"]}, []),
    ],
)
def test_crops_are_of_the_cameras_labels_and_confidence_asked_for(store, wanted, rows):
    porch = _crops(("bird", 0.9), ("cat", 0.8), ("bird", 0.2), content="1")
    store.write(Batch([porch, _crops(("cat", 0.7), content="2", camera="yard"), _crops(content="3", camera="yard")]))
    drawn = store.background("v1", ElementKind.CROP, limit=9, **{"cameras": ["porch"], **wanted})
    assert sorted(int(vector.argmax()) for vector in drawn.vectors) == rows


def test_frames_are_of_the_cameras_asked_for_whatever_was_found_in_them(store):
    store.write(Batch([*frames(5, camera="yard"), *frames(7, start=10)]))
    assert len(store.background("v1", ElementKind.FRAME, limit=99, cameras=["yard"], labels=["fox"])) == 5
    assert len(store.background("v1", ElementKind.FRAME, limit=99, cameras=["yard", "porch"])) == 12


def test_a_frame_is_no_likelier_to_be_drawn_for_having_many_crops(store):
    store.write(
        Batch(
            [_crops(*[("bird", 0.9)] * 7, content=f"many {i}") for i in range(100)]
            + [_crops(("bird", 0.9), content=f"one {i}") for i in range(100)]
        )
    )
    sizes = Counter()
    for _ in range(20):
        drawn = store.background("v1", ElementKind.CROP, limit=10)
        sizes.update(np.bincount(drawn.frame).tolist())
    assert sizes.total() == 200
    assert 60 < sizes[1] < 140


def test_old_frames_are_drawn_as_often_as_new_ones(store):
    for age in range(2):
        store.write(Batch([observation(vectors=np.eye(2)[age], content=f"{age} {i}") for i in range(200)]))
    ages = Counter()
    for _ in range(40):
        ages.update(store.background("v1", ElementKind.FRAME, limit=5).vectors.argmax(axis=1).tolist())
    assert ages.total() == 200
    assert 60 < ages[0] < 140


def test_the_background_of_a_new_model_is_found_among_many_elements_of_the_old(store):
    store.write(Batch(frames(200)))
    store.write(Batch([replace(each, embedding_version="v2") for each in frames(5, start=1000)]))
    assert len(store.background("v2", ElementKind.FRAME, limit=4)) == 4
    assert len(store.background("v2", ElementKind.CROP, limit=5)) == 5
    assert len(store.background("v1", ElementKind.FRAME, limit=5)) == 5
