"""Errors as answers: problem+json (RFC 9457), for everything that goes wrong, and never a traceback.

Members beside the standard ones: `hint` (what to do next), `reason` (the slug of an ImageError or CameraError).
"""

import json
import logging
import math
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import NotFound as NoRoute

from shared.errors import (
    AlreadyExists,
    BowerbirdError,
    CameraError,
    ConfigError,
    DeliveryError,
    ImageError,
    InvalidInput,
    ModelError,
    NotFound,
    NotSetUp,
    RetryLater,
    StorageFull,
    StoreError,
)
from shared.log import redact

_log = logging.getLogger(__name__)

PROBLEMS: tuple[tuple[type[BowerbirdError], int, str, str], ...] = (
    # Subclasses before what they come from: the first that fits is taken.
    (NotFound, 404, "not-found", "Not found"),
    (AlreadyExists, 409, "already-exists", "Exists already"),
    (NotSetUp, 409, "not-set-up", "The hub is not set up for this"),
    (ConfigError, 500, "settings", "The hub's settings are wrong"),
    (InvalidInput, 400, "invalid-input", "Invalid input"),
    (ImageError, 400, "image", "Invalid image"),
    (CameraError, 502, "camera", "The camera gave no picture"),
    (ModelError, 503, "model", "A model can't be used"),
    (StorageFull, 507, "storage-full", "No room to store it"),
    (StoreError, 503, "store", "The store can't be used"),
    (RetryLater, 503, "try-again", "A destination asks to wait"),
    (DeliveryError, 502, "delivery", "A destination did not take it"),
    (BowerbirdError, 500, "failed", "Failed"),
)
"""What each of our errors is to a client: status, slug of its type, title."""

_KEPT_HEADERS = ("allow", "retry-after", "www-authenticate", "content-range")


def problem(
    status: int,
    title: str = "",
    detail: str = "",
    *,
    slug: str = "",
    headers: Iterable[tuple[str, str]] = (),
    **more: Any,
) -> Response:
    """An answer that says what is wrong. title: by default the status's own. slug: of the problem's type.

    Secrets in its words become ***. more: further members; empty ones are left out.
    """
    members = {
        "type": f"urn:bowerbird:{slug}" if slug else "about:blank",
        "title": redact(title or HTTPStatus(status).phrase),
        "status": status,
        "detail": redact(detail),
        **{name: redact(value) if isinstance(value, str) else value for name, value in more.items()},
    }
    body = json.dumps({name: value for name, value in members.items() if value not in ("", None)}, ensure_ascii=False)
    answer = Response(body + "\n", status, mimetype="application/problem+json")
    answer.headers.extend(list(headers))
    return answer


def of_error(error: BowerbirdError) -> Response:
    """One of our errors as an answer."""
    status, slug, title = next((row[1], row[2], row[3]) for row in PROBLEMS if isinstance(error, row[0]))
    if status >= 500:
        _log.warning("%s", error.told)
    wait_s = getattr(error, "retry_after_s", None) or getattr(error, "after_s", None)
    headers = [("Retry-After", str(math.ceil(wait_s)))] if wait_s and status == 503 else []
    reason = getattr(error, "reason", "")
    return problem(status, title, error.message, slug=slug, headers=headers, hint=error.hint, reason=reason)


def of_http(error: HTTPException) -> Response | HTTPException:
    """Werkzeug's exceptions: what Flask itself finds wrong, and `abort`."""
    if error.code is None or error.code < 400:  # an answer of its own
        return error
    kept = [(name, value) for name, value in error.get_headers() if name.lower() in _KEPT_HEADERS]
    detail = "there is no such page" if _is_plain_404(error) else error.description or ""
    return problem(error.code, error.name, detail, headers=kept)


def _is_plain_404(error: HTTPException) -> bool:
    """Whether no route is there, and nobody said anything of it."""
    return isinstance(error, NoRoute) and error.description == NoRoute.description


def of_fault(error: Exception) -> Response:
    """A fault of ours: its traceback is for the log alone."""
    _log.error("a fault while answering", exc_info=error)
    return problem(500, detail="The hub has a fault here; its log says more.")


def answer_errors(app: Flask) -> None:
    """Let every error of an application become a problem."""
    app.register_error_handler(BowerbirdError, of_error)
    app.register_error_handler(HTTPException, of_http)
    app.register_error_handler(Exception, of_fault)
