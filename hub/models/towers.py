"""The two halves of an embedder: an image tower and a text tower. Which input and output is which, the file says."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hub.models.preprocess import Preprocessing
from hub.models.session import MAX_BATCH, Array, Port, Session
from hub.models.tokenizer import ClipTokenizer
from hub.models.vectors import unit
from hub.types import Image, Vectors
from shared.errors import ModelError

CONTEXT = 77
"""Tokens that CLIP reads of a text, its start and end among them."""

PROJECTED = ("image_embeds", "image_embeddings", "image_features")
"""Outputs of an image tower that lie in one space with text."""

_UNPROJECTED = ("pooler_output", "pooled", "avgpool", "flatten")
FEATURES = ("embedding", "embeddings", "features", *_UNPROJECTED)
"""Outputs below the last layer, or before CLIP's projection."""

_CLASS_COUNTS = (1000, 1001, 21841, 21843)
"""ImageNet's, with and without a background class: rows that long and without a name are class scores."""

_TEXT_OUTPUTS = ("text_embeds", "text_embeddings", "text_features", "embedding", "embeddings")
_CLASS_SCORES = ("logit", "prob", "softmax", "score", "class")


class ImageTower:
    """Pictures to unit vectors."""

    def __init__(self, session: Session, preprocessing: Preprocessing) -> None:
        self.session, self.preprocessing = session, preprocessing
        self._pixels = pixels_port(session)
        self._output = _image_output(session)
        fixed = self._pixels.shape[2:]
        if any(d is not None and d != w for d, w in zip(fixed, preprocessing.input_hw, strict=True)):
            raise ModelError(
                f"{session.path.name} takes pictures of {_shown(fixed)}, and its preprocessing gives "
                f"{_shown(preprocessing.input_hw)}",
                hint="Take the preprocessor_config.json that belongs to the model.",
            )
        self.dim = self.output.shape[1] or self._measured_dim()

    @property
    def output(self) -> Port:
        """What the vectors are taken from."""
        return self.session.outputs[self._output]

    def embed(self, images: Sequence[Image], name: str) -> Vectors:
        """(n, dim) unit float32, a row per picture."""
        if not images:
            return np.zeros((0, self.dim), np.float32)
        chunks = (images[start : start + MAX_BATCH] for start in range(0, len(images), MAX_BATCH))
        return unit(np.concatenate([self._run(self.preprocessing(chunk)) for chunk in chunks]), name)

    def _run(self, pixels: NDArray[np.float32]) -> Array:
        return _run(self.session, {self._pixels.name: pixels}, self._output, self.preprocessing.input_hw)

    def _measured_dim(self) -> int:
        return int(self._run(np.zeros((1, 3, *self.preprocessing.input_hw), np.float32)).shape[1])


class TextTower:
    """Texts to unit vectors, through the model's own tokenizer."""

    def __init__(self, session: Session, tokenizer: ClipTokenizer, input_hw: tuple[int, int]) -> None:
        self._session, self._tokenizer, self._input_hw = session, tokenizer, input_hw
        whole = [p for p in session.inputs if len(p.shape) == 2 and p.dtype.kind in "iu"]
        ids = [p for p in whole if "mask" not in p.name and "position" not in p.name]
        if len(ids) != 1:
            raise ModelError(
                f"{session.path.name} should take token ids, and {what_it_is(session)}", hint=_WRONG_TEXT_TOWER
            )
        self._ids, self._others = ids[0], [p for p in whole if p is not ids[0]]
        self._output = _text_output(session)
        self._context = ids[0].shape[1] or CONTEXT

    @property
    def identity(self) -> str:
        """Of its weights and of which of its outputs is taken."""
        return f"{self._session.sha256} {self._session.outputs[self._output].name}"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(n, d) unit float32; a text that is too long is cut."""
        ids, mask = self._tokenizer(texts, self._context)
        feeds: dict[str, Array] = {self._ids.name: ids}
        for port in self._others:
            positions = np.broadcast_to(np.arange(self._context), ids.shape)
            feeds[port.name] = mask if "mask" in port.name else positions
        return unit(_run(self._session, feeds, self._output, self._input_hw), self._session.path.name)


def pixels_port(session: Session) -> Port:
    """The input that takes pictures. ModelError, with what the file is instead, when there is none."""
    found = [p for p in session.inputs if len(p.shape) == 4]
    if len(found) == 1 and found[0].shape[1] in (3, None):
        return found[0]
    raise ModelError(
        f"{session.path.name} should take pictures, and {what_it_is(session)}",
        hint="An image tower is needed. See `hub models list`.",
    )


def shares_space_with_text(session: Session, *, text_beside: bool) -> bool:
    """Whether an image tower's vectors can be compared with those of text. ModelError when it is no image tower.

    text_beside: whether a text tower lies beside it; then an output of any name counts, but for those before CLIP's
    projection.
    """
    pixels_port(session)
    name = session.outputs[_image_output(session)].name
    return name in PROJECTED or (text_beside and name not in _UNPROJECTED)


def what_it_is(session: Session) -> str:
    """Inputs and outputs in words, for messages about a wrong file."""
    return f"takes {_ports(session.inputs)} and gives {_ports(session.outputs)}"


def _image_output(session: Session) -> int:
    """Index of the output that holds the vectors."""
    named = _named(session, PROJECTED + FEATURES)
    if named is not None:
        return named
    rows = [i for i, p in enumerate(session.outputs) if _is_rows(p)]
    if len(rows) == len(session.outputs) == 1 and not _are_scores(session.outputs[0]):
        return rows[0]
    if rows and all(_are_scores(session.outputs[i]) for i in rows):
        raise ModelError(
            f"{session.path.name} gives class scores ({_ports(session.outputs)}) and no features",
            hint="Export it with the layer below the classes as an output named 'embedding'.",
        )
    raise ModelError(
        f"{session.path.name} gives no embedding: it {what_it_is(session)}",
        hint="Wanted is an output 'image_embeds' (CLIP with its projection) or 'embedding'.",
    )


def _text_output(session: Session) -> int:
    named = _named(session, _TEXT_OUTPUTS)
    rows = [i for i, p in enumerate(session.outputs) if _is_rows(p)]
    if named is None and len(rows) == 1 and session.outputs[rows[0]].name not in FEATURES:
        return rows[0]
    if named is None:
        raise ModelError(
            f"{session.path.name} gives no text vectors: it {what_it_is(session)}",
            hint="Wanted is an output 'text_embeds': export the text tower with its projection.",
        )
    return named


def _named(session: Session, names: Iterable[str]) -> int | None:
    """The first of `names` that is an output with rows of numbers."""
    at = {p.name: i for i, p in enumerate(session.outputs) if _is_rows(p)}
    return next((at[name] for name in names if name in at), None)


def _are_scores(port: Port) -> bool:
    return port.shape[1] in _CLASS_COUNTS or any(word in port.name.lower() for word in _CLASS_SCORES)


def _is_rows(port: Port) -> bool:
    return len(port.shape) == 2 and port.dtype.kind == "f"


def _run(session: Session, feeds: Mapping[str, Array], output: int, input_hw: tuple[int, int]) -> Array:
    """One output for any number of rows. A file that holds both towers is given one of what it has no use for."""
    missing = [p for p in session.inputs if p.name not in feeds]
    if not missing:
        return session.run_batched(feeds)[output]
    filler = {p.name: _blank(p, input_hw) for p in missing}
    dtypes = {p.name: p.dtype for p in session.inputs}
    size = min([MAX_BATCH, *(p.shape[0] for p in session.inputs if p.name in feeds and p.shape[0])])
    parts = []
    for start in range(0, len(next(iter(feeds.values()))), size):
        chunk = {name: rows[start : start + size] for name, rows in feeds.items()}
        n = len(next(iter(chunk.values())))
        whole = {name: _padded(rows, session, name).astype(dtypes[name]) for name, rows in chunk.items()}
        parts.append(session.run(filler | whole)[output][:n])
    return np.concatenate(parts)


def _padded(rows: Array, session: Session, name: str) -> Array:
    """As many rows as an input of fixed batch takes."""
    fixed = next(p.shape[0] for p in session.inputs if p.name == name) or len(rows)
    return np.concatenate([rows, np.repeat(rows[:1], fixed - len(rows), axis=0)])


def _blank(port: Port, input_hw: tuple[int, int]) -> Array:
    """Something that runs: a picture without light, or a text of ones."""
    if len(port.shape) == 4:
        return np.zeros((port.shape[0] or 1, 3, *input_hw), port.dtype)
    return np.ones((port.shape[0] or 1, port.shape[1] or CONTEXT), port.dtype)


def _ports(ports: Iterable[Port]) -> str:
    return ", ".join(f"{p.name} {_shown(p.shape)} {p.dtype}" for p in ports)


def _shown(shape: Sequence[int | None]) -> str:
    return "×".join("?" if d is None else str(d) for d in shape)


_WRONG_TEXT_TOWER = "Take the text tower that belongs to the image tower."
