"""One-time codes: used once, ended by time and by wrong tries, and of no use to who does not know them."""

import json
import stat
import threading

import pytest

from slimcast.errors import EnrolmentRefused, FleetError
from slimcast.fleet.enrolment import ATTEMPTS_PER_MINUTE, LIFETIME_S, MAX_TRIES, EnrolmentDesk
from slimcast.fleet.keys import studio_key
from slimcast.settings import Settings
from slimcast_edge import exchange
from slimcast_edge.exchange import Code, DeviceSide
from slimcast_edge.signing import public_key_to_text


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Stretch less: a key of the real strength takes a tenth of a second and 32 MiB."""
    monkeypatch.setattr(exchange, "_SCRYPT_N", 2**4)


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def settings(tmp_path):
    return Settings.from_environment({"SLIMCAST_HOME": str(tmp_path), "SLIMCAST_SITE": "attic"})


@pytest.fixture
def desk(settings, clock):
    return EnrolmentDesk(settings, clock)


def request(code):
    return DeviceSide(code).request.model_dump_json().encode()


def wrong(code):
    return Code(code.id, code.secret[::-1] if code.secret != code.secret[::-1] else "0" * 10)


def refused(desk, data, source="10.0.0.1"):
    with pytest.raises(EnrolmentRefused) as caught:
        desk.answer(data, source)
    return caught.value


def test_a_device_learns_what_it_needs(desk, settings):
    made = desk.new_code("cam1")
    side = DeviceSide(made.code)
    welcome = side.open(desk.answer(side.request.model_dump_json().encode(), "10.0.0.1"))
    assert (welcome.site, welcome.device, welcome.only_here) == ("attic", "cam1", True)
    assert welcome.key == public_key_to_text(studio_key(settings).public_key())
    assert welcome.broker == "mqtt://127.0.0.1:1883"
    assert made.command("http://h:1/") == f"slimcast-edge enroll --studio http://h:1 --code {made.code}"


def test_a_code_works_once(desk):
    made = desk.new_code("cam1")
    data = request(made.code)
    desk.answer(data, "10.0.0.1")
    assert refused(desk, data).status == 403
    assert refused(desk, request(made.code)).status == 403


def test_a_code_ends_by_time(desk, clock):
    made = desk.new_code("cam1")
    clock.now += LIFETIME_S + 1
    assert "has ended" in str(refused(desk, request(made.code)))


def test_five_wrong_tries_end_a_code(desk):
    made = desk.new_code("cam1")
    said = [str(refused(desk, request(wrong(made.code)))) for _ in range(MAX_TRIES)]
    assert [text[-2] for text in said] == ["4", "3", "2", "1", "0"]
    assert "has ended" in str(refused(desk, request(made.code)))


def test_tries_count_over_a_restart(desk, settings, clock):
    made = desk.new_code("cam1")
    for _ in range(MAX_TRIES - 1):
        refused(desk, request(wrong(made.code)))
    again = EnrolmentDesk(settings, clock)
    refused(again, request(wrong(made.code)))
    assert "has ended" in str(refused(again, request(made.code)))


def test_an_address_that_tries_too_often_waits(desk, clock):
    made = desk.new_code("cam1")
    for _ in range(ATTEMPTS_PER_MINUTE):
        refused(desk, b"{}")
    assert refused(desk, request(made.code)).status == 429
    clock.now += 61
    assert desk.answer(request(made.code), "10.0.0.1")


def test_all_addresses_together_are_limited_too(desk):
    made = desk.new_code("cam1")
    for number in range(10 * ATTEMPTS_PER_MINUTE):
        refused(desk, b"{}", f"10.0.0.{number}")
    assert refused(desk, request(made.code), "10.1.1.1").status == 429


def test_a_new_code_ends_the_one_before(desk):
    first, second = desk.new_code("cam1"), desk.new_code("cam1")
    if first.code.id != second.code.id:
        refused(desk, request(first.code))
    assert desk.answer(request(second.code), "10.0.0.1")


def test_of_two_that_know_the_code_one_is_answered(desk):
    made = desk.new_code("cam1")
    answers = []

    def ask():
        try:
            answers.append(desk.answer(request(made.code), "10.0.0.1"))
        except EnrolmentRefused:
            answers.append(None)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer is not None for answer in answers) == 1


def test_the_files_of_codes_are_for_the_studio_alone(desk, tmp_path):
    made = desk.new_code("cam1")
    path = tmp_path / "enrolment" / f"{made.code.id}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert made.code.secret not in repr(made)


@pytest.mark.parametrize("name", ["", "blob", "studio", "a b", "a/b", "+", "../x", "x" * 65])
def test_names_that_no_device_can_have(desk, name):
    with pytest.raises(FleetError):
        desk.new_code(name)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", json.dumps({"id": "../"}).encode(), b"x" * 5000])
def test_what_is_no_request_is_refused(desk, data):
    assert refused(desk, data).status == 400


def test_a_code_is_kept_when_the_studio_cannot_answer(desk, settings, tmp_path):
    made = desk.new_code("cam1")
    settings.keys_folder.mkdir()
    (settings.keys_folder / "studio.pem").write_text("nonsense")
    with pytest.raises(FleetError, match="no Ed25519"):
        desk.answer(request(made.code), "10.0.0.1")
    (settings.keys_folder / "studio.pem").unlink()
    assert desk.answer(request(made.code), "10.0.0.1")
