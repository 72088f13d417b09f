"""Parquet as others write it."""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hub.archive import Newcomer
from hub.exchange import export_file, import_file
from hub.types import Batch
from shared.errors import InvalidInput, NotFound
from tests.hub.exchange.corpora import DIM, OTHER, OURS, contents, fill, frame_id, opened, seen
from tests.hub.making import unit

VECTORS = unit(np.random.default_rng(1).normal(size=(3, DIM)))


@pytest.fixture
def archive(tmp_path):
    store = opened(tmp_path)
    yield store.archive
    store.close()


@pytest.fixture
def bring(archive, tmp_path):
    """Write columns to a file, as somebody else would, and import it."""

    def run(written, *, meta=None, now=7.0, **options):
        table = pa.table(written).replace_schema_metadata(meta)
        pq.write_table(table, tmp_path / "theirs.parquet")
        options.setdefault("embedding_version", OURS)
        return import_file(archive, tmp_path / "theirs.parquet", now=now, **options)

    return run


def elements(archive):
    ids = archive.living(OURS, first=1, last=archive.last_id(OURS)).tolist()
    return [each.element for each in archive.stored(ids)]


def test_what_was_brought_in_outlives_what_cameras_showed(tmp_path):
    there, here = opened(tmp_path, "there"), opened(tmp_path, "here")
    there.write(Batch([seen(i) for i in range(3)]))
    here.write(Batch([seen(0)]))
    export_file(there.archive, OURS, tmp_path / "all.parquet")
    assert import_file(here.archive, tmp_path / "all.parquet", now=7.0).added == 6
    assert here.prune(1e12, limit=99) == 3
    assert {e.frame_id for e in elements(here.archive)} == {frame_id(1), frame_id(2)}
    there.close()
    here.close()


@pytest.mark.parametrize("name", ["embedding", "vector", "emb"])
@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float16(), DIM)])
def test_a_column_of_vectors_is_all_that_is_needed(bring, archive, name, kind):
    column = pa.array(VECTORS.astype(np.float16).tolist(), kind)
    assert bring({name: column}).added == 3
    assert bring({name: column}).added == 0
    got = archive.stored(archive.living(OURS, first=1, last=100).tolist())
    assert np.stack([each.vector for each in got]) == pytest.approx(VECTORS, abs=1e-3)
    assert {(e.element.camera, e.element.taken_at, e.element.row) for e in got} == {("imported", 7.0, 0)}


def test_ids_become_keys_and_what_has_no_name_here_metadata(bring, archive):
    bring(
        {
            "id": [7, 8, 9],
            "embedding": VECTORS.tolist(),
            "label": ["a", None, "c"],
            "brand": ["x", "y", None],
            "seen_on": [datetime(2024, 5, 1, tzinfo=UTC)] * 3,
            "taken_at": [datetime(2024, 5, 1, 12, tzinfo=UTC)] * 3,
            "bbox": [[1.0, 2.0, 3.0, 4.0]] * 3,
        }
    )
    first, second, third = elements(archive)
    assert (first.key, first.label, first.box, first.taken_at) == (7, "a", (1, 2, 3, 4), 1714564800.0)
    assert (second.label, second.metadata["brand"]) == ("", "y")
    assert third.metadata.keys() == {"seen_on"}


def test_ids_that_are_no_numbers_are_kept_as_metadata_and_tell_elements_apart(bring, archive):
    same = {"id": ["a.jpg", "b.jpg"], "vector": [VECTORS[0].tolist()] * 2}
    assert (bring(same).added, bring(same).added) == (2, 0)
    assert [each.metadata for each in elements(archive)] == [{"id": "a.jpg"}, {"id": "b.jpg"}]


def test_columns_of_other_names_are_named_by_the_user(bring, archive):
    columns = {"clip": VECTORS.tolist(), "nr": [1, 2, 3], "spot": ["x", "y", "z"]}
    with pytest.raises(InvalidInput, match="no column of vectors") as caught:
        bring(columns)
    assert "clip, nr, spot" in caught.value.hint
    with pytest.raises(NotFound, match="clop"):
        bring(columns, columns={"embedding": "clop"})
    with pytest.raises(NotFound, match="colour"):
        bring(columns, columns={"colour": "clip"})
    assert bring(columns, columns={"embedding": "clip", "id": "nr", "camera": "spot"}).added == 3
    assert [(each.key, each.camera) for each in elements(archive)] == [(1, "x"), (2, "y"), (3, "z")]


def test_vectors_of_no_known_model_need_the_user_s_word(bring):
    with pytest.raises(InvalidInput, match="does not say which model"):
        bring({"embedding": VECTORS.tolist()}, embedding_version="")
    with pytest.raises(InvalidInput, match="no embedding version"):
        bring({"embedding": VECTORS.tolist()}, embedding_version="clip")
    said = bring({"embedding": VECTORS.tolist(), "embedding_version": [OTHER] * 3}, embedding_version="")
    assert (said.embedding_version, said.added) == (OTHER, 3)
    with pytest.raises(InvalidInput, match="several"):
        bring({"embedding": VECTORS.tolist(), "embedding_version": [OURS, OTHER, OURS]})


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"embedding": [[1.0, float("nan")]]}, "element 1 has a vector that is zero or not finite"),
        ({"embedding": [[1.0, 2.0], [0.0, 0.0]]}, "element 2 has a vector that is zero"),
        ({"embedding": [[1.0, 2.0], [1.0, 2.0, 3.0]]}, "element 2 has a vector of 3 numbers"),
        ({"embedding": [[1.0], None]}, "without a vector"),
        ({"embedding": [[1.0, None]]}, "zero or not finite"),
        ({"embedding": [[]]}, "element 1 has a vector of 0 numbers"),
        ({"embedding": [1.0, 2.0]}, "not lists of numbers"),
        ({"embedding": [["a"]]}, "not lists of numbers"),
        ({"embedding": [[1.0]], "confidence": [1.5]}, "confidence"),
        ({"embedding": [[1.0]], "taken_at": [-1.0]}, "no time"),
        ({"embedding": [[1.0]], "taken_at": ["noon"]}, "noon"),
        ({"embedding": [[1.0]], "bbox": [[1.0, 2.0]]}, "box"),
        ({"embedding": [[1.0]], "camera": ["x" * 101]}, "camera"),
        ({"embedding": [[1.0]], "frame_id": ["abc"], "row": [-1]}, "row"),
    ],
)
def test_what_can_not_be_right_is_refused_with_its_place(bring, archive, columns, words):
    with pytest.raises(InvalidInput, match=words):
        bring(columns)
    assert archive.count(OURS) == 0


def test_ids_of_other_elements_here_are_never_taken_for_known(bring, archive):
    fill(archive)  # own ids 1 to 12, and 4,000,000 from elsewhere
    columns = {"id": [3, 4_000_000, 50], "embedding": VECTORS.tolist()}
    with pytest.raises(InvalidInput, match="ids 3, 4000000 are those of other elements"):
        bring(columns)
    before = archive.count(OURS)
    assert bring(columns, new_ids=True).added == 3
    assert [each.metadata for each in elements(archive)[before:]] == [{"external_id": i} for i in (3, 4_000_000, 50)]


def test_frames_named_otherwise_than_ours_stay_told_apart(bring, archive):
    columns = {"frame_id": ["IMG 1.jpg", "IMG 1.jpg", "IMG 2.jpg"], "row": [0, 1, 0], "embedding": VECTORS.tolist()}
    assert (bring(columns).added, bring(columns).added) == (3, 0)
    one, two, three = elements(archive)
    assert one.frame_id == two.frame_id != three.frame_id
    assert one.metadata == {"frame_id": "IMG 1.jpg"}


def test_an_empty_file_brings_nothing(bring):
    assert bring({"embedding": pa.array([], pa.list_(pa.float32()))}).read == 0


def test_our_file_says_what_it_holds(archive, tmp_path):
    fill(archive)
    export_file(archive, OURS, tmp_path / "all.parquet")
    schema = pq.read_schema(tmp_path / "all.parquet")
    assert schema.metadata[b"embedding_version"] == OURS.encode()
    assert schema.metadata[b"bowerbird_format"] == b"1"
    assert schema.field("taken_at").type == pa.timestamp("ns", "UTC")
    assert schema.field("embedding").type == pa.list_(pa.float32(), DIM)
    rows = pq.read_table(tmp_path / "all.parquet").drop_columns("taken_at").to_pylist()
    assert [row["kind"] for row in rows[:4]] == ["frame", "crop", "crop", "frame"]
    assert (rows[-1]["key"], json.loads(rows[-1]["metadata"])) == (4_000_000, {"brand": "Ünï", "n": [1]})
    assert rows[0]["source"] == "/film.mp4#0"


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
newcomers = st.lists(
    st.builds(
        Newcomer,
        frame_id=st.text("0123456789abcdef", min_size=32, max_size=32),
        row=st.integers(0, 40),
        embedding_version=st.just(OURS),
        camera=texts.filter(bool),
        taken_at=st.floats(1e8, 9e9),  # before 1970 was over, floats know more than nanoseconds
        box=st.tuples(*[st.integers(0, 400_000).map(lambda v: v / 4)] * 4),
        vector=arrays(np.float32, 32, elements=st.floats(-1, 1, width=16)).filter(lambda v: np.linalg.norm(v) > 0.1),
        label=texts,
        confidence=st.floats(0, 1),
        external_id=st.none(),
        metadata=st.dictionaries(texts, st.one_of(st.integers(-(2**53), 2**53), texts, st.booleans()), max_size=3),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda each: (each.frame_id, each.row),
)


@pytest.mark.parametrize("suffix", [".parquet", ".h5"])
@settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(some=newcomers)
def test_whatever_is_stored_survives_the_trip(tmp_path_factory, suffix, some):
    folder = tmp_path_factory.mktemp("trip")
    here, there = opened(folder, "here"), opened(folder, "there")
    try:
        here.archive.add(some)
        export_file(here.archive, OURS, folder / f"all{suffix}")
        import_file(there.archive, folder / f"all{suffix}", now=7.0)
        before, after = contents(here.archive), contents(there.archive)
        assert {key: said[:-1] for key, said in after.items()} == {key: said[:-1] for key, said in before.items()}
        for key, said in after.items():
            assert said[-1] == pytest.approx(before[key][-1], abs=5e-4)
    finally:
        here.close()
        there.close()
