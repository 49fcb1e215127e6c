"""The tables. Every change here needs a migration in migrations/versions and a new `SCHEMA_REVISION`."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_REVISION = "0007"
"""The newest migration: a database that is there already is opened without loading Alembic."""

VERSION_TABLE = "slimcast_version"
"""Not Alembic's own `alembic_version`: that one belongs to Optuna, whose studies lie in the same database."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

runs = Table(
    "run",
    metadata,
    Column("id", String(10), primary_key=True),  # begins with the time: its order is the order of creation
    Column("name", String(100), nullable=False),
    Column("recipe_yaml", Text, nullable=False),
    Column("recipe_hash", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("heartbeat_at", Double),
    Column("progress", Double, nullable=False),
    Column("activity", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("worker", String(200), nullable=False),
    Column("deleted_at", Double),
    Index(None, "state", "id"),
)

run_tags = Table(
    "run_tag",
    metadata,
    Column("run_id", String(10), ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String(40), primary_key=True),
    Index(None, "tag", "run_id"),
)

events = Table(
    "event",
    metadata,
    Column("run_id", String(10), ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("data", JSON, nullable=False),
    Index(None, "run_id", "kind", "seq"),
)

variants = Table(
    "variant",
    metadata,
    Column("run_id", String(10), ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(100), primary_key=True),
    Column("step", Integer, nullable=False),
    Column("step_kind", String(50), nullable=False),
    Column("numeric_kind", String(16), nullable=False),
    Column("artifact", String(64)),
    Column("predictions", String(64)),
)

measurements = Table(
    "measurement",
    metadata,
    Column("run_id", String(10), primary_key=True),
    Column("variant", String(100), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", String(100), nullable=False),
    Column("value", Double, nullable=False),
    Column("unit", String(20), nullable=False),
    Column("higher_is_better", Boolean, nullable=False),
    Column("n", Integer, nullable=False),
    Column("spread", Double, nullable=False),
    Column("machine", Text, nullable=False),
    ForeignKeyConstraint(["run_id", "variant"], ["variant.run_id", "variant.name"], ondelete="CASCADE"),
)

checkpoints = Table(
    "checkpoint",
    metadata,
    Column("run_id", String(10), ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("file", String(64), nullable=False),
)

device_revisions = Table(
    "device_revision",
    metadata,
    Column("device", String(64), primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

searches = Table(
    "search",
    metadata,
    Column("id", String(10), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("search_yaml", Text, nullable=False),
    Column("search_hash", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("heartbeat_at", Double),
    Column("progress", Double, nullable=False),
    Column("activity", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("worker", String(200), nullable=False),
    Index(None, "search_hash", unique=True),
    Index(None, "state", "id"),
)

benchmarks = Table(
    "benchmark",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("artifact", String(64), nullable=False),
    Column("device", String(64), nullable=False),
    Column("machine", Text, nullable=False),
    Column("runtime", String(80), nullable=False),
    Column("provider", String(80), nullable=False),
    Column("threads", Integer, nullable=False),
    Column("camera", String(16), nullable=False),
    Column("busy", Boolean, nullable=False),
    Column("at", Double, nullable=False),
    Column("p50_ms", Double, nullable=False),
    Column("p90_ms", Double, nullable=False),
    Column("p99_ms", Double, nullable=False),
    Column("mean_ms", Double, nullable=False),
    Column("std_ms", Double, nullable=False),
    Column("runs", Integer, nullable=False),
    Column("slowdown", Double, nullable=False),
    Column("peak_rss_mb", Double, nullable=False),
    Column("temperature_before_c", Double),
    Column("temperature_after_c", Double),
    Column("throttled", Boolean),
    Index(None, "artifact", "at"),
)

devices = Table(
    "device",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("groups", JSON, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("note", Text, nullable=False),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("baseline", JSON(none_as_null=True)),
)

device_history = Table(
    "device_history",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("site", String(64), nullable=False),
    Column("device", String(64), nullable=False),
    Column("at", Double, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("artifact", String(64)),
    Column("name", String(200), nullable=False),
    Column("reason", String(50), nullable=False),
    Column("message", Text, nullable=False),
    Index(None, "site", "device", "id"),
)

label_counts = Table(
    "device_label_count",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("artifact", String(64), primary_key=True),
    Column("counts", JSON, nullable=False),
    Column("other", Integer, nullable=False),
)

alerts = Table(
    "device_alert",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("site", String(64), nullable=False),
    Column("device", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("resolved_at", Double),
    Column("acknowledged_at", Double),
    Index(None, "site", "resolved_at", "id"),
)

rollouts = Table(
    "rollout",
    metadata,
    Column("id", String(10), primary_key=True),
    Column("site", String(64), nullable=False),
    Column("title", String(200), nullable=False),
    Column("run_id", String(10), nullable=False),
    Column("variant", String(100), nullable=False),
    Column("artifact", String(64), nullable=False),
    Column("plan", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("stage_at", Double, nullable=False),
    Column("watch_at", Double),
    Column("looked_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("request", String(10), nullable=False),
    Column("version", Integer, nullable=False),
    Index(None, "site", "state", "id"),
    Index(None, "site", "request", "id"),
)

rollout_devices = Table(
    "rollout_device",
    metadata,
    Column("rollout_id", String(10), ForeignKey("rollout.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", String(64), nullable=False),
    Column("stage", Integer, nullable=False),
    Column("step", String(16), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("previous", String(64)),
    Column("previous_name", String(200), nullable=False),
    Column("latency_before_ms", Double, nullable=False),
    Column("fps_before", Double, nullable=False),
    Column("at", Double, nullable=False),
    Column("tried_at", Double, nullable=False),
    Column("message", Text, nullable=False),
    Column("strikes", Integer, nullable=False),
    Column("heard_at", Double, nullable=False),
    Column("active_at", Double, nullable=False),
)

expulsions = Table(
    "expulsion",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("at", Double, nullable=False),
)

withdrawals = Table(
    "withdrawal",
    metadata,
    Column("artifact", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
)
