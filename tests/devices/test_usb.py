"""`camera-node serve --source opencv:…` with the kernel's own camera drivers, in a virtual machine.

One boot runs every test of usb/in_guest.py; each is reported here under its own name.
"""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.devices, pytest.mark.timeout(900)]

USB = Path(__file__).resolve().parent / "usb"
REPO = USB.parents[2]
IN_GUEST = [
    node.name
    for node in ast.parse((USB / "in_guest.py").read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
]


def _boot(build: Path, tests: list[str], limit_s: int) -> str:
    """Runs these tests in the guest; what it said on its console."""
    words = {"python": sys.executable, "script": USB / "guest.py", "repo": REPO, "tests": ",".join(tests)}
    line = "console=ttyS0 quiet panic=-1 " + " ".join(f"guest.{name}={value}" for name, value in words.items())
    command = [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048"),
        *("-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"),
        *("-kernel", str(build / "vmlinuz"), "-initrd", str(build / "initrd.gz"), "-append", line),
        *("-virtfs", "local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap"),
        *("-device", "virtio-rng-pci"),
    ]
    log = build / "console.log"
    with log.open("wb") as console:
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, timeout=limit_s)
        except subprocess.TimeoutExpired:
            console.write(b"\nthe guest did not end in time\n")
    return log.read_text(errors="replace")


@pytest.fixture(scope="module")
def outcomes(
    environment: Callable[[str], Path], request: pytest.FixtureRequest
) -> tuple[dict[str, dict[str, Any]], str]:
    """By test, what the guest reported; and the end of its console."""
    chosen = [item.callspec.params["name"] for item in request.session.items if item.path == request.path]
    tests = [] if len(chosen) == len(IN_GUEST) else chosen
    console = _boot(environment("usb"), tests, limit_s=840)
    lines = [json.loads(line[3:]) for line in console.splitlines() if re.fullmatch(r"@@ \{.*\}", line)]
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        if "test" in line and found.get(line["test"], {}).get("outcome") != "failed":
            found[line["test"]] = line
    return found, console[-3000:]


@pytest.mark.parametrize("name", IN_GUEST)
def test_in_the_guest(name: str, outcomes: tuple[dict[str, dict[str, Any]], str]) -> None:
    reported, console = outcomes
    assert name in reported, f"the guest never got to it; its console ends:\n{console}"
    outcome = reported[name]
    print(f"{outcome['seconds']} s in the guest\n{outcome['output']}")
    if outcome["outcome"] == "skipped":
        pytest.skip(outcome["text"])
    assert outcome["outcome"] == "passed", outcome["text"]
