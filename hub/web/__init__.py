"""The hub's web application: routes over a hub's parts. `create_app` is all of it.

A further group of routes is a module with `blueprint(parts)` and a line in BLUEPRINTS.
"""

from collections.abc import Callable

from flask import Blueprint, Flask

from hub.web import ann, collection, health, search
from hub.web.auth import require_token
from hub.web.parts import Parts
from hub.web.problems import answer_errors
from hub.web.requests import add_headers, log_requests, require_length

__all__ = ["BLUEPRINTS", "Parts", "create_app"]

BLUEPRINTS: tuple[tuple[str, Callable[[Parts], Blueprint]], ...] = (
    ("", health.blueprint),
    ("/api/v1/ann", ann.blueprint),
    ("/api/v1/collection", collection.blueprint),
    ("/api/v1", search.blueprint),
)
"""Every group of routes, and where it is."""

BODY_BYTES = 2 * 2**20
"""The most a request may bring. A route that takes pictures raises it for itself: `request.max_content_length`."""


def create_app(parts: Parts) -> Flask:
    """The WSGI application of a hub."""
    app = Flask("hub.web", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=BODY_BYTES, MAX_FORM_MEMORY_SIZE=BODY_BYTES, MAX_FORM_PARTS=1_000)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False
    log_requests(app)  # first, so that it also times what is refused
    require_token(app, parts.settings.api_token)
    require_length(app)
    answer_errors(app)
    add_headers(app)
    for prefix, blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint(parts), url_prefix=prefix or None)
    return app
