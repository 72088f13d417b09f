"""Values for tests, made in one line."""

from typing import Any

import numpy as np

from hub.triggers.detection import Detection
from hub.types import Budget, Detections, Fitted, Frame, Observation, Scope, Seed, SeedKind, Version

CALIBRATIONS = {
    "image": {"floor": 0.2, "boundary": 0.6, "source": ""},
    "text": {"floor": 0.1, "boundary": 0.25, "source": ""},
}


def unit(rows: Any) -> np.ndarray:
    """Rows scaled to unit length, float32."""
    array = np.atleast_2d(np.asarray(rows, np.float32))
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def detections(*found: tuple[str, float]) -> Detections:
    """Boxes in a row, a label and a confidence each."""
    boxes = np.array([[10 * i, 0, 10 * i + 8, 8] for i in range(len(found))], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array([c for _, c in found], np.float32), tuple(label for label, _ in found))


def frame(content: str = "a", camera: str = "porch", taken_at: float = 1000.0) -> Frame:
    return Frame(camera, 1, taken_at, content.encode())


def observation(
    *found: tuple[str, float], vectors: Any = None, content: str = "a", camera: str = "porch", at: float = 1000.0
) -> Observation:
    rows = np.zeros((0, 0), np.float32) if vectors is None else unit(vectors)
    return Observation(frame(content, camera, at), (640, 480), detections(*found), rows, "v1" if len(rows) else None)


def seed(vector: Any, name: str = "seed", kind: SeedKind = SeedKind.IMAGE) -> Seed:
    return Seed(name, kind, name, name if kind is not SeedKind.TEXT else "", unit(vector)[0], "v1")


def version(trigger: Any = None, seeds: tuple[Seed, ...] = (), **changes: Any) -> Version:
    values: dict[str, Any] = {
        "id": 1,
        "campaign_id": 1,
        "campaign": "birds",
        "number": 1,
        "trigger": trigger or Detection(("bird",)),
        "scope": Scope(),
        "budget": Budget(),
        "destinations": ("folder",),
        "tags": (),
        "embedding_version": "v1" if seeds else None,
        "seeds": seeds,
        "scorer": Fitted("typical-1", {"calibrations": CALIBRATIONS}) if seeds else None,
        "created_at": 0.0,
    }
    return Version(**values | changes)
