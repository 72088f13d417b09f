"""Classifiers that show the features below their last layer: embedders that know nothing of text."""

from collections.abc import Mapping, Sequence

import numpy as np

from hub.models.clip import CHUNK
from hub.models.preprocess import Preprocessing
from hub.models.session import Session
from hub.models.vectors import embedding_version, unit
from hub.types import Calibration, Image, Vectors
from shared.errors import ModelError

FEATURES = ("embedding", "embeddings", "features", "pooled", "pooler_output", "avgpool", "flatten")

MINUS_ONE_TO_ONE = Preprocessing(shortest=224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), resample=2)
"""What TensorFlow's MobileNets take."""


class FeatureEmbedder:
    """The output named like features, of unit length."""

    def __init__(
        self, name: str, session: Session, preprocessing: Preprocessing, typical: Mapping[str, Calibration]
    ) -> None:
        self.name = name
        self.typical = typical
        self._session, self._preprocessing = session, preprocessing
        self._output = _features(session)
        self.dim = session.outputs[self._output].shape[1] or self._try_dim()
        self.version = embedding_version(
            session.sha256, preprocessing.identity, session.outputs[self._output].name
        )

    def embed(self, images: Sequence[Image]) -> Vectors:
        """(n, dim) unit float32, a row per picture."""
        if not images:
            return np.zeros((0, self.dim), np.float32)
        chunks = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
        rows = [self._session.run_batched(self._preprocessing(chunk))[self._output] for chunk in chunks]
        return unit(np.concatenate(rows), self.name)

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """Always a ModelError."""
        raise ModelError(
            f"{self.name} understands no text",
            hint="Seed with pictures (--seed-images), or: hub models fetch clip-vit-b32",
        )

    def _try_dim(self) -> int:
        pixels = np.zeros((1, 3, *self._preprocessing.crop_hw), np.float32)
        return int(self._session.run_batched(pixels)[self._output].shape[1])


def has_features(session: Session) -> bool:
    """Whether an output is named like features."""
    return any(port.name in FEATURES for port in session.outputs)


def _features(session: Session) -> int:
    for i, port in enumerate(session.outputs):
        if port.name in FEATURES:
            return i
    shown = ", ".join(port.name for port in session.outputs)
    raise ModelError(
        f"{session.path.name} gives {shown}, and no features",
        hint="Export it with the layer below the classes as an output named 'embedding'.",
    )
