"""The fleet: devices with labels, what they ran, their labels by the hour, alerts, roll-outs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "device",
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("groups", sa.JSON, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("first_seen", sa.Double, nullable=False),
        sa.Column("last_seen", sa.Double, nullable=False),
        sa.Column("baseline", sa.JSON(none_as_null=True)),
        sa.PrimaryKeyConstraint("site", "name", name="pk_device"),
    )
    op.create_table(
        "device_history",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("artifact", sa.String(64)),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("reason", sa.String(50), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_device_history"),
    )
    op.create_index("ix_device_history_site_device_id", "device_history", ["site", "device", "id"])
    op.create_table(
        "device_label_count",
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("hour", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("artifact", sa.String(64), nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("other", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("site", "device", "hour", "artifact", name="pk_device_label_count"),
    )
    op.create_table(
        "device_alert",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("resolved_at", sa.Double),
        sa.Column("acknowledged_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_device_alert"),
    )
    op.create_index("ix_device_alert_site_resolved_at_id", "device_alert", ["site", "resolved_at", "id"])
    op.create_table(
        "rollout",
        sa.Column("id", sa.String(10), nullable=False),
        sa.Column("site", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("run_id", sa.String(10), nullable=False),
        sa.Column("variant", sa.String(100), nullable=False),
        sa.Column("artifact", sa.String(64), nullable=False),
        sa.Column("plan", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("stage_at", sa.Double, nullable=False),
        sa.Column("watch_at", sa.Double),
        sa.Column("looked_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.Column("request", sa.String(10), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rollout"),
    )
    op.create_index("ix_rollout_site_state_id", "rollout", ["site", "state", "id"])
    op.create_index("ix_rollout_site_request_id", "rollout", ["site", "request", "id"])
    op.create_table(
        "rollout_device",
        sa.Column("rollout_id", sa.String(10), nullable=False),
        sa.Column("position", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("step", sa.String(16), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("previous", sa.String(64)),
        sa.Column("previous_name", sa.String(200), nullable=False),
        sa.Column("latency_before_ms", sa.Double, nullable=False),
        sa.Column("fps_before", sa.Double, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("tried_at", sa.Double, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("strikes", sa.Integer, nullable=False),
        sa.Column("heard_at", sa.Double, nullable=False),
        sa.Column("active_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("rollout_id", "position", name="pk_rollout_device"),
        sa.ForeignKeyConstraint(
            ["rollout_id"], ["rollout.id"], name="fk_rollout_device_rollout", ondelete="CASCADE"
        ),
    )
