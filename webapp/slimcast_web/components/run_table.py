"""The table of runs, and the box that chooses the one to show."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from slimcast.errors import RunNotFound
from slimcast.records import Run
from slimcast.store.run_list import ListedRun
from slimcast_web.components import navigation
from slimcast_web.services import figures
from slimcast_web.services.studio import Studio

_CHOSEN = "runs-chosen"


def show(lines: Sequence[ListedRun]) -> list[str]:
    """Show the runs; return the ids of those that are ticked."""
    ids = [line.run.id for line in lines]
    ticked = st.dataframe(
        [_row(line) for line in lines],
        # By what is in it: on another page no tick may stay on the wrong run.
        key=f"runs-table-{hash(tuple(ids))}",
        on_select="rerun",
        selection_mode="multi-row",
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(lines), 215),
        column_config={
            "state": st.column_config.TextColumn("state", width=85),
            "progress": st.column_config.ProgressColumn(
                "progress", format="percent", min_value=0, max_value=1
            ),
            "started": st.column_config.DatetimeColumn("started", format="YYYY-MM-DD HH:mm"),
            "tags": st.column_config.ListColumn("tags"),
        },
    )
    return ticks(ids, ticked)


def ticks(ids: Sequence[str], told: Any) -> list[str]:
    """Return the ids of the rows that Streamlit says are selected."""
    return [ids[row] for row in told["selection"]["rows"] if row < len(ids)]


def choose(opened: Studio, lines: Sequence[ListedRun]) -> str:
    """Show the box; return the id of the chosen run, which ``?run=ID`` chooses, too. It may not exist."""
    by_id = {line.run.id: line.run for line in lines}
    named = navigation.parameter("run")
    if named and named not in by_id:
        try:
            run = opened.store.run(named)  # on another page of the list, or deleted
        except RunNotFound:
            return named  # the page says so
        by_id = {run.id: run} | by_id
        st.query_params["run"] = run.id
    navigation.follow_address("run", _CHOSEN, list(by_id))
    picked: str = st.selectbox(
        "Show run", list(by_id), key=_CHOSEN, format_func=lambda run_id: _title(by_id[run_id])
    )
    navigation.show_in_address("run", _CHOSEN, picked)
    return picked


def _title(run: Run) -> str:
    return f"{run.name} · {run.state.value} · {run.id}"


def _row(line: ListedRun) -> dict[str, object]:
    run = line.run
    end = run.finished_at or time.time()
    return {
        "run": run.id,
        "name": run.name,
        "state": run.state.value,
        "tags": list(line.tags),
        "progress": run.progress,
        "activity": run.activity or run.error.partition("\n")[0],
        "started": datetime.fromtimestamp(run.started_at or run.created_at),
        "took": figures.duration(end - run.started_at) if run.started_at else "",
    }
