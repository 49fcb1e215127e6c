"""What each layer takes on this machine: measured on request, and the sum beside the whole."""

from collections.abc import Sequence

import streamlit as st

from slimcast.measure.layer_times import LayerTimes
from slimcast_web.services import figures, layers
from slimcast_web.services.studio import Studio
from slimcast_web.services.tradeoffs import Point

_PROFILER = 1.15


def show(opened: Studio, chosen: Sequence[Point], names: Sequence[str]) -> None:
    """Show the button that measures, how far that is, and the sums; the bars are the caller's."""
    files = [point.variant.artifact for point in chosen if point.variant.artifact]
    waits = opened.layers.waits(files)
    st.fragment(_progress, run_every=0.5 if waits else None)(opened, files, waits)
    found = layers.timed(opened, chosen)
    if not waits:
        words = "Measure again" if found else "Measure on this machine"
        if st.button(words, icon=":material/timer:", key="layers-measure"):
            opened.layers.start(files)
            st.rerun()
    for point, name in zip(chosen, names, strict=True):
        problem = opened.layers.of(point.variant.artifact or "")
        if isinstance(problem, str):
            st.text(f"{name}: {problem}")
    if found:
        _sums({name: found[p.key] for name, p in zip(names, chosen, strict=True) if p.key in found})


def _progress(opened: Studio, files: list[str], waited: bool) -> None:
    if not waited:
        return
    if not opened.layers.waits(files):
        st.rerun()  # the figures are there: the whole page shows them
    st.caption(":material/hourglass_top: Running each network a few hundred times, which takes some seconds…")


def _sums(found: dict[str, LayerTimes]) -> None:
    st.dataframe(
        [
            {
                "variant": name,
                "layers, ms": sum(times.layers.values()),
                "between them, ms": sum(times.others.values()),
                "together, ms": times.sum_ms,
                "whole network, p50 ms": times.whole_ms,
            }
            for name, times in found.items()
        ],
        hide_index=True,
        width="stretch",
        column_config={
            title: st.column_config.NumberColumn(title, format="%.3f")
            for title in ("layers, ms", "between them, ms", "together, ms", "whole network, p50 ms")
        },
    )
    one = next(iter(found.values()))
    runs = figures.count(one.runs)
    st.caption(
        f"ONNX Runtime's own profiler on {one.machine}: batch 1, one thread, median of {runs} runs. A "
        "layer's kernel includes its activation; in brackets, what runs between layers. The whole network is "
        "timed without the profiler."
    )
    if any(times.sum_ms > _PROFILER * times.whole_ms for times in found.values()):
        st.caption(
            "The kernels together take longer than the whole: the profiler adds some microseconds to each, "
            "which counts where a layer takes no more itself. Compare the layers, not their sum."
        )
    if any(times.busy for times in found.values()):
        st.caption(
            ":material/warning: Other work ran on this machine meanwhile, so the figures are too large."
        )
