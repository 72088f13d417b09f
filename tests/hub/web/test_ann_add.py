import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hub.vision import crop, decode
from shared.frame import Frame
from tests.hub.web.making import jpeg

ADD = "/api/v1/ann/add"
BOX = [0.25, 0.0, 0.75, 0.5]


class Pictures:
    """A web server that has one answer for every path. asked: the paths it was asked for."""

    def __init__(self) -> None:
        self.status, self.body, self.headers, self.asked = 200, jpeg(), {}, []

    def url(self, path: str = "picture.jpg") -> str:
        return f"{self.base}/{path}"

    @contextmanager
    def serving(self) -> Iterator["Pictures"]:
        pictures = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                pictures.asked.append(self.path)
                self.send_response(pictures.status)
                for name, value in {"Content-Length": str(len(pictures.body)), **pictures.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(pictures.body)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def pictures():
    with Pictures().serving() as server:
        yield server


def logo(number, box=BOX):
    return {"id": number, "bounding_box": box}


def test_added_boxes_are_embedded_and_found(client, parts, pictures):
    said = client.post(ADD, json={"image_url": pictures.url(), "logos": [logo(5), logo(6, [0, 0.5, 1, 1])]})
    assert said.status_code == 200 and said.json == {"added": 2}
    (found,) = parts.store.archive.by_key([5], parts.embedder().version)
    pixels = crop(decode(pictures.body), (0, 12, 32, 36))
    assert found.vector == pytest.approx(parts.embedder().embed([pixels])[0], abs=2e-3)
    assert {each["logo_id"] for each in client.get("/api/v1/ann/6").json["results"]} == {5, 6}


def test_an_added_element_says_where_it_comes_from(client, parts, pictures):
    url = pictures.url().replace("http://", "http://user:secret@")
    client.post(ADD, json={"image_url": url, "logos": [logo(5)]})
    (found,) = parts.store.archive.by_key([5], parts.embedder().version)
    element = found.element
    assert (element.camera, element.row, element.box) == ("ann", 1, (0.0, 12.0, 32.0, 36.0))
    assert element.frame_id == Frame("ann", 0, 0.0, pictures.body).id
    assert element.metadata == {"image_url": pictures.url()}


def test_known_ids_are_skipped_and_nothing_is_fetched_when_all_are(client, parts, pictures):
    client.post(ADD, json={"image_url": pictures.url(), "logos": [logo(5)]})
    assert client.post(ADD, json={"image_url": pictures.url(), "logos": [logo(5), logo(6)]}).json == {"added": 1}
    assert client.post(ADD, json={"image_url": pictures.url(), "logos": [logo(6), logo(5)]}).json == {"added": 0}
    assert len(pictures.asked) == 2


def test_logos_added_to_the_same_picture_later_get_rows_of_their_own(client, parts, pictures):
    for number in (5, 6, 7):
        assert client.post(ADD, json={"image_url": pictures.url(), "logos": [logo(number)]}).json == {"added": 1}
    found = parts.store.archive.by_key([5, 6, 7], parts.embedder().version)
    assert [each.element.row for each in found] == [1, 2, 3]


def test_an_id_twice_in_a_request_is_added_once(client, pictures):
    assert client.post(ADD, json={"image_url": pictures.url(), "logos": [logo(5), logo(5)]}).json == {"added": 1}


def test_no_logos_are_no_work(client, pictures):
    assert client.post(ADD, json={"image_url": pictures.url(), "logos": []}).json == {"added": 0}
    assert not pictures.asked


def test_boxes_that_reach_a_little_beyond_the_picture_are_cut(client, parts, pictures):
    client.post(ADD, json={"image_url": pictures.url(), "logos": [logo(5, [-0.001, 0, 1, 1.0005])]})
    (found,) = parts.store.archive.by_key([5], parts.embedder().version)
    assert found.element.box == (0.0, 0.0, 64.0, 48.0)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"image_url": "http://127.0.0.1:1/"},
        {"logos": []},
        {"image_url": 5, "logos": []},
        {"image_url": "http://127.0.0.1:1/", "logos": {}},
        {"image_url": "http://127.0.0.1:1/", "logos": [5]},
        {"image_url": "http://127.0.0.1:1/", "logos": [{"id": 5}]},
        {"image_url": "http://127.0.0.1:1/", "logos": [{"bounding_box": BOX}]},
        {"image_url": "http://127.0.0.1:1/", "logos": [logo("5")]},
        {"image_url": "http://127.0.0.1:1/", "logos": [logo(True)]},
        {"image_url": "http://127.0.0.1:1/", "logos": [logo(-1)]},
        {"image_url": "http://127.0.0.1:1/", "logos": [logo(2**62)]},
        {"image_url": "http://127.0.0.1:1/", "logos": [logo(5, [0, 0, 1])]},
        {"image_url": "http://127.0.0.1:1/", "logos": [logo(5, [0, 0, 1, 2])]},
        {"image_url": "http://127.0.0.1:1/", "logos": [logo(5, [0.5, 0, 0.5, 1])]},
        {"image_url": "http://127.0.0.1:1/", "logos": [logo(5, [0.9, 0, 0.5, 1])]},
        {"image_url": "http://127.0.0.1:1/", "logos": [logo(5, [0, 0, 1, float("nan")])]},
        {"image_url": "http://127.0.0.1:1/", "logos": [logo(i) for i in range(101)]},
        {"image_url": "http://127.0.0.1:1/" + "a" * 2000, "logos": [logo(5)]},
    ],
)
def test_a_wrong_request_is_400_and_fetches_nothing(client, body):
    answer = client.post(ADD, json=body)
    assert answer.status_code == 400 and "its address" not in answer.json["detail"]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/a.jpg",
        "gopher://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://100.100.100.200/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://127.0.0.1:1/",
        "http://",
        "picture.jpg",
        "http://a b/",
        "rtsp://127.0.0.1/",
        "http://no-such-host.invalid/",
    ],
)
def test_an_address_that_gives_no_picture_or_may_not_be_asked_is_400(client, url):
    answer = client.post(ADD, json={"image_url": url, "logos": [logo(5)]})
    assert answer.status_code == 400 and answer.json["title"]


@pytest.mark.parametrize("body", [b"", b"<html>", jpeg()[:500], b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_bytes_that_are_no_picture_are_400(client, pictures, body):
    pictures.body = body
    assert client.post(ADD, json={"image_url": pictures.url(), "logos": [logo(5)]}).status_code == 400
    assert client.get("/api/v1/ann/count").json == {"count": 0}


def test_an_answer_that_is_no_success_is_400(client, pictures):
    pictures.status = 404
    answer = client.post(ADD, json={"image_url": pictures.url(), "logos": [logo(5)]})
    assert answer.status_code == 400 and "404" in answer.json["detail"]


def test_a_longer_picture_than_is_taken_is_not_read(client, pictures):
    pictures.headers = {"Content-Length": str(10**10)}
    assert client.post(ADD, json={"image_url": pictures.url(), "logos": [logo(5)]}).status_code == 400


def test_a_redirect_to_another_server_is_not_followed(client, pictures):
    pictures.status, pictures.headers = 302, {"Location": "http://127.0.0.2:80/a.jpg"}
    answer = client.post(ADD, json={"image_url": pictures.url(), "logos": [logo(5)]})
    assert answer.status_code == 400 and "another server" in answer.json["detail"]


def test_a_secret_in_an_address_is_never_said(client):
    url = "http://user:hunter2@no-such-host.invalid/a.jpg?token=hunter2"
    assert "hunter2" not in client.post(ADD, json={"image_url": url, "logos": [logo(5)]}).text
