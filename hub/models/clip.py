"""CLIP: pictures and text in one space, each through a tower of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from hub.models.preprocess import Preprocessing
from hub.models.session import Session
from hub.models.text_bank import TextBank
from hub.models.vectors import embedding_version, unit
from hub.types import Calibration, Image, Vectors
from shared.errors import ModelError

CONTEXT = 77
"""Tokens a text tower takes, start and end among them."""

_END = "<|endoftext|>"

CHUNK = 32
"""Pictures preprocessed at once: bounds memory."""


class ClipEmbedder:
    """An image tower, and for text a text tower, a bank of ready-made vectors, or nothing."""

    def __init__(
        self,
        name: str,
        images: Session,
        preprocessing: Preprocessing,
        text: "TextTower | TextBank | None",
        typical: Mapping[str, Calibration],
    ) -> None:
        self.name = name
        self.typical = typical
        self._images, self._preprocessing, self._text = images, preprocessing, text
        self._input = _only(images, [p.name for p in images.inputs if len(p.shape) == 4], "takes pictures")
        self._output = output_of(images, ("image_embeds", "image_embeddings", "image_features"))
        width = images.outputs[self._output].shape[1]
        if width is None:
            width = self._run(np.zeros((1, 3, *preprocessing.crop_hw), np.float32)).shape[1]
        self.dim = width
        self.version = embedding_version(images.sha256, preprocessing.identity)

    def embed(self, images: Sequence[Image]) -> Vectors:
        """(n, dim) unit float32, a row per picture."""
        if not images:
            return np.zeros((0, self.dim), np.float32)
        parts = [
            self._run(self._preprocessing(images[start : start + CHUNK])) for start in range(0, len(images), CHUNK)
        ]
        return unit(np.concatenate(parts), self.name)

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """(n, dim) unit float32. ModelError where there is no text tower."""
        if self._text is None:
            raise ModelError(
                f"{self.name} has no text tower", hint="Seed with pictures, or: hub models fetch clip-vit-b32"
            )
        return self._text.embed(texts)

    def _run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._images.run_batched(self._feeds(pixels))[self._output]
        return found

    def _feeds(self, pixels: NDArray[np.float32]) -> dict[str, NDArray[np.generic]]:
        """A file with both towers wants a text as well, whatever it is."""
        feeds: dict[str, NDArray[np.generic]] = {self._input: pixels}
        for port in self._images.inputs:
            if port.name != self._input:
                length = port.shape[1] or CONTEXT
                feeds[port.name] = np.ones((len(pixels), length), port.dtype)
        return feeds


class TextTower:
    """Text through the model's own tokenizer and text tower."""

    def __init__(self, session: Session, tokenizer: Path, *, image_input: str | None = None) -> None:
        self._session = session
        self._tokenizer = read_tokenizer(tokenizer)
        self._output = output_of(session, ("text_embeds", "text_embeddings", "text_features"))
        self._image_input = image_input

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(n, d) unit float32; texts that are too long are cut."""
        ids = tokens(self._tokenizer, texts)
        feeds: dict[str, NDArray[np.generic]] = {}
        for port in self._session.inputs:
            if port.name == self._image_input:
                height, width = (d or 224 for d in port.shape[2:])
                feeds[port.name] = np.zeros((len(texts), 3, height, width), port.dtype)
            elif "mask" in port.name:
                feeds[port.name] = np.array([e.attention_mask for e in ids], port.dtype)
            else:
                feeds[port.name] = np.array([e.ids for e in ids], port.dtype)
        return unit(self._session.run_batched(feeds)[self._output], self._session.path.name)


def read_tokenizer(path: Path) -> Tokenizer:
    """A `tokenizer.json`, set to cut and pad as CLIP was trained. ModelError when it is none."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise ModelError(
            f"{path} is no tokenizer: {error}", hint="Take the one that belongs to the model."
        ) from error
    tokenizer.enable_truncation(CONTEXT)
    tokenizer.enable_padding(length=CONTEXT, pad_id=tokenizer.token_to_id(_END) or 0, pad_token=_END)
    return tokenizer


def tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> list:  # type: ignore[type-arg]
    """An encoding of CONTEXT ids for each text."""
    return list(tokenizer.encode_batch(list(texts)))


def output_of(session: Session, names: Sequence[str]) -> int:
    """Index of the output that holds the vectors. ModelError when there is none."""
    for i, port in enumerate(session.outputs):
        if port.name in names:
            return i
    flat = [i for i, port in enumerate(session.outputs) if len(port.shape) == 2]
    if len(flat) != 1:
        shown = ", ".join(f"{p.name} {p.shape}" for p in session.outputs)
        raise ModelError(f"{session.path.name} gives no embedding: its outputs are {shown}")
    return flat[0]


def _only(session: Session, found: list[str], what: str) -> str:
    if len(found) != 1:
        shown = ", ".join(f"{p.name} {p.shape}" for p in session.inputs)
        raise ModelError(f"{session.path.name} has no input that {what}: its inputs are {shown}")
    return found[0]
