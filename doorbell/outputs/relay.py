"""A relay or lamp that is switched for a moment at each ring.

A chip that is lost is logged once and tried again at the next ring.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import time

from doorbell.config import ChimeSection, RelaySection
from doorbell.domain import Ring
from doorbell.errors import GpioError
from doorbell.gpio.lines import Chips, KernelChips, OutputLine, open_output
from doorbell.outputs.sound.quiet import QuietTimes, local_time_at
from doorbell.outputs.worker import Worker
from doorbell.status import Message

# A second ring during a pulse gets a pulse of its own; more are not heard apart.
RINGS_WAITING = 2
CLOSE_SECONDS = 1.0

log = logging.getLogger(__name__)


class Relay:
    """The output that switches.

    Args:
        section: ``[relay]``, with a line.
        quiet: ``[chime]``, for its quiet hours.
        chips: of this machine.
        local_time: wall time of a moment, seconds since the epoch, where the doorbell hangs.

    Raises:
        GpioError: the line cannot be taken.
    """

    def __init__(
        self,
        section: RelaySection,
        quiet: ChimeSection,
        chips: Chips | None = None,
        *,
        local_time: Callable[[float], time] = local_time_at,
    ) -> None:
        self._section = section
        self._quiet = QuietTimes(quiet, local_time=local_time)
        self._chips = chips or KernelChips()
        self._closing = threading.Event()
        # Opening switches it off too: a process killed during a pulse may have left it on.
        self._line: OutputLine | None = open_relay(section, self._chips)
        log.info("the relay is %s", self._line.label)
        self._worker = Worker("relay", self._pulse, capacity=RINGS_WAITING)

    def reconfigure(self, section: RelaySection, quiet: ChimeSection) -> None:
        """Go by another ``[relay]`` and other quiet hours from now on, on the same line."""
        self._section = section
        self._quiet.reconfigure(quiet)

    def handle(self, message: Message) -> None:
        """Switch for a ring, unless the household wants silence."""
        self._quiet.handle(message)
        if isinstance(message, Ring):
            self._ring(message)

    def close(self) -> None:
        """Switch off and give the line back; idempotent."""
        self._closing.set()
        self._worker.close(CLOSE_SECONDS)
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _ring(self, ring: Ring) -> None:
        silent = self._quiet.muted or (
            self._quiet.section.quiet_volume == 0.0 and self._quiet.is_quiet_at(ring.occurred_at)
        )
        if self._section.when_silent or not silent:
            self._worker.submit(ring)

    def _pulse(self, _ring: Ring) -> None:
        if self._closing.is_set():
            return
        try:
            if self._line is None:
                self._line = open_relay(self._section, self._chips)
                log.info("the relay is back")
            self._line.set(active=True)
            try:
                self._closing.wait(self._section.pulse_seconds)
            finally:
                self._line.set(active=False)
        except GpioError as exc:
            if self._line is not None:
                log.warning("no relay, and the doorbell goes on without: %s", exc)
                self._line.close()
                self._line = None
            else:
                log.debug("still no relay: %s", exc)


def open_relay(section: RelaySection, chips: Chips) -> OutputLine:
    """Take the relay's line, and switch it off.

    Raises:
        GpioError: no line is set, there is none such, or it cannot be taken.
    """
    if section.line is None:
        raise GpioError("no relay: set relay.line")
    return open_output(chips, section.chip, section.line, active_low=section.active_low)
