"""What the recipe will come to, said before it starts."""

import streamlit as st

from slimcast_web.services import figures
from slimcast_web.services.durations import Duration
from slimcast_web.services.estimate import Estimate


def show(estimate: Estimate | None, duration: Duration | None) -> None:
    """Show multiply-accumulates, bytes and time; what cannot be said is said to be unknown."""
    macs, size, time = st.columns(3)
    if estimate is None:
        macs.metric("MACs an image", "not known")
        size.metric("Model file", "not known")
    else:
        before, after = estimate.before, estimate.after
        about = "" if estimate.exact else "about "
        macs.metric("MACs an image", _shown(after.macs, figures.count))
        macs.caption(f"of {about}{figures.count(before.macs or 0)}")
        size.metric("Model file, about", _shown(after.size_bytes, figures.size))
        size.caption(f"of {about}{figures.size(before.size_bytes or 0)}")
    time.metric("Time", f"about {figures.duration(duration.seconds)}" if duration else "not known")
    time.caption(time_note(duration))


def time_note(duration: Duration | None) -> str:
    """Return what the time is judged by."""
    if duration is None:
        return "No earlier run of this network on these data to judge by."
    note = f"from {figures.plural(duration.runs, 'earlier run')} on this machine"
    if duration.unknown:
        note += f"; without {', '.join(duration.unknown)}, which none of them has done"
    return note


def _shown(value: float | None, how: object) -> str:
    return how(value) if value is not None and callable(how) else "known once it runs"
