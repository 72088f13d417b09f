"""From what campaigns chose to what a hub takes, in requests of bounded size."""

import hashlib
from collections.abc import Iterator, Sequence

from hub.client.sampling import Fetch, Sampled, picture_of
from hub.collection.values import MARKS, PICTURES, REQUEST_BYTES, Collection, Mark, Receipt, Taken, Upload
from hub.scope import covers
from hub.types import Sample, Version
from shared.errors import InvalidInput


def upload(
    taken: Sequence[Sample],
    sampled: Sequence[Sampled],
    versions: Sequence[Version],
    hub: Collection,
    fetch: Fetch,
) -> Receipt:
    """Frames that were taken with their pictures, then word of all that were processed. May be done again at will."""
    known = {each.seen.frame.id: each for each in reversed(sampled)}
    by_frame: dict[str, list[Sample]] = {}
    for sample in taken:
        by_frame.setdefault(sample.frame_id, []).append(sample)
    receipt = Receipt()
    for some in _batches(_upload(known[frame_id], samples, fetch) for frame_id, samples in by_frame.items()):
        receipt += hub.add(some, ())
    marks = [_mark(each, versions) for each in known.values()]
    for at in range(0, len(marks), MARKS):
        receipt += hub.add((), marks[at : at + MARKS])
    return receipt


def _upload(sampled: Sampled, samples: Sequence[Sample], fetch: Fetch) -> Upload:
    frame, seen = sampled.frame, sampled.seen
    picture = picture_of(frame, fetch)
    if sampled.digest and hashlib.blake2b(picture, digest_size=16).hexdigest() != sampled.digest:
        raise InvalidInput(
            f"the picture of frame {frame.frame_id!r} is another than when it was sampled",
            hint="Sample it anew: sync_state, sample_probabilities.",
        )
    said = frame.metadata()
    return Upload(
        picture=picture,
        camera=frame.camera,
        taken_at=seen.frame.taken_at,
        detections=seen.detections,
        vectors=seen.vectors,
        embedding_version=seen.embedding_version or "none",
        taken=[Taken(each.campaign_id, each.version, each.score, each.reason) for each in samples],
        detector=seen.detector,
        metadata={row: said.get(row, said[0]) for row in range(len(seen.vectors))},
    )


def _mark(sampled: Sampled, versions: Sequence[Version]) -> Mark:
    frame = sampled.seen.frame
    judging = [each for each in versions if covers(each.scope, frame.camera, frame.taken_at)]
    return Mark(frame.id, frame.camera, frame.taken_at, tuple((each.campaign_id, each.number) for each in judging))


def _batches(uploads: Iterator[Upload]) -> Iterator[list[Upload]]:
    """As many as one request takes."""
    batch: list[Upload] = []
    size = 0
    for each in uploads:
        if batch and (len(batch) == PICTURES or size + len(each.picture) > REQUEST_BYTES // 2):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += len(each.picture)
    if batch:
        yield batch
