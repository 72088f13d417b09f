"""What a destination is told of a sample beside its picture. Pure."""

from collections import Counter
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from hub.deliveries import Parcel
from hub.types import Detections, ElementKind

Facts = dict[str, Any]
"""JSON values by name."""


def facts_of(parcel: Parcel) -> Facts:
    """Why a sample was taken, by which models, and what is in it. Each name is always there.

    Texts are "" and numbers None where there is nothing to say. taken_at: ISO 8601, UTC. box: [x1, y1, x2, y2] of the
    element that won, size: [width, height], both in pixels of the upright picture. detections: each a label, a
    confidence and a box. nearest_seed: its name; cosine: to it. redaction: what was made unrecognisable.
    """
    sample, why = parcel.sample, parcel.provenance
    return {
        "sample": sample.id,
        "frame": sample.frame_id,
        "campaign": sample.campaign,
        "version": sample.version,
        "trigger": why.trigger,
        "camera": sample.camera,
        "taken_at": iso_time(sample.taken_at),
        "score": round(sample.score.value, 5),
        "threshold": why.threshold,
        "reason": sample.reason,
        "why": sample.score.why,
        "nearest_seed": why.seed,
        "cosine": None if sample.score.cosine is None else round(sample.score.cosine, 5),
        "scorer": sample.score.scorer,
        "element": (ElementKind.CROP if sample.score.row else ElementKind.FRAME).value,
        "box": [round(value, 2) for value in sample.box],
        "size": list(sample.size_wh),
        "detections": _listed(sample.detections),
        "embedding_version": why.embedding_version,
        "detector": why.detector,
        "redaction": parcel.redaction,
        "control": sample.control,
        "tags": list(sample.tags),
        "hub_version": hub_version(),
    }


def flat_facts(parcel: Parcel) -> dict[str, str | float | bool]:
    """`facts_of` as plain texts, numbers and truths, for destinations that take no more: what there is nothing to say
    of is left out, lists are joined by spaces, detections counted by label ("2 person, 1 car")."""
    facts = facts_of(parcel) | {"detections": counted(parcel.sample.detections.label)}
    flat = {name: " ".join(map(str, value)) if isinstance(value, list) else value for name, value in facts.items()}
    return {name: value for name, value in flat.items() if value is not None and value != ""}


def counted(labels: tuple[str, ...]) -> str:
    """ "2 person, 1 car": the most frequent first, then the one that came first."""
    return ", ".join(f"{count} {label}" for label, count in Counter(labels).most_common())


def iso_time(at: float) -> str:
    """Unix seconds as ISO 8601 in UTC, to the millisecond: "2024-05-01T12:00:00.000Z"."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _listed(found: Detections) -> list[Facts]:
    return [
        {
            "label": label,
            "confidence": round(float(found.confidence[i]), 4),
            "box": [round(value, 2) for value in found.box(i)],
        }
        for i, label in enumerate(found.label)
    ]


@cache
def hub_version() -> str:
    """Of this hub, as installed."""
    return version("bowerbird")
