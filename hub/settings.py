"""The hub's settings: flags over environment over `hub.toml` in the data directory over these defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from shared.config import at_least, between, load, one_of, setting

DEVICES = ("auto", "cpu", "cuda", "tensorrt", "openvino")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_CHECKOUT = Path(__file__).resolve().parents[1]


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
    log_level: str = setting("INFO", "HUB_LOG_LEVEL", "|".join(LEVELS), check=one_of(*LEVELS))

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
    def indexes(self) -> Path:
        """Where index files live."""
        return self.data_dir / "indexes"


def read_settings(env: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Settings:
    """ConfigError lists every mistake at once."""
    flags = dict(flags or {})
    data_dir = Path(flags.get("data_dir") or env.get("HUB_DATA_DIR") or default_data_dir()).expanduser()
    flags["data_dir"] = data_dir
    return load(Settings, env=env, file=data_dir / "hub.toml", flags=flags)
