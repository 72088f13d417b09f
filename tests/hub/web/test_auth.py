import pytest
from flask import Flask

from hub.web.auth import check_listening, is_loopback, require_token
from shared.errors import NotSetUp
from tests.hub.web.making import TOKEN

COUNT = "/api/v1/ann/count"
FIND = "/api/v1/ann/from_embedding"


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_who_has_the_token_is_let_in(guarded):
    assert guarded.get(COUNT, headers=bearer(TOKEN)).status_code == 200
    assert guarded.get(COUNT, headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize(
    "said",
    ["", TOKEN, "Bearer", "Bearer ", "Bearer x", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \xe9", "Basic Og=="],
)
def test_who_has_not_is_401_and_told_how(guarded, said):
    answer = guarded.get(COUNT, headers={"Authorization": said} if said else {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.content_type == "application/problem+json" and "HUB_API_TOKEN" in answer.json["hint"]


def test_a_wrong_token_is_told_from_a_missing_one(guarded):
    assert guarded.get(COUNT, headers=bearer("x")).json["detail"] == "that token is not the one that is set"
    assert guarded.get(COUNT).json["detail"] == "a token is needed"


def test_the_front_needs_no_token(guarded):
    assert guarded.get("/").status_code == 200


def test_the_token_as_the_password_of_basic_is_no_way_in(guarded):
    assert guarded.get(COUNT, auth=("user", TOKEN)).status_code == 401


def test_a_token_in_the_query_is_no_way_in(guarded):
    assert guarded.get(f"{COUNT}?token={TOKEN}").status_code == 401


def test_without_the_token_nobody_learns_which_routes_there_are(guarded):
    assert guarded.get("/nowhere").status_code == guarded.get(COUNT).status_code == 401


def test_health_needs_no_token(guarded):
    assert guarded.get("/healthz").status_code == 200
    assert guarded.get("/readyz").status_code == 200


def test_a_hub_with_a_token_answers_to_any_name_and_to_programs_of_any_origin(guarded):
    headers = {**bearer(TOKEN), "Host": "hub.example:8000", "Origin": "https://elsewhere.example"}
    assert guarded.post(FIND, json={}, headers=headers).status_code == 400


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:8000", "127.1.2.3", "[::1]:8000", "LOCALHOST."]
)
def test_without_a_token_the_hub_answers_to_names_of_this_machine(client, host):
    assert client.get(COUNT, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "192.168.1.5:8000",
        "[::2]",
        "",
        "[",
        "0.0.0.0",
        "127.0.0.1.evil.example",
    ],
)
def test_a_name_that_was_made_to_point_here_is_refused(client, host):
    for path in (COUNT, "/healthz"):
        assert client.get(path, headers={"Host": host}).status_code in (400, 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "whatever"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "https://localhost"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_page_of_another_origin_changes_nothing(client, headers):
    assert client.post(FIND, json={}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://localhost"}],
)
def test_programs_and_pages_of_ours_may(client, headers):
    assert client.post(FIND, json={}, headers=headers).status_code == 400


def test_reading_is_for_the_browser_to_allow_and_it_is_told_not_to(client):
    answer = client.get(COUNT, headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"})
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True),
        ("0.0.0.0", False), ("::", False), ("192.168.0.1", False), ("hub.local", False), ("", False),
        ("127.0.0.1.x", False),
    ],
)  # fmt: skip
def test_loopback_is_told_from_other_addresses(host, local):
    assert is_loopback(host) is local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "hub.local", ""])
def test_without_a_token_the_hub_listens_on_loopback_only(host):
    with pytest.raises(NotSetUp, match="HUB_API_TOKEN"):
        check_listening(host, "")
    check_listening(host, "secret")


def test_a_wrong_token_takes_as_long_as_any_other(monkeypatch):
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda *both: compared.append(both) or False)
    app = Flask("here")
    require_token(app, TOKEN)
    app.test_client().get("/", headers=bearer("x"))
    assert compared == [(b"x", TOKEN.encode())]
