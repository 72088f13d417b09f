"""`hub search` and `hub campaigns run`, as a user meets them."""

import json
import time
from contextlib import closing

import click
import numpy as np
import pytest
from click.testing import CliRunner

from hub.app import Hub
from hub.archive import Newcomer, SeenFrame
from hub.cli.context import Context, ErrorGroup
from hub.cli.replay import run as replay_command
from hub.cli.search import search_
from hub.settings import Settings
from hub.store import open_store
from hub.types import Camera, Detections, Frame, Observation
from tests.hub.seeing import see


def _opened(tmp_path):
    """The hub's store."""
    return closing(open_store(f"sqlite:///{tmp_path / 'data' / 'hub.sqlite'}"))


class _Parts:
    """A hub's parts, as `see` wants them."""

    def __init__(self, hub):
        self.store, self.detector, self.embedder = hub.store, hub.detector, hub.embedder
        self._recent = hub.recent

    def ring(self, name):
        return self._recent.pictures


@pytest.fixture
def seen(tmp_path, models_dir, data_dir):
    """Three photos, seen an hour, a day and a week ago; the last is no longer held."""
    settings = Settings(data_dir=tmp_path / "data", models_dir=models_dir, detector="built-in")
    settings.data_dir.mkdir()
    hub = Hub(settings)
    now, photos = time.time(), data_dir / "photos"
    files = [next(photos.glob(f"*{name}*.jpg")) for name in ("owl", "cat", "parrot")]
    parts = _Parts(hub)
    for i, (file, ago) in enumerate(zip(files, (3600, 86_400, 7 * 86_400 - 60), strict=True)):
        see(parts, file.read_bytes(), at=now - ago, camera=("porch", "yard", "porch")[i], held=i < 2)
    hub.close()
    return files


@pytest.fixture
def hub(tmp_path, models_dir, monkeypatch, seen):
    """Run a command; what it printed on standard output and on standard error."""
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HUB_MODELS_DIR", str(models_dir))
    monkeypatch.setenv("HUB_DETECTOR", "built-in")

    @click.group(cls=ErrorGroup)
    @click.pass_context
    def cli(ctx: click.Context) -> None:
        ctx.obj = Context(None)

    cli.add_command(search_)
    cli.add_command(replay_command)
    from hub.cli.campaigns import campaigns
    from hub.cli.samples import samples

    cli.add_command(campaigns)
    cli.add_command(samples)

    def run(*args, code: int = 0):
        done = CliRunner().invoke(cli, [str(arg) for arg in args])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == code, done.output
        return done

    return run


def test_a_picture_or_a_text_is_searched_for(hub, seen):
    found = json.loads(hub("search", seen[1], "--json").stdout)
    assert found["results"][0]["cosine"] > 0.99 and found["results"][0]["camera"] == "yard"
    assert json.loads(hub("search", "owl", "--k", "1", "--json").stdout)["count"] == 1
    table = hub("search", "owl", "--since", "30d").stdout
    assert "porch" in table and "no longer kept" in table and "cosine" in table


def test_filters_and_elements(hub, seen):
    first = json.loads(hub("search", seen[0], "--json").stdout)["results"][0]["key"]
    others = json.loads(hub("search", "--element", first, "--since", "2d", "--json").stdout)["results"]
    assert [each["camera"] for each in others] == ["yard"]
    assert "Nothing like it" in hub("search", seen[0], "--until", "30d").stdout


def test_what_makes_no_search_says_what_to_do(hub):
    assert "nothing to search for" in hub("search", code=2).stderr
    assert "is no time" in hub("search", "owl", "--since", "soon", code=2).stderr
    assert "no element" in hub("search", "--element", "12345", code=2).stderr


def test_pictures_found_are_copied_and_drawn(hub, seen, tmp_path):
    done = hub("search", seen[0], "--out", tmp_path / "out", "--sheet", tmp_path / "sheet.png")
    copied = sorted((tmp_path / "out").iterdir())
    assert len(copied) == 2 and copied[0].read_bytes() == seen[0].read_bytes()
    assert "Copied 2 pictures" in done.stderr
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_are_drawn_into_a_folder_that_is_made_and_never_with_a_traceback(hub, seen, tmp_path):
    hub("search", seen[0], "--sheet", tmp_path / "new" / "x.png")
    assert (tmp_path / "new" / "x.png").exists()
    (tmp_path / "file").write_bytes(b"")
    assert "can't be written" in hub("search", seen[0], "--sheet", tmp_path / "file" / "x.png", code=2).stderr
    assert "can't be written" in hub("search", seen[0], "--out", tmp_path / "file" / "out", code=2).stderr
    assert "no room" in hub("search", seen[0], "--sheet", "/dev/full", code=1).stderr


@pytest.mark.parametrize("word", ["nope.jpg", "NOPE.HEIC", "photos/nope"])
def test_a_mistyped_picture_is_not_taken_for_a_text(hub, seen, word):
    assert f"there is no file {word}" in hub("search", word, code=2).stderr
    assert f"there is no file {word}" in hub("search", "owl", "--unlike", word, code=2).stderr
    assert "things whose text vector" in hub("search", "a car/truck at night", code=1).stderr  # so it is a text


def test_a_query_that_is_no_picture_is_named(hub, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    assert "broken.jpg" in hub("search", tmp_path / "broken.jpg", code=1).stderr


def test_a_camera_that_no_frame_has_is_named_with_the_nearest(hub, seen):
    for command in (("search", "owl"), ("run", "owls")):
        said = hub(*command, "--camera", "porhc", code=2).stderr
        assert "no camera named 'porhc'" in said and "porch" in said


def test_a_camera_that_showed_nothing_yet_is_told_from_one_that_is_not_known(hub, tmp_path):
    with _opened(tmp_path) as store:
        store.add_camera(Camera("gate", "http://127.0.0.1/gate.jpg"))
    assert "nothing was seen yet by gate" in hub("run", "owls", "--camera", "gate", code=2).stderr
    assert "Nothing like it" in hub("search", "owl", "--camera", "gate").stdout


def test_fewer_results_than_asked_for_are_explained(hub, seen, monkeypatch):
    monkeypatch.setattr("hub.search.FETCHED", 2)
    assert "Not 5: the 2 nearest show the same 2 scenes" in hub("search", seen[1], "--k", "5").stderr
    assert "scenes" not in hub("search", seen[1], "--k", "2").stderr


def test_a_label_without_a_crop_says_how_crops_come_to_be(hub, seen):
    for narrowed in (("--label", "bird"), ("--kind", "crop")):
        assert "HUB_CORPUS=crops" in hub("search", "owl", *narrowed).stderr
    assert "crops" not in hub("search", "owl", "--until", "30d").stderr


def test_a_label_that_no_crop_has_is_named_with_the_nearest(hub, seen, tmp_path):
    with _opened(tmp_path) as store:
        version = next(each.version for each in store.archive.embedding_versions() if each.elements)
        frame = Newcomer("crop", 1, version, "porch", 5.0, (0, 0, 9, 9), np.eye(512, dtype=np.float32)[0], label="bird")
        store.archive.add([frame])
    said = hub("search", "owl", "--label", "brid").stderr
    assert "no label named 'brid'" in said and "bird" in said and "HUB_CORPUS" not in said


def test_files_that_were_scanned_are_named(hub, seen, tmp_path):
    assert "file" not in hub("search", seen[1]).stdout
    with _opened(tmp_path) as store:
        version = next(each.version for each in store.archive.embedding_versions() if each.elements)
        frame = Frame("album", 0, 5.0, b"", digest="scanned")
        known = SeenFrame("scanned", "album", 5.0, (64, 48), "/photos/7.jpg")
        vector = np.eye(512, dtype=np.float32)[:1]
        store.archive.add_frames([known], [Observation(frame, (64, 48), Detections.empty(), vector, version)])
    assert "/photos/7.jpg" in hub("search", seen[1]).stdout
    found = json.loads(hub("search", seen[1], "--json").stdout)["results"]
    assert {each["source"] for each in found} == {"", "/photos/7.jpg"}


def test_a_table_has_no_empty_column_and_no_word_of_more_where_all_are_given(hub, seen):
    done = hub("search", seen[1], "--k", "2")
    assert "nearer than" not in done.stdout and "again" not in done.stderr


def test_results_become_seeds_of_a_campaign_which_is_run_over_what_was_seen(hub, seen, tmp_path):
    hub("campaigns", "create", "owls", "--seed-images", seen[0], "--threshold", "0.5")
    assert "1 new seeds" in hub("search", seen[1], "--k", "1", "--seed", "owls").stderr
    dry = json.loads(hub("run", "owls", "--dry-run", "--target", "2", "--json").stdout)
    assert (dry["frames"], dry["taken"]) == (3, 2)
    assert dry["statistics"][0]["seen"] == 3
    assert "would take" in hub("run", "owls", "--dry-run").stdout and "would take" not in hub("run", "--help").stdout
    done = hub("run", "owls", "--since", "2d", "--sheet", tmp_path / "new" / "sheet.png")
    assert "took 2" in done.stderr and (tmp_path / "new" / "sheet.png").exists()
    assert len(json.loads(hub("samples", "list", "--json").stdout)) == 2
    assert json.loads(hub("run", "owls", "--json").stdout)["taken"] == 0


def test_results_become_seeds_by_their_keys(hub, seen):
    hub("campaigns", "create", "owls", "--seed-images", seen[0])
    best = json.loads(hub("search", seen[1], "--json").stdout)["results"][0]
    assert "1 new seed." in hub("campaigns", "seed", "owls", "--found", best["key"]).stdout
    assert "0 new seeds." in hub("campaigns", "seed", "owls", "--found", best["key"]).stdout
    assert "no element named '999'" in hub("campaigns", "seed", "owls", "--found", "999", code=2).stderr


def test_a_run_over_nothing_says_so(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "empty"))
    assert "nothing was seen" in hub("run", "owls", code=2).stderr


def test_every_option_of_search_and_export_has_a_help_text(hub):
    from hub.cli.samples import samples

    for command in (search_, replay_command, samples.commands["export"], samples.commands["list"]):
        assert [p.name for p in command.params if isinstance(p, click.Option) and not p.help] == []
    assert "whole frames have none" in " ".join(hub("search", "--help").stdout.split())
