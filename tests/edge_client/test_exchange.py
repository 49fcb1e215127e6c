"""The exchange behind a one-time code: who does not know the code can neither ask nor answer."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimcast_edge import exchange
from slimcast_edge.errors import SignatureError
from slimcast_edge.exchange import (
    ALPHABET,
    Answer,
    Code,
    DeviceSide,
    StudioSide,
    Welcome,
    new_code,
    read_code,
)
from support_fuzz import fuzzed

WELCOME = Welcome(
    site="lab", device="cam1", key="A" * 44, broker="mqtts://h:8883", user="cam1", password="open sesame"
)
CODE = new_code()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Stretch less: a key of the real strength takes a tenth of a second and 32 MiB."""
    monkeypatch.setattr(exchange, "_SCRYPT_N", 2**4)


def other(code):
    """The same code with another last character."""
    last = ALPHABET[(ALPHABET.index(code.secret[-1]) + 1) % len(ALPHABET)]
    return Code(code.id, code.secret[:-1] + last)


def test_both_sides_come_to_the_same(monkeypatch):
    monkeypatch.undo()
    device = DeviceSide(CODE)
    studio = StudioSide(CODE, device.request)
    assert studio.is_genuine()
    answer = studio.answer(WELCOME)
    assert b"sesame" not in answer
    assert device.open(answer) == WELCOME


def test_a_device_with_another_code_is_not_genuine():
    assert not StudioSide(CODE, DeviceSide(other(CODE)).request).is_genuine()


def test_a_proof_is_worth_nothing_for_another_key():
    genuine, mine = DeviceSide(CODE).request, DeviceSide(other(CODE)).request
    assert not StudioSide(CODE, genuine.model_copy(update={"share": mine.share})).is_genuine()


def test_a_studio_with_another_code_is_not_believed():
    device = DeviceSide(CODE)
    forged = StudioSide(other(CODE), device.request).answer(WELCOME)
    with pytest.raises(SignatureError, match="does not come from the studio"):
        device.open(forged)


def test_an_answer_to_somebody_else_is_not_believed():
    first, second = DeviceSide(CODE), DeviceSide(CODE)
    with pytest.raises(SignatureError):
        second.open(StudioSide(CODE, first.request).answer(WELCOME))


def test_an_answer_that_was_changed_is_not_believed():
    device = DeviceSide(CODE)
    answer = Answer.model_validate_json(StudioSide(CODE, device.request).answer(WELCOME))
    sealed = bytearray(base64.b64decode(answer.sealed))
    sealed[3] ^= 1
    changed = answer.model_copy(update={"sealed": base64.b64encode(sealed).decode()})
    with pytest.raises(SignatureError):
        device.open(changed.model_dump_json().encode())


def test_a_share_of_low_order_is_refused():
    request = DeviceSide(CODE).request.model_copy(update={"share": base64.b64encode(bytes(32)).decode()})
    with pytest.raises(SignatureError):
        StudioSide(CODE, request).answer(WELCOME)


def test_codes_are_read_as_people_type_them():
    code = Code("1Q", "0KM2XD4RT9")
    assert str(code) == "1Q0K-M2XD-4RT9"
    for text in (str(code), "1q0km2xd4rt9", "lQOK M2XD 4RT9", " IQoK-M2XD-4RT9\n"):
        assert read_code(text) == code
    assert "KM2X" not in repr(code)
    codes = {str(new_code()) for _ in range(50)}
    assert len(codes) == 50
    assert all(str(read_code(text)) == text for text in codes)


@pytest.mark.parametrize(
    "text", ["", "1Q0K-M2XD-4RT", "1Q0K-M2XD-4RT99", "1Q0K-M2XD-4RTU", "ä" * 12, "x" * 5000]
)
def test_what_is_no_code_is_refused(text):
    with pytest.raises(SignatureError, match="no code"):
        read_code(text)


DEVICE = DeviceSide(CODE)
ANSWER = StudioSide(CODE, DEVICE.request).answer(WELCOME)


@fuzzed
@given(st.binary(max_size=300), st.integers(0, len(ANSWER)))
def test_no_answer_breaks_the_device(junk, at):
    for data in (junk, ANSWER[:at] + junk + ANSWER[at + len(junk) :]):
        if data != ANSWER:
            with pytest.raises(SignatureError):
                DEVICE.open(data)
