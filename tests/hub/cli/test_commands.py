"""The command line, as a user meets it."""

import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from hub.cli.main import cli


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def hub(tmp_path, models_dir, monkeypatch):
    """Run a command on a data directory of its own; an exception that reaches the user fails the test."""
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HUB_MODELS_DIR", str(models_dir))
    monkeypatch.setenv("HUB_DETECTOR", str(models_dir / "detectors" / "yolox_nano_416_dynbatch.onnx"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*args: str) -> Result:
        done = CliRunner().invoke(cli, [str(arg) for arg in args])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Result(done.exit_code, done.stdout, done.stderr)

    return run


def refused(result: Result, code: int, *words: str) -> None:
    assert result.code == code, result.out + result.err
    for word in words:
        assert word in result.err
    assert "Traceback" not in result.err


# ── cameras ──────────────────────────────────────────────────────────────────────────────────────────


def test_cameras_are_added_listed_and_removed(hub):
    assert "No cameras yet" in hub("cameras", "list").out
    assert hub("cameras", "add", "porch", "http://porch.local:5000/image.jpg", "--interval", "0.5").code == 0
    (row,) = hub("cameras", "list", "--json").json
    assert (row["name"], row["state"], row["interval_s"]) == ("porch", "new", 0.5)
    assert hub("cameras", "remove", "porch").code == 0
    assert hub("cameras", "list", "--json").json == []


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("ftp://porch/image.jpg", "http"),
        ("porch", "http"),
        ("file:///etc/passwd", "http"),
        ("http://169.254.169.254/latest", "metadata"),
        ("http://[fe80::1]/image.jpg", "link-local"),
        ("http:///image.jpg", "http"),
    ],
)
def test_a_url_that_can_be_no_camera_is_refused(hub, url, word):
    result = hub("cameras", "add", "porch", url)
    assert result.code in (1, 2)
    assert word in result.err
    assert hub("cameras", "list", "--json").json == []


def test_names_that_exist_or_do_not_are_answered_with_what_is_there(hub):
    hub("cameras", "add", "porch", "http://a/image.jpg")
    refused(hub("cameras", "add", "porch", "http://b/image.jpg"), 2, "exists already", "hub cameras remove")
    refused(hub("cameras", "remove", "proch"), 2, "porch")
    refused(hub("cameras", "test", "proch"), 2, "porch")
    refused(hub("cameras", "add", "p\x07", "http://b/image.jpg"), 2, "printable")
    refused(hub("cameras", "add", "fast", "http://b/image.jpg", "--interval", "0"), 2, "interval")


def test_a_camera_that_is_away_is_a_failure_that_is_named(hub):
    hub("cameras", "add", "porch", "http://127.0.0.1:9/image.jpg")
    refused(hub("cameras", "test", "porch"), 1, "refused")


def test_no_secret_is_ever_printed(hub):
    hub("cameras", "add", "porch", "http://bob:hunter2@127.0.0.1:9/image.jpg?token=s3cret", "--token", "t0ken")
    said = "".join(
        r.out + r.err
        for r in (hub("cameras", "list"), hub("cameras", "list", "--json"), hub("cameras", "test", "porch"))
    )
    assert not any(secret in said for secret in ("hunter2", "s3cret", "t0ken"))


# ── campaigns ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def photos(data_dir) -> Path:
    return data_dir / "photos"


def test_a_detection_campaign_lives_from_create_to_deactivate(hub):
    created = hub(
        "campaigns", "create", "birds", "--trigger", "detection", "--labels", "bird,cat", "--threshold", "0.1"
    )
    assert created.code == 0
    assert "hub campaigns activate" in created.out
    assert hub("campaigns", "activate", "birds").code == 0
    (row,) = hub("campaigns", "list", "--json").json
    assert (row["state"], row["trigger"], row["version"], row["threshold"]) == ("active", "detection", 1, 0.1)
    hub("campaigns", "deactivate", "birds")
    assert hub("campaigns", "list", "--json").json[0]["state"] == "inactive"
    hub("campaigns", "commit", "birds")
    assert hub("campaigns", "show", "birds", "--json").json["version"] == 2


def test_a_similarity_campaign_is_seeded_with_pictures_and_text(hub, photos):
    options = ("--seed-images", photos / "owl.jpg", "--text", "tow truck", "--element", "crop", "--limit", "20/hour")
    assert hub("campaigns", "create", "tow trucks", *options).code == 0
    assert hub("campaigns", "activate", "tow trucks").code == 0
    shown = hub("campaigns", "show", "tow trucks", "--json").json
    assert shown["seeds"] == ["owl.jpg", "tow truck"]
    assert shown["limits"] == ["20/hour"]
    assert "uncalibrated" in shown["calibration"]
    assert not shown["uncommitted_changes"]


def test_new_seeds_count_from_the_next_commit_on(hub, photos):
    hub("campaigns", "create", "owls", "--seed-images", photos / "owl.jpg")
    hub("campaigns", "activate", "owls")
    assert "1 new seed." in hub("campaigns", "seed", "owls", "--seed-images", photos / "parrot.jpg").out
    assert hub("campaigns", "show", "owls", "--json").json["uncommitted_changes"]
    assert "hub campaigns commit" in hub("campaigns", "activate", "owls").err
    hub("campaigns", "commit", "owls")
    assert not hub("campaigns", "show", "owls", "--json").json["uncommitted_changes"]


def test_a_folder_with_a_pdf_in_it_is_used_and_the_pdf_named(hub, photos, tmp_path):
    folder = tmp_path / "seeds"
    folder.mkdir()
    (folder / "owl.jpg").write_bytes((photos / "owl.jpg").read_bytes())
    (folder / "invoice.pdf").write_bytes(b"%PDF-1.4 and so on")
    result = hub("campaigns", "create", "owls", "--seed-images", folder)
    assert result.code == 0
    assert "invoice.pdf" in result.err
    assert hub("campaigns", "show", "owls", "--json").json["seeds"] == ["owl.jpg"]
    (folder / "owl.jpg").unlink()
    refused(hub("campaigns", "create", "bills", "--seed-images", folder), 2, "invoice.pdf", "PDF")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ["--seed-images", "--text"]),
        (("--seed-images", "/no/such/folder"), ["/no/such/folder"]),
        (("--text", "tow trukc"), ["tow truck"]),
        (("--trigger", "detection", "--labels", "brid"), ["'brid'", "bird"]),
        (("--trigger", "detection", "--threshold", "1.5"), ["between 0 and 1"]),
        (("--trigger", "detection", "--threshold", "0.001"), ["noise"]),
        (("--trigger", "detection", "--text", "bird"), ["seeds"]),
        (("--trigger", "detection", "--limit", "20"), ["20/hour"]),
        (("--trigger", "detection", "--camera", "porch"), ["camera", "porch"]),
        (("--trigger", "detection", "--destination", "floder"), ["folder"]),
        (("--trigger", "detection", "--element", "crop"), ["similarity"]),
        (("--text", "tow truck", "--labels", "truck"), ["--element crop"]),
        (("--trigger", "similarty"), ["similarty"]),
    ],
)
def test_a_campaign_that_can_not_work_is_refused_with_the_next_step(hub, options, words):
    refused(hub("campaigns", "create", "mine", *options), 2 if "trukc" not in str(options) else 1, *words)
    assert hub("campaigns", "list", "--json").json == []


def test_campaign_names_are_unique_and_unknown_ones_answered_with_the_nearest(hub):
    hub("campaigns", "create", "birds", "--trigger", "detection", "--labels", "bird")
    refused(hub("campaigns", "create", "birds", "--trigger", "detection"), 2, "exists already")
    for command in ("show", "activate", "deactivate", "commit"):
        refused(hub("campaigns", command, "brids"), 2, "birds")
    refused(hub("samples", "list", "--campaign", "brids"), 2, "birds")
    refused(hub("samples", "export", "--campaign", "brids", "--out", "x"), 2, "birds")


# ── samples and deliveries ───────────────────────────────────────────────────────────────────────────


def test_empty_listings_say_what_to_do_next(hub):
    assert "hub campaigns create" in hub("campaigns", "list").out
    assert "hub campaigns list" in hub("samples", "list").out
    assert hub("deliveries", "list").code == 0
    assert hub("samples", "list", "--json").json == []
    assert hub("deliveries", "list", "--json").json == []
    assert "0 deliveries" in hub("deliveries", "retry").out


def test_reviewing_needs_samples(hub):
    refused(hub("samples", "accept"), 2, "--campaign")
    refused(hub("samples", "discard", "1:none"), 2, "hub samples list")


# ── models, doctor, settings ─────────────────────────────────────────────────────────────────────────


def test_models_are_listed_with_licence_and_which_are_used(hub):
    rows = {row["name"]: row for row in hub("models", "list", "--json").json}
    assert rows["yolox_nano_416_dynbatch"]["status"] == "used"
    assert "AGPL" in rows["yolov8n_dynamic"]["licence"]
    assert "NOT CLIP" in rows["clip-student"]["note"]
    assert rows["clip-vit-b32"]["status"] == "not fetched"


def test_a_model_that_runs_and_finds_nothing_is_caught(hub, models_dir):
    result = hub("models", "check", models_dir / "detectors" / "broken_yolov8n_quant.onnx")
    assert result.code == 1
    assert hub("models", "check", models_dir / "detectors" / "yolox_nano_416.onnx").code == 0


def test_a_broken_model_is_not_used_even_when_asked_for(hub, models_dir, monkeypatch):
    monkeypatch.setenv("HUB_DETECTOR", str(models_dir / "detectors" / "broken_yolov8n_quant.onnx"))
    refused(hub("campaigns", "create", "b", "--trigger", "detection", "--labels", "bird"), 1, "broken_yolov8n_quant")


def test_a_model_of_the_wrong_kind_is_said_to_be_that(hub, models_dir, monkeypatch):
    monkeypatch.setenv("HUB_DETECTOR", str(models_dir / "clip-student"))
    refused(hub("campaigns", "create", "b", "--trigger", "detection", "--labels", "bird"), 1, "detector is needed")


def test_unknown_models_are_answered_with_the_nearest(hub):
    refused(hub("models", "fetch", "yolox-nanoo"), 2, "yolox-nano")
    refused(hub("models", "export", "/no/such.pt"), 1, "/no/such.pt")


def test_the_doctor_finds_nothing_wrong_with_a_fresh_hub_but_says_what_is_missing(hub):
    result = hub("doctor", "--json")
    assert result.code == 0
    states = {row["check"]: row["state"] for row in result.json}
    assert states["detector"] == "ok"
    assert states["cameras"] == "warning"


def test_the_doctor_is_honest_about_built_in_models(hub, monkeypatch):
    monkeypatch.setenv("HUB_DETECTOR", "built-in")
    monkeypatch.setenv("HUB_EMBEDDER", "built-in")
    rows = {row["check"]: row for row in hub("doctor", "--json").json}
    assert (rows["detector"]["state"], rows["embedder"]["state"]) == ("warning", "warning")
    assert "people only" in rows["detector"]["found"]
    assert "hub models fetch" in rows["embedder"]["next_step"]


def test_every_mistake_in_the_settings_is_listed_at_once(hub, monkeypatch):
    monkeypatch.setenv("HUB_DEVICE", "toaster")
    monkeypatch.setenv("HUB_THREADS", "many")
    refused(hub("cameras", "list"), 2, "HUB_DEVICE", "toaster", "HUB_THREADS", "whole number")


def test_a_setting_in_the_file_is_used_and_an_unknown_one_named(hub, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "hub.toml").write_text('retention_days = 3\ndevise = "cpu"\n')
    refused(hub("cameras", "list"), 2, "devise", "device")


def test_a_data_directory_that_is_a_file_is_refused(hub, tmp_path):
    (tmp_path / "data").write_text("")
    assert hub("cameras", "list").code == 1


def test_a_database_of_a_newer_hub_is_refused(hub, tmp_path):
    hub("cameras", "list")
    with sqlite3.connect(tmp_path / "data" / "hub.sqlite") as database:
        database.execute("update alembic_version set version_num = '9999'")
    database.close()
    refused(hub("cameras", "list"), 1, "newer version", "Upgrade")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(hub, shell):
    assert "_HUB_COMPLETE" in hub("completion", shell).out


@pytest.mark.parametrize("group", ["", "cameras", "campaigns", "samples", "deliveries", "models"])
def test_help_says_what_each_command_does(hub, group):
    text = hub(*([group] if group else []), "--help").out
    commands = text.split("Commands:")[1].strip().splitlines()
    assert all(len(line.split(maxsplit=1)) == 2 for line in commands)
