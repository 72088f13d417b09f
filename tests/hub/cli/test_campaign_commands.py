"""`hub campaigns` and `hub samples`, as a user meets them."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from hub.archive import SeenFrame
from hub.cli.main import cli
from hub.store import open_store
from hub.types import Batch, Detections, Frame, Observation, Remembered, Sample, Score


@pytest.fixture
def photos(data_dir):
    return data_dir / "photos"


@pytest.fixture
def hub(tmp_path, models_dir, monkeypatch):
    """Run a command on a data directory of its own; what it printed comes back, or its message where it failed."""
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HUB_MODELS_DIR", str(models_dir))
    monkeypatch.setenv("HUB_DETECTOR", str(models_dir / "detectors" / "yolox_nano_416_dynbatch.onnx"))
    monkeypatch.setenv("TZ", "Europe/Berlin")

    def run(*args, code: int = 0) -> str:
        done = CliRunner().invoke(cli, [str(arg) for arg in args])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == code, done.output
        return done.stdout if code == 0 else done.stderr

    return run


@pytest.fixture
def shown(hub):
    """The facts of a campaign."""
    return lambda name: json.loads(hub("campaigns", "show", name, "--json"))


@pytest.fixture
def store(tmp_path):
    (tmp_path / "data").mkdir()
    with_store = open_store(f"sqlite:///{tmp_path / 'data' / 'hub.sqlite'}")
    yield with_store
    with_store.close()


def _collect(store, campaign: str, *values: float) -> list[str]:
    """Samples with these scores."""
    found = store.campaign(campaign)
    samples = []
    for i, value in enumerate(values):
        frame = Frame("porch", i, 1000.0 + i, f"picture {i}".encode())
        none = Detections.empty()
        score = Score(value, why="looks like it")
        box = (0.0, 0.0, 64.0, 48.0)
        samples.append(
            Sample(found.id, campaign, 1, frame.id, "porch", frame.taken_at, (64, 48), box, score, "good", none)
        )
        store.write(Batch([Observation(frame, (64, 48), none, np.zeros((0, 0), np.float32))], samples[-1:]))
    return [sample.id for sample in samples]


def test_every_part_of_a_budget_and_scope_is_given_on_the_command_line_and_shown(hub, shown):
    hub(
        "campaigns", "create", "odd", "--trigger", "change", "--target", "40/day", "--per-camera", "5",
        "--variety", "0.3", "--control", "0.01", "--burst", "30", "--limit", "5/hour/camera", "--hours", "22-6",
        "--weekdays", "mon-fri", "--duplicate-distance", "0.05", "--duplicate-seconds", "600", "--stop-after", "900",
        "--set", "alpha=0.005",
    )  # fmt: skip
    facts = shown("odd")
    assert (facts["target"], facts["per_camera"], facts["threshold"]) == ("40/day", 5, 0.0)
    assert (facts["hours"], facts["weekdays"], facts["timezone"]) == ("22:00-06:00", "mon-fri", "Europe/Berlin")
    assert (facts["burst_s"], facts["control"], facts["variety"]) == (30.0, 0.01, 0.3)
    assert (facts["duplicate_distance"], facts["duplicate_s"], facts["stop_after"]) == (0.05, 600.0, 900)
    assert facts["limits"] == ["5/hour/camera"]
    assert facts["trigger"]["alpha"] == 0.005


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--trigger", "change", "--set", "alpha=0.5"), ["alpha", "0.02"]),
        (("--trigger", "change", "--set", "alpha"), ["--set one_in=50"]),
        (("--trigger", "random", "--set", "one_in=often"), ["one_in", "number"]),
        (("--trigger", "random", "--region", "0,0 1,0 1,1"), ["region", "--trigger detection"]),
        (("--trigger", "detection", "--region", "nowhere"), ["region"]),
        (("--trigger", "detection", "--disagreement", "quarrel"), ["quarrel"]),
        (("--trigger", "everything", "--per-camera", "5"), ["--target"]),
        (("--trigger", "everything", "--variety", "0.5"), ["--target"]),
        (("--trigger", "everything", "--alarms", "5/day", "--target", "5/day"), ["--alarms", "--target"]),
        (("--trigger", "everything", "--control", "2"), ["between 0 and 1"]),
        (("--trigger", "everything", "--hours", "25-26"), ["hours"]),
        (("--trigger", "everything", "--weekdays", "someday"), ["someday"]),
        (("--trigger", "everything", "--timezone", "Europe/Berlni"), ["Europe/Berlin"]),
        (("--trigger", "everything", "--target", "lots"), ["20/hour"]),
    ],
)
def test_what_can_not_work_is_refused_with_the_next_step(hub, options, words):
    said = hub("campaigns", "create", "mine", *options, code=2)
    for word in words:
        assert word in said


def test_an_edit_changes_what_is_named_and_counts_from_the_next_commit_on(hub, shown):
    hub("campaigns", "create", "odd", "--trigger", "outlier", "--limit", "20/hour")
    hub("campaigns", "activate", "odd")
    hub("campaigns", "edit", "odd", "--threshold", "0.7", "--set", "memory=32")
    facts = shown("odd")
    assert (facts["threshold"], facts["limits"], facts["trigger"]["memory"]) == (0.7, ["20/hour"], 32)
    assert facts["uncommitted_changes"]
    hub("campaigns", "commit", "odd")
    said = hub("campaigns", "diff", "odd")
    assert "budget.threshold: 0.5 → 0.7" in said
    assert "trigger.memory: 64 → 32" in said
    assert [row["version"] for row in json.loads(hub("campaigns", "versions", "odd", "--json"))] == [1, 2]


def test_an_edit_of_nothing_or_to_nonsense_changes_nothing(hub, shown):
    hub("campaigns", "create", "odd", "--trigger", "outlier")
    before = shown("odd")
    assert "nothing to change" in hub("campaigns", "edit", "odd", code=2)
    hub("campaigns", "edit", "odd", "--threshold", "7", code=2)
    assert shown("odd") == before


def test_a_difference_names_seeds_and_unknown_versions_are_refused(hub, photos):
    hub("campaigns", "create", "owls", "--seed-images", photos / "owl.jpg")
    hub("campaigns", "commit", "owls")
    hub("campaigns", "seed", "owls", "--not-like", photos / "parrot.jpg", "--text", "owl")
    hub("campaigns", "commit", "owls")
    said = hub("campaigns", "diff", "owls", "1", "2")
    assert "+ seed owl" in said
    assert "+ seed not like parrot.jpg" in said
    assert "nothing" in hub("campaigns", "diff", "owls", "2", "2")
    assert "version" in hub("campaigns", "diff", "owls", "1", "7", code=2)


def test_seeds_are_removed_by_their_names(hub, shown, photos):
    hub("campaigns", "create", "owls", "--seed-images", photos / "owl.jpg")
    hub("campaigns", "seed", "owls", "--not-like", photos / "parrot.jpg", "--text", "owl")
    assert "no seed named 'owls'" in hub("campaigns", "seed", "owls", "--remove", "owls", code=2)
    said = hub("campaigns", "seed", "owls", "--remove", "owl", "--remove", "not like parrot.jpg", "--text", "a bird")
    assert "1 new seed, 2 seeds removed. It counts after: hub campaigns commit 'owls'" in said
    assert sorted(shown("owls")["seeds"]) == ["a bird", "owl.jpg"]
    assert "nothing to add or remove" in hub("campaigns", "seed", "owls", code=2)


def test_a_text_that_the_embedder_can_not_read_is_named_with_what_removes_it(hub, shown, photos, monkeypatch):
    hub("campaigns", "create", "owls", "--seed-images", photos / "owl.jpg", "--text", "an owl")
    monkeypatch.setenv("HUB_EMBEDDER", "built-in")
    said = hub("campaigns", "commit", "owls", "--re-embed", code=1)
    assert "'an owl'" in said and "hub campaigns seed 'owls' --remove 'an owl'" in said
    assert "1 seed removed" in hub("campaigns", "seed", "owls", "--remove", "an owl")
    hub("campaigns", "commit", "owls", "--re-embed")
    assert shown("owls")["seeds"] == ["owl.jpg"]


def test_what_is_not_wanted_alone_is_no_campaign(hub, photos):
    assert "--seed-images" in hub("campaigns", "create", "owls", "--not-like", photos / "parrot.jpg", code=2)


def test_an_archived_campaign_is_out_of_sight_and_comes_back(hub):
    hub("campaigns", "create", "odd", "--trigger", "everything")
    hub("campaigns", "activate", "odd")
    hub("campaigns", "archive", "odd")
    assert json.loads(hub("campaigns", "list", "--json")) == []
    (row,) = json.loads(hub("campaigns", "list", "--all", "--json"))
    assert row["state"] == "archived"
    hub("campaigns", "activate", "odd")
    assert json.loads(hub("campaigns", "list", "--json"))[0]["state"] == "active"


def test_resetting_the_state_forgets_one_camera_or_all(store, hub):
    hub("campaigns", "create", "odd", "--trigger", "change")
    campaign = store.campaign("odd")
    store.remember([Remembered(campaign.id, camera, {"state": {"frames": 3}}) for camera in ("porch", "barn")])
    assert "1 camera;" in hub("campaigns", "reset-state", "odd", "--camera", "porch")
    assert [row.camera for row in store.remembered(campaign.id)] == ["barn"]
    assert "1 camera;" in hub("campaigns", "reset-state", "odd")
    assert store.remembered(campaign.id) == []


def test_review_in_bulk_goes_by_score_and_leaves_what_was_said_alone(store, hub, shown):
    hub("campaigns", "create", "all", "--trigger", "everything")
    hub("campaigns", "commit", "all")
    ids = _collect(store, "all", 0.2, 0.5, 0.8)
    assert "Discarded 1" in hub("samples", "discard", ids[1])
    assert "Accepted 1" in hub("samples", "accept", "--campaign", "all", "--above", "0.5")
    assert "Discarded 1" in hub("samples", "discard", "--campaign", "all", "--below", "0.5")
    statuses = {row["id"]: row["status"] for row in json.loads(hub("samples", "list", "--json"))}
    assert [statuses[i] for i in ids] == ["discarded", "discarded", "accepted"]
    assert (shown("all")["accepted"], shown("all")["discarded"]) == (1, 2)
    assert "Unsorted 2" in hub("samples", "unsort", "--campaign", "all", "--status", "discarded")


def test_review_needs_to_know_which_samples(hub):
    assert "--campaign" in hub("samples", "accept", code=2)
    assert "not both" in hub("samples", "accept", "1:a", "--campaign", "all", code=2)
    assert "'1:a'" in hub("samples", "accept", "1:a", code=2)


def test_a_sample_is_explained_also_without_seeds(store, hub):
    hub("campaigns", "create", "all", "--trigger", "everything")
    hub("campaigns", "commit", "all")
    (one,) = _collect(store, "all", 1.0)
    said = hub("samples", "explain", one)
    assert "all, version 1" in said
    assert json.loads(hub("samples", "explain", one, "--json"))["nearest"] == []
    assert "1:nothing" in hub("samples", "explain", "1:nothing", code=2)


def test_more_samples_than_are_listed_are_told(store, hub):
    hub("campaigns", "create", "odd", "--trigger", "everything")
    _collect(store, "odd", 0.9, 0.8, 0.7)
    listed = CliRunner().invoke(cli, ["samples", "list", "--limit", "2"])
    assert listed.stderr == "the newest 2; more: --limit\n"
    assert CliRunner().invoke(cli, ["samples", "list", "--limit", "3"]).stderr == ""


def test_samples_of_scanned_frames_name_their_files(store, hub):
    hub("campaigns", "create", "odd", "--trigger", "everything")
    hub("campaigns", "activate", "odd")
    store.archive.add_frames(
        [SeenFrame(Frame("porch", 0, 1.0, b"picture 0").id, "porch", 1.0, (64, 48), "a.zip!b.jpg")]
    )
    scanned, other = _collect(store, "odd", 0.9, 0.8)
    assert {row["id"]: row["source"] for row in json.loads(hub("samples", "list", "--json"))} == {
        scanned: "a.zip!b.jpg", other: "",
    }  # fmt: skip
    assert json.loads(hub("samples", "explain", scanned, "--json"))["file"] == "a.zip!b.jpg"
    assert "a.zip!b.jpg" in hub("samples", "explain", scanned) and "file" not in hub("samples", "explain", other)


def test_only_campaigns_with_seeds_learn_from_review(store, hub, photos):
    hub("campaigns", "create", "all", "--trigger", "everything")
    assert "learns nothing" in hub("campaigns", "recalculate", "all", code=2)
    hub("campaigns", "create", "owls", "--seed-images", photos / "owl.jpg")
    assert "hub samples accept" in hub("campaigns", "recalculate", "owls", code=2)


def test_an_empty_value_gives_a_setting_its_default_back(hub, shown):
    options = ("--target", "40/day", "--variety", "0.3", "--per-camera", "5", "--burst", "30", "--stop-after", "9")
    hub("campaigns", "create", "odd", "--trigger", "change", *options)
    hub("campaigns", "edit", "odd", "--target", "", "--burst", "", "--stop-after", "")
    facts = shown("odd")
    assert (facts["target"], facts["per_camera"], facts["variety"]) == (None, None, 0.0)
    assert (facts["threshold"], facts["burst_s"], facts["stop_after"]) == (0.5, 0.0, None)
    assert "not a number" in hub("campaigns", "edit", "odd", "--burst", "10s", code=2)


def test_a_difference_shows_what_is_not_committed_yet(hub):
    hub("campaigns", "create", "odd", "--trigger", "change")
    hub("campaigns", "commit", "odd")
    hub("campaigns", "edit", "odd", "--threshold", "0.7")
    assert "budget.threshold: 0.5 → 0.7" in hub("campaigns", "diff", "odd")


def test_resetting_a_camera_that_is_not_known_is_refused(hub):
    hub("campaigns", "create", "odd", "--trigger", "change")
    assert "nope" in hub("campaigns", "reset-state", "odd", "--camera", "nope", code=2)
