"""Search everything seen: by text, picture, element or sample, with near-duplicates in groups."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hub.archive import ANY, BROUGHT_IN, Filter, Hit
from hub.corpus import Corpus
from hub.pictures import Pictures
from hub.protocols import Blobs, Embedder, Store
from hub.types import Box, ElementKind, Image, Sample, Vectors
from hub.vision import crop, decode
from shared.errors import InvalidInput, NotFound

SAME_SCENE = 0.97
"""Two elements of at least this cosine show the same. With the CLIP student, 93 to 100 % of pairs of still frames of
two fixed cameras are so alike, and at most 5 % of frames with a car or a person in them are so like an empty one."""

UNLIKE = 0.25
"""How much what is not wanted weighs against what is (Rocchio 1971). On real CLIP vectors of pets an example less three
wrong neighbours gives a precision@10 of 0.71 so (0.64 without, 0.68 at a half, 0.26 at one), on Caltech 0.90 (0.88)."""

MOST = 500
"""Groups that one search gives at most."""

FETCHED = 4_000
"""Hits looked at for the groups of one search, where a still scene gives more and more of the same."""

BACKGROUND = 2_000
"""Elements a cosine is compared with, to say how rare it is."""

_ROUNDING = 1e-5
"""Cosines of the same vectors differ by less."""


@dataclass(frozen=True)
class Examples:
    """What is meant, in any mixture. pictures: bytes. elements: keys. samples: ids, or how they begin."""

    texts: tuple[str, ...] = ()
    pictures: tuple[bytes, ...] = ()
    elements: tuple[int, ...] = ()
    samples: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts) + len(self.pictures) + len(self.elements) + len(self.samples)


@dataclass(frozen=True)
class Query:
    """What to search for. k: groups. same: hits of at least this cosine to a better one are put together with it; None
    leaves each by itself."""

    like: Examples
    unlike: Examples = Examples()
    where: Filter = ANY
    k: int = 20
    same: float | None = SAME_SCENE


class Kept(StrEnum):
    """What there is of a frame's picture."""

    PICTURE = "picture"
    THUMBNAIL = "thumbnail"
    NOTHING = ""


@dataclass(frozen=True, eq=False)
class Group:
    """A hit and its near-duplicates.

    others: best first, of the hits that were looked at. rarity: share of what the cameras show that is at least as
    near, (0, 1]; None where too little is known. kept: of the best one's picture. source: the file that its frame is
    from, "" where a camera showed it. first_at, last_at: Unix seconds.
    """

    best: Hit
    others: tuple[Hit, ...] = ()
    rarity: float | None = None
    kept: Kept = Kept.NOTHING
    source: str = ""

    @property
    def count(self) -> int:
        """Elements in it."""
        return 1 + len(self.others)

    @property
    def first_at(self) -> float:
        """When the first was taken."""
        return min(hit.element.taken_at for hit in (self.best, *self.others))

    @property
    def last_at(self) -> float:
        """When the last was taken."""
        return max(hit.element.taken_at for hit in (self.best, *self.others))


@dataclass(frozen=True, eq=False)
class Found:
    """Groups, best first. vector: (d,) unit, what was searched for. looked_at: hits that the groups were made of.

    complete: whether nothing else was left to look at, so that counts are exact.
    """

    groups: tuple[Group, ...]
    vector: NDArray[np.float32]
    looked_at: int
    complete: bool


@dataclass(frozen=True)
class Sources:
    """Where a search looks. embedder: asked for only when something must be embedded."""

    corpus: Corpus
    store: Store
    blobs: Blobs
    pictures: Pictures
    embedder: Callable[[], Embedder]
    embedding_version: str


class Parts(Protocol):
    """What of a hub a search uses."""

    @property
    def store(self) -> Store: ...
    @property
    def blobs(self) -> Blobs: ...
    @property
    def pictures(self) -> Pictures: ...
    def corpus(self) -> Corpus: ...
    def embedder(self) -> Embedder: ...


def sources(parts: Parts) -> Sources:
    """Those of a hub, as its embedder sees."""
    version = parts.embedder().version
    return Sources(parts.corpus(), parts.store, parts.blobs, parts.pictures, parts.embedder, version)


def search(query: Query, of: Sources) -> Found:
    """The k groups of elements nearest to the mean of what is wanted, away from what is not.

    InvalidInput for a query of nothing; NotFound for an element or sample there is not; ImageError for what is no
    picture; ModelError for a text where the embedder understands none.
    """
    if not len(query.like):
        raise InvalidInput("nothing to search for", hint="Give a text, a picture, an element or a sample.")
    if not 1 <= query.k <= MOST:
        raise InvalidInput(f"a search gives 1 to {MOST} results, not {query.k}")
    like, known = _vectors(query.like, of)
    unlike, unwanted = _vectors(query.unlike, of)
    vector = _direction(like, unlike)
    hits, complete = _enough(query, vector, of.corpus, known | unwanted)
    groups = group(hits, query.same)[: query.k]
    rarity = _rarity(groups, vector, of)
    frames = [each.best.element.frame_id for each in groups]
    kept, files = kept_of(frames, of), files_of(frames, of.store)
    done = [
        replace(each, rarity=how_rare, kept=kept[frame], source=files.get(frame, ""))
        for each, frame, how_rare in zip(groups, frames, rarity, strict=True)
    ]
    return Found(tuple(done), vector, len(hits), complete)


def group(hits: Iterable[Hit], same: float | None) -> list[Group]:
    """Hits, best first, in groups: each joins the best one that it is a near-duplicate of.

    A crop and the whole frame it is of are one, too.
    """
    ordered = list(hits)
    if same is None or not ordered:
        return [Group(hit) for hit in ordered]
    leaders = np.empty((len(ordered), len(ordered[0].vector)), np.float32)
    members: list[list[Hit]] = []
    whole: dict[tuple[str, bool], int] = {}
    for hit in ordered:
        frame, is_crop = hit.element.frame_id, hit.element.row > 0
        cosine = leaders[: len(members)] @ hit.vector
        at = int(np.argmax(cosine >= same)) if len(cosine) else 0
        if not (len(cosine) and cosine[at] >= same):
            at = whole.get((frame, not is_crop), len(members))
        if at == len(members):
            leaders[at] = hit.vector
            members.append([])
            whole.setdefault((frame, is_crop), at)
        members[at].append(hit)
    return [Group(first, tuple(others)) for first, *others in members]


def _enough(query: Query, vector: NDArray[np.float32], corpus: Corpus, known: frozenset[int]) -> tuple[list[Hit], bool]:
    """Hits for k groups, more and more of them, and whether these are all there are."""
    most = query.k + len(known) if query.same is None else FETCHED
    n = min(most, query.k + len(known) if query.same is None else max(100, 4 * query.k))
    while True:
        found = corpus.search(vector[None], n, query.where)[0]
        hits = [hit for hit in found if hit.element.id not in known]
        complete = len(found) < n
        if complete or n >= most or len(group(hits, query.same)) > query.k:
            return hits, complete
        n = min(most, 4 * n)


def _direction(like: Vectors, unlike: Vectors) -> NDArray[np.float32]:
    """The unit vector to search for: the mean of what is wanted less a share of the mean of what is not."""
    vector = like.mean(axis=0)
    if len(unlike):
        vector = vector - UNLIKE * unlike.mean(axis=0)
    length = float(np.linalg.norm(vector))
    if not length > 1e-6:
        raise InvalidInput("what is wanted and what is not cancel out", hint="Give other examples.")
    unit: NDArray[np.float32] = (vector / length).astype(np.float32)
    return unit


def _rarity(groups: Sequence[Group], vector: NDArray[np.float32], of: Sources) -> list[float | None]:
    """Of each group's best: (1 + background elements at least as near) / (1 + all), as a conformal p-value."""
    sorted_by_kind: dict[ElementKind, NDArray[np.float32]] = {}
    found: list[float | None] = []
    for each in groups:
        kind = each.best.element.kind
        if kind not in sorted_by_kind:
            known = of.store.background(of.embedding_version, kind, limit=BACKGROUND)
            sorted_by_kind[kind] = np.sort(known.vectors @ vector) if len(known) else np.zeros(0, np.float32)
        background = sorted_by_kind[kind]
        nearer = len(background) - int(np.searchsorted(background, each.best.cosine - _ROUNDING))
        found.append((1 + nearer) / (1 + len(background)) if len(background) >= 100 else None)
    return found


# ── examples as vectors ──────────────────────────────────────────────────────────────────────────────


def _vectors(examples: Examples, of: Sources) -> tuple[Vectors, frozenset[int]]:
    """Their unit vectors, and the ids of those that are elements themselves."""
    rows: list[NDArray[np.float32]] = []
    if examples.texts:
        rows += list(of.embedder().embed_text(list(examples.texts)))
    for data in examples.pictures:  # one at a time: a small file may hold 150 MB of pixels
        rows += list(of.embedder().embed([decode(data)]))
    ids: set[int] = set()
    stored = {each.element.key: each for each in of.store.archive.by_key(examples.elements, of.embedding_version)}
    for key in examples.elements:
        if key not in stored:
            raise NotFound("element", str(key), hint="Keys come with each result of a search.")
        rows.append(stored[key].vector)
        ids.add(stored[key].element.id)
    for beginning in examples.samples:
        sample = of.store.sample(of.store.sample_id(beginning))
        rows.append(_of_sample(sample, of))
        ids |= _elements_of(sample, of)
    return np.stack(rows).astype(np.float32) if rows else np.zeros((0, 0), np.float32), frozenset(ids)


def _of_sample(sample: Sample, of: Sources) -> NDArray[np.float32]:
    """Its own vector, or one made anew from its picture where that is of another embedder."""
    if sample.vector is not None and sample.embedding_version == of.embedding_version:
        return sample.vector
    picture = decode(of.blobs.get(sample.frame_id))
    anew = of.embedder().embed([_cut(picture, sample.box if sample.score.row else None)])
    return np.asarray(anew[0], np.float32)


def _elements_of(sample: Sample, of: Sources) -> set[int]:
    stored = of.store.archive.of_frames([sample.frame_id], of.embedding_version).get(sample.frame_id, [])
    return {each.element.id for each in stored if each.element.row == sample.score.row}


def _cut(picture: Image, box: Box | None) -> Image:
    return picture if box is None else crop(picture, np.array(box, np.float32))


def kept_of(frame_ids: Sequence[str], of: Sources) -> dict[str, Kept]:
    """What there is of each frame's picture."""
    whole = of.pictures.held(frame_ids)
    small = of.store.archive.frames([each for each in frame_ids if each not in whole])
    with_thumbnail = {each.id for each in small.values() if each.thumbnail_bytes}
    return {
        each: Kept.PICTURE if each in whole else Kept.THUMBNAIL if each in with_thumbnail else Kept.NOTHING
        for each in frame_ids
    }


def files_of(frame_ids: Sequence[str], store: Store) -> dict[str, str]:
    """Of frames that were scanned, the file they are from: a path, `archive.zip!member` or `film.mp4#12.3`."""
    known = store.archive.frames(list(dict.fromkeys(frame_ids)))
    return {each.id: each.source for each in known.values() if each.source not in ("", BROUGHT_IN)}


def missing_labels(where: Filter, vector: NDArray[np.float32], corpus: Corpus) -> tuple[list[str], list[str] | None]:
    """Labels of a filter that nothing stored has; those of the crops nearest to a unit vector (d,), None where no crop
    is stored."""
    unknown = [each for each in where.labels if not corpus.search(vector[None], 1, Filter(labels=(each,)))[0]]
    crops = corpus.search(vector[None], MOST, Filter(kind=ElementKind.CROP))[0]
    return unknown, sorted({hit.element.label for hit in crops} - {""}) if crops else None
