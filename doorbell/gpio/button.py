"""A push button at the door.

A held or bouncing button is one press; a chip that vanishes is logged once and tried again until it
answers.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from doorbell.config import ButtonSection
from doorbell.errors import GpioError
from doorbell.gpio.lines import Chips, InputLine, KernelChips, open_input

log = logging.getLogger(__name__)

# The longest time without a look whether to stop.
TURN_SECONDS = 0.25
REOPEN_SECONDS = 5.0
CLOSE_SECONDS = 1.0


class Debouncer:
    """Steady levels out of edges.

    Args:
        seconds: a level counts once it has lasted this long; 0 where edges are clean already.
        active: the level to begin with; a button held down from the start is no press.
    """

    def __init__(self, seconds: float, *, active: bool) -> None:
        self._seconds = seconds
        self._level = self._steady = active
        self._since_seconds = -math.inf

    def edge(self, *, active: bool, at_seconds: float) -> bool:
        """Take in an edge; whether a press was complete before it."""
        pressed = self.settle(at_seconds)
        self._level, self._since_seconds = active, at_seconds
        return pressed

    def settle(self, now_seconds: float) -> bool:
        """Whether the level of the last edge has become a press by now."""
        if self._level == self._steady or self.remaining(now_seconds) > 0:
            return False
        self._steady = self._level
        return self._steady

    def remaining(self, now_seconds: float) -> float:
        """Seconds until a change would count; 0 where none is pending."""
        if self._level == self._steady:
            return 0.0
        return max(self._since_seconds + self._seconds - now_seconds, 0.0)


class Button:
    """Listens to the button until closed.

    Args:
        section: ``[button]``, with a line.
        on_press: called for each press, on the button's thread; hands off and never waits.
        chips: of this machine.
        reopen_seconds: between attempts to open a lost line.

    Raises:
        GpioError: the line cannot be taken.
    """

    def __init__(
        self,
        section: ButtonSection,
        on_press: Callable[[], None],
        chips: Chips | None = None,
        *,
        reopen_seconds: float = REOPEN_SECONDS,
    ) -> None:
        self._section = section
        self._on_press = on_press
        self._chips = chips or KernelChips()
        self._reopen_seconds = reopen_seconds
        self._closing = threading.Event()
        self._rang_seconds = -math.inf
        line = open_button(section, self._chips)
        log.info("the button is %s", line.label)
        self._thread = threading.Thread(target=self._run, args=(line,), name="button", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and give the line back, within a second; idempotent."""
        self._closing.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self, first: InputLine) -> None:
        line: InputLine | None = first
        while line is not None:
            try:
                self._watch(line)
            except GpioError as exc:
                log.warning("the button is lost: %s; trying again until it answers", exc)
            finally:
                line.close()
            line = self._reopen()

    def _reopen(self) -> InputLine | None:
        """Try until it answers; None once closed."""
        line = None
        while line is None and not self._closing.wait(self._reopen_seconds):
            line = self._open_again()
        return line

    def _open_again(self) -> InputLine | None:
        try:
            line = open_button(self._section, self._chips)
        except GpioError as exc:
            log.debug("still no button: %s", exc)
            return None
        log.info("the button is back")
        return line

    def _watch(self, line: InputLine) -> None:
        seconds = 0.0 if line.debounced else self._section.debounce_seconds
        debouncer = Debouncer(seconds, active=line.is_active())
        while not self._closing.is_set():
            pending = debouncer.remaining(time.monotonic())
            for edge in line.edges(min(pending or TURN_SECONDS, TURN_SECONDS)):
                if debouncer.edge(active=edge.active, at_seconds=edge.at_seconds):
                    self._press(edge.at_seconds)
            now = time.monotonic()
            if debouncer.settle(now):
                self._press(now)

    def _press(self, at_seconds: float) -> None:
        if at_seconds - self._rang_seconds < self._section.cooldown_seconds:
            log.debug("pressed again within %g s", self._section.cooldown_seconds)
            return
        self._rang_seconds = at_seconds
        self._on_press()


def open_button(section: ButtonSection, chips: Chips) -> InputLine:
    """Take the button's line.

    Raises:
        GpioError: no line is set, there is none such, or it cannot be taken.
    """
    if section.line is None:
        raise GpioError("no button: set button.line")
    return open_input(
        chips,
        section.chip,
        section.line,
        active_low=section.active_low,
        bias=section.bias,
        debounce_seconds=section.debounce_seconds,
    )
