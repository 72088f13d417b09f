"""The webhook destination, against a real receiver: what arrives, and what each answer means."""

import base64
import hashlib
import hmac
import json
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.utils import formatdate

import pytest

from hub.sinks import check_destination, open_sink
from hub.sinks.options import SinkOptions, WebhookOptions
from hub.sinks.webhook import LONGEST_WORDS, WebhookSink, signature, signing_key
from shared import log
from shared.errors import DeliveryError, InvalidInput, Paused, Refused, RetryLater
from tests.hub.delivering import parcel, picture
from tests.hub.sinks.receiver import drips, receiving, resets, says

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_700_000_000.0


@pytest.fixture
def receiver():
    with receiving() as one:
        yield one


def _sink(receiver, secret=SECRET, total_s=5.0, **options):
    return WebhookSink(WebhookOptions(receiver.url, secret, **options), clock=lambda: NOW, total_s=total_s)


def _refused(sink, kind=DeliveryError):
    with pytest.raises(kind) as caught:
        sink.send(parcel())
    assert "t0ps3cret" not in str(caught.value) and SECRET not in str(caught.value)
    return caught.value


# ── what arrives ─────────────────────────────────────────────────────────────────────────────────────


def test_a_sample_arrives_with_its_facts_and_picture(receiver):
    _sink(receiver).send(parcel())
    (request,) = receiver.requests
    message = json.loads(request.body)
    assert request.path == "/hooks/t0ps3cret-path" and request.headers["content-type"] == "application/json"
    assert (message["type"], message["timestamp"]) == ("sample.selected", "1970-01-01T00:00:05.000Z")
    assert (message["data"]["campaign"], message["data"]["camera"]) == ("birds", "porch")
    assert message["data"]["picture"]["media_type"] == "image/jpeg"
    assert base64.b64decode(message["data"]["picture"]["base64"]) == picture()


def test_pictures_can_be_left_out(receiver):
    _sink(receiver, pictures=False).send(parcel())
    assert "picture" not in json.loads(receiver.requests[0].body)["data"]


@pytest.mark.parametrize(
    ("secret", "key"), [(SECRET, base64.b64decode(SECRET[6:])), ("plain text, ümlaut", "plain text, ümlaut".encode())]
)
def test_the_signature_is_the_one_that_the_specification_asks_for(receiver, secret, key):
    _sink(receiver, secret).send(parcel())
    (request,) = receiver.requests
    signed = b".".join((request.headers["webhook-id"].encode(), b"1700000000", request.body))
    mac = hmac.new(key, digestmod=hashlib.sha256)
    mac.update(signed)
    assert request.headers["webhook-timestamp"] == "1700000000"
    assert request.headers["webhook-signature"] == "v1," + base64.standard_b64encode(mac.digest()).decode()


def test_the_signature_of_the_specifications_own_example(receiver):
    made = signature(signing_key(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_nothing_is_signed(receiver):
    _sink(receiver, secret="").send(parcel())
    assert "webhook-signature" not in receiver.requests[0].headers


def test_every_try_has_the_same_id_and_body(receiver):
    receiver.answer = says(503)
    _refused(_sink(receiver), RetryLater)
    receiver.answer = says(200)
    remote_id = _sink(receiver).send(parcel())
    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == remote_id
    assert "." not in remote_id  # it parts what is signed


def test_samples_of_several_threads_do_not_mix(receiver):
    sink = _sink(receiver)
    with ThreadPoolExecutor(4) as pool:
        sent = set(pool.map(sink.send, [parcel(picture(i)) for i in range(12)]))
    frames = {json.loads(request.body)["data"]["frame"] for request in receiver.requests}
    assert sent == {f"sample_1_{frame}" for frame in frames} and len(sent) == 12


# ── what answers mean ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_is_done(receiver, status):
    receiver.answer = says(status)
    assert _sink(receiver).send(parcel())


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 407, 410, 423])
def test_what_is_wrong_with_the_receiver_pauses_and_says_what_to_do(receiver, status):
    receiver.answer = says(status, "no such hook")
    error = _refused(_sink(receiver), Paused)
    assert error.message.startswith(f"127.0.0.1 answers {status} ") and error.message.endswith(": no such hook")
    assert error.hint


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_what_is_wrong_with_the_sample_refuses_it_in_the_receivers_words(receiver, status):
    receiver.answer = says(status, "too\nlarge\x1b for us")
    assert _refused(_sink(receiver), Refused).message.endswith(": too large for us")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_passing_trouble_is_tried_again(receiver, status):
    receiver.answer = says(status)
    assert _refused(_sink(receiver), RetryLater).after_s is None


@pytest.mark.parametrize("value", ["120", formatdate(NOW + 120, usegmt=True)])
def test_the_receiver_says_how_long_to_wait(receiver, value):
    receiver.answer = says(429, Retry_After=value)
    assert _refused(_sink(receiver), RetryLater).after_s == 120.0


@pytest.mark.parametrize(
    ("location", "where"),
    [("https://other.example/hooks/t0ps3cret-path", "https://other.example"), ("/new", "another path"), ("", "path")],
)
def test_a_redirect_is_not_followed(receiver, location, where):
    receiver.answer = says(308, Location=location)
    assert where in _refused(_sink(receiver), Paused).message
    assert len(receiver.requests) == 1


def test_a_receiver_that_talks_much_is_cut_short(receiver):
    receiver.answer = says(400, "x" * 1_000_000)
    assert len(_refused(_sink(receiver), Refused).message) < LONGEST_WORDS + 50


def test_a_page_is_not_quoted(receiver):
    receiver.answer = says(502, "<html>Bad gateway</html>", Content_Type="text/html")
    assert "html" not in _refused(_sink(receiver), RetryLater).message


def test_a_receiver_that_echoes_secrets_is_not_quoted_with_them(receiver):
    receiver.answer = says(400, f"no signature by {SECRET} at {receiver.url} (t0ps3cret-path)")
    assert _refused(_sink(receiver), Refused).message.endswith("no signature by *** at *** (***)")


# ── trouble on the way ───────────────────────────────────────────────────────────────────────────────


def test_a_reset_connection_is_tried_again(receiver):
    receiver.answer = resets
    assert "broke off" in _refused(_sink(receiver), RetryLater).message


def test_no_receiver_is_tried_again():
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}/t0ps3cret"
        assert "can't be reached" in _refused(WebhookSink(WebhookOptions(url)), RetryLater).message


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_receiver_that_drips_its_answer_is_given_up(receiver, head):
    receiver.answer = drips(receiver, head)
    assert "took more than" in _refused(_sink(receiver, total_s=0.3), RetryLater).message


def test_a_success_counts_once_it_is_said_whatever_follows(receiver):
    receiver.answer = drips(receiver, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    assert _sink(receiver).send(parcel())


def test_an_answer_that_is_not_http_is_tried_again(receiver):
    receiver.answer = lambda to: to.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    _refused(_sink(receiver), RetryLater)


def test_a_receiver_that_does_not_read_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/t0ps3cret"
        sink = WebhookSink(WebhookOptions(url), total_s=0.3)
        big = picture() + bytes(20_000_000)
        with pytest.raises(RetryLater, match="took more than"):
            sink.send(parcel(big))


def test_bytes_that_are_no_picture_are_refused(receiver):
    with pytest.raises(Refused, match="damaged"):
        _sink(receiver).send(replace(parcel(), picture=b"<html>"))


# ── settings and secrets ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url", ["", "example.com/x-s3cret", "ftp://s3cret.example", "http://", "http://a:s3cret/", "/"]
)
def test_a_url_that_is_none_is_said_without_quoting_it(tmp_path, url):
    with pytest.raises(InvalidInput) as caught:
        check_destination("webhook", SinkOptions(tmp_path, webhook=WebhookOptions(url)))
    assert "HUB_WEBHOOK_URL" in caught.value.hint and "s3cret" not in str(caught.value)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not base64", "whsec_abc"])
def test_a_secret_that_can_not_be_read_is_said_without_quoting_it(tmp_path, secret):
    with pytest.raises(InvalidInput, match="whsec_") as caught:
        open_sink("webhook", SinkOptions(tmp_path, webhook=WebhookOptions("http://a.example", secret)))
    assert "base64 follows" in caught.value.message and "abc" not in str(caught.value)


def test_there_is_no_argument(tmp_path):
    with pytest.raises(InvalidInput, match="takes no"):
        check_destination("webhook:x", SinkOptions(tmp_path, webhook=WebhookOptions("http://a.example")))


def test_neither_url_nor_secret_is_logged(receiver, capsys):
    log.setup("INFO")
    try:
        receiver.answer = says(500, f"at {receiver.url}")
        error = _refused(_sink(receiver), RetryLater)
        logging.getLogger("hub").warning("not delivered: %s", error.message, exc_info=error)
    finally:
        logging.getLogger().handlers.clear()
    logged = capsys.readouterr().err
    assert "not delivered" in logged and "t0ps3cret" not in logged and SECRET not in logged
