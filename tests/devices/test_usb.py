"""`camera-node serve --source opencv:…` with the kernel's own camera drivers, in a virtual machine.

One boot runs every test of usb/in_guest.py; each is reported here under its own name.
"""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.devices, pytest.mark.timeout(900)]

IN_GUEST = [
    node.name
    for node in ast.parse((Path(__file__).parent / "usb" / "in_guest.py").read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
]


@pytest.fixture(scope="module")
def reports(environment: Callable[[str], Path], guest: Any) -> tuple[list[dict[str, Any]], str]:
    """What the guest reported, in order; and the end of its console."""
    environment("usb")
    console = guest.console()
    lines = [json.loads(line[3:]) for line in console.splitlines() if re.fullmatch(r"@@ \{.*\}", line)]
    return [line for line in lines if "test" in line], console[-3000:]


@pytest.mark.parametrize("name", IN_GUEST)
def test_in_the_guest(name: str, reports: tuple[list[dict[str, Any]], str]) -> None:
    found, console = reports
    mine = [report for report in found if report["test"] == name]
    assert mine, f"the guest never got to it; its console ends:\n{console}"
    for report in mine:
        print(f"{report['phase']}: {report['seconds']} s in the guest\n{report['output']}")
    skipped = [report["text"] for report in mine if report["outcome"] == "skipped"]
    if skipped:
        pytest.skip(skipped[0])
    failed = [report["text"] for report in mine if report["outcome"] == "failed"]
    if failed:
        pytest.fail("\n".join(failed), pytrace=False)
