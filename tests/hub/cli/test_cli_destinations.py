"""`hub roboflow`, `hub deliveries` and destinations of campaigns, as a user meets them."""

import json
import time

import pytest
from click.testing import CliRunner

from hub.cli.main import cli
from hub.deliveries import SinkHealth, SinkState
from hub.store import open_store
from tests.hub.delivering import fill
from tests.roboflow_server import RoboflowServer

_VARIABLES = ("ROBOFLOW_KEY", "ROBOFLOW_API_KEY", "ROBOFLOW_PROJECT", "ROBOFLOW_WORKSPACE", "ROBOFLOW_API_URL")


@pytest.fixture
def hub(tmp_path, models_dir, monkeypatch):
    """Run a command on a data directory of its own; what it printed comes back, or its message where it failed."""
    monkeypatch.setenv("HUB_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HUB_DETECTOR", str(models_dir / "detectors" / "yolox_nano_416_dynbatch.onnx"))
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)

    def run(*args, code: int = 0) -> str:
        done = CliRunner().invoke(cli, [str(arg) for arg in args])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == code, done.output
        return done.output

    return run


@pytest.fixture
def server(monkeypatch, hub):
    """A Roboflow that the settings point at."""
    with RoboflowServer() as running:
        settings = {"ROBOFLOW_KEY": running.key, "ROBOFLOW_PROJECT": "birds", "ROBOFLOW_API_URL": running.url}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield running


def _create(hub, *destinations, code=0):
    options = [option for each in destinations for option in ("--destination", each)]
    return hub("campaigns", "create", "all of it", "--trigger", "everything", *options, code=code)


def test_a_destination_that_lacks_a_setting_is_noted_and_may_get_it_later(hub):
    said = _create(hub, "folder", "roboflow:owls")
    assert "ROBOFLOW_KEY" in said
    assert "Created" in said
    shown = json.loads(hub("campaigns", "show", "all of it", "--json"))
    assert shown["destinations"] == ["folder", "roboflow:owls"]


@pytest.mark.parametrize(
    ("wrong", "said"), [("robofow", "roboflow"), ("folder:here", "takes no"), ("x" * 99, ""), ("webhook:there", "")]
)
def test_a_destination_that_makes_no_sense_is_refused(hub, wrong, said):
    assert said in _create(hub, wrong, code=2)
    assert "No campaigns yet" in hub("campaigns", "list")


def test_a_destination_with_all_it_needs_passes_without_a_word(hub, server):
    assert "note" not in _create(hub, "roboflow")


def test_a_key_and_a_project_are_asked_for(hub, monkeypatch):
    assert "ROBOFLOW_KEY" in hub("roboflow", "check", code=1)
    monkeypatch.setenv("ROBOFLOW_KEY", "secret")
    assert "ROBOFLOW_PROJECT" in hub("roboflow", "sync", code=2)


def test_a_check_names_what_is_wrong(hub, server, monkeypatch):
    assert "birds" in hub("roboflow", "check")
    monkeypatch.setenv("ROBOFLOW_PROJECT", "brids")
    assert "brids" in hub("roboflow", "check", code=1)


def test_a_sync_without_tagged_images_says_what_to_tag(hub, server):
    assert "sample-more" in hub("roboflow", "sync")


def test_outcomes_of_nothing_are_none(hub, server):
    assert "Nothing" in hub("roboflow", "outcomes")
    assert json.loads(hub("roboflow", "outcomes", "--json")) == []
    assert "no campaign named" in hub("roboflow", "outcomes", "--campaign", "owls", code=2)


def test_each_destination_has_its_state_and_a_retry_wakes_it(hub, tmp_path):
    fill(tmp_path, 3, ("folder", "roboflow"))
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    until = time.time() + 600
    store.record_sink_health(SinkHealth("roboflow", SinkState.PAUSED, "revoked ?api_key=abc", 1.0, until))
    rows = {row["destination"]: row for row in json.loads(hub("deliveries", "status", "--json"))}
    assert (rows["folder"]["state"], rows["folder"]["pending"]) == ("open", 3)
    assert (rows["roboflow"]["state"], rows["roboflow"]["reason"]) == ("paused", "revoked ?api_key=***")
    assert rows["roboflow"]["next_try"]
    assert "6 deliveries" in hub("deliveries", "retry")
    assert store.sink_health()["roboflow"].until == 0
    assert "paused" in hub("doctor", code=1)
    store.close()


def test_deliveries_are_listed_by_destination(hub, tmp_path):
    fill(tmp_path, 2, ("folder", "roboflow"))
    rows = json.loads(hub("deliveries", "list", "--destination", "roboflow", "--json"))
    assert [row["destination"] for row in rows] == ["roboflow", "roboflow"]


def test_a_name_that_is_no_projects_is_refused(hub, server):
    assert "birds-of-prey" in _create(hub, "roboflow:Birds of prey", code=2)


def test_a_check_looks_at_the_projects_of_all_campaigns(hub, server):
    _create(hub, "roboflow:nowhere")
    said = hub("roboflow", "check", code=1)
    assert "birds" in said
    assert "nowhere" in said


def test_what_nobody_wants_any_longer_is_given_up(hub, tmp_path):
    fill(tmp_path, 3, ("folder", "roboflow"))
    assert "3 deliveries" in hub("deliveries", "discard", "--destination", "roboflow")
    rows = json.loads(hub("deliveries", "list", "--json"))
    assert [row["destination"] for row in rows] == ["folder"] * 3
    assert "1 deliveries" in hub("deliveries", "discard", rows[0]["id"])
    assert len(json.loads(hub("samples", "list", "--json"))) == 3
    assert "which" in hub("deliveries", "discard", code=2)


def test_a_retry_of_nothing_says_so(hub):
    assert "999" in hub("deliveries", "retry", "999", code=2)


def test_a_doctor_names_what_is_misspelt_and_what_is_not_set(hub, tmp_path, monkeypatch):
    _create(hub, "roboflow", "webhook")
    hub("campaigns", "activate", "all of it")
    monkeypatch.setenv("HUB_REDCT_LABELS", "person")
    monkeypatch.setenv("ROBOFLOW_PROJEKT", "birds")
    said = hub("doctor", code=1)
    for name in ("HUB_REDACT_LABELS", "ROBOFLOW_PROJECT", "ROBOFLOW_KEY", "HUB_WEBHOOK_URL"):
        assert name in said


@pytest.mark.parametrize(("name", "value"), [("HUB_REDACT_REGIONS", "nocam:0,0 1,1"), ("HUB_REDACT_LABELS", "nolabel")])
def test_nothing_is_run_while_what_is_to_be_hidden_is_misspelt(hub, name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    assert value[:5] in hub("run", code=2)
    said = hub("doctor", code=1)
    assert value[:5] in said
    assert "are known" not in said
