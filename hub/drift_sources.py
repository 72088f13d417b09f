"""Where a drift report's vectors come from: the store, a folder of pictures, or Roboflow. Every draw is bounded."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hub.drift_groups import MIN_FRAMES
from hub.drift_periods import Increment, bounds, earliest_full, is_full, is_period, periods_between, periods_of, split
from hub.protocols import Blobs, Embedder, Store
from hub.roboflow import Roboflow
from hub.snapshots import Snapshots, snapshots, together
from hub.triggers.random import Random
from hub.types import Batch, CampaignState, Detections, ElementKind, Frame, Image, Observation, Sample
from hub.vision import LIMITS, decode
from shared.errors import BowerbirdError, ImageError, InvalidInput, NotFound

PER_PERIOD = 2000
"""Frames drawn of each period, and of the reference."""

MAX_PICTURES = 1000
"""Pictures of a folder that are embedded: half a minute's to two minutes' work of one core."""

MAX_EMBEDDED = 300
"""Samples of a period that are embedded for want of a vector; they are stored for the next report."""

MAX_PERIODS = 400
"""The newest; 13 months of days."""

FOLDER = "the folder "
"""How the name of a reference begins that is one."""

_TOGETHER = 16

_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".heif", ".avif")
"""How pictures' names end, those of kinds that can't be read too: they are to be named, and not passed over."""

Tell = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Sides:
    """What is compared with what. name: of the reference. notes: what is to be known of the draw."""

    reference: Snapshots
    now: Snapshots
    name: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What a report is to be of. reference: a period or a folder, "" for the earliest full period. campaign: None for
    all stored frames. camera: None for all. tell: is given a line for a person when something takes long."""

    increment: Increment = Increment.MONTH
    timezone: str = ""
    reference: str = ""
    campaign: str | None = None
    camera: str | None = None
    seed: int = 0
    tell: Tell = lambda line: None


def random_campaign(store: Store) -> str | None:
    """The one active campaign that draws by lot, None where there is none or several."""
    found = [c.name for c in store.campaigns() if c.state is CampaignState.ACTIVE and isinstance(c.trigger, Random)]
    return found[0] if len(found) == 1 else None


# ── the store ────────────────────────────────────────────────────────────────────────────────────────


def from_store(store: Store, blobs: Blobs, embedder: Embedder, wanted: Wanted) -> Sides:
    """Stored frames, or a campaign's samples, against a period of them or a folder. InvalidInput where there are none,
    NotFound for a camera that there is not.

    A sample without a vector of this embedder is embedded from its picture, and the vector stored.
    """
    if wanted.campaign is not None:
        store.campaign(wanted.campaign)
    span = store.taken_between(embedder.version, campaign=wanted.campaign, camera=wanted.camera)
    if span is None:
        raise _nothing(store, embedder, wanted)
    periods = periods_between(*span, wanted.increment, wanted.timezone)
    notes = _notes_on_campaign(store, wanted.campaign)
    if len(periods) > MAX_PERIODS:
        notes.append(f"only the newest {MAX_PERIODS} of {len(periods):,} periods, and the reference")
    parts, reference = {}, Path(wanted.reference)
    for period in [periods[0], *periods[1:][-MAX_PERIODS:]]:
        parts[period] = _drawn(store, blobs, embedder, wanted, *bounds(period, wanted.timezone))
    everything = together(list(parts.values()))
    if not len(everything):
        raise InvalidInput(
            "none of the samples has a vector, or a picture to make one of", hint="Wait for new ones to be taken."
        )
    if wanted.reference and not is_period(wanted.reference):
        pictures, unread = folder(reference, embedder, wanted)
        return Sides(pictures, everything, f"{FOLDER}{reference}", (*notes, *unread))
    if wanted.reference and wanted.reference not in parts:
        start, end = bounds(wanted.reference, wanted.timezone)
        then = _drawn(store, blobs, embedder, wanted, start, end)
        return Sides(then, _outside(everything, start, end), wanted.reference, tuple(notes))
    return _by_period(everything, wanted, notes)


def _nothing(store: Store, embedder: Embedder, wanted: Wanted) -> InvalidInput:
    """Why nothing is stored of what is wanted."""
    what = "samples" if wanted.campaign else "frames with vectors of this embedder"
    others = store.taken_between(embedder.version, campaign=wanted.campaign)
    if wanted.camera is None or others is None:
        hint = "Have a random sample taken: hub campaigns create drift --trigger random, then activate it"
        return InvalidInput(f"there are no {what} to compare", hint=hint)
    known = {camera.name for camera in store.cameras()}
    if wanted.camera in known or store.taken_between(embedder.version, camera=wanted.camera) is not None:
        return InvalidInput(f"there are no {what} of {wanted.camera} to compare", hint="Leave --camera out, or wait.")
    some = store.draw_frames(embedder.version, since=others[0], until=others[1] + 1, limit=PER_PERIOD, seed=wanted.seed)
    return NotFound("camera", wanted.camera, known | set(some.camera.tolist()))


def _outside(all_: Snapshots, start: float, end: float) -> Snapshots:
    return all_.pick((all_.taken_at < start) | (all_.taken_at >= end))


def _by_period(everything: Snapshots, wanted: Wanted, notes: Sequence[str]) -> Sides:
    """A period of them against the rest."""
    period = wanted.reference
    if not period:
        names = sorted(set(periods_of(everything.taken_at, wanted.increment, wanted.timezone).tolist()))
        period = earliest_full(float(everything.taken_at.min()), names, wanted.timezone)
    reference, now = split(everything, period, wanted.timezone)
    if wanted.reference:
        return Sides(reference, now, period, tuple(notes))
    first, last = float(everything.taken_at.min()), float(everything.taken_at.max())
    full = "full " if is_full(period, first, last, wanted.timezone) else ""
    return Sides(reference, now, f"{period}, the earliest {full}{wanted.increment}", tuple(notes))


def _notes_on_campaign(store: Store, campaign: str | None) -> list[str]:
    if campaign is None or isinstance(store.campaign(campaign).trigger, Random):
        return []
    return [f"{campaign} selects what it takes: the report is of its samples, not of all that the cameras show"]


def _drawn(store: Store, blobs: Blobs, embedder: Embedder, wanted: Wanted, since: float, until: float) -> Snapshots:
    """Of one period."""
    if wanted.campaign is None:
        return store.draw_frames(
            embedder.version, since=since, until=until, limit=PER_PERIOD, seed=wanted.seed, camera=wanted.camera
        )
    drawn = store.draw_samples(
        wanted.campaign, since=since, until=until, limit=PER_PERIOD, seed=wanted.seed, camera=wanted.camera
    )
    vectors = dict(store.frame_vectors(embedder.version, [sample.frame_id for sample in drawn]))
    if drawn and store.campaign(wanted.campaign).trigger.element is ElementKind.FRAME:
        vectors |= {
            s.frame_id: s.vector for s in drawn if s.vector is not None and s.embedding_version == embedder.version
        }
    missing = [sample for sample in drawn if sample.frame_id not in vectors]
    if missing:
        # Not the first: these are the oldest.
        chosen = random.Random(wanted.seed).sample(missing, min(MAX_EMBEDDED, len(missing)))
        vectors |= _embedded(store, blobs, embedder, chosen, wanted.tell)
    usable = [sample for sample in drawn if sample.frame_id in vectors]
    return snapshots(
        np.array([vectors[sample.frame_id] for sample in usable]),
        camera=[sample.camera for sample in usable],
        taken_at=[sample.taken_at for sample in usable],
        id=[sample.id for sample in usable],
    )


def _embedded(
    store: Store, blobs: Blobs, embedder: Embedder, chosen: Sequence[Sample], tell: Tell
) -> dict[str, NDArray[np.float32]]:
    """Vectors of samples' frames from their pictures, which are stored too. A sample without a picture has none."""
    tell(f"embedding {len(chosen)} samples that have no vector yet")
    for start in range(0, len(chosen), _TOGETHER):
        pictures = []
        for sample in chosen[start : start + _TOGETHER]:
            try:
                data = blobs.get(sample.frame_id)
                pictures.append((sample, data, decode(data)))
            except BowerbirdError as error:
                tell(f"left out {sample.id}: {error.message}")
        if not pictures:
            continue
        rows = embedder.embed([image for _, _, image in pictures])
        seen = [
            Observation(
                Frame(sample.camera, 0, sample.taken_at, data), sample.size_wh, Detections.empty(), row[None],
                embedder.version,
            )
            for (sample, data, _), row in zip(pictures, rows, strict=True)
        ]  # fmt: skip
        store.write(Batch(seen))
    # As they are stored, so that the next report says the same.
    return dict(store.frame_vectors(embedder.version, [sample.frame_id for sample in chosen]))


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────


def folder(path: Path, embedder: Embedder, wanted: Wanted) -> tuple[Snapshots, list[str]]:
    """The pictures of a folder, drawn at random where they are more than MAX_PICTURES, and notes on those that can't be
    read. They have no time, and count as independent. InvalidInput where there is none."""
    if not path.is_dir():
        raise InvalidInput(
            f"{wanted.reference!r} is neither a period nor a folder",
            hint="Give a period such as 2026-09, or a folder of pictures such as a training set.",
        )
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in _PICTURES and not f.name.startswith("."))
    hint = f"Give a folder with at least {MIN_FRAMES} JPEG or PNG pictures."
    if not files:
        raise InvalidInput(f"there are no pictures in {path}", hint=hint)
    if len(files) > MAX_PICTURES:
        files = sorted(random.Random(wanted.seed).sample(files, MAX_PICTURES))
    rows, names, unread = [], [], []
    for start in range(0, len(files), _TOGETHER):
        if start and start % (10 * _TOGETHER) == 0:
            wanted.tell(f"embedded {start} of {len(files)} pictures")
        images = []
        for file in files[start : start + _TOGETHER]:
            try:
                images.append(_read(file))
                names.append(file.name)
            except (ImageError, OSError) as error:
                unread.append(f"{file.name}: {getattr(error, 'message', '') or error}")
        if images:
            rows.append(embedder.embed(images))
    if not rows:
        raise InvalidInput(f"none of the {len(files)} pictures in {path} can be read: {unread[0]}", hint=hint)
    notes = [f"{len(unread)} of {len(files)} pictures in {path} can't be read: {unread[0]}"] if unread else []
    return snapshots(np.concatenate(rows), id=names), notes


def _read(file: Path) -> Image:
    size = file.stat().st_size
    if size > LIMITS.max_bytes:
        raise ImageError("too-large", f"{size:,} bytes are too many for a picture")
    return decode(file.read_bytes())


# ── Roboflow ─────────────────────────────────────────────────────────────────────────────────────────


def from_roboflow(api: Roboflow, project: str, drift_project: str, wanted: Wanted) -> Sides:
    """The drift project's images by the time they were created, against the main project's `valid` split or a period
    of the drift project; by Roboflow's own embeddings. InvalidInput where there is nothing to compare."""
    if wanted.reference and not is_period(wanted.reference):
        raise InvalidInput(
            "a folder can't be compared with Roboflow's embeddings", hint="Leave --reference out, or give a period."
        )
    if not drift_project:
        raise InvalidInput("there is no drift project", hint="Set DRIFT_PROJECT.")
    wanted.tell(f"reading {drift_project}")
    images = [image for image in api.search(drift_project, embeddings=True) if image.embedding and image.created_at]
    if not images:
        raise InvalidInput(
            f"no image of {drift_project} has an embedding", hint="Roboflow makes them some minutes after an upload."
        )
    now = snapshots(
        _of_one_length([image.embedding for image in images], drift_project),
        taken_at=[image.created_at for image in images],
        id=[image.id for image in images],
    )
    if wanted.reference:
        return _by_period(now, wanted, ())
    if not project:
        raise InvalidInput("there is no project to compare with", hint="Set ROBOFLOW_PROJECT, or give --reference.")
    wanted.tell(f"reading {project}")
    found = api.search(project, embeddings=True)
    valid = [image for image in found if image.embedding and image.split == "valid"]
    if not valid:
        raise InvalidInput(
            f"no image of the valid split of {project} has an embedding", hint="Put images there, or give --reference."
        )
    vectors = _of_one_length([image.embedding for image in valid], project)
    if vectors.shape[1] != now.vectors.shape[1]:
        raise InvalidInput(f"the embeddings of {project} and {drift_project} are of two models")
    return Sides(snapshots(vectors, id=[image.id for image in valid]), now, f"the valid split of {project}")


def _of_one_length(embeddings: Sequence[tuple[float, ...]], project: str) -> NDArray[np.float32]:
    if len({len(each) for each in embeddings}) > 1:
        raise InvalidInput(f"the embeddings of {project} are of several models")
    return np.array(embeddings, np.float32)
