"""`hub web` as a real process, by itself and beside a collector."""

import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import psutil
import pytest

from tests.e2e.processes import HERE, wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture
def env(tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "ROBOFLOW_"))}
    return {**kept, "HUB_DATA_DIR": str(tmp_path), "HUB_EMBEDDER": "built-in", "HUB_DETECTOR": "built-in"}


def hub(env, *arguments):
    return subprocess.Popen([sys.executable, "-m", "hub", *arguments], env=env, stderr=subprocess.PIPE, text=True)


def said_url(process):
    for line in process.stderr:
        if found := re.search(r"^web +(http://\S+)", line):
            return found[1]
    raise AssertionError("it ended without saying where it is")


def get(url):
    return httpx.get(url, trust_env=False, timeout=10)


def end(process, number=signal.SIGINT):
    process.send_signal(number)
    code = process.wait(30)
    process.stderr.close()
    return code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_web_app_is_where_it_says_and_ends_when_told(env, number):
    process = hub(env, "web", "--port", "0")
    url = said_url(process)
    assert get(f"{url}healthz").json() == {"status": "ok"}
    assert get(f"{url}readyz").status_code == 200
    assert get(f"{url}api/v1/ann/count").json() == {"count": 0}
    assert end(process, number) == 0


def test_with_a_token_it_may_listen_anywhere_and_without_one_it_says_what_to_set(env):
    refused = subprocess.run(
        [sys.executable, "-m", "hub", "web", "--host", "0.0.0.0", "--port", "0"],
        env=env,
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 2 and "HUB_API_TOKEN" in refused.stderr
    process = hub({**env, "HUB_API_TOKEN": "secret", "HUB_HOST": "0.0.0.0"}, "web", "--port", "0")
    port = said_url(process).rstrip("/").rsplit(":", 1)[1]
    assert get(f"http://127.0.0.1:{port}/api/v1/ann/count").status_code == 401
    assert end(process) == 0


def test_a_taken_port_is_said_with_what_to_do(env):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "hub", "web", "--port", str(port)],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1 and str(port) in done.stderr and "HUB_PORT" in done.stderr


PARENT = """
import sys, time
from pathlib import Path
from hub.web_process import WebProcess
with WebProcess(Path(sys.argv[1]), lambda line: print(line, file=sys.stderr, flush=True), arguments=("--port", "0")):
    time.sleep(300)
"""


def test_the_web_app_ends_with_its_parent_even_when_that_is_killed(env, tmp_path):
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    parent = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, cwd=HERE)
    url = said_url(parent)
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) == 2 and get(f"{url}healthz").status_code == 200
    parent.kill()
    parent.wait()
    parent.stderr.close()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def test_a_web_app_that_is_killed_comes_back(env, tmp_path):
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    parent = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True, cwd=HERE)
    said_url(parent)
    (web,) = psutil.Process(parent.pid).children()
    web.kill()
    url = said_url(parent)
    wait_for(lambda: get(f"{url}healthz").status_code == 200, 20, "it is back")
    end(parent, signal.SIGKILL)
