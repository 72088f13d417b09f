"""A hub's parts for the web app: a real store and blobs, the built-in models, a corpus without index files."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from hub.archive import Newcomer
from hub.blobs import open_blobs
from hub.corpus import Corpus
from hub.models.builtin_detector import BuiltinDetector
from hub.models.builtin_embedder import BuiltinEmbedder
from hub.pictures import Pictures
from hub.protocols import Target
from hub.settings import Settings
from hub.store import open_store
from tests.hub.making import unit

TOKEN = "a-secret-of-programs"


class Parts:
    """What `hub.app` gives the web app, without models that need weights."""

    def __init__(self, data_dir: Path, token: str = "", index: Path | None = None) -> None:
        self.settings = Settings(data_dir=data_dir, api_token=token)
        self.store = open_store(self.settings.database)
        self.blobs = open_blobs(self.settings.frames)
        self._embedder = BuiltinEmbedder()
        self._index = index
        self._corpora: dict[str, Corpus] = {}

    @cached_property
    def pictures(self) -> Pictures:
        return Pictures(self.blobs, self._ring("recent"), self._ring("thumbnails"), self.store.archive)

    def _ring(self, name: str):
        return open_blobs(f"file://{(self.settings.data_dir / name).resolve()}")

    def corpus(self, embedding_version: str | None = None) -> Corpus:
        version = embedding_version or self._embedder.version
        if version not in self._corpora:
            self._corpora[version] = Corpus(self.store.archive, version, self._index)
        return self._corpora[version]

    def embedder(self) -> BuiltinEmbedder:
        return self._embedder

    def detector(self) -> BuiltinDetector:
        return BuiltinDetector()

    def targets(self, names: Sequence[str] = ()) -> list[Target]:
        return []

    def fill(self, count: int, *, first_key: int = 100, version: str = "", dim: int = 0, seed: int = 0) -> np.ndarray:
        """Store elements with keys first_key, first_key + 1, …; returns their vectors (count, dim)."""
        vectors = unit(np.random.default_rng(seed).normal(size=(count, dim or self._embedder.dim)))
        of = version or self._embedder.version
        newcomers = [
            Newcomer(f"{first_key + i:032x}", 0, of, "porch", 1e3 + i, (0, 0, 9, 9), v, external_id=first_key + i)
            for i, v in enumerate(vectors)
        ]
        self.store.archive.add(newcomers)
        return vectors


def jpeg(seed: int = 0, width: int = 64, height: int = 48) -> bytes:
    """A picture with something in it."""
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    encoded = cv2.imencode(".jpg", cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC))[1]
    return encoded.tobytes()
