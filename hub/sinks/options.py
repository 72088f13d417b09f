"""What destinations can be told; read from the settings at the composition root."""

from dataclasses import dataclass, field
from pathlib import Path

from hub.types import RateLimit

API_URL = "https://api.roboflow.com"
PERIODS = ("never", "day", "week", "month")
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class RoboflowOptions:
    """How the Roboflow destination uploads.

    key, workspace: "" where they were not given; the key finds its workspace. project: of a destination that names
    none. batch: prefix of the names of batches. batch_every: how often there is a new one, of PERIODS. batch_size: no
    more pictures than that in one, 0 for no maximum. annotate: whether detections go along as predicted annotations.
    """

    key: str = field(default="", repr=False)
    workspace: str = ""
    project: str = ""
    url: str = API_URL
    split: str = "train"
    batch: str = "bowerbird"
    batch_every: str = "day"
    batch_size: int = 0
    annotate: bool = True
    rate: RateLimit | None = None


@dataclass(frozen=True)
class WebhookOptions:
    """Where the webhook destination posts. secret: of the signature. pictures: whether the picture goes along."""

    url: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    pictures: bool = True
    rate: RateLimit | None = None


@dataclass(frozen=True)
class SinkOptions:
    """datasets: where the folder destination writes."""

    datasets: Path
    roboflow: RoboflowOptions = RoboflowOptions()
    webhook: WebhookOptions = WebhookOptions()
