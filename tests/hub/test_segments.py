import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.archive import Filter, Rows
from hub.corpus import manifest
from hub.corpus.compaction import GROWTH, Piece, plan
from hub.corpus.manifest import Entry
from hub.corpus.segments import Damaged, open_segment, write_segment
from shared.errors import StorageFull, StoreError
from tests.hub.corpora import clustered


def rows(n=1500, first=1):
    names = [f"camera-{i % 5}" for i in range(n)]
    times = np.arange(n, dtype=np.float64)
    return Rows(np.arange(first, first + n), clustered(n), times, (times % 3).astype(np.int32), names, ["x"] * n)


def written(folder, chunks=None, kind="annoy", **changes):
    name = write_segment(folder, chunks or [rows()], "v1", (0, 2000), kind=kind, **{"exact_up_to": 100} | changes)
    assert name is not None
    return folder / name


def test_a_segment_holds_what_was_written(tmp_path):
    segment = open_segment(written(tmp_path, [rows(1000), rows(500, 1001)]), "v1")
    assert (segment.facts.count, segment.facts.dim, segment.facts.kind) == (1500, 32, "annoy")
    assert np.array_equal(segment.ids, np.arange(1, 1501))
    np.testing.assert_allclose(segment.vectors[:1000], clustered(1000), atol=1e-3)
    assert segment.facts.recall >= 0.995
    assert np.count_nonzero(segment.columns.passing(Filter(cameras=("camera-3", "elsewhere")))) == 300


def test_few_elements_have_no_neighbour_file(tmp_path):
    segment = open_segment(written(tmp_path, exact_up_to=2000), "v1")
    assert segment.facts.kind == "exact"
    assert segment.neighbours is None


def test_nothing_to_write_leaves_nothing(tmp_path):
    assert write_segment(tmp_path, [], "v1", (0, 10), kind="annoy") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["vector", "id", "neighbours", "camera", "segment.json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone"])
def test_damage_is_noticed(tmp_path, name, damage, made):
    folder = tmp_path / "segment"
    shutil.copytree(made, folder)
    path = folder / name
    whole = path.read_bytes()
    match damage:
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case "flipped":
            path.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
        case "gone":
            path.unlink()
    with pytest.raises(Damaged):
        open_segment(folder, "v1")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return written(tmp_path_factory.mktemp("made"))


def test_a_foreign_segment_is_refused(made):
    with pytest.raises(Damaged, match="another embedding version"):
        open_segment(made, "v2")


def test_contents_are_compared_again_only_when_files_changed(tmp_path, monkeypatch):
    folder = written(tmp_path)
    monkeypatch.setattr("hub.corpus.segments._sha256", lambda path: pytest.fail("compared"))
    open_segment(folder, "v1")
    (folder / "id").touch()
    with pytest.raises(pytest.fail.Exception):
        open_segment(folder, "v1")


def test_a_copy_is_compared_once(tmp_path):
    folder = written(tmp_path)
    shutil.copytree(folder, tmp_path / "copy")
    open_segment(tmp_path / "copy", "v1")
    noted = json.loads((tmp_path / "copy" / "verified.json").read_text())
    assert noted != json.loads((folder / "verified.json").read_text())


def test_no_room_for_a_segment_is_said_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageFull, match="can't be written"):
        written(tmp_path / "file")


def test_a_builder_that_fails_half_way_leaves_nothing(tmp_path):
    def chunks():
        yield rows(10)
        raise StoreError("the database went away")

    with pytest.raises(StoreError):
        written(tmp_path, chunks())
    assert list(tmp_path.iterdir()) == []


# ── the manifest ─────────────────────────────────────────────────────────────────────────────────────


def test_a_segment_takes_the_place_of_those_it_covers(tmp_path):
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).mkdir()
    manifest.replace(tmp_path, "v1", (0, 10), [Entry("a", 0, 10)])
    manifest.replace(tmp_path, "v1", (10, 20), [Entry("b", 10, 20)])
    manifest.replace(tmp_path, "v1", (30, 40), [Entry("c", 30, 40)])
    assert manifest.read(tmp_path, "v1").holes() == [(20, 30)]
    manifest.replace(tmp_path, "v1", (0, 15), [Entry("d", 0, 15)])
    current = manifest.read(tmp_path, "v1")
    assert [entry.name for entry in current.entries] == ["d", "c"]
    assert current.holes() == [(15, 30)]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["c", "d"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1, "embedding_version": "v0", "segments": []}'])
def test_an_unreadable_manifest_is_none_and_said(tmp_path, caplog, content):
    (tmp_path / "manifest.json").write_text(content)
    assert manifest.read(tmp_path, "v1").entries == ()
    assert "must be built again" in caplog.text


def test_two_build_at_once_one_is_told(tmp_path):
    with manifest.building(tmp_path), pytest.raises(StoreError, match="being built"), manifest.building(tmp_path):
        pass


def pieces(counts, stale=False):
    return [Piece(i, i + 1, count, stale) for i, count in enumerate(counts)]


@given(st.lists(st.integers(1, 400), max_size=40))
def test_what_is_merged_stays_within_the_limit_and_in_order(counts):
    groups = plan(pieces(counts), 500)
    assert all(len(group) == 1 or sum(piece.count for piece in group) <= 500 for group in groups)
    members = [piece.after for group in groups for piece in group]
    assert members == sorted(set(members))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=200))
def test_segments_stay_few_and_elements_are_rarely_written_again(new):
    sizes: list[int] = []
    rewritten = 0
    for count in new:
        groups = plan([*pieces(sizes), Piece(len(sizes), len(sizes) + 1, count, True)], 10**9)
        (group,) = groups
        sizes = [*sizes[: group[0].after], sum(piece.count for piece in group)]
        rewritten += sizes[-1]
    assert all(one > GROWTH * other for one, other in pairwise(sizes))
    assert rewritten <= sum(new) * (2 + np.log2(sum(new)) / np.log2(1.5))


def test_a_stale_segment_is_written_alone():
    assert plan([Piece(0, 5, 100, True), Piece(5, 9, 10, False)], 500) == [[Piece(0, 5, 100, True)]]


def test_paths_are_only_made_where_a_segment_is(tmp_path: Path):
    folder = written(tmp_path, exact_up_to=10_000)
    assert {path.name for path in folder.iterdir()} == {
        "camera", "id", "label", "row", "segment.json", "taken_at", "vector", "verified.json",
    }  # fmt: skip
