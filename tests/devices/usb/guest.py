"""Runs in the guest: the tests of in_guest.py, each outcome as one JSON line on the console.

guest.py REPO [TEST,TEST...]
"""

import json
import os
import sys
from pathlib import Path

import pytest


class Console:
    """Writes `@@ {json}` for every test."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "setup" and report.passed:
            return
        line = {
            "test": report.nodeid.rpartition("::")[2],
            "outcome": report.outcome,
            "phase": report.when,
            "seconds": round(report.duration, 1),
            "text": report.longreprtext,
            "output": report.capstdout[-6000:],
        }
        print(f"\n@@ {json.dumps(line)}", file=sys.__stdout__, flush=True)


def main() -> None:
    repo = Path(sys.argv[1])
    os.environ["PYTHONPATH"] = f"{repo}:{repo / 'tests/devices/usb'}"
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.chdir(repo)
    sys.path.insert(0, str(repo / "tests/devices/usb"))
    chosen = sys.argv[2].split(",") if len(sys.argv) > 2 and sys.argv[2] else []
    tests = [f"tests/devices/usb/in_guest.py::{name}" for name in chosen] or ["tests/devices/usb/in_guest.py"]
    code = pytest.main(["-q", "-p", "no:cacheprovider", "-o", "timeout=60", *tests], plugins=[Console()])
    print(f"\n@@ {json.dumps({'exit': int(code)})}", flush=True)


main()
