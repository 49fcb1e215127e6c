"""What is rolled out to whom, in which stages, and what makes it stop."""

import streamlit as st

from slimcast.errors import SlimcastError
from slimcast.fleet.rollout_start import RolloutWish, make_plan, parse_stages
from slimcast.fleet_records import RolloutPlan
from slimcast_web.components import notices, publish_form
from slimcast_web.services import rollouts
from slimcast_web.services.studio import Studio

_DEFAULT = RolloutPlan()


def show(studio: Studio) -> None:
    """Show the form, closed; its button starts the roll-out."""
    panel = st.expander(
        "Roll out to many devices, in stages",
        icon=":material/cell_tower:",
        key="rollout-new",
        on_change="rerun",
    )
    if not panel.open:
        return
    with panel:
        wish = _form(studio)
        if wish is not None:
            _start(studio, wish)


def _start(studio: Studio, wish: RolloutWish) -> None:
    try:
        made = rollouts.start(studio, wish)
    except SlimcastError as error:
        notices.error(error)
    else:
        st.success(f"Roll-out {made.id} has begun. It goes on while the studio runs.", icon=":material/send:")


def _form(studio: Studio) -> RolloutWish | None:
    known = rollouts.targets(studio)
    if not known:
        st.caption("The studio has noted no device yet.")
        return None
    run, variant = st.columns(2)
    what = publish_form.choose(studio, run, variant, key="rollout")
    if what is None:
        return None
    to_column, first_column = st.columns(2)
    to = to_column.multiselect("To", known, known[:1], key="rollout-to", help="Groups and labels: see below.")
    first = first_column.multiselect(
        "First", [word for word in known if word != "all" and ":" not in word], key="rollout-first",
        placeholder="Any that is awake",
        help="Devices that the first stages shall reach.",
    )  # fmt: skip
    fields = _limits()
    if not st.button("Start the roll-out", type="primary", icon=":material/cell_tower:"):
        return None
    try:
        plan = make_plan(**fields | {"stages": parse_stages(str(fields["stages"]))})
    except SlimcastError as error:
        notices.error(error)
        return None
    return RolloutWish(
        run=what.run.id, variant=what.variant.name, to=tuple(to), plan=plan, first=tuple(first)
    )


def _limits() -> dict[str, object]:
    one, two, three = st.columns(3)
    stages = one.text_input(
        "Stages", "1, 25%, 100%", key="rollout-stages",
        help="Devices or percentages that each stage reaches, the earlier ones included.",
    )  # fmt: skip
    watch_s = two.number_input(
        "Watch each stage, s", 0.0, None, _DEFAULT.watch_s, 30.0, format="%g", key="rollout-watch"
    )
    patience = three.number_input(
        "Wait for devices that are away, min",
        0.5,
        None,
        _DEFAULT.patience_s / 60,
        5.0,
        format="%g",
        key="rollout-patience",
    )
    revert = st.checkbox(
        "When it halts by itself, bring back the former model", _DEFAULT.revert, key="rollout-revert"
    )
    with st.expander("When it halts", icon=":material/front_hand:"):
        one, two = st.columns(2)
        success = one.slider(
            "Devices that must run it, %", 0, 100, round(_DEFAULT.min_success * 100), key="rollout-success"
        )
        failed = two.slider(
            "Devices that may fail, %", 0, 100, round(_DEFAULT.max_failed * 100), key="rollout-failed"
        )
        slower = one.number_input(
            "A device has failed when it is slower, times", 1.0, 1000.0, _DEFAULT.max_latency_factor, 0.5,
            key="rollout-slower",
        )  # fmt: skip
        fps = two.slider(
            "or its frames a second fall below, % of before", 0, 100, round(_DEFAULT.min_fps_share * 100),
            key="rollout-fps",
        )  # fmt: skip
        errors = one.number_input(
            "or sends more errors than", 0, 15, _DEFAULT.max_errors, 1, key="rollout-errors"
        )
        st.caption("So has one that refuses the model or rolls back.")
    return {
        "stages": stages,
        "watch_s": watch_s,
        "patience_s": patience * 60,
        "revert": revert,
        "min_success": success / 100,
        "max_failed": failed / 100,
        "max_latency_factor": slower,
        "min_fps_share": fps / 100,
        "max_errors": errors,
    }
