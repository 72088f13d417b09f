"""A growing dataset on disk that COCO and YOLO readers load at any moment.

    images/train/<frame id>.jpg    the picture as its camera sent it
    labels/train/<frame id>.txt    YOLO: class cx cy w h, relative to the upright picture
    data.yaml                      what Ultralytics trains on as is
    annotations.json               COCO
    samples.jsonl                  a line per sample: what the other two are made from

The journal is the truth. Its line is written last, so what is in it is whole; the rest is made again from it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hub.blobs import storing, write_whole
from hub.types import Sample
from shared.image import image_facts

_JOURNAL = "samples.jsonl"


class Dataset:
    """One folder. Not for two processes at once. StorageFull and StoreError when it can't be written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._entries: dict[str, dict[str, Any]] = {}
        self._labels: list[str] = []
        self._stale = not (root / "annotations.json").exists()
        with storing(str(root)):
            self._load()

    def __contains__(self, frame_id: str) -> bool:
        return frame_id in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, sample: Sample, picture: bytes) -> str:
        """Add a sample, and return its picture's name. Adding it again changes nothing."""
        if sample.frame_id in self._entries:
            return str(self._entries[sample.frame_id]["file_name"])
        suffix = ".png" if image_facts(picture).format == "png" else ".jpg"
        entry = _entry(sample, sample.frame_id + suffix)
        with storing(str(self.root)):
            self._learn(sample.detections.label)
            write_whole(self.root / "images" / "train" / entry["file_name"], picture)
            write_whole(self.root / "labels" / "train" / f"{sample.frame_id}.txt", self._yolo(entry).encode())
            self._append(entry)
        self._entries[sample.frame_id] = entry
        self._stale = True
        return str(entry["file_name"])

    def flush(self) -> None:
        """Bring annotations.json up to date."""
        if not self._stale:
            return
        with storing(str(self.root)):
            write_whole(self.root / "annotations.json", json.dumps(self._coco()).encode())
        self._stale = False

    # ── the journal ──────────────────────────────────────────────────────────────────────────────────

    def _load(self) -> None:
        path = self.root / _JOURNAL
        if not path.exists():
            return
        whole = b""
        data = path.read_bytes()
        for line in data.splitlines(keepends=True):
            try:
                entry = json.loads(line)
            except ValueError:
                break  # torn by a crash: the sample was not acknowledged, and comes again
            if not line.endswith(b"\n"):
                break
            self._entries[entry["id"]] = entry
            whole += line
        if whole != data:
            write_whole(path, whole)
        self._stale = self._stale or self._is_older_than_journal()
        self._labels = self._read_labels()
        for entry in self._entries.values():
            self._learn(entry["label"])

    def _is_older_than_journal(self) -> bool:
        made = (self.root / "annotations.json").stat().st_mtime_ns
        return made <= (self.root / _JOURNAL).stat().st_mtime_ns

    def _append(self, entry: dict[str, Any]) -> None:
        path = self.root / _JOURNAL
        with path.open("ab") as file:
            end = file.tell()
            try:
                file.write(json.dumps(entry).encode() + b"\n")
                file.flush()
            except OSError:
                file.truncate(end)
                raise

    # ── classes ──────────────────────────────────────────────────────────────────────────────────────

    def _read_labels(self) -> list[str]:
        path = self.root / "classes.txt"
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def _learn(self, labels: Sequence[str]) -> None:
        """Give new labels the next index. An index never changes its meaning."""
        new = [label for label in dict.fromkeys(labels) if label not in self._labels]
        if new or not (self.root / "data.yaml").exists():
            self._labels += new
            names = "".join(f"  {i}: {json.dumps(label)}\n" for i, label in enumerate(self._labels))
            write_whole(self.root / "classes.txt", "".join(f"{label}\n" for label in self._labels).encode())
            # No `path`: Ultralytics then looks beside this file, so the folder may be moved.
            text = f"train: images/train\nval: images/train\nnames:\n{names}" if names else "train: images/train\n"
            write_whole(self.root / "data.yaml", text.encode())

    # ── formats ──────────────────────────────────────────────────────────────────────────────────────

    def _yolo(self, entry: dict[str, Any]) -> str:
        width, height = entry["size_wh"]
        lines = []
        for (x, y, w, h), label in zip(entry["xywh"], entry["label"], strict=True):
            numbers = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
            lines.append(f"{self._labels.index(label)} " + " ".join(f"{number:.6f}" for number in numbers) + "\n")
        return "".join(lines)

    def _coco(self) -> dict[str, Any]:
        index = {label: i for i, label in enumerate(self._labels)}
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, entry in enumerate(self._entries.values(), 1):
            width, height = entry["size_wh"]
            facts = {key: entry[key] for key in ("score", "camera", "taken_at", "version", "reason", "box")}
            file_name = f"images/train/{entry['file_name']}"
            images.append({"id": number, "file_name": file_name, "width": width, "height": height, **facts})
            for xywh, label, confidence in zip(entry["xywh"], entry["label"], entry["confidence"], strict=True):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": index[label] + 1,
                        "bbox": xywh,
                        "area": round(xywh[2] * xywh[3], 2),
                        "iscrowd": 0,
                        "score": confidence,
                    }
                )
        categories = [{"id": i + 1, "name": label} for label, i in index.items()]
        info = {"description": "Collected by Bowerbird; boxes are the detector's, not a person's."}
        return {"info": info, "images": images, "annotations": annotations, "categories": categories}


def _entry(sample: Sample, file_name: str) -> dict[str, Any]:
    """A line of the journal."""
    width, height = sample.size_wh
    found = sample.detections
    boxes = [
        (max(0.0, x1), max(0.0, y1), min(float(width), x2), min(float(height), y2))
        for x1, y1, x2, y2 in found.xyxy.tolist()
    ]
    return {
        "id": sample.frame_id,
        "file_name": file_name,
        "size_wh": [width, height],
        "xywh": [[round(v, 2) for v in (x1, y1, x2 - x1, y2 - y1)] for x1, y1, x2, y2 in boxes],
        "label": list(found.label),
        "confidence": [round(v, 4) for v in found.confidence.tolist()],
        "score": round(sample.score.value, 5),
        "box": [round(v, 2) for v in sample.box],
        "camera": sample.camera,
        "taken_at": sample.taken_at,
        "campaign": sample.campaign,
        "version": sample.version,
        "reason": sample.reason,
        "tags": list(sample.tags),
    }
