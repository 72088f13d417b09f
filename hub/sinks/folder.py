"""The default destination: a dataset folder per campaign."""

import hashlib
import json
import re
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from hub.blobs import PARTS, storing, write_whole
from hub.deliveries import Pace, Parcel
from hub.sinks.dataset import Dataset
from hub.sinks.facts import facts_of
from hub.sinks.options import SinkOptions
from hub.types import Sample
from shared.errors import ImageError, InvalidInput, Paused, Refused, StoreError

_OWNER = ".campaign.json"


class FolderSink:
    """Writes `<root>/<campaign>/`, see `hub.sinks.dataset` for what is in it."""

    name: ClassVar[str] = "folder"
    leaves: ClassVar[bool] = False
    pace = Pace()

    @staticmethod
    def check(options: SinkOptions, argument: str) -> None:
        """InvalidInput for an argument: there is one folder, a dataset in it for each campaign."""
        if argument:
            raise InvalidInput(f"the folder destination takes no {argument!r}", hint="Name it as: folder")

    @staticmethod
    def open(options: SinkOptions, argument: str) -> "FolderSink":
        """The folder that the options name."""
        FolderSink.check(options, argument)
        return FolderSink(options.datasets)

    def __init__(self, root: Path) -> None:
        self._root = root
        self._datasets: dict[Path, Dataset] = {}
        self._repaired = False
        self._lock = threading.Lock()

    def send(self, parcel: Parcel) -> str:
        """Add the sample to its campaign's folder; returns the picture's path below the root.

        Paused when the disk is full or read-only: it will be tried again, and nothing is lost. Refused when the
        bytes are no picture.
        """
        with self._lock, _as_delivery():
            dataset = self._dataset(_claim(self._root, parcel.sample))
            file_name = dataset.add(parcel.sample, parcel.picture, facts_of(parcel))
            return f"{dataset.root.name}/images/train/{file_name}"

    def flush(self) -> None:
        """Bring what is made of journals up to date; the first time, also what a crash left behind."""
        with self._lock:
            problems = []
            for folder in self._folders():
                try:
                    self._dataset(folder).flush()
                except StoreError as error:
                    problems.append(error)
            if problems:
                raise Paused(problems[0].told)
            self._repaired = True

    def _folders(self) -> list[Path]:
        if self._repaired:
            return list(self._datasets)
        return sorted(owner.parent for owner in self._root.glob(f"*/{_OWNER}"))

    def _dataset(self, folder: Path) -> Dataset:
        if folder not in self._datasets:
            self._datasets[folder] = Dataset(folder)
        return self._datasets[folder]


def slug(name: str) -> str:
    """A campaign's name as a folder's: letters, digits and dashes. Two names can share one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-_")[:60]
    return words or "campaign-" + hashlib.sha256(name.encode()).hexdigest()[:8]


def _claim(root: Path, sample: Sample) -> Path:
    """The campaign's folder; another campaign's is never shared, whatever the slugs."""
    ours = {"id": sample.campaign_id, "name": sample.campaign}
    for folder in (root / slug(sample.campaign), root / f"{slug(sample.campaign)}-{sample.campaign_id}"):
        owner = folder / _OWNER
        with storing(str(root)):
            if not owner.exists():
                write_whole(owner, [json.dumps(ours).encode()], parts=folder / PARTS)
            if owner.read_bytes() == json.dumps(ours).encode():
                return folder
    raise Paused(f"the folder {folder} belongs to another campaign: move it away")


@contextmanager
def _as_delivery() -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise Refused(f"the stored picture is damaged: {error.message}") from error
    except StoreError as error:
        raise Paused(error.told) from error
