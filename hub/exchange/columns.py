"""What a file of elsewhere calls what, and how its values are meant. Knows no format's library."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from hub.blobs import storing
from hub.exchange.intake import Incoming
from shared.errors import InvalidInput, NotFound

FORMAT = "1"
"""Version of our own files; grows when an older hub could no longer read them."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "embedding": ("embedding", "vector", "emb", "embeddings", "features"),
    "id": ("external_id", "key", "id", "image_id", "logo_id"),
    "frame_id": ("frame_id",),
    "row": ("row",),
    "camera": ("camera",),
    "taken_at": ("taken_at", "timestamp", "time", "date", "datetime"),
    "box": ("box", "bbox", "bounding_box"),
    "label": ("label", "class", "category"),
    "confidence": ("confidence",),
    "width": ("width",),
    "height": ("height",),
    "metadata": ("metadata",),
    "embedding_version": ("embedding_version",),
}
"""What is looked for, by our names, the likeliest first."""

_OURS_ALONE = ("key", "kind", "source", "embedder")
"""Columns of our files that are not read back."""


@dataclass(frozen=True)
class Names:
    """What a file calls what. of: by our names. rest: what we have no name for, which becomes metadata."""

    of: Mapping[str, str]
    rest: tuple[str, ...]


def guess(there: Sequence[str], given: Mapping[str, str], name: str, *, ours: bool) -> Names:
    """Columns by our names. given: what the user says of them. NotFound for one that is not there."""
    for what, column in given.items():
        if what not in NAMES:
            raise NotFound("column of ours", what, NAMES)
        if column not in there:
            raise NotFound(f"column of {name}", column, there)
    found = dict(given)
    for what, likely in NAMES.items():
        free = [each for each in likely[: 1 if ours else None] if each in there and each not in found.values()]
        if what not in found and free:
            found[what] = free[0]
    if "embedding" not in found:
        raise InvalidInput(
            f"{name} has no column of vectors that we know by its name",
            hint=f"Say which of {', '.join(there[:12])} it is: --column embedding=NAME",
        )
    left_out = {*found.values(), *(_OURS_ALONE if ours else ())}
    return Names(found, tuple(each for each in there if each not in left_out))


def element(vector: np.ndarray, known: Mapping[str, Any], rest: Mapping[str, Any]) -> Incoming:
    """One element from its values by our names, and what else is said of it. ValueError for a value of another kind."""
    said = known.get("metadata")
    metadata = {**_metadata(said), **{key: value for key, value in rest.items() if value is not None}}
    width, height = known.get("width"), known.get("height")
    box, row, frame = known.get("box"), known.get("row"), known.get("frame_id")
    if row is None and frame is not None and box is None:
        row = 0
    return Incoming(
        vector,
        _id(known.get("id")),
        None if frame is None else str(frame),
        None if row is None else int(row),
        str(known.get("camera") or ""),
        seconds(known.get("taken_at")),
        _box(box),
        str(known.get("label") or ""),
        None if known.get("confidence") is None else float(known["confidence"]),
        (int(width), int(height)) if width and height else (0, 0),
        {str(key): _jsonable(value) for key, value in metadata.items()},
    )


def _id(value: Any) -> int | str | None:
    if value is None or isinstance(value, int | str):
        return value
    return (
        int(value) if isinstance(value, np.integer) or (isinstance(value, float) and value.is_integer()) else str(value)
    )


def _box(value: Any) -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    numbers = [float(each) for each in value]
    if len(numbers) != 4:
        raise ValueError(f"a box has 4 numbers, not {len(numbers)}")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def seconds(value: Any) -> float | None:
    """Unix seconds of a number, a date, or ISO 8601; a time without a zone is UTC."""
    if value is None:
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    return float(value)


def _metadata(value: Any) -> Mapping[str, Any]:
    if not value:
        return {}
    if isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except ValueError:
            return {"metadata": str(value)}
    return value if isinstance(value, Mapping) else {"metadata": value}


def _jsonable(value: Any) -> Any:
    """As it is, where JSON can say it; else as a text."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return str(value)
    return value


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its name once the body is done, and is gone if it fails."""
    part = path.parent / f".{path.name}.{uuid4().hex[:8]}.part"
    with storing(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def reader_failed(path: Path, kind: str, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """What a library raises for a file that it can't read, as InvalidInput."""
    try:
        yield
    except errors as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise InvalidInput(
            f"{path} is no {kind} file, or is damaged: {said}",
            hint="Was it copied whole?",
        ) from error
