"""The hub's settings: flags over environment over `hub.toml` in the data directory over these defaults."""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from hub.budget import parse_limit
from hub.redact import parse_regions
from hub.sinks.options import API_URL, PERIODS, SPLITS, RoboflowOptions, SinkOptions, WebhookOptions
from shared.config import at_least, between, load, one_of, setting
from shared.errors import InvalidInput

INDEXES = ("annoy", "usearch")
CORPUS = ("frames", "crops", "needed")
DEVICES = ("auto", "cpu", "cuda", "tensorrt", "openvino")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_OTHERS = {"HUB_DEMO_FOOTAGE", "HUB_TEST_DATA_DIR"}
"""Variables that begin like settings, and are for the demonstration and the tests."""

_CHECKOUT = Path(__file__).resolve().parents[1]


def is_rate(text: str) -> str:
    """What is wrong with a rate such as 100/minute, or ""."""
    try:
        if text:
            parse_limit(text)
    except InvalidInput as error:
        return error.told
    return ""


def is_regions(text: str) -> str:
    """What is wrong with regions to redact, or ""."""
    try:
        parse_regions(text)
    except InvalidInput as error:
        return error.told
    return ""


def default_data_dir() -> Path:
    """`hub-data` in a checkout, where the README's commands run; the platform's user-data directory else."""
    if (_CHECKOUT / "pyproject.toml").exists():
        return _CHECKOUT / "hub-data"
    return Path(platformdirs.user_data_dir("bowerbird"))


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Empty URLs mean: in the data directory."""

    data_dir: Path = setting(Path(), "HUB_DATA_DIR", "where the database, frames and datasets live")
    database_url: str = setting(
        "", "HUB_DATABASE_URL", "SQLAlchemy URL; PostgreSQL is postgresql+psycopg://…", secret=True
    )
    frames_url: str = setting("", "HUB_FRAMES_URL", "where images live: file://… or s3://bucket/prefix")
    models_dir: Path | None = setting(None, "HUB_MODELS_DIR", "folder searched first for model files")
    device: str = setting("auto", "HUB_DEVICE", "|".join(DEVICES), check=one_of(*DEVICES))
    detector: str = setting("", "HUB_DETECTOR", "name or file of the detector; the best one found by default")
    embedder: str = setting("", "HUB_EMBEDDER", "name or folder of the embedder; the best one found by default")
    threads: int = setting(0, "HUB_THREADS", "threads per model, 0 for all cores", check=at_least(0))
    batch: int = setting(0, "HUB_BATCH", "frames per batch, 0 to suit the device", check=between(0, 256))
    retention_days: float = setting(
        30.0, "HUB_RETENTION_DAYS", "how long unselected elements are kept", check=at_least(0.01)
    )
    max_disk_gb: float = setting(
        0.0, "HUB_MAX_DISK_GB", "for what is kept unasked; 0: a tenth of the disk, at most 50", check=at_least(0)
    )
    corpus: str = setting("frames", "HUB_CORPUS", "what is embedded: " + "|".join(CORPUS), check=one_of(*CORPUS))
    index: str = setting("annoy", "HUB_INDEX", "|".join(INDEXES), check=one_of(*INDEXES))
    host: str = setting("127.0.0.1", "HUB_HOST", "address the web app listens at")
    port: int = setting(8000, "HUB_PORT", "port of the web app", check=between(0, 65535))
    api_token: str = setting("", "HUB_API_TOKEN", "what programs say to be let in", secret=True)
    log_level: str = setting("INFO", "HUB_LOG_LEVEL", "|".join(LEVELS), check=one_of(*LEVELS))

    # what is made unrecognisable before a picture leaves this machine
    redact_labels: tuple[str, ...] = setting((), "HUB_REDACT_LABELS", "labels, such as person,car")
    redact_regions: str = setting(
        "", "HUB_REDACT_REGIONS", "by camera: porch:0,0 0.3,0 0.3,1 0,1; gate:…", check=is_regions
    )

    # the Roboflow destination, and seeds from there
    roboflow_key: str = setting("", "ROBOFLOW_KEY", "API key", secret=True, aliases=("ROBOFLOW_API_KEY",))
    roboflow_workspace: str = setting("", "ROBOFLOW_WORKSPACE", "the key's own by default")
    roboflow_project: str = setting("", "ROBOFLOW_PROJECT", "of the destination `roboflow`, and of seeds")
    roboflow_url: str = setting(API_URL, "ROBOFLOW_API_URL", "where the API is")
    roboflow_split: str = setting("train", "HUB_ROBOFLOW_SPLIT", "|".join(SPLITS), check=one_of(*SPLITS))
    roboflow_batch: str = setting("bowerbird", "HUB_ROBOFLOW_BATCH", "how names of batches begin")
    roboflow_batch_every: str = setting("day", "HUB_ROBOFLOW_BATCH_EVERY", "|".join(PERIODS), check=one_of(*PERIODS))
    roboflow_batch_size: int = setting(0, "HUB_ROBOFLOW_BATCH_SIZE", "most pictures in one, 0: any", check=at_least(0))
    roboflow_annotate: bool = setting(True, "HUB_ROBOFLOW_ANNOTATE", "send detections as predicted annotations")
    roboflow_rate: str = setting("", "HUB_ROBOFLOW_RATE", "no more uploads than, such as 100/minute", check=is_rate)
    roboflow_minutes: float = setting(
        10.0, "HUB_ROBOFLOW_MINUTES", "how often seeds are looked for, 0: never", check=at_least(0)
    )

    # the webhook destination
    webhook_url: str = setting("", "HUB_WEBHOOK_URL", "where samples are posted", secret=True)
    webhook_secret: str = setting("", "HUB_WEBHOOK_SECRET", "what they are signed with", secret=True)
    webhook_pictures: bool = setting(True, "HUB_WEBHOOK_PICTURES", "whether the picture goes along")
    webhook_rate: str = setting("", "HUB_WEBHOOK_RATE", "no more of them than, such as 10/second", check=is_rate)

    # Roboflow Collect's environment
    sample_rate: float = setting(1.0, "SAMPLE_RATE", "seconds between frames", check=at_least(0.01))
    collect_all: bool = setting(False, "COLLECT_ALL", "upload every frame")
    stream_url: str = setting("", "STREAM_URL", "video that is watched; a webcam by default", secret=True)
    infer_server_destination: str = setting("", "INFER_SERVER_DESTINATION", "inference server that embeds")
    infer_server_clip: str = setting("ViT-B-16", "INFER_SERVER_CLIP", "which CLIP it is asked for")
    clip_text_prompt: str = setting("", "CLIP_TEXT_PROMPT", "upload what looks like this")
    clip_text_prompt_threshold: float = setting(
        0.2, "CLIP_TEXT_PROMPT_THRESHOLD", "raw cosine", check=between(-1.0, 1.0)
    )
    drift_project: str = setting("", "DRIFT_PROJECT", "gets 1 frame in 100")
    unique_frame_buffer: int = setting(
        0, "UNIQUE_FRAME_BUFFER", "frames that must pass before one like it is taken", check=at_least(0)
    )
    stop_collecting_after: int = setting(0, "STOP_COLLECTING_AFTER", "frames in all, 0: no end", check=at_least(0))

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'hub.sqlite'}"

    @property
    def frames(self) -> str:
        """The blob store's URL."""
        return self.frames_url or f"file://{(self.data_dir / 'frames').resolve()}"

    @property
    def datasets(self) -> Path:
        """Where the folder destination writes."""
        return self.data_dir / "datasets"

    @property
    def sinks(self) -> SinkOptions:
        """What destinations are told."""
        roboflow = RoboflowOptions(
            key=self.roboflow_key,
            workspace=self.roboflow_workspace,
            project=self.roboflow_project,
            url=self.roboflow_url,
            split=self.roboflow_split,
            batch=self.roboflow_batch,
            batch_every=self.roboflow_batch_every,
            batch_size=self.roboflow_batch_size,
            annotate=self.roboflow_annotate,
            rate=parse_limit(self.roboflow_rate) if self.roboflow_rate else None,
        )
        webhook = WebhookOptions(
            self.webhook_url,
            self.webhook_secret,
            self.webhook_pictures,
            parse_limit(self.webhook_rate) if self.webhook_rate else None,
        )
        return SinkOptions(self.datasets, roboflow, webhook)

    @property
    def recent(self) -> str:
        """The URL of the ring of recent pictures."""
        return f"file://{(self.data_dir / 'recent').resolve()}"

    @property
    def thumbnails(self) -> str:
        """The URL of what recent pictures fade to."""
        return f"file://{(self.data_dir / 'thumbnails').resolve()}"

    @property
    def indexes(self) -> Path:
        """Where index files live."""
        return self.data_dir / "indexes"


def misspelt(env: Mapping[str, str]) -> list[str]:
    """What is to be said of variables that look like settings and are none."""
    known = {
        name for field in dataclasses.fields(Settings) for name in (field.metadata["env"], *field.metadata["aliases"])
    } | _OTHERS
    said = []
    for name in sorted(set(env) - known):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if name.startswith("HUB_") or (near and name.startswith("ROBOFLOW_")):
            said.append(f"{name} is no setting{f': did you mean {near[0]}?' if near else ''}")
    return said


def read_settings(env: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Settings:
    """ConfigError lists every mistake at once."""
    flags = dict(flags or {})
    data_dir = Path(flags.get("data_dir") or env.get("HUB_DATA_DIR") or default_data_dir()).expanduser()
    flags["data_dir"] = data_dir
    return load(Settings, env=env, file=data_dir / "hub.toml", flags=flags)
