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
    assert settings.all_cameras()[0].settings.fps == 7


def test_the_environment_alone():
    settings = load_settings(None, {"SLIMCAST_EDGE_DEVICE": "cam2", "SLIMCAST_EDGE_CAMERA__KIND": "video"})
    assert (settings.device, settings.all_cameras()[0].kind, settings.site) == ("cam2", "video", "lab")


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


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"brokr": "mqtt://x"}, "brokr: there is no such setting; did you mean `broker`?"),
        (
            {"colour": 1},
            "colour: there is no such setting; `slimcast-edge init` writes a file with all of them",
        ),
        (
            {"device": "küche"},
            "device: must be 1 to 64 of A-Z a-z 0-9 _ . - with a letter or digit first, but is ",
        ),
        ({"threads": 0}, "threads: must be at least 1, but is 0"),
        ({"metrics_port": 70000}, "metrics_port: must be at most 65535, but is 70000"),
        ({"spin": "maybe"}, "spin: must be true or false, but is 'maybe'"),
        ({"log_level": "loud"}, "log_level: must be 'debug', 'info', 'warning' or 'error', but is 'loud'"),
        ({"broker": "http://x"}, "broker: 'http://x' is no broker address. Expected mqtt[s]://"),
        ({"broker_password": 1234}, "broker_password: must be text, in quotes"),
        ({"camera": {"kind": "synthetic"}}, "camera.source: missing; it has no default"),
        (
            {"camera": {"kind": "video", "sorce": 1}},
            "camera.sorce: there is no such setting; did you mean `source`?",
        ),
        ({"camera": {"kind": "video", "fps": "fast"}}, "camera.fps: must be a number, but is 'fast'"),
        ({"camera": {"fps": 5}}, "camera.kind: missing; one of: folder, picamera2, synthetic, video"),
        ({"camera": "video"}, "camera: must be a table, but is 'video'"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(document, said):
    with pytest.raises(SettingsError) as caught:
        parse_settings(document)
    assert f"\n  {said}" in str(caught.value)
    assert "1234" not in str(caught.value), "no password is repeated"


def test_an_empty_path_is_none_at_all(tmp_path):
    variables = {"SLIMCAST_EDGE_BROKER_CA_FILE": "", "SLIMCAST_EDGE_STATE_FOLDER": ""}
    settings = load_settings(None, variables)
    assert settings.broker_ca_file is None
    assert settings.state_folder == EdgeSettings().state_folder


def test_a_state_folder_that_is_a_file(tmp_path):
    (tmp_path / "state").write_text("")
    with pytest.raises(SettingsError, match="is no folder"):
        load_settings(None, {"SLIMCAST_EDGE_STATE_FOLDER": str(tmp_path / "state")})


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
    assert parse_settings(tomllib.loads(text)).all_cameras()[0].kind == kind
    everything = [line.removeprefix("# ") if " = " in line else line for line in text.splitlines()]
    values = [line for line in everything if "(none)" not in line]
    assert parse_settings(tomllib.loads("\n".join(values))).all_cameras()[0].kind == kind


def test_a_template_of_an_unknown_camera():
    with pytest.raises(UnknownKind):
        render("periscope")


TWO = """
device = "gate"
[cameras.left]
kind = "picamera2"
rotation = 180
[cameras.Right]
kind = "video"
source = "/dev/video1"
"""


def test_several_cameras_each_with_its_own_settings(tmp_path):
    path = tmp_path / "edge.toml"
    path.write_text(TWO)
    environment = {"SLIMCAST_EDGE_CAMERAS__LEFT__FPS": "5", "SLIMCAST_EDGE_CAMERAS__RIGHT__MIRROR": "true"}
    left, right = load_settings(path, environment).all_cameras()
    assert (left.name, left.kind, left.settings.rotation, left.fps) == ("left", "picamera2", 180, 5)
    assert (right.name, right.kind, right.settings.source) == ("Right", "video", "/dev/video1")
    assert right.settings.mirror
    assert not left.reopens


def test_what_is_wrong_with_several_cameras_is_said_at_once():
    wrong = {"cameras": {"left": {"kind": "beetle"}, "right": {"kind": "video", "fps": -1}, "a b": {}}}
    with pytest.raises(SettingsError) as caught:
        parse_settings(wrong)
    said = str(caught.value)
    assert "cameras.left.kind: unknown camera 'beetle'" in said
    assert "cameras.right.fps" in said
    assert "cameras.a b" in said
    with pytest.raises(SettingsError, match=r"either \[camera\], or \[cameras.NAME\]"):
        parse_settings({"camera": {"kind": "video"}, "cameras": {"left": {"kind": "video"}}})
    with pytest.raises(SettingsError, match="cameras"):
        parse_settings({"cameras": {f"c{n}": {"kind": "video"} for n in range(9)}})
    assert [camera.name for camera in parse_settings({}).all_cameras()] == [""]
