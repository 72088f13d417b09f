"""Records what Roboflow's own Python clients ask a server, into recorded.json.

    tests/roboflow_sdk/run.sh            from nothing, in a virtual environment of its own
    python -m tests.roboflow_sdk.record OUT.json

Needs what requirements.txt pins, and from the project only its standard-library parts.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.roboflow_sdk import scene
from tests.roboflow_server import RoboflowServer


class Recorder:
    """Names what a client asks within `call`."""

    def __init__(self, server: RoboflowServer) -> None:
        self._server = server
        self.calls: dict[str, list[dict[str, Any]]] = {}

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        before = len(self._server.requests)
        yield
        self.calls[name] = [scene.form(asked) for asked in self._server.requests[before:]]


def record_datasets(server: RoboflowServer, folder: Path) -> dict[str, Any]:
    """What `roboflow` asks."""
    os.environ |= {"API_URL": server.url, "ROBOFLOW_CONFIG_DIR": str(folder / "config.json")}
    import roboflow  # it reads the environment as it is imported

    picture, annotation = folder / scene.NAME, folder / scene.ANNOTATION_NAME
    picture.write_bytes(scene.JPEG)
    annotation.write_text(json.dumps(scene.ANNOTATION))
    told = Recorder(server)
    with told.call("key"):
        client = roboflow.Roboflow(api_key=server.key)
    workspace = client.workspace()
    with told.call("project"):
        project = workspace.project(scene.PROJECT)
    with told.call("upload and annotate"):
        sent = project.single_upload(
            image_path=str(picture),
            annotation_path=str(annotation),
            split=scene.SPLIT,
            batch_name=scene.BATCH,
            tag_names=scene.TAGS,
            is_prediction=True,
            metadata=scene.METADATA,
        )
    image_id = sent["image"]["id"]
    with told.call("upload without metadata"):
        project.upload_image(str(picture), split=scene.SPLIT, batch_name=scene.BATCH)
    with told.call("annotate again"):
        project.save_annotation(str(annotation), image_id=image_id, is_prediction=True)
    with told.call("tag"):
        project.update_image_metadata(image_id, add_tags=scene.TAGS)
    with told.call("search"):
        list(project.search_all(tag=scene.TAGS[0], limit=scene.LIMIT, fields=scene.FIELDS))
    with told.call("search embeddings"):
        list(project.search_all(limit=scene.LIMIT, fields=[*scene.FIELDS, "embedding"]))
    with told.call("image"):
        project.image(image_id)
    with told.call("batches"):
        project.get_batches()
    with told.call("workspace search"):
        list(workspace.search_all(f"tag:{scene.TAGS[1]}", page_size=50, fields=["id", "tags"]))
    return {"client": f"roboflow {roboflow.__version__}", "calls": told.calls}


def record_clip(server: RoboflowServer, folder: Path) -> dict[str, Any]:
    """What `inference-sdk` asks of an inference server."""
    import inference_sdk
    from inference_sdk import InferenceHTTPClient

    picture = folder / scene.NAME
    told = Recorder(server)
    client = InferenceHTTPClient(api_url=server.url, api_key=server.key)
    with told.call("text"):
        client.get_clip_text_embeddings(scene.TEXT)
    with told.call("texts"):
        client.get_clip_text_embeddings(scene.TEXTS, clip_version=scene.CLIP_VERSION)
    with told.call("image"):
        client.get_clip_image_embeddings(str(picture))
    with told.call("images"):
        client.get_clip_image_embeddings([str(picture)] * 2, clip_version=scene.CLIP_VERSION)
    return {"client": f"inference-sdk {inference_sdk.__version__}", "calls": told.calls}


def main(out: str) -> None:
    """Record both, and write them down."""
    with tempfile.TemporaryDirectory() as folder, RoboflowServer() as server:
        recorded = {
            "datasets": record_datasets(server, Path(folder)),
            "clip": record_clip(server, Path(folder)),
        }
    Path(out).write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
