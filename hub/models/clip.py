"""CLIP: pictures and text in one space, each through a tower of its own."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np

from hub.models.nouns import noun_vectors
from hub.models.prior import NOTHING
from hub.models.text_bank import TextBank
from hub.models.towers import ImageTower, TextTower
from hub.models.vectors import model_version
from hub.types import Calibration, Image, Prior, Vectors
from shared.errors import ModelError

TextSource = TextTower | TextBank


class ClipEmbedder:
    """An image tower, and for text a tower, a bank of ready-made vectors, or nothing."""

    def __init__(
        self,
        name: str,
        images: ImageTower,
        text: Callable[[], TextSource | None],
        typical: Mapping[str, Calibration],
        prior: Prior | None = None,
    ) -> None:
        """text: opens the source of text vectors; called once, when a text is first asked for, since a collector
        never needs the quarter of a gigabyte that a text tower takes."""
        self.name, self.typical, self._known = name, typical, prior
        self._images, self._open_text = images, text
        self.version = model_version(images.session.sha256, images.output.name, images.preprocessing.canonical())

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._images.dim

    def embed(self, images: Sequence[Image]) -> Vectors:
        """(n, dim) unit float32, a row per picture; pictures may differ in size."""
        return self._images.embed(images, self.name)

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """(n, dim) unit float32. ModelError where text, or this text, is not understood."""
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        if self._text is None:
            raise ModelError(
                f"{self.name} has no text tower, so it understands no text",
                hint="Seed with pictures, or put text_model.onnx and tokenizer.json beside the image tower "
                "(`hub models fetch clip-vit-b32` gets a whole CLIP).",
            )
        vectors = self._text.embed(texts)
        if vectors.shape[1] != self.dim:
            raise ModelError(
                f"{self.name}: text vectors have {vectors.shape[1]} dimensions and picture vectors {self.dim}",
                hint="Image and text part belong to different models: fetch both from one place.",
            )
        return vectors

    @property
    def prior(self) -> Prior:
        """What ships with the hub."""
        return self._known or NOTHING

    def nouns(self) -> Vectors:
        """(n, dim) unit float32: all that a bank knows. A text tower embeds those of nouns.py, once a model, which
        takes a minute on a small machine."""
        return self._nouns

    @cached_property
    def _nouns(self) -> Vectors:
        if isinstance(self._text, TextBank):
            return self._text.vectors
        if self._text is None:
            return np.zeros((0, self.dim), np.float32)
        return noun_vectors(self._text.identity, self.embed_text)

    @cached_property
    def _text(self) -> TextSource | None:
        return self._open_text()
