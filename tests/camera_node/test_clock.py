"""When timestamps may be given."""

from pathlib import Path

import pytest

from camera_node.clock import clock_synchronised, kernel_says_synchronised


@pytest.mark.parametrize(
    ("kernel", "files", "expected"),
    [
        (True, [], True),
        (True, ["chrony/pid"], True),
        (None, ["chrony/pid"], True),  # nobody may ask
        (False, [], True),  # nobody will ever set it: a container, a virtual machine
        (False, ["systemd/timesync/state"], False),  # a Pi that has just booted
        (False, ["chrony/chronyd.pid"], False),
        (False, ["systemd/timesync/synchronized"], True),
    ],
)
def test_the_clock_is_believed(kernel: bool | None, files: list[str], expected: bool, tmp_path: Path) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert clock_synchronised(lambda: kernel, tmp_path) is expected


def test_the_kernel_answers() -> None:
    assert kernel_says_synchronised() in (True, False, None)
