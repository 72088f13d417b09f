"""The best of each window, from a camera process to a dataset folder; killed in the middle of one."""

import contextlib
import signal
import sqlite3
import time
from collections import defaultdict

import cv2
import numpy as np
import pytest

from hub.budget import GRACE_S
from hub.triggers.random import Random
from hub.types import Detections, Frame, Observation
from tests.e2e.processes import Hub, camera, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

COUNT, WINDOW_S = 3, 20.0
PICTURES, FPS = 800, 5.0
LOT = Random(1)
"""Each picture has a score of its own, so it can be told which are the best."""


def _film(folder):
    """Pictures of which no two are alike."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(PICTURES):
        blocks = rng.integers(0, 255, (9, 12, 3), np.uint8)
        picture = cv2.resize(blocks, (160, 120), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / f"{i:04d}.jpg"), picture)
    return folder


def _rows(hub, sql):
    with contextlib.closing(sqlite3.connect(hub.data_dir / "hub.sqlite")) as database:
        return database.execute(sql).fetchall()


def _shown(hub):
    return hub.json("campaigns", "show", "best")


def _until_mid_window():
    """Wait until a window is half over."""
    time.sleep((WINDOW_S / 2 - time.time() % WINDOW_S) % WINDOW_S)


@pytest.fixture(scope="module")
def job(tmp_path_factory, models_dir):
    """A camera and a campaign over some windows; the hub is killed in the middle of the second whole one."""
    root = tmp_path_factory.mktemp("windows")
    hub = Hub(root / "data", models_dir)
    hub.data_dir.mkdir()
    with camera(_film(root / "film"), FPS) as url:
        hub("cameras", "add", "gate", url, "--interval", f"{1 / FPS}")
        hub("campaigns", "create", "best", "--trigger", "random", "--set", "one_in=1",
            "--target", f"{COUNT}/{WINDOW_S:g} seconds", "--timezone", "UTC")  # fmt: skip
        hub("campaigns", "activate", "best")
        hub.start()
        wait_for(lambda: len(_rows(hub, "select 1 from samples")) >= COUNT, 60, "a window is closed")
        _until_mid_window()
        before = wait_for(lambda: (s := _shown(hub))["held"] == COUNT and s, 5, "the next window holds its best")
        killed_at = time.time()
        assert hub.process is not None
        hub.process.send_signal(signal.SIGKILL)
        hub.process.wait()
        after = _shown(hub)
        hub.start()
        # The window it was killed in, and a whole one after it.
        closed_at = (killed_at // WINDOW_S + 2) * WINDOW_S + GRACE_S
        time.sleep(closed_at + 3 - time.time())
        wait_for(lambda: not hub.json("deliveries", "list", "--state", "pending"), 30, "the outbox is empty")
        assert hub.stop() == 0, hub.log()
    return hub, before, after, killed_at


def _by_window(hub, table):
    """Frames of a table by the number of their window."""
    windows = defaultdict(set)
    for frame_id, taken_at in _rows(hub, f"select frame_id, taken_at from {table}"):
        windows[int(taken_at // WINDOW_S)].add(frame_id)
    return windows


def _best(folder, frames):
    """The COUNT best of some frames of a folder, computed outside the hub."""
    known = {f.id: f for f in (Frame("gate", 1, 0.0, file.read_bytes()) for file in folder.glob("*.jpg"))}
    nothing = Detections.empty(), np.zeros((0, 0), np.float32)
    score = {f: LOT.score(Observation(known[f], (160, 120), *nothing), None, {})[0].value for f in frames}
    return set(sorted(score, key=score.__getitem__)[-COUNT:])


def test_every_closed_window_gave_exactly_its_best(job):
    hub, _, _, killed_at = job
    judged, taken = _by_window(hub, "judged_frames"), _by_window(hub, "samples")
    assert len(taken) >= 3
    assert int(killed_at // WINDOW_S) in taken
    for number, frames in taken.items():
        # The first window may have begun with fewer frames to choose from.
        assert len(frames) == min(COUNT, len(judged[number]))
        assert frames == _best(hub.data_dir.parent / "film", judged[number])
    assert set(judged) - set(taken) <= {max(judged)}, "only the last window is still open"


def test_each_sample_is_in_the_folder_once(job):
    hub, *_ = job
    samples = [frame for (frame,) in _rows(hub, "select frame_id from samples")]
    images = sorted(image.stem for image in (hub.data_dir / "datasets" / "best" / "images" / "train").glob("*.jpg"))
    assert images == sorted(samples)
    assert len(set(samples)) == len(samples)
    states = _rows(hub, "select state, count(*) from deliveries group by state")
    assert states == [("sent", len(samples))]
    (row,) = hub.json("campaigns", "list")
    assert row["collected"] == len(samples)
    assert row["processed"] >= len(_rows(hub, "select 1 from judged_frames"))


def test_meanwhile_it_shows_what_is_held_and_what_a_frame_must_reach(job):
    _, before, after, _ = job
    for shown in (before, after):
        assert shown["held"] == COUNT
        (said,) = shown["thresholds_now"]
        assert said.startswith("gate: 0.")
        assert f"the best {COUNT} so far begin at" in said


def test_deactivating_gives_what_the_open_window_held(job):
    hub, *_ = job
    held = {frame for (frame,) in _rows(hub, "select frame_id from held")}
    before = len(_rows(hub, "select 1 from samples"))
    hub("campaigns", "deactivate", "best")
    assert len(_rows(hub, "select 1 from samples")) == before
    hub.start()
    try:
        wait_for(lambda: not _rows(hub, "select 1 from held"), 20, "nothing is held")
    finally:
        assert hub.stop() == 0
    newest = {frame for (frame,) in _rows(hub, "select frame_id from samples order by position")[before:]}
    assert newest == held
