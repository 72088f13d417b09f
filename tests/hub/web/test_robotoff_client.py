"""Robotoff-ANN's contract, row by row, from outside: a client that knows nothing of ours, and a real server."""

import pytest

from tests.hub.web.making import TOKEN, Parts
from tests.hub.web.robotoff_client import Failed, RobotoffAnn
from tests.hub.web.serving import serving
from tests.hub.web.test_ann_add import Pictures

COUNT = 150


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """What is stored: keys 100 … 249. The store's folder comes along."""
    folder = tmp_path_factory.mktemp("ann")
    parts = Parts(folder)
    made = parts.fill(COUNT)
    parts.store.close()
    return folder, made


@pytest.fixture(scope="module")
def ann(vectors):
    with serving(vectors[0], TOKEN) as (url, _), RobotoffAnn(f"{url}/api/v1/ann", TOKEN) as client:
        yield client


@pytest.fixture(scope="module")
def pictures():
    with Pictures().serving() as server:
        yield server


def status(call, *args, **kwargs):
    """Of a call that fails; its answer says what is wrong."""
    with pytest.raises(Failed) as failed:
        call(*args, **kwargs)
    assert failed.value.title
    return failed.value.status


def test_neighbours_of_an_item(ann):
    assert len(ann.neighbours(100)) == 100
    assert len(ann.neighbours(100, count=1)) == 1
    assert len(ann.neighbours(100, count=500)) == COUNT
    assert ann.neighbours(120, count=3)[0] == {"distance": 0.0, "logo_id": 120}


def test_an_item_that_is_neither_indexed_nor_stored_is_404(ann):
    assert status(ann.neighbours, 99) == 404


@pytest.mark.parametrize("count", [0, 501, -1, "x", "1.5"])
def test_a_count_out_of_bounds_is_400(ann, count):
    assert status(ann.neighbours, 100, count=count) == 400
    assert status(ann.neighbours, count=count) == 400
    assert status(ann.batch, [100], count=count) == 400


def test_neighbours_of_a_random_item(ann):
    first = {ann.neighbours(count=1)[0]["logo_id"] for _ in range(20)}
    assert len(first) > 1 and first <= set(range(100, 100 + COUNT))


def test_a_batch_leaves_out_unknown_ids(ann):
    said = ann.batch([100, 99, 101], count=4)
    assert sorted(said) == [100, 101]
    assert said[101] == ann.neighbours(101, count=4)
    assert len(ann.batch([100])[100]) == 100
    assert ann.batch([98, 99]) == {}


def test_a_batch_needs_its_ids(ann):
    assert status(ann._said, "GET", "/batch", set()) == 400
    assert status(ann._said, "GET", "/batch?logo_ids=a,b", set()) == 400


def test_neighbours_of_an_embedding(ann, vectors):
    embedding = vectors[1][7].tolist()
    assert [each["logo_id"] for each in ann.from_embedding(embedding)] == [107]
    assert len(ann.from_embedding(embedding, count=20)) == 20


def test_an_embedding_of_a_wrong_dimension_is_400(ann, vectors):
    assert status(ann.from_embedding, vectors[1][7].tolist()[:-1]) == 400
    assert status(ann.from_embedding, []) == 400


def test_an_unknown_index_is_400_everywhere(ann, vectors):
    for call, argument in ((ann.neighbours, 100), (ann.batch, [100]), (ann.from_embedding, vectors[1][7].tolist())):
        assert status(call, argument, index="efficientnet-b9") == 400


def test_adding_counting_and_listing(ann, pictures):
    before = ann.count()
    assert before == len(ann.stored())
    logos = [(7_000, [0.0, 0.0, 0.5, 0.5]), (7_001, [0.5, 0.5, 1.0, 1.0])]
    assert ann.add(pictures.url(), logos) == 2
    assert ann.add(pictures.url(), [*logos, (7_002, [0.1, 0.1, 0.9, 0.9])]) == 1
    assert ann.add(pictures.url(), logos) == 0
    assert ann.count() == before + 3
    assert {7_000, 7_001, 7_002} <= set(ann.stored())


def test_what_was_added_is_found_at_once(ann, pictures):
    ann.add(pictures.url(), [(8_000, [0.2, 0.0, 0.6, 0.7])])
    first, *others = ann.neighbours(8_000, count=10)
    assert first == {"distance": 0.0, "logo_id": 8_000}
    assert len(others) == 9
    assert 8_000 in {each["logo_id"] for each in ann.neighbours(others[0]["logo_id"], count=200)}


def test_a_bad_image_is_400(ann, pictures):
    pictures.status = 404
    try:
        assert status(ann.add, pictures.url(), [(9_000, [0, 0, 1, 1])]) == 400
    finally:
        pictures.status = 200
    assert status(ann.add, "file:///etc/passwd", [(9_000, [0, 0, 1, 1])]) == 400
    assert status(ann.add, pictures.url(), [(9_000, [0, 0, 1])]) == 400


def test_without_the_token_everything_is_401(vectors, ann):
    with RobotoffAnn(str(ann._http.base_url)) as stranger:
        assert status(stranger.count) == 401
        assert status(stranger.add, "http://127.0.0.1/", []) == 401
