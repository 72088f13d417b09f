"""CLIP on a Roboflow inference server, against a server on loopback."""

import base64
import io
import logging
import threading
import time
import uuid
from contextlib import ExitStack

import numpy as np
import pytest

from hub.models.remote import AT_ONCE, ATTEMPTS, RemoteClip
from hub.vision import decode
from shared import log
from shared.errors import InvalidInput, ModelError
from shared.retry import Backoff
from tests.roboflow_server import KEY, RoboflowServer


def _pictures(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    source = np.random.default_rng(7)
    return [source.integers(0, 255, (height, width, 3), np.uint8) for _ in range(count)]


@pytest.fixture
def server():
    with RoboflowServer() as server:
        yield server


@pytest.fixture
def make():
    """Makes an embedder that is closed in the end."""
    with ExitStack() as stack:

        def make(server, key=KEY, **more) -> RemoteClip:
            address = server if isinstance(server, str) else server.url + "/"
            return stack.enter_context(RemoteClip(address, key, **{"sleep": lambda _: None, **more}))

        yield make


def test_pictures_and_texts_become_unit_vectors_in_their_order(make, server):
    clip = make(server)
    texts = [f"a {n}" for n in range(2 * AT_ONCE + 1)]
    vectors = clip.embed_text(texts)
    assert (vectors.shape, vectors.dtype) == ((17, 512), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert np.array_equal(vectors[9], clip.embed_text(["a 9"])[0])
    pictures = _pictures(AT_ONCE + 1)
    assert np.array_equal(clip.embed(pictures)[8], clip.embed([pictures[8]])[0])
    assert [len(asked.body["text"]) for asked in server.asked("clip_text")] == [8, 8, 1, 1]
    assert clip.embed([]).shape == clip.embed_text([]).shape == (0, 512)


def test_vectors_that_are_not_of_unit_length_are_made_so(make, server):
    server.embed = lambda _: [3.0, 4.0] + [0.0] * 510
    assert np.allclose(make(server).embed_text(["x"])[0, :3], [0.6, 0.8, 0.0])


def test_requests_are_those_of_the_official_client(make, server):
    clip = make(server, clip_version="ViT-B-32")
    clip.embed_text(["an owl"])
    clip.embed(_pictures(1))
    (text,), (image,) = server.asked("clip_text"), server.asked("clip_image")
    assert (text.path, text.method, text.query) == ("/clip/embed_text", "POST", {})
    assert (text.signed, image.signed) == ("query", "query")
    assert text.body == {"clip_version_id": "ViT-B-32", "text": ["an owl"]}
    (value,) = image.body["image"]
    assert (image.path, value["type"], image.body["clip_version_id"]) == ("/clip/embed_image", "base64", "ViT-B-32")


def test_a_large_picture_is_sent_small_and_in_its_colours(make, server):
    red = np.zeros((1080, 1920, 3), np.uint8)
    red[..., 0] = 255
    make(server).embed([red, red[:30, :20]])
    (asked,) = server.asked("clip_image")
    large, small = (decode(base64.b64decode(each["value"])) for each in asked.body["image"])
    assert (large.shape, small.shape) == ((448, 796, 3), (30, 20, 3))
    assert abs(large[200, 300].astype(int) - [255, 0, 0]).max() < 8


def test_a_very_long_picture_can_be_sent(make, server):
    assert make(server).embed([np.zeros((1, 5000, 3), np.uint8), np.zeros((3000, 1, 3), np.uint8)]).shape == (2, 512)


def test_versions_are_told_apart_and_never_meet_those_of_a_local_model(make, server):
    versions = [make(server, clip_version=clip).version for clip in ("ViT-B-16", "ViT-B-32", "ViT-L-14")]
    assert len({*versions}) == 3
    assert {uuid.UUID(version).version for version in versions} == {5}
    assert make(server).version == make("https://elsewhere.example", "", clip_version="ViT-B-16").version
    assert (make(server, clip_version="ViT-L-14").dim, make(server, clip_version="RN50").dim) == (768, 1024)


@pytest.mark.parametrize("kind", ["broken", "bad-gateway", "rate-limited", "reset-after", "reset-during"])
def test_passing_trouble_is_waited_out(make, server, kind):
    server.fail(kind, times=ATTEMPTS - 1)
    assert make(server).embed_text(["an owl"]).shape == (1, 512)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("broken", "Internal error"), ("bad-gateway", "502"), ("revoked", "key"), ("unpaid", "quota"),
        ("forbidden", "key"), ("refused", "Invalid image"), ("garbage", "512"), ("redirected", "302"),
    ],
)  # fmt: skip
def test_lasting_trouble_is_told_without_the_key(make, server, kind, says):
    heard = io.StringIO()
    log.setup("DEBUG", heard)
    server.fail(kind, times=100)
    with pytest.raises(ModelError) as error:
        make(server).embed_text(["an owl"])
    told = f"{error.value} {error.value.__cause__} {heard.getvalue()}"
    assert says in error.value.message
    assert error.value.hint
    assert KEY not in told


def test_lasting_refusals_are_not_asked_again(make, server):
    server.fail("revoked", times=100)
    with pytest.raises(ModelError):
        make(server).embed_text(["an owl"])
    assert len(server.asked("clip_text")) <= 1


def test_a_server_that_is_not_there_is_named_with_what_to_do(make):
    clip = make("http://user:hunter2@127.0.0.1:1")
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:1") as error:
        clip.embed(_pictures(1))
    assert "running" in error.value.hint
    assert "hunter2" not in str(error.value) + clip.name


@pytest.mark.parametrize("kind", ["timeout-before", "drip", "drip-head"])
def test_a_server_that_does_not_answer_in_time_is_given_up(make, server, kind):
    server.hold_s = 5.0
    server.fail(kind, times=100)
    clip = make(server, timeout_s=0.1)
    began = time.monotonic()
    with pytest.raises(ModelError, match="no answer in time"):
        clip.embed_text(["an owl"])
    assert time.monotonic() - began < 5.0


def test_waits_grow_between_tries(make, server):
    waits: list[float] = []
    server.fail("broken", times=100)
    with pytest.raises(ModelError):
        make(server, sleep=waits.append, backoff=Backoff(1.0, 1.0)).embed_text(["x"])
    assert waits == [1.0] * (ATTEMPTS - 1)


@pytest.mark.parametrize(
    "vector",
    [[0.0] * 512, [float("nan")] * 512, [1.0] * 511, [], ["one"] * 512, [[1.0]] * 512, [None] * 512, [1e39] * 512],
)
def test_answers_that_are_no_vectors_are_refused(make, server, vector):
    server.embed = lambda _: vector
    with pytest.raises(ModelError):
        make(server).embed_text(["an owl"])


def test_an_answer_without_end_is_not_read_to_the_end(make, server):
    server.embed = lambda _: [0.1234567890123456] * 2_000_000
    with pytest.raises(ModelError, match="more than"):
        make(server).embed_text(["an owl"])


@pytest.mark.parametrize("address", ["", "localhost:9001", "ftp://host", "http://", "http://[::1", "http://host:port"])
def test_what_is_no_address_is_refused_at_once(address):
    with pytest.raises(InvalidInput, match="INFER_SERVER_DESTINATION"):
        RemoteClip(address, KEY)


def test_a_clip_that_the_server_has_not_is_refused_with_those_it_has():
    with pytest.raises(InvalidInput, match="ViT-X") as error:
        RemoteClip("http://localhost:9001", KEY, clip_version="ViT-X")
    assert "ViT-B-16" in error.value.hint


def test_several_threads_may_ask_at_once(make, server):
    clip, pictures = make(server), _pictures(12)
    alone = clip.embed(pictures)
    found: dict[int, np.ndarray] = {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: clip.embed([pictures[i]])[0]})) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(np.stack([found[i] for i in range(12)]), alone)


def test_no_key_is_sent_where_there_is_none(make, server):
    with pytest.raises(ModelError, match="key"):
        make(server, "").embed_text(["x"])
    assert all(not asked.signed for asked in server.requests)


@pytest.fixture(autouse=True)
def _logging():
    before = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    logging.getLogger().handlers[:] = before[0]
    logging.getLogger().setLevel(before[1])


def test_nouns_are_asked_for_once_and_kept(make, server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("hub.models.nouns.nouns", lambda: tuple(f"noun {i}" for i in range(20)))
    first = make(server).nouns()
    asked = len(server.asked("clip_text"))
    np.testing.assert_array_equal(make(server).nouns(), first)
    assert first.shape == (20, 512)
    assert len(server.asked("clip_text")) == asked > 0
