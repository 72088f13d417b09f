"""What is here, is it alive, and can it work? For people, supervisors and load balancers: open without a token."""

import time
from collections.abc import Callable
from importlib.metadata import version

from flask import Blueprint, Response, jsonify

from hub.web.auth import has_token
from hub.web.parts import Parts
from shared.errors import BowerbirdError
from shared.log import redact

POLLED_S = 30.0
"""A collector says how its cameras do more often than this."""

FRONT = """\
This is a Bowerbird hub, version {version}. It has an API, and no pages yet:

/healthz         whether it is alive
/readyz          whether it can do its work
/api/v1/search   what was seen, by text, picture, element or sample
/api/v1/ann      nearest neighbours, as Robotoff-ANN answers
"""


def blueprint(parts: Parts, *, clock: Callable[[], float] = time.time) -> Blueprint:
    """/: what is here, as text. /healthz: 200 while it answers. /readyz: 200, or 503 with what is not ready.

    clock: Unix seconds.
    """
    routes = Blueprint("health", __name__)

    @routes.get("/")
    def front() -> Response:
        return Response(FRONT.format(version=version("bowerbird")), mimetype="text/plain")

    @routes.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @routes.get("/readyz")
    def readyz() -> tuple[Response, int]:
        checks = {
            "database": _trouble(lambda: parts.store.revision()),
            "models": _trouble(parts.embedder),
            "polling": _trouble(lambda: _check_polling(parts, clock())),
        }
        ready = not any(checks.values())
        said = {name: trouble or "ok" for name, trouble in checks.items()} if _may_know(parts) else {}
        return jsonify(status="ready" if ready else "not ready", **said), 200 if ready else 503

    return routes


def _may_know(parts: Parts) -> bool:
    """Who has no token learns whether the hub is ready, and not what it consists of."""
    return has_token(parts.settings.api_token)


def _trouble(check: Callable[[], object]) -> str:
    """What is wrong, "" for nothing."""
    try:
        check()
    except BowerbirdError as error:
        return redact(error.told)
    return ""


def _check_polling(parts: Parts, now: float) -> None:
    """BowerbirdError when there are cameras to be polled, and no collector that says how they do."""
    polled = {camera.name for camera in parts.store.cameras() if camera.enabled}
    said_at = [health.updated_at for name, health in parts.store.health().items() if name in polled]
    if polled and now - max(said_at, default=0.0) > POLLED_S:
        raise BowerbirdError("no camera is being polled", hint="Start a collector: hub run, or hub collect.")
