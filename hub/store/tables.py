"""The tables. Migrations make them; a test holds the two against each other."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


_LONG = BigInteger().with_variant(Integer, "sqlite")
"""For ids that a large fleet counts past two thousand million."""


def _float(name: str) -> Column[float]:
    return Column(name, Float(53), nullable=False, default=0.0)


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, default=0)


class AnyText(TypeDecorator[str]):
    """Text of any origin, without what a database refuses: NUL, and halves of surrogate pairs."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """What is stored for `value`."""
        return None if value is None else value.replace("\0", "").encode("utf-8", "replace").decode()


def _text(name: str) -> Column[str]:
    return Column(name, AnyText, nullable=False, default="")


facts = Table("facts", metadata, Column("name", String(64), primary_key=True), _count("value"))
"""Single numbers; `revision` grows with every change to cameras, campaigns and versions."""

cameras = Table(
    "cameras",
    metadata,
    Column("name", String(100), primary_key=True),
    _text("url"),
    _float("interval_s"),
    _text("token"),
    Column("enabled", Boolean, nullable=False, default=True),
)

camera_health = Table(
    "camera_health",
    metadata,
    Column("camera", String(100), ForeignKey("cameras.name", ondelete="CASCADE"), primary_key=True),
    _text("state"),
    _text("reason"),
    _text("message"),
    _float("since"),
    _float("last_frame_at"),
    _float("latency_ms"),
    _count("polled"),
    _count("unchanged"),
    _count("dropped"),
    _count("failed"),
    _float("updated_at"),
)


def _settings() -> list[Column[object]]:
    """What a campaign and its versions have in common."""
    return [Column(name, JSON, nullable=False) for name in ("trigger", "scope", "budget", "destinations", "tags")]


campaigns = Table(
    "campaigns",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(100), nullable=False, unique=True),
    *_settings(),
    Column("state", String(16), nullable=False),
    _count("version"),
    _float("created_at"),
)

versions = Table(
    "versions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("campaign_id", Integer, ForeignKey("campaigns.id"), nullable=False),
    _count("number"),
    *_settings(),
    Column("embedding_version", String(36)),
    Column("calibrations", JSON, nullable=False),
    _float("created_at"),
    Column("scorer", LargeBinary),
    UniqueConstraint("campaign_id", "number"),
)


def _seed() -> list[Column[object]]:
    return [
        Column("id", String(64), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("name", AnyText, nullable=False),
        Column("blob", String(64), nullable=False, default=""),
        Column("vector", LargeBinary),
        Column("embedding_version", String(36)),
        Column("negative", Boolean, nullable=False, default=False, server_default=false()),
        Column("box", JSON(none_as_null=True)),
    ]


seeds = Table(
    "seeds",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("campaign_id", Integer, ForeignKey("campaigns.id"), nullable=False),
    *_seed(),
    UniqueConstraint("campaign_id", "id"),
)

version_seeds = Table(
    "version_seeds",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("version_id", Integer, ForeignKey("versions.id"), nullable=False),
    *_seed(),
    UniqueConstraint("version_id", "id"),
)

elements = Table(
    "elements",
    metadata,
    Column("id", _LONG, primary_key=True, autoincrement=True),
    Column("frame_id", String(64), nullable=False),
    _count("row"),
    Column("embedding_version", String(36), nullable=False),
    Column("camera", String(100), nullable=False),
    _float("taken_at"),
    Column("box", JSON, nullable=False),
    _text("label"),
    _float("confidence"),
    Column("vector", LargeBinary, nullable=False),
    Column("external_id", BigInteger),
    Column("metadata", JSON(none_as_null=True)),
    UniqueConstraint("frame_id", "row", "embedding_version"),
    UniqueConstraint("external_id", "embedding_version"),
    Index(None, "taken_at"),
    # In this order: led by the version, SQLite would look through all of it for a handful of frames.
    Index(None, "id", "embedding_version"),
    # An id that was used for another element before would be taken for that one by an index.
    sqlite_autoincrement=True,
)

frames = Table(
    "frames",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("camera", String(100), nullable=False),
    _float("taken_at"),
    _count("width"),
    _count("height"),
    Column("detections", JSON(none_as_null=True)),
    Column("detector", String(200), nullable=False, default=""),
    _text("source"),
    _count("picture_bytes"),
    _count("thumbnail_bytes"),
    Index(None, "taken_at", "id"),
    # Those that a camera of ours showed, which are kept for a time only.
    Index(
        "ix_frames_shown",
        "taken_at",
        sqlite_where=text("source = ''"),
        postgresql_where=text("source = ''"),
    ),
    Index(
        "ix_frames_pictures",
        "taken_at",
        sqlite_where=text("picture_bytes > 0"),
        postgresql_where=text("picture_bytes > 0"),
    ),
    Index(
        "ix_frames_thumbnails",
        "taken_at",
        sqlite_where=text("thumbnail_bytes > 0 AND picture_bytes = 0"),
        postgresql_where=text("thumbnail_bytes > 0 AND picture_bytes = 0"),
    ),
)

scanned_files = Table(
    "scanned_files",
    metadata,
    Column("id", String(64), primary_key=True),
    _text("source"),
    Column("frames", JSON, nullable=False),
    _float("scanned_at"),
)

embedders = Table(
    "embedders",
    metadata,
    Column("version", String(36), primary_key=True),
    _text("name"),
    _count("dim"),
    _text("loaded_as"),
    _float("chosen_at"),
)

samples = Table(
    "samples",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("id", String(128), nullable=False, unique=True),
    Column("campaign_id", Integer, ForeignKey("campaigns.id"), nullable=False),
    _count("version"),
    Column("frame_id", String(64), nullable=False, index=True),
    Column("camera", String(100), nullable=False),
    _float("taken_at"),
    _count("width"),
    _count("height"),
    Column("box", JSON, nullable=False),
    _float("value"),
    Column("score", JSON, nullable=False),
    _text("reason"),
    Column("detections", JSON, nullable=False),
    Column("vector", LargeBinary),
    Column("embedding_version", String(36)),
    Column("status", String(16), nullable=False),
    _float("created_at"),
    Column("destinations", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("control", Boolean, nullable=False, default=False, server_default=false()),
    Column("linked", JSON, nullable=False, default=list, server_default=text("'[]'")),
    Column("detector", String(200), nullable=False, default="", server_default=""),
    Index(None, "campaign_id", "position"),
)

held = Table(
    "held",
    metadata,
    Column("position", _LONG, primary_key=True, autoincrement=True),
    Column("id", String(128), nullable=False, unique=True),
    Column("campaign_id", Integer, ForeignKey("campaigns.id"), nullable=False),
    Column("frame_id", String(64), nullable=False, index=True),
    Column("stage", String(16), nullable=False),
    _float("until"),
    Column("sample", JSON, nullable=False),
    Column("vector", LargeBinary),
)

camera_memory = Table(
    "camera_memory",
    metadata,
    Column("campaign_id", Integer, ForeignKey("campaigns.id"), primary_key=True),
    Column("camera", String(100), primary_key=True),
    Column("state", LargeBinary, nullable=False),
    Column("tally", LargeBinary),
    _float("updated_at"),
)

judged_frames = Table(
    "judged_frames",
    metadata,
    Column("frame_id", String(64), primary_key=True),
    Column("campaigns", JSON, nullable=False),
    _float("taken_at"),
    Index(None, "taken_at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("sample_id", String(128), ForeignKey("samples.id"), nullable=False),
    Column("sink", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    _count("attempts"),
    _float("due_at"),
    _float("claimed_until"),
    _text("remote_id"),
    _text("error"),
    _float("updated_at"),
    Column("picture", String(64), nullable=False, default="", server_default=""),
    Column("redaction", AnyText, nullable=False, default="", server_default=""),
    Column("fate", String(16), nullable=False, default="", server_default=""),
    Column("split", String(16), nullable=False, default="", server_default=""),
    Column("checked_at", Float(53), nullable=False, default=0.0, server_default=text("0")),
    UniqueConstraint("sample_id", "sink"),
    Index(None, "state", "sink", "due_at"),
    Index(None, "state", "sink", "id"),
)

sinks = Table(
    "sinks",
    metadata,
    Column("sink", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    _text("reason"),
    _float("since"),
    _float("until"),
)

counts = Table(
    "counts",
    metadata,
    Column("campaign_id", Integer, ForeignKey("campaigns.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("camera", String(100), primary_key=True),
    _count("processed"),
    _count("collected"),
)
