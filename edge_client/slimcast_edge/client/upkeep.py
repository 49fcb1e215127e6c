"""Looks after the client while it runs: tells systemd that it lives, keeps Home Assistant up to date."""

import logging
import threading
import time
from collections.abc import Callable

from slimcast_edge.service_manager import ServiceManager

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
_STATUS_S = 10.0


class Upkeep:
    """A thread that looks at the others once a second.

    Args:
        fault: says what is wrong, "" for nothing.
        status: one line for people who ask the service manager.
        refresh: called every `refresh_s` seconds.

    """

    def __init__(
        self,
        manager: ServiceManager,
        *,
        fault: Callable[[], str],
        status: Callable[[], str],
        refresh: Callable[[], None],
        refresh_s: float,
    ) -> None:
        self._manager, self._fault, self._status = manager, fault, status
        self._refresh, self._refresh_s = refresh, refresh_s
        self._stopping = threading.Event()
        self._told = ""
        self._refresh_at = self._status_at = 0.0

    def start(self) -> None:
        """Say that the client is ready, and look after it from now on."""
        self._manager.notify("READY=1")
        threading.Thread(target=self._run, name="upkeep", daemon=True).start()

    def stop(self) -> None:
        """Say that the client stops on purpose."""
        self._stopping.set()
        self._manager.notify("STOPPING=1")

    def _run(self) -> None:
        watchdog_s = self._manager.watchdog_s
        interval_s = _LOOK_S if watchdog_s is None else min(_LOOK_S, watchdog_s / 4)
        while not self._stopping.wait(interval_s):
            try:
                self._look(time.monotonic())
            except Exception:  # what is shown elsewhere must not end the watchdog
                logger.exception("Looking after the client failed.")

    def _look(self, now: float) -> None:
        fault = self._fault()
        if fault and not self._told:
            logger.error("%s", fault)
        self._told = fault
        if not fault:
            self._manager.notify("WATCHDOG=1")
        if now >= self._status_at:
            self._status_at = now + _STATUS_S
            self._manager.notify(f"STATUS={fault or self._status()}")
        if now >= self._refresh_at:
            self._refresh_at = now + self._refresh_s
            self._refresh()
