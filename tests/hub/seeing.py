"""Frames that were seen, for tests: in a real store, with their pictures in the ring where they are held."""

from typing import Any

import numpy as np

from hub.archive import SeenFrame
from hub.pipeline import Decoded, perceive
from hub.types import Detections, Frame, Needs, Observation
from hub.vision import decode
from tests.hub.making import unit

NONE = Detections.empty()


def see(
    parts: Any, picture: bytes, *, at: float, camera: str = "porch", held: bool = True, needs: Needs | None = None
) -> Observation:
    """A picture that was looked at; held: whether the ring still has it. needs: by default a vector of the frame."""
    frame = Frame(camera, 0, at, picture)
    asked = needs or Needs(frame_vector=True)
    seen = perceive([Decoded(frame, decode(picture))], asked, parts.detector(), parts.embedder())[0]
    keep(parts, seen, picture if held else b"")
    return seen


def see_vector(
    parts: Any, vector: Any, *, at: float, camera: str = "porch", picture: bytes = b"", name: str = ""
) -> Observation:
    """A frame of which the vector is known, (d,)."""
    digest = name or f"{abs(hash((camera, at))):032x}"
    frame = Frame(camera, 0, at, picture, digest="" if picture else digest)
    seen = Observation(frame, (64, 48), NONE, unit(vector), parts.embedder().version)
    keep(parts, seen, picture)
    return seen


def keep(parts: Any, seen: Observation, picture: bytes) -> None:
    """Store what was seen, and the picture, b"" for one that is gone."""
    frame = seen.frame
    if picture:
        parts.ring("recent").put(frame.id, picture)
    known = SeenFrame(frame.id, frame.camera, frame.taken_at, seen.size_wh, "", len(picture))
    parts.store.archive.add_frames([known], [seen])


def near(vector: Any, cosine: float, seed: int = 0) -> np.ndarray:
    """A unit vector of this cosine to a unit vector (d,)."""
    other = np.random.default_rng(seed).normal(size=len(vector))
    other -= (other @ vector) * vector
    other /= np.linalg.norm(other)
    return unit(cosine * np.asarray(vector) + np.sqrt(1 - cosine**2) * other)[0]
