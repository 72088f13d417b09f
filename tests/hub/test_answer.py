import cv2
import httpx
import numpy as np
import pytest

from hub.answer import Limits, Unchanged, read_answer
from shared.errors import CameraError
from shared.frame import Frame
from tests.hostile_cameras import bomb_png, huge_header, picture

LIMITS = Limits()
NOW = 1_800_000_000.0
JPEG = picture()
PNG = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8))[1].tobytes()


def read(body=JPEG, status=200, limits=LIMITS, **headers):
    given = httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return read_answer("porch", 7, status, given, body, sent_at=NOW - 0.2, received_at=NOW, limits=limits)


def failure(*args, **kwargs) -> CameraError:
    with pytest.raises(CameraError) as caught:
        read(*args, **kwargs)
    assert caught.value.reason in CameraError.REASONS
    return caught.value


@pytest.mark.parametrize("body", [JPEG, PNG, JPEG + b"\0" * 500, JPEG + b"\r\n--boundary--"])
def test_a_picture_is_a_frame(body):
    frame = read(body, ETag='W/"boot-5"', Content_Type="text/plain")
    assert frame == Frame("porch", 7, NOW - 0.1, body, "boot-5")


def test_the_capture_time_is_the_nodes_when_it_tells():
    assert read(X_Frame_Age_Ms="400").taken_at == pytest.approx(NOW - 0.5)
    assert read(X_Timestamp=f"{NOW - 1:.6f}").taken_at == pytest.approx(NOW - 1)


@pytest.mark.parametrize("stamp", ["1234.5", "0", "nan", "yesterday", f"{NOW + 3600}"])
def test_a_foreign_clock_is_not_believed(stamp):
    assert read(X_Timestamp=stamp).taken_at == pytest.approx(NOW - 0.1)


def test_304_means_unchanged():
    assert read(b"", 304) == Unchanged("porch")


@pytest.mark.parametrize(
    ("body", "status", "headers", "reason"),
    [
        (b"", 200, {}, "empty"),
        (b"", 204, {}, "empty"),
        (JPEG, 200, {"X-UStreamer-Online": "false"}, "offline"),
        (JPEG, 200, {"X-Frigate-Offline": "true"}, "offline"),
        (b"", 401, {}, "unauthorised"),
        (b"", 403, {}, "unauthorised"),
        (b"", 500, {}, "bad-status"),
        (b"", 404, {}, "bad-status"),
        (b"", 799, {}, "bad-status"),
        (JPEG, 206, {}, "bad-status"),
        (b"", 302, {}, "redirect"),
        (b"", 503, {}, "unavailable"),
        (JPEG[:-500], 200, {}, "truncated"),
        (JPEG[:-1], 200, {}, "truncated"),
        (JPEG[:200], 200, {}, "truncated"),
        (JPEG[:100], 200, {}, "truncated"),
        (b"\xff", 200, {}, "truncated"),
        (PNG[:-12], 200, {}, "truncated"),
        (b"x" * 127, 200, {}, "truncated"),
        (b"x" * 5000, 200, {}, "not-an-image"),
        (b"%PDF-1.7" + b"x" * 500, 200, {}, "not-an-image"),
        (b"no camera", 200, {"Content-Type": "text/plain"}, "not-an-image"),
        (b"<html>", 200, {"Content-Type": "text/html"}, "not-an-image"),
        (b"", 200, {"Content-Type": "multipart/x-mixed-replace;boundary=x"}, "not-an-image"),
        (b"", 200, {"Content-Type": "video/mp4"}, "not-an-image"),
        (JPEG, 200, {"Content-Encoding": "gzip"}, "not-an-image"),
        (huge_header(), 200, {}, "too-many-pixels"),
        (bomb_png(), 200, {}, "too-many-pixels"),
    ],
)
def test_every_lie_has_its_name(body, status, headers, reason):
    assert failure(body, status, **headers).reason == reason


def test_a_stream_is_answered_with_where_the_pictures_are():
    assert "/?action=snapshot" in failure(b"", Content_Type="multipart/x-mixed-replace").hint


def test_sizes_beyond_the_limits_are_refused():
    small = Limits(body_bytes=1000, pixels=320 * 240)
    assert failure(limits=small).reason == "too-large"
    assert failure(b"", limits=small, Content_Length="5000").reason == "too-large"
    assert isinstance(read(limits=Limits(pixels=320 * 240)), Frame)
    assert failure(limits=Limits(pixels=320 * 240 - 1)).reason == "too-many-pixels"


def test_what_the_node_says_is_passed_on_in_one_clean_line():
    error = failure(b"no device /dev/video0\nsecond line", 503, Content_Type="text/plain", Retry_After="5")
    assert (error.message, error.retry_after_s) == ("no device /dev/video0", 5.0)
    assert "\x1b" not in failure(b"\x1b[31mred\x07\xff" + b"!" * 5000, 503, Content_Type="text/plain").message
    assert len(failure(b"!" * 5000, 503, Content_Type="text/plain").message) <= 160
    assert failure(b"<html>busy</html>", 503, Content_Type="text/html").message.endswith("(503)")


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("5", 5.0),
        ("0", 0.0),
        ("999999999", 300.0),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("99999999999999999999", 300.0),
    ],
)
def test_retry_after_is_honoured_within_bounds(text, wait_s):
    assert failure(b"", 503, Retry_After=text).retry_after_s == wait_s


def test_a_camera_that_wants_digest_is_told_apart():
    assert "Digest" in failure(b"", 401, WWW_Authenticate='Digest realm="x"').hint
    assert "--token" in failure(b"", 401, WWW_Authenticate="Bearer").hint
