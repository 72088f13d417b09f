"""A dataset's journal: a line of JSON per sample, in the order they came. A line is there whole or not at all."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hub.sinks.facts import Facts
from hub.types import Sample

Entry = dict[str, Any]
"""A line of the journal."""

_SAID_OTHERWISE = ("frame", "size", "detections")
"""Facts that the journal has under other names."""


_NEEDED = {"id", "file_name", "size_wh", "xywh", "label", "confidence", "camera", "taken_at"}
"""What each line of a journal has."""


def read(journal: Path) -> Iterator[Entry]:
    """The lines of a journal; one torn by a crash is cut off, one damaged otherwise passed over."""
    if not journal.exists():
        return
    whole = 0
    with journal.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.keys() >= _NEEDED:
                    yield entry
    if whole < journal.stat().st_size:
        os.truncate(journal, whole)


def entry_of(sample: Sample, file_name: str, facts: Facts) -> Entry:
    """The line of a sample. file_name: of its picture. facts: of its provenance."""
    width, height = sample.size_wh
    found = sample.detections
    inside = [
        (round(x1, 2), round(y1, 2), round(x2 - x1, 2), round(y2 - y1, 2))
        for x1, y1, x2, y2 in found.xyxy.clip(0, [width, height, width, height]).tolist()
    ]
    # A box without an area, or outside of the picture, is nothing that can be learned from.
    kept = [i for i, (_, _, w, h) in enumerate(inside) if w > 0 and h > 0]
    return {
        **{name: value for name, value in facts.items() if name not in _SAID_OTHERWISE},
        "id": sample.frame_id,
        "file_name": file_name,
        "size_wh": [width, height],
        "xywh": [inside[i] for i in kept],
        "label": [found.label[i] for i in kept],
        "confidence": [round(float(found.confidence[i]), 4) for i in kept],
        "score": round(sample.score.value, 5),
        "box": [round(v, 2) for v in sample.box],
        "camera": sample.camera,
        "taken_at": sample.taken_at,
        "campaign": sample.campaign,
        "version": sample.version,
        "reason": sample.reason,
        "tags": list(sample.tags),
    }


@contextmanager
def appended(journal: Path, entry: Entry) -> Iterator[None]:
    """The entry's line is on disk before the body begins, and is taken away again if it fails."""
    with journal.open("ab", buffering=0) as file:
        end = file.tell()
        try:
            _write_all(file.fileno(), json.dumps(entry).encode() + b"\n")
            os.fsync(file.fileno())
            yield
        except BaseException:
            with suppress(OSError):
                file.truncate(end)
            raise


def _write_all(number: int, data: bytes) -> None:
    """A full disk takes a part without complaint, and complains of the rest."""
    while data:
        data = data[os.write(number, data) :]
