"""`GET /image.jpg` and nothing else: the node's side of the wire contract."""

import math
import threading
import time
from collections.abc import Callable

from flask import Flask, Response, request

from camera_node.camera import Camera, Shot
from camera_node.clock import clock_synchronised
from shared.errors import CameraError
from shared.frame import to_headers
from shared.image import with_capture_time
from shared.token import check_token

MAX_IN_FLIGHT = 48
"""Requests being answered at a time, counted until the last byte is sent. More are sent away."""

_BASIC = 'Basic realm="camera: any user name, the token as password"'


def create_app(
    camera: Camera,
    *,
    name: str,
    token: str = "",
    max_in_flight: int = MAX_IN_FLIGHT,
    synchronised: Callable[[], bool] = clock_synchronised,
) -> Flask:
    """The WSGI application of one camera. synchronised: whether the wall clock may be believed."""
    app = Flask("camera_node", static_folder=None)
    places = threading.BoundedSemaphore(max_in_flight)

    def image() -> Response:
        if not check_token(token, request.headers.get("Authorization")):
            # Browsers ask their user for a password when they are offered Basic.
            return _say(401, "a token is needed", ("WWW-Authenticate", "Bearer"), ("WWW-Authenticate", _BASIC))
        if not places.acquire(blocking=False):
            return _say(503, "too many requests at once", ("Retry-After", "1"))
        try:
            answer = _answer(camera, name, synchronised)
        except BaseException:
            places.release()
            raise
        answer.call_on_close(places.release)
        return answer

    app.add_url_rule("/image.jpg", view_func=image, provide_automatic_options=False)
    for status in (404, 405):
        app.register_error_handler(status, lambda _: _say(404, "the picture is at /image.jpg"))
    return app


def _answer(camera: Camera, name: str, synchronised: Callable[[], bool]) -> Response:
    try:
        shot = camera.snapshot()
    except CameraError as error:
        return _say(503, error.message, ("Retry-After", str(math.ceil(error.retry_after_s or 1))))
    return _picture(shot, f"{camera.boot}-{shot.seq}", name, synchronised())


def _picture(shot: Shot, etag: str, name: str, dated: bool) -> Response:
    unchanged = request.if_none_match.contains_weak(etag)
    jpeg = b"" if unchanged else with_capture_time(shot.jpeg, shot.taken_at) if shot.live and dated else shot.jpeg
    headers = to_headers(
        camera=name,
        etag=etag,
        taken_at=shot.taken_at,
        age_s=time.monotonic() - shot.clock,
        length=len(jpeg),
        clock_synchronised=dated,
    )
    if unchanged:
        del headers["Content-Length"], headers["Content-Type"]
    return Response(jpeg, 304 if unchanged else 200, headers)


def _say(status: int, text: str, *headers: tuple[str, str]) -> Response:
    line = " ".join(text.split()) + "\n"
    return Response(line, status, [("Cache-Control", "no-store"), *headers], mimetype="text/plain")
