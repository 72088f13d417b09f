"""The hub's settings, as the environment says them."""

import pytest

from hub.settings import misspelt, read_settings
from hub.types import RateLimit
from shared.errors import ConfigError


def test_destinations_are_told_what_the_environment_says(tmp_path):
    env = {
        "HUB_DATA_DIR": str(tmp_path),
        "ROBOFLOW_API_KEY": "k",
        "ROBOFLOW_PROJECT": "birds",
        "HUB_ROBOFLOW_BATCH_EVERY": "week",
        "HUB_ROBOFLOW_RATE": "100/minute",
        "HUB_WEBHOOK_URL": "https://example.org/hook?token=t",
        "HUB_WEBHOOK_PICTURES": "no",
    }
    sinks = read_settings(env).sinks
    assert (sinks.roboflow.key, sinks.roboflow.project, sinks.roboflow.batch_every) == ("k", "birds", "week")
    assert sinks.roboflow.rate == RateLimit(100, 60.0)
    assert (sinks.webhook.pictures, sinks.webhook.rate) == (False, None)
    assert sinks.datasets == tmp_path / "datasets"


def test_no_secret_is_shown(tmp_path):
    names = ("ROBOFLOW_KEY", "HUB_WEBHOOK_URL", "HUB_WEBHOOK_SECRET", "STREAM_URL")
    settings = read_settings({"HUB_DATA_DIR": str(tmp_path), **dict.fromkeys(names, "hidden")})
    assert "hidden" not in f"{settings!r} {settings.sinks!r}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUB_ROBOFLOW_RATE", "often"),
        ("HUB_WEBHOOK_RATE", "10"),
        ("HUB_REDACT_REGIONS", "porch"),
        ("HUB_REDACT_REGIONS", "porch:0,0 2,2"),
        ("HUB_ROBOFLOW_SPLIT", "trian"),
        ("COLLECT_ALL", "maybe"),
        ("SAMPLE_RATE", "0"),
        ("CLIP_TEXT_PROMPT_THRESHOLD", "20"),
        ("UNIQUE_FRAME_BUFFER", "-1"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path, name, value):
    with pytest.raises(ConfigError, match=name):
        read_settings({"HUB_DATA_DIR": str(tmp_path), name: value})


@pytest.mark.parametrize(("said", "meant"), [("False", False), ("0", False), ("True", True), ("yes", True)])
def test_collect_all_means_what_it_says(tmp_path, said, meant):
    assert read_settings({"HUB_DATA_DIR": str(tmp_path), "COLLECT_ALL": said}).collect_all is meant


def test_variables_that_look_like_settings_and_are_none_are_named():
    env = {"HUB_REDCT_LABELS": "person", "ROBOFLOW_PROJEKT": "x", "ROBOFLOW_MODEL_ID": "y", "HUB_HOME": "z", "PATH": ""}
    said = misspelt(env)
    assert [line.split()[0] for line in said] == ["HUB_HOME", "HUB_REDCT_LABELS", "ROBOFLOW_PROJEKT"]
    assert "HUB_REDACT_LABELS" in said[1]
    assert misspelt({"HUB_DEVICE": "cpu", "ROBOFLOW_API_KEY": "k", "HUB_DEMO_FOOTAGE": "f"}) == []
