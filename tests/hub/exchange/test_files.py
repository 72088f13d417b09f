"""Elements to files and back, in both formats."""

import sys

import pytest

from hub.archive import BROUGHT_IN, Filter
from hub.exchange import export_file, import_file
from hub.types import ElementKind
from shared.errors import InvalidInput, NotFound, NotSetUp
from tests.hub.exchange.corpora import DIM, OTHER, OURS, contents, fill, opened

FORMATS = (".parquet", ".h5", ".hdf5")


@pytest.fixture
def archive(tmp_path):
    store = opened(tmp_path)
    fill(store.archive)
    yield store.archive
    store.close()


@pytest.fixture
def elsewhere(tmp_path):
    """The archive of another hub."""
    store = opened(tmp_path, "other")
    yield store.archive
    store.close()


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_exported_comes_back_as_it_was(archive, elsewhere, tmp_path, suffix, half):
    file = tmp_path / f"all{suffix}"
    assert export_file(archive, OURS, file, half=half) == 13
    done = import_file(elsewhere, file, now=7.0)
    assert (done.read, done.added, done.embedding_version) == (13, 13, OURS)
    assert contents(elsewhere) == contents(archive)


@pytest.mark.parametrize("suffix", FORMATS)
def test_frames_sizes_and_the_embedder_come_along_but_no_paths(archive, elsewhere, tmp_path, suffix):
    export_file(archive, OURS, tmp_path / f"all{suffix}")
    import_file(elsewhere, tmp_path / f"all{suffix}", now=7.0)
    (frame,) = elsewhere.frames([f"{1:032x}"]).values()
    assert (frame.camera, frame.size_wh, frame.source) == ("gate", (64, 48), BROUGHT_IN)
    (use,) = elsewhere.embedding_versions()
    assert (use.embedder, use.dim) == ("tiny", DIM)


@pytest.mark.parametrize("suffix", FORMATS)
def test_importing_again_stores_nothing_twice(archive, elsewhere, tmp_path, suffix):
    export_file(archive, OURS, tmp_path / f"all{suffix}")
    for target in (elsewhere, elsewhere, archive):
        import_file(target, tmp_path / f"all{suffix}", now=7.0)
    assert import_file(elsewhere, tmp_path / f"all{suffix}", now=7.0).known == 13
    assert contents(elsewhere) == contents(archive)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("where", "count"),
    [
        (Filter(kind=ElementKind.FRAME), 5),
        (Filter(labels=("bird",)), 4),
        (Filter(cameras=("porch",), kind=ElementKind.CROP), 4),
        (Filter(since=1_700_000_001.0, until=1_700_000_003.0), 6),
        (Filter(cameras=("nowhere",)), 0),
    ],
)
def test_a_filter_says_what_is_exported(archive, elsewhere, tmp_path, suffix, where, count):
    assert export_file(archive, OURS, tmp_path / f"some{suffix}", where) == count
    assert import_file(elsewhere, tmp_path / f"some{suffix}", now=7.0).added == count


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_cut_short_is_refused_and_stores_nothing(archive, elsewhere, tmp_path, suffix):
    file = tmp_path / f"all{suffix}"
    export_file(archive, OURS, file)
    file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(InvalidInput, match="damaged"):
        import_file(elsewhere, file, now=7.0)
    assert elsewhere.count(OURS) == 0


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_of_something_else_is_refused(elsewhere, tmp_path, suffix):
    file = tmp_path / f"thesis{suffix}"
    file.write_bytes(b"mine" * 100)
    with pytest.raises(InvalidInput, match="damaged"):
        import_file(elsewhere, file, now=7.0)


@pytest.mark.parametrize("suffix", FORMATS)
def test_vectors_of_another_length_are_refused(archive, elsewhere, tmp_path, suffix):
    export_file(archive, OURS, tmp_path / f"all{suffix}")
    elsewhere.record_embedder(OURS, "tiny", DIM + 1)
    with pytest.raises(InvalidInput, match=f"element 1 has a vector of {DIM} numbers"):
        import_file(elsewhere, tmp_path / f"all{suffix}", now=7.0)


@pytest.mark.parametrize("suffix", FORMATS)
def test_another_embedding_version_than_the_file_says_is_refused(archive, elsewhere, tmp_path, suffix):
    export_file(archive, OURS, tmp_path / f"all{suffix}")
    with pytest.raises(InvalidInput, match=OURS):
        import_file(elsewhere, tmp_path / f"all{suffix}", embedding_version=OTHER, now=7.0)


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_export_that_fails_leaves_no_file(archive, tmp_path, suffix):
    def full(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_file(archive, OURS, tmp_path / "out" / f"all{suffix}", progress=full)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_is_there_is_left_alone(archive, tmp_path):
    (tmp_path / "all.h5").write_text("mine")
    with pytest.raises(InvalidInput, match="exists already"):
        export_file(archive, OURS, tmp_path / "all.h5")


def test_names_that_mean_nothing_are_answered_with_what_is_there(archive, tmp_path):
    with pytest.raises(InvalidInput, match=r"\.parquet"):
        export_file(archive, OURS, tmp_path / "all.xlsx")
    with pytest.raises(NotFound, match=OTHER):
        export_file(archive, OTHER, tmp_path / "all.h5")
    with pytest.raises(InvalidInput, match="no file"):
        import_file(archive, tmp_path / "none.h5", now=7.0)


@pytest.mark.parametrize(("suffix", "library"), [(".parquet", "pyarrow"), (".h5", "h5py")])
def test_a_library_that_is_missing_is_named_with_how_to_get_it(archive, tmp_path, monkeypatch, suffix, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(NotSetUp, match=r"bowerbird\[exchange\]"):
        export_file(archive, OURS, tmp_path / f"all{suffix}")
