"""`python -m tests.hub.web.serving DATA_DIR [PORT]`: the web app over tests' parts, as gunicorn serves it.

The token is HUB_API_TOKEN of the environment. `serving` starts it, and gives its address.
"""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from flask import Flask, abort, request

from hub.web import create_app
from hub.web.server import serve
from shared import log
from tests.hub.web.making import Parts

HERE = Path(__file__).resolve().parents[3]


def make_app(data_dir: Path) -> Flask:
    """With a route more, by which tests see and end the worker."""
    app = create_app(Parts(data_dir, os.environ.get("HUB_API_TOKEN", ""), index=data_dir / "indexes"))

    @app.route("/worker", methods=["GET", "POST"])
    def worker() -> str:
        if request.args.get("end"):
            os._exit(1)
        return str(os.getpid()) if request.method == "GET" else str(len(request.get_data()))

    @app.get("/broken")
    def broken() -> str:
        abort(int(request.args.get("code", 500)))

    return app


@contextlib.contextmanager
def serving(data_dir: Path, token: str = "", port: int = 0) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The address it says it is at, without the slash, and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hub.web.serving", str(data_dir), str(port)],
        env={**os.environ, "HUB_API_TOKEN": token},
        stdout=subprocess.PIPE,
        text=True,
        cwd=HERE,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, "it did not start"
        yield found[0].rstrip("/"), process
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def _main(data_dir: str, port: str) -> None:
    log.setup("WARNING")
    told: Callable[[str], None] = lambda url: print(url, flush=True)  # noqa: E731
    serve(lambda: make_app(Path(data_dir)), "127.0.0.1", int(port), told=told)


if __name__ == "__main__":
    _main(*sys.argv[1:3])
