"""What a camera's HTTP answer means: a frame, the same picture again, or a failure with a named reason. Pure.

Snapshot servers lie when their camera is gone: with 200 and an empty body, a drawn placeholder, an old picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from shared.errors import CameraError, ImageError
from shared.frame import Frame, capture_time
from shared.image import image_facts
from shared.retry_after import retry_after_s

LEAST_BYTES = 128
_STREAM_HINT = (
    "Give the URL of a single picture: /snapshot (uStreamer), /?action=snapshot (mjpg-streamer), "
    "/api/frame.jpeg?src=NAME (go2rtc), /capture (ESP32-CAM), /image.jpg (camera-node). "
    "Or serve the stream as pictures: camera-node serve --source URL"
)


@dataclass(frozen=True)
class Limits:
    """What a camera may cost. Seconds: for the connection, between two pieces of an answer, for a whole poll."""

    connect_s: float = 3.0
    read_s: float = 5.0
    total_s: float = 10.0
    body_bytes: int = 20_000_000
    pixels: int = 50_000_000
    redirects: int = 3
    retry_after_s: float = 300.0


@dataclass(frozen=True)
class Unchanged:
    """The camera says that its picture is the one it gave last (304)."""

    camera: str


def check_headers(status: int, headers: Mapping[str, str], limits: Limits) -> None:
    """Refuse, before its body is read, an answer whose headers tell enough. Raises CameraError."""
    if status != HTTPStatus.OK:
        return
    if headers.get("X-UStreamer-Online", "").lower() == "false":
        raise CameraError("offline", "uStreamer says that its camera is offline")
    if headers.get("X-Frigate-Offline", "").lower() == "true":
        raise CameraError("offline", "Frigate says that its camera is offline")
    kind = _content_type(headers)
    if kind.startswith(("multipart/", "video/")):
        raise CameraError("not-an-image", f"a video stream ({kind}), not a single picture", hint=_STREAM_HINT)
    if headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        raise CameraError("not-an-image", f"a compressed answer ({headers['Content-Encoding']}), not asked for")
    length = headers.get("Content-Length", "")
    if length.isdigit() and int(length) > limits.body_bytes:
        raise CameraError("too-large", f"a picture of {_mb(int(length))}; the limit is {_mb(limits.body_bytes)}")


def read_answer(
    camera: str,
    seq: int,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    sent_at: float,
    received_at: float,
    limits: Limits = Limits(),
) -> Frame | Unchanged:
    """The frame in an answer; raises CameraError with the reason why there is none.

    headers: looked up by any case. sent_at, received_at: Unix seconds, our clock.
    """
    if status == HTTPStatus.NOT_MODIFIED:
        return Unchanged(camera)
    if status != HTTPStatus.OK:
        raise _refusal(status, headers, body, received_at, limits)
    check_headers(status, headers, limits)
    _check_picture(headers, body, limits)
    taken_at = capture_time(headers, sent_at=sent_at, received_at=received_at)
    return Frame(camera, seq, taken_at, body, headers.get("ETag", "").removeprefix("W/").strip('"'))


def _refusal(status: int, headers: Mapping[str, str], body: bytes, now: float, limits: Limits) -> CameraError:
    wait_s = retry_after_s(headers.get("Retry-After"), now, longest_s=limits.retry_after_s)
    said = _first_line(headers, body)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return _unauthorised(status, headers, wait_s)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return CameraError("unavailable", said or "says that it has no picture now (503)", retry_after_s=wait_s)
    if status == HTTPStatus.NO_CONTENT:
        return CameraError("empty", "an answer without a picture (204)", retry_after_s=wait_s)
    if 300 <= status < 400:
        return CameraError("redirect", f"points elsewhere ({_named(status)}) without saying where")
    return CameraError("bad-status", _named(status) + (f": {said}" if said else ""), retry_after_s=wait_s)


def _unauthorised(status: int, headers: Mapping[str, str], wait_s: float | None) -> CameraError:
    scheme = headers.get("WWW-Authenticate", "").partition(" ")[0].lower()
    hint = "Give its token: hub cameras add NAME URL --token TOKEN; or a user and password in the URL."
    if scheme == "digest":
        hint = "It wants Digest authentication, which the hub does not speak; switch it to Basic."
    message = f"refuses our credentials ({_named(status)})"
    return CameraError("unauthorised", message, retry_after_s=wait_s, hint=hint)


def _check_picture(headers: Mapping[str, str], body: bytes, limits: Limits) -> None:
    if not body:
        raise CameraError("empty", "an empty answer instead of a picture")
    if len(body) > limits.body_bytes:
        raise CameraError("too-large", f"a picture of more than {_mb(limits.body_bytes)}")
    try:
        facts = image_facts(body)
    except ImageError as error:
        raise _not_a_picture(error, headers, body) from None
    if facts.format not in ("jpeg", "png") or facts.animated:
        what = f"an animated {facts.format}" if facts.animated else f"a {facts.format}"
        raise CameraError("not-an-image", f"{what}; a camera gives JPEG or PNG pictures")
    if facts.width * facts.height > limits.pixels:
        raise CameraError(
            "too-many-pixels",
            f"{facts.width} × {facts.height} pixels; the limit is {limits.pixels / 1e6:.0f} million",
        )
    if len(body) < LEAST_BYTES or not facts.complete:
        raise CameraError("truncated", f"a picture that ends too early, after {len(body)} bytes")


def _not_a_picture(error: ImageError, headers: Mapping[str, str], body: bytes) -> CameraError:
    kind, said = _content_type(headers), _first_line(headers, body)
    if kind.startswith("text/") or kind == "application/json":
        return CameraError("not-an-image", f"text instead of a picture{': ' + said if said else f' ({kind})'}")
    if len(body) < LEAST_BYTES:
        return CameraError("truncated", f"{len(body)} bytes, too few for a picture")
    reason = error.reason if error.reason in CameraError.REASONS else "not-an-image"
    return CameraError(reason, error.message, hint=error.hint)


def _first_line(headers: Mapping[str, str], body: bytes) -> str:
    """The first line of a plain-text answer, fit to be shown; "" for pages and pictures."""
    if _content_type(headers) not in ("text/plain", "application/json", ""):
        return ""
    text = body[:1000].decode("utf-8", "replace").strip()
    line = text.splitlines()[0] if text else ""
    return "".join(c for c in line if c.isprintable() and c != "\ufffd")[:160].strip()


def _content_type(headers: Mapping[str, str]) -> str:
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
