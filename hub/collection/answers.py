"""What a hub says to a client, as plain values to be packed (`hub.packed`), and back. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hub.collection.values import EmbedderName, Looked, State
from hub.triggers import from_json, to_json
from hub.types import Budget, Detections, Fitted, RateLimit, Scope, Seed, SeedKind, Version


def of_state(state: State) -> dict[str, Any]:
    """To be packed."""
    return {
        "versions": [_of_version(each) for each in state.versions],
        "embedders": [asdict(each) for each in state.embedders],
    }


def state_of(data: Mapping[str, Any]) -> State:
    """The inverse of `of_state`."""
    return State([_version_of(each) for each in data["versions"]], [EmbedderName(**each) for each in data["embedders"]])


def of_looked(looked: Sequence[Looked]) -> dict[str, Any]:
    """To be packed."""
    return {
        "pictures": [
            {
                "size_wh": each.size_wh,
                "xyxy": each.detections.xyxy,
                "confidence": each.detections.confidence,
                "label": each.detections.label,
                "vectors": each.vectors,
                "embedding_version": each.embedding_version,
                "detector": each.detector,
            }
            for each in looked
        ]
    }


def looked_of(data: Mapping[str, Any]) -> list[Looked]:
    """The inverse of `of_looked`."""
    return [
        Looked(
            size_wh=each["size_wh"],
            detections=Detections(each["xyxy"], each["confidence"], each["label"]),
            vectors=each["vectors"],
            embedding_version=each["embedding_version"],
            detector=each["detector"],
        )
        for each in data["pictures"]
    ]


def _of_version(version: Version) -> dict[str, Any]:
    seeds, scorer = version.seeds, version.scorer
    embedded = [seed.vector for seed in seeds if seed.vector is not None]
    return {
        "id": version.id,
        "campaign_id": version.campaign_id,
        "campaign": version.campaign,
        "number": version.number,
        "trigger": to_json(version.trigger),
        "scope": asdict(version.scope),
        "budget": asdict(version.budget),
        "destinations": version.destinations,
        "tags": version.tags,
        "embedding_version": version.embedding_version,
        "scorer": None if scorer is None else {"name": scorer.name, "facts": scorer.facts, "arrays": scorer.arrays},
        "created_at": version.created_at,
        "seeds": [
            {
                "id": seed.id,
                "kind": seed.kind.value,
                "name": seed.name,
                "blob": seed.blob,
                "embedding_version": seed.embedding_version,
                "negative": seed.negative,
                "box": seed.box,
                "embedded": seed.vector is not None,
            }
            for seed in seeds
        ],
        "vectors": np.stack(embedded) if embedded else np.zeros((0, 0), np.float32),
    }


def _version_of(data: Mapping[str, Any]) -> Version:
    values = dict(data)
    vectors = iter(values.pop("vectors"))
    budget = dict(values["budget"])
    for name in ("target", "alarms"):
        budget[name] = RateLimit(**budget[name]) if budget[name] else None
    budget["limits"] = tuple(RateLimit(**each) for each in budget["limits"])
    seeds = []
    for each in values.pop("seeds"):
        said = dict(each)
        vector = next(vectors) if said.pop("embedded") else None
        seeds.append(Seed(**said | {"kind": SeedKind(said["kind"]), "vector": vector}))
    return Version(
        **values
        | {
            "trigger": from_json(values["trigger"]),
            "scope": Scope(**values["scope"]),
            "budget": Budget(**budget),
            "scorer": Fitted(**values["scorer"]) if values["scorer"] else None,
            "seeds": tuple(seeds),
        }
    )
