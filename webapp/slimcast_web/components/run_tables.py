"""The tables of a run: drawn where there is something to see, always listed, always there as CSV."""

import html

import plotly.graph_objects as go
import streamlit as st

from slimcast.records import Run, Table
from slimcast_web import theme
from slimcast_web.components import charts
from slimcast_web.services import tables
from slimcast_web.services.tables import HeatMap, History

_ROW_PIXELS, _FRAME_PIXELS = 24, 150


def show(run: Run, found: list[Table]) -> None:
    """Show all tables of a run; nothing where there are none."""
    if not found:
        return
    st.subheader("Findings")
    for table in found:
        with st.expander(tables.title(table), icon=":material/table_chart:"):
            _draw(table, key=f"{run.id}-{table.name}")
            st.dataframe(
                [dict(zip(table.columns, row, strict=True)) for row in table.rows],
                hide_index=True,
                width="stretch",
                key=f"table-{run.id}-{table.name}",
            )
            name, text = tables.csv_file(run, table)
            st.download_button(
                "Download CSV",
                text,
                file_name=name,
                mime="text/csv",
                icon=":material/table_view:",
                key=f"csv-{run.id}-{table.name}",
            )


def _draw(table: Table, *, key: str) -> None:
    grid, line = tables.heat_map(table), tables.history(table)
    if grid is not None:
        _heat_map(grid, key=f"heat-{key}")
        st.caption(
            "Accuracy with only that group of layers pruned, without any training, on images that are not "
            "the test images. Dark cells mark layers that should be left alone."
        )
    elif line is not None:
        _history(line, key=f"history-{key}")
        st.caption("Accuracy after each iteration's short training, on images that are not the test images.")


def _heat_map(grid: HeatMap, *, key: str) -> None:
    figure = go.Figure(
        go.Heatmap(
            x=[f"{ratio:.0%}" for ratio in grid.ratios],
            y=[html.escape(group) for group in grid.groups],
            z=grid.accuracies,
            text=[[html.escape(text) for text in row] for row in grid.details],
            colorscale="Cividis",
            colorbar={"title": "%", "thickness": 12},
            hovertemplate="<b>%{y}</b>, %{x} of the channels removed: %{z:.2f} %<br>%{text}<extra></extra>",
        )
    )
    figure.update_layout(
        height=_FRAME_PIXELS + _ROW_PIXELS * len(grid.groups), margin={"l": 8, "r": 8, "t": 24, "b": 8}
    )
    figure.update_xaxes(title="share of the channels removed", type="category")
    figure.update_yaxes(autorange="reversed", type="category", automargin=True)
    charts.show(figure, key)


def _history(line: History, *, key: str) -> None:
    figure = go.Figure()
    figure.add_scatter(
        x=line.costs,
        y=line.accuracies,
        text=[html.escape(label) for label in line.labels],
        name="predicted",
        mode="lines+markers",
        line={"color": theme.SERIES_COLOURS[0], "width": 2},
        hovertemplate="%{text}<br>%{x:.4g}: %{y:.2f} %<extra></extra>",
    )
    figure.add_scatter(
        x=[cost for cost, _ in line.measured],
        y=[accuracy for _, accuracy in line.measured],
        name="measured",
        mode="markers",
        marker={"color": theme.SERIES_COLOURS[1], "symbol": "diamond", "size": 11},
        hovertemplate="measured %{x:.4g}: %{y:.2f} %<extra></extra>",
    )
    figure.update_layout(
        height=340, margin={"l": 8, "r": 8, "t": 24, "b": 8}, legend={"orientation": "h", "y": -0.25}
    )
    figure.update_xaxes(title=html.escape(line.cost), autorange="reversed")
    figure.update_yaxes(title="accuracy", ticksuffix=" %")
    charts.show(figure, key)
