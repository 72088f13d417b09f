"""What we ask Roboflow is what its own client asks."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.roboflow import Roboflow
from tests.roboflow_sdk import scene
from tests.roboflow_server import RoboflowServer

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "recorded.json").read_text())["datasets"]["calls"]


def _upload(api: Roboflow, **more: object) -> str:
    return api.upload(scene.PROJECT, scene.JPEG, name=scene.NAME, split=scene.SPLIT, batch=scene.BATCH, **more).id


def _upload_and_annotate(api: Roboflow, image_id: str) -> None:
    sent = _upload(api, tags=scene.TAGS, metadata=scene.METADATA)
    api.annotate(scene.PROJECT, sent, scene.ANNOTATION, name=scene.ANNOTATION_NAME, job=scene.BATCH)


OURS: dict[str, Callable[[Roboflow, str], object]] = {
    "key": lambda api, image_id: api.workspace,
    "project": lambda api, image_id: api.project(scene.PROJECT),
    "upload and annotate": _upload_and_annotate,
    "upload without metadata": lambda api, image_id: _upload(api),
    "annotate again": lambda api, image_id: api.annotate(
        scene.PROJECT, image_id, scene.ANNOTATION, name=scene.ANNOTATION_NAME
    ),
    "tag": lambda api, image_id: api.add_tags(scene.PROJECT, image_id, scene.TAGS),
    "search": lambda api, image_id: list(api.search(scene.PROJECT, tag=scene.TAGS[0])),
    "search embeddings": lambda api, image_id: list(api.search(scene.PROJECT, embeddings=True)),
    "image": lambda api, image_id: api.image(scene.PROJECT, image_id),
    "batches": lambda api, image_id: api.batch_sizes(scene.PROJECT),
}


@pytest.mark.parametrize("call", OURS)
def test_our_requests_are_those_of_the_official_client(call):
    with RoboflowServer() as server:
        image_id = server.add(scene.PROJECT, scene.JPEG).id
        # The official client learns its workspace beforehand, too.
        with Roboflow(server.key, url=server.url, workspace="" if call == "key" else server.workspace) as api:
            OURS[call](api, image_id)
        assert [scene.form(asked) for asked in server.requests] == RECORDED[call]


def test_every_recorded_call_but_the_search_of_a_workspace_is_ours():
    assert OURS.keys() == RECORDED.keys() - {"workspace search"}


def test_the_recording_holds_no_key():
    with RoboflowServer() as server:
        assert server.key not in (HERE / "recorded.json").read_text()


@pytest.mark.sdk
@pytest.mark.timeout(600)
def test_the_official_clients_still_ask_what_was_recorded():
    ran = subprocess.run([str(HERE / "run.sh")], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
