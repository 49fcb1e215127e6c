"""The studio has a real client measure what it does not run, over the embedded broker."""

import pytest

from slimcast.errors import FleetError
from slimcast.export.layer import write_layer
from slimcast.fleet.benchmarks import BenchmarkPlan, measure_models
from slimcast.fleet.clocks import DeviceClocks
from slimcast.fleet.measuring import Assignment
from slimcast.measure.layers import LayerShape
from slimcast_edge.bench import describe_machine
from slimcast_edge.signing import public_key_to_text
from slimcast_edge.wire import CHUNK_BYTES
from support_artifacts import make_artifact
from support_edge import Device as ClientProcess
from support_wait import PATIENCE, wait_for

pytestmark = pytest.mark.slow
PATIENT = BenchmarkPlan(seconds=0.2, timeout_s=60 * PATIENCE)


@pytest.fixture
def client(broker, hub, settings, tmp_path):
    """The real client with a model of its own, online and enrolled."""
    own = tmp_path / "own.onnx"
    own.write_bytes(make_artifact(name="own"))
    key = public_key_to_text(hub.public_key)
    process = ClientProcess(tmp_path, settings.effective_broker_url, key=key, model=str(own)).start()
    wait_for(lambda: (one := _cam1(hub)) and one.online and one.about and one.reported, "the client")
    yield process
    process.stop()


def _cam1(hub):
    return next((device for device in hub.devices() if device.name == "cam1"), None)


def test_a_model_that_the_device_does_not_run_is_measured_and_the_figures_are_kept(client, hub, store):
    active = hub.device("cam1").reported.active
    large = store.artifacts.put(make_artifact(name="large", ballast_bytes=3 * CHUNK_BYTES))
    small = store.artifacts.put(make_artifact(name="small", side=16))
    results = []
    hub.watch_results("cam1", "test", results.append)
    found = measure_models(hub, store, "cam1", [(large, "large"), (small, "small")], PATIENT)
    assert [one.artifact for one in found] == [large, small]
    assert store.benchmarks.of([large]) == found[:1]
    assert found[0].machine == describe_machine() == hub.device("cam1").about.machine
    assert found[0].runtime == hub.device("cam1").about.runtime_version
    assert found[0].p50_ms > 0
    assert hub.device("cam1").reported.active == active
    assert client.models == [active]
    count = len(results)
    wait_for(lambda: len(results) > count, "frames that are classified again")

    broken = store.artifacts.put(b"this is no ONNX file" * 100)
    with pytest.raises(FleetError, match=r"cam1 did not measure: .*ONNX"):
        measure_models(hub, store, "cam1", [(broken, "broken")], PATIENT)
    assert store.benchmarks.of([broken]) == []


def test_a_device_times_layers_and_networks_for_a_run(client, hub, settings, store):
    shape = LayerShape(kind="conv", inputs=8, outputs=16, size=(16, 16), kernel=(3, 3), padding=(1, 1))
    graphs = tuple(write_layer(shape, numbers) for numbers in ("float32", "int8"))
    measured = hub.measure("cam1", Assignment(layers=graphs, beside_bytes=1 << 20), 60 * PATIENCE)
    assert [layer.ms > 0 for layer in measured.layers] == [True, True]
    with DeviceClocks(settings, store) as clocks:
        clock = clocks("cam1")
        assert clock.machine == f"device cam1: {describe_machine()}"
        assert clock.layer(graphs[0], beside_bytes=0).ms > 0
        assert clock.model_ms(make_artifact(name="draft"), "draft") > 0
        with pytest.raises(FleetError, match=r"'nobody'.*Known: cam1"):
            clocks("nobody")
