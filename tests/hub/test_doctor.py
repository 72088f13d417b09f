"""What the doctor says of cameras."""

import time

import pytest

from hub.app import open_hub
from hub.doctor import examine
from hub.settings import read_settings
from hub.types import Camera, CameraHealth


@pytest.fixture
def hub(tmp_path):
    env = {"HUB_DATA_DIR": str(tmp_path), "HUB_EMBEDDER": "built-in", "HUB_DETECTOR": "built-in"}
    opened = open_hub(read_settings(env))
    yield opened
    opened.close()


def states(hub, *healths, disabled=()):
    """What is said of cameras that do so."""
    for name, _ in healths:
        hub.store.add_camera(Camera(name, f"http://127.0.0.1:1/{name}.jpg", enabled=name not in disabled))
    now = time.time()
    hub.store.record_health([CameraHealth(name, state, "unreachable", updated_at=now) for name, state in healths])
    return [(each.state, each.found) for each in examine(hub, now) if each.check == "cameras"]


def test_all_up_is_ok(hub):
    assert states(hub, ("porch", "up"), ("yard", "up")) == [("ok", "2 of 2 up")]


def test_a_camera_that_fails_is_a_fault_and_the_sum_is_not_ok(hub):
    (fault, summary) = states(hub, ("porch", "failing"))
    assert fault[0] == "fault" and fault[1].startswith("porch: unreachable")
    assert summary == ("warning", "0 of 1 up")


def test_one_that_is_not_polled_is_no_trouble(hub):
    said = states(hub, ("porch", "up"), ("yard", "failing"), disabled=("yard",))
    assert said == [("ok", "1 of 1 up, 1 disabled")]
