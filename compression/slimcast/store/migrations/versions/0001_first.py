"""The first schema: runs, events, variants, measurements, checkpoints, revisions of devices."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _belongs_to_run(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=f"fk_{table}_run", ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.String(10), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("recipe_yaml", sa.Text, nullable=False),
        sa.Column("recipe_hash", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("finished_at", sa.Double),
        sa.Column("heartbeat_at", sa.Double),
        sa.Column("progress", sa.Double, nullable=False),
        sa.Column("activity", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("worker", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
    )
    op.create_index("ix_run_state_id", "run", ["state", "id"])
    op.create_table(
        "event",
        sa.Column("run_id", sa.String(10), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "seq", name="pk_event"),
        _belongs_to_run("event"),
    )
    op.create_index("ix_event_run_id_kind_seq", "event", ["run_id", "kind", "seq"])
    op.create_table(
        "variant",
        sa.Column("run_id", sa.String(10), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("step_kind", sa.String(50), nullable=False),
        sa.Column("numeric_kind", sa.String(16), nullable=False),
        sa.Column("artifact", sa.String(64)),
        sa.PrimaryKeyConstraint("run_id", "name", name="pk_variant"),
        _belongs_to_run("variant"),
    )
    op.create_table(
        "measurement",
        sa.Column("run_id", sa.String(10), nullable=False),
        sa.Column("variant", sa.String(100), nullable=False),
        sa.Column("position", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("unit", sa.String(20), nullable=False),
        sa.Column("higher_is_better", sa.Boolean, nullable=False),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("spread", sa.Double, nullable=False),
        sa.Column("machine", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "variant", "position", name="pk_measurement"),
        sa.ForeignKeyConstraint(
            ["run_id", "variant"],
            ["variant.run_id", "variant.name"],
            name="fk_measurement_variant",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "checkpoint",
        sa.Column("run_id", sa.String(10), nullable=False),
        sa.Column("step", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("file", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "step", name="pk_checkpoint"),
        _belongs_to_run("checkpoint"),
    )
    op.create_table(
        "device_revision",
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("device", name="pk_device_revision"),
    )
