"""Devices that deserve attention, one line each, with a button to say that one knows."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.fleet_records import Alert, AlertKind
from slimcast.timing import local_time
from slimcast_web.components import notices
from slimcast_web.services import alerts
from slimcast_web.services.studio import Studio

_ICONS = {
    AlertKind.OFFLINE: ":material/wifi_off:",
    AlertKind.HOT: ":material/device_thermostat:",
    AlertKind.SLOW: ":material/speed:",
    AlertKind.DRIFTING: ":material/trending_up:",
}


@st.fragment(run_every=5.0)
def show(studio: Studio) -> None:
    """Show the open alerts; nothing where there is none."""
    found = alerts.open_alerts(studio)
    if not found:
        return
    new = sum(alert.acknowledged_at is None for alert in found)
    title = f"Alerts: {len(found)} open" + (f", {new} new" if new else "")
    with st.expander(title, expanded=new > 0, icon=":material/notifications:", key="alerts"):
        for alert in found:
            _line(studio, alert)


def _line(studio: Studio, alert: Alert) -> None:
    kind, text, button = st.columns([3, 8, 2], vertical_alignment="center")
    is_new = alert.acknowledged_at is None
    with kind.container(horizontal=True, vertical_alignment="center"):
        colour = "orange" if is_new else "gray"
        st.badge(alerts.WORDS[alert.kind], icon=_ICONS[alert.kind], color=colour)
        st.text(alert.device)
    text.text(f"{alert.message} Since {local_time(alert.opened_at)}.")
    if not is_new:
        button.caption("known")
    elif button.button("I know", key=f"alert-{alert.id}", width="stretch"):
        try:
            alerts.acknowledge(studio, alert.id)
        except SlimcastError as error:
            notices.error(error)
        else:
            st.rerun(scope="fragment")
