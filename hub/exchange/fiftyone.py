"""Pictures with what was found in them, as FiftyOne reads them: its own format on disk, `FiftyOneDataset`.

    metadata.json        the dataset's document: its fields and their types
    samples.json         {"samples": [...]}, a sample a picture, in MongoDB's extended JSON
    data/<frame id>.jpg  the pictures

Facts of that format: sizes of boxes are relative, [left, top, width, height]; a vector is a zlib-compressed .npy file
in a $binary; a time is a $date; whatever is not described in metadata.json can't be filtered by. Needs no FiftyOne.
"""

import base64
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.blobs import PARTS, storing, write_whole
from hub.types import Detections, Vectors
from shared.image import image_facts

FORMAT_VERSION = "1.0.0"
"""Of FiftyOne, whose document this is; a newer one migrates it as it reads."""

_FIELDS = "fiftyone.core.fields."
_LABELS = "fiftyone.core.labels."
_TYPES: Mapping[type, str] = {str: "StringField", int: "IntField", float: "FloatField", bool: "BooleanField"}


@dataclass(frozen=True, eq=False)
class Pictured:
    """A picture and what is known of it.

    vectors: (rows, d) unit float32, row 0 of the whole frame and 1+i of detection i; a row of zeros, or none, for what
    has no vector. facts: texts, numbers and truths by name, one type a name. key: what tells it from others of the same
    frame, where there are.
    """

    frame_id: str
    picture: bytes
    camera: str
    taken_at: float
    size_wh: tuple[int, int]
    detections: Detections
    vectors: Vectors
    tags: tuple[str, ...] = ()
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    key: str = ""

    @property
    def name(self) -> str:
        """What its id is made from; no two of a dataset may share one."""
        return self.key or self.frame_id


def write_fiftyone(out: Path, pictured: Callable[[], Iterable[Pictured]], *, name: str, said: Mapping[str, str]) -> int:
    """Write pictures to the folder `out`, or describe it anew with those given; returns how many.

    name: of the dataset. said: what is to be known of it, such as its embedding version.
    """
    facts: dict[str, type] = {}
    count = 0

    def samples() -> Iterator[bytes]:
        nonlocal count
        yield b'{"samples": ['
        for each in pictured():
            file = f"data/{each.frame_id}.{_suffix(each.picture)}"
            if not (out / file).exists():
                write_whole(out / file, [each.picture], parts=out / PARTS)
            facts.update({key: type(value) for key, value in each.facts.items()})
            yield (b",\n" if count else b"\n") + json.dumps(_sample(each, file), allow_nan=False).encode()
            count += 1
        yield b"\n]}\n"

    with storing(str(out)):
        write_whole(out / "samples.json", samples(), parts=out / PARTS)
        document = json.dumps(_document(name, said, facts), indent=1).encode()
        write_whole(out / "metadata.json", [document], parts=out / PARTS)
    return count


def _suffix(picture: bytes) -> str:
    return "png" if image_facts(picture).format == "png" else "jpg"


def _sample(of: Pictured, file: str) -> dict[str, Any]:
    width, height = of.size_wh
    return {
        "_id": _oid(of.name),
        "filepath": file,
        "tags": list(of.tags),
        "metadata": {
            "_cls": "ImageMetadata",
            "size_bytes": len(of.picture),
            "mime_type": f"image/{image_facts(of.picture).format}",
            "width": width,
            "height": height,
            "num_channels": 3,
        },
        "_media_type": "image",
        "_rand": int.from_bytes(_hash(f"order {of.name}")[:4], "big") / 2**32,
        "camera": of.camera,
        "captured_at": {"$date": {"$numberLong": str(round(of.taken_at * 1000))}},
        "detections": {"_cls": "Detections", "detections": [_detection(of, i) for i in range(len(of.detections))]},
        "embedding": _vector(of.vectors, 0),
        **of.facts,
    }


def _detection(of: Pictured, i: int) -> dict[str, Any]:
    width, height = of.size_wh
    x1, y1, x2, y2 = of.detections.box(i)
    left, top = x1 / width, y1 / height
    return {
        "_id": _oid(f"{of.name} {1 + i}"),
        "_cls": "Detection",
        "tags": [],
        "label": of.detections.label[i],
        "bounding_box": [left, top, x2 / width - left, y2 / height - top],
        "confidence": float(of.detections.confidence[i]),
        "embedding": _vector(of.vectors, 1 + i),
    }


def _vector(vectors: Vectors, row: int) -> dict[str, Any] | None:
    if row >= len(vectors) or not vectors[row].any():
        return None
    data = zlib.compress(_npy(vectors[row].astype(np.float32)))
    return {"$binary": {"base64": base64.b64encode(data).decode(), "subType": "00"}}


def _npy(vector: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.save(file, vector, allow_pickle=False)
    return file.getvalue()


def _oid(of: str) -> dict[str, str]:
    return {"$oid": _hash(of)[:12].hex()}


def _hash(of: str) -> bytes:
    return hashlib.blake2b(of.encode(), digest_size=16).digest()


# ── the dataset's document ───────────────────────────────────────────────────────────────────────────


def _document(name: str, said: Mapping[str, str], facts: Mapping[str, type]) -> dict[str, Any]:
    ours = [_field(key, _TYPES[kind]) for key, kind in facts.items()]
    return {
        "name": name,
        "version": FORMAT_VERSION,
        "media_type": "image",
        "info": dict(said),
        "sample_fields": [
            _field("id", "ObjectIdField", db_field="_id"),
            _field("filepath", "StringField"),
            _field("tags", "ListField", subfield=f"{_FIELDS}StringField"),
            _embedded("metadata", "fiftyone.core.metadata.ImageMetadata", _image_metadata()),
            _field("created_at", "DateTimeField", read_only=True),
            _field("last_modified_at", "DateTimeField", read_only=True),
            _field("camera", "StringField"),
            _field("captured_at", "DateTimeField"),
            _embedded("detections", f"{_LABELS}Detections", [_detection_list()]),
            _field("embedding", "VectorField"),
            *ours,
        ],
    }


def _image_metadata() -> list[dict[str, Any]]:
    numbers = [_field(key, "IntField") for key in ("width", "height", "num_channels")]
    return [_field("size_bytes", "IntField"), _field("mime_type", "StringField"), *numbers]


def _detection_list() -> dict[str, Any]:
    of_one = [
        _field("id", "ObjectIdField", db_field="_id"),
        _field("tags", "ListField", subfield=f"{_FIELDS}StringField"),
        _field("label", "StringField"),
        _field("bounding_box", "ListField", subfield=f"{_FIELDS}FloatField"),
        _field("confidence", "FloatField"),
        _field("embedding", "VectorField"),
    ]
    subfield = f"{_FIELDS}EmbeddedDocumentField"
    return _field("detections", "ListField", subfield=subfield) | {
        "embedded_doc_type": f"{_LABELS}Detection",
        "fields": of_one,
    }


def _embedded(name: str, kind: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return _field(name, "EmbeddedDocumentField") | {"embedded_doc_type": kind, "fields": fields}


def _field(
    name: str, kind: str, *, subfield: str | None = None, db_field: str | None = None, read_only: bool = False
) -> dict[str, Any]:
    return {
        "name": name,
        "ftype": f"{_FIELDS}{kind}",
        "embedded_doc_type": None,
        "subfield": subfield,
        "fields": [],
        "db_field": db_field or name,
        "description": None,
        "info": None,
        "read_only": read_only,
    }
