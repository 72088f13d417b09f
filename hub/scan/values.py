"""What is asked of a scan, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass

from hub.appraise import Statistics
from hub.footage.files import Unreadable
from hub.pictures import Pictures
from hub.protocols import Blobs, Detector, Embedder, Store
from hub.types import Sample


@dataclass(frozen=True)
class Rules:
    """How to scan. every_s: seconds between frames of a film. camera: in place of folders' names, or "".

    threshold: in place of the campaigns' own. best: no thresholds and no budgets, the best so many of all. dry: nothing
    is taken. crops: look for objects, and embed them, though no campaign asks for it. top: how many of each campaign's
    best frames to name.
    """

    every_s: float = 1.0
    camera: str = ""
    threshold: float | None = None
    best: int | None = None
    dry: bool = False
    crops: bool = False
    top: int = 0


@dataclass(frozen=True)
class Models:
    """How to get the models, and how they run best: frames together, batches side by side."""

    detector: Callable[[], Detector]
    embedder: Callable[[], Embedder]
    batch: int = 1
    workers: int = 1


@dataclass(frozen=True)
class Places:
    """Where things are."""

    store: Store
    blobs: Blobs
    pictures: Pictures


@dataclass(frozen=True)
class Progress:
    """How far it is. bytes: read of the files. frames: seen, each once. known: of these, looked at in an earlier scan.
    renamed: of these, the ones that are known under another camera's name than the rules say, and keep it.

    settling: all is looked at, and `settled` frames were judged in the order of time.
    """

    bytes: int = 0
    frames: int = 0
    known: int = 0
    renamed: int = 0
    repeated: int = 0
    samples: int = 0
    unreadable: int = 0
    settling: bool = False
    settled: int = 0


@dataclass(frozen=True)
class Best:
    """One of a campaign's best frames."""

    sample: Sample
    source: str


@dataclass(frozen=True, eq=False)
class Scanned:
    """What came of it.

    new: samples that were stored. unsettled: campaigns that were not judged, since the scan was stopped. best: by
    campaign, as many as the rules say. span: when the first and the last frame was taken, Unix seconds; None without.
    """

    progress: Progress
    statistics: tuple[Statistics, ...]
    new: int
    unreadable: tuple[Unreadable, ...]
    stopped: bool
    unsettled: tuple[str, ...]
    best: dict[str, list[Best]]
    span: tuple[float, float] | None = None
