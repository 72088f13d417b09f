"""A hub that is started with nothing but the variables of Roboflow Collect."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from hub.triggers.random import Random
from hub.types import Detections, Frame, Observation
from tests.e2e.processes import Hub, running, wait_for
from tests.roboflow_server import KEY, WORKSPACE, RoboflowServer, Stored

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PROMPT = "something red, here!"
COLOURS = {"red": (40, 40, 255), "green": (40, 255, 40), "blue": (255, 40, 40)}
"""The most of each channel, BGR."""


def _picture(seed: int, colour: str) -> bytes:
    """Coarse noise of one colour: no two look alike."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3)) * np.array(COLOURS[colour]) // 255
    pixels = np.kron(coarse, np.ones((40, 40, 1))).astype(np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def _embed(what: bytes | str) -> list[float]:
    """A CLIP that knows colours: the mean colour of a picture, and red for any text."""
    bgr = cv2.imdecode(np.frombuffer(what, np.uint8), 1).mean((0, 1)) if isinstance(what, bytes) else np.eye(3)[2]
    return [*bgr.tolist(), *[0.0] * 509]


def _is_drawn(jpeg: bytes) -> bool:
    nothing = Observation(Frame("collect", 1, 0.0, jpeg), (320, 240), Detections.empty(), np.zeros((0, 0), np.float32))
    return Random(100).score(nothing, None, {})[0].value >= 0.5


@dataclass
class Footage:
    """folder: of pictures that are shown in turn. shown: colour and bytes of each."""

    folder: Path
    shown: list[tuple[str, bytes]]

    def of(self, *colours: str) -> set[bytes]:
        return {jpeg for colour, jpeg in self.shown if colour in colours}


@pytest.fixture(scope="module")
def footage(tmp_path_factory) -> Footage:
    """Twelve pictures, of which the lot draws one."""
    folder = tmp_path_factory.mktemp("footage")
    names = [*COLOURS] * 4
    drawn = next(n for n in range(100, 5000) if _is_drawn(_picture(n, "green")))
    not_drawn = (n for n in range(5000) if not any(_is_drawn(_picture(n, colour)) for colour in COLOURS))
    seeds = [drawn if i == 1 else next(not_drawn) for i in range(len(names))]
    shown = [(name, _picture(seed, name)) for name, seed in zip(names, seeds, strict=True)]
    for i, (_, jpeg) in enumerate(shown):
        (folder / f"{i:03d}.jpg").write_bytes(jpeg)
    return Footage(folder, shown)


@pytest.fixture
def server():
    projects = {"birds": "object-detection", "drifting": "object-detection"}
    with RoboflowServer(projects=projects, embed=_embed) as server:
        yield server


@pytest.fixture
def hub(tmp_path, server, footage):
    """Without weights: whatever is embedded is embedded by the server."""
    hub = Hub(tmp_path / "data", tmp_path / "no models")
    hub.data_dir.mkdir()
    hub.env |= {"ROBOFLOW_KEY": KEY, "ROBOFLOW_WORKSPACE": WORKSPACE, "ROBOFLOW_PROJECT": "birds"}
    hub.env |= {"ROBOFLOW_API_URL": server.url, "INFER_SERVER_DESTINATION": server.url}
    hub.env |= {"SAMPLE_RATE": "0.1", "STREAM_URL": f"folder:{footage.folder}?fps=5"}
    yield hub
    if hub.process is not None:
        hub.process.kill()
        hub.process.wait()


def _wait(hub: Hub, what: Callable[[], object], timeout_s: float, message: str) -> None:
    def or_ended() -> object:
        assert hub.process is not None
        assert hub.process.poll() is None, hub.log()
        return what()

    wait_for(or_ended, timeout_s, message)


def _finish(hub: Hub) -> None:
    """Stop it; nothing is left running, and the key is in none of its files."""
    assert hub.process is not None
    below = psutil.Process(hub.process.pid).children(recursive=True)
    assert any("hub.tether" in process.cmdline() for process in below), "a local camera"
    assert hub.stop() == 0, hub.log()
    assert not psutil.wait_procs(below, 30)[1]
    for file in hub.data_dir.rglob("*"):
        assert file.is_dir() or KEY.encode() not in file.read_bytes(), file


def _pictures(images: list[Stored]) -> set[bytes]:
    return {image.data for image in images}


def test_a_prompt_uploads_what_looks_like_it_and_one_frame_in_a_hundred_measures_drift(hub, server, footage):
    hub.env |= {"CLIP_TEXT_PROMPT": PROMPT, "CLIP_TEXT_PROMPT_THRESHOLD": "0.9", "DRIFT_PROJECT": "drifting"}
    hub.start()
    red = footage.of("red")
    _wait(hub, lambda: len(server.images()) >= len(red), 90, "all that is red arrives")
    _wait(hub, lambda: server.images("drifting"), 60, "what is drawn arrives")
    time.sleep(3)  # longer than the pictures take to come round
    _finish(hub)
    assert _pictures(server.images()) == red
    assert all(image.sent == 1 for image in server.images())
    for image in server.images():
        assert image.tags[0] == "something-red-here"
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", image.tags[1])
    assert _pictures(server.images("drifting")) == {jpeg for _, jpeg in footage.shown if _is_drawn(jpeg)}
    assert "drifting" in server.images("drifting")[0].tags


def test_collect_all_uploads_every_frame_and_false_is_false(hub, server, footage):
    hub.env |= {"COLLECT_ALL": "True"}
    hub.start()
    everything = footage.of(*COLOURS)
    _wait(hub, lambda: len(server.images()) >= len(everything), 90, "every picture arrives")
    _finish(hub)
    assert _pictures(server.images()) == everything
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", image.tags[0]) for image in server.images())
    hub.env |= {"COLLECT_ALL": "False"}
    hub.start()
    _wait(hub, lambda: hub.json("campaigns", "list")[0]["state"] == "inactive", 60, "collecting all has ended")
    _finish(hub)


def test_images_tagged_on_roboflow_ask_for_more_like_them(hub, server, footage):
    marks = ["sample-more", "sample-threshold:90"]
    seeds = [
        server.add("birds", _picture(9001, "red"), tags=[*marks, "sample-tag:red:[things]"]),
        server.add("birds", _picture(9002, "blue"), tags=[*marks, "sample-tag:blue-ones", "sample-tag:cold"]),
    ]
    hub.start()
    wanted = footage.of("red", "blue")
    _wait(hub, lambda: len(server.images()) >= len(wanted) + len(seeds), 90, "what is like them arrives")
    _wait(hub, lambda: all("cold" in i.tags for i in server.images() if i.data in footage.of("blue")), 60, "both tags")
    _finish(hub)
    more = [image for image in server.images() if image.id not in {seed.id for seed in seeds}]
    assert _pictures(more) == wanted
    for image in more:
        is_red = image.data in footage.of("red")
        assert {"red:[things]"} <= {*image.tags} if is_red else {"blue-ones", "cold"} <= {*image.tags}


def test_a_film_behind_a_url_is_sampled_at_the_rate_asked_for_until_there_are_enough(hub, server, data_dir):
    films = data_dir / "video"
    with running(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "-d", str(films)], r"http://[\d.:]+/") as url:
        hub.env |= {"STREAM_URL": f"{url}car-detection.mp4", "SAMPLE_RATE": "0.5", "COLLECT_ALL": "1"}
        hub.env |= {"STOP_COLLECTING_AFTER": "10"}
        hub.start()
        _wait(hub, lambda: len(server.images()) >= 10, 90, "frames of the film arrive")
        (camera,) = hub.json("cameras", "list")
        time.sleep(2)  # some frames more
        _finish(hub)
    assert (camera["name"], len(server.images())) == ("collect", 10)
    times = sorted(datetime.fromisoformat(str(image.metadata["taken_at"])) for image in server.images())
    assert (times[-1] - times[0]).total_seconds() / (len(times) - 1) > 0.4, "no faster than SAMPLE_RATE"
