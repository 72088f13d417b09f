"""`hub scan`, as a user meets it."""

import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hub.cli.context import Context, ErrorGroup
from hub.cli.scan import scan_command
from hub.store import open_store
from hub.triggers.everything import Everything
from hub.types import Budget, RateLimit
from tests.contract.storing import active
from tests.hub.scanning import picture, put


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    root = tmp_path / "hub-data"
    root.mkdir()
    monkeypatch.setenv("HUB_DATA_DIR", str(root))
    monkeypatch.setenv("HUB_EMBEDDER", "built-in")
    monkeypatch.setenv("HUB_DETECTOR", "built-in")
    monkeypatch.chdir(tmp_path)
    return root


@pytest.fixture
def hub(data):
    @click.group(cls=ErrorGroup)
    @click.pass_context
    def cli(ctx):
        ctx.obj = Context(None)

    cli.add_command(scan_command)

    def run(*args):
        done = CliRunner().invoke(cli, ["scan", *map(str, args)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return run


@pytest.fixture
def store(data):
    opened = open_store(f"sqlite:///{data / 'hub.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def garden(tmp_path):
    put(tmp_path / "garden", 0.2, 0.8, 0.6)
    return tmp_path / "garden"


def test_without_a_campaign_everything_is_embedded_and_it_says_so(hub, store, garden):
    done = hub(garden)
    assert done.exit_code == 0
    assert "No campaign is active" in done.stderr
    assert "3 frames, 0 of them known" in done.stdout
    assert store.archive.usage().elements == 3


def test_samples_are_taken_for_active_campaigns(hub, store, garden):
    active(store, "all", trigger=Everything())
    done = hub(garden)
    assert "3 new samples" in done.stdout
    assert "3 / 3" in done.stdout
    assert len(store.samples(campaign="all")) == 3


def test_a_campaign_can_be_named(hub, store, garden):
    active(store, "all", trigger=Everything())
    active(store, "one", trigger=Everything(), budget=Budget(stop_after=1))
    hub(garden, "--campaign", "one")
    assert (len(store.samples(campaign="all")), len(store.samples(campaign="one"))) == (0, 1)


def test_a_dry_run_prints_statistics_and_draws_the_best(hub, store, garden, tmp_path):
    active(store, "every/thing", trigger=Everything())
    done = hub(garden, "--dry-run")
    assert "Nothing was taken" in done.stdout
    assert "every/thing  3 / 3             1.000  1.000  1.000  0.000" in done.stdout
    assert (tmp_path / "scan-every-thing.png").read_bytes().startswith(b"\x89PNG")
    assert store.samples() == []


def test_sheets_of_several_campaigns_have_names_of_their_own(hub, store, garden, tmp_path):
    for name in ("a", "b"):
        active(store, name, trigger=Everything())
    hub(garden, "--sheet", tmp_path / "best.png")
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["best-a.png", "best-b.png"]


def test_json_says_everything(hub, store, garden):
    active(store, "all", trigger=Everything())
    (garden / "broken.jpg").write_bytes(b"x")
    done = json.loads(hub(garden, "--json", "--target", 2).stdout)
    assert {name: done[name] for name in ("frames", "known", "repeated", "samples", "stopped")} == {
        "frames": 3, "known": 0, "repeated": 0, "samples": 2, "stopped": False,
    }  # fmt: skip
    assert done["campaigns"][0]["collected"] == 2
    assert done["unreadable"][0]["source"] == str(garden / "broken.jpg")


def test_unreadable_files_are_listed_at_the_end_twenty_at_most(hub, garden):
    for i in range(25):
        (garden / f"broken{i}.jpg").write_bytes(b"x")
    done = hub(garden)
    assert done.exit_code == 0
    assert "25 could not be read" in done.stderr
    assert done.stderr.count("broken") == 20
    assert "… and 5 more" in done.stderr


def test_where_nothing_can_be_read_it_failed(hub, tmp_path):
    (tmp_path / "a.jpg").write_bytes(picture(0.5)[:-9])
    done = hub(tmp_path / "a.jpg")
    assert (done.exit_code, "nothing could be read" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "args", [("nowhere",), ("garden", "--campaign", "none"), ("garden", "--threshold", "0.5", "--target", "3"), ()]
)
def test_what_can_not_be_is_a_usage_error(hub, store, garden, args):
    assert hub(*args).exit_code == 2


@pytest.mark.parametrize("name", ["", "notes.txt"])
def test_a_folder_without_pictures_is_said_to_have_none(hub, tmp_path, name):
    (tmp_path / "empty").mkdir()
    if name:
        (tmp_path / "empty" / name).write_text("no picture")
    done = hub("empty")
    assert done.exit_code == 2 and done.stdout == ""
    assert "no pictures or films in empty" in done.stderr


def test_pictures_known_by_another_camera_keep_its_name_and_it_is_said(hub, store, garden):
    hub(garden)
    done = hub(garden, "--camera", "trap7")
    assert "3 of them were known under another camera's name, which they keep." in done.stdout
    assert json.loads(hub(garden, "--camera", "trap7", "--json").stdout)["renamed"] == 3
    assert "another camera" not in hub(garden, "--camera", "garden").stdout
    assert "another camera" not in hub(garden).stdout


def test_the_span_of_times_is_said(hub, garden):
    files = sorted(garden.iterdir())
    for file, year in zip(files, (2017, 2024, 2020), strict=True):
        at = datetime(year, 5, 1, 12, tzinfo=UTC).timestamp()
        os.utime(file, (at, at))
    assert "Taken 2017-05-01 to 2024-05-01." in hub(garden).stdout
    facts = json.loads(hub(garden, "--json").stdout)
    assert (facts["first"], facts["last"]) == ("2017-05-01T12:00:00Z", "2024-05-01T12:00:00Z")
    assert "Taken on 2017-05-01." in hub(files[0]).stdout
    assert "EXIF" in hub("--help").stdout


def test_ctrl_c_keeps_what_was_stored_and_exits_130(hub, store, garden, monkeypatch):
    active(store, "few", trigger=Everything(), budget=Budget(limits=(RateLimit(1, 3600.0),)))
    put(garden, *[0.1, 0.9] * 80)

    def interrupted(done):
        if done.frames == 10:
            signal.raise_signal(signal.SIGINT)
        return ""

    monkeypatch.setattr("hub.cli.scan.LINE_S", -1.0)
    monkeypatch.setattr("hub.cli.scan._said", interrupted)
    done = hub(garden)
    assert done.exit_code == 130
    assert "Not judged yet: few. Campaigns with limits, windows or bursts are judged when all is seen" in done.stdout
    assert 10 <= store.archive.usage().frames < 160


def test_a_sheet_is_written_as_its_suffix_says_into_folders_that_are_made(hub, store, garden, tmp_path):
    active(store, "all", trigger=Everything())
    path = tmp_path / "new" / "found.jpg"
    assert hub(garden, "--sheet", path).exit_code == 0
    assert path.read_bytes().startswith(b"\xff\xd8")
    refused = hub(garden, "--sheet", "found.gif")
    assert refused.exit_code == 2 and ".png or .jpg" in refused.stderr


def test_campaigns_with_limits_are_told_apart_from_none(hub, store, garden):
    active(store, "few", trigger=Everything(), budget=Budget(limits=(RateLimit(1, 3600.0),)))
    assert "1 new samples" in hub(garden).stdout
