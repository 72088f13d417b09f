"""Blobs as files: whole or not at all, whatever the disk does."""

import contextlib
import os
import subprocess
import sys
import time

import pytest

from hub.blobs import PARTS, YOUNG_S, open_blobs, sweep
from shared.errors import InvalidInput, StorageFull, StoreError
from tests.hub.full_disk import files_no_larger_than

KEY = "ab" + "0" * 30


@pytest.fixture
def blobs(tmp_path):
    return open_blobs(f"file://{tmp_path}")


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_disk_that_fills_half_way_leaves_nothing(blobs, tmp_path):
    with files_no_larger_than(1000), pytest.raises(StorageFull, match="no room"):
        blobs.put(KEY, b"x" * 5000)
    assert KEY not in blobs
    assert _files(tmp_path) == []
    blobs.put(KEY, b"x" * 5000)
    assert blobs.get(KEY) == b"x" * 5000


def test_a_place_that_is_no_folder_is_named(tmp_path):
    (tmp_path / "frames").write_bytes(b"")
    with pytest.raises(StorageFull, match="frames can't be written"):
        open_blobs(f"file://{tmp_path / 'frames'}").put(KEY, b"x")


def test_a_blob_that_cannot_be_read_is_named(blobs, tmp_path):
    (tmp_path / "ab" / KEY).mkdir(parents=True)
    with pytest.raises(StoreError, match=f"{KEY}.*can't be read"):
        blobs.get(KEY)


def test_a_blob_that_is_put_again_is_young_again(blobs, tmp_path):
    blobs.put(KEY, b"x")
    old = time.time() - 2 * YOUNG_S
    os.utime(tmp_path / "ab" / KEY, (old, old))
    blobs.put(KEY, b"x")
    assert sweep(blobs, set()) == 0


def test_a_blob_that_a_power_cut_cut_short_is_stored_anew(blobs, tmp_path):
    blobs.put(KEY, b"x" * 5000, durable=False)
    (tmp_path / "ab" / KEY).write_bytes(b"x" * 4096)
    blobs.put(KEY, b"x" * 5000)
    assert blobs.get(KEY) == b"x" * 5000


def test_only_a_blob_that_must_last_waits_for_the_disk(blobs, monkeypatch):
    waits = []
    monkeypatch.setattr(os, "fsync", waits.append)
    blobs.put(KEY, b"x", durable=False)
    assert not waits
    blobs.put(KEY[::-1], b"x")
    assert len(waits) == 2, "the file, and its name"


def test_what_a_killed_writer_left_is_cleared_once_it_is_old(blobs, tmp_path):
    blobs.put(KEY, b"x")
    old, new = tmp_path / PARTS / "old", tmp_path / PARTS / "new"
    old.write_bytes(b"x")
    new.write_bytes(b"x")
    os.utime(old, (0, 0))
    assert open_blobs(f"file://{tmp_path}").keys() == [KEY]
    assert _files(tmp_path / PARTS) == [new], "another process may be writing it"


SIZE = 2_000_000
_WRITE = f"""
import sys
from hub.blobs import open_blobs
blobs = open_blobs(sys.argv[1])
print("ready", flush=True)
for i in range(100):
    blobs.put(f"ab{{i:030x}}", bytes([i]) * {SIZE})
"""


def test_whoever_looks_sees_whole_blobs_even_when_the_writer_is_killed(tmp_path):
    url = f"file://{tmp_path}"
    for seconds in (0.1, 0.4):
        writer = subprocess.Popen([sys.executable, "-c", _WRITE, url], stdout=subprocess.PIPE)
        writer.stdout.readline()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert {path.stat().st_size for path in (tmp_path / "ab").glob("*")} <= {SIZE}
        writer.kill()
        writer.communicate()
    blobs = open_blobs(url)
    stored = blobs.keys()
    assert stored
    assert all(blobs.get(key) == bytes([int(key[2:], 16)]) * SIZE for key in stored)


@pytest.mark.parametrize(("url", "hint"), [("s3://bucket/frames", "s3fs"), ("carrier-pigeon://loft", "file:///folder")])
def test_a_url_that_cannot_be_used_says_what_can(url, hint):
    if url.startswith("s3"):
        with contextlib.suppress(ImportError):
            import s3fs  # noqa: F401

            pytest.skip("s3fs is installed")
    with pytest.raises(InvalidInput, match=hint):
        open_blobs(url)
