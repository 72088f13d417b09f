"""Pictures and texts as seeds: read, embedded, and embedded anew when the model changes."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hub.protocols import Blobs, Embedder
from hub.types import Image, Seed, SeedKind
from hub.vision import DecodeLimits, crop, decode
from shared.errors import ImageError, InvalidInput, ModelError, NotFound

_TOGETHER = 16
"""Pictures embedded at once."""

_LEAST_ID = 4
"""Letters of an id that are enough to name a seed."""

_NAMED = 8
"""Seeds named in one error."""


@dataclass(frozen=True)
class Pictures:
    """Pictures read for seeding: (name, bytes), and the files that could not be used with the reason."""

    usable: Sequence[tuple[str, bytes]] = ()
    skipped: Sequence[tuple[str, str]] = ()


def read_pictures(paths: Iterable[Path]) -> Pictures:
    """Every picture among files and folders (searched to the bottom, hidden files left out).

    InvalidInput when a path does not exist, or when there is not one usable picture.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InvalidInput(f"there is no file or folder {path}", hint="Check the path of the seed images.")
        if path.is_dir():
            inside = path.rglob("*")
            files += sorted(f for f in inside if f.is_file() and not f.name.startswith("."))
        else:
            files.append(path)
    usable, skipped = [], []
    for file in files:
        try:
            usable.append((file.name, _read_picture(file)))
        except (ImageError, OSError) as error:
            skipped.append((str(file), getattr(error, "message", "") or str(error)))
    if files and not usable:
        raise InvalidInput(
            f"none of the {len(files)} files is a usable picture: {skipped[0][0]}: {skipped[0][1]}",
            hint="Seeds are JPEG or PNG pictures of what you want more of.",
        )
    return Pictures(usable, skipped)


def _read_picture(file: Path) -> bytes:
    size = file.stat().st_size
    if size > DecodeLimits().max_bytes:
        raise ImageError("too-large", f"{size:,} bytes are too many for a picture")
    data = file.read_bytes()
    decode(data)
    return data


def picture_seeds(
    pictures: Pictures, kind: SeedKind, blobs: Blobs, embedder: Embedder, *, negative: bool = False
) -> list[Seed]:
    """Embed pictures and keep them in the blob store, so that they can be embedded again by another model."""
    seeds: dict[str, Seed] = {}
    for start in range(0, len(pictures.usable), _TOGETHER):
        some = pictures.usable[start : start + _TOGETHER]
        vectors = embedder.embed([decode(data) for _, data in some])
        for (name, data), vector in zip(some, vectors, strict=True):
            key = hashlib.blake2b(data, digest_size=16).hexdigest()
            blobs.put(key, data)
            seed_id = f"not-{key}" if negative else key
            seeds[seed_id] = Seed(seed_id, kind, name, key, vector, embedder.version, negative)
    return list(seeds.values())


def text_seeds(texts: Sequence[str], embedder: Embedder) -> list[Seed]:
    """Embed prompts. ModelError where the embedder does not understand text."""
    wanted = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    if not wanted:
        return []
    return [
        Seed(_text_id(text), SeedKind.TEXT, text, "", vector, embedder.version)
        for text, vector in zip(wanted, embedder.embed_text(wanted), strict=True)
    ]


def _text_id(text: str) -> str:
    return hashlib.blake2b(f"text:{text}".encode(), digest_size=16).hexdigest()


def listed(seed: Seed) -> str:
    """A seed as `hub campaigns show` lists it."""
    return f"not like {seed.name}" if seed.negative else seed.name


def named(seeds: Sequence[Seed], wanted: str) -> Seed:
    """The seed of this name (a text is its own), or of this id or how that begins.

    NotFound, naming the nearest; InvalidInput where several are meant.
    """
    wanted = wanted.strip()
    for means in (
        [seed for seed in seeds if seed.id == wanted],
        [seed for seed in seeds if listed(seed) == wanted],
        [seed for seed in seeds if seed.name == wanted],
        [seed for seed in seeds if len(wanted) >= _LEAST_ID and seed.id.startswith(wanted)],
    ):
        if len(means) == 1:
            return means[0]
        if means:
            ids = ", ".join(f"{seed.id} ({listed(seed)})" for seed in means[:_NAMED])
            more = " …" if len(means) > _NAMED else ""
            raise InvalidInput(f"{wanted!r} is {len(means)} seeds", hint=f"Say which by its id: {ids}{more}.")
    raise NotFound("seed", wanted, {listed(seed) for seed in seeds})


def is_stale(seed: Seed, embedder: Embedder) -> bool:
    """Whether its vector is of another model, or missing."""
    return seed.vector is None or seed.embedding_version != embedder.version


def embed_stale(seeds: Sequence[Seed], blobs: Blobs, embedder: Embedder) -> list[Seed]:
    """All seeds in their order, those of other models embedded anew, a few pictures at a time."""
    stale = [seed for seed in seeds if is_stale(seed, embedder)]
    vectors: dict[str, NDArray[np.float32]] = {}
    texts = [seed for seed in stale if seed.kind is SeedKind.TEXT]
    if texts:
        in_words = embedder.embed_text([seed.name for seed in texts])
        vectors |= {seed.id: vector for seed, vector in zip(texts, in_words, strict=True)}
    pictures = [seed for seed in stale if seed.kind is not SeedKind.TEXT]
    for start in range(0, len(pictures), _TOGETHER):
        some = pictures[start : start + _TOGETHER]
        embedded = embedder.embed([_picture(seed, blobs) for seed in some])
        vectors |= {seed.id: vector for seed, vector in zip(some, embedded, strict=True)}
    return [
        replace(seed, vector=vectors[seed.id], embedding_version=embedder.version) if seed.id in vectors else seed
        for seed in seeds
    ]


def anew_or_lost(seeds: Sequence[Seed], blobs: Blobs, embedder: Embedder) -> tuple[list[Seed], list[Seed]]:
    """Seeds of other models embedded anew, and those that can't be: texts that are not understood, pictures that are
    gone or damaged. ModelError where the embedder does not work at all."""
    unknown = not_understood([seed.name for seed in seeds if seed.kind is SeedKind.TEXT], embedder)
    fit: list[Seed] = []
    lost: list[Seed] = []
    for seed in seeds:
        if seed.kind is SeedKind.TEXT:
            (lost if seed.name in unknown else fit).append(seed)
        else:
            (fit if _is_kept(seed, blobs) else lost).append(seed)
    return embed_stale(fit, blobs, embedder), lost


def not_understood(texts: Sequence[str], embedder: Embedder) -> set[str]:
    """Those that an embedder can't embed."""
    if not texts:
        return set()
    try:
        embedder.embed_text(texts)
    except ModelError:
        if len(texts) == 1:
            return set(texts)
        return set().union(*(not_understood([text], embedder) for text in texts))
    return set()


def _is_kept(seed: Seed, blobs: Blobs) -> bool:
    try:
        _picture(seed, blobs)
    except (NotFound, ImageError):
        return False
    return True


def _picture(seed: Seed, blobs: Blobs) -> Image:
    picture = decode(blobs.get(seed.blob))
    return picture if seed.box is None else crop(picture, np.array(seed.box, np.float32))
