"""`hub index`, as a user meets it."""

import json

import pytest
from click.testing import CliRunner

from hub.archive import SeenFrame
from hub.blobs import open_blobs
from hub.cli.main import cli
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.store import open_store
from hub.types import Detections, Frame, Observation
from hub.vision import decode
from tests.hub.exchange.corpora import frame_id, jpeg
from tests.hub.test_reembed import TINY

OLD = BuiltinEmbedder()
FRAMES = 6


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Run a command on a data directory with six frames, whose pictures are kept but for one."""
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HUB_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HUB_EMBEDDER", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    store = open_store(f"sqlite:///{tmp_path / 'data/hub.sqlite'}")
    store.archive.add_frames(*seen())
    store.archive.record_embedder(OLD.version, OLD.name, OLD.dim)
    store.archive.choose_embedder(OLD.version, "built-in")
    store.close()
    blobs = open_blobs(f"file://{tmp_path / 'data/frames'}")
    for i in range(1, FRAMES):
        blobs.put(frame_id(i), jpeg(i))

    def run(*args, code=0):
        done = CliRunner().invoke(cli, [str(arg) for arg in args])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if "--json" in args else done.stdout + done.stderr

    return run


def seen():
    frames = [Frame(("porch", "gate")[i % 2], 0, 1_700_000_000.0 + i, b"", digest=frame_id(i)) for i in range(FRAMES)]
    vectors = OLD.embed([decode(jpeg(i)) for i in range(FRAMES)])
    nothing = Detections.empty()
    return (
        [SeenFrame(each.id, each.camera, each.taken_at, (64, 48)) for each in frames],
        [Observation(f, (64, 48), nothing, v[None], OLD.version, "none") for f, v in zip(frames, vectors, strict=True)],
    )


def test_versions_are_listed_with_what_goes_by_them(hub):
    (row,) = hub("index", "versions", "--json")
    assert (row["version"], row["embedder"], row["current"]) == (OLD.version, OLD.name, True)
    assert (row["elements"], row["dim"], row["first"]) == (FRAMES, OLD.dim, "2023-11-14T22:13:20Z")
    assert OLD.name[:8] in hub("index", "versions")


def test_an_index_is_built_and_its_figures_are_told(hub):
    assert hub("index", "build", "--json")["elements"] == FRAMES
    assert "6 elements" in hub("index", "build", "--force")
    assert hub("index", "stats", "--json")["elements"] == FRAMES
    assert "elements" in hub("index", "stats")


@pytest.mark.parametrize("name", ["all.parquet", "all.h5"])
def test_a_file_goes_out_and_comes_in(hub, tmp_path, name):
    assert hub("index", "export", name, "--camera", "porch", "--json")["elements"] == 3
    done = hub("index", "import", name, "--json")
    assert (done["read"], done["new"], done["known"]) == (3, 0, 3)
    assert "exists already" in hub("index", "export", name, code=2)


@pytest.mark.parametrize(
    ("args", "count"),
    [
        (("--since", "2023-11-14T22:13:22", "--until", "2023-11-14T22:13:24+00:00"), 2),
        (("--kind", "crop"), 0),
        (("--label", "bird"), 0),
        (("--since", "2023-11-15"), 0),
    ],
)
def test_filters_say_what_is_exported(hub, args, count):
    assert hub("index", "export", "some.parquet", *args, "--json")["elements"] == count


def test_an_export_of_no_crops_says_how_crops_come_to_be(hub):
    assert "HUB_CORPUS=crops" in hub("index", "export", "some.parquet", "--label", "bird")
    assert "HUB_CORPUS=crops" in hub("index", "remove", "--kind", "crop", "--yes")
    assert "HUB_CORPUS" not in hub("index", "export", "other.parquet", "--since", "1h")


@pytest.mark.parametrize(("fmt", "file"), [("fiftyone", "samples.json"), ("coco", "annotations.json")])
def test_pictures_go_to_a_folder(hub, tmp_path, fmt, file):
    done = hub("index", "export", "--format", fmt, "--out", "out", "--json")
    assert (done["pictures"], done["not_kept"]) == (FRAMES - 1, 1)
    assert (tmp_path / "out" / file).exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("export",), "where to"),
        (("export", "a.h5", "--format", "coco", "--out", "out"), "not both"),
        (("export", "--out", "out"), "--format"),
        (("export", "a.h5", "--camera", "gaet"), "gate"),
        (("export", "--format", "coco"), "where to"),
        (("export", "a.csv"), ".parquet"),
        (("export", "a.h5", "--since", "noon"), "noon"),
        (("import", "none.h5"), "no file"),
        (("migrate",), "which embedder"),
        (("migrate", "--to", "built-in"), "nothing to embed anew"),
    ],
)
def test_what_can_not_be_done_is_refused_with_what_to_do(hub, args, words):
    assert words in hub("index", *args, code=2)


def test_an_import_names_columns_and_the_model(hub, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = OLD.embed([decode(jpeg(50)), decode(jpeg(51))]).tolist()
    pq.write_table(pa.table({"clip": rows, "id": [900, 901]}), tmp_path / "theirs.parquet")
    assert "--column embedding=NAME" in hub("index", "import", "theirs.parquet", code=2)
    assert "--embedding-version" in hub("index", "import", "theirs.parquet", "--column", "embedding=clip", code=2)
    given = ("--column", "embedding=clip", "--embedding-version", "current", "--json")
    assert hub("index", "import", "theirs.parquet", *given)["new"] == 2
    assert "--column" in hub("index", "import", "theirs.parquet", "--column", "clip", code=2)


def test_a_migration_is_told_beforehand_done_and_taken_up(hub):
    task = hub("index", "migrate", "--to", TINY, "--dry-run", "--json")
    assert (task["elements"], task["frames"], task["held"]) == (FRAMES, FRAMES, FRAMES - 1)
    assert "about" in task["takes"]
    done = hub("index", "migrate", "--to", TINY, "--json")
    assert (done["progress"]["stored"], done["progress"]["gone"]) == (FRAMES - 1, 1)
    current = {row["embedder"]: row["current"] for row in hub("index", "versions", "--json")}
    assert current == {OLD.name: False, "tiny-clip": True}


def test_a_migration_may_drop_what_was_and_warns_of_a_variable_that_goes_before(hub, monkeypatch):
    monkeypatch.setenv("HUB_EMBEDDER", "built-in")
    said = hub("index", "migrate", "--to", TINY, "--drop-old", "--yes")
    assert "Deleted 6 elements" in said
    assert "HUB_EMBEDDER still says built-in" in said


def test_what_is_named_is_removed_for_good_and_nothing_is_without_a_name(hub):
    before = hub("index", "stats", "--json")
    assert "which elements" in hub("index", "remove", "--yes", code=2)
    assert "no camera named 'nobody'" in hub("index", "remove", "--camera", "nobody", "--yes", code=2)
    assert hub("index", "stats", "--json") == before
    assert "name of the folder" in " ".join(hub("index", "remove", "--help").split())
    said = hub("index", "remove", "--since", "1d", "--until", "1h", "--yes")
    assert said.startswith("Deleted")
    hub("index", "remove", "--since", "1970-01-01", "--yes")
    assert hub("index", "stats", "--json")["elements"] == 0
