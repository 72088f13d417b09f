"""Roboflow's API: outcomes of every answer and of none, within bounds, and never the key."""

import logging
import re
import shutil
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import roboflow
from hub.roboflow import Roboflow, Uploaded, legal_tag
from hub.roboflow_answers import failure, remote_image, unsuccessful, words
from hub.roboflow_check import check_roboflow
from hub.sinks.options import RoboflowOptions
from shared.errors import BowerbirdError, InvalidInput, Paused, Refused, RetryLater
from tests.hub.delivering import picture
from tests.roboflow_server import ANSWERS, HAPPENINGS, KEY, RoboflowServer

BOX = {"image": {"width": 640, "height": 480}, "predictions": []}


@pytest.fixture
def server():
    with RoboflowServer(hold_s=5.0) as server:
        yield server


@pytest.fixture
def api(server):
    with Roboflow(server.key, url=server.url, timeout_s=5.0) as api:
        yield api


def upload(api: Roboflow, number: int = 0, **more: object) -> Uploaded:
    return api.upload("birds", picture(number), name="a.jpg", **more)


# ── what it does ─────────────────────────────────────────────────────────────────────────────────────


def test_an_upload_arrives_as_it_was_given(api, server):
    sent = upload(api, split="valid", batch="b 1", tags=["x", "a:b"], metadata={"score": 0.5, "why": "a & b"})
    (there,) = server.images()
    assert (sent, there.data) == (Uploaded(there.id, duplicate=False), picture())
    assert (there.name, there.split, there.batch, there.tags) == ("a.jpg", "valid", "b 1", ["x", "a:b"])
    assert there.metadata == {"score": 0.5, "why": "a & b"}


def test_the_same_bytes_again_are_a_duplicate_with_the_same_id(api):
    assert upload(api).id == upload(api).id
    assert upload(api).duplicate


def test_a_png_says_that_it_is_one(api, server):
    api.upload("birds", picture(suffix=".png"), name="a.png")
    assert {"name": "file", "filename": "a.png", "type": "image/png"} in server.asked("upload")[0].body


def test_an_annotation_is_predicted_and_annotating_twice_is_fine(api, server):
    sent = upload(api)
    api.annotate("birds", sent.id, BOX, name="a.json")
    api.annotate("birds", sent.id, BOX, name="a.json")
    (there,) = server.images()
    assert (there.annotation, there.annotated) == (BOX, 1)


def test_tags_are_added_to_those_that_are_there(api, server):
    api.add_tags("birds", upload(api, tags=["old"]).id, ["old", "new"])
    assert server.images()[0].tags == ["old", "new"]


def test_a_search_goes_on_to_the_last_page(api, server, monkeypatch):
    monkeypatch.setattr(roboflow, "PAGE", 10)
    there = [server.add("birds", bytes([i]), tags=["even"] if i % 2 == 0 else []).id for i in range(30)]
    assert sorted(image.id for image in api.search("birds")) == sorted(there)
    assert len(server.asked("search")) == 4
    assert sorted(image.id for image in api.search("birds", tag="even")) == sorted(there[::2])


def test_an_image_that_slips_to_the_next_page_is_given_once(api, server, monkeypatch):
    monkeypatch.setattr(roboflow, "PAGE", 2)
    for i in range(5):
        server.add("birds", bytes([i]))
    found = []
    for image in api.search("birds"):
        found.append(image.id)
        if len(found) == 1:
            server.add("birds", b"newer")
    assert len(found) == len(set(found)) == 5


def test_a_search_asks_for_embeddings_only_when_told(api, server):
    server.add("birds", b"1", embedding=[0.5, 0.25])
    assert [image.embedding for image in api.search("birds")] == [()]
    assert [image.embedding for image in api.search("birds", embeddings=True)] == [(0.5, 0.25)]


def test_an_image_is_found_with_all_that_is_known_of_it(api, server):
    there = server.add("birds", b"1", tags=["t"], split="test", labels=["bird"], created_ms=1_700_000_000_500)
    found = api.image("birds", there.id)
    assert (found.tags, found.split, found.annotated, found.created_at) == (("t",), "test", True, 1_700_000_000.5)
    assert api.download(found.url) == b"1"
    assert api.image("birds", "gone") is None


def test_the_key_is_not_sent_where_pictures_lie(api, server):
    there = server.add("birds", b"1")
    api.download(f"{server.url}/_bytes/{there.id}/original.jpg")
    assert server.asked("download")[0].signed == ""


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://somewhere/x.jpg", "nonsense"])
def test_nothing_but_the_web_is_downloaded_from(api, url):
    with pytest.raises(Refused):
        api.download(url)


def test_the_sizes_of_batches_go_by_their_names(api):
    for number, batch in enumerate("aab"):
        upload(api, number, batch=batch)
    assert api.batch_sizes("birds") == {"a": 2, "b": 1}


def test_a_project_is_described(api):
    assert api.project("birds") == roboflow.Project("birds", "Birds", "object-detection")


def test_a_project_that_is_not_there_is_named(api):
    with pytest.raises(Refused, match=r"'trees'.*ROBOFLOW_PROJECT"):
        api.project("trees")
    with pytest.raises(Paused, match=r"'trees'.*ROBOFLOW_PROJECT"):
        api.upload("trees", picture(), name="a.jpg")


def test_names_with_odd_characters_stay_one_part_of_the_address(api):
    with pytest.raises(Refused):
        api.project("../a?b#c/d")


@pytest.mark.parametrize("url", ["", "api.roboflow.com", "ftp://x", "http://"])
def test_an_address_that_is_none_is_said_at_once(url):
    with pytest.raises(InvalidInput):
        Roboflow("key", url=url)


def test_a_proxy_of_the_environment_is_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    with Roboflow(server.key, url="http://roboflow.invalid", timeout_s=5.0) as api:
        assert api.project("birds")
    assert [asked.headers["host"] for asked in server.requests] == ["roboflow.invalid"] * 2


@pytest.fixture
def tls(tmp_path):
    """A server with a certificate of its own, and that certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("makes a certificate with openssl")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    named = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run([*made, *named], check=True, capture_output=True)
    with RoboflowServer(hold_s=5.0, tls=(certificate, key)) as server:
        yield server, str(certificate)


@pytest.mark.parametrize("kind", ["drip", "drip-head", "timeout-after"])
def test_over_tls_it_is_the_same(kind, tls, monkeypatch):
    server, certificate = tls
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    with Roboflow(server.key, url=server.url, timeout_s=10.0) as api:
        assert not upload(api).duplicate
        server.fail(kind)
        with api.within(0.4), pytest.raises(RetryLater, match="in time"):
            upload(api)


def test_a_server_that_nobody_vouches_for_gets_nothing(tls):
    server, _ = tls
    with Roboflow(server.key, url=server.url) as api, pytest.raises(RetryLater, match="CERTIFICATE_VERIFY"):
        upload(api)
    assert not server.requests


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────

OUTCOMES = {
    "rate-limited": RetryLater,
    "rate-limited-silently": RetryLater,
    "broken": RetryLater,
    "bad-gateway": RetryLater,
    "unsuccessful": RetryLater,
    "bad-image": Refused,
    "garbage": RetryLater,
    "refused": Refused,
    "revoked": Paused,
    "unpaid": Paused,
    "forbidden": Refused,
    "locked": Paused,
    "too-large": Refused,
    "image-not-found": RetryLater,
    "redirected": RetryLater,
    **dict.fromkeys(HAPPENINGS, RetryLater),
}


@pytest.mark.parametrize("kind", OUTCOMES)
def test_every_fault_has_its_outcome_and_none_has_the_key(kind, server, caplog):
    caplog.set_level(logging.DEBUG)
    timeout_s = 0.3 if kind in HAPPENINGS else 10.0
    with Roboflow(server.key, url=server.url, workspace=server.workspace, timeout_s=timeout_s) as api:
        there = server.add("birds", picture())
        server.fail(kind, route="annotate")
        with pytest.raises(BowerbirdError) as caught:
            api.annotate("birds", there.id, BOX, name="a.json")
        assert type(caught.value) is OUTCOMES[kind]
        for text in [caplog.text, repr(api), *_texts(caught.value)]:
            assert KEY not in text
        assert not any(KEY in repr(record.__dict__) for record in caplog.records)


def _texts(error: BaseException | None) -> list[str]:
    if error is None:
        return []
    return [str(error), repr(error), repr(vars(error)), *_texts(error.__cause__), *_texts(error.__context__)]


@pytest.mark.parametrize("kind", ["annotated", "annotated-before"])
def test_what_is_annotated_already_is_done(kind, api, server):
    there = server.add("birds", picture())
    server.fail(kind, route="annotate")
    api.annotate("birds", there.id, BOX, name="a.json")


def test_an_image_that_is_not_found_yet_says_something_of_the_sample_alone(api):
    with pytest.raises(RetryLater) as caught:
        api.annotate("birds", "new", BOX, name="a.json")
    assert (caught.value.of_sample, caught.value.remote_id) == (True, "new")


@pytest.mark.parametrize("kind", ["slow-reader", "drip", "drip-head", "timeout-before"])
def test_a_server_that_drips_holds_nobody_longer_than_the_bound(kind, server):
    server.fail(kind)
    with Roboflow(server.key, url=server.url, timeout_s=0.3) as api:
        began = time.monotonic()
        with pytest.raises(RetryLater):
            api.upload("birds", picture() + bytes(2_000_000), name="a.jpg")
    assert time.monotonic() - began < 3.0


def test_several_requests_can_be_bounded_together(server):
    server.fail("timeout-before")
    with Roboflow(server.key, url=server.url, timeout_s=30.0) as api:
        began = time.monotonic()
        with api.within(0.2), pytest.raises(RetryLater):
            upload(api)
        assert time.monotonic() - began < 3.0
        assert upload(api)


def test_an_answer_larger_than_any_is_not_read_to_its_end(api, server):
    there = server.add("birds", bytes(roboflow.PICTURE_BYTES + 1))
    with pytest.raises(RetryLater, match="larger"):
        api.download(f"{server.url}/_bytes/{there.id}/original.jpg")


def test_nobody_listening_is_retried():
    with Roboflow("key", url="http://127.0.0.1:1") as api, pytest.raises(RetryLater, match="reached"):
        api.project("birds")


def test_the_wait_that_the_server_asks_for_is_kept(api, server):
    server.fail("rate-limited")
    with pytest.raises(RetryLater) as caught:
        upload(api)
    assert caught.value.after_s == 7.0


def test_a_wait_may_be_a_date():
    error = failure(503, {"Retry-After": "Sat, 21 Nov 2026 12:00:30 GMT"}, b"", now=1795262400.0)
    assert isinstance(error, RetryLater)
    assert error.after_s == 30.0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "No."}', "No."),
        (b'{"error": {"message": "No", "hint": "Do this"}}', "No. Do this"),
        (b'{"message": "No"}', "No"),
        (b"<html><style>p {}</style><p>Bad\n gateway</p></html>", "Bad gateway"),
        (b"", ""),
        (b'{"error": "two\\nlines\\u001b[31m"}', "two lines [31m"),
        (b"[" * 100_000, "[" * 299 + "…"),
    ],
)
def test_a_servers_own_words_are_one_line_for_a_person(body, said):
    assert words(body).rstrip(".") == said.rstrip(".")


@given(st.binary(max_size=500))
def test_any_body_makes_bounded_words(body):
    said = words(body)
    assert len(said) <= 300
    assert said.isprintable()


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"success": False, "error": "Unsupported image format"}, Refused),
        ({"success": False, "message": "Could not decode the file"}, Refused),
        ({"success": False}, RetryLater),
        ({}, RetryLater),
    ],
)
def test_a_success_that_is_none_is_refused_only_for_the_image(answer, outcome):
    assert type(unsuccessful(answer)) is outcome


@pytest.mark.parametrize("created", [1_700_000_000, 1_700_000_000_000, None, "yesterday", True, -1])
def test_times_are_seconds_however_they_are_counted(created):
    at = remote_image({"id": "x", "created": created}).created_at
    assert at in ((1_700_000_000.0,) if isinstance(created, int) and created > 1 else (0.0,))


# ── tags ─────────────────────────────────────────────────────────────────────────────────────────────


@given(st.text(max_size=200))
def test_a_tag_is_legal_or_nothing_and_stays_as_it_is(text):
    tag = legal_tag(text)
    assert re.fullmatch(r"[a-zA-Z0-9\-_:/.\[\]<>{}@]{0,64}", tag)
    assert legal_tag(tag) == tag


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("train-rf-collect", "train-rf-collect"),
        ("a tow  truck", "a-tow-truck"),
        ("café & bar!", "cafe--bar"),
        ("campaign:x/[1]{2}<3>@4.5_6", "campaign:x/[1]{2}<3>@4.5_6"),
        ("!!!", ""),
    ],
)
def test_a_tag_keeps_what_is_legal(text, tag):
    assert legal_tag(text) == tag


# ── hub roboflow check ───────────────────────────────────────────────────────────────────────────────


def options(server: RoboflowServer, **changes: object) -> RoboflowOptions:
    return RoboflowOptions(**{"key": server.key, "project": "birds", "url": server.url, **changes})


def test_a_good_setup_is_found_good(server):
    found = check_roboflow(options(server))
    assert all(each.ok for each in found)
    assert "'bower'" in found[0].what
    assert "object-detection" in found[1].what


@pytest.mark.parametrize(
    ("changes", "wrong", "hint"),
    [
        ({"key": ""}, "no key", "ROBOFLOW_KEY"),
        ({"key": "another"}, "does not accept the key", "ROBOFLOW_API_URL"),
        ({"workspace": "other"}, "'other'", "'bower'"),
        ({"project": ""}, "no project", "ROBOFLOW_PROJECT"),
        ({"project": "trees"}, "'trees'", ""),
        ({"url": "nonsense"}, "no http", "ROBOFLOW_API_URL"),
        ({"url": "http://127.0.0.1:1"}, "can't be reached", "127.0.0.1:1"),
        ({"split": "half"}, "no split", "train"),
        ({"batch_every": "year"}, "no period", "week"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(changes, wrong, hint, server):
    (found,) = [each for each in check_roboflow(options(server, **changes)) if not each.ok]
    assert wrong in found.what
    assert hint in found.hint


def test_a_project_that_takes_no_boxes_is_fine_and_says_so():
    with RoboflowServer(projects={"kinds": "single-label-classification"}) as server:
        found = check_roboflow(options(server, project="kinds"))
    assert all(each.ok for each in found)
    assert "object-detection" in found[1].hint


def test_every_answer_of_the_server_has_an_outcome_here():
    assert OUTCOMES.keys() | {"annotated", "annotated-before"} == ANSWERS.keys() | set(HAPPENINGS)
