"""What a collector would store, made in one line."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hub.triggers.detection import Detection
from hub.types import Batch, Campaign, CampaignState, Counts, Sample, Score
from shared.errors import BowerbirdError
from tests.hub.making import observation, version


def add_campaign(store, name="birds", trigger=None, seeds=(), **changes):
    """A campaign, as it was added."""
    return store.add_campaign(Campaign(0, name, trigger or Detection(("bird",)), created_at=1.0, **changes), seeds)


def active(store, name="birds", **changes):
    """The version of an active campaign."""
    made = add_campaign(store, name)
    committed = store.commit(version(campaign_id=made.id, campaign=name, **changes))
    store.set_campaign_state(name, CampaignState.ACTIVE)
    return committed


def frames(count, start=0, camera="porch"):
    """Frames with a bird and a cat, of which the frame itself and the bird were embedded."""
    return [
        observation(
            ("bird", 0.9),
            ("cat", 0.3),
            vectors=np.eye(8)[[i % 8, (i + 1) % 8]],
            content=str(i),
            at=100.0 + i,
            camera=camera,
        )
        for i in range(start, start + count)
    ]


def sample(of, seen, value=0.8, **changes):
    """What the version `of` selected of a frame."""
    values = {
        "campaign_id": of.campaign_id,
        "campaign": of.campaign,
        "version": of.number,
        "frame_id": seen.frame.id,
        "camera": seen.frame.camera,
        "taken_at": seen.frame.taken_at,
        "size_wh": seen.size_wh,
        "box": seen.box(1),
        "score": Score(value, 1, "owl", 0.25, "calibrated 1", "bird 0.90"),
        "reason": f"bird 0.90, score {value}",
        "detections": seen.detections,
        "vector": seen.vectors[0],
        "embedding_version": seen.embedding_version,
        "created_at": 5.0,
        "destinations": of.destinations,
        "tags": of.tags,
    }
    return Sample(**values | changes)


def judged(of, seen):
    """How many frames of each camera the version `of` judged, when it judged all that was seen."""
    by_camera = Counter(each.frame.camera for each in seen)
    return [Counts(of.campaign_id, of.number, camera, n, 0) for camera, n in by_camera.items()]


def write(store, of, count, start=0):
    """Store that many frames, all of which were selected; returns the samples that were new."""
    seen = frames(count, start)
    return store.write(Batch(seen, [sample(of, each) for each in seen], counts=judged(of, seen)))


def at_once(*calls):
    """What calls in threads of their own raised, or None for each."""
    start = threading.Barrier(len(calls))

    def run(call):
        start.wait()
        try:
            call()
        except BowerbirdError as error:
            return error
        return None

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
