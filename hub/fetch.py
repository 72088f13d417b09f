"""One HTTP GET of a camera's picture, within limits of time, size and address."""

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from hub.addresses import AddressRules, bare, check_url, credentials, shown
from hub.answer import Limits, check_headers
from hub.types import Camera
from shared.errors import CameraError, InvalidInput

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_REFUSAL_BYTES = 2048
"""How much of an answer that is no picture is read, for its message."""


@dataclass(frozen=True)
class Answer:
    """What came back, and when: sent_at, received_at are Unix seconds."""

    status: int
    headers: httpx.Headers
    body: bytes
    sent_at: float
    received_at: float


@dataclass(frozen=True)
class Target:
    """Where a camera is asked. headers: those that go with every poll."""

    url: httpx.URL
    headers: Mapping[str, str]


def target_of(camera: Camera, rules: AddressRules) -> Target:
    """InvalidInput when the camera's URL is none; CameraError forbidden-address when it may not be polled."""
    parts = check_url(camera.url, rules)
    headers = {
        "Accept": "image/jpeg, image/png;q=0.9, */*;q=0.1",
        "Accept-Encoding": "identity",
        "User-Agent": "bowerbird-hub",
    }
    login = credentials(parts)
    if camera.token:
        if not (camera.token.isascii() and camera.token.isprintable()):
            raise InvalidInput(f"the token of camera {camera.name!r} has characters that no HTTP header can carry")
        headers["Authorization"] = f"Bearer {camera.token}"
    elif login:
        headers["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
    try:
        return Target(httpx.URL(bare(parts)), headers)
    except httpx.InvalidURL as error:
        raise InvalidInput(f"{shown(camera.url)!r} is not a URL that can be polled: {error}") from None


async def fetch(
    transport: httpx.AsyncBaseTransport,
    target: Target,
    conditions: Mapping[str, str],
    *,
    limits: Limits,
    wall: Callable[[], float],
) -> Answer:
    """One poll. conditions: If-None-Match and the like. CameraError says what went wrong on the way."""
    sent_at = wall()
    try:
        async with asyncio.timeout(limits.total_s):
            status, headers, body = await _get(transport, target, conditions, limits)
    except TimeoutError:
        raise CameraError("timeout", f"no whole answer within {limits.total_s:g} s") from None
    except httpx.HTTPError as error:
        raise _as_camera_error(error, limits) from error
    return Answer(status, headers, body, sent_at, wall())


async def _get(
    transport: httpx.AsyncBaseTransport,
    target: Target,
    conditions: Mapping[str, str],
    limits: Limits,
) -> tuple[int, httpx.Headers, bytes]:
    url, headers = target.url, {**target.headers, **conditions}
    timeout = {"connect": limits.connect_s, "read": limits.read_s, "write": limits.read_s, "pool": None}
    for _ in range(limits.redirects + 1):
        # Straight to the transport: the client above it does cookies, authentication and redirects its own way,
        # for half a millisecond a poll.
        request = httpx.Request("GET", url, headers=headers, extensions={"timeout": timeout})
        response = await transport.handle_async_request(request)
        try:
            if response.status_code not in _REDIRECTS or "Location" not in response.headers:
                body = await _read(response, limits)
                return response.status_code, response.headers, body
            url = _follow(url, response.headers["Location"])
        finally:
            await response.aclose()
    raise CameraError("redirect", f"more than {limits.redirects} redirects")


async def _read(response: httpx.Response, limits: Limits) -> bytes:
    """The body, never more of it than the limit; of a refusal only the beginning."""
    is_picture = response.status_code == httpx.codes.OK
    check_headers(response.status_code, response.headers, limits)
    most = limits.body_bytes if is_picture else _REFUSAL_BYTES
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.stream:  # type: ignore[union-attr]
        chunks.append(chunk)
        size += len(chunk)
        if size > most and is_picture:
            raise CameraError("too-large", f"an answer of more than {most / 1e6:.1f} MB")
        if size > most:
            break
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _follow(url: httpx.URL, location: str) -> httpx.URL:
    """Where a redirect leads: the same server, or its TLS port. The token goes along, so nowhere else."""
    try:
        there = url.join(location)
    except (httpx.InvalidURL, ValueError) as error:
        raise CameraError("redirect", f"points to {shown(location)[:200]!r}, which is no URL") from error
    upgrade = (url.scheme, url.port, there.scheme, there.port) == ("http", None, "https", None)
    same = (url.scheme, url.port) == (there.scheme, there.port) or upgrade
    if there.host != url.host or not same:
        raise CameraError(
            "redirect",
            f"points to another server, {shown(str(there))[:200]}",
            hint="If that is the camera, give that URL instead.",
        )
    return there


def _as_camera_error(error: httpx.HTTPError, limits: Limits) -> CameraError:
    if isinstance(error, httpx.ConnectTimeout):
        return CameraError("timeout", f"no connection within {limits.connect_s:g} s")
    if isinstance(error, httpx.TimeoutException):
        return CameraError("timeout", f"connected, but no answer for {limits.read_s:g} s")
    if isinstance(error, httpx.ReadError):
        return CameraError("truncated", str(error))
    if isinstance(error, httpx.RemoteProtocolError):
        return CameraError("bad-status", str(error))
    return CameraError("unreachable", str(error) or "can't be reached")
