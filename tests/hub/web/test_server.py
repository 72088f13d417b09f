import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from hub.web.server import listen, url
from shared.errors import BowerbirdError
from tests.hub.web.serving import HERE, serving


def get(address, **asked):
    return httpx.get(address, trust_env=False, timeout=10, **asked)


def wait_for(what, message):
    give_up_at = time.monotonic() + 30
    while time.monotonic() < give_up_at:
        try:
            if found := what():
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(message)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_a_worker_that_crashes_is_replaced(server):
    base, process = server
    before = get(f"{base}/worker").text
    with pytest.raises(httpx.TransportError):
        get(f"{base}/worker?end=1")
    after = wait_for(lambda: get(f"{base}/worker").text, "no new worker")
    assert after != before and process.poll() is None


def test_one_worker_serves_and_it_is_not_the_process_that_was_started(server):
    base, process = server
    wait_for(lambda: get(f"{base}/worker").text, "no worker")
    workers = [child.pid for child in psutil.Process(process.pid).children()]
    assert workers == [int(get(f"{base}/worker").text)]


def test_errors_are_problems_over_the_wire_too(server):
    answer = get(f"{server[0]}/broken?code=418")
    assert answer.status_code == 418 and answer.headers["Content-Type"] == "application/problem+json"
    assert get(f"{server[0]}/healthz", headers={"Host": "evil.example"}).status_code == 403


def test_a_body_must_say_how_long_it_is_and_not_be_too_long(server):
    def post(body):
        return httpx.post(f"{server[0]}/worker", content=body, trust_env=False)

    assert post(b"x" * 1_000_000).text == "1000000"
    assert post(b"x" * 3_000_000).status_code == 413
    assert post(iter([b"x", b"y"])).status_code == 411


def test_clients_that_say_nothing_keep_nobody_waiting(server):
    base, _ = server
    address = ("127.0.0.1", int(base.rsplit(":", 1)[1]))
    silent = [socket.create_connection(address) for _ in range(100)]
    try:
        assert get(f"{base}/healthz").status_code == 200
    finally:
        for each in silent:
            each.close()


def test_a_taken_port_is_an_error_that_says_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BowerbirdError, match=f"port {port}: it is taken") as error:
            listen("127.0.0.1", port)
        assert "HUB_PORT" in error.value.hint


def test_an_address_of_another_machine_is_an_error():
    with pytest.raises(BowerbirdError, match="can't listen on"):
        listen("192.0.2.1", 0)


def test_a_free_port_is_found_and_said():
    with listen("127.0.0.1", 0) as listener:
        assert url(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_an_app_that_can_not_be_made_ends_it_and_says_why(tmp_path):
    (tmp_path / "hub.sqlite").write_bytes(b"no database of ours" * 100)
    command = [sys.executable, "-m", "tests.hub.web.serving", str(tmp_path), "0"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "not a database of ours" in done.stderr and not done.stdout


def test_it_ends_when_it_is_told_to(tmp_path):
    with serving(tmp_path) as (base, process):
        worker = int(get(f"{base}/worker").text)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_the_worker_ends_when_its_master_is_killed(tmp_path):
    with serving(tmp_path) as (base, process):
        worker = psutil.Process(int(get(f"{base}/worker").text))
        process.kill()
        worker.wait(20)
