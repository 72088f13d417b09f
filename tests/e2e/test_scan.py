"""A scan that is killed, again and again: nothing is lost, and nothing happens twice."""

import os
import signal
import subprocess
import sys
import time

import pytest

from hub.store import open_store
from hub.triggers.everything import Everything
from tests.contract.storing import active
from tests.hub.scanning import put
from tests.hub.test_video import film, scene

pytestmark = pytest.mark.e2e

SCAN = """
import sys
from hub.cli.context import Context
from hub.cli.scan import scan_command
scan_command.main(sys.argv[1:], obj=Context(None), standalone_mode=True)
"""


def start(root, *args):
    environment = {**os.environ, "HUB_DATA_DIR": str(root / "hub-data"), "HUB_EMBEDDER": "built-in"}
    command = [sys.executable, "-c", SCAN, *map(str, args)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def corpus(tmp_path):
    put(tmp_path / "garden", *[0.3 + i % 5 / 10 for i in range(600)])
    film(tmp_path / "garden" / "film.avi", [scene(i) for i in range(100)])
    return tmp_path / "garden"


@pytest.fixture
def store(tmp_path):
    (tmp_path / "hub-data").mkdir()
    opened = open_store(f"sqlite:///{tmp_path / 'hub-data' / 'hub.sqlite'}")
    active(opened, "all", trigger=Everything())
    yield opened
    opened.close()


@pytest.mark.timeout(600)
def test_killing_and_resuming_loses_and_repeats_nothing(tmp_path, corpus, store):
    seen = [0]
    for _ in range(40):
        process = start(tmp_path, corpus, "--every", "0.1")
        until = time.monotonic() + 60
        while store.archive.usage().frames < seen[-1] + 80 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        if process.poll() is not None:
            break
        process.kill()
        process.communicate()
        seen.append(store.archive.usage().frames)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert len(seen) > 3
    samples = store.samples(campaign="all", limit=10_000)
    (counts,) = store.counts("all")
    assert len(samples) == len({sample.frame_id for sample in samples}) == 700
    assert (counts.processed, counts.collected) == (700, 700)
    usage = store.archive.usage()
    assert (usage.frames, usage.elements) == (700, 700)
    kept = {path.name for path in (tmp_path / "hub-data" / "frames").glob("??/*")}
    assert {sample.frame_id for sample in samples} <= kept
    assert "700 frames" in out


@pytest.mark.timeout(300)
def test_an_interrupt_stops_cleanly_and_the_next_scan_goes_on(tmp_path, corpus, store):
    process = start(tmp_path, corpus)
    while store.archive.usage().frames < 100 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "the next scan goes on from here" in err
    assert "Traceback" not in err
    before = store.archive.usage().frames
    assert 100 <= before < 600
    out, err = start(tmp_path, corpus).communicate(timeout=120)
    assert f"({before:,}" in out or f"{before:,} of them known" in out, err
