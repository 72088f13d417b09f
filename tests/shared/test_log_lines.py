"""One line an event, and never a secret."""

import io
import logging
import re
from collections.abc import Iterator

import pytest

from shared.log import redact, setup


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    setup("INFO", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET http://anna:s3cret@porch/image.jpg", "GET http://***@porch/image.jpg"),
        ("rtsp://anna:s3@cret@porch:554/1", "rtsp://***@porch:554/1"),
        ("rtsp://:s3cret@porch", "rtsp://***@porch"),
        ("http://porch/?mail=a@b", "http://porch/?mail=a@b"),
        ("https://api/x?api_key=s3cret&size=2", "https://api/x?api_key=***&size=2"),
        ("?access_token=s3cret", "?access_token=***"),
        ("{'api_key': 's3cret', 'n': 1}", "{'api_key': '***', 'n': 1}"),
        ('{"password":"s3cret"}', '{"password":"***"}'),
        ("Authorization: Bearer abcdef123", "Authorization: Bearer ***"),
        ("nothing secret here", "nothing secret here"),
    ],
)
def test_secrets_are_hidden(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_a_line_says_when_where_and_about_what(out: io.StringIO) -> None:
    logging.getLogger("hub.poll").warning("no answer from %s", "http://a:b@c/", extra={"camera": "porch"})
    (line,) = out.getvalue().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ WARNING hub\.poll camera=porch no answer from .*", line)
    assert "a:b" not in line


def test_an_event_is_one_line_whatever_is_in_it(out: io.StringIO) -> None:
    logging.getLogger("x").info("first\nsecond\r\nthird")
    assert len(out.getvalue().splitlines()) == 1


def test_a_traceback_is_kept_without_its_secrets(out: io.StringIO) -> None:
    try:
        raise ValueError("token=s3cret")
    except ValueError:
        logging.getLogger("x").exception("failed")
    assert "Traceback" in out.getvalue()
    assert "s3cret" not in out.getvalue()


def test_setting_up_twice_does_not_log_twice(out: io.StringIO) -> None:
    setup("INFO", out)
    logging.getLogger("x").info("once")
    assert out.getvalue().count("once") == 1
