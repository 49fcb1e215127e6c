"""One device: how it is, what it runs, and the states of its last deployment."""

import streamlit as st

from slimcast.fleet.records import Device
from slimcast_edge.wire import CameraFigures, DeviceState, Reported, StreamReport
from slimcast_web.services import figures, fleet, streaming, wellbeing

COLOURS = {
    DeviceState.IDLE: "gray",
    DeviceState.DOWNLOADING: "blue",
    DeviceState.VERIFYING: "blue",
    DeviceState.WARMING: "blue",
    DeviceState.PROBATION: "orange",
    DeviceState.ACTIVE: "green",
    DeviceState.ROLLED_BACK: "red",
    DeviceState.FAILED: "red",
}


def show(device: Device, passed: list[DeviceState]) -> None:
    """Show the card; `passed` are the states of its newest revision so far."""
    with st.container(border=True, key=f"device-{device.name}"):
        name, badge = st.columns([3, 2], vertical_alignment="center")
        name.subheader(device.name)
        with badge.container(horizontal=True, horizontal_alignment="right"):
            if device.online:
                st.badge("online", icon=":material/wifi:", color="green")
            else:
                st.badge(
                    f"offline, seen {figures.ago(device.last_seen)}", icon=":material/wifi_off:", color="gray"
                )
        _about(device)
        _warnings(device)
        if device.reported is not None:
            _deployment(device, device.reported, passed)
        _telemetry(device)


def _warnings(device: Device) -> None:
    told = wellbeing.trouble(device)
    if told:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge("trouble", icon=":material/warning:", color="orange")
            st.text(told)
    if device.online and (clock := wellbeing.clock(device)):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge("clock", icon=":material/schedule:", color="orange")
            st.text(clock)


def _about(device: Device) -> None:
    about = device.about
    if about is None:
        st.caption("It has not said what it is.")
        return
    threads = figures.plural(about.threads, "thread")
    cameras = figures.plural(len(about.cameras), "camera") if about.cameras else f"{about.camera} camera"
    st.text(f"{about.hardware} · {cameras} · {about.runtime}, {threads}")


def _deployment(device: Device, reported: Reported, passed: list[DeviceState]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(reported.state.value.replace("_", " "), color=COLOURS[reported.state])
        st.text(reported.active_name or "no model yet")
    if reported.state is DeviceState.DOWNLOADING:
        st.progress(reported.progress, text=fleet.arrived(device))
    if not reported.state.is_settled() or len(passed) > 1:
        with st.container(horizontal=True, gap="xsmall"):  # so that no icon is parted from its word
            for step in _path(reported.state, passed):
                st.caption(step, width="content")
    if reported.message:
        st.text(
            f"{reported.reason.replace('_', ' ')}: {reported.message}"
            if reported.reason
            else reported.message
        )


def _path(now: DeviceState, passed: list[DeviceState]) -> list[str]:
    # A short state may go by unseen; who is behind it has been through it.
    before = fleet.PATH[: fleet.PATH.index(now)] if now in fleet.PATH else ()
    words = []
    for state in fleet.PATH:
        is_done = state in before or (state in passed and state is not now)
        icon = ":material/check:" if is_done else ":material/radio_button_unchecked:"
        if state is now:
            icon = ":material/check_circle:" if state is DeviceState.ACTIVE else ":material/arrow_forward:"
        words.append(f"{icon} {state.value}")
    return words


def _telemetry(device: Device) -> None:
    telemetry = device.telemetry
    if telemetry is None or not device.online:
        return
    fps, latency, memory, heat = st.columns(4)
    # The unit stands in the title: beside the number it is too wide. So is a question mark beside the title.
    fps.metric("Frames/s", f"{telemetry.fps:.1f}")
    is_idle = telemetry.fps == 0
    latency.metric("p50, ms", "–" if is_idle else figures.three_digits(telemetry.latency_p50_ms))
    memory.metric("RAM, MB", f"{telemetry.rss_mb:.0f}")
    if telemetry.temperature_c is not None:
        throttled = "throttled" if telemetry.throttled else None
        heat.metric("Heat, °C", f"{telemetry.temperature_c:.0f}", throttled, delta_color="inverse")
    else:
        heat.metric("Dropped", figures.count(telemetry.dropped))
    if telemetry.cameras:
        for name, camera in telemetry.cameras.items():
            _camera(name, camera)
        for line in streaming.late_results(telemetry.stream) if telemetry.stream is not None else ():
            st.text(line)
    elif telemetry.stream is not None:
        _stream(telemetry.stream)
    st.caption("p50: median latency since the last message. Dropped: frames that came while one was waiting.")


def _camera(name: str, camera: CameraFigures) -> None:
    """Show one of several cameras as a line."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if camera.trouble:
            st.badge(name, icon=":material/videocam_off:", color="red")
            st.text(camera.trouble)
            return
        st.badge(name, icon=":material/videocam:", color="green")
        st.text(f"{camera.fps:.1f} frames/s classified")
    if camera.stream is not None and camera.stream.fps > 0:
        _stream(camera.stream)


def _stream(report: StreamReport) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if report.step:
            st.badge(f"slow network, step {report.step}", icon=":material/network_check:", color="orange")
        st.text(streaming.summary(report))
