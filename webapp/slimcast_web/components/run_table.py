"""The table of runs, and the box that chooses the one to show."""

import time
from datetime import datetime

import streamlit as st

from slimcast.records import Run
from slimcast_web.components import navigation
from slimcast_web.services import figures

_CHOSEN = "runs-chosen"


def show(runs: list[Run]) -> str:
    """Show the runs and return the id of the chosen one; ``?run=ID`` chooses, too."""
    _table(runs)
    by_id = {run.id: run for run in runs}
    named = navigation.parameter("run")
    if named and named not in by_id:
        return named  # an older run, or a wrong link: the page says which
    navigation.follow_address("run", _CHOSEN, list(by_id))
    picked: str = st.selectbox(
        "Show run", list(by_id), key=_CHOSEN, format_func=lambda run_id: _title(by_id[run_id])
    )
    navigation.show_in_address("run", _CHOSEN, picked)
    return picked


def _table(runs: list[Run]) -> None:
    st.dataframe(
        [_row(run) for run in runs],
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(runs), 215),
        column_config={
            "state": st.column_config.TextColumn("state", width=85),
            "progress": st.column_config.ProgressColumn(
                "progress", format="percent", min_value=0, max_value=1
            ),
            "started": st.column_config.DatetimeColumn("started", format="YYYY-MM-DD HH:mm"),
        },
    )


def _title(run: Run) -> str:
    return f"{run.name} · {run.state.value} · {run.id}"


def _row(run: Run) -> dict[str, object]:
    end = run.finished_at or time.time()
    return {
        "run": run.id,
        "name": run.name,
        "state": run.state.value,
        "progress": run.progress,
        "activity": run.activity or run.error.partition("\n")[0],
        "started": datetime.fromtimestamp(run.started_at or run.created_at),
        "took": figures.duration(end - run.started_at) if run.started_at else "",
    }
