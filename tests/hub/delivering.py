"""Samples with real pictures, and hubs that have some to deliver."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hub.blobs import open_blobs
from hub.deliveries import Parcel, Provenance
from hub.pipeline import Memory, judge
from hub.store import open_store
from hub.target import SeedTarget
from hub.triggers.detection import Detection
from hub.types import Batch, Campaign, CampaignState, Frame, Observation, Sample
from tests.hub.making import detections, observation, version


@cache
def picture(i: int = 0, width: int = 640, height: int = 480, suffix: str = ".jpg") -> bytes:
    """A picture like no other, as a file."""
    pixels = np.full((height, width, 3), i * 7 % 256, np.uint8)
    cv2.putText(pixels, str(i), (40, 240), cv2.FONT_HERSHEY_SIMPLEX, 4, (255, 255, 255), 8)
    return cv2.imencode(suffix, pixels)[1].tobytes()


def seen(i: int = 0, *found: tuple[str, float]) -> Observation:
    """The i-th picture, with a bird and a cat in it unless something else was found."""
    frame = Frame("porch", i, 100.0 + i, picture(i))
    return replace(observation(*(found or (("bird", 0.9), ("cat", 0.8)))), frame=frame)


def sample(jpeg: bytes | None = None, *found: tuple[str, float], **changes: Any) -> Sample:
    """A sample of a campaign that takes everything with a label."""
    what = replace(seen(0, *found), frame=Frame("porch", 1, 100.0, jpeg or picture()))
    target = SeedTarget(version(Detection(tuple({label for label, _ in found} or {"bird"}))), None)
    (made,) = judge([what], [target], Memory(), now=5.0).samples
    everything = detections(*(found or (("bird", 0.9), ("cat", 0.8))))
    return replace(made, **{"detections": everything, **changes})


def parcel(jpeg: bytes | None = None, *found: tuple[str, float], **changes: Any) -> Parcel:
    """A sample on its way, with its picture."""
    what = sample(jpeg, *found, **changes)
    why = Provenance(what.campaign, what.version, "detection", 0.5, detector="yolo 1")
    return Parcel(what, jpeg or picture(), why)


def fill(root: Path, count: int, destinations: tuple[str, ...] = ("folder",)) -> list[str]:
    """A hub's data directory with `count` samples to be delivered; returns their frames' ids, oldest first."""
    store = open_store(f"sqlite:///{root / 'hub.sqlite'}")
    blobs = open_blobs(f"file://{root / 'frames'}")
    campaign = store.add_campaign(Campaign(0, "birds", Detection(("bird",))), ())
    made = store.commit(version(campaign_id=campaign.id, destinations=destinations))
    store.set_campaign_state("birds", CampaignState.ACTIVE)
    batch = [seen(i) for i in range(count)]
    for each in batch:
        blobs.put(each.frame.id, each.frame.jpeg)
    judged = judge(batch, [SeedTarget(made, None)], Memory(), now=5.0)
    # All that was found is labelled, not only what the campaign asked for.
    samples = [replace(s, detections=each.detections) for s, each in zip(judged.samples, batch, strict=True)]
    store.write(Batch(batch, samples, counts=judged.counts))
    store.close()
    return [each.frame.id for each in batch]
