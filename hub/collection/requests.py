"""What a client says to a hub, as JSON, and back. Pure.

JSON, so that nothing of unknown origin is unpacked: vectors are the base64 of little-endian float32, pictures come
beside it. The way back raises InvalidInput for what has another shape; whether it can be is for `checks` to say.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.collection.json_values import flag, listed, mapping, number, text, whole
from hub.collection.values import BOXES, CAMPAIGNS, Mark, Picture, Taken, Upload
from hub.types import Detections, Needs, Score
from shared.errors import InvalidInput


def of_needs(needs: Needs) -> dict[str, Any]:
    """As JSON."""
    return asdict(needs)


def needs_of(data: object) -> Needs:
    """The inverse. InvalidInput for anything else."""
    said = mapping(data, "needs")
    return Needs(
        detections=flag(said, "detections"),
        frame_vector=flag(said, "frame_vector"),
        crop_vectors=flag(said, "crop_vectors"),
        confidence=number(said, "confidence"),
        crop_confidence=number(said, "crop_confidence"),
    )


def of_picture(picture: Picture) -> dict[str, Any]:
    """As JSON, without its bytes."""
    return {"xyxy": None if picture.xyxy is None else picture.xyxy.tolist()}


def picture_of(data: object, picture: bytes) -> Picture:
    """The inverse. InvalidInput for anything else."""
    xyxy = mapping(data, "a picture").get("xyxy")
    return Picture(picture, None if xyxy is None else _boxes(xyxy))


def of_upload(upload: Upload) -> dict[str, Any]:
    """As JSON, without its picture."""
    return {
        "camera": upload.camera,
        "taken_at": upload.taken_at,
        "xyxy": upload.detections.xyxy.tolist(),
        "confidence": upload.detections.confidence.tolist(),
        "label": list(upload.detections.label),
        "dim": int(upload.vectors.shape[1]),
        "vectors": base64.b64encode(upload.vectors.astype("<f4").tobytes()).decode(),
        "embedding_version": upload.embedding_version,
        "detector": upload.detector,
        "taken": [
            {
                "campaign_id": each.campaign_id,
                "number": each.number,
                "reason": each.reason,
                "score": asdict(each.score),
            }
            for each in upload.taken
        ],
        "metadata": {str(row): dict(said) for row, said in upload.metadata.items()},
    }


def upload_of(data: object, picture: bytes) -> Upload:
    """The inverse. InvalidInput for what has another shape; whether it can be is for `checks` to say."""
    said = mapping(data, "a frame")
    labels = [text(each, "a label") for each in listed(said, "label", BOXES)]
    xyxy, confidence = _boxes(listed(said, "xyxy", BOXES)), _floats(listed(said, "confidence", BOXES), "confidence")
    if not len(labels) == len(xyxy) == len(confidence):
        raise InvalidInput(f"a frame has {len(xyxy)} boxes, {len(confidence)} confidences and {len(labels)} labels")
    metadata = mapping(said.get("metadata", {}), "metadata")
    return Upload(
        picture=picture,
        camera=text(said.get("camera"), "the camera"),
        taken_at=number(said, "taken_at"),
        detections=Detections(xyxy, confidence, tuple(labels)),
        vectors=_vectors(said),
        embedding_version=text(said.get("embedding_version"), "the embedding version"),
        taken=[_taken(each) for each in listed(said, "taken", CAMPAIGNS)],
        detector=text(said.get("detector", ""), "the detector"),
        metadata={_row(row): mapping(each, "metadata") for row, each in metadata.items()},
    )


def of_mark(mark: Mark) -> list[Any]:
    """As JSON."""
    return [mark.frame_id, mark.camera, mark.taken_at, [list(each) for each in mark.versions]]


def mark_of(data: object) -> Mark:
    """The inverse. InvalidInput for what has another shape."""
    if not isinstance(data, list) or len(data) != 4 or not isinstance(data[3], list):
        raise InvalidInput("a processed frame is [frame id, camera, time, [[campaign id, version], …]]")
    versions = []
    for each in data[3]:
        if not isinstance(each, list) or len(each) != 2:
            raise InvalidInput("a version is [campaign id, number]")
        versions.append((whole(each[0], "a campaign id"), whole(each[1], "a version")))
    at = number({"taken_at": data[2]}, "taken_at")
    return Mark(text(data[0], "a frame id"), text(data[1], "the camera"), at, tuple(versions))


def _taken(data: object) -> Taken:
    said = mapping(data, "a sample")
    score = mapping(said.get("score"), "a score")
    cosine = score.get("cosine")
    return Taken(
        campaign_id=whole(said.get("campaign_id"), "a campaign id"),
        number=whole(said.get("number"), "a version"),
        reason=text(said.get("reason", ""), "a reason"),
        score=Score(
            value=number(score, "value"),
            row=whole(score.get("row"), "a row"),
            seed=text(score.get("seed", ""), "a seed"),
            cosine=None if cosine is None else number(score, "cosine"),
            scorer=text(score.get("scorer", ""), "a scorer"),
            why=text(score.get("why", ""), "a reason"),
        ),
    )


def _vectors(said: Mapping[str, Any]) -> NDArray[np.float32]:
    dim = whole(said.get("dim"), "dim")
    encoded = text(said.get("vectors"), "vectors")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("vectors must be base64") from error
    if not data:
        return np.zeros((0, 0), np.float32)
    if not dim or len(data) % (4 * dim):
        raise InvalidInput(f"{len(data)} bytes of vectors are no rows of {dim} float32")
    return np.frombuffer(data, "<f4").astype(np.float32).reshape(-1, dim)


def _boxes(data: object) -> NDArray[np.float32]:
    if not isinstance(data, list) or len(data) > BOXES:
        raise InvalidInput(f"boxes must be a list of at most {BOXES}")
    if not all(isinstance(box, list) and len(box) == 4 for box in data):
        raise InvalidInput("a box is [x1, y1, x2, y2] in pixels")
    return np.array([_floats(box, "a box") for box in data], np.float32).reshape(-1, 4)


def _floats(data: Sequence[object], what: str) -> NDArray[np.float32]:
    values = [number({what: each}, what) for each in data]
    if any(abs(value) > 1e9 for value in values):
        raise InvalidInput(f"{what} holds a number that is out of range")
    return np.array(values, np.float32)


def _row(name: str) -> int:
    if not (name.isascii() and name.isdigit() and len(name) < 4):
        raise InvalidInput("metadata goes by row numbers")
    return int(name)
