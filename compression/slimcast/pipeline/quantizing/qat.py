"""Quantization-aware training, beside static int8 of the same network: the better of the two is kept."""

import copy
import math

import onnx
import torch
from torch import nn

from slimcast.data.choice import images_for_choice
from slimcast.data.files import taken
from slimcast.models.layers import check_patterns, matches, weighted_layers
from slimcast.pipeline.drafts import Draft, float_graph
from slimcast.pipeline.job import Job
from slimcast.pipeline.precision import precision_for
from slimcast.pipeline.teachers import find_teacher
from slimcast.pipeline.zeros import zeros_to_hold
from slimcast.quantize.grids import Rounding, overrides, rounding_of
from slimcast.quantize.qdq import insert
from slimcast.quantize.runs import logits_of
from slimcast.quantize.static import MINMAX, StaticPlan, quantize
from slimcast.quantize.workspace import Workspace
from slimcast.recipe import QatQuantize
from slimcast.reporting import ScaledReporter
from slimcast.train.batches import Batches
from slimcast.train.evaluate import logits_of as torch_logits
from slimcast.train.fit import fit
from slimcast.train.plan import TrainingPlan
from slimcast_edge.artifact import NumericKind

_RATE = 0.1  # of the network's rate for training from scratch, as in `finetune`
_STATIC_SHARE = 0.1  # of the progress bar
_TRAINED_SHARE = 0.95
_WARN_BELOW_AGREEMENT = 0.95
_CHECKED = 500


def epochs_of(step: QatQuantize) -> float:
    """Return how long the step takes, in epochs of training in float."""
    return 1.5 * step.epochs + 1


def run_qat(job: Job, index: int, step: QatQuantize, model: nn.Module, reporter: ScaledReporter) -> Draft:
    """Train a copy of the network in front of int8's roundings, from the state that static int8 leaves.

    Raises:
        StepError: the network cannot be exported as a program, or static int8 fails.
        Cancelled: somebody cancelled the run.
    """
    layers = weighted_layers(model)
    check_patterns(step.keep, layers, "keep")
    plan = StaticPlan(
        activations=step.activations,
        samples=step.calibration_samples,
        seed=job.seed(index),
        keep=frozenset(name for name in layers if matches(name, step.keep)),
    )
    first = ScaledReporter(reporter, 0.0, _STATIC_SHARE)
    graph = float_graph(job, model)
    static = quantize(graph, job.data.train_images, plan, reporter=first)
    trained = copy.deepcopy(model)
    middle = ScaledReporter(reporter, _STATIC_SHARE, _TRAINED_SHARE)
    learnt = _Training(job, index, step, trained, middle).run(rounding_of(static, graph), plan)
    reporter.progress(_TRAINED_SHARE, "Comparing with static int8")
    if _is_worse(job, learnt, static, reporter):
        return Draft(model=model, graph=static, kind=NumericKind.INT8)
    return Draft(model=trained, graph=learnt, kind=NumericKind.INT8)


class _Training:
    """The training of one network, `model`, in place."""

    def __init__(
        self, job: Job, index: int, step: QatQuantize, model: nn.Module, reporter: ScaledReporter
    ) -> None:
        self._job, self._index, self._step = job, index, step
        self._model, self._reporter = model, reporter

    def run(self, rounding: Rounding, plan: StaticPlan) -> onnx.ModelProto:
        """Train, and return the int8 graph with the trained weights and ranges.

        Args:
            rounding: of static int8 of the network. plan: that of static int8.
        """
        # Here, since torchao takes seconds to load, which the other methods need not spend.
        from slimcast.quantize.qat.network import Freezing, round_network

        job, step, model = self._job, self._step, self._model
        training = self._plan()
        hold = zeros_to_hold(job, self._index, model)
        network = round_network(
            model,
            float_graph(job, model),
            rounding,
            job.data.train_images,
            activations=step.activations,
            reporter=self._reporter,
        )
        freeze = Freezing(
            network, self._steps(training), statistics=step.learn_statistics, ranges=step.learn_ranges
        )

        def after_step(trained: nn.Module) -> None:
            freeze(trained)
            if hold is not None:
                hold(model)  # its weights are the ones that are trained

        teacher = find_teacher(job, self._index, step.distill.teacher) if step.distill else None
        fit(network, job.data, training, reporter=self._reporter, teacher=teacher, after_step=after_step)
        network.copy_to(model)
        model.eval()
        chosen = overrides(rounding, network.grids(), step.activations)
        calibration = taken(job.data.train_images, plan.calibrating(len(job.data.train_labels)))
        with Workspace() as folder:
            graph = insert(
                float_graph(job, model), calibration, MINMAX, step.activations, plan.keep, folder, chosen
            )
        self._check(network, graph)
        return graph

    def _plan(self) -> TrainingPlan:
        step, distill = self._step, self._step.distill
        rate = self._job.learning_rate(step.optimizer, share=_RATE)
        return TrainingPlan(
            epochs=step.epochs,
            batch_size=step.batch_size,
            learning_rate=step.learning_rate or rate,
            optimizer=step.optimizer,
            # bfloat16 keeps eight bits of a number: too few to tell neighbours of an eight-bit grid apart.
            precision=precision_for(
                self._job,
                self._model,
                batch_size=step.batch_size,
                numbers="float32",
                reporter=self._reporter,
            ),
            seed=self._job.seed(self._index),
            temperature=distill.temperature if distill else 1.0,
            teacher_weight=distill.weight if distill else 0.0,
            step=self._index,
        )

    def _steps(self, plan: TrainingPlan) -> int:
        per_epoch = Batches(self._job.data, plan, torch.device("cpu")).per_epoch
        return max(1, math.ceil(plan.epochs * per_epoch))

    def _check(self, network: nn.Module, graph: onnx.ModelProto) -> None:
        """Tell how often the artifact gives the answer of the network that was trained."""
        images, _ = images_for_choice(self._job.data)
        few = images[:_CHECKED]
        trained = torch_logits(network, few, self._job.data, reporter=self._reporter)
        same = float((trained.argmax(1) == logits_of(graph, few).argmax(1)).mean())
        self._reporter.log(
            f"The int8 graph gives the answer of the network in training on {same:.2%} of {len(few)} images",
            "info" if same >= _WARN_BELOW_AGREEMENT else "warning",
        )


def _is_worse(job: Job, learnt: onnx.ModelProto, static: onnx.ModelProto, reporter: ScaledReporter) -> bool:
    images, labels = images_for_choice(job.data)
    trained, calibrated = (
        float((logits_of(graph, images).argmax(1) == labels).mean()) for graph in (learnt, static)
    )
    worse = trained < calibrated
    said = f"Trained {trained:.2%}, static {calibrated:.2%} on {len(labels)} images for choices"
    if worse:
        reporter.log(
            f"{said}: training has made it worse, so the static one is kept. Train longer, or with another "
            "learning_rate.",
            "warning",
        )
    else:
        reporter.log(said)
    return worse
