"""Alerts of devices: what is open, and saying that one knows."""

from typing import Any

from slimcast.fleet_records import Alert, AlertKind
from slimcast_web.services.studio import Studio

WORDS = {
    AlertKind.OFFLINE: "offline",
    AlertKind.HOT: "hot",
    AlertKind.SLOW: "slow",
    AlertKind.DRIFTING: "labels drift",
}


def open_alerts(studio: Studio) -> list[Alert]:
    """Return what is not resolved: first what nobody has acknowledged, the newest first."""
    found = studio.store.alerts.open()
    return sorted(found, key=lambda alert: (alert.acknowledged_at is not None, -alert.opened_at))


def acknowledge(studio: Studio, alert_id: int) -> None:
    """Say that somebody knows.

    Raises:
        RunNotFound: there is no such alert.

    """
    studio.store.alerts.acknowledge(alert_id)


def documents(studio: Studio, *, everything: bool) -> list[dict[str, Any]]:
    """Return alerts as `GET /api/alerts` gives them."""
    store = studio.store.alerts
    return [dict(vars(alert)) for alert in (store.newest(500) if everything else store.open())]
