"""A sample in Roboflow's terms: file name, tags, predictions. Pure."""

import uuid
from datetime import UTC, datetime
from typing import Any

from hub.deliveries import Parcel
from hub.roboflow import legal_tag
from hub.sinks.folder import slug
from hub.types import Sample
from shared.errors import ImageError, Refused
from shared.image import image_facts

_IDS = uuid.UUID("5f0a6a0e-7d6c-5f7e-9a55-0c1c8d6d2a11")
"""Namespace of detections' ids."""


def remote_id(project: str, image_id: str) -> str:
    """What a delivery keeps of an image there: its project too, since the settings may name another one later."""
    return f"{project}/{image_id}"


def project_and_image(kept: str) -> tuple[str, str]:
    """The inverse of `remote_id`."""
    project, _, image_id = kept.rpartition("/")
    return project, image_id


def file_name(parcel: Parcel) -> str:
    """<camera>_<time>_<frame>.jpg or .png: the same at every try. Refused when the bytes are no picture."""
    sample = parcel.sample
    try:
        suffix = ".png" if image_facts(parcel.picture).format == "png" else ".jpg"
    except ImageError as error:
        raise Refused(f"the stored picture is damaged: {error.message}") from error
    at = datetime.fromtimestamp(sample.taken_at, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{slug(sample.camera)}_{at}_{sample.frame_id[:8]}{suffix}"


def tags_of(sample: Sample) -> list[str]:
    """The sample's tags as Roboflow accepts them, the UTC date it was taken, and where it comes from."""
    tags = [
        *sample.tags,
        datetime.fromtimestamp(sample.taken_at, UTC).strftime("%Y-%m-%d"),
        f"campaign:{sample.campaign}",
        f"camera:{sample.camera}",
        f"version:{sample.version}",
        *(["control"] if sample.control else []),
    ]
    return list(dict.fromkeys(tag for tag in map(legal_tag, tags) if tag))


def predictions_of(sample: Sample) -> list[dict[str, Any]]:
    """Detections as Roboflow's own models give them: centre and size in pixels, within the picture. Classes are
    numbered by name; ids are the same at every try."""
    found = sample.detections
    class_ids = {label: number for number, label in enumerate(sorted(set(found.label)))}
    width, height = sample.size_wh
    predictions = []
    for i, label in enumerate(found.label):
        x1, y1, x2, y2 = found.box(i)
        x1, x2 = (min(max(x, 0.0), float(width)) for x in (x1, x2))
        y1, y2 = (min(max(y, 0.0), float(height)) for y in (y1, y2))
        if x2 > x1 and y2 > y1:
            predictions.append(
                {
                    "x": round((x1 + x2) / 2, 2),
                    "y": round((y1 + y2) / 2, 2),
                    "width": round(x2 - x1, 2),
                    "height": round(y2 - y1, 2),
                    "confidence": round(float(found.confidence[i]), 4),
                    "class": label,
                    "class_id": class_ids[label],
                    "detection_id": str(uuid.uuid5(_IDS, f"{sample.id}:{i}")),
                }
            )
    return predictions
