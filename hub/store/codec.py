"""Values as columns, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import RowMapping

from hub.packed import pack, unpack
from hub.triggers import from_json, to_json
from hub.types import (
    Budget,
    Calibration,
    Campaign,
    CampaignState,
    Detections,
    Fitted,
    Linked,
    RateLimit,
    Sample,
    SampleStatus,
    Scope,
    Score,
    Seed,
    SeedKind,
    Vectors,
    Version,
)

Row = RowMapping | Mapping[str, Any]


def half(vector: NDArray[np.float32] | None) -> bytes | None:
    """A unit vector as float16 bytes: half the space, and no ranking changes."""
    return None if vector is None else vector.astype("<f2").tobytes()


def from_half(data: bytes | None) -> NDArray[np.float32] | None:
    """The inverse of `half`, of unit length again."""
    if data is None:
        return None
    vector = np.frombuffer(data, "<f2").astype(np.float32)
    unit: NDArray[np.float32] = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return unit


def whole(vector: NDArray[np.float32] | None) -> bytes | None:
    """A vector as float32 bytes, where exactly the same one must come back."""
    return None if vector is None else vector.astype("<f4").tobytes()


def from_whole(data: bytes | None) -> NDArray[np.float32] | None:
    """The inverse of `whole`."""
    return None if data is None else np.frombuffer(data, "<f4").astype(np.float32)


def from_halves(rows: list[bytes]) -> Vectors:
    """Many at once, (n, d)."""
    if not rows:
        return np.zeros((0, 0), np.float32)
    vectors = np.frombuffer(b"".join(rows), "<f2").reshape(len(rows), -1).astype(np.float32)
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit


def settings_row(of: Campaign | Version) -> dict[str, Any]:
    """The columns that a campaign and its versions have in common."""
    return {
        "trigger": to_json(of.trigger),
        "scope": asdict(of.scope),
        "budget": asdict(of.budget),
        "destinations": list(of.destinations),
        "tags": list(of.tags),
    }


def _settings(row: Row) -> dict[str, Any]:
    return {
        "trigger": from_json(row["trigger"]),
        "scope": Scope(**{name: _frozen(value) for name, value in row["scope"].items()}),
        "budget": _budget(row["budget"]),
        "destinations": tuple(row["destinations"]),
        "tags": tuple(row["tags"]),
    }


def _budget(data: Mapping[str, Any]) -> Budget:
    """What an older hub did not know of is left at its default, which is how it behaved."""
    values = dict(data)
    values["limits"] = tuple(RateLimit(**limit) for limit in data.get("limits", ()))
    for name in ("target", "alarms"):
        values[name] = RateLimit(**data[name]) if data.get(name) else None
    return Budget(**values)


def _frozen(value: Any) -> Any:
    """Lists as tuples, at every depth."""
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value


def campaign_of(row: Row) -> Campaign:
    """A campaign."""
    return Campaign(
        id=row["id"],
        name=row["name"],
        **_settings(row),
        state=CampaignState(row["state"]),
        version=row["version"],
        created_at=row["created_at"],
    )


def version_of(row: Row, campaign: str, seeds: tuple[Seed, ...]) -> Version:
    """A version."""
    return Version(
        id=row["id"],
        campaign_id=row["campaign_id"],
        campaign=campaign,
        number=row["number"],
        **_settings(row),
        embedding_version=row["embedding_version"],
        seeds=seeds,
        scorer=_scorer_of(row),
        created_at=row["created_at"],
    )


def scorer_bytes(scorer: Fitted | None) -> bytes | None:
    """What a scorer learned."""
    if scorer is None:
        return None
    return pack({"name": scorer.name, "facts": scorer.facts, "arrays": scorer.arrays})


def _scorer_of(row: Row) -> Fitted | None:
    """The inverse of `scorer_bytes`. Versions of hub 0001 have calibrations instead."""
    if row["scorer"] is not None:
        return Fitted(**unpack(row["scorer"]))
    if not row["calibrations"]:
        return None
    return Fitted(
        "typical-1",
        {"calibrations": {kind: asdict(Calibration(**each)) for kind, each in row["calibrations"].items()}},
    )


def seed_row(seed: Seed) -> dict[str, Any]:
    """A seed. Its vector stays float32: there are few, and scores hang on them."""
    return {
        "id": seed.id,
        "kind": seed.kind.value,
        "name": seed.name,
        "blob": seed.blob,
        "vector": whole(seed.vector),
        "embedding_version": seed.embedding_version,
        "negative": seed.negative,
        "box": None if seed.box is None else list(seed.box),
    }


def seed_of(row: Row) -> Seed:
    """The inverse of `seed_row`."""
    return Seed(
        id=row["id"],
        kind=SeedKind(row["kind"]),
        name=row["name"],
        blob=row["blob"],
        vector=from_whole(row["vector"]),
        embedding_version=row["embedding_version"],
        negative=row["negative"],
        box=None if row["box"] is None else tuple(row["box"]),
    )


def detections_row(found: Detections) -> dict[str, Any]:
    """What was found in a frame."""
    return {
        "xyxy": [[round(v, 2) for v in box] for box in found.xyxy.tolist()],
        "confidence": [round(v, 4) for v in found.confidence.tolist()],
        "label": list(found.label),
    }


def detections_of(row: Row) -> Detections:
    """The inverse of `detections_row`."""
    return Detections(
        np.array(row["xyxy"], np.float32).reshape(-1, 4),
        np.array(row["confidence"], np.float32),
        tuple(row["label"]),
    )


def sample_row(sample: Sample) -> dict[str, Any]:
    """A sample."""
    return {
        "id": sample.id,
        "campaign_id": sample.campaign_id,
        "version": sample.version,
        "frame_id": sample.frame_id,
        "camera": sample.camera,
        "taken_at": sample.taken_at,
        "width": sample.size_wh[0],
        "height": sample.size_wh[1],
        "box": list(sample.box),
        "value": sample.score.value,
        "score": asdict(sample.score),
        "reason": sample.reason,
        "detections": detections_row(sample.detections),
        "vector": half(sample.vector),
        "embedding_version": sample.embedding_version,
        "status": sample.status.value,
        "created_at": sample.created_at,
        "destinations": list(sample.destinations),
        "tags": list(sample.tags),
        "control": sample.control,
        "linked": [asdict(each) for each in sample.linked],
        "detector": sample.detector,
    }


def sample_of(row: Row) -> Sample:
    """The inverse of `sample_row`. row has the campaign's name as `campaign`."""
    return Sample(
        campaign_id=row["campaign_id"],
        campaign=row["campaign"],
        version=row["version"],
        frame_id=row["frame_id"],
        camera=row["camera"],
        taken_at=row["taken_at"],
        size_wh=(row["width"], row["height"]),
        box=tuple(row["box"]),
        score=Score(**row["score"]),
        reason=row["reason"],
        detections=detections_of(row["detections"]),
        vector=from_half(row["vector"]),
        embedding_version=row["embedding_version"],
        status=SampleStatus(row["status"]),
        created_at=row["created_at"],
        destinations=tuple(row["destinations"]),
        tags=tuple(row["tags"]),
        control=row["control"],
        linked=tuple(Linked(**each) for each in row["linked"]),
        detector=row.get("detector", ""),  # what was held by a hub before it knew has none
    )
