"""What comes from a file, checked and stored. Knows nothing of formats."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from hub.archive import BROUGHT_IN, Archive, Element, Newcomer, SeenFrame
from hub.types import Box
from shared.errors import InvalidInput

IDS = 2**62
"""Ids of elsewhere are below this."""

MAX_DIM = 16_384

CAMERA = "imported"
"""The camera of an element that names none."""

_FRAME = re.compile(r"[0-9a-zA-Z_-]{3,64}")
_LATEST = 1e11
_MAX_ROW = 1_000_000


@dataclass(frozen=True, eq=False)
class Incoming:
    """An element as a file says it, of which only the vector is certain.

    vector: (d,), of any length above 0. id: of elsewhere, a number or a text. frame_id, row: where it is known which
    element of which frame it is. taken_at: Unix seconds. size_wh: of its frame, pixels.
    """

    vector: NDArray[np.float32]
    id: int | str | None = None
    frame_id: str | None = None
    row: int | None = None
    camera: str = ""
    taken_at: float | None = None
    box: Box | None = None
    label: str = ""
    confidence: float | None = None
    size_wh: tuple[int, int] = (0, 0)
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Said:
    """What a file says of itself, "" for nothing. elements: how many it holds."""

    embedding_version: str = ""
    embedder: str = ""
    elements: int = 0


@dataclass(frozen=True)
class Imported:
    """How an import went. known: elements that were stored before."""

    embedding_version: str
    read: int = 0
    added: int = 0

    @property
    def known(self) -> int:
        """Of those read."""
        return self.read - self.added


def version_of(said: Said, given: str, name: str) -> str:
    """The embedding version of a file's vectors: what it says, else what the user says.

    InvalidInput when neither says it, or both say something else: vectors of two models that meet make every search
    wrong, and nobody would notice.
    """
    if given and said.embedding_version and given != said.embedding_version:
        raise InvalidInput(
            f"{name} says that its vectors are of embedding version {said.embedding_version}, not {given}",
            hint="Leave --embedding-version out.",
        )
    found = said.embedding_version or given
    if not found:
        raise InvalidInput(
            f"{name} does not say which model made its vectors",
            hint="If it was one of those that `hub index versions` lists, say which: --embedding-version UUID. "
            'For another model make one up: python -c "import uuid; print(uuid.uuid4())"',
        )
    try:
        return str(UUID(found))
    except ValueError:
        raise InvalidInput(f"{found!r} is no embedding version", hint="It is a UUID.") from None


class Intake:
    """Stores what comes in batches. now: Unix seconds, when what has no time was taken.

    new_ids: do not take up ids of elsewhere; they are kept in the metadata as `external_id`.
    """

    def __init__(self, archive: Archive, embedding_version: str, *, now: float, new_ids: bool = False) -> None:
        self._archive, self._version, self._now, self._new_ids = archive, embedding_version, now, new_ids
        uses = {each.version: each for each in archive.embedding_versions()}
        self._versions = list(uses)
        self._dim = uses[embedding_version].dim if embedding_version in uses else 0
        self.result = Imported(embedding_version)

    def add(self, incoming: Sequence[Incoming]) -> None:
        """Store those that are new. InvalidInput, and none of them stored, for what can't be right."""
        first = self.result.read + 1
        newcomers = [self._newcomer(each, first + i) for i, each in enumerate(incoming)]
        self._check_ids(newcomers)
        frames = {each.frame_id: _frame(new, each) for each, new in _sized(incoming, newcomers)}
        known = self._archive.frames(list(frames))  # which stay what they are: a camera's fade as they did
        if unknown := [frame for frame_id, frame in frames.items() if frame_id not in known]:
            self._archive.add_frames(unknown)
        added = self._archive.add(newcomers)
        self.result = replace(self.result, read=self.result.read + len(incoming), added=self.result.added + added)

    def _newcomer(self, of: Incoming, number: int) -> Newcomer:
        external, metadata = _external(of)
        if self._new_ids and external is not None:
            external, metadata = None, {**metadata, "external_id": external}
        frame_id, row = self._place(of)
        if of.frame_id is not None and of.frame_id != frame_id:
            metadata = {**metadata, "frame_id": of.frame_id}
        try:
            self._check(of, row)
        except ValueError as error:
            raise InvalidInput(
                f"element {number:,} {error}", hint="Those before it may be stored; mend it and import the file again."
            ) from None
        width, height = of.size_wh
        return Newcomer(
            frame_id,
            row,
            self._version,
            of.camera or CAMERA,
            self._now if of.taken_at is None else of.taken_at,
            (0.0, 0.0, float(width), float(height)) if of.box is None else of.box,
            of.vector,
            of.label,
            1.0 if of.confidence is None else of.confidence,
            external,
            metadata,
        )

    def _place(self, of: Incoming) -> tuple[str, int]:
        """Frame and row: its own where it has them, else made from what tells it from others, the same each time."""
        if of.frame_id is not None and of.row is not None:
            known = _FRAME.fullmatch(of.frame_id) is not None
            return (of.frame_id if known else _hash("frame", of.frame_id)), of.row
        if of.id is not None:
            return _hash("id", f"{self._version} {of.id!r}"), 0
        said = json.dumps([of.frame_id, of.box, of.label, dict(of.metadata)], sort_keys=True, default=str)
        return _hash("vector", f"{self._version} {said} {of.vector.tobytes().hex()}"), 0

    def _check(self, of: Incoming, row: int) -> None:
        """ValueError, in words that go on after "element 7 "."""
        d = len(of.vector)
        self._dim = self._dim or d
        if d != self._dim:
            raise ValueError(f"has a vector of {d} numbers; those of {self._version} have {self._dim}")
        if not 0 < d <= MAX_DIM:
            raise ValueError(f"has a vector of {d} numbers")
        if not np.isfinite(of.vector).all() or not of.vector.any():
            raise ValueError("has a vector that is zero or not finite")
        if of.taken_at is not None and not 0 <= of.taken_at < _LATEST:
            raise ValueError(f"was taken at {of.taken_at}, which is no time in Unix seconds")
        if of.confidence is not None and not 0 <= of.confidence <= 1:
            raise ValueError(f"has the confidence {of.confidence}, not one from 0 to 1")
        if of.box is not None and not all(map(math.isfinite, of.box)):
            raise ValueError(f"has the box {of.box}")
        if not 0 <= row <= _MAX_ROW:
            raise ValueError(f"has the row {row}")
        if len(of.camera) > 100:
            raise ValueError("has a camera's name of more than 100 letters")

    def _check_ids(self, newcomers: Sequence[Newcomer]) -> None:
        """InvalidInput when an id is another element's key here: it would be passed over as known."""
        wanted = {each.external_id: each for each in newcomers if each.external_id is not None}
        if len(wanted) == 0:
            return
        taken = sorted(
            element.key for element in self._holders(list(wanted)) if not _same(element, wanted[element.key])
        )
        if taken:
            named = ", ".join(map(str, taken[:5])) + (" …" if len(taken) > 5 else "")
            raise InvalidInput(
                f"the ids {named} are those of other elements here",
                hint="Bring these in under ids of this hub, with theirs in their metadata: --new-ids",
            )

    def _holders(self, ids: list[int]) -> Iterator[Element]:
        """The elements whose key is one of the ids, of whatever embedding version."""
        for version in {*self._versions, self._version}:
            yield from (each.element for each in self._archive.by_key(ids, version))


def _same(element: Element, new: Newcomer) -> bool:
    ours = (element.frame_id, element.row, element.embedding_version)
    return ours == (new.frame_id, new.row, new.embedding_version)


def _external(of: Incoming) -> tuple[int | None, Mapping[str, object]]:
    """The id as a number, where it can be one; else it is kept in the metadata."""
    if of.id is None:
        return None, of.metadata
    if isinstance(of.id, int) and 0 <= of.id < IDS:
        return of.id, of.metadata
    return None, {**of.metadata, "id": of.id}


def _sized(incoming: Sequence[Incoming], newcomers: Sequence[Newcomer]) -> Iterable[tuple[Newcomer, Incoming]]:
    return ((new, each) for each, new in zip(incoming, newcomers, strict=True) if min(each.size_wh) > 0)


def _frame(of: Incoming, new: Newcomer) -> SeenFrame:
    # Not its source: a file of elsewhere must not make this hub read paths of its choice.
    return SeenFrame(new.frame_id, new.camera, new.taken_at, of.size_wh, BROUGHT_IN)


def _hash(kind: str, text: str) -> str:
    return hashlib.blake2b(f"imported {kind} {text}".encode(), digest_size=16).hexdigest()
