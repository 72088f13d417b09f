"""Elements that were found, as seeds of campaigns."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from hub.archive import Element
from hub.search import Kept, Sources, kept_of
from hub.types import Box, Seed, SeedKind
from shared.errors import NotFound
from shared.image import image_facts


@dataclass(frozen=True, eq=False)
class Seeded:
    """Elements as seeds. notes: what another embedder could not make of them, a sentence each."""

    seeds: tuple[Seed, ...]
    notes: tuple[str, ...] = ()


def as_seeds(elements: Sequence[tuple[Element, NDArray[np.float32]]], of: Sources, *, negative: bool = False) -> Seeded:
    """Elements and their vectors, (d,) unit, as seeds whose pictures are kept from now on.

    Where only a thumbnail is left it becomes the seed's picture, its box with it; where nothing is left the seed has a
    vector alone, and serves this embedder only.
    """
    kept = kept_of([element.frame_id for element, _ in elements], of)
    seeds: dict[str, Seed] = {}
    notes = []
    for element, vector in elements:
        seed, what = _seed(element, vector, kept[element.frame_id], of, negative)
        seeds[seed.id] = seed
        if what is not Kept.PICTURE:
            left = "only a thumbnail of its picture is" if what is Kept.THUMBNAIL else "its picture is no longer"
            notes.append(f"{seed.name}: {left} kept, so another embedder would see it less well or not at all")
    return Seeded(tuple(seeds.values()), tuple(notes))


def _seed(element: Element, vector: NDArray[np.float32], kept: Kept, of: Sources, negative: bool) -> tuple[Seed, Kept]:
    data, kept = _picture(element.frame_id, kept, of)
    blob = hashlib.blake2b(data, digest_size=16).hexdigest() if data else ""
    if data:
        of.blobs.put(blob, data)
    is_crop = element.row > 0
    # A whole picture has the id that it has as a file, so that seeding it either way is seeding it once.
    seed_id = blob if blob and not is_crop else _id(element)
    box = _scaled(element, data, of) if is_crop and kept is Kept.THUMBNAIL else element.box
    seed = Seed(
        f"not-{seed_id}" if negative else seed_id,
        SeedKind.CROP if is_crop else SeedKind.IMAGE,
        name_of(element),
        blob,
        vector,
        element.embedding_version,
        negative,
        box if is_crop and blob else None,
    )
    return seed, kept


def _picture(frame_id: str, kept: Kept, of: Sources) -> tuple[bytes, Kept]:
    """The best there is of a picture; it may be gone since it was looked for."""
    for what, read in ((Kept.PICTURE, of.pictures.picture), (Kept.THUMBNAIL, of.pictures.thumbnail)):
        if kept is Kept.NOTHING or (kept is Kept.THUMBNAIL and what is Kept.PICTURE):
            continue
        try:
            return read(frame_id), what
        except NotFound:
            continue
    return b"", Kept.NOTHING


def _scaled(element: Element, thumbnail: bytes, of: Sources) -> Box:
    """The box in the thumbnail."""
    frame = of.store.archive.frames([element.frame_id]).get(element.frame_id)
    if frame is None:
        return element.box
    facts = image_facts(thumbnail)
    x, y = facts.width / frame.size_wh[0], facts.height / frame.size_wh[1]
    x1, y1, x2, y2 = element.box
    return x1 * x, y1 * y, x2 * x, y2 * y


def _id(element: Element) -> str:
    return hashlib.blake2b(f"element:{element.frame_id}:{element.row}".encode(), digest_size=16).hexdigest()


def name_of(element: Element) -> str:
    """What a person knows it by: camera and time."""
    at = datetime.fromtimestamp(element.taken_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{element.camera} {at}{f' {element.label}' if element.label else ''}"
