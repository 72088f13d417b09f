import logging

import pytest
from flask import Flask, abort, request

import shared.errors as errors
from hub.web import create_app
from hub.web.problems import PROBLEMS, answer_errors
from hub.web.requests import HEADERS
from shared.errors import (
    AlreadyExists,
    BowerbirdError,
    CameraError,
    ConfigError,
    DownloadError,
    ImageError,
    InvalidInput,
    ModelError,
    NotFound,
    NotSetUp,
    Paused,
    RetryLater,
    StorageFull,
    StoreError,
)


def answer_to(error, path="/", **asked):
    app = Flask("here")
    answer_errors(app)

    @app.get("/")
    def fail():
        raise error

    return app.test_client().get(path, **asked)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput("x"), 400),
        (NotFound("camera", "x"), 404),
        (AlreadyExists("camera", "x"), 409),
        (NotSetUp("x"), 409),
        (ConfigError(["x"]), 500),
        (ImageError("truncated", "x"), 400),
        (CameraError("timeout", "x"), 502),
        (ModelError("x"), 503),
        (DownloadError("x"), 503),
        (StoreError("x"), 503),
        (StorageFull("x"), 507),
        (RetryLater("x"), 503),
        (Paused("x"), 502),
        (BowerbirdError("x"), 500),
    ],
)
def test_each_of_our_errors_has_a_status(error, status):
    answer = answer_to(error)
    assert answer.status_code == answer.json["status"] == status
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"].startswith("urn:bowerbird:") and answer.json["title"] and answer.json["detail"]


def test_every_error_there_is_has_a_row_and_none_hides_another():
    ours = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, BowerbirdError)]
    rows = [row[0] for row in PROBLEMS]
    assert all(any(issubclass(error, row) for row in rows) for error in ours)
    assert not [(a, b) for i, a in enumerate(rows) for b in rows[i + 1 :] if issubclass(b, a)]


def test_an_error_says_what_to_do_and_why():
    said = answer_to(ImageError("truncated", "12 bytes", hint="Send all of it.")).json
    assert said == {
        "type": "urn:bowerbird:image",
        "title": "Invalid image",
        "status": 400,
        "detail": "12 bytes",
        "hint": "Send all of it.",
        "reason": "truncated",
    }


def test_a_destination_that_asks_to_wait_is_waited_for():
    assert answer_to(RetryLater("busy", after_s=2.5)).headers["Retry-After"] == "3"


def test_secrets_are_never_said():
    said = answer_to(StoreError("postgresql://hub:hunter2@db failed", hint="key=hunter2")).text
    assert "hunter2" not in said


def test_a_fault_of_ours_is_500_and_its_traceback_is_for_the_log(caplog):
    with caplog.at_level(logging.ERROR):
        answer = answer_to(ZeroDivisionError("the secret sauce"))
    assert answer.status_code == 500 and answer.content_type == "application/problem+json"
    assert "sauce" not in answer.text and "Traceback" not in answer.text
    assert "sauce" in caplog.text


@pytest.mark.parametrize("code", [400, 403, 404, 405, 413, 415, 418, 429, 503])
def test_errors_of_http_are_problems_too(code):
    app = Flask("here")
    answer_errors(app)
    app.add_url_rule("/", view_func=lambda: abort(code))
    answer = app.test_client().get("/")
    assert (answer.status_code, answer.json["status"]) == (code, code)
    assert answer.json["type"] == "about:blank" and answer.content_type == "application/problem+json"


def test_a_redirect_is_no_problem():
    app = Flask("here")
    answer_errors(app)
    app.add_url_rule("/there/", view_func=lambda: "here")
    answer = app.test_client().get("/there")
    assert answer.status_code == 308 and answer.headers["Location"].endswith("/there/")


def test_every_answer_has_headers_that_keep_browsers_from_harm(client, guarded):
    for answer in (client.get("/healthz"), client.get("/nowhere"), guarded.get("/api/v1/ann/count")):
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_a_route_may_say_otherwise(parts):
    app = create_app(parts)
    app.add_url_rule("/page", view_func=lambda: ("", 200, {"Cache-Control": "max-age=60"}))
    assert app.test_client().get("/page").headers.getlist("Cache-Control") == ["max-age=60"]


def test_a_request_is_a_line_in_the_log_without_its_query(client, caplog):
    with caplog.at_level(logging.INFO, logger="hub.web.access"):
        client.get("/api/v1/ann/count?token=hunter2&index=x")
        client.get("/a%0Ab%1b%5b31m?x=hunter2")
        client.get("/healthz")
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("GET /api/v1/ann/count 400 ") and first.endswith(" ms")
    assert second.startswith("GET /a%0Ab%1B%5B31m 404 ")
    assert "hunter2" not in caplog.text


def test_a_body_is_bounded_unless_its_route_says_otherwise(parts):
    app = create_app(parts)

    def small():
        return str(len(request.get_data()))

    def large():
        request.max_content_length = 5_000_000
        return small()

    app.add_url_rule("/small", view_func=small, methods=["POST"])
    app.add_url_rule("/large", view_func=large, methods=["POST"])
    client, body = app.test_client(), b"x" * 3_000_000
    assert client.post("/small", data=body).status_code == 413
    assert client.post("/large", data=body).text == "3000000"


def test_where_no_route_is_it_says_so_in_our_words(client):
    answer = client.get("/nowhere")
    assert (answer.status_code, answer.json["detail"]) == (404, "there is no such page")
