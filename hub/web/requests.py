"""What every request gets: a log line, and headers that tell browsers what not to do."""

import logging
import time
from urllib.parse import quote

from flask import Flask, Response, abort, g, request

_access = logging.getLogger("hub.web.access")

_MOST_OF_A_PATH = 200

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
"""On every answer that does not set them itself."""


def require_length(app: Flask) -> None:
    """Refuse bodies that don't say how long they are: Werkzeug reads of these what may be read, and drops the rest."""

    def refuse() -> None:
        if request.content_length is None and "Transfer-Encoding" in request.headers:
            abort(411)

    app.before_request(refuse)


def add_headers(app: Flask) -> None:
    """Set HEADERS."""

    def add(answer: Response) -> Response:
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer

    app.after_request(add)


def log_requests(app: Flask) -> None:
    """A line a request: method, path, status, milliseconds. Never the query, which may hold what nobody should read."""

    def begin() -> None:
        g.began = time.perf_counter()

    def end(answer: Response) -> Response:
        ms = 1000 * (time.perf_counter() - g.get("began", time.perf_counter()))
        level = logging.DEBUG if request.blueprint == "health" else logging.INFO
        path = quote(request.path)[:_MOST_OF_A_PATH]
        _access.log(level, "%s %s %d %.1f ms", request.method, path, answer.status_code, ms)
        return answer

    app.before_request(begin)
    app.after_request(end)
