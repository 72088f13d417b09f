"""Scorers that learn, negative seeds, samples that wait, what judging remembers, frames that count once."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("versions", sa.Column("scorer", sa.LargeBinary(), nullable=True))
    for seeds in ("seeds", "version_seeds"):
        op.add_column(seeds, sa.Column("negative", sa.Boolean(), server_default=sa.false(), nullable=False))
        op.add_column(seeds, sa.Column("box", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("samples", sa.Column("control", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("samples", sa.Column("linked", sa.JSON(), server_default=sa.text("'[]'"), nullable=False))
    op.create_table(
        "held",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("frame_id", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("until", sa.Float(precision=53), nullable=False),
        sa.Column("sample", sa.JSON(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_held_campaign_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_held")),
        sa.UniqueConstraint("id", name=op.f("uq_held_id")),
    )
    op.create_index(op.f("ix_held_frame_id"), "held", ["frame_id"], unique=False)
    op.create_table(
        "camera_memory",
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("camera", sa.String(length=100), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.Column("tally", sa.LargeBinary(), nullable=True),
        sa.Column("updated_at", sa.Float(precision=53), nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_camera_memory_campaign_id")),
        sa.PrimaryKeyConstraint("campaign_id", "camera", name=op.f("pk_camera_memory")),
    )
    op.create_table(
        "judged_frames",
        sa.Column("frame_id", sa.String(length=64), nullable=False),
        sa.Column("campaigns", sa.JSON(), nullable=False),
        sa.Column("taken_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("frame_id", name=op.f("pk_judged_frames")),
    )
    op.create_index(op.f("ix_judged_frames_taken_at"), "judged_frames", ["taken_at"], unique=False)
