"""The report on variants: one HTML file that needs nothing else, with every text from outside escaped."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
import plotly.io as pio
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from slimcast.errors import SlimcastError
from slimcast.measure.predictions import Predictions
from slimcast_web.plots.answers import confusion_matrix
from slimcast_web.plots.layers import layer_bars
from slimcast_web.plots.trade_off import Axes, fronts, trade_off
from slimcast_web.services import answers, compared, figures, layers, tradeoffs
from slimcast_web.services.layers import LAYER_MEASURES
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoffs import Point

_TEMPLATE = "report.html.j2"
_SHOWN_LAYERS = ("channels", "sparsity", "bits", "time")
_MOST_ROWS = 500
_MOST_CLASSES = 200


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """The answers of one variant, ready for the report."""

    name: str
    figure: Markup
    errors: list[tuple[str, str, int]]
    classes: list[answers.ClassFigures]


def file_name() -> str:
    """Return what the report is called, with the date."""
    return f"slimcast-report-{time.strftime('%Y-%m-%d')}.html"


def not_in_it(studio: Studio, chosen: Sequence[Point]) -> str:
    """Return in a sentence what the report lacks; "" for nothing."""
    lacking = [point.variant.name for point in chosen if point.variant.predictions is None]
    if not lacking:
        return ""
    return f"The report will have no answers of {len(lacking)} of these variants: they were not kept."


def html_report(
    studio: Studio, points: Sequence[Point], chosen: Sequence[Point], axes: Axes, shown: str
) -> bytes:
    """Return the report, UTF-8.

    Args:
        points: all variants of the chosen runs.
        chosen: those side by side, the reference first.
        axes: of the plot.
        shown: key of the variant that has a ring in it.
    """
    best = {point.key for line in fronts(points, axes) for point in line}
    figure = trade_off(points, axes, chosen=shown, compared=[point.key for point in chosen])
    names = compared.short_titles(chosen)
    template = _environment().get_template(_TEMPLATE)
    text = template.render(
        date=time.strftime("%Y-%m-%d %H:%M"),
        machine=tradeoffs.machine_note(points, axes.machine),
        plotly=Markup(f"<script>{_plotly_js()}</script>"),  # our own dependency's file
        plot=_embedded(figure),
        axes=axes,
        points=points[:_MOST_ROWS],
        left_out=max(0, len(points) - _MOST_ROWS),
        columns=[(m, m.title) for m in axes.measures],
        on_front=best,
        names=names,
        lines=compared.lines(chosen, axes.machine) if chosen else [],
        layers=_layers(studio, chosen, names),
        answers=_answers(studio, chosen, names),
        most_classes=_MOST_CLASSES,
        percent=figures.percent,
        recipes=list({point.run.id: point.run for point in chosen}.values()),
    )
    return text.encode()


def _layers(studio: Studio, chosen: Sequence[Point], names: Sequence[str]) -> list[Markup]:
    found = []
    for measure in _SHOWN_LAYERS:
        try:
            bars = layers.layer_bars(studio, chosen, measure)
        except SlimcastError:
            return []  # the page says which file is missing
        titles = [name for name, point in zip(names, chosen, strict=True) if point.key in bars]
        if any(bars.values()):
            found.append(_embedded(layer_bars(bars, titles, LAYER_MEASURES[measure])))
    return found


def _answers(studio: Studio, chosen: Sequence[Point], names: Sequence[str]) -> list[_Answers]:
    found = []
    for point, name in zip(chosen, names, strict=True):
        predictions = _kept(studio, point)
        if predictions is not None:
            confusion = answers.confusion(predictions)
            found.append(
                _Answers(
                    name=name,
                    figure=_embedded(confusion_matrix(confusion)),
                    errors=confusion.errors[:5],
                    classes=answers.per_class(predictions)[:_MOST_CLASSES],
                )
            )
    return found


def _kept(studio: Studio, point: Point) -> Predictions | None:
    try:
        return answers.kept(studio, point)
    except SlimcastError:
        return None


def _embedded(figure: go.Figure) -> Markup:
    figure.update_layout(template="plotly_white")
    config = {"displaylogo": False, "responsive": True}
    # Plotly writes "<" of texts as an escape; what stands in them was escaped before, too.
    return Markup(pio.to_html(figure, full_html=False, include_plotlyjs=False, config=config))


def _plotly_js() -> str:
    from plotly.offline import get_plotlyjs

    text: str = get_plotlyjs()
    return text


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("slimcast_web.plots", "templates"), autoescape=True, undefined=StrictUndefined
    )
