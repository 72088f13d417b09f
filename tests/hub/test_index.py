import json

import numpy as np
import pytest

from hub import index
from hub.index import VectorIndex, check, open_index
from shared.errors import StorageFull
from tests.hub.making import unit


@pytest.fixture
def vectors():
    return unit(np.random.default_rng(0).normal(size=(200, 16)))


def test_the_nearest_is_the_one_with_the_highest_cosine(vectors):
    rows = unit(np.random.default_rng(1).normal(size=(30, 16)))
    cosine, best = VectorIndex(vectors, None).nearest(rows)
    expected = rows @ vectors.T
    assert np.array_equal(best, expected.argmax(1))
    np.testing.assert_allclose(cosine, expected.max(1), rtol=1e-6)


def test_trees_and_exact_search_agree_on_real_vectors(tmp_path, data_dir, monkeypatch):
    stored = np.load(data_dir / "clip_features" / "sun397_val_clip_vitb32.npz")["feats"].astype(np.float32)
    base, rows = unit(stored[:3500]), unit(stored[3500:3800])
    exact_cosine, exact = VectorIndex(base, None).nearest(rows)
    monkeypatch.setattr(index, "EXACT_UP_TO", 100)
    cosine, found = open_index(tmp_path / "a.ann", base, "v1").nearest(rows)
    assert np.mean(found == exact) >= 0.99
    same = found == exact
    np.testing.assert_allclose(cosine[same], exact_cosine[same], atol=1e-6)


def test_an_index_is_built_once_and_used_again(tmp_path, vectors):
    path = tmp_path / "a.ann"
    open_index(path, vectors, "v1")
    built = path.stat().st_mtime_ns
    open_index(path, vectors, "v1")
    assert path.stat().st_mtime_ns == built
    assert check(path, 200, 16, "v1") == ""


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "no sidecar", "broken sidecar", "other model"])
def test_a_damaged_index_is_built_again(tmp_path, vectors, damage):
    path, sidecar = tmp_path / "a.ann", tmp_path / "a.ann.json"
    open_index(path, vectors, "v1")
    whole = path.read_bytes()
    match damage:
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case "flipped":
            path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        case "missing":
            path.unlink()
        case "no sidecar":
            sidecar.unlink()
        case "broken sidecar":
            sidecar.write_text("{")
        case "other model":
            sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"embedding_version": "v0"}))
    assert check(path, 200, 16, "v1") != ""
    open_index(path, vectors, "v1")
    assert check(path, 200, 16, "v1") == ""
    assert path.read_bytes() == whole


def test_an_index_of_other_vectors_is_not_used(tmp_path, vectors):
    path = tmp_path / "a.ann"
    open_index(path, vectors, "v1")
    assert check(path, 199, 16, "v1") == "of other vectors"
    assert check(path, 200, 15, "v1") == "of other vectors"


def test_no_room_for_an_index_is_said(tmp_path, vectors):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageFull, match="can't be written"):
        open_index(tmp_path / "file" / "a.ann", vectors, "v1")
