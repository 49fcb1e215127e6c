"""Variants by two or three measures, with their Pareto front."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from slimcast_web import theme
from slimcast_web.services.measures import Measure, measured
from slimcast_web.services.pareto import front
from slimcast_web.services.tradeoffs import Point

KIND_TITLES = {
    "baseline": "As given",
    "train": "Trained",
    "prune": "Pruned",
    "netadapt": "Adapted",
    "sparsify": "Sparsified",
    "factorize": "Factorized",
    "finetune": "Fine-tuned",
    "quantize": "Quantized",
}
_MOST_NAMED = 12
_MOST_DETAILED = 200
_MOST_FRONTS = len(theme.SERIES_COLOURS)
_SIZES = (8.0, 34.0)
_SOLID_MARKERS = {
    "star": "diamond-open",
    "triangle-down": "x",
    "triangle-up": "cross",
    "hexagon": "square-open",
}
"""Three-dimensional plots know fewer shapes."""


@dataclass(frozen=True, kw_only=True)
class Axes:
    """What is drawn against what.

    Attributes:
        z: a third measure, or None. style: how it is shown: ``colour``, ``size`` or ``3d``.
        log: whether x has a logarithmic axis. fronts: whether each run has a front of its own.
        machine: whose latencies are drawn, see `Point.value`.
    """

    x: Measure
    y: Measure
    z: Measure | None = None
    style: str = "colour"
    log: bool = False
    fronts: bool = False
    machine: str = ""

    @property
    def measures(self) -> list[Measure]:
        """Return the two or three measures."""
        return [self.x, self.y] + ([self.z] if self.z is not None else [])

    @property
    def is_solid(self) -> bool:
        """Return whether there are three axes."""
        return self.z is not None and self.style == "3d"


def fronts(points: Sequence[Point], axes: Axes) -> list[list[Point]]:
    """Return the Pareto front of all points, or of each run where that is asked for."""
    if not axes.fronts:
        return [front(points, axes.measures, axes.machine)]
    runs = dict.fromkeys(point.run.id for point in points)
    groups = [[point for point in points if point.run.id == run] for run in runs]
    return [front(group, axes.measures, axes.machine) for group in groups]


def trade_off(points: Sequence[Point], axes: Axes, *, chosen: str, compared: Sequence[str] = ()) -> go.Figure:
    """Return the plot; the chosen variant has a ring, the compared ones have a square around them."""
    drawn = [p for p in points if all(p.value(m.name, axes.machine) is not None for m in axes.measures)]
    best = fronts(drawn, axes)
    figure = go.Figure()
    if axes.z is None:
        _add_lines(figure, best, axes)
    if not axes.is_solid:
        _add_frames(figure, drawn, axes, "circle-open", 26, [chosen])
        _add_frames(figure, drawn, axes, "square-open", 22, compared)
    on_front = {point.key for line in best for point in line}
    for kind in dict.fromkeys(point.variant.step_kind for point in drawn):
        _add_kind(figure, kind, drawn, axes, on_front, {chosen, *compared})
    _lay_out(figure, drawn, axes)
    return figure


def _add_lines(figure: go.Figure, best: Sequence[Sequence[Point]], axes: Axes) -> None:
    several = len(best) > 1
    for line, colour in zip(best[:_MOST_FRONTS], theme.SERIES_COLOURS, strict=False):
        figure.add_scatter(
            x=[axes.x.on_axis(point.value(axes.x.name, axes.machine)) for point in line],
            y=[axes.y.on_axis(point.value(axes.y.name, axes.machine)) for point in line],
            name=f"Front of {html.escape(line[0].run.name)}" if several and line else "Pareto front",
            mode="lines",
            # The line encloses what the front beats, so it turns where the better direction says.
            line={
                "color": colour if several else theme.FRONT_COLOUR,
                "width": 2,
                "shape": "vh" if axes.x.higher_is_better else "hv",
            },
            hoverinfo="skip",
        )


def _add_frames(
    figure: go.Figure, points: Sequence[Point], axes: Axes, symbol: str, size: int, keys: Sequence[str]
) -> None:
    framed = [point for point in points if point.key in keys]
    figure.add_scatter(
        x=[axes.x.on_axis(point.value(axes.x.name, axes.machine)) for point in framed],
        y=[axes.y.on_axis(point.value(axes.y.name, axes.machine)) for point in framed],
        mode="markers",
        marker={"symbol": symbol, "size": size, "color": theme.FRONT_COLOUR, "line": {"width": 2}},
        showlegend=False,
        hoverinfo="skip",
    )


def _add_kind(
    figure: go.Figure,
    kind: str,
    points: Sequence[Point],
    axes: Axes,
    on_front: set[str],
    framed: set[str],
) -> None:
    shown = [point for point in points if point.variant.step_kind == kind]
    symbol = theme.MARKERS.get(kind, theme.OTHER_MARKER)
    named = len(points) <= _MOST_NAMED
    values = [[m.on_axis(p.value(m.name, axes.machine)) for p in shown] for m in axes.measures]
    common: dict[str, Any] = {
        "name": KIND_TITLES.get(kind, html.escape(kind)),
        "mode": "markers+text" if named else "markers",
        "text": [_label(point, lifted=point.key in framed and not axes.is_solid) for point in shown],
        "textposition": "top center",
        # An array, not lists: Plotly copies those one by one.
        "customdata": np.array([[point.key] for point in shown], dtype=object),
        "hovertext": [_hover(point, axes, brief=len(points) > _MOST_DETAILED) for point in shown],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    marker = _marker(kind, axes, values, points) | {"line": {"width": 1, "color": "white"}}
    if axes.is_solid:
        symbol = _SOLID_MARKERS.get(symbol, symbol)
        solid = marker | {"symbol": symbol, "size": 7}
        figure.add_scatter3d(x=values[0], y=values[1], z=values[2], marker=solid, **common)
        return
    # What lies behind the front is there, but steps back.
    faded = {"opacity": [1.0 if point.key in on_front else 0.5 for point in shown]}
    # A chosen point has a ring: the others need not fade as well.
    figure.add_scatter(
        x=values[0],
        y=values[1],
        cliponaxis=False,
        marker={"size": 13} | marker | faded | {"symbol": symbol},
        unselected={"marker": {"opacity": 0.75}},
        **common,
    )


def _label(point: Point, *, lifted: bool) -> str:
    # An empty second line lifts the name above the ring or square around its point.
    return html.escape(point.variant.name) + ("<br> " if lifted else "")


def _marker(kind: str, axes: Axes, values: list[list[Any]], points: Sequence[Point]) -> dict[str, Any]:
    plain = {"color": theme.CATEGORY_COLOURS.get(kind, theme.OTHER_COLOUR)}
    if axes.z is None or axes.style == "3d":
        return plain
    if axes.style == "colour":
        return {"color": values[2], "coloraxis": "coloraxis"}
    everyone = [axes.z.on_axis(point.value(axes.z.name, axes.machine)) or 0.0 for point in points]
    low, high = min(everyone), max(everyone)
    least, most = _SIZES
    span = (high - low) or 1.0
    return plain | {"size": [least + (most - least) * (((z or 0.0) - low) / span) ** 0.5 for z in values[2]]}


def _lay_out(figure: go.Figure, points: Sequence[Point], axes: Axes) -> None:
    figure.update_layout(
        height=560 if axes.is_solid else 440,
        margin={"l": 8, "r": 24, "t": 44, "b": 8},  # labels at the top stay clear of the buttons
        legend={"orientation": "h", "y": -0.2},
        hoverlabel={"align": "left"},
        clickmode="event+select",
        uirevision="-".join([*(m.name for m in axes.measures), axes.style, str(axes.log), axes.machine]),
    )
    if axes.z is not None and axes.style == "colour":
        figure.update_layout(
            coloraxis={"colorscale": "Cividis", "colorbar": {"title": {"text": axes.z.axis, "side": "right"}}}
        )
    if axes.is_solid and axes.z is not None:
        titles = {"xaxis": axes.x, "yaxis": axes.y, "zaxis": axes.z}
        scene: dict[str, Any] = {name: {"title": {"text": m.axis}} for name, m in titles.items()}
        scene["xaxis"]["type"] = "log" if axes.log else "linear"
        scene |= {"aspectmode": "cube", "camera": {"eye": {"x": 1.7, "y": 1.7, "z": 0.9}}}
        figure.update_layout(scene=scene)
        return
    figure.update_xaxes(title=axes.x.axis, type="log" if axes.log else "linear")
    figure.update_yaxes(title=axes.y.axis)
    if not axes.log and not axes.x.is_share:
        figure.update_xaxes(rangemode="tozero")
    if axes.log:
        step = "D1" if _is_narrow(points, axes) else 1
        figure.update_xaxes(minor={"ticks": "outside", "ticklen": 3}, dtick=step)


def _is_narrow(points: Sequence[Point], axes: Axes) -> bool:
    values = [value for point in points if (value := point.value(axes.x.name, axes.machine))]
    return bool(values) and max(values) / min(values) < 10


def _hover(point: Point, axes: Axes, *, brief: bool) -> str:
    """Return all figures of a point; of many points only those that are drawn."""
    rows = [f"<b>{html.escape(point.title)}</b>", f"run {html.escape(point.run.id)}"]
    for measure in axes.measures if brief else measured(point.variant.measurements).values():
        found = point.measurement(measure.name, axes.machine)
        if found is not None:
            where = f" on {html.escape(found.machine)}" if measure.name == "latency_p50_ms" else ""
            rows.append(f"{html.escape(measure.title)}: {html.escape(measure.text(found.value))}{where}")
    return "<br>".join(rows)
