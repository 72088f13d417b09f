"""Cameras that hang, lie, drip and die, beside two that work."""

import contextlib
import signal
import time

import pytest

from tests.e2e.processes import Hub, camera, running, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

INTERVAL_S = 0.5
WATCH_S = 30.0
LONGEST_S = 120.0
EXPECTED = {
    "hang": "timeout",
    "garbage": "not-an-image",
    "huge-header": "too-many-pixels",
    "drip": "timeout",
    "endless-body": "too-large",
    "ustreamer-offline": "offline",
    "go2rtc-empty": "empty",
    "truncated": "truncated",
    "esp32-500": "bad-status",
}


@pytest.fixture(scope="module")
def trouble(tmp_path_factory, models_dir, data_dir):
    """Half a minute of two good cameras and every bad one; yields what the hub said at two moments."""
    root = tmp_path_factory.mktemp("trouble")
    hub = Hub(root / "data", models_dir)
    hub.data_dir.mkdir()
    hub.env["HUB_DETECTOR"] = str(models_dir / "detectors" / "yolox_nano_416_dynbatch.onnx")
    film = data_dir / "video" / "one-by-one-person-detection.mp4"
    with contextlib.ExitStack() as stack:
        bad = stack.enter_context(running(["tests/hostile_cameras.py", "--port", "0"], r"http://[^\s/]+"))
        for name in EXPECTED:
            hub("cameras", "add", name, f"{bad}/{name}", "--interval", "1")
        hub("cameras", "add", "dies-and-returns", f"{bad}/dies-and-returns?up=6&down=3", "--interval", "0.5")
        for name in ("good-1", "good-2"):
            url = stack.enter_context(camera(film, 4))
            hub("cameras", "add", name, url, "--interval", f"{INTERVAL_S}")
        hub("campaigns", "create", "people", "--trigger", "detection", "--labels", "person")
        hub("campaigns", "activate", "people")
        hub.start()
        wait_for(lambda: _cameras(hub)["good-1"]["polled"] > 10, 30, "the good cameras are polled")
        begin, began_at, memory = _cameras(hub), time.monotonic(), hub.memory_mb()
        seen = []
        # A camera that failed is asked ever more rarely, so when it is met up again is a matter of chance.
        while time.monotonic() < began_at + (WATCH_S if _has_returned(seen) else LONGEST_S):
            time.sleep(1)
            seen.append(_cameras(hub))
        took, grown = time.monotonic() - began_at, hub.memory_mb() - memory
        assert hub.stop() == 0, hub.log()
    return begin, seen, took, grown


def _has_returned(seen: list[dict[str, dict]]) -> bool:
    """Whether the camera that dies gave a picture after it had failed. A listing need not meet it up."""
    of_it = [each["dies-and-returns"] for each in seen]
    first_bad = next((i for i, each in enumerate(of_it) if each["state"] == "failing"), len(of_it))
    return any(each["last_frame"] > of_it[first_bad]["last_frame"] for each in of_it[first_bad:])


def _cameras(hub: Hub) -> dict[str, dict]:
    return {row["name"]: row for row in hub.json("cameras", "list")}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_failure_has_its_name(trouble, name):
    _, seen, _, _ = trouble
    assert (seen[-1][name]["state"], seen[-1][name]["reason"]) == ("failing", EXPECTED[name])
    assert seen[-1][name]["message"]


def test_the_good_cameras_are_polled_on_time(trouble):
    begin, seen, took, _ = trouble
    for name in ("good-1", "good-2"):
        polled = seen[-1][name]["polled"] - begin[name]["polled"]
        # The two readings are a second apart from the counters they read.
        assert polled >= (took - 2.5) / INTERVAL_S, f"{name}: {polled} polls in {took:.1f} s"
        assert seen[-1][name]["state"] == "up"
        assert seen[-1][name]["failed"] == 0


def test_memory_stays_flat(trouble):
    *_, grown = trouble
    assert grown < 40, f"the hub grew by {grown:.0f} MB"


def test_a_camera_that_dies_and_returns_is_used_again(trouble):
    _, seen, _, _ = trouble
    assert _has_returned(seen), [
        (each["dies-and-returns"]["state"], each["dies-and-returns"]["last_frame"]) for each in seen
    ]


def test_a_second_hub_on_the_same_data_is_refused(tmp_path, models_dir):
    hub = Hub(tmp_path, models_dir)
    hub.start()
    try:
        wait_for(lambda: "judging for" in hub.log(), 30, "the hub runs")
        assert "already" in hub("run", code=1)
    finally:
        assert hub.stop(signal.SIGTERM) == 0
