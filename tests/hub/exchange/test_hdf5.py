"""HDF5 as Robotoff-ANN keeps it, and ours in its hands."""

import h5py
import numpy as np
import pytest

from hub.exchange import export_file, import_file
from shared.errors import InvalidInput, NotFound
from tests.hub.exchange.corpora import DIM, OURS, fill, opened

VECTORS = (np.random.default_rng(1).random((5, DIM)) * 3).astype(np.float32)


@pytest.fixture
def archive(tmp_path):
    store = opened(tmp_path)
    yield store.archive
    store.close()


def robotoff(path, ids, vectors=VECTORS, room=100):
    """A store as theirs: made with room for more, filled from the start."""
    with h5py.File(path, "w") as file:
        file.create_dataset("embedding", (room, vectors.shape[1]), "f", chunks=True)[: len(ids)] = vectors[: len(ids)]
        file.create_dataset("external_id", (room,), "i", chunks=True)[: len(ids)] = ids
    return path


def as_robotoff_reads(path):
    """Ids and vectors, by the rule that what follows the last id that is not 0 is unused."""
    with h5py.File(path) as file:
        ids = file["external_id"][:]
        used = np.flatnonzero(ids)[-1] + 1
        return {int(each): file["embedding"][i] for i, each in enumerate(ids[:used])}


def test_its_store_is_imported_as_it_is(archive, tmp_path):
    path = robotoff(tmp_path / "embeddings.hdf5", [11, 500_000_000, 3, 8, 9])
    done = import_file(archive, path, embedding_version=OURS, now=7.0)
    assert (done.read, done.added) == (5, 5)
    got = archive.by_key([11, 500_000_000, 3, 8, 9], OURS)
    wanted = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    assert np.stack([each.vector for each in got]) == pytest.approx(wanted, abs=1e-3)
    assert import_file(archive, path, embedding_version=OURS, now=9.0).added == 0


def test_unused_rows_are_passed_over_and_the_item_zero_is_not(archive, tmp_path):
    vectors = VECTORS.copy()
    vectors[2] = 0
    path = robotoff(tmp_path / "embeddings.hdf5", [0, 5, 0, -1, 6], vectors)
    assert import_file(archive, path, embedding_version=OURS, now=7.0).added == 3
    assert archive.keys(OURS) == [0, 5, 6]


@pytest.mark.parametrize(("name", "values"), [("box", [[1.0, 2.0, 3.0]]), ("camera", [b"\xff"]), ("row", [1.0])])
def test_a_file_of_ours_that_somebody_spoiled_is_told_so(archive, tmp_path, name, values):
    fill(archive, frames=1, crops=0)
    export_file(archive, OURS, tmp_path / "ours.h5")
    with h5py.File(tmp_path / "ours.h5", "a") as file:
        del file[f"bowerbird/{name}"]
        kind = h5py.string_dtype() if name == "camera" else None
        file["bowerbird"].create_dataset(name, data=values * (1 if name == "row" else 2), dtype=kind)
    with pytest.raises(InvalidInput, match="damaged"):
        import_file(archive, tmp_path / "ours.h5", now=7.0)


def test_a_store_that_was_never_filled_brings_nothing(archive, tmp_path):
    path = robotoff(tmp_path / "embeddings.hdf5", [])
    assert import_file(archive, path, embedding_version=OURS, now=7.0).read == 0


def test_it_does_not_say_which_model_made_its_vectors(archive, tmp_path):
    with pytest.raises(InvalidInput, match="which model"):
        import_file(archive, robotoff(tmp_path / "embeddings.hdf5", [1]), now=7.0)


def test_ours_is_read_by_it_and_key_zero_comes_first(archive, tmp_path):
    fill(archive)
    import_file(archive, robotoff(tmp_path / "zero.h5", [0, 77]), embedding_version=OURS, now=7.0)
    export_file(archive, OURS, tmp_path / "ours.hdf5")
    read = as_robotoff_reads(tmp_path / "ours.hdf5")
    assert sorted(read) == archive.keys(OURS)
    for stored in archive.by_key(list(read), OURS):
        assert read[stored.element.key] == pytest.approx(stored.vector, abs=1e-6)
        assert read[stored.element.key].dtype == np.float32


def test_what_it_appended_to_a_file_of_ours_is_imported_too(archive, tmp_path):
    fill(archive, frames=1, crops=0)
    path = tmp_path / "ours.h5"
    export_file(archive, OURS, path)
    with h5py.File(path, "a") as file:
        for name, value in (("embedding", VECTORS[:1]), ("external_id", [9_000_000])):
            file[name].resize(3, axis=0)
            file[name][2:] = value
    assert import_file(archive, path, now=7.0).added == 1
    assert 9_000_000 in archive.keys(OURS)


@pytest.mark.parametrize(
    ("datasets", "words"),
    [
        ({"vectors": np.ones((2, 3))}, "embedding"),
        ({"embedding": np.ones((2, 3))}, "external_id"),
        ({"embedding": np.ones(3), "external_id": [1, 2, 3]}, "shape"),
        ({"embedding": np.ones((2, 3), int), "external_id": [1, 2]}, "floats"),
        ({"embedding": np.ones((2, 3)), "external_id": [1, 2, 3]}, "one integer each"),
        ({"embedding": np.ones((2, 3)), "external_id": [1.0, 2.0]}, "one integer each"),
        ({"embedding": np.full((1, 3), np.inf), "external_id": [1]}, "not finite"),
    ],
)
def test_what_is_no_store_is_refused(archive, tmp_path, datasets, words):
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        for name, values in datasets.items():
            file[name] = values
    with pytest.raises(InvalidInput, match=words):
        import_file(archive, tmp_path / "odd.h5", embedding_version=OURS, now=7.0)


def test_datasets_of_other_names_are_named_by_the_user(archive, tmp_path):
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file["clip"], file["nr"] = VECTORS, np.arange(1, 6)
    columns = {"embedding": "clip", "id": "nr"}
    assert import_file(archive, tmp_path / "odd.h5", embedding_version=OURS, columns=columns, now=7.0).added == 5
    with pytest.raises(NotFound, match="clop"):
        import_file(
            archive, tmp_path / "odd.h5", embedding_version=OURS, columns={**columns, "embedding": "clop"}, now=7.0
        )
