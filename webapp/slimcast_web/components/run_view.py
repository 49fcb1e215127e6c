"""One run: where it stands, its steps, curves, log and what has come out of it."""

import streamlit as st

from slimcast.catalog import STEPS
from slimcast.records import Run, RunState, Variant
from slimcast_web.components import charts
from slimcast_web.services import figures
from slimcast_web.services.runs import RunDetail, StepLine

COLOURS = {
    RunState.QUEUED: "gray",
    RunState.RUNNING: "blue",
    RunState.SUCCEEDED: "green",
    RunState.FAILED: "red",
    RunState.CANCELLED: "orange",
    RunState.INTERRUPTED: "orange",
}
ICONS = {
    RunState.QUEUED: ":material/schedule:",
    RunState.RUNNING: ":material/progress_activity:",
    RunState.SUCCEEDED: ":material/check_circle:",
    RunState.FAILED: ":material/error:",
    RunState.CANCELLED: ":material/cancel:",
    RunState.INTERRUPTED: ":material/power_off:",
}
_STEP_ICONS = {
    "finished": ("green", ":material/check:"),
    "skipped": ("green", ":material/skip_next:"),
    "started": ("blue", ":material/play_arrow:"),
    "stopped": ("orange", ":material/stop:"),
    "waiting": ("gray", ":material/more_horiz:"),
}


def state_badge(run: Run) -> None:
    """Show a run's state as a word in a colour."""
    word = "cancelling" if run.cancel_requested and run.state is RunState.RUNNING else run.state.value
    st.badge(word, icon=ICONS[run.state], color=COLOURS[run.state])


def progress(detail: RunDetail) -> None:
    """Show how far the run is, what it does and how long it has taken."""
    run = detail.run
    words = run.activity or {RunState.QUEUED: "waiting for a free worker"}.get(run.state, run.state.value)
    st.progress(min(max(run.progress, 0.0), 1.0), text=f"{run.progress * 100:.0f} %")
    left = ""
    if detail.is_live and run.progress > 0.05 and detail.elapsed_s > 5:
        left = f", about {figures.duration(detail.elapsed_s * (1 - run.progress) / run.progress)} to go"
    elapsed = f"{figures.duration(detail.elapsed_s)}{left}" if run.started_at else ""
    st.text(" · ".join(part for part in (words, elapsed) if part))
    if run.error:
        st.error("The run has stopped with this error:", icon=":material/error:")
        st.code(run.error, language=None, wrap_lines=True)


def steps(lines: list[StepLine]) -> None:
    """Show the steps of the recipe and where each stands."""
    if not lines:
        return
    for column, line in zip(st.columns(len(lines)), lines, strict=True):
        colour, icon = _STEP_ICONS[line.status]
        with column.container(border=True, key=f"step-{line.index}"):
            st.badge(line.status, icon=icon, color=colour)
            took = f" · {figures.duration(line.seconds)}" if line.seconds is not None else ""
            st.markdown(f"**{line.index}** {_step_title(line.kind)}{took}")


def _step_title(kind: str) -> str:
    return STEPS[kind].title if kind in STEPS else kind


def curves(detail: RunDetail) -> None:
    """Show loss and accuracy as they come."""
    if not detail.losses and not detail.accuracies:
        st.caption("Curves appear with the first points of training.")
        return
    left, right = st.columns(2)
    with left:
        charts.curves(detail.losses, detail.boundaries, title="Loss", key=f"loss-{detail.run.id}")
    with right:
        charts.curves(detail.accuracies, detail.boundaries, title="Accuracy", key=f"accuracy-{detail.run.id}")


def variants(found: list[Variant]) -> None:
    """Show what the run has left so far."""
    if not found:
        st.caption("Each step leaves a variant with its measurements; none is there yet.")
        return
    columns = st.columns(min(len(found), 4))
    for index, variant in enumerate(found):
        with columns[index % len(columns)].container(border=True):
            accuracy, size = variant.value("accuracy"), variant.value("size_bytes")
            st.metric(variant.name, figures.percent(accuracy) if accuracy is not None else "–")
            latency = variant.value("latency_p50_ms")
            parts = [figures.size(size) if size else "", figures.milliseconds(latency) if latency else ""]
            st.caption(" · ".join(part for part in parts if part) or "no file")


def log(lines: list[str], *, key: str, expanded: bool = False) -> None:
    """Show what a run or search has said, the newest line last. `key` names what the reader opened."""
    _text("Log", "\n".join(lines) or "Nothing yet.", key=f"log-{key}", expanded=expanded)


def source(title: str, text: str, *, key: str) -> None:
    """Show the file that a run or search was started from."""
    _text(title, text, key=f"source-{key}", language="yaml")


def _text(title: str, text: str, *, key: str, expanded: bool = False, language: str | None = None) -> None:
    # Only what is open is sent: for the first text of this kind the browser reads a library of 1.6 MB.
    icon = ":material/description:" if language else ":material/notes:"
    part = st.expander(title, expanded=expanded, key=key, icon=icon, on_change="rerun")
    if part.open:
        part.code(text, language=language, height="content" if language else 240)
