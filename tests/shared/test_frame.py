"""The wire contract: what a node says of a picture, and what a hub believes."""

import dataclasses
from email.utils import parsedate_to_datetime

import pytest

from shared.frame import Frame, capture_time, to_headers

NOW = 1_700_000_000.0
HEADERS = to_headers(
    camera="porch", etag="b00t-7", taken_at=NOW - 0.25, age_s=0.2504, length=1234, clock_synchronised=True
)


def test_headers_of_a_picture() -> None:
    assert HEADERS == {
        "Content-Type": "image/jpeg",
        "Content-Length": "1234",
        "ETag": '"b00t-7"',
        "Cache-Control": "no-cache",
        "X-Frame-Age-Ms": "250",
        "X-Camera-Name": "porch",
        "X-Timestamp": "1699999999.750000",
        "Last-Modified": "Tue, 14 Nov 2023 22:13:19 GMT",
    }
    assert parsedate_to_datetime(HEADERS["Last-Modified"]).timestamp() == int(NOW - 0.25)


def test_a_clock_that_is_not_set_gives_no_dates() -> None:
    headers = to_headers(camera="porch", etag="b00t-7", taken_at=12.0, age_s=0.25, length=1, clock_synchronised=False)
    assert "X-Timestamp" not in headers
    assert "Last-Modified" not in headers
    assert headers["X-Frame-Age-Ms"] == "250"


def test_a_capture_time_survives_the_trip_though_the_clocks_differ_by_an_hour() -> None:
    received = capture_time(HEADERS, sent_at=NOW + 3600, received_at=NOW + 3600)
    assert received == pytest.approx(NOW + 3600 - 0.25)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, NOW - 0.1),
        ({"X-Frame-Age-Ms": "400"}, NOW - 0.5),
        ({"X-Frame-Age-Ms": "400", "X-Timestamp": str(NOW - 1)}, NOW - 0.5),
        ({"X-Timestamp": str(NOW - 1)}, NOW - 1),
        ({"X-Timestamp": str(NOW + 1)}, NOW + 1),
        ({"X-Timestamp": "86.4"}, NOW - 0.1),  # seconds since boot
        ({"X-Timestamp": str(NOW - 3600)}, NOW - 0.1),
        ({"X-Timestamp": "yesterday"}, NOW - 0.1),
        ({"X-Timestamp": "nan"}, NOW - 0.1),
        ({"X-Frame-Age-Ms": "-5"}, NOW - 0.1),
        ({"X-Frame-Age-Ms": "inf"}, NOW - 0.1),
        ({"X-Frame-Age-Ms": "1e14"}, NOW - 0.1),
        ({"X-Frame-Age-Ms": ""}, NOW - 0.1),
    ],
)
def test_which_time_is_believed(headers: dict[str, str], expected: float) -> None:
    assert capture_time(headers, sent_at=NOW - 0.2, received_at=NOW) == pytest.approx(expected)


def test_the_same_picture_is_the_same_frame_whenever_it_comes() -> None:
    first = Frame("porch", 1, NOW, b"jpeg")
    again = dataclasses.replace(first, seq=2, taken_at=NOW + 1)
    other = dataclasses.replace(first, jpeg=b"other")
    assert first.id == again.id
    assert first.id != other.id
    assert len(first.id) == 32
