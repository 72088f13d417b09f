"""Can this machine's wall clock be believed?

A Raspberry Pi has no clock that runs while it is off: until the network has told it the time, it believes it is
the moment of its last shutdown.
"""

import ctypes
import ctypes.util
import sys
from collections.abc import Callable
from pathlib import Path

_TIME_ERROR = 5
_TIMEX_BYTES = 512  # struct timex is 208 bytes on 64-bit Linux; more is harmless
_TIME_DAEMONS = ("systemd/timesync", "chrony", "ntpd.pid", "ntpd", "openntpd", "ntpsec", "chronyd.pid")


def kernel_says_synchronised() -> bool | None:
    """The kernel's own flag (ntp_adjtime(2), which needs no rights to read); None where there is none."""
    if sys.platform != "linux":
        return None
    try:
        state = ctypes.CDLL(None).ntp_adjtime(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != _TIME_ERROR)


def clock_synchronised(kernel: Callable[[], bool | None] = kernel_says_synchronised, run: Path = Path("/run")) -> bool:
    """Whether timestamps may be given.

    Yes when the kernel or systemd-timesyncd says so, and where nobody can say (not Linux, a container that may not
    ask). The kernel's no counts only while a time daemon is at work to turn it into a yes: virtual machines and
    containers get their time from their host, and without a daemon of their own the flag would stay down for ever.
    run: the folder /run.
    """
    if kernel() is not False or (run / "systemd/timesync/synchronized").exists():
        return True
    return not any((run / name).exists() for name in _TIME_DAEMONS)
