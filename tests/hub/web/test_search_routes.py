"""`/api/v1/search` and `/api/v1/elements`, asked without a socket."""

import io

import pytest
from flask import Flask

from hub.archive import SeenFrame
from hub.types import Detections, Frame, Observation
from hub.vision import decode
from hub.web import search
from hub.web.problems import answer_errors
from tests.hub.seeing import see
from tests.hub.test_search import NOW, SeenParts
from tests.hub.web.making import jpeg


@pytest.fixture
def parts(tmp_path):
    made = SeenParts(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def client(parts):
    app = Flask("hub.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 2 * 2**20
    answer_errors(app)
    app.register_blueprint(search.blueprint(parts), url_prefix="/api/v1")
    return app.test_client()


@pytest.fixture
def seen(parts):
    return [see(parts, jpeg(i), at=NOW + 100 * i, camera=("porch", "yard")[i % 2], held=i < 3) for i in range(4)]


def _post(client, data, code=200):
    answer = client.post("/api/v1/search", data=data, content_type="multipart/form-data")
    assert answer.status_code == code, answer.text
    return answer.json


def test_an_uploaded_picture_is_searched_for(client, seen):
    found = _post(client, {"image": (io.BytesIO(jpeg(2)), "x.jpg"), "k": "3"})
    assert found["count"] == 3
    first = found["results"][0]
    assert (first["frame_id"], first["kind"], first["picture"]) == (seen[2].frame.id, "frame", "picture")


def test_a_picture_is_searched_for_as_the_body_itself(client, seen):
    answer = client.post("/api/v1/search?k=1", data=jpeg(2), content_type="image/jpeg")
    assert [each["frame_id"] for each in answer.json["results"]] == [seen[2].frame.id]
    broken = client.post("/api/v1/search", data=b"no picture", content_type="image/jpeg")
    assert (broken.status_code, broken.json["reason"]) == (400, "not-an-image")


def test_an_unknown_parameter_is_named_with_the_nearest(client, seen):
    answer = client.get("/api/v1/search", query_string={"element_id": "1", "cameras": "porch"})
    assert answer.status_code == 400 and "cameras" in answer.json["detail"] and "camera" in answer.json["hint"]


def test_what_was_scanned_names_its_file(client, parts, seen):
    frame = Frame("album", 0, NOW, jpeg(7))
    vector = parts.embedder().embed([decode(jpeg(7))])
    known = SeenFrame(frame.id, "album", NOW, (64, 48), "/photos/7.jpg")
    nothing = Detections.empty()
    parts.store.archive.add_frames([known], [Observation(frame, (64, 48), nothing, vector, parts.embedder().version)])
    first, *others = _post(client, {"image": (io.BytesIO(jpeg(7)), "x.jpg")})["results"]
    assert first["source"] == "/photos/7.jpg" and {each["source"] for each in others} == {""}
    assert client.get(f"/api/v1/elements/{first['key']}").json["source"] == "/photos/7.jpg"


def test_more_pictures_than_memory_is_kept_for_are_refused_before_they_are_read(client, seen):
    answer = client.post(
        "/api/v1/search",
        data=b"--x\r\n",
        content_type="multipart/form-data; boundary=x",
        environ_overrides={"CONTENT_LENGTH": str(65 * 2**20)},
    )
    assert answer.status_code == 413


def test_an_element_is_searched_for_with_filters(client, seen):
    key = _post(client, {"image": (io.BytesIO(jpeg(0)), "x.jpg")})["results"][0]["key"]
    found = client.get("/api/v1/search", query_string={"element_id": key, "camera": "yard"}).json
    assert {each["camera"] for each in found["results"]} == {"yard"}
    as_json = client.post("/api/v1/search", json={"element_id": [key], "camera": ["yard"], "group": False, "k": 1})
    assert as_json.json["count"] == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 400),
        ({"element_id": "99"}, 404),
        ({"element_id": "x"}, 400),
        ({"element_id": "1", "k": "501"}, 400),
        ({"element_id": "1", "since": "whenever"}, 400),
        ({"element_id": "1", "kind": "corner"}, 400),
        ({"colour": "red"}, 400),
        ({"sample_id": "1:ab"}, 404),
        ({"text": "a tow truck"}, 400),
        ({"text": "a" * 1001}, 400),
        ({"element_id": [str(i) for i in range(21)]}, 400),
        ({"k": ["1", "2"], "element_id": "1"}, 400),
    ],
)
def test_what_can_not_be_answered_is_a_problem(client, seen, query, status):
    answer = client.get("/api/v1/search", query_string=query)
    assert answer.status_code == status and answer.mimetype == "application/problem+json"


def test_what_is_no_picture_is_a_problem(client, seen):
    assert _post(client, {"image": (io.BytesIO(b"nothing"), "x.jpg")}, 400)["reason"] == "not-an-image"
    nested = client.post("/api/v1/search", json={"text": {"a": 1}})
    assert nested.status_code == 400


def test_an_element_is_shown_with_its_picture(client, seen, parts):
    key = _post(client, {"image": (io.BytesIO(jpeg(1)), "x.jpg")})["results"][0]["key"]
    shown = client.get(f"/api/v1/elements/{key}").json
    assert (shown["frame_id"], shown["picture"], shown["camera"]) == (seen[1].frame.id, "picture", "yard")
    picture = client.get(f"/api/v1/elements/{key}/image.jpg")
    assert picture.data == jpeg(1) and picture.mimetype == "image/jpeg"
    small = client.get(f"/api/v1/elements/{key}/image.jpg?thumbnail=1")
    assert small.status_code == 200 and small.mimetype == "image/jpeg"


def test_a_picture_that_is_gone_is_404(client, seen):
    key = _post(client, {"image": (io.BytesIO(jpeg(3)), "x.jpg")})["results"][0]["key"]
    assert client.get(f"/api/v1/elements/{key}").json["picture"] == ""
    assert client.get(f"/api/v1/elements/{key}/image.jpg").status_code == 404
    assert client.get("/api/v1/elements/123456").status_code == 404
    assert client.get(f"/api/v1/elements/{10**30}").status_code == 404
