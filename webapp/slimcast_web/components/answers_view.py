"""What variants answered to the held-out images: confusions, figures by class, where two disagree."""

from collections.abc import Sequence

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.measure.predictions import Predictions
from slimcast_web.components import charts, notices
from slimcast_web.components.data_look import plain
from slimcast_web.plots.answers import confusion_matrix
from slimcast_web.services import answers, compared, figures
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoffs import Point

_Known = tuple[Point, Predictions]


def show(opened: Studio, chosen: Sequence[Point]) -> None:
    """Show the answers of one or two of the variants beside each other."""
    names = dict(zip((point.key for point in chosen), compared.short_titles(chosen), strict=True))
    known = _read(opened, chosen, names)
    if not known:
        return
    if len(known) > 2:
        st.caption("Answers of the first two variants that are side by side.")
        known = known[:2]
    for place, (point, predictions) in zip(st.columns(len(known)), known, strict=True):
        with place:
            _confusion(predictions, names[point.key], point.key)
    _classes(known, names)
    if len(known) == 2:
        _disagreement(opened, known[0], known[1], names)


def _read(opened: Studio, chosen: Sequence[Point], names: dict[str, str]) -> list[_Known]:
    known = []
    for point in chosen:
        try:
            predictions = answers.kept(opened, point)
        except SlimcastError as error:
            notices.error(error)
            continue
        if predictions is None:
            notices.empty(
                f"The answers of {plain(names[point.key])} were not kept: its run is from an older version. "
                "Run its recipe again to have them."
            )
            continue
        known.append((point, predictions))
    return known


def _confusion(predictions: Predictions, name: str, key: str) -> None:
    found = answers.confusion(predictions)
    st.subheader(plain(name))
    st.caption("Numbers are images; the bluer a cell, the larger its share of the row.")
    if not found.whole:
        most = len(found.labels)
        st.caption(f"The {most} of {len(predictions.labels):,} classes that most errors belong to")
    charts.show(confusion_matrix(found), f"confusion-{key}")
    if found.errors:
        worst = ", ".join(f"{plain(a)} → {plain(b)} ({count})" for a, b, count in found.errors[:5])
        st.caption(f"Commonest errors: {worst}")
    else:
        st.caption("Every answer is right.")


def _classes(known: Sequence[_Known], names: dict[str, str]) -> None:
    st.subheader("By class")
    per_class = [answers.per_class(predictions) for _, predictions in known]
    rows: list[dict[str, object]] = []
    for index, first in enumerate(per_class[0]):
        row: dict[str, object] = {"class": first.label, "images": first.images}
        for (point, _), found in zip(known, per_class, strict=True):
            of_class = found[index] if index < len(found) and found[index].label == first.label else None
            for title in ("precision", "recall", "f1"):
                share = None if of_class is None else 100 * getattr(of_class, title)
                row[f"{title}, %{_behind(known, names[point.key])}"] = share
        rows.append(row)
    number = st.column_config.NumberColumn
    columns = [column for column in rows[0] if "%" in column]
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        column_config={column: number(column, format="%.2f") for column in columns},
    )


def _behind(known: Sequence[_Known], name: str) -> str:
    return f" · {name}" if len(known) > 1 else ""


def _disagreement(opened: Studio, one: _Known, two: _Known, names: dict[str, str]) -> None:
    st.subheader("Where they disagree")
    if not answers.are_comparable(one, two):
        notices.empty("These two were measured on different images, so single answers cannot be compared.")
        return
    found = answers.disagreement(one[1], two[1])
    first, second = names[one[0].key], names[two[0].key]
    titles = {
        "all": "All",
        "only the first is right": f"Only {first} is right",
        "only the second is right": f"Only {second} is right",
        "both are wrong": "Both are wrong",
    }
    share = len(found.kinds["all"]) / max(found.images, 1)
    st.caption(
        f"Different answers to {len(found.kinds['all']):,} of {found.images:,} held-out images "
        f"({figures.percent(share)})."
    )
    kind = st.segmented_control(
        "Which",
        list(titles),
        default="all",
        required=True,
        key="disagreement-kind",
        label_visibility="collapsed",
        format_func=lambda word: f"{plain(titles[word])} ({len(found.kinds[word]):,})",
    )
    indices = found.kinds[kind or "all"]
    if not len(indices):
        st.caption("There is no such image.")
        return
    _samples(*answers.samples(opened, one[0], (one[1], two[1]), indices))


def _samples(samples: Sequence[answers.Sample], problem: str) -> None:
    if problem:
        st.caption("The pictures cannot be shown:")
        st.code(problem, language=None, wrap_lines=True)
    for start in range(0, len(samples), 6):
        for place, sample in zip(st.columns(6), samples[start : start + 6], strict=False):
            with place:
                if sample.png is not None:
                    st.image(sample.png, width=96, alt=f"held-out image {sample.index}: {sample.truth}")
                lines = [f"**{plain(sample.truth)}**"]
                for answer, score in zip(sample.answers, sample.scores, strict=True):
                    mark = ":material/check:" if answer == sample.truth else ":material/close:"
                    lines.append(f"{mark} {plain(answer)} {score:.0%}")
                st.caption("  \n".join(lines))
    if len(samples) == answers.SAMPLES:
        st.caption(f"The first {answers.SAMPLES} of them. Above: the right class, then both answers.")
