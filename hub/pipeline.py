"""The sentence of the hub: decode → detect → embed → score → select, each over a batch.

`perceive` turns frames into observations, `judge` turns observations into samples. Both are free of I/O: frames
come from the poller's slots, samples go to the store.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np

from hub import budget
from hub.budget import Ledger
from hub.protocols import Detector, Embedder, Target
from hub.score import score
from hub.types import (
    Counts,
    Detections,
    ElementKind,
    Frame,
    Image,
    Needs,
    Observation,
    Sample,
    Score,
    State,
    Version,
)
from hub.vision import crop, decode
from shared.errors import ImageError

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
    return [
        Observation(d.frame, (d.image.shape[1], d.image.shape[0]), seen, rows, version)
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
    """Samples selected from a batch, what was counted, and the memory for the next batch."""

    samples: Sequence[Sample]
    counts: Sequence[Counts]
    memory: Memory


def judge(
    seen: Sequence[Observation],
    targets: Sequence[Target],
    memory: Memory,
    *,
    now: float,
    unchanged: Mapping[str, int] | None = None,
) -> Judged:
    """Score every observation with every target in scope and select within each campaign's budget.

    unchanged: by camera, frames that were polled but are the last one again; they are counted as processed.
    now: Unix seconds, becomes the samples' created_at.
    """
    samples: list[Sample] = []
    counts: list[Counts] = []
    ledgers, states = dict(memory.ledgers), dict(memory.states)
    for target in targets:
        version = target.version
        scoped = [s for s in seen if s.frame.camera in version.scope]
        scores, states[version.campaign_id] = score(scoped, target, states.get(version.campaign_id, {}))
        ledger = ledgers.get(version.campaign_id, Ledger())
        kept = []
        for observation, value in zip(scoped, scores, strict=True):
            sample, ledger = _select(observation, value, version, ledger, now)
            kept += [sample] if sample else []
        ledgers[version.campaign_id] = ledger
        samples += kept
        counts += _counts(version, scoped, kept, unchanged or {})
    return Judged(samples, counts, Memory(ledgers, states))


def _select(
    seen: Observation, value: Score, version: Version, ledger: Ledger, now: float
) -> tuple[Sample | None, Ledger]:
    vector = _element_vector(seen, value, version)
    needs = version.trigger.needs
    decision = budget.decide(
        value, version.budget, ledger, frame_id=seen.frame.id, taken_at=seen.frame.taken_at, vector=vector
    )
    if not decision.keep:
        return None, ledger
    sample = Sample(
        campaign_id=version.campaign_id,
        campaign=version.campaign,
        version=version.number,
        frame_id=seen.frame.id,
        camera=seen.frame.camera,
        taken_at=seen.frame.taken_at,
        size_wh=seen.size_wh,
        box=seen.box(value.row),
        score=value,
        reason=decision.reason,
        detections=confident(seen.detections, needs.confidence) if needs.detections else seen.detections,
        vector=vector,
        embedding_version=seen.embedding_version if vector is not None else None,
        created_at=now,
        destinations=version.destinations,
        tags=version.tags,
    )
    return sample, budget.add(
        ledger, version.budget, frame_id=seen.frame.id, taken_at=seen.frame.taken_at, vector=vector
    )


def _element_vector(seen: Observation, value: Score, version: Version) -> np.ndarray | None:
    """The vector near-duplicates are told by: the winning crop's for a crop campaign, else the frame's."""
    row = value.row if version.trigger.element is ElementKind.CROP else 0
    return seen.vectors[row] if row < len(seen.vectors) else None


def _counts(
    version: Version, scoped: Sequence[Observation], kept: Sequence[Sample], unchanged: Mapping[str, int]
) -> list[Counts]:
    processed = {camera: n for camera, n in unchanged.items() if camera in version.scope and n}
    collected: dict[str, int] = {}
    for observation in scoped:
        processed[observation.frame.camera] = processed.get(observation.frame.camera, 0) + 1
    for sample in kept:
        collected[sample.camera] = collected.get(sample.camera, 0) + 1
    return [
        Counts(version.campaign_id, version.number, camera, n, collected.get(camera, 0))
        for camera, n in sorted(processed.items())
    ]


def needs_of(versions: Sequence[Version]) -> Needs:
    """What the active campaigns together need of each frame."""
    total = Needs()
    for version in versions:
        total |= version.trigger.needs
        if version.budget.duplicate_distance > 0:
            total |= Needs(frame_vector=True)
    return total
