"""The sentence of the hub: decode → detect → embed → score → select, each over a batch.

`perceive` turns frames into observations, `judge` turns observations into samples. Both are free of I/O: frames
come from the poller's slots, samples go to the store.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np

from hub.budget import Ledger
from hub.protocols import Detector, Embedder, Target
from hub.scope import covers
from hub.score import Elements, elements_of, score
from hub.selection import changes, close, offer
from hub.types import (
    Counts,
    Detections,
    ElementKind,
    Frame,
    Held,
    Image,
    Needs,
    Observation,
    Sample,
    Scope,
    Score,
    State,
    Version,
)
from hub.vision import crop, decode
from shared.errors import ImageError

_NAME = 200
"""Characters kept of a detector's name and version."""

MAX_CROPS = 16
"""Crops embedded per frame, the most confident first."""


@dataclass(frozen=True)
class Rejected:
    """A frame that could not be decoded."""

    frame: Frame
    error: ImageError


@dataclass(frozen=True)
class Decoded:
    """A frame and its pixels."""

    frame: Frame
    image: Image


def decode_all(frames: Sequence[Frame], pool: Executor | None = None) -> tuple[list[Decoded], list[Rejected]]:
    """Decode frames, in threads when a pool is given; what is no picture comes back as rejected."""
    done = list(pool.map(_decode_one, frames) if pool else map(_decode_one, frames))
    return [d for d in done if isinstance(d, Decoded)], [d for d in done if isinstance(d, Rejected)]


def _decode_one(frame: Frame) -> Decoded | Rejected:
    try:
        return Decoded(frame, decode(frame.jpeg))
    except ImageError as error:
        return Rejected(frame, error)


def perceive(
    decoded: Sequence[Decoded], needs: Needs, detector: Detector | None, embedder: Embedder | None
) -> list[Observation]:
    """Detect, then embed frames and crops in one batch. Only what `needs` asks for is computed."""
    images = [d.image for d in decoded]
    found = [Detections.empty() for _ in images]
    if needs.detections and detector is not None and images:
        found = [confident(d, needs.confidence) for d in detector.detect(images)]
    vectors = _embed(images, found, needs, embedder)
    version = embedder.version if embedder is not None and _wants_vectors(needs) else None
    looked = f"{detector.name} {detector.version}" if needs.detections and detector is not None else ""
    return [
        Observation(d.frame, (d.image.shape[1], d.image.shape[0]), seen, rows, version, looked[:_NAME])
        for d, seen, rows in zip(decoded, found, vectors, strict=True)
    ]


def confident(found: Detections, least: float) -> Detections:
    """Those detections of at least `least` confidence; they come best first."""
    n = int(np.count_nonzero(found.confidence >= least))
    return found if n == len(found) else Detections(found.xyxy[:n], found.confidence[:n], found.label[:n])


def _wants_vectors(needs: Needs) -> bool:
    return needs.frame_vector or needs.crop_vectors


def _embed(
    images: Sequence[Image], found: Sequence[Detections], needs: Needs, embedder: Embedder | None
) -> list[np.ndarray]:
    if embedder is None or not _wants_vectors(needs) or not images:
        return [np.zeros((0, 0), np.float32)] * len(images)
    elements: list[Image] = []
    ends = []
    for image, seen in zip(images, found, strict=True):
        elements.append(image)
        if needs.crop_vectors:
            wanted = confident(seen, needs.crop_confidence)
            elements += [crop(image, box) for box in wanted.xyxy[:MAX_CROPS]]
        ends.append(len(elements))
    return np.split(embedder.embed(elements), ends[:-1])


@dataclass(frozen=True, eq=False)
class Memory:
    """What judging remembers from batch to batch.

    ledgers: by campaign id. states: what its trigger keeps of each camera, by campaign id.
    """

    ledgers: Mapping[int, Ledger] = field(default_factory=dict)
    states: Mapping[int, Mapping[str, State]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Judged:
    """Samples selected from a batch, what was counted and is held back, and the memory for the next batch.

    held, let_go: as in `Batch`. scores: by campaign id, of each frame in its scope, in order; None below the bar.
    """

    samples: Sequence[Sample]
    counts: Sequence[Counts]
    held: Sequence[Held]
    let_go: Sequence[str]
    memory: Memory
    scores: Mapping[int, Sequence[tuple[Observation, Score | None]]] = field(default_factory=dict)


def judge(
    seen: Sequence[Observation],
    targets: Sequence[Target],
    memory: Memory,
    *,
    now: float,
    unchanged: Mapping[str, int] | None = None,
    every: bool = False,
) -> Judged:
    """Score every observation with every target in scope and select within each campaign's budget.

    every: score those as well that are certain to score too little to be taken.
    Windows and bursts that are over are closed, so it is worth calling with no observation at all.
    unchanged: by camera, frames that were polled but are the last one again; they are counted as processed.
    now: Unix seconds, becomes the samples' created_at.
    """
    samples: list[Sample] = []
    counts: list[Counts] = []
    held: list[Held] = []
    let_go: list[str] = []
    ledgers, states = dict(memory.ledgers), dict(memory.states)
    said: dict[int, Sequence[tuple[Observation, Score | None]]] = {}
    scoped = _Scoped(seen, unchanged or {}, now)
    for target in targets:
        version, campaign = target.version, target.version.campaign_id
        before = ledgers.get(campaign, Ledger())
        frames, elements, processed = scoped.of(version.scope)
        known = states.get(campaign, {})
        bar = 0.0 if every else _bar(version)
        scores, states[campaign] = score(frames, target, known, bar=bar, elements=elements)
        said[campaign] = list(zip(frames, scores, strict=True))
        ledgers[campaign], taken = _select(frames, scores, version, before, now)
        more, gone = changes(before, ledgers[campaign])
        samples += taken
        held += more
        let_go += gone
        counts += _counts(version, processed, taken)
    return Judged(samples, counts, held, let_go, Memory(ledgers, states), said)


class _Scoped:
    """Which frames lie in a scope, and how many of each camera: worked out once for campaigns of one scope."""

    def __init__(self, seen: Sequence[Observation], unchanged: Mapping[str, int], now: float) -> None:
        self._seen, self._unchanged, self._now = seen, unchanged, now
        self._known: dict[Scope, tuple[Sequence[Observation], Elements, Mapping[str, int]]] = {}

    def of(self, scope: Scope) -> tuple[Sequence[Observation], Elements, Mapping[str, int]]:
        """The frames, their elements, and by camera the number of all that were polled."""
        if scope not in self._known:
            frames = [s for s in self._seen if covers(scope, s.frame.camera, s.frame.taken_at)]
            processed = Counter({c: n for c, n in self._unchanged.items() if n and covers(scope, c, self._now)})
            processed.update(s.frame.camera for s in frames)
            self._known[scope] = frames, elements_of(frames), processed
        return self._known[scope]


def _bar(version: Version) -> float:
    """Below it a score is of no consequence; 0 where every frame has one: in a tally, or as a control."""
    budget = version.budget
    return 0.0 if budget.alarms or budget.control > 0 else budget.threshold


def _select(
    frames: Sequence[Observation], scores: Sequence[Score | None], version: Version, ledger: Ledger, now: float
) -> tuple[Ledger, list[Sample]]:
    budget, timezone, bar = version.budget, version.scope.timezone, _bar(version)
    taken: list[Sample] = []
    for observation, value in zip(frames, scores, strict=True):
        if value is None or value.value < bar or _is_blind(observation, value, version):
            continue
        sample = candidate(observation, value, version, now)
        ledger, released, _ = offer(ledger, budget, timezone, sample, now=now)
        taken += released
    # Last, so that frames that waited long for their turn still find their burst and window.
    ledger, more = close(ledger, budget, timezone, now=now)
    return ledger, taken + more


def _is_blind(seen: Observation, value: Score, version: Version) -> bool:
    """Whether nothing can be said of a frame, since its trigger goes by a vector that is zero or not a number."""
    needs_vector = version.trigger.needs.frame_vector and not value.value > 0
    return needs_vector and _element_vector(seen, value, version) is None


def candidate(seen: Observation, value: Score, version: Version, now: float) -> Sample:
    """The sample that a scored frame would become; its reason is still to be said."""
    vector = _element_vector(seen, value, version)
    needs = version.trigger.needs
    return Sample(
        campaign_id=version.campaign_id,
        campaign=version.campaign,
        version=version.number,
        frame_id=seen.frame.id,
        camera=seen.frame.camera,
        taken_at=seen.frame.taken_at,
        size_wh=seen.size_wh,
        box=seen.box(value.row),
        score=value,
        reason="",
        detections=confident(seen.detections, needs.confidence) if needs.detections else seen.detections,
        vector=vector,
        embedding_version=seen.embedding_version if vector is not None else None,
        created_at=now,
        destinations=version.destinations,
        tags=version.tags,
        detector=seen.detector,
    )


def _element_vector(seen: Observation, value: Score, version: Version) -> np.ndarray | None:
    """The vector near-duplicates are told by: the winning crop's for a crop campaign, else the frame's. None for one
    that is zero or not a number."""
    row = value.row if version.trigger.element is ElementKind.CROP else 0
    vector = seen.vectors[row] if row < len(seen.vectors) else np.zeros(0, np.float32)
    return vector if vector.any() and bool(np.isfinite(vector).all()) else None


def _counts(version: Version, processed: Mapping[str, int], taken: Sequence[Sample]) -> list[Counts]:
    collected = Counter(sample.camera for sample in taken)
    return [
        Counts(version.campaign_id, version.number, camera, n, collected[camera])
        for camera, n in sorted(processed.items())
    ]


def needs_of(versions: Sequence[Version]) -> Needs:
    """What the active campaigns together need of each frame."""
    total = Needs()
    for version in versions:
        total |= version.trigger.needs
        if version.budget.duplicate_distance > 0 or version.budget.variety > 0:
            total |= Needs(frame_vector=True)
    return total
