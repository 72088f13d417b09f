"""Samples to files: COCO, YOLO, CSV."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from hub.blobs import storing, write_whole
from hub.deliveries import Parcel, Provenance
from hub.protocols import Blobs
from hub.sinks.dataset import Dataset
from hub.sinks.facts import facts_of
from hub.types import Sample
from shared.errors import InvalidInput

FORMATS = ("coco", "yolo", "csv")
_COLUMNS = (
    "id", "campaign", "version", "frame_id", "camera", "taken_at", "width", "height", "x1", "y1", "x2", "y2",
    "score", "nearest_seed", "cosine", "status", "labels", "reason",
)  # fmt: skip


def export_samples(
    samples: Sequence[Sample], blobs: Blobs, out: Path, fmt: str, provenance: Callable[[str], Provenance]
) -> int:
    """Write samples to the folder `out`, which is new, empty or an export to be continued; returns how many.

    provenance: gives that of a sample's id. coco and yolo write the same dataset, which both kinds of reader load; csv
    writes samples.csv, without pictures.
    """
    if fmt not in FORMATS:
        raise InvalidInput(f"{fmt!r} is no export format", hint=f"There is {', '.join(FORMATS)}.")
    ours = ("samples.csv",) if fmt == "csv" else ("samples.jsonl", "data.yaml")
    if out.is_dir() and any(out.iterdir()) and not any((out / name).exists() for name in ours):
        raise InvalidInput(f"{out} holds other files", hint="Export to a new folder: nothing is overwritten.")
    if fmt == "csv":
        return _write_csv(samples, out / "samples.csv")
    dataset = Dataset(out)
    for sample in samples:
        picture = blobs.get(sample.frame_id)
        dataset.add(sample, picture, facts_of(Parcel(sample, picture, provenance(sample.id))))
    dataset.flush()
    return len(samples)


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
