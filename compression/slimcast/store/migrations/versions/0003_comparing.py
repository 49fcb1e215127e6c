"""Kept answers of variants; tags of runs, and runs that are out of sight until they are wanted back."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("variant", sa.Column("predictions", sa.String(64)))
    op.add_column("run", sa.Column("deleted_at", sa.Double))
    op.create_table(
        "run_tag",
        sa.Column("run_id", sa.String(10), nullable=False),
        sa.Column("tag", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "tag", name="pk_run_tag"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_run_tag_run", ondelete="CASCADE"),
    )
    op.create_index("ix_run_tag_tag_run_id", "run_tag", ["tag", "run_id"])
