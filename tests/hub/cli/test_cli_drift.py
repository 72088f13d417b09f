"""`hub drift`, as a user and a cron job meet it."""

import json
from dataclasses import replace
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from hub.blobs import open_blobs
from hub.cli.context import Context, ErrorGroup
from hub.cli.drift import drift
from hub.drift_periods import bounds
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.store import open_store
from hub.triggers.random import Random
from hub.types import Batch, Detections, Frame, Observation
from tests.contract.storing import active, sample
from tests.hub.making import unit
from tests.roboflow_server import KEY, WORKSPACE, RoboflowServer

MONTHS = ("2026-07", "2026-08", "2026-09")


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HUB_EMBEDDER", "built-in")
    for name in ("ROBOFLOW_KEY", "ROBOFLOW_PROJECT", "DRIFT_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def hub(root):
    @click.group(cls=ErrorGroup)
    @click.pass_context
    def cli(ctx):
        ctx.obj = Context(None)

    cli.add_command(drift)

    def run(*args):
        done = CliRunner().invoke(cli, ["drift", *map(str, args)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return run


@pytest.fixture
def store(root):
    opened = open_store(f"sqlite:///{root / 'hub.sqlite'}")
    yield opened
    opened.close()


def picture(rng, shade: int) -> bytes:
    pixels = (shade + rng.integers(0, 9, (64, 64, 3))).astype(np.uint8)
    pixels[:, :: int(rng.integers(4, 20))] = 255
    return cv2.imencode(".png", pixels)[1].tobytes()


def month(name: str, centre: int, camera="porch", count=60) -> list[Observation]:
    """Frames over a month, of whose vector the first place and a second are large."""
    rng = np.random.default_rng([ord(letter) for letter in name + camera])
    start, end = bounds(name)
    embedder = BuiltinEmbedder()
    return [
        Observation(
            Frame(camera, 0, start + (end - start) * (i + 0.5) / count, f"{name} {camera} {i}".encode()),
            (64, 64),
            Detections.empty(),
            unit(np.eye(embedder.dim)[0] * 2 + np.eye(embedder.dim)[centre] * 2 + rng.normal(size=embedder.dim) / 4),
            embedder.version,
        )
        for i in range(count)
    ]


@pytest.fixture
def year(store):
    """Two months alike, and one in which one of two cameras shows another thing."""
    for name in MONTHS:
        for camera in ("porch", "yard"):
            store.write(Batch(month(name, 2 if (name, camera) == ("2026-09", "yard") else 1, camera)))


def test_the_report_of_a_year_says_what_drifted_when_and_where(hub, year):
    done = hub()
    assert done.exit_code == 0
    assert "Compared with 2026-07, the earliest full month (120 frames)" in done.stdout
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert rows["2026-08"].rstrip().endswith("no")
    assert rows["2026-09"].rstrip().endswith("yes")
    assert "All" in rows
    assert done.stdout.index("yard ") < done.stdout.index("porch ")


def test_the_report_as_json(hub, year):
    found = json.loads(hub("--json").stdout)
    assert [row["period"] for row in found["rows"]] == ["2026-08", "2026-09", "All time"]
    august, september, _ = found["rows"]
    assert (august["drifted"], september["drifted"]) == (False, True)
    assert august["low"] <= august["cosine"] <= august["high"]
    assert found["latest"] == "2026-09"
    assert found["cameras"][0]["camera"] == "yard"
    assert {frame["camera"] for frame in found["frames"][:3]} == {"yard"}
    assert len(found["frames"][0]["id"]) > 8


def test_the_same_command_gives_the_same_report(hub, year):
    assert hub("--json").stdout == hub("--json").stdout


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (["--max-drift", 0.01], 3),
        (["--max-drift", 1.5], 0),
        (["--max-p", 0.01], 3),
        (["--max-p", 0.0001], 0),
        (["--max-drift", 0.01, "--max-p", 0.01], 3),
        (["--max-drift", 1.5, "--max-p", 0.01], 0),
        (["--max-drift", 0.01, "--camera", "porch"], 0),
        (["--max-drift", 0.01, "--json"], 3),
    ],
)
def test_the_exit_code_is_3_past_the_limits_that_are_given(hub, year, limits, code):
    assert hub(*limits).exit_code == code


def test_a_period_can_be_the_reference_and_days_be_asked_for(hub, year):
    assert "Compared with 2026-09 (120" in hub("--reference", "2026-09").stdout
    found = json.loads(hub("--increment", "year", "--reference", "2026-07", "--json").stdout)
    assert [row["period"] for row in found["rows"]] == ["2026", "All time"]
    days = hub("--increment", "day", "--reference", "2026-07", "--timezone", "Europe/Berlin", "--json")
    rows = json.loads(days.stdout)["rows"]
    assert len(rows) == 62
    assert all(row["p"] is None for row in rows[:-1])


def test_a_plot_is_written_and_where_it_can_not_be_it_is_said(hub, year, root):
    assert hub("--plot", root / "drift.png").exit_code == 0
    assert cv2.imread(str(root / "drift.png")).shape == (840, 1200, 3)
    refused = hub("--plot", root / "nowhere" / "drift.png")
    assert refused.exit_code == 2
    assert "can't be written" in refused.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--reference", "no/such/folder"], "neither a period nor a folder"),
        (["--reference", "2026-13"], "no period"),
        (["--campaign", "foxes"], "no campaign named"),
        (["--timezone", "Europe/Berlun"], "Did you mean Europe/Berlin"),
        (["--from", "roboflow"], "Roboflow key"),
        (["--camera", "prch"], "no camera named 'prch'\nDid you mean porch"),
        (["--camera", "roof"], "Known: porch, yard."),
    ],
)
def test_what_can_not_be_compared_is_said(hub, year, args, words):
    done = hub(*args)
    assert done.exit_code == 2
    assert words in done.stderr


def test_an_empty_hub_is_told_how_to_begin(hub):
    done = hub()
    assert (done.exit_code, "random" in done.stderr) == (2, True)


def test_one_month_alone_is_said_with_what_to_do_and_no_picture_is_drawn(hub, store, root):
    store.write(Batch(month("2026-07", 1)))
    done = hub("--plot", root / "drift.png")
    assert done.exit_code == 0
    assert "Nothing to compare: there are no frames but those of the reference" in done.stdout
    assert "Wait for the next month, compare days (--increment day), or compare with pictures" in done.stdout
    assert "drift.png was not written" in done.stdout
    assert not (root / "drift.png").exists()


@pytest.mark.parametrize("limit", [["--max-drift", 0.01], ["--max-p", 0.01], ["--max-p", 0.01, "--json"]])
def test_a_limit_on_what_can_not_be_compared_is_an_error_and_no_all_clear(hub, store, limit):
    store.write(Batch(month("2026-07", 1)))
    done = hub(*limit)
    assert done.exit_code == 1
    assert "can't be told whether the cameras drifted: there are no frames but" in done.stderr
    assert "--reference FOLDER" in done.stderr
    assert "no frames but those of the reference" in done.stdout
    assert "Wait for more frames, compare longer periods" in hub("--reference", "2025-01", *limit).stderr
    store.write(Batch(month("2026-08", 1, count=3)))
    few = hub(*limit)
    assert (few.exit_code, "no month has at least 5 frames" in few.stderr) == (1, True)


def test_json_stays_json_where_nothing_can_be_drawn(hub, store, root):
    store.write(Batch(month("2026-07", 1)))
    done = hub("--json", "--plot", root / "drift.png")
    assert json.loads(done.stdout)["cannot_tell"]
    assert "was not written" in done.stderr


def test_a_month_is_called_full_where_it_was(hub, store):
    store.write(Batch(month("2026-07", 1)[:26]))
    assert "2026-07, the earliest month (26 frames)" in hub().stdout
    store.write(Batch(month("2026-07", 1)[26:]))
    assert "2026-07, the earliest full month (60 frames)" in hub().stdout


def test_the_report_says_what_makes_a_row_drifted_and_whether_limits_are_passed(hub, year):
    assert "Benjamini-Hochberg" in hub("--help").stdout
    done = hub("--max-drift", 0.01)
    assert "among the marked months (Benjamini-Hochberg); All time by its own p" in done.stdout
    assert "2026-09 is past the limits" in done.stdout
    assert "2026-09 is within the limits" in hub("--max-drift", 1.5).stdout


def test_a_camera_without_samples_of_the_campaign_is_known_all_the_same(hub, year, store):
    of = active(store, "drift", trigger=Random())
    seen = month("2026-09", 1, "gate", count=1)[0]
    store.write(Batch([seen], [sample(of, _framed(seen))]))
    done = hub("--campaign", "drift", "--camera", "yard")
    assert (done.exit_code, "no samples of yard to compare" in done.stderr) == (2, True)
    assert "no camera named 'hall'" in hub("--campaign", "drift", "--camera", "hall").stderr


def test_a_folder_of_pictures_can_be_the_reference(hub, year, root):
    rng = np.random.default_rng(0)
    (root / "set").mkdir()
    for i in range(12):
        (root / "set" / f"{i}.png").write_bytes(picture(rng, 20 * i))
    found = json.loads(hub("--reference", root / "set", "--json").stdout)
    assert found["reference_frames"] == 12
    assert [row["drifted"] for row in found["rows"]] == [True] * 4
    assert [row["period"] for row in found["rows"]] == [*MONTHS, "All time"]


def test_a_folder_of_few_pictures_is_told_how_many_are_needed_and_which_can_not_be_read(hub, year, root):
    rng = np.random.default_rng(0)
    (root / "set").mkdir()
    for i in range(4):
        (root / "set" / f"{i}.png").write_bytes(picture(rng, 20 * i))
    (root / "set" / "a.tiff").write_bytes(b"II*\0 and so on")
    (root / "set" / "b.jpg").write_bytes(b"")
    (root / "set" / "labels.txt").write_text("0 0.5 0.5 1 1")
    done = hub("--reference", root / "set")
    assert done.exit_code == 0
    assert f"the reference (the folder {root / 'set'}) has 4 frames, and at least 5 are needed" in done.stdout
    assert "Give a folder with at least 5 pictures" in done.stdout
    assert f"2 of 6 pictures in {root / 'set'} can't be read: a.tiff: " in done.stdout
    for i in range(4):
        (root / "set" / f"{i}.png").unlink()
    none = hub("--reference", root / "set")
    assert none.exit_code == 2
    assert "none of the 2 pictures" in none.stderr
    assert "at least 5 JPEG or PNG pictures" in none.stderr


def test_a_bmp_is_a_picture_too_and_a_batch_of_bad_files_ends_nothing(hub, year, root):
    rng = np.random.default_rng(0)
    (root / "set").mkdir()
    for i in range(16):
        (root / "set" / f"a{i}.jpg").write_bytes(b"no picture")
    for i in range(6):
        cv2.imwrite(str(root / "set" / f"b{i}.bmp"), rng.integers(0, 255, (32, 32, 3)).astype(np.uint8))
    found = json.loads(hub("--reference", root / "set", "--json").stdout)
    assert found["reference_frames"] == 6
    assert "16 of 22 pictures" in found["notes"][0]


def test_samples_of_the_random_campaign_are_embedded_once_where_nothing_else_embeds(hub, store, root):
    of = active(store, "drift", trigger=Random())
    store.update_campaign(replace(store.campaign("drift"), trigger=Random()))
    blobs, rng = open_blobs(f"file://{root / 'frames'}"), np.random.default_rng(1)
    for name, shade in (("2026-07", 40), ("2026-08", 40), ("2026-09", 200)):
        for i in range(20):
            frame = Frame("porch", 0, bounds(name)[0] + i * 1.4 * 86400, picture(rng, shade + i))
            seen = Observation(frame, (64, 64), Detections.empty(), np.zeros((0, 0), np.float32))
            blobs.put(frame.id, frame.jpeg)
            store.write(Batch([seen], [sample(of, _framed(seen), vector=None, embedding_version=None)]))
    first = hub("--json")
    assert "embedding 20 samples" in first.stderr
    found = json.loads(first.stdout)
    assert [row["frames"] for row in found["rows"]] == [20, 20, 40]
    assert found["frames"][0]["id"].startswith(f"{of.campaign_id}:")
    assert [row["drifted"] for row in found["rows"]] == [False, True, True]
    again = hub("--json")
    assert "embedding" not in again.stderr
    assert json.loads(again.stdout) == found


def _framed(seen: Observation) -> Observation:
    """With a box for `sample` to take."""
    one = Detections(np.array([[0, 0, 8, 8]], np.float32), np.ones(1, np.float32), ("bird",))
    return Observation(seen.frame, seen.size_wh, one, unit(np.eye(4)[:1]), "v1")


def test_roboflows_own_embeddings_are_compared(hub, monkeypatch):
    rng = np.random.default_rng(2)

    def vector(centre: int) -> list[float]:
        return unit(np.eye(16)[centre] * 3 + rng.normal(size=16))[0].tolist()

    with RoboflowServer(projects=dict.fromkeys(("birds", "watch"), "object-detection")) as server:
        for i in range(60):
            server.add("birds", b"valid %d" % i, split="valid", embedding=vector(0))
            server.add("birds", b"train %d" % i, split="train", embedding=vector(5))
        for name, centre in (("2026-07", 0), ("2026-08", 0), ("2026-09", 1)):
            for i in range(30):
                at = bounds(name)[0] + i * 86400
                server.add("watch", f"{name} {i}".encode(), embedding=vector(centre), created_ms=int(at * 1000))
        for key, value in {
            "ROBOFLOW_KEY": KEY, "ROBOFLOW_WORKSPACE": WORKSPACE, "ROBOFLOW_PROJECT": "birds", "DRIFT_PROJECT": "watch",
            "ROBOFLOW_API_URL": server.url,
        }.items():  # fmt: skip
            monkeypatch.setenv(key, value)
        first = hub("--from", "roboflow", "--json")
        assert first.exit_code == 0, first.stderr
        found = json.loads(first.stdout)
        assert found["reference"] == "the valid split of birds"
        assert [row["drifted"] for row in found["rows"][:-1]] == [False, False, True]
        by_month = json.loads(hub("--from", "roboflow", "--reference", "2026-07", "--json").stdout)
        assert [row["drifted"] for row in by_month["rows"][:-1]] == [False, True]
        assert "most drifted cameras" not in hub("--from", "roboflow").stdout
        folder = hub("--from", "roboflow", "--reference", "pictures")
        assert (folder.exit_code, "can't be compared" in folder.stderr) == (2, True)
