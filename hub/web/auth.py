"""Who may ask: the token of programs, and what protects a hub that has none."""

import ipaddress
from urllib.parse import urlsplit

from flask import Flask, Response, request

from hub.web.problems import problem
from shared.errors import NotSetUp
from shared.token import check_token

OPEN = frozenset({"health.front", "health.healthz", "health.readyz"})
"""Endpoints that answer without a token."""

_SAFE = ("GET", "HEAD", "OPTIONS")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host: localhost, 127.0.0.0/8, ::1 (also in brackets)."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_listening(host: str, token: str) -> None:
    """NotSetUp when others would reach a hub that lets everybody in."""
    if not token and not is_loopback(host):
        raise NotSetUp(
            f"listening at {host} would let everybody who reaches it use this hub",
            hint="Set HUB_API_TOKEN to a secret that programs then have to say, or listen at 127.0.0.1.",
        )


def has_token(token: str) -> bool:
    """Whether the request carries the token, as `Authorization: Bearer`; True where none is set.

    Never as Basic: a browser would send that along with requests that other sites make it send.
    """
    if not token:
        return True
    given = request.headers.get("Authorization", "")
    return given[:7].lower() == "bearer " and check_token(token, given)


def require_token(app: Flask, token: str) -> None:
    """Refuse requests without the token. token: "" where the hub has none and listens on loopback only."""

    def refuse() -> Response | None:
        if token:
            return None if request.endpoint in OPEN or has_token(token) else _unauthorised()
        if not is_loopback(_host_of(request.host)):
            return _foreign_host()
        return None if request.method in _SAFE or not _is_cross_site() else _cross_site()

    app.before_request(refuse)


def _host_of(host_and_port: str) -> str:
    try:
        return urlsplit(f"//{host_and_port}").hostname or ""
    except ValueError:
        return ""


def _is_cross_site() -> bool:
    """Whether a browser sends this for a page of another origin. Programs say neither header."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is not None and origin.lower() != f"{request.scheme}://{request.host}".lower()


def _unauthorised() -> Response:
    given = request.headers.get("Authorization", "")
    is_wrong = given[:7].lower() == "bearer " and given[7:].strip()
    return problem(
        401,
        detail="that token is not the one that is set" if is_wrong else "a token is needed",
        hint="Send the hub's HUB_API_TOKEN: Authorization: Bearer TOKEN",
        headers=[("WWW-Authenticate", 'Bearer realm="hub"')],
    )


def _foreign_host() -> Response:
    """A page whose name was made to point here (DNS rebinding) passes for ours in a browser; its Host gives it away."""
    return problem(
        403,
        detail="without a token this hub answers to localhost and 127.0.0.1 only",
        hint="Set HUB_API_TOKEN to reach it by another name.",
    )


def _cross_site() -> Response:
    return problem(403, detail="a page of another site may change nothing here")
