"""What both clients are asked to do: the official one when it is recorded, ours when it is compared. Standard library
only, since the official one lives in a virtual environment of its own."""

import base64
import json
from typing import Any

from tests.roboflow_server import Asked

PROJECT = "birds"
NAME = "porch_20261121T154333Z_0a1b2c3d.jpg"
BATCH = "bowerbird 2026-11-21"
TAGS = ["campaign:big birds/1", "train-rf-collect", "2026-11-21"]
SPLIT = "valid"
METADATA = {"camera": "porch", "score": 0.75, "control": False, "why": "bird 0.83 & a cat"}
ANNOTATION_NAME = "0a1b2c3d.json"
ANNOTATION = {
    "image": {"width": 8, "height": 8},
    "predictions": [
        {
            "x": 4.0,
            "y": 3.0,
            "width": 2.0,
            "height": 2.5,
            "confidence": 0.83,
            "class": "bird",
            "class_id": 0,
            "detection_id": "6c0ab1b0-9f6e-5f3c-a3a6-1d4a4c1a7b11",
        }
    ],
}
FIELDS = ["id", "name", "tags", "created", "split", "labels", "url"]
LIMIT = 250
TEXT, TEXTS = "a tow truck", ["a tow truck", "a bird"]
CLIP_VERSION = "ViT-B-32"
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8yb"
    "qmx5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCAAI"
    "AAgDASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhBy"
    "JxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKT"
    "lJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAA"
    "AAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRom"
    "JygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExc"
    "bHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDmaKKKAP/Z"
)
"""8 × 8 pixels."""


def form(asked: Asked) -> dict[str, Any]:
    """What of a request must be the same: not the key, the host, or the boundary between parts."""
    kind = asked.headers.get("content-type", "").partition(";")[0]
    body = sorted(asked.body, key=lambda part: part["name"]) if kind == "multipart/form-data" else asked.body
    if isinstance(body, dict) and "annotationFile" in body:
        body = {**body, "annotationFile": json.loads(body["annotationFile"])}
    if isinstance(body, dict) and "image" in body:
        body = {**body, "image": _without_pixels(body["image"])}
    key = asked.signed
    return {"method": asked.method, "path": asked.path, "key": key, "query": asked.query, "type": kind, "body": body}


def _without_pixels(image: Any) -> Any:
    """The official client encodes pictures anew, with whatever encoder it finds."""
    if isinstance(image, list):
        return [_without_pixels(each) for each in image]
    jpeg = base64.b64decode(image["value"], validate=True).startswith(b"\xff\xd8\xff")
    return {**image, "value": "base64 of a JPEG" if jpeg else "something else"}
