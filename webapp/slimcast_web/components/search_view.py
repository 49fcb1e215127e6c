"""One search: where it stands, all its trials in a plot and in a table, what it has said."""

import html
from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from slimcast.records import RunState, Search
from slimcast.search import TrialLine
from slimcast.search.measures import TEST_ACCURACY
from slimcast.timing import local_time
from slimcast_web import theme
from slimcast_web.components import navigation
from slimcast_web.components.run_view import COLOURS, ICONS
from slimcast_web.services import figures, search
from slimcast_web.services.search import SearchDetail

_CHOSEN = "search-chosen"
_MARKS = {
    "done": ("#009E73", "circle"),
    "over budget": ("#E69F00", "diamond"),
    "stopped early": ("#CC79A7", "x"),
    "failed": ("#D55E00", "cross"),
    "running": ("#56B4E9", "circle-open"),
}
_CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


def choose(found: Sequence[Search]) -> str:
    """Show the box that chooses a search and return its id; ``?search=ID`` chooses, too."""
    by_id = {one.id: one for one in found}
    named = navigation.parameter("search")
    if named and named not in by_id:
        return named  # an older one, or a wrong link: the page says which
    navigation.follow_address("search", _CHOSEN, list(by_id))
    picked: str = st.selectbox(
        "Show search",
        list(by_id),
        key=_CHOSEN,
        format_func=lambda search_id: f"{by_id[search_id].name} · {by_id[search_id].state} · {search_id}",
    )
    navigation.show_in_address("search", _CHOSEN, picked)
    return picked


def head(found: Search) -> None:
    """Show name, state and how far it is."""
    st.subheader(found.name)
    with st.container(horizontal=True, vertical_alignment="center"):
        stopping = found.cancel_requested and found.state is RunState.RUNNING
        word = "cancelling" if stopping else found.state.value
        st.badge(word, icon=ICONS[found.state], color=COLOURS[found.state])
        st.caption(f"search {found.id} · started {local_time(found.started_at or found.created_at)}")
    done = min(max(found.progress, 0.0), 1.0)
    st.progress(done, text=found.activity or f"{done:.0%} of the trials")
    if found.error:
        st.error("The search has stopped with this error:", icon=":material/error:")
        st.code(found.error, language=None, wrap_lines=True)


def verdict(detail: SearchDetail) -> None:
    """Say in a sentence what has been found so far."""
    result = detail.result
    if result.front:
        st.success(f"{figures.plural(len(result.front), 'recipe')} on the Pareto front, within all budgets.")
    elif result.best_found is not None:
        missed = [search.measure(n).title for n, over in result.best_found.exceeded.items() if over > 0]
        st.warning(
            f"Nothing is within the budgets yet. Trial {result.best_found.number} comes nearest; "
            f"it misses: {', '.join(missed)}."
        )


def plot(detail: SearchDetail) -> None:
    """Draw all trials by two figures that can be chosen, with the front and the budgets."""
    names = detail.figures
    if len(names) < 2 or not any(trial.measured for trial in detail.result.trials):
        st.caption("The plot appears with the first trial that is measured.")
        return
    left, right = st.columns(2)
    # The cost belongs below, as in the trade-offs of a run.
    default = list(reversed(names[:2]))
    x = left.selectbox("Across", names, names.index(default[0]), format_func=search.head, key="search-x")
    y = right.selectbox("Upwards", names, names.index(default[1]), format_func=search.head, key="search-y")
    figure = go.Figure()
    _add_front(figure, detail.front_of(x, y), x, y)
    for status in _MARKS:
        trials = [t for t in detail.result.trials if search.status_of(t) == status]
        _add_trials(figure, status, [t for t in trials if x in t.measured and y in t.measured], x, y)
    _add_budgets(figure, detail, x, y)
    figure.update_layout(
        height=440, margin={"l": 8, "r": 24, "t": 24, "b": 8}, legend={"orientation": "h", "y": -0.2},
        uirevision=f"{detail.search.id}-{x}-{y}",
    )  # fmt: skip
    figure.update_xaxes(title=search.head(x))
    figure.update_yaxes(title=search.head(y))
    st.plotly_chart(figure, key="search-plot", config=_CONFIG, theme="streamlit", width="stretch")


def _add_front(figure: go.Figure, front: Sequence[TrialLine], x: str, y: str) -> None:
    figure.add_scatter(
        x=[search.shown(x, trial.measured[x]) for trial in front],
        y=[search.shown(y, trial.measured[y]) for trial in front],
        name="Pareto front",
        mode="lines",
        line={"color": theme.FRONT_COLOUR, "width": 2},
        hoverinfo="skip",
    )


def _add_trials(figure: go.Figure, status: str, trials: Sequence[TrialLine], x: str, y: str) -> None:
    if not trials:
        return
    colour, symbol = _MARKS[status]
    figure.add_scatter(
        x=[search.shown(x, trial.measured[x]) for trial in trials],
        y=[search.shown(y, trial.measured[y]) for trial in trials],
        name=status,
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 11},
        customdata=[[_hover(trial)] for trial in trials],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )


def _add_budgets(figure: go.Figure, detail: SearchDetail, x: str, y: str) -> None:
    line = {"color": theme.FRONT_COLOUR, "width": 1, "dash": "dash"}
    if x in detail.document.budgets:
        figure.add_vline(x=search.shown(x, detail.document.budgets[x]), line=line, annotation_text="budget")
    if y in detail.document.budgets:
        figure.add_hline(y=search.shown(y, detail.document.budgets[y]), line=line, annotation_text="budget")


def _hover(trial: TrialLine) -> str:
    rows = [f"<b>trial {trial.number}</b> {search.status_of(trial)}"]
    rows += [f"{html.escape(path)}: {html.escape(str(value))}" for path, value in trial.parameters.items()]
    rows += [
        f"{search.head(name)}: {search.shown(name, value):.6g}"
        for name, value in trial.measured.items()
        if name in ("accuracy", "accuracy_drop", "size_bytes", "macs", "latency_p50_ms")
    ]
    return "<br>".join(rows + ([html.escape(trial.reason)] if trial.reason else []))


def table(detail: SearchDetail) -> None:
    """Show every trial with a link to its run; those on the front come first."""
    trials = detail.result.trials
    if not trials:
        st.caption("No trial has begun yet.")
        return
    on_front = {trial.number for trial in detail.result.front}
    names = list(dict.fromkeys([*detail.document.objectives, *detail.document.budgets]))
    names += [TEST_ACCURACY] if any(TEST_ACCURACY in trial.measured for trial in trials) else []
    st.dataframe(
        [
            _row(trial, trial.number in on_front, names, list(detail.document.space))
            for trial in sorted(trials, key=lambda trial: (trial.number not in on_front, trial.number))
        ],
        hide_index=True,
        width="stretch",
        column_config={
            "run": st.column_config.LinkColumn("run", display_text=r"run=(.*)$"),
            "on front": st.column_config.CheckboxColumn("on front"),
        },
    )


def _row(trial: TrialLine, on_front: bool, names: list[str], paths: list[str]) -> dict[str, object]:
    measured = {
        search.head(name): search.shown(name, trial.measured[name]) if name in trial.measured else None
        for name in names
    }
    chosen = {path: _text(trial, path) for path in paths}
    run = f"/runs?run={trial.run}" if trial.run else None
    first: dict[str, object] = {"trial": trial.number, "end": search.status_of(trial), "on front": on_front}
    return first | {"run": run} | measured | chosen | {"why": trial.reason}


def _text(trial: TrialLine, path: str) -> str:
    if path not in trial.parameters:
        return "–"
    value = trial.parameters[path]
    return "null" if value is None else str(value)
