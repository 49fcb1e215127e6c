import tomllib

import pytest

from slimcast_edge.camera import CAMERAS
from slimcast_edge.errors import SettingsError, UnknownKind
from slimcast_edge.settings import EdgeSettings, load_settings, parse_settings
from slimcast_edge.template import render


def test_a_file_and_the_environment_above_it(tmp_path):
    path = tmp_path / "edge.toml"
    path.write_text('device = "cam1"\nthreads = 2\n[camera]\nkind = "folder"\npath = "images"\nfps = 5\n')
    settings = load_settings(
        path, {"SLIMCAST_EDGE_THREADS": "3", "SLIMCAST_EDGE_CAMERA__FPS": "7", "HOME": "/"}
    )
    assert (settings.device, settings.threads) == ("cam1", 3)
    assert settings.camera_settings().fps == 7


def test_the_environment_alone():
    settings = load_settings(None, {"SLIMCAST_EDGE_DEVICE": "cam2", "SLIMCAST_EDGE_CAMERA__KIND": "video"})
    assert (settings.device, settings.camera_kind, settings.site) == ("cam2", "video", "lab")


def test_all_problems_come_at_once():
    with pytest.raises(SettingsError) as caught:
        parse_settings(
            {
                "device": "a/b",
                "site": "blob",
                "threads": 0,
                "broker": "http://x",
                "runtime": "abacus",
                "colour": "red",
                "camera": {"kind": "synthetic", "fps": -1, "zoom": 2},
            }
        )
    text = str(caught.value)
    for word in ("device", "site", "threads", "broker", "onnxruntime", "colour", "camera.fps", "camera.zoom"):
        assert word in text
    assert "camera.source" in text


@pytest.mark.parametrize("camera", [{"kind": "periscope"}, {}, {"kind": 5}])
def test_an_unknown_camera_lists_the_known_ones(camera):
    with pytest.raises(SettingsError, match="folder, picamera2, synthetic, video"):
        parse_settings({"camera": camera})


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(SettingsError, match="slimcast-edge init"):
        load_settings(tmp_path / "none.toml", {})
    (tmp_path / "bad.toml").write_text("device = = 1")
    with pytest.raises(SettingsError, match="line 1"):
        load_settings(tmp_path / "bad.toml", {})


@pytest.mark.parametrize("kind", CAMERAS.names())
def test_the_template_explains_everything_and_can_be_used(kind):
    text = render(kind)
    for name, field in EdgeSettings.model_fields.items():
        assert name in text
        assert field.description, f"{name} has no description"
    for name, field in CAMERAS[kind].settings_type().model_fields.items():
        assert name in text
        assert field.description, f"{name} of {kind} has no description"
    assert parse_settings(tomllib.loads(text)).camera_kind == kind
    everything = [line.removeprefix("# ") if " = " in line else line for line in text.splitlines()]
    values = [line for line in everything if "(none)" not in line]
    assert parse_settings(tomllib.loads("\n".join(values))).camera_kind == kind


def test_a_template_of_an_unknown_camera():
    with pytest.raises(UnknownKind):
        render("periscope")
