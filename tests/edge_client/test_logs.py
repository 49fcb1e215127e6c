"""One line for each event, in both forms."""

import io
import json
import logging

import pytest

from slimcast_edge import logs


@pytest.fixture
def log():
    """Return what configures logging into a buffer; everything is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    buffer = io.StringIO()

    def configure(style, level="info"):
        logs.configure(style, level, buffer)
        return buffer

    yield configure
    root.handlers[:] = handlers
    root.setLevel(level)


def _say(logger):
    logger.debug("not shown")
    logger.info("Modell »%s«\nzwei", "ä")
    try:
        raise ValueError("boom")
    except ValueError:
        logger.exception("It failed.")


def test_text(log):
    buffer = log("text")
    _say(logging.getLogger("slimcast_edge.test"))
    first, second = buffer.getvalue().splitlines()
    assert first.endswith("INFO    Modell »ä« | zwei")
    assert "ERROR   It failed. | Traceback" in second
    assert second.endswith("ValueError: boom")


def test_json(log):
    buffer = log("json")
    _say(logging.getLogger("slimcast_edge.test"))
    first, second = (json.loads(line) for line in buffer.getvalue().splitlines())
    assert first["message"] == "Modell »ä«\nzwei"
    assert (first["level"], first["logger"]) == ("info", "slimcast_edge.test")
    assert first["at"].endswith("Z")
    assert "error" not in first
    assert second["error"].endswith("ValueError: boom")


def test_levels(log):
    buffer = log("text", "error")
    logging.getLogger("slimcast_edge.test").warning("not shown")
    assert buffer.getvalue() == ""
    log("text", "debug")
    logging.getLogger("slimcast_edge.test").debug("shown")
    assert "shown" in buffer.getvalue()
    assert len(logging.getLogger().handlers) == 1
