"""What a client asks of a hub, answered from the hub's parts."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from hub.archive import Newcomer
from hub.collection.checks import check_boxes, check_mark, check_upload
from hub.collection.values import CAMPAIGNS, EmbedderName, Looked, Mark, Picture, Receipt, State, Taken, Upload
from hub.pipeline import Decoded, candidate, needs_of, perceive
from hub.protocols import Blobs, Detector, Embedder, Store
from hub.types import (
    Batch,
    Counts,
    Detections,
    Frame,
    Image,
    Needs,
    Observation,
    Sample,
    Version,
)
from hub.vision import crop, decode
from shared.errors import ImageError, InvalidInput, NotFound

TOGETHER = 4
"""Pictures looked at at once: each may have 150 MB of pixels."""


class Parts(Protocol):
    """What of a hub is needed."""

    @property
    def store(self) -> Store: ...

    @property
    def blobs(self) -> Blobs: ...

    def embedder(self) -> Embedder: ...

    def detector(self) -> Detector: ...


class LocalCollection:
    """hub.collection.values.Collection over the parts of a hub. May be used from any thread."""

    def __init__(self, parts: Parts, *, clock: Callable[[], float] = time.time) -> None:
        self._parts, self._clock = parts, clock
        self._looking, self._adding = threading.Lock(), threading.Lock()

    def state(self, names: Sequence[str] = ()) -> State:
        """One moment's: versions never change, and so the state does not."""
        active = self._parts.store.active_versions()
        versions = self._named(active, names) if names else active
        return State(versions, self._embedders(versions))

    def look(self, pictures: Sequence[Picture], needs: Needs, embedding_version: str) -> list[Looked]:
        """Pictures with boxes of their own are embedded with these, the others as the collector does."""
        embedder = self._parts.embedder()
        if embedder.version != embedding_version:
            raise InvalidInput(
                f"this hub embeds by {embedder.name} ({embedder.version}), and not by {embedding_version}",
                hint="Bring embeddings of your own, or commit the campaigns again: hub campaigns commit NAME",
            )
        with self._looking:  # so that pixels of one request at a time are in memory, and not of all of it
            pieces = (range(len(pictures))[at : at + TOGETHER] for at in range(0, len(pictures), TOGETHER))
            return [seen for piece in pieces for seen in self._look(pictures, piece, needs, embedder)]

    def _look(self, all_of_them: Sequence[Picture], piece: range, needs: Needs, embedder: Embedder) -> list[Looked]:
        pictures = [all_of_them[i] for i in piece]
        images = [_decoded(each.data, i) for i, each in zip(piece, pictures, strict=True)]
        found: dict[int, Looked] = {}
        for i, (picture, image) in enumerate(zip(pictures, images, strict=True)):
            if picture.xyxy is not None:
                found[i] = _with_boxes(image, picture, piece[i], embedder)
        rest = [i for i in range(len(pictures)) if i not in found]
        detector = self._parts.detector() if needs.detections and rest else None
        decoded = [Decoded(Frame("", 0, 0.0, b"", digest=str(i)), images[i]) for i in rest]
        for i, seen in zip(rest, perceive(decoded, needs | Needs(frame_vector=True), detector, embedder), strict=True):
            found[i] = Looked(seen.size_wh, seen.detections, seen.vectors, embedder.version, seen.detector)
        return [found[i] for i in range(len(pictures))]

    def add(self, uploads: Sequence[Upload], marks: Sequence[Mark]) -> Receipt:
        """Pictures first, then what is known of their elements, then frames, elements, samples and deliveries in one
        transaction, then the counters: stopped anywhere, doing it again finishes it."""
        known = _Versions(self._parts.store)
        seen = [(each, _observed(each, i)) for i, each in enumerate(uploads)]
        samples = [s for upload, observation in seen for s in self._samples(upload, observation, known)]
        for mark in marks:
            check_mark(mark)
        with self._adding:  # or two that ask at once would both find room for the last
            wanted, refused = self._room(samples, known)
            receipt = self._store(seen, wanted) if wanted else Receipt()
        self._count(marks, known)
        return receipt + Receipt(refused=refused)

    def close(self) -> None:
        """The hub is its owner's."""

    # ── state ────────────────────────────────────────────────────────────────────────────────────────

    def _named(self, active: Sequence[Version], names: Sequence[str]) -> list[Version]:
        if len(names) > CAMPAIGNS:
            raise InvalidInput(f"{len(names)} campaigns are named, and {CAMPAIGNS} is the most")
        known = {each.name: str(each.id) for each in self._parts.store.campaigns()}
        wanted = set(names)
        for name in names:
            if name not in known and name not in known.values():
                raise NotFound("campaign", name, known)
        chosen = [each for each in active if wanted & {each.campaign, str(each.campaign_id)}]
        asleep = wanted - {said for each in chosen for said in (each.campaign, str(each.campaign_id))}
        if asleep:
            name = min(asleep)
            raise InvalidInput(f"campaign {name!r} is not active", hint=f"Activate it: hub campaigns activate {name}")
        return chosen

    def _embedders(self, versions: Sequence[Version]) -> list[EmbedderName]:
        """Those of the versions, and the hub's own where one embeds by whatever that is."""
        wanted = {each.embedding_version for each in versions if each.embedding_version is not None}
        recorded = self._parts.store.archive.embedding_versions() if wanted else []
        named = {each.version: each.embedder for each in recorded}
        found = {
            each.version: EmbedderName(each.version, each.embedder, each.dim)
            for each in recorded
            if each.version in wanted
        }
        needs = needs_of(versions)
        if any(not named.get(version) for version in wanted) or (needs.frame_vector and not wanted):
            own = self._parts.embedder()
            if own.version in wanted or not wanted:
                found[own.version] = EmbedderName(own.version, own.name, own.dim)
        return [found[version] for version in sorted(found)]

    # ── storing ──────────────────────────────────────────────────────────────────────────────────────

    def _samples(self, upload: Upload, seen: Observation, known: "_Versions") -> list[Sample]:
        now = self._clock()
        return [replace(candidate(seen, each.score, known.one(each), now), reason=each.reason) for each in upload.taken]

    def _room(self, samples: Sequence[Sample], known: "_Versions") -> tuple[list[Sample], int]:
        """What campaigns that stop after so many still take, and how many they refuse."""
        wanted: list[Sample] = []
        left: dict[int, float] = {}
        for sample in samples:
            campaign, most = sample.campaign_id, known.check(sample.campaign_id, sample.version).budget.stop_after
            if most is not None and not self._is_stored(sample):
                if campaign not in left:
                    left[campaign] = most - self._parts.store.collected(campaign)
                left[campaign] -= 1
                if left[campaign] < 0:
                    continue
            wanted.append(sample)
        return wanted, len(samples) - len(wanted)

    def _is_stored(self, sample: Sample) -> bool:
        try:
            self._parts.store.sample(sample.id)
        except NotFound:
            return False
        return True

    def _store(self, seen: Sequence[tuple[Upload, Observation]], samples: Sequence[Sample]) -> Receipt:
        taken = {sample.frame_id for sample in samples}
        seen = [(upload, observation) for upload, observation in seen if observation.frame.id in taken]
        for upload, observation in seen:
            self._parts.blobs.put(observation.frame.id, upload.picture)
        self._parts.store.archive.add([new for each in seen for new in _newcomers(*each)])
        written = self._parts.store.write(Batch([observation for _, observation in seen], samples))
        return Receipt(len(written), len(samples) - len(written))

    def _count(self, marks: Sequence[Mark], known: "_Versions") -> None:
        """By the campaigns that judged them, so that each frame counts once for each of these and for no other."""
        groups: dict[tuple[tuple[int, int], ...], list[Mark]] = defaultdict(list)
        for mark in marks:
            groups[tuple(sorted(set(mark.versions)))].append(mark)
        for versions, some in groups.items():
            for campaign_id, number in versions:
                known.check(campaign_id, number)
            by_camera = Counter(mark.camera for mark in some)
            counts = [
                Counts(c, n, camera, total, 0) for c, n in versions for camera, total in sorted(by_camera.items())
            ]
            if counts:
                self._parts.store.write(Batch(counts=counts, judged=[_judged(mark, self._clock()) for mark in some]))


class _Versions:
    """Versions by campaign id and number, read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names: Mapping[int, str] | None = None
        self._known: dict[int, dict[int, Version]] = {}

    def check(self, campaign_id: int, number: int) -> Version:
        """NotFound where there is no such version."""
        if self._names is None:
            self._names = {each.id: each.name for each in self._store.campaigns()}
        if campaign_id not in self._names:
            raise NotFound("campaign", str(campaign_id), hint="Sync again: it may be another hub's.")
        if campaign_id not in self._known:
            versions = self._store.versions(self._names[campaign_id])
            self._known[campaign_id] = {each.number: each for each in versions}
        if number not in self._known[campaign_id]:
            raise NotFound(f"version of campaign {self._names[campaign_id]!r}", str(number))
        return self._known[campaign_id][number]

    def one(self, taken: Taken) -> Version:
        """The version by which a frame was taken."""
        version = self.check(taken.campaign_id, taken.number)
        if taken.score.seed and taken.score.seed not in {seed.id for seed in version.seeds}:
            raise NotFound(f"seed in version {version.number} of campaign {version.campaign!r}", taken.score.seed)
        return version


def _decoded(data: bytes, i: int) -> Image:
    try:
        return decode(data)
    except ImageError as error:
        raise ImageError(error.reason, f"picture {i} is refused: {error.message}", hint=error.hint) from error


def _with_boxes(image: Image, picture: Picture, i: int, embedder: Embedder) -> Looked:
    """Row 0 the picture, a row for each box."""
    assert picture.xyxy is not None
    size_wh, n = (image.shape[1], image.shape[0]), len(picture.xyxy)
    try:
        check_boxes(picture.xyxy, size_wh)
    except InvalidInput as error:
        raise InvalidInput(f"picture {i} is refused: {error.message}") from error
    vectors = embedder.embed([image, *(crop(image, box) for box in picture.xyxy)])
    boxes = Detections(picture.xyxy, np.ones(n, np.float32), ("",) * n)
    return Looked(size_wh, boxes, vectors, embedder.version)


def _observed(upload: Upload, i: int) -> Observation:
    """A checked upload as what was seen."""
    image = _decoded(upload.picture, i)
    size_wh = image.shape[1], image.shape[0]
    check_upload(upload, size_wh, i)
    frame = Frame(upload.camera, 0, upload.taken_at, upload.picture)
    version = upload.embedding_version if len(upload.vectors) else None
    return Observation(frame, size_wh, upload.detections, upload.vectors, version, upload.detector)


def _newcomers(upload: Upload, seen: Observation) -> list[Newcomer]:
    """Its elements, with what the client says of them."""
    found = seen.detections
    return [
        Newcomer(
            frame_id=seen.frame.id,
            row=row,
            embedding_version=upload.embedding_version,
            camera=seen.frame.camera,
            taken_at=seen.frame.taken_at,
            box=seen.box(row),
            vector=vector,
            label=found.label[row - 1] if row else "",
            confidence=float(found.confidence[row - 1]) if row else 1.0,
            metadata=upload.metadata.get(row, {}),
        )
        for row, vector in enumerate(seen.vectors)
        if vector.any()
    ]


def _judged(mark: Mark, now: float) -> Observation:
    """Remembered from now on: old frames that are offered again must not count again."""
    frame = Frame(mark.camera, 0, now, b"", digest=mark.frame_id)
    return Observation(frame, (0, 0), Detections.empty(), np.zeros((0, 0), np.float32))
