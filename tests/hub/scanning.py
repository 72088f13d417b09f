"""A hub without a hub, and pictures for it to scan."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hub.blobs import open_blobs
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.pictures import Pictures
from hub.scan import Models, Places, Rules, scan
from hub.store import open_store
from hub.target import SeedTarget
from hub.triggers.detection import Detection
from hub.types import Detections, Version
from tests.contract.storing import active

HOUR = 3600.0


class Light:
    """A detector that finds one "light": as confident as the picture is bright. Counts what it looks at."""

    name, version, labels = "light meter", "1", ("light",)

    def __init__(self) -> None:
        self.looked = 0

    def detect(self, images: Any) -> list[Detections]:
        self.looked += len(images)
        return [
            Detections(np.array([[1, 1, 9, 9]], np.float32), np.array([i.mean() / 255], np.float32), ("light",))
            for i in images
        ]


def picture(brightness: float, seed: int = 0) -> bytes:
    """A JPEG of that mean brightness, 0 to 1."""
    noise = np.random.default_rng(seed).normal(0, 6, (48, 64, 3))
    pixels = np.clip(brightness * 255 + noise, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def put(folder: Path, *brightness: float, start: int = 0, every_s: float = 60.0) -> list[Path]:
    """Pictures p0.jpg … in a folder, taken a minute apart."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i, value in enumerate(brightness, start):
        path = folder / f"p{i}.jpg"
        path.write_bytes(picture(value, seed=i))
        os.utime(path, (1e6 + i * every_s, 1e6 + i * every_s))
        paths.append(path)
    return paths


@dataclass
class Bench:
    """Everything a scan needs, in one folder."""

    root: Path

    def __post_init__(self) -> None:
        self.root.mkdir()
        self.store = open_store(f"sqlite:///{self.root / 'hub.sqlite'}")
        self.blobs, recent, small = (open_blobs(f"file://{self.root / name}") for name in ("blobs", "recent", "small"))
        self.places = Places(self.store, self.blobs, Pictures(self.blobs, recent, small, self.store.archive))
        self.detector, self.embedder = Light(), BuiltinEmbedder()

    def campaign(self, name: str = "bright", **changes: Any) -> Version:
        return active(self.store, name, trigger=Detection(("light",)), **changes)

    def scan(self, *paths: Path, rules: Rules | None = None, without: bool = False, **how: Any) -> Any:
        versions = [] if without else self.store.active_versions()
        models = Models(lambda: self.detector, lambda: self.embedder, 2, 2)
        return scan(paths, [SeedTarget(v, None) for v in versions], self.places, models, rules or Rules(), **how)

    def taken(self, name: str = "bright") -> set[str]:
        """Ids of the frames of which there are samples."""
        return {sample.frame_id for sample in self.store.samples(campaign=name, limit=10_000)}

    def processed(self, name: str = "bright") -> tuple[int, int]:
        """Frames processed, and samples collected, as the campaign counts them."""
        counts = self.store.counts(name)
        return sum(each.processed for each in counts), sum(each.collected for each in counts)
