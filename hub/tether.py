"""`python -m hub.tether MODULE ARGUMENT…`: run a module for as long as standard input stays open.

Whoever starts it holds the other end of that pipe, so however that program ends, also killed, this one ends with it.
"""

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Run the module named first, as `python -m` would."""
    sys.argv = sys.argv[1:]
    threading.Thread(target=_end_with_standard_input, name="tether", daemon=True).start()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_standard_input() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
