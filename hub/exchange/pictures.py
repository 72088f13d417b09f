"""The frames of a corpus with their pictures, as datasets: FiftyOne's and COCO's."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hub.archive import ANY, Archive, Filter
from hub.exchange.fiftyone import Pictured, write_fiftyone
from hub.exchange.walk import Progress, use_of, walk
from hub.sinks.dataset import Dataset
from hub.types import Observation, Sample, Score
from shared.errors import InvalidInput, NotFound


class Held(Protocol):
    """What pictures are there: hub.pictures.Pictures."""

    def picture(self, frame_id: str) -> bytes:
        """Its bytes. NotFound when it is not kept."""


@dataclass
class Exported:
    """How an export went. missing: frames whose picture is not kept any more."""

    pictures: int = 0
    missing: int = 0


def export_fiftyone(
    archive: Archive,
    held: Held,
    embedding_version: str,
    out: Path,
    where: Filter = ANY,
    *,
    progress: Progress | None = None,
) -> Exported:
    """Write the frames that have elements a filter leaves in, with all their detections and vectors, as a dataset that
    FiftyOne reads. out: a folder, new, empty, or of an earlier export."""
    check_folder(out, "samples.json")
    use = use_of(archive, embedding_version)
    done = Exported()
    said = {"embedding_version": use.version, "embedder": use.embedder}

    def pictured() -> Iterator[Pictured]:
        for seen, picture in _pictured(archive, held, embedding_version, where, done, progress):
            frame = seen.frame
            yield Pictured(frame.id, picture, frame.camera, frame.taken_at, seen.size_wh, seen.detections, seen.vectors)

    write_fiftyone(out, pictured, name=out.name, said=said)
    return done


def export_coco(
    archive: Archive,
    held: Held,
    embedding_version: str,
    out: Path,
    where: Filter = ANY,
    *,
    progress: Progress | None = None,
) -> Exported:
    """The same frames as a dataset that COCO and YOLO readers load (see hub.sinks.dataset). Going on with an earlier
    export adds to it."""
    check_folder(out, "samples.jsonl")
    use_of(archive, embedding_version)
    done = Exported()
    dataset = Dataset(out)
    for seen, picture in _pictured(archive, held, embedding_version, where, done, progress):
        dataset.add(_sample(seen), picture)
    dataset.flush()
    return done


def check_folder(out: Path, ours: str) -> None:
    """InvalidInput for a folder that holds something else than an export. ours: a file that each export has."""
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / ours).exists()):
        raise InvalidInput(f"{out} holds other files", hint="Export to a new folder: nothing is overwritten.")


def _pictured(
    archive: Archive, held: Held, version: str, where: Filter, done: Exported, progress: Progress | None
) -> Iterator[tuple[Observation, bytes]]:
    """Each frame once, whole, with its picture."""
    known: set[str] = set()
    for batch in walk(archive, version, where, progress=progress):
        wanted = list(dict.fromkeys(i for each in batch if (i := each.stored.element.frame_id) not in known))
        known.update(wanted)
        seen = archive.recall(wanted, version)
        for frame_id in wanted:
            picture = _picture(held, frame_id) if frame_id in seen else None
            if picture is None:
                done.missing += 1
                continue
            done.pictures += 1
            yield seen[frame_id], picture


def _picture(held: Held, frame_id: str) -> bytes | None:
    try:
        return held.picture(frame_id)
    except NotFound:
        return None


def _sample(seen: Observation) -> Sample:
    """A frame as the sample of no campaign."""
    frame = seen.frame
    return Sample(
        campaign_id=0,
        campaign="",
        version=0,
        frame_id=frame.id,
        camera=frame.camera,
        taken_at=frame.taken_at,
        size_wh=seen.size_wh,
        box=seen.box(0),
        score=Score(0.0, 0),
        reason="",
        detections=seen.detections,
        detector=seen.detector,
    )
