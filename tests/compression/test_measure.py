import numpy as np
import pytest
import torch
from torch import nn

from slimcast.errors import Cancelled, StepError
from slimcast.measure.cost import count_exported_parameters, count_macs, count_parameters
from slimcast.measure.files import FileFacts
from slimcast.measure.fresh import FreshProcess, FreshRun, run_fresh
from slimcast.measure.quality import agreement, top1_accuracy
from slimcast.measure.report import Quality, measurements
from slimcast.models.build import NetworkSpec, build
from slimcast.reporting import SilentReporter
from slimcast_edge.bench import Latency
from support_engine import LENET, RecordingReporter


def test_macs_of_lenet5_counted_by_hand():
    convolutions = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 6 * 25
    linear = 400 * 120 + 120 * 84 + 84 * 10
    assert count_macs(build(LENET), torch.zeros(1, 1, 32, 32)) == convolutions + linear


def test_macs_of_mobilenet_v2_are_those_of_its_paper():
    model = build(NetworkSpec(model="mobilenet_v2", classes=1000, channels=3, image_size=224))
    assert count_macs(model, torch.zeros(1, 3, 224, 224)) == pytest.approx(300e6, rel=0.01)
    assert count_parameters(model) == 3_504_872


def test_a_grouped_convolution_costs_a_fraction():
    whole, grouped = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3, groups=8)
    image = torch.zeros(1, 8, 5, 5)
    assert count_macs(grouped, image) * 8 == count_macs(whole, image)


def test_folded_batch_norms_leave_one_bias_for_each_channel():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
    assert count_exported_parameters(model) == 3 * 4 * 9 + 4


def test_accuracy_and_agreement_are_shares():
    logits = np.asarray([[2.0, 1], [0, 1], [3, 1], [0, 2]])
    assert top1_accuracy(logits, np.asarray([0, 1, 1, 1])) == 0.75
    assert agreement(logits, -logits) == 0
    assert agreement(logits, logits * 2) == 1


def test_a_file_that_cannot_be_opened_is_an_error():
    images = np.zeros((1, 32, 32, 1), np.uint8)
    with pytest.raises(StepError, match="cannot be used"):
        run_fresh(b"no model", images, seconds=0.1, reporter=SilentReporter())


def test_what_is_held_back_for_choices_is_a_figure_of_its_own():
    latency = Latency(p50_ms=1, p90_ms=1, p99_ms=1, mean_ms=1, std_ms=0, runs=1)
    rest = {
        "parameters": 1,
        "macs": 1,
        "facts": FileFacts(size_bytes=1, compressed_bytes=1, sparsity=0),
        "integer": (1, 2),
        "fresh": FreshRun(logits=np.zeros((1, 2)), latency=latency, peak_rss_mb=1),
        "machine": "",
    }
    without = measurements(quality=Quality(accuracy=0.9, agreement=1, images=50), **rest)
    quality = Quality(accuracy=0.9, agreement=1, images=50, validation_accuracy=0.8, validation_images=20)
    *same, last = measurements(quality=quality, **rest)
    assert tuple(same) == without
    assert (last.name, last.value, last.n) == ("validation_accuracy", 0.8, 20)


def test_a_process_that_nobody_asked_ends():
    with FreshProcess() as process:
        started = process._process
        assert started.poll() is None
    assert started.poll() is not None


def test_a_cancel_ends_the_fresh_process():
    reporter = RecordingReporter(cancel_when=(0, "started"))
    reporter.step(0, "train", "started")
    with FreshProcess() as process, pytest.raises(Cancelled):
        process.run(b"", np.zeros((1, 8, 8, 1), np.uint8), seconds=0.1, reporter=reporter)
    assert process._process.poll() is not None
