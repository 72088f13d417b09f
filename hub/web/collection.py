"""`/api/v1/collection`: what `hub.client.CollectionClient` asks of a hub over HTTP.

| route | takes | gives |
|---|---|---|
| `GET state` | `campaign`, any number of times: names or ids | the active campaigns' versions with scorers and seeds |
| `POST embed` | part `request` (JSON), parts `picture` | vectors of pictures and boxes; detections where wanted |
| `POST samples` | part `request` (JSON), parts `picture` | `{"new": n, "known": n, "refused": n}` |

What the hub answers with vectors in it is packed (`hub.packed`).
"""

import json
from typing import Any

from flask import Blueprint, Response, request

from hub.collection.answers import of_looked, of_state
from hub.collection.local import LocalCollection
from hub.collection.requests import mark_of, needs_of, picture_of, upload_of
from hub.collection.values import CAMPAIGNS, MARKS, PICTURE_BYTES, PICTURES, REQUEST_BYTES
from hub.packed import pack
from hub.web.parts import Parts
from shared.errors import ImageError, InvalidInput

PACKED = "application/vnd.bowerbird.packed"

_ENVELOPE = 64 * 2**10
"""What multipart says around its parts."""


def blueprint(parts: Parts) -> Blueprint:
    """The routes."""
    routes = Blueprint("collection", __name__)
    collection = LocalCollection(parts)

    @routes.get("/state")
    def state() -> Response:
        names = request.args.getlist("campaign")
        if len(names) > CAMPAIGNS:
            raise InvalidInput(f"{len(names)} campaigns are named, and {CAMPAIGNS} is the most")
        return Response(pack(of_state(collection.state(names))), mimetype=PACKED)

    @routes.post("/embed")
    def embed() -> Response:
        said, pictures = _parts()
        listed = _listed(said, "pictures", PICTURES)
        if len(listed) != len(pictures):
            raise InvalidInput(f"{len(listed)} pictures are described, and {len(pictures)} came")
        version = said.get("embedding_version")
        if not isinstance(version, str):
            raise InvalidInput("embedding_version must be text")
        wanted = [picture_of(each, data) for each, data in zip(listed, pictures, strict=True)]
        return Response(pack(of_looked(collection.look(wanted, needs_of(said.get("needs")), version))), mimetype=PACKED)

    @routes.post("/samples")
    def samples() -> dict[str, int]:
        said, pictures = _parts()
        frames = _listed(said, "frames", PICTURES)
        if len(frames) != len(pictures):
            raise InvalidInput(f"{len(frames)} frames are described, and {len(pictures)} pictures came")
        uploads = [upload_of(each, data) for each, data in zip(frames, pictures, strict=True)]
        marks = [mark_of(each) for each in _listed(said, "processed", MARKS)]
        receipt = collection.add(uploads, marks)
        return {"new": receipt.new, "known": receipt.known, "refused": receipt.refused}

    return routes


def _parts() -> tuple[dict[str, Any], list[bytes]]:
    """The JSON object and the pictures of a multipart request; larger ones are refused before they are read."""
    request.max_content_length = REQUEST_BYTES + _ENVELOPE
    said = request.files.getlist("request")
    if len(said) != 1:
        raise InvalidInput("the request has no part named request", hint="Send multipart/form-data: request, picture…")
    try:
        body = json.loads(said[0].read())
    except (ValueError, RecursionError) as error:
        raise InvalidInput("the part named request is no JSON") from error
    if not isinstance(body, dict):
        raise InvalidInput("the part named request must be a JSON object")
    pictures = request.files.getlist("picture")
    if len(pictures) > PICTURES:
        raise InvalidInput(f"{len(pictures)} pictures came, and {PICTURES} is the most in one request")
    return body, [_bounded(part.read(PICTURE_BYTES + 1), i) for i, part in enumerate(pictures)]


def _bounded(data: bytes, i: int) -> bytes:
    if len(data) > PICTURE_BYTES:
        raise ImageError("too-large", f"picture {i} is larger than {PICTURE_BYTES:,} bytes")
    return data


def _listed(said: dict[str, Any], name: str, most: int) -> list[Any]:
    found = said.get(name, [])
    if not isinstance(found, list) or len(found) > most:
        raise InvalidInput(f"{name} must be a list of at most {most}")
    return found
