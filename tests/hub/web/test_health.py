import time
from dataclasses import replace
from importlib.metadata import version

import pytest

from hub.types import Camera, CameraHealth
from hub.web import create_app
from shared.errors import ModelError
from tests.hub.web.making import TOKEN

CAMERA = Camera("porch", "http://127.0.0.1:1/image.jpg")


def ready(client):
    answer = client.get("/readyz")
    return answer.status_code, answer.json


def test_alive_is_all_that_healthz_says(client):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_a_hub_without_cameras_is_ready(client):
    assert ready(client) == (200, {"status": "ready", "database": "ok", "models": "ok", "polling": "ok"})


@pytest.mark.parametrize(("said_s_ago", "status"), [(5, 200), (60, 503)])
def test_polling_is_what_the_collector_said_lately(client, parts, said_s_ago, status):
    parts.store.add_camera(CAMERA)
    parts.store.record_health([CameraHealth("porch", "up", updated_at=time.time() - said_s_ago)])
    answered, said = ready(client)
    assert answered == status
    assert (said["polling"] == "ok") == (status == 200)


def test_cameras_and_no_collector_are_not_ready_and_it_says_what_to_do(client, parts):
    parts.store.add_camera(CAMERA)
    status, said = ready(client)
    assert status == 503 and said["status"] == "not ready" and "hub collect" in said["polling"]


def test_a_camera_that_is_switched_off_need_not_be_polled(client, parts):
    parts.store.add_camera(replace(CAMERA, enabled=False))
    assert ready(client)[0] == 200


def test_a_failing_camera_is_polled_all_the_same(client, parts):
    parts.store.add_camera(CAMERA)
    parts.store.record_health([CameraHealth("porch", "failing", "timeout", updated_at=time.time())])
    assert ready(client)[0] == 200


def test_a_model_that_can_not_be_loaded_is_not_ready(parts):
    def broken():
        raise ModelError("the model at http://user:hunter2@models/x is damaged", hint="Fetch it again.")

    parts.embedder = broken
    status, said = ready(create_app(parts).test_client())
    assert status == 503 and "Fetch it again" in said["models"] and "hunter2" not in str(said)


def test_without_the_token_it_says_no_more_than_whether(guarded):
    assert ready(guarded) == (200, {"status": "ready"})
    said = guarded.get("/readyz", headers={"Authorization": f"Bearer {TOKEN}"}).json
    assert said["database"] == "ok"


def test_the_front_says_what_this_is_and_which_routes_to_look_at(client):
    answer = client.get("/")
    assert answer.status_code == 200 and answer.mimetype == "text/plain"
    assert "Bowerbird hub" in answer.text and version("bowerbird") in answer.text
    for route in ("/healthz", "/readyz", "/api/v1/search", "/api/v1/ann"):
        assert route in answer.text
        assert "no such page" not in client.get(route).text
