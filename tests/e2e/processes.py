"""Real camera nodes and a real hub, as a user starts them."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parents[2]


class Hub:
    """The command `hub` on a data directory of its own."""

    def __init__(self, data_dir: Path, models_dir: Path) -> None:
        self.data_dir = data_dir
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HUB_", "CAMERA_"))},
            "HUB_DATA_DIR": str(data_dir),
            "HUB_MODELS_DIR": str(models_dir),
            "HUB_LOG_LEVEL": "INFO",
            "HUB_PORT": "0",  # hubs of several tests run at once
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self, *args: str, code: int = 0) -> str:
        """Run a command to its end and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "hub", *args], env=self.env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, f"hub {args} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + (done.stderr if code else "")

    def json(self, *args: str) -> Any:
        return json.loads(self(*args, "--json"))

    def start(self) -> None:
        """`hub run` in the background, its log in the data directory."""
        log = (self.data_dir / "run.log").open("ab")
        with log:
            self.process = subprocess.Popen([sys.executable, "-m", "hub", "run"], env=self.env, stdout=log, stderr=log)

    def stop(self, number: int = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process = None
        return code

    def memory_mb(self) -> float:
        assert self.process is not None
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def log(self) -> str:
        return (self.data_dir / "run.log").read_text()


@contextlib.contextmanager
def running(command: list[str], pattern: str) -> Iterator[str]:
    """A process, once it printed something that matches `pattern`; gives what matched."""
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=HERE
    )
    assert process.stdout is not None
    try:
        said = ""
        for line in process.stdout:
            said += line
            if found := re.search(pattern, line):
                break
        else:
            raise AssertionError(f"{command} ended: {said}")
        yield found[0]
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def camera(folder: Path, fps: float) -> contextlib.AbstractContextManager[str]:
    """A camera node that replays a folder; gives its URL."""
    source = f"folder:{folder}?fps={fps:g}"
    return running(["-m", "camera_node", "serve", "--source", source, "--port", "0"], r"http://\S+/image\.jpg")


def wait_for(what: Callable[[], Any], timeout_s: float, message: str) -> Any:
    give_up_at = time.monotonic() + timeout_s
    while time.monotonic() < give_up_at:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {timeout_s:g} s: {message}")
