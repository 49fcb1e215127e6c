"""NetAdapt's decisions, on made-up networks whose best answers are known."""

from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

import pytest

from slimcast.errors import Cancelled, StepError
from slimcast.measure.layers import LayerShape
from slimcast.prune.narrow import Adjustable, Reach, largest_width, least_cost, saving
from slimcast.prune.netadapt import Adaptation, AdaptPlan
from slimcast.prune.netadapt_state import Prediction
from slimcast.reporting import SilentReporter


def _linear(inputs, outputs):
    return LayerShape(kind="linear", inputs=inputs, outputs=outputs)


def _group(name, channels, reader, per_channel=1, step=1):
    widths = tuple(range((channels - 1) // step * step, 0, -step))
    reaches = (
        Reach(layer=name, side="out", per_channel=1),
        Reach(layer=reader, side="in", per_channel=per_channel),
    )
    return Adjustable(name=name, channels=channels, widths=widths, reaches=reaches)


def _macs(_name, layer):
    return layer.macs


class TestNarrowing:
    layers = MappingProxyType({"a": _linear(10, 100), "b": _linear(400, 20)})  # a channel of a: 4 inputs of b
    group = _group("a", 100, "b", per_channel=4)

    def test_a_group_changes_all_layers_that_it_reaches(self):
        changed = self.group.at(75, self.layers)
        assert changed == {"a": _linear(10, 75), "b": _linear(300, 20)}
        assert saving(self.group, 75, self.layers, _macs) == 25 * 10 + 100 * 20

    def test_a_depthwise_convolution_loses_inputs_outputs_and_groups_at_once(self):
        depthwise = LayerShape(kind="conv", inputs=32, outputs=32, groups=32, kernel=(3, 3), size=(8, 8))
        reach = Reach(layer="d", side="out", per_channel=1)
        group = Adjustable(name="d", channels=32, widths=(8,), reaches=(reach,))
        [shape] = group.at(8, {"d": depthwise}).values()
        assert (shape.inputs, shape.outputs, shape.groups) == (8, 8, 8)

    @pytest.mark.parametrize("needed", [1, 90, 91, 1000, 5000, 8909, 8910])
    def test_the_largest_width_that_saves_enough(self, needed):
        best = max(w for w in self.group.widths if saving(self.group, w, self.layers, _macs) >= needed)
        assert largest_width(self.group, self.layers, _macs, needed=needed) == best

    def test_a_cut_that_no_width_achieves_costs_one_look(self):
        asked = []

        def cost(name, layer):
            asked.append((name, layer))
            return layer.macs

        assert largest_width(self.group, self.layers, cost, needed=8911) is None
        assert len(set(asked)) <= 4

    def test_few_widths_are_looked_at_on_a_staircase(self):
        asked = set()

        def cost(name, layer):
            if name == "a":
                asked.add(layer.outputs)
            return 1.0 + -(-layer.outputs // 16) if name == "a" else 0.0

        group = _group("a", 4096, "b", step=8)
        layers = {"a": _linear(10, 4096), "b": _linear(4096, 10)}
        assert largest_width(group, layers, cost, needed=30) == 4096 - 30 * 16
        assert len(asked) < 20

    def test_the_least_cost_has_all_groups_at_their_narrowest(self):
        layers = {"a": _linear(5, 8), "b": _linear(8, 6), "c": _linear(6, 2)}
        groups = [_group("a", 8, "b"), _group("b", 6, "c")]
        assert least_cost(groups, layers, _macs) == 5 * 1 + 1 * 1 + 1 * 2


def test_a_prediction_is_anchored_at_what_was_measured():
    assert Prediction.anchored(10.0, 8.0).of(8.0) == 10
    assert Prediction.anchored(10.0, 8.0).of(6.0) == 8  # what is no layer stays
    assert Prediction.anchored(10.0, 12.5).of(12.5) == 10
    assert Prediction.anchored(10.0, 12.5).of(6.25) == 5  # layers alone that take longer than all are scaled


@dataclass(frozen=True)
class Net:
    """A made-up network: widths of its groups, and how much accuracy a channel of each is worth."""

    widths: tuple[int, ...]
    trained: int = 0


class FakeTools:
    """A chain of linear layers; layer i reads the outputs of layer i - 1."""

    def __init__(self, worth, *, inputs=10, outputs=10, measured=lambda cost: cost, step=1, exact=True):
        self.worth, self.inputs, self.outputs, self.exact = worth, inputs, outputs, exact
        self.measured, self.step, self.trainings = measured, step, []

    def layers(self, model):
        ends = (self.inputs, *model.widths, self.outputs)
        return {f"l{i}": _linear(a, b) for i, (a, b) in enumerate(pairwise(ends))}

    def groups(self, model):
        return [_group(f"l{i}", w, f"l{i + 1}", step=self.step) for i, w in enumerate(model.widths)]

    def cost(self, _name, layer):
        return layer.macs

    def measure(self, model):
        return self.measured(sum(layer.macs for layer in self.layers(model).values()))

    def narrow(self, model, group, width):
        widths = list(model.widths)
        widths[int(group.name[1:])] = width
        return replace(model, widths=tuple(widths))

    def train(self, model, iteration, proposal, reporter):
        self.trainings.append((iteration, proposal))

    def accuracy(self, model):
        return sum(w * worth for w, worth in zip(model.widths, self.worth, strict=True))

    def show(self, value):
        return f"{value:g} macs"


def _run(tools, model, plan, reporter=None):
    adaptation = Adaptation(tools, plan, reporter or SilentReporter())
    state = adaptation.begin(model, tools.measure(model))
    states = [state]
    while (state := adaptation.advance(state)) is not None:
        states.append(state)
    return states


def test_the_channels_that_are_worth_least_go_and_the_budget_is_met():
    tools = FakeTools(worth=(1e-3, 1e-6, 1e-3))
    start = Net(widths=(50, 50, 50))
    cost = tools.measure(start)
    states = _run(tools, start, AdaptPlan(budget=0.7 * cost, first_step=0.05))
    history = states[-1].history
    assert {line.group for line in history[1:]} == {"l1"}
    assert states[-1].model.widths[0] == states[-1].model.widths[2] == 50
    assert 0.65 * cost < states[-1].cost <= 0.7 * cost
    assert all(line.measured == line.predicted for line in history)  # counted, and by the table
    assert history[-1].measured == states[-1].cost
    assert [line.number for line in history] == list(range(len(history)))


def test_each_iteration_saves_its_step_and_the_last_one_no_more_than_is_needed():
    tools = FakeTools(worth=(1e-4, 1e-4, 1e-4))
    start = Net(widths=(60, 60, 60))
    cost = tools.measure(start)
    plan = AdaptPlan(budget=0.8 * cost, first_step=0.06, decay=0.9)
    history = _run(tools, start, plan)[-1].history
    for before, after in pairwise(history):
        step = min(0.06 * cost * 0.9 ** (after.number - 1), before.predicted - plan.budget)
        assert before.predicted - after.predicted >= step
        assert before.predicted - after.predicted < step + 3 * 120  # one channel more than needed, at most
        assert after.proposals == 3


def test_every_proposal_is_trained_once():
    tools = FakeTools(worth=(1e-4, 1e-4))
    states = _run(tools, Net(widths=(40, 40)), AdaptPlan(budget=1500, first_step=0.1))
    expected = [(line.number, i) for line in states[-1].history[1:] for i in range(line.proposals)]
    assert tools.trainings == expected


@pytest.mark.parametrize(
    "measured",
    [lambda cost: 1000 + 0.5 * cost, lambda cost: 2400 * (cost / 2400) ** 2],
    ids=["flatters", "too careful"],
)
def test_a_table_that_is_wrong_is_corrected_by_what_is_measured(measured):
    tools, budget = FakeTools(worth=(1e-4, 1e-4), measured=measured), 1600
    states = _run(tools, Net(widths=(40, 40)), AdaptPlan(budget=budget, first_step=0.05))
    last = states[-1].history[-1]
    assert tools.measure(states[-1].model) == last.measured
    assert 0.95 * budget < last.measured <= 1.02 * budget
    table = last.predicted / states[-1].start
    assert (
        abs(table - last.measured / states[-1].start) > 0.05
    )  # by the table alone it would have ended elsewhere


def test_a_disturbed_measurement_is_not_believed():
    calls = []

    def disturbed(cost):
        calls.append(cost)
        return cost * (1.5 if len(calls) in {3, 5} else 1)

    tools, plan = FakeTools(worth=(1e-4, 1e-4), measured=disturbed), AdaptPlan(budget=1800, first_step=0.05)
    quiet = _run(FakeTools(worth=(1e-4, 1e-4)), Net(widths=(40, 40)), plan)
    states = _run(tools, Net(widths=(40, 40)), plan)
    assert states[-1].model == quiet[-1].model


def test_a_budget_that_cannot_be_met_is_explained_before_any_work():
    tools = FakeTools(worth=(1e-4, 1e-4), step=20)
    with pytest.raises(StepError, match=r"budget of 100 macs: about 800 macs of 2400 macs remain.*round_to"):
        _run(tools, Net(widths=(40, 40)), AdaptPlan(budget=100))
    assert tools.trainings == []


def test_a_budget_that_may_be_out_of_reach_is_tried_with_a_warning():
    class Listening(SilentReporter):
        said = ""

        def log(self, text, level="info"):
            self.said += f"{level}: {text}\n"

    reporter = Listening()
    tools = FakeTools(worth=(1e-4, 1e-4), measured=lambda cost: 1000 + cost)
    states = _run(tools, Net(widths=(40, 40)), AdaptPlan(budget=900, first_step=0.1), reporter)
    assert (
        "warning: The budget of 900 macs may be out of reach: up to 1021 macs of 3400 macs" in reporter.said
    )
    assert states[-1].model == Net(widths=(1, 1))
    assert states[-1].history[-1].measured == 1021


def test_a_budget_below_what_measured_layers_promise_is_tried_all_the_same():
    def slow_when_narrow(_name, layer):  # as the measurement of tiny layers may be
        return layer.macs if layer.macs > 100 else 5000

    tools = FakeTools(worth=(1e-4, 1e-4), exact=False)
    tools.cost = slow_when_narrow
    states = _run(tools, Net(widths=(40, 40)), AdaptPlan(budget=0.8 * tools.measure(Net((40, 40)))))
    assert states[-1].history[-1].measured <= 0.8 * states[0].cost
    tools.exact = True
    with pytest.raises(StepError, match="cannot reach a budget"):
        _run(tools, Net(widths=(40, 40)), AdaptPlan(budget=1000))


def test_nothing_to_cut_is_an_error():
    with pytest.raises(StepError, match="no channels to remove"):
        _run(FakeTools(worth=(1.0,), step=64), Net(widths=(40,)), AdaptPlan(budget=100))


def test_the_best_that_was_found_when_measurements_never_get_there():
    tools = FakeTools(worth=(1e-4, 1e-4), measured=lambda cost: max(cost, 1400), step=8)
    plan = AdaptPlan(budget=1000, first_step=0.1)
    states = _run(tools, Net(widths=(40, 40)), plan)
    assert not Adaptation(tools, plan, SilentReporter()).done(states[-1])
    assert tools.measure(states[-1].model) == 1400
    assert states[-1].model.widths == (8, 8)  # nothing more could be cut


def test_a_step_that_no_group_can_make_is_halved():
    tools = FakeTools(worth=(1e-4, 1e-4, 1e-4, 1e-4), inputs=1, outputs=1)
    start = Net(widths=(3, 3, 3, 3))
    cost = tools.measure(start)
    history = _run(tools, start, AdaptPlan(budget=0.4 * cost, first_step=0.9))[-1].history
    assert history[1].predicted > 0.1 * cost
    assert history[-1].predicted <= 0.4 * cost


def test_a_network_within_its_budget_stays():
    tools = FakeTools(worth=(1e-4,))
    states = _run(tools, Net(widths=(40,)), AdaptPlan(budget=10_000))
    assert len(states) == 1
    assert tools.trainings == []


def test_iterations_can_be_limited():
    tools = FakeTools(worth=(1e-4, 1e-4))
    states = _run(tools, Net(widths=(40, 40)), AdaptPlan(budget=500, first_step=0.01, iterations=3))
    assert states[-1].history[-1].number == 3


def test_it_is_cancelled_between_proposals():
    class Cancelling(SilentReporter):
        def progress(self, fraction, activity):
            self.asked = activity

        def check_cancelled(self):
            if getattr(self, "asked", ""):
                raise Cancelled("now")

    tools = FakeTools(worth=(1e-4, 1e-4))
    with pytest.raises(Cancelled):
        _run(tools, Net(widths=(40, 40)), AdaptPlan(budget=1500), Cancelling())
    assert len(tools.trainings) == 1


def test_an_interrupted_adaptation_goes_on_to_the_same_end():
    tools, plan = FakeTools(worth=(1e-3, 1e-4, 2e-4)), AdaptPlan(budget=3000, first_step=0.05)
    states = _run(tools, Net(widths=(50, 50, 50)), plan)
    adaptation = Adaptation(tools, plan, SilentReporter())
    state = states[2]
    while (after := adaptation.advance(state)) is not None:
        state = after
    assert state == states[-1]
