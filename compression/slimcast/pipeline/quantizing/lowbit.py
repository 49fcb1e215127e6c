"""Methods that train with weights of few bits: binary, DoReFa, PACT, WRPN."""

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from slimcast.models.lowbit import Scheme, fixed_levels, levels_of, lowbit_layers, with_float_inputs
from slimcast.pipeline.drafts import Draft, float_graph
from slimcast.pipeline.job import Job
from slimcast.pipeline.teachers import find_teacher
from slimcast.pipeline.training import plan_of
from slimcast.pipeline.zeros import zeros_to_hold
from slimcast.quantize.lowbit import (
    LayerBits,
    LowBitPlan,
    fit_inputs,
    learn_inputs,
    put_in_place,
    settle_inputs,
)
from slimcast.quantize.packing import pack_weights
from slimcast.quantize.static import CANDIDATES, StaticPlan, quantize
from slimcast.recipe import BinaryQuantize, FinetuneStep, LowBitQuantize, PactQuantize, WrpnQuantize
from slimcast.records import Table
from slimcast.reporting import ScaledReporter
from slimcast.train.fit import Hook, fit
from slimcast.train.normalise import Normaliser
from slimcast_edge.artifact import NumericKind

_TRAINING_SHARE = 0.9
_BATCH = 64
_FIXED, _AFTER = ("trained", "learnt"), ("calibrated",)


def epochs_of(step: LowBitQuantize) -> float:
    """Return how long the step takes, in epochs of training."""
    return step.epochs


def run_lowbit(
    job: Job, index: int, step: LowBitQuantize, model: nn.Module, reporter: ScaledReporter
) -> Draft:
    """Train a copy of the network with few bits, and pack what it stores.

    Raises:
        StepError: no layer is left for few bits, or the training diverges.
        Cancelled: somebody cancelled the run.
    """
    check = reporter.check_cancelled
    network, rows = put_in_place(model, LowBitPlan(scheme=_scheme(step), keep=step.keep), job.example)
    _tell(job, index, rows, reporter)
    images = _images(job, index, step.calibration_samples)
    fit_inputs(network, images, _FIXED, check=check)
    ends = learn_inputs(network)
    before = levels_of(network)
    _train(job, index, step, network, ends, ScaledReporter(reporter, 0.0, _TRAINING_SHARE))
    settle_inputs(network)
    after = levels_of(network)
    changed = sum(int((after[name].values != before[name].values).sum()) for name in after)
    reporter.log(
        f"{changed / sum(one.values.numel() for one in after.values()):.1%} of the weights have moved"
    )
    fit_inputs(network, images, _AFTER, check=check)
    graph = _graph(job, index, step, network, ScaledReporter(reporter, _TRAINING_SHARE, 1.0))
    kind = NumericKind.BINARY if isinstance(step, BinaryQuantize) else NumericKind.INT8
    return Draft(model=network, graph=graph, kind=kind)


def _scheme(step: LowBitQuantize) -> Scheme:
    if isinstance(step, BinaryQuantize):
        return Scheme(weights="binary", weight_bits=1, threshold=step.hysteresis)
    weights = "wrpn" if isinstance(step, WrpnQuantize) else "dorefa"
    inputs = (
        "learnt" if isinstance(step, PactQuantize) else "trained" if step.input_bits < 8 else "calibrated"
    )
    return Scheme(weights=weights, weight_bits=step.weight_bits, input_bits=step.input_bits, inputs=inputs)


def _tell(job: Job, index: int, rows: list[LayerBits], reporter: ScaledReporter) -> None:
    few = [row for row in rows if not row.why]
    weights = sum(row.weights for row in few), sum(row.weights for row in rows)
    reporter.log(
        f"{few[0].weight_bits}-bit weights in {len(few)} of {len(rows)} layers, which hold "
        f"{weights[0] / weights[1]:.1%} of them"
    )
    columns = ("layer", "weights", "weight_bits", "activation_bits", "why")
    cells = tuple((row.layer, row.weights, row.weight_bits, row.input_bits, row.why) for row in rows)
    job.store.save_table(job.run_id, Table(name=f"{index}-bits", columns=columns, rows=cells))


def _images(job: Job, index: int, count: int) -> list[Tensor]:
    """Return normalised training images, in batches."""
    data = job.data
    chosen = np.random.default_rng(job.seed(index)).permutation(len(data.train_labels))[:count]
    normalise = Normaliser(data, torch.device("cpu"))
    parts = [np.sort(chosen[start : start + _BATCH]) for start in range(0, len(chosen), _BATCH)]
    return [normalise(torch.from_numpy(np.ascontiguousarray(data.train_images[part]))) for part in parts]


def _train(
    job: Job,
    index: int,
    step: LowBitQuantize,
    network: nn.Module,
    ends: list[nn.Parameter],
    reporter: ScaledReporter,
) -> None:
    hold = zeros_to_hold(job, index, network)
    if hold is not None and not isinstance(step, WrpnQuantize):
        reporter.log(f"{step.method} has no zero: what 'sparsify' has emptied is filled again", "warning")
        hold = None
    rate = job.learning_rate(step.optimizer)  # whole: many signs and steps have to be found anew
    as_step = FinetuneStep(
        kind="finetune",
        epochs=step.epochs,
        batch_size=step.batch_size,
        learning_rate=step.learning_rate or rate,
        optimizer=step.optimizer,
        weight_decay=step.weight_decay,
        distill=step.distill,
    )
    fit(
        network,
        job.data,
        plan_of(job, index, as_step, network, reporter),
        reporter=reporter,
        teacher=find_teacher(job, index, step.distill.teacher) if step.distill else None,
        after_backward=_decay(ends, step.clip_decay) if isinstance(step, PactQuantize) else None,
        after_step=hold,
    )


def _decay(ends: list[nn.Parameter], decay: float) -> Hook:
    """Return what adds the gradient of decay / 2 * end ** 2 (PACT, section 3), as no other decay does."""

    def pull(_network: nn.Module) -> None:
        for end in ends:
            if end.grad is not None:
                end.grad.add_(end.detach(), alpha=decay)

    return pull


def _graph(
    job: Job, index: int, step: LowBitQuantize, network: nn.Module, reporter: ScaledReporter
) -> onnx.ModelProto:
    """Return the graph: all in integers where inputs are calibrated, else with their own ranges."""
    layers, levels = lowbit_layers(network).values(), levels_of(network) | fixed_levels(network)
    if any(layer.scheme.inputs in _FIXED for layer in layers):
        graph = float_graph(job, network)
        return pack_weights(graph, graph, levels)
    graph = float_graph(job, with_float_inputs(network))
    plan = StaticPlan(
        samples=step.calibration_samples,
        seed=job.seed(index),
        ranges=tuple(ranges for ranges in CANDIDATES if ranges.per_channel and ranges.method != "entropy"),
    )
    quantized = quantize(graph, job.data.train_images, plan, reporter=reporter)
    return pack_weights(quantized, graph, levels)
