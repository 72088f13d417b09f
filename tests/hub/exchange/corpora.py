"""Small corpora for tests of files."""

from pathlib import Path

import cv2
import numpy as np

from hub.archive import Newcomer, SeenFrame
from hub.blobs import open_blobs
from hub.store import open_store
from hub.types import Detections, Frame, Observation
from tests.hub.making import unit

OURS = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
OTHER = "6ba7b811-9dad-11d1-80b4-00c04fd430c8"
DIM = 16


def opened(folder: Path, name: str = "hub"):
    return open_store(f"sqlite:///{folder / name}.sqlite")


def frame_id(i: int) -> str:
    return f"{i:032x}"


def seen(i: int, *, crops: int = 2, seed: int = 0, dim: int = DIM, version: str = OURS) -> Observation:
    """A frame of camera `porch` or `gate`, with crops of birds and cats."""
    random = np.random.default_rng(seed + i)
    boxes = np.array([[10 * j, 5, 10 * j + 9, 40] for j in range(crops)], np.float32).reshape(-1, 4)
    found = Detections(boxes, np.linspace(0.9, 0.5, crops, dtype=np.float32), ("bird", "cat", "dog")[:crops])
    frame = Frame(("porch", "gate")[i % 2], 0, 1_700_000_000.123456 + i, b"", digest=frame_id(i))
    return Observation(frame, (64, 48), found, unit(random.normal(size=(1 + crops, dim))), version, "yolo 1")


def fill(archive, frames: int = 4, *, crops: int = 2, embedder: str = "tiny") -> None:
    """Elements of frames, and one that was brought in with an id and metadata."""
    some = [seen(i, crops=crops) for i in range(frames)]
    archive.add_frames(
        [
            SeenFrame(s.frame.id, s.frame.camera, s.frame.taken_at, s.size_wh, f"/film.mp4#{i}")
            for i, s in enumerate(some)
        ],
        some,
    )
    vector = unit(np.random.default_rng(99).normal(size=DIM))[0]
    archive.add(
        [
            Newcomer(
                "f" * 32, 0, OURS, "web", 5.5, (1, 2, 3, 4), vector, "logo", 0.25, 4_000_000, {"brand": "Ünï", "n": [1]}
            )
        ]
    )
    archive.record_embedder(OURS, embedder, DIM)


def contents(archive, version: str = OURS):
    """All that is to survive a trip through a file, by frame and row."""
    ids = archive.living(version, first=1, last=archive.last_id(version)).tolist()
    return {
        (e.frame_id, e.row): (
            e.camera, e.taken_at, e.box, e.label, e.confidence, e.external_id, dict(e.metadata), s.vector.tolist(),
        )
        for s in archive.stored(ids)
        for e in [s.element]
    }  # fmt: skip


class Pictures:
    """Those of some frames, in memory."""

    def __init__(self, pictures: dict[str, bytes]) -> None:
        self.blobs = pictures

    def picture(self, frame_id: str) -> bytes:
        return open_blobs("memory://none").get(frame_id) if frame_id not in self.blobs else self.blobs[frame_id]

    def held(self, frame_ids):
        return {each for each in frame_ids if each in self.blobs}


def jpeg(i: int = 0, size_wh: tuple[int, int] = (64, 48)) -> bytes:
    """A picture like no other."""
    random = np.random.default_rng(i)
    small = random.integers(0, 255, (6, 8, 3), np.uint8)
    return cv2.imencode(".jpg", cv2.resize(small, size_wh, interpolation=cv2.INTER_CUBIC))[1].tobytes()
