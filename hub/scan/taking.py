"""What was seen and taken, into the store."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hub.appraise import Appraiser
from hub.archive import SeenFrame
from hub.budget import ledger_of, remembered
from hub.footage.files import Unreadable
from hub.pipeline import Memory
from hub.protocols import Store, Target
from hub.scan.frame_order import FrameOrder
from hub.scan.side_by_side import Seen
from hub.scan.values import Places
from hub.types import Batch, Counts, Detections, Frame, Observation, Sample
from shared.errors import NotFound

_NEVER = 1e11
"""What was scanned outlives retention, however old, and so must the word that it was judged: Unix seconds."""


class Taking:
    """dry: frames are stored, and no samples. missing: samples that were taken, but whose picture is gone."""

    def __init__(self, of: Places, *, dry: bool) -> None:
        self._of, self._dry = of, dry
        self.missing: list[Unreadable] = []

    def take(self, batch: Sequence[Seen], judge: Appraiser, taken: Sequence[Sample]) -> int:
        """Store frames and what a judge took of them; returns how many samples are new.

        Pictures come first, then the rows that name them.
        """
        new = [_bare(each.observation) for each in batch if each.is_new]
        frames = [_place(each) for each in batch if each.is_new or each.is_moved]
        samples: list[Sample] = []
        counts: list[Counts] = []
        marks: list[Observation] = []
        if not self._dry:
            pictures = {each.observation.frame.id: each.observation.frame.jpeg for each in batch}
            fresh = {each.frame.id for each in new}
            samples = [each for each in taken if self._keep(each, pictures, each.frame_id in fresh)]
            seen = [each.observation for each in batch]
            marks = [_mark(each.observation) for each in batch]
            counts = judge.counts(seen, samples)
        if not (new or frames or samples or counts):
            return 0
        return len(self._of.store.write(Batch(new, samples, counts=counts, frames=frames, judged=marks)))

    def _keep(self, sample: Sample, pictures: dict[str, bytes], is_fresh: bool) -> bool:
        """Whether a sample is to be written: its picture is stored now, and it is none that was taken before."""
        if not is_fresh and self._is_stored(sample):
            return False
        try:
            data = pictures.get(sample.frame_id) or self._of.pictures.picture(sample.frame_id)
        except NotFound as error:
            self.missing.append(Unreadable(f"frame {sample.frame_id}", f"taken, but {error.told}"))
            return False
        self._of.blobs.put(sample.frame_id, data)
        return True

    def _is_stored(self, sample: Sample) -> bool:
        try:
            self._of.store.sample(sample.id)
        except NotFound:
            return False
        return True


def taken_elsewhere(store: Store, targets: Sequence[Target], scanned: FrameOrder) -> Memory:
    """What campaigns took, but for frames of this scan: these are judged again, with the same result."""
    ledgers = {}
    for version in (target.version for target in targets):
        most = max(remembered(version.budget), version.budget.stop_after or 0)
        taken = store.taken_by(version.campaign_id, limit=most)
        others = [each for each in reversed(taken) if each.frame_id not in scanned]
        count = store.collected(version.campaign_id) - (len(taken) - len(others))
        ledgers[version.campaign_id] = ledger_of(others, version.budget, taken=count)
    return Memory(ledgers)


def _place(seen: Seen) -> SeenFrame:
    frame = seen.observation.frame
    return SeenFrame(frame.id, frame.camera, frame.taken_at, seen.observation.size_wh, seen.source)


def _bare(seen: Observation) -> Observation:
    """Without the picture's bytes."""
    return replace(seen, frame=_id_only(seen.frame))


def _mark(seen: Observation) -> Observation:
    """That a frame was judged, without what is stored of it already."""
    frame = replace(_id_only(seen.frame), taken_at=_NEVER)
    return Observation(frame, seen.size_wh, Detections.empty(), np.zeros((0, 0), np.float32))


def _id_only(frame: Frame) -> Frame:
    return Frame(frame.camera, frame.seq, frame.taken_at, b"", digest=frame.id)
