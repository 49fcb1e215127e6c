"""The services behind the pages, on a real store."""

import csv
import io
from dataclasses import replace

import pytest

from slimcast.errors import FleetError, RunNotFound, RunStateError
from slimcast.recipe import parse_recipe
from slimcast.records import EventKind, RunState
from slimcast_edge.signing import public_key_from_text
from slimcast_edge.wire import DeviceState
from slimcast_web.services import compress, figures, fleet, measures, metrics, pareto, runs, studio, tradeoffs
from slimcast_web.services.compress import Draft
from support_web import device, finished_run, running_run

ACCURACY = measures.KNOWN["accuracy"]


class TestCompress:
    def test_all_problems_come_at_once_with_their_paths(self):
        text = "name: x\nmodel: {name: nosuch}\ndata: {name: digits}\nsteps: [{kind: train, epochs: -1}]\n"
        paths = [path for path, _ in compress.problems(text)]
        assert "model.name" in paths
        assert any(path.startswith("steps.0") for path in paths)

    def test_start_queues_a_run_and_clone_gives_its_recipe_back(self, opened):
        run = compress.start(opened, compress.yaml_of(Draft()))
        assert opened.store.run(run.id).state is RunState.QUEUED
        assert parse_recipe(compress.recipe_of_run(opened, run.id)).hash == run.recipe_hash


class TestRuns:
    def test_a_running_run_has_curves_log_and_steps(self, opened):
        run = running_run(opened.store)
        detail = runs.detail(opened, run.id)
        assert detail.is_live
        assert [step.status for step in detail.steps] == ["started", "waiting", "waiting", "waiting"]
        assert {curve.series for curve in detail.losses} == {"train loss", "test loss"}
        assert detail.accuracies[0].xs == [1, 2, 3, 4, 5]
        assert "1 437 training images" in detail.log[0]

    def test_curves_of_the_next_step_begin_where_the_last_ended(self, opened):
        run = running_run(opened.store)
        point = {"series": "test loss", "x": 2.0, "y": 0.3, "step": 1}
        opened.store.add_events(run.id, [(1.0, EventKind.POINT, point)])
        detail = runs.detail(opened, run.id)
        loss = next(curve for curve in detail.losses if curve.series == "test loss")
        assert loss.xs[-1] == 7.0
        assert detail.boundaries == [(0.0, "train"), (5.0, "prune")]

    def test_a_step_that_ran_again_replaces_its_points(self, opened):
        run = running_run(opened.store)
        point = {"series": "test loss", "x": 5.0, "y": 9.0, "step": 0}
        opened.store.add_events(run.id, [(1.0, EventKind.POINT, point)])
        loss = next(c for c in runs.detail(opened, run.id).losses if c.series == "test loss")
        assert len(loss.xs) == 5
        assert loss.ys[-1] == 9.0

    def test_long_curves_are_thinned_and_keep_their_last_point(self, opened):
        run = opened.store.create_run(parse_recipe(compress.yaml_of(Draft())))
        opened.store.claim(run.id, "test")
        points = [
            (1.0, EventKind.POINT, {"series": "train loss", "x": i / 100, "y": float(i), "step": 0})
            for i in range(6000)
        ]
        opened.store.add_events(run.id, points)
        (curve,) = runs.detail(opened, run.id).losses
        assert len(curve.xs) < 2 * runs.CURVE_POINTS
        assert curve.ys[-1] == 5999.0

    def test_a_cancelled_run_shows_its_step_as_stopped(self, opened):
        run = running_run(opened.store)
        runs.cancel(opened, run.id)
        opened.store.finish(run.id, RunState.CANCELLED)
        detail = runs.detail(opened, run.id)
        assert not detail.is_live
        assert detail.steps[0].status == "stopped"
        runs.resume(opened, run.id)
        assert opened.store.run(run.id).state is RunState.QUEUED

    def test_a_finished_run_cannot_be_cancelled(self, opened):
        run = finished_run(opened.store)
        with pytest.raises(RunStateError):
            runs.cancel(opened, run.id)

    def test_events_are_read_once_and_then_only_the_new_ones(self, opened, monkeypatch):
        run = running_run(opened.store)
        before = len(opened.events.of(run.id))
        asked = []
        read = opened.store.events
        monkeypatch.setattr(opened.store, "events", lambda *a, **k: asked.append(k["after"]) or read(*a, **k))
        opened.store.add_events(run.id, [(1.0, EventKind.LOG, {"text": "more", "level": "info"})])
        events = opened.events.of(run.id)
        assert len(events) == before + 1
        assert asked == [events[-2].seq]

    def test_an_unknown_run_is_named(self, opened):
        with pytest.raises(RunNotFound):
            runs.detail(opened, "nosuchrun0")


class TestTradeoffs:
    def test_the_front_holds_what_nothing_beats(self, opened):
        run = finished_run(opened.store)
        points = tradeoffs.points(opened, [run.id])
        front = [
            point.variant.name for point in pareto.front(points, [measures.KNOWN["size_bytes"], ACCURACY])
        ]
        assert front == [
            "3-int8",
            "2-finetune",
            "0-train",
        ]  # the pruned one is as large as, and worse than, 2

    def test_the_sentence_says_times_and_points(self, opened):
        run = finished_run(opened.store)
        points = tradeoffs.points(opened, [run.id])
        base = tradeoffs.baseline(points, points[3])
        assert base is not None
        text = tradeoffs.sentence(base, points[3])
        assert text == (
            "3-int8 is 8.0 times smaller and 2.3 times faster against 0-train, at 96.90 % accuracy, "
            "0.90 points less."
        )
        assert tradeoffs.baseline(points, points[0]) is None

    def test_what_got_worse_is_said_as_well(self, opened):
        points = tradeoffs.points(opened, [finished_run(opened.store).id])
        assert "8.0 times larger and 2.3 times slower" in tradeoffs.sentence(points[3], points[0])

    def test_the_csv_has_every_measurement_and_the_date_in_its_name(self, opened):
        run = finished_run(opened.store)
        points = tradeoffs.points(opened, [run.id])
        name, text = tradeoffs.csv_file(points)
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == sum(len(point.variant.measurements) for point in points)
        assert rows[0]["recipe_hash"] == run.recipe_hash
        assert name.startswith("slimcast-trade-offs-20")
        assert name.endswith(".csv")

    def test_the_machine_is_named(self, opened):
        points = tradeoffs.points(opened, [finished_run(opened.store).id])
        assert "Example CPU" in tradeoffs.machine_note(points)

    def test_runs_without_variants_are_left_out(self, opened):
        running_run(opened.store)
        assert tradeoffs.runs_with_variants(opened) == []


class TestFleet:
    def test_publishing_orders_the_artifact_under_its_name(self, opened):
        run = finished_run(opened.store)
        opened.hub.known = [device()]
        what = fleet.publishable(opened, run.id)[0]
        assert fleet.publish(opened, "cam1", what) == 7
        assert opened.hub.orders == [("cam1", what.artifact, f"{run.name} 3-int8")]

    def test_a_refused_rollback_says_why(self, opened):
        opened.hub.known = [device()]
        opened.hub.refusal = "there is no previous model"
        with pytest.raises(FleetError, match="no previous model"):
            fleet.rollback(opened, "cam1")

    def test_connected_devices_come_first(self, opened):
        opened.hub.known = [device("a", online=False), device("b")]
        assert [d.name for d in fleet.devices(opened)] == ["b", "a"]

    def test_the_history_notes_changes_and_not_progress(self, opened):
        for state, progress in [("downloading", 0.1), ("downloading", 0.7), ("verifying", 1), ("active", 1)]:
            opened.hub.known = [device(state=DeviceState(state), progress=progress)]
            opened.history.look()
            opened.history.look()
        assert [seen.reported.state for seen in opened.history.of("cam1")] == [
            "downloading",
            "verifying",
            "active",
        ]
        assert opened.history.of("cam1")[0].reported.progress == 0.7
        assert fleet.passed(opened, opened.hub.known[0])[0] is DeviceState.DOWNLOADING

    def test_connecting_shows_the_real_public_key(self, opened):
        told = fleet.connect(opened)
        public_key_from_text(told.public_key)  # raises when it is none
        assert told.only_here
        assert f"mqtt://127.0.0.1:{opened.settings.broker_port}" in told.commands
        assert told.public_key in told.commands

    def test_where_the_broker_asks_for_users_a_camera_needs_a_code(self, opened, tmp_path):
        opened.settings = replace(opened.settings, broker_folder=tmp_path)
        told = fleet.connect(opened)
        assert "--code CODE" in told.commands
        assert told.public_key not in told.commands


class TestStudio:
    def test_a_part_that_does_not_start_is_noted_and_the_others_run(self, opened):
        class Broken:
            def start(self) -> None:
                raise FleetError("Port 1883 is taken.")

            def stop(self) -> None: ...

        opened.broker = Broken()
        opened.start()
        opened.history.stop()
        assert opened.hub.started
        assert opened.problems == ["The embedded broker did not start. Port 1883 is taken."]

    def test_without_a_studio_there_is_a_sentence(self):
        studio.use(None)
        with pytest.raises(studio.StudioClosed, match="slimcast app"):
            studio.current()

    def test_metrics_are_valid_prometheus_text(self, opened):
        finished_run(opened.store)
        opened.hub.known = [device(), device("off", online=False)]
        lines = metrics.prometheus_text(opened).splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        assert values["slimcast_devices_online"] == "1"
        assert values['slimcast_runs{state="succeeded"}'] == "1"
        assert values["slimcast_hub_dropped_malformed_total"] == "1"
        assert float(values["slimcast_resident_memory_bytes"]) > 1e6


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (figures.size(31_000), "31.0 kB"),
        (figures.size(12), "12 B"),
        (figures.count(2_236_682), "2.24 M"),
        (figures.milliseconds(0.0271), "0.027 ms"),
        (figures.plural(1, "thread"), "1 thread"),
        (figures.plural(4, "thread"), "4 threads"),
        (figures.duration(3725), "1 h 02 min"),
        (figures.factor(12.3), "12"),
        (figures.ago(0), "never"),
    ],
)
def test_figures_carry_units(text, expected):
    assert text == expected
