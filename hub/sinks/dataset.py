"""A growing dataset on disk that COCO and YOLO readers load at any moment.

    samples.jsonl                  the journal: a line per sample, in the order they came
    labels/train/<frame id>.txt    YOLO: class cx cy w h, relative to the upright picture
    images/train/<frame id>.jpg    the picture as its camera sent it
    data.yaml                      what Ultralytics trains on as is
    train.txt, val.txt             its lists of pictures, made from the journal by `flush`, see `hub.sinks.splits`
    annotations.json               COCO, made from the journal by `flush`

They are written in this order, so a picture that is there has its line and its labels, and a line without its picture
is a sample that did not get here: it is passed over, and comes again. Classes are numbered in the order in which the
journal names them, so a number never changes its meaning. A picture that a person removed is left out, too.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from hub.blobs import PARTS, clear_parts, storing, write_whole
from hub.sinks import journal
from hub.sinks.coco import coco_json
from hub.sinks.facts import Facts
from hub.sinks.journal import Entry
from hub.sinks.splits import TRAIN, VAL, listed, split_of
from hub.types import Sample
from shared.image import image_facts


class Dataset:
    """One folder. Not for two processes at once. StorageFull and StoreError when it can't be written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._journal = root / "samples.jsonl"
        self._coco = root / "annotations.json"
        self._images = root / "images" / "train"
        self._lists = {split: root / f"{split}.txt" for split in (TRAIN, VAL)}
        self._names: dict[str, str] = {}
        self._classes: dict[str, int] = {}
        self._stale = True
        with storing(str(root)):
            self._open()

    def __contains__(self, frame_id: str) -> bool:
        return frame_id in self._names

    def __len__(self) -> int:
        return len(self._names)

    def add(self, sample: Sample, picture: bytes, facts: Facts | None = None) -> str:
        """Add a sample, and return its picture's name. Adding it again changes nothing. ImageError for no picture.

        facts: of its provenance, as `facts_of` gives them.
        """
        with storing(str(self.root)):
            if self._names and not self._journal.exists():
                self._open()  # a person removed the folder: start afresh
            known = self._names.get(sample.frame_id)
            if known is not None:
                return known
            suffix = ".png" if image_facts(picture).format == "png" else ".jpg"
            entry = journal.entry_of(sample, sample.frame_id + suffix, facts or {})
            with self._in_journal(entry):
                if not all(path.exists() for path in self._lists.values()):
                    self._write_lists(lambda: chain(self._entries(), [entry]))
                self._learn(entry["label"])
                self._write(self.root / "labels" / "train" / f"{sample.frame_id}.txt", self._yolo(entry))
                self._write(self._images / entry["file_name"], [picture])
        self._names[sample.frame_id] = entry["file_name"]
        self._stale = True
        return str(entry["file_name"])

    def flush(self) -> None:
        """Bring annotations.json and the lists up to date: the time this takes grows with the dataset."""
        if not self._stale:
            return
        with storing(str(self.root)):
            self._write_lists(self._entries)
            self._write(self._coco, coco_json(self._entries, self._classes))
        self._stale = False

    # ── the journal ──────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> None:
        """Learn what is there, and take away what a crash left unfinished."""
        self._names.clear()
        self._classes.clear()
        clear_parts(self.root / PARTS, older_than_s=0.0, now=float("inf"))
        pictures = {path.name for path in self._images.iterdir()} if self._images.is_dir() else set()
        lines = 0
        for entry in journal.read(self._journal):
            lines += 1
            self._number(entry["label"])
            if entry["file_name"] in pictures:
                self._names[entry["id"]] = entry["file_name"]
        if self._classes and not self._lists_every_class():
            self._write_yaml()
        up_to_date = _is_newer(self._coco, self._journal) and all(path.exists() for path in self._lists.values())
        self._stale = lines != len(self._names) or not up_to_date

    def _entries(self) -> Iterator[Entry]:
        """Each sample whose picture is there, once, in the order they came."""
        seen = set()
        for entry in journal.read(self._journal):
            if entry["id"] in self._names and entry["id"] not in seen:
                seen.add(entry["id"])
                yield entry

    @contextmanager
    def _in_journal(self, entry: Entry) -> Iterator[None]:
        """The entry's line is in the journal if the body is done, and is not if it fails."""
        self.root.mkdir(parents=True, exist_ok=True)
        classes = dict(self._classes)
        try:
            with journal.appended(self._journal, entry):
                yield
        except BaseException:
            self._classes = classes
            raise

    # ── classes ──────────────────────────────────────────────────────────────────────────────────────

    def _number(self, labels: Iterable[str]) -> bool:
        """Give new labels the next numbers. Whether there were any."""
        before = len(self._classes)
        for label in labels:
            self._classes.setdefault(label, len(self._classes))
        return len(self._classes) > before

    def _learn(self, labels: Sequence[str]) -> None:
        if self._number(labels) or not (self.root / "data.yaml").exists():
            self._write_yaml()

    def _write_yaml(self) -> None:
        # No `path`: Ultralytics then looks beside this file, so the folder may be moved.
        names = [f"  {line}\n" for line in self._class_lines()] or ["  {}\n"]
        text = "".join(["train: train.txt\nval: val.txt\nnames:\n", *names])
        self._write(self.root / "data.yaml", [text.encode()])

    def _class_lines(self) -> list[str]:
        # A JSON string is a YAML string as well.
        return [f"{number}: {json.dumps(label, ensure_ascii=False)}" for label, number in self._classes.items()]

    def _lists_every_class(self) -> bool:
        """Whether data.yaml is up to date. What a person added to it stays until there is a new class."""
        path = self.root / "data.yaml"
        listed = {line.strip() for line in path.read_text("utf-8").splitlines()} if path.exists() else set()
        return listed.issuperset(self._class_lines())

    def _write_lists(self, entries: Callable[[], Iterable[Entry]]) -> None:
        for split, path in self._lists.items():
            pictures = (
                (f"images/train/{entry['file_name']}", split_of(entry["camera"], entry["taken_at"]))
                for entry in entries()
            )
            self._write(path, listed(pictures, split))

    # ── files ────────────────────────────────────────────────────────────────────────────────────────

    def _yolo(self, entry: Entry) -> Iterator[bytes]:
        width, height = entry["size_wh"]
        for (x, y, w, h), label in zip(entry["xywh"], entry["label"], strict=True):
            numbers = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
            yield f"{self._classes[label]} {' '.join(f'{number:.6f}' for number in numbers)}\n".encode()

    def _write(self, path: Path, data: Iterable[bytes]) -> None:
        write_whole(path, data, parts=self.root / PARTS)


def _is_newer(path: Path, than: Path) -> bool:
    if not than.exists():
        return True
    return path.exists() and path.stat().st_mtime_ns > than.stat().st_mtime_ns
