"""The default destination: a dataset folder per campaign."""

import hashlib
import json
import re
import threading
import unicodedata
from pathlib import Path
from typing import ClassVar

from hub.blobs import storing, write_whole
from hub.sinks.dataset import Dataset
from hub.types import Sample
from shared.errors import Paused, StoreError

_OWNER = ".campaign.json"


class FolderSink:
    """Writes `<root>/<campaign>/`, see `hub.sinks.dataset` for what is in it."""

    name: ClassVar[str] = "folder"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._datasets: dict[int, Dataset] = {}
        self._lock = threading.Lock()

    def send(self, sample: Sample, jpeg: bytes) -> str:
        """Add the sample to its campaign's folder; returns the picture's path below the root.

        Paused when the disk is full or read-only: it will be tried again, and nothing is lost.
        """
        with self._lock:
            try:
                dataset = self._dataset(sample)
                file_name = dataset.add(sample, jpeg)
            except StoreError as error:
                raise Paused(error.message) from error
            return f"{dataset.root.name}/images/train/{file_name}"

    def flush(self) -> None:
        """Bring every annotations.json up to date."""
        with self._lock:
            for dataset in self._datasets.values():
                try:
                    dataset.flush()
                except StoreError as error:
                    raise Paused(error.message) from error

    def _dataset(self, sample: Sample) -> Dataset:
        known = self._datasets.get(sample.campaign_id)
        if known is None:
            known = Dataset(_claim(self._root, sample))
            self._datasets[sample.campaign_id] = known
        return known


def slug(name: str) -> str:
    """A campaign's name as a folder's: letters, digits and dashes. Two names can share one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-_")[:60]
    return words or "campaign-" + hashlib.sha256(name.encode()).hexdigest()[:8]


def _claim(root: Path, sample: Sample) -> Path:
    """The campaign's folder; another campaign's is never shared, whatever the slugs."""
    for folder in (root / slug(sample.campaign), root / f"{slug(sample.campaign)}-{sample.campaign_id}"):
        owner = folder / _OWNER
        if owner.exists() and json.loads(owner.read_text())["id"] != sample.campaign_id:
            continue
        if not owner.exists():
            with storing(str(root)):
                write_whole(owner, json.dumps({"id": sample.campaign_id, "name": sample.campaign}).encode())
        return folder
    raise Paused(f"the folder {folder} belongs to another campaign: move it away")
