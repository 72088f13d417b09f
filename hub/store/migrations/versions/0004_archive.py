"""Every frame that was looked at, elements brought in from elsewhere, scanned files, the names of embedders."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rebuild_elements()  # SQLite can't add AUTOINCREMENT to a table
    else:
        op.add_column("elements", sa.Column("external_id", sa.BigInteger(), nullable=True))
        op.add_column("elements", sa.Column("metadata", sa.JSON(none_as_null=True), nullable=True))
        op.create_unique_constraint(
            op.f("uq_elements_external_id_embedding_version"), "elements", ["external_id", "embedding_version"]
        )
    op.create_index(op.f("ix_elements_id_embedding_version"), "elements", ["id", "embedding_version"])
    op.create_table(
        "frames",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("camera", sa.String(length=100), nullable=False),
        sa.Column("taken_at", sa.Float(precision=53), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("detections", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("detector", sa.String(length=200), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("picture_bytes", sa.Integer(), nullable=False),
        sa.Column("thumbnail_bytes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_frames")),
    )
    op.create_index(op.f("ix_frames_taken_at_id"), "frames", ["taken_at", "id"])
    for name, kept in (
        ("ix_frames_shown", "source = ''"),
        ("ix_frames_pictures", "picture_bytes > 0"),
        ("ix_frames_thumbnails", "thumbnail_bytes > 0 AND picture_bytes = 0"),
    ):
        op.create_index(name, "frames", ["taken_at"], sqlite_where=sa.text(kept), postgresql_where=sa.text(kept))
    op.create_table(
        "scanned_files",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("frames", sa.JSON(), nullable=False),
        sa.Column("scanned_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scanned_files")),
    )
    op.create_table(
        "embedders",
        sa.Column("version", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.Column("loaded_as", sa.Text(), nullable=False),
        sa.Column("chosen_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_embedders")),
    )
    op.execute(_frames_of_elements())


def _frames_of_elements() -> str:
    """Frames that were looked at before: what is known of them is what their elements say."""
    wh = f"{_number_at(2)}, {_number_at(3)}"
    return (
        "INSERT INTO frames "  # noqa: S608  # of constants
        "(id, camera, taken_at, width, height, detector, source, picture_bytes, thumbnail_bytes) "
        f"SELECT frame_id, MAX(camera), MAX(taken_at), {wh}, '', '', 0, 0 "
        'FROM elements WHERE "row" = 0 GROUP BY frame_id'
    )


def _number_at(place: int) -> str:
    """SQL for a number of the box of a whole frame, rounded."""
    if op.get_bind().dialect.name == "sqlite":
        return f"MAX(CAST(json_extract(box, '$[{place}]') AS INTEGER))"
    return f"MAX(CAST(CAST(box ->> {place} AS DOUBLE PRECISION) AS INTEGER))"


def _rebuild_elements() -> None:
    op.create_table(
        "elements_anew",
        sa.Column("id", _LONG, primary_key=True, autoincrement=True, nullable=False),
        sa.Column("frame_id", sa.String(length=64), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("embedding_version", sa.String(length=36), nullable=False),
        sa.Column("camera", sa.String(length=100), nullable=False),
        sa.Column("taken_at", sa.Float(precision=53), nullable=False),
        sa.Column("box", sa.JSON(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Float(precision=53), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("external_id", sa.BigInteger(), nullable=True),
        sa.Column("metadata", sa.JSON(none_as_null=True), nullable=True),
        sa.UniqueConstraint("external_id", "embedding_version", name=op.f("uq_elements_external_id_embedding_version")),
        sa.UniqueConstraint(
            "frame_id", "row", "embedding_version", name=op.f("uq_elements_frame_id_row_embedding_version")
        ),
        sqlite_autoincrement=True,
    )
    columns = 'id, frame_id, "row", embedding_version, camera, taken_at, box, label, confidence, vector'
    op.execute(f"INSERT INTO elements_anew ({columns}) SELECT {columns} FROM elements")  # noqa: S608  # of constants
    op.drop_table("elements")
    op.rename_table("elements_anew", "elements")
    op.create_index(op.f("ix_elements_taken_at"), "elements", ["taken_at"])
