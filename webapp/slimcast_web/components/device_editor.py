"""All devices that were ever seen, as a table whose groups, labels and notes can be edited."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.fleet_records import KnownDevice
from slimcast.timing import local_time
from slimcast_web.components import notices
from slimcast_web.services import registry, rollouts
from slimcast_web.services.studio import Studio


def show(studio: Studio) -> None:
    """Show the table, closed at first, and below it the way to forget a device."""
    panel = st.expander("Devices and groups", icon=":material/label:", key="device-editor", on_change="rerun")
    if not panel.open:
        return
    with panel:
        known = registry.known(studio)
        if not known:
            st.caption("The studio has noted no device yet.")
            return
        _table(studio, known)
        _roll_back(studio)
        _remove(studio, [device.name for device in known])
        _expel(studio, [device.name for device in known])


def _table(studio: Studio, known: list[KnownDevice]) -> None:
    rows = [_row(device) for device in known]
    # Another state of the store is another table: no edit of an older one is laid over it.
    edited = st.data_editor(
        rows,
        hide_index=True,
        width="stretch",
        disabled=["device", "seen"],
        key=f"device-table-{hash(tuple(known_row(device) for device in known))}",
        column_config={
            "groups": st.column_config.TextColumn("groups", help="Words, with commas between them."),
            "labels": st.column_config.TextColumn("labels", help="NAME or NAME=VALUE, with commas between."),
        },
    )
    changed = [(row, new) for row, new in zip(rows, edited, strict=True) if row != new]
    if st.button("Save", type="primary", disabled=not changed, key="device-save"):
        try:
            for _, new in changed:
                registry.describe(
                    studio, new["device"], new["groups"] or "", new["labels"] or "", new["note"] or ""
                )
        except SlimcastError as error:
            notices.error(error)
        else:
            st.rerun()


def _roll_back(studio: Studio) -> None:
    choice, button = st.columns([4, 2], vertical_alignment="bottom")
    to = choice.multiselect(
        "Back to the former model", rollouts.targets(studio), key="device-rollback", placeholder="To whom"
    )
    if not button.button("Roll back all of these", disabled=not to, icon=":material/undo:", width="stretch"):
        return
    try:
        outcome = registry.roll_back(studio, to)
    except SlimcastError as error:
        notices.error(error)
        return
    done = [name for name, problem in outcome.items() if not problem]
    if done:
        st.success(f"Rolled back: {', '.join(done)}.", icon=":material/undo:")
    for problem in filter(None, outcome.values()):
        notices.error(SlimcastError(problem))


def _remove(studio: Studio, names: list[str]) -> None:
    choice, button = st.columns([4, 2], vertical_alignment="bottom")
    name = choice.selectbox("Forget a device that is gone for good", names, index=None, key="device-remove")
    if button.button("Forget", disabled=name is None, icon=":material/delete:", width="stretch"):
        try:
            registry.remove(studio, name)
        except SlimcastError as error:
            notices.error(error)
        else:
            st.rerun()


def _expel(studio: Studio, names: list[str]) -> None:
    choice, button = st.columns([4, 2], vertical_alignment="bottom")
    name = choice.selectbox("Expel a device that was lost or stolen", names, index=None, key="device-expel")
    with button.popover("Expel", disabled=name is None, icon=":material/block:", width="stretch"):
        st.text(
            f"{name} loses its user at the broker and its orders at once, and is heard no more. It comes "
            "back only when it is enrolled with a new code. What it ran stays in the history."
        )
        wanted = st.button(f"Expel {name}", type="primary", icon=":material/block:", key="device-expel-sure")
    if not wanted or name is None:
        return
    try:
        left = registry.expel(studio, name)
    except SlimcastError as error:
        notices.error(error)
        return
    if not left:
        st.rerun()
    st.success(f"{name} is expelled.", icon=":material/block:")
    for sentence in left:
        st.warning(sentence)


def known_row(device: KnownDevice) -> tuple[str, ...]:
    """Return what the table shows of a device and can be edited."""
    return (device.name, ", ".join(device.groups), ", ".join(device.labels), device.note)


def _row(device: KnownDevice) -> dict[str, str]:
    values = dict(zip(("device", "groups", "labels", "note"), known_row(device), strict=True))
    return values | {"seen": local_time(device.last_seen) if device.last_seen else "never"}
