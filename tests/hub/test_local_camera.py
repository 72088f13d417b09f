"""A camera node that the hub starts itself, as real processes."""

import signal
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import psutil
import pytest

from hub.local_camera import LocalCamera
from hub.store import open_store
from hub.types import Camera
from shared.errors import BowerbirdError
from shared.retry import Backoff

PATIENCE_S = 60.0


@pytest.fixture
def store(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    yield store
    store.close()


def _until(what):
    give_up_at = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    return found


def _fetch(camera: Camera) -> httpx.Response:
    return httpx.get(camera.url, headers={"Authorization": f"Bearer {camera.token}"}, timeout=20)


def _nodes(parent: psutil.Process) -> list[psutil.Process]:
    found = []
    for process in parent.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "hub.tether" in process.cmdline():
                found.append(process)
    return found


def test_it_serves_while_it_lasts_and_comes_back_when_it_dies(store):
    with LocalCamera("collect", "pattern", store, 0.5, backoff=Backoff(0.01, 0.01)) as local:
        (camera,) = store.cameras()
        assert (camera.url, camera.interval_s, camera.enabled) == (local.url, 0.5, True)
        assert _fetch(camera).headers["Content-Type"] == "image/jpeg"
        assert httpx.get(camera.url).status_code == 401, "others on this machine are kept out"
        for process in _nodes(psutil.Process()):
            process.kill()
        again = _until(lambda: next((c for c in store.cameras() if c.url != camera.url), None))
        assert _fetch(again).status_code == 200
    assert not store.cameras()[0].enabled
    assert not _nodes(psutil.Process())


def test_a_source_that_can_not_be_is_told_in_the_nodes_words(store):
    with (
        pytest.raises(BowerbirdError, match=r"there is no folder or file /nowhere") as error,
        LocalCamera("collect", "folder:/nowhere", store, 1.0),
    ):
        pass
    assert "camera-node check" in error.value.hint
    assert store.cameras() == []


def test_passwords_stand_neither_in_the_command_line_nor_in_errors(store):
    with (
        pytest.raises(BowerbirdError) as error,
        LocalCamera("collect", "gopher://user:hunter2@cam/1", store, 1.0),
    ):
        pass
    assert "hunter2" not in str(error.value)


def test_what_a_person_set_of_the_camera_before_is_taken_up_again(store):
    store.add_camera(Camera("collect", "http://127.0.0.1:1/image.jpg", 9.0, enabled=False))
    with LocalCamera("collect", "pattern", store, 2.0):
        (camera,) = store.cameras()
        assert (camera.interval_s, camera.enabled) == (2.0, True)


HUB = """
import sys, time
from hub.local_camera import LocalCamera
from hub.store import open_store
with LocalCamera("collect", "pattern", open_store(sys.argv[1]), 1.0) as camera:
    print(camera.url, flush=True)
    time.sleep(600)
"""


def test_it_ends_with_a_hub_that_is_killed(tmp_path):
    hub = subprocess.Popen(
        [sys.executable, "-c", HUB, f"sqlite:///{tmp_path / 'hub.sqlite'}"], stdout=subprocess.PIPE, text=True
    )
    assert hub.stdout is not None
    assert hub.stdout.readline().startswith("http://127.0.0.1")
    parent = psutil.Process(hub.pid)
    below = _until(lambda: len(found := parent.children(recursive=True)) >= 2 and found)  # gunicorn and its worker
    hub.send_signal(signal.SIGKILL)
    hub.wait()
    hub.stdout.close()
    assert not psutil.wait_procs(below, PATIENCE_S)[1]
