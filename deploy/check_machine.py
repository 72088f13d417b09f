"""Says what is missing before anything is installed: a new enough Python, its venv module, a C++ compiler."""

import importlib.util
import os
import platform
import shutil
import sys


def missing() -> list[str]:
    """A line for each thing that is missing, with how to get it."""
    debian = "sudo apt-get install"
    lines = []
    if sys.version_info < (3, 11):  # noqa: UP036  # this runs before anything checked it
        lines.append(f"Python 3.11 or newer is needed, this is {platform.python_version()}: make PYTHON=python3.12 …")
    if importlib.util.find_spec("ensurepip") is None:
        lines.append(f"Python's venv module is missing: {debian} python3-venv")
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++") if name):
        mac = platform.system() == "Darwin"
        lines.append(
            "a C++ compiler is missing (Annoy needs it): "
            + ("xcode-select --install" if mac else f"{debian} g++ python3-dev")
        )
    return lines


if __name__ == "__main__":
    found = missing()
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)  # noqa: T201
    sys.exit(1 if found else 0)
