"""What every blob store does."""

import time
import uuid

import pytest

from hub.blobs import YOUNG_S, open_blobs, sweep
from shared.errors import InvalidInput, NotFound

KEY, OTHER = "ab" + "0" * 30, "cd" + "1" * 30


@pytest.fixture(params=["file", "memory"])
def blobs(request, tmp_path):
    return open_blobs(f"file://{tmp_path / 'frames'}" if request.param == "file" else f"memory://{uuid.uuid4()}")


def test_a_blob_comes_back_as_it_was_put(blobs):
    blobs.put(KEY, b"one")
    blobs.put(OTHER, b"")
    assert (blobs.get(KEY), blobs.get(OTHER)) == (b"one", b"")
    assert KEY in blobs and "ef" + KEY not in blobs
    assert sorted(blobs.keys()) == [KEY, OTHER]


def test_a_blob_that_need_not_outlive_a_power_cut_comes_back_all_the_same(blobs):
    blobs.put(KEY, b"one", durable=False)
    blobs.put(KEY, b"one", durable=False)
    assert blobs.get(KEY) == b"one"
    assert blobs.keys() == [KEY]


def test_a_blob_that_is_put_again_is_kept(blobs):
    blobs.put(KEY, b"one")
    blobs.put(KEY, b"one")
    assert blobs.keys() == [KEY]


def test_a_blob_that_is_absent_is_not_found(blobs):
    with pytest.raises(NotFound, match=KEY):
        blobs.get(KEY)
    assert list(blobs.keys()) == []
    blobs.delete(KEY)
    blobs.put(KEY, b"one")
    blobs.delete(KEY)
    assert KEY not in blobs


@pytest.mark.parametrize("key", ["", "a", "../../etc/passwd", "ab/cd", "ab\0cd", "x" * 200])
def test_what_could_name_another_file_is_no_key(blobs, key):
    with pytest.raises(InvalidInput, match="no id of a picture"):
        blobs.put(key, b"one")
    with pytest.raises(InvalidInput):
        blobs.get(key)


def test_a_sweep_takes_old_orphans_and_nothing_else(blobs):
    blobs.put(KEY, b"one")
    blobs.put(OTHER, b"two")
    assert sweep(blobs, {KEY}) == 0, "too young: its row may be about to be written"
    assert sweep(blobs, {KEY}, now=time.time() + YOUNG_S + 1) == 1
    assert blobs.keys() == [KEY]
