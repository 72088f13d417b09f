"""COCO's annotation format, written piece by piece so that a large dataset needs no large memory."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any

from hub.sinks.facts import iso_time
from hub.sinks.splits import split_of

_FACTS = (
    "score", "camera", "taken_at", "campaign", "version", "reason", "box", "tags", "sample", "trigger", "threshold",
    "why", "nearest_seed", "cosine", "scorer", "element", "embedding_version", "detector", "redaction", "control",
    "hub_version",
)  # fmt: skip
"""What an image entry says beyond the format, as far as the journal's line does."""


def coco_json(entries: Callable[[], Iterable[dict[str, Any]]], classes: Mapping[str, int]) -> Iterator[bytes]:
    """The file in pieces. entries: gives the lines of a dataset's journal, and is asked twice. classes: name → number.

    Category ids are class numbers + 1, since readers take 0 for background. Format: cocodataset.org, "Data format".
    """
    head = {
        "info": {"description": "Collected by Bowerbird; boxes are the detector's, not a person's."},
        "categories": [{"id": number + 1, "name": name} for name, number in classes.items()],
    }
    yield json.dumps(head)[:-1].encode()
    yield b', "images": ['
    yield from _listed(_image(number, entry) for number, entry in enumerate(entries(), 1))
    yield b'], "annotations": ['
    ids = count(1)
    yield from _listed(
        {"id": next(ids), "image_id": number, **annotation}
        for number, entry in enumerate(entries(), 1)
        for annotation in _annotations(entry, classes)
    )
    yield b"]}\n"


def _image(number: int, entry: dict[str, Any]) -> dict[str, Any]:
    width, height = entry["size_wh"]
    facts = {name: entry[name] for name in _FACTS if name in entry}
    return {
        "id": number,
        "file_name": f"images/train/{entry['file_name']}",
        "width": width,
        "height": height,
        "date_captured": iso_time(entry["taken_at"]),
        "split": split_of(entry["camera"], entry["taken_at"]),
        **facts,
    }


def _annotations(entry: dict[str, Any], classes: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for xywh, label, confidence in zip(entry["xywh"], entry["label"], entry["confidence"], strict=True):
        yield {
            "category_id": classes[label] + 1,
            "bbox": xywh,
            "area": round(xywh[2] * xywh[3], 2),
            "iscrowd": 0,
            "score": confidence,
        }


def _listed(values: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for i, value in enumerate(values):
        yield (",\n" if i else "\n").encode() + json.dumps(value).encode()
