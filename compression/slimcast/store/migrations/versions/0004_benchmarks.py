"""Benchmarks: what devices measured of artifacts, whatever run those came from."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "benchmark",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("artifact", sa.String(64), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("runtime", sa.String(80), nullable=False),
        sa.Column("provider", sa.String(80), nullable=False),
        sa.Column("threads", sa.Integer, nullable=False),
        sa.Column("camera", sa.String(16), nullable=False),
        sa.Column("busy", sa.Boolean, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("p50_ms", sa.Double, nullable=False),
        sa.Column("p90_ms", sa.Double, nullable=False),
        sa.Column("p99_ms", sa.Double, nullable=False),
        sa.Column("mean_ms", sa.Double, nullable=False),
        sa.Column("std_ms", sa.Double, nullable=False),
        sa.Column("runs", sa.Integer, nullable=False),
        sa.Column("slowdown", sa.Double, nullable=False),
        sa.Column("peak_rss_mb", sa.Double, nullable=False),
        sa.Column("temperature_before_c", sa.Double),
        sa.Column("temperature_after_c", sa.Double),
        sa.Column("throttled", sa.Boolean),
        sa.PrimaryKeyConstraint("id", name="pk_benchmark"),
    )
    op.create_index("ix_benchmark_artifact_at", "benchmark", ["artifact", "at"])
