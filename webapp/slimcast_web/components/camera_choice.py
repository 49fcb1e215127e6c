"""Which of a device's cameras a panel is about."""

import streamlit as st

from slimcast.fleet.records import Device


def show(device: Device, panel: str, *, everyone: str = "") -> str:
    """Show the choice where there are several; return a camera's name, empty for the only one.

    `everyone`: words for all cameras together, which can be chosen then, too, and is empty as well.
    """
    if not device.cameras:
        return ""
    options = ["", *device.cameras] if everyone else list(device.cameras)
    return st.selectbox(
        "Camera",
        options,
        format_func=lambda name: name or everyone,
        key=f"{panel}-choice-{device.name}",
    )
