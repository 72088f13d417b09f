import socket
import threading

import httpx
import pytest

from hub.web_process import WebProcess
from shared.retry import Backoff

SOON = Backoff(base_s=0.05, cap_s=0.1)


@pytest.fixture(autouse=True)
def without_weights(monkeypatch):
    for name in ("HUB_EMBEDDER", "HUB_DETECTOR"):
        monkeypatch.setenv(name, "built-in")
    for name in ("HUB_HOST", "HUB_API_TOKEN", "HUB_DATA_DIR", "HUB_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


class Told(list):
    """Lines for people, and an event for each."""

    def __init__(self):
        super().__init__()
        self.came = threading.Semaphore(0)

    def __call__(self, line):
        self.append(line)
        self.came.release()

    def next(self):
        assert self.came.acquire(timeout=60), self
        return self[-1]


def test_it_comes_up_beside_whoever_starts_it_and_ends_with_the_context(tmp_path):
    told = Told()
    with WebProcess(tmp_path, told, arguments=("--port", "0")) as web:
        line = told.next()
        assert line == f"web       {web.url}" and web.trouble == ""
        assert httpx.get(f"{web.url}healthz", trust_env=False).status_code == 200
        process = web._process
    assert process.poll() is not None


def test_what_keeps_it_from_starting_is_said_once_and_tried_again(tmp_path):
    told = Told()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with WebProcess(tmp_path, told, arguments=("--port", port), backoff=SOON) as web:
            assert told.next() == (
                f"note      the web app can't have port {port}: it is taken. Stop what uses it, or set HUB_PORT. "
                "Tried again every minute; collecting goes on."
            )
            assert port in web.trouble and web.url == ""
            first = web._process
            while web._process is first:  # tried again
                threading.Event().wait(0.05)
            taken.close()
            assert told.next() == f"web       http://127.0.0.1:{port}/"
            assert web.trouble == "" and len(told) == 2


def test_entering_waits_for_nothing_and_leaving_ends_it_at_any_time(tmp_path):
    with WebProcess(tmp_path, print, arguments=("--port", "0")) as web:
        assert web.url == ""
    assert not web._thread.is_alive()
