"""Samples to files: COCO, YOLO, FiftyOne, CSV."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hub.blobs import storing, write_whole
from hub.deliveries import Parcel, Provenance
from hub.exchange.fiftyone import Pictured, write_fiftyone
from hub.protocols import Blobs
from hub.sinks.dataset import Dataset
from hub.sinks.facts import facts_of
from hub.types import Sample
from shared.errors import InvalidInput

FORMATS = ("coco", "yolo", "fiftyone", "csv")
_OURS = {"csv": ("samples.csv",), "fiftyone": ("samples.json",)}
_COLUMNS = (
    "id", "campaign", "version", "frame_id", "camera", "taken_at", "width", "height", "x1", "y1", "x2", "y2",
    "score", "nearest_seed", "cosine", "status", "labels", "reason",
)  # fmt: skip


def export_samples(
    samples: Sequence[Sample], blobs: Blobs, out: Path, fmt: str, provenance: Callable[[str], Provenance]
) -> int:
    """Write samples to the folder `out`, which is new, empty or an export to be continued; returns how many.

    provenance: gives that of a sample's id. coco and yolo write the same dataset, which both kinds of reader load;
    fiftyone describes the samples given, with their vectors, and adds their pictures; csv writes samples.csv, without
    pictures.
    """
    if fmt not in FORMATS:
        raise InvalidInput(f"{fmt!r} is no export format", hint=f"There is {', '.join(FORMATS)}.")
    ours = _OURS.get(fmt, ("samples.jsonl", "data.yaml"))
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in ours):
        raise InvalidInput(f"{out} holds other files", hint="Export to a new folder: nothing is overwritten.")
    if fmt == "csv":
        return _write_csv(samples, out / "samples.csv")
    if fmt == "fiftyone":
        return write_fiftyone(out, lambda: _pictured(samples, blobs), name=out.name, said={})
    dataset = Dataset(out)
    for sample in samples:
        picture = blobs.get(sample.frame_id)
        dataset.add(sample, picture, facts_of(Parcel(sample, picture, provenance(sample.id))))
    dataset.flush()
    return len(samples)


def _pictured(samples: Sequence[Sample], blobs: Blobs) -> Iterator[Pictured]:
    """embedding: of the element that was compared for near-duplicates, the only vector that a sample keeps."""
    for s in samples:
        facts: dict[str, str | int | float | bool] = {
            "sample": s.id,
            "campaign": s.campaign,
            "version": s.version,
            "score": float(s.score.value),
            "status": s.status.value,
            "reason": s.reason,
            "control": s.control,
            "embedding_version": s.embedding_version or "",
        }
        yield Pictured(
            s.frame_id,
            blobs.get(s.frame_id),
            s.camera,
            s.taken_at,
            s.size_wh,
            s.detections,
            np.zeros((0, 0), np.float32) if s.vector is None else s.vector[None],
            tuple(dict.fromkeys((s.campaign, s.status.value, *s.tags))),
            facts,
            s.id,
        )


def _write_csv(samples: Sequence[Sample], path: Path) -> int:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for s in samples:
        writer.writerow(
            (
                *(s.id, s.campaign, s.version, s.frame_id, s.camera, f"{s.taken_at:.6f}", *s.size_wh, *s.box),
                *(f"{s.score.value:.6f}", s.score.seed, s.score.cosine, s.status.value),
                *(" ".join(s.detections.label), s.reason),
            )
        )
    with storing(str(path.parent)):
        write_whole(path, [text.getvalue().encode()], parts=path.parent)
    return len(samples)
