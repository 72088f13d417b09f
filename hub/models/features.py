"""Image-only models: the features below a classifier's last layer. They know nothing of text."""

from collections.abc import Mapping, Sequence

import numpy as np

from hub.models.prior import NOTHING
from hub.models.towers import ImageTower
from hub.models.vectors import model_version
from hub.types import Calibration, Image, Vectors
from shared.errors import ModelError


class FeatureEmbedder:
    """A model's features, of unit length."""

    def __init__(self, name: str, images: ImageTower, typical: Mapping[str, Calibration]) -> None:
        self.name, self.typical = name, typical
        self.prior = NOTHING
        self._images = images
        self.version = model_version(images.session.sha256, images.output.name, images.preprocessing.canonical())

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._images.dim

    def embed(self, images: Sequence[Image]) -> Vectors:
        """(n, dim) unit float32, a row per picture; pictures may differ in size."""
        return self._images.embed(images, self.name)

    def nouns(self) -> Vectors:
        """None: it understands no text."""
        return np.zeros((0, self.dim), np.float32)

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """Always a ModelError."""
        raise ModelError(
            f"{self.name} understands no text: its vectors ({self._images.output.name}) share no space with words",
            hint="Seed with pictures (--seed-images), or get a CLIP: `hub models fetch clip-vit-b32`.",
        )
