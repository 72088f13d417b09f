"""What is sent in place of a frame, what became of it, how destinations do; which model found a sample's objects."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("samples", sa.Column("detector", sa.String(length=200), server_default="", nullable=False))
    op.add_column("deliveries", sa.Column("picture", sa.String(length=64), server_default="", nullable=False))
    op.add_column("deliveries", sa.Column("redaction", sa.Text(), server_default="", nullable=False))
    op.add_column("deliveries", sa.Column("fate", sa.String(length=16), server_default="", nullable=False))
    op.add_column("deliveries", sa.Column("split", sa.String(length=16), server_default="", nullable=False))
    op.add_column(
        "deliveries", sa.Column("checked_at", sa.Float(precision=53), server_default=sa.text("0"), nullable=False)
    )
    op.create_index(op.f("ix_deliveries_state_sink_id"), "deliveries", ["state", "sink", "id"])
    op.create_table(
        "sinks",
        sa.Column("sink", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(precision=53), nullable=False),
        sa.Column("until", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("sink", name=op.f("pk_sinks")),
    )
