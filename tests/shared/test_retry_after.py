"""How long a server asks to be left alone."""

from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.retry_after import LONGEST_S, retry_after_s

NOW = 1_792_000_000.0


@settings(deadline=None)
@given(st.integers(0, 10**12))
def test_seconds_are_read_and_bounded(seconds):
    assert retry_after_s(f" {seconds} ", NOW) == min(seconds, LONGEST_S)


@settings(deadline=None)
@given(st.integers(-(10**6), 10**6))
def test_a_date_is_the_time_until_then(seconds):
    waited = retry_after_s(formatdate(NOW + seconds, usegmt=True), NOW)
    assert waited == min(max(seconds, 0), LONGEST_S)


@pytest.mark.parametrize(
    "text", ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 GMT"]
)
def test_every_form_of_an_http_date_is_read(text):
    assert retry_after_s(text, 784111777.0 - 60) == 60.0


@pytest.mark.parametrize("text", [None, "", "soon", "-1", "1.5", "1e3", "Wed, 21 Oct 99999 07:28:00 GMT", "²"])
def test_what_can_not_be_read_says_nothing(text):
    assert retry_after_s(text, NOW) is None


@settings(deadline=None)
@given(st.text(max_size=100))
def test_whatever_a_server_says_the_wait_is_bounded(text):
    waited = retry_after_s(text, NOW, longest_s=60.0)
    assert waited is None or 0.0 <= waited <= 60.0
