"""Runs in the guest: the tests of in_guest.py, each outcome as one JSON line on the console.

guest.py [TEST,TEST...]
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


class Console:
    """Writes `@@ {json}` for every test and its end."""

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
    here = Path(__file__).resolve().parent
    os.chdir(here.parents[2])
    sys.path.insert(0, str(here))
    sys.dont_write_bytecode = True
    chosen = sys.argv[1].split(",") if len(sys.argv) > 1 and sys.argv[1] else []
    tests = [f"{here}/in_guest.py::{name}" for name in chosen] or [f"{here}/in_guest.py"]
    code = pytest.main(["-q", "-p", "no:cacheprovider", "-o", "timeout=150", *tests], plugins=[Console()])
    print(f"\n@@ {json.dumps({'exit': int(code)})}", flush=True)
    subprocess.run("dmesg | grep -E 'segfault|traps:|vhci_hcd: (stop|connection|cannot)'", shell=True)


main()
