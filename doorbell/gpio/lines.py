"""Single lines of GPIO chips, by the kernel's character devices and libgpiod.

Every ``OSError`` of libgpiod becomes a ``GpioError`` here.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from doorbell.errors import GpioError

if TYPE_CHECKING:
    from gpiod import EdgeEvent, LineSettings
    from gpiod.line import Value

# Shown by gpioinfo as the owner of a line.
CONSUMER = "doorbell"

# What a chip answers that cannot debounce as asked. 524 is the kernel's own ENOTSUPP, which some
# drivers let through (include/linux/errno.h).
_CANNOT_DEBOUNCE = frozenset({errno.EINVAL, errno.EOPNOTSUPP, 524})

Bias = Literal["pull-up", "pull-down", "none"]


class ChipInfo(Protocol):
    """What ``gpiod.ChipInfo`` tells."""

    @property
    def name(self) -> str:
        """As in gpiochip0."""

    @property
    def label(self) -> str:
        """The driver's name for it, as in tegra234-gpio."""


class LineRequest(Protocol):
    """The part of ``gpiod.LineRequest`` that is used here."""

    def wait_edge_events(self, timeout: timedelta | float | None = None) -> bool:
        """Wait for edges; whether there are any."""

    def read_edge_events(self, max_events: int | None = None) -> list[EdgeEvent]:
        """Take the edges that came."""

    def get_value(self, line: int | str) -> Value:
        """Read the logical level."""

    def set_value(self, line: int | str, value: Value) -> None:
        """Set the logical level."""

    def release(self) -> None:
        """Give the line back; idempotent."""


class Chip(Protocol):
    """The part of ``gpiod.Chip`` that is used here."""

    def get_info(self) -> ChipInfo:
        """Name and label."""

    def line_offset_from_id(self, id: str | int) -> int:  # noqa: A002 - gpiod's own name for it
        """Number of a line given by name or number; OSError or ValueError if there is none."""

    def request_lines(
        self,
        config: dict[Iterable[int | str] | int | str, LineSettings | None],
        consumer: str | None = None,
    ) -> LineRequest:
        """Take lines for this process alone."""

    def close(self) -> None:
        """Close the chip; lines taken stay taken; idempotent."""


class Chips(Protocol):
    """The GPIO chips of a machine."""

    def paths(self) -> Sequence[str]:
        """Device files of all chips."""

    def open(self, path: str) -> Chip:
        """Open one; OSError if that fails."""


class KernelChips:
    """The chips of this machine."""

    def paths(self) -> Sequence[str]:
        """Device files of all chips, each once: some systems link old names to them."""
        return [str(p) for p in sorted(Path("/dev").glob("gpiochip*")) if not p.is_symlink()]

    def open(self, path: str) -> Chip:
        """Open one."""
        try:
            import gpiod
        except ImportError as exc:
            raise GpioError(
                "GPIO lines need the package gpiod, which is not installed; install it, or leave "
                "button.line and relay.line out"
            ) from exc
        return gpiod.Chip(path)


@dataclass(frozen=True, slots=True)
class Edge:
    """A change of an input's logical level.

    Attributes:
        active: the level since.
        at_seconds: the kernel's time of the change, on the clock of ``time.monotonic``.
    """

    active: bool
    at_seconds: float


class InputLine:
    """A line that is listened to.

    Attributes:
        label: for people.
        debounced: whether the kernel already leaves bounces out.
    """

    def __init__(self, request: LineRequest, offset: int, label: str, *, debounced: bool) -> None:
        self._request = request
        self._offset = offset
        self.label = label
        self.debounced = debounced

    def is_active(self) -> bool:
        """Whether the logical level is active now.

        Raises:
            GpioError: the chip is gone.
        """
        try:
            return bool(self._request.get_value(self._offset).value)
        except OSError as exc:
            raise _lost(self.label, exc) from exc

    def edges(self, timeout_seconds: float) -> list[Edge]:
        """Wait for edges, and take those that came; none after the timeout.

        Raises:
            GpioError: the chip is gone.
        """
        try:
            if not self._request.wait_edge_events(timeout_seconds):
                return []
            events = self._request.read_edge_events()
        except OSError as exc:
            raise _lost(self.label, exc) from exc
        rising = [event.event_type is event.Type.RISING_EDGE for event in events]
        return [Edge(r, e.timestamp_ns / 1e9) for r, e in zip(rising, events, strict=True)]

    def close(self) -> None:
        """Give the line back; idempotent."""
        self._request.release()


class OutputLine:
    """A line that is switched; inactive when opened.

    Attributes:
        label: for people.
    """

    def __init__(self, request: LineRequest, offset: int, label: str) -> None:
        self._request = request
        self._offset = offset
        self.label = label

    def set(self, *, active: bool) -> None:
        """Switch.

        Raises:
            GpioError: the chip is gone.
        """
        from gpiod.line import Value

        try:
            self._request.set_value(self._offset, Value.ACTIVE if active else Value.INACTIVE)
        except OSError as exc:
            raise _lost(self.label, exc) from exc

    def close(self) -> None:
        """Give the line back; idempotent."""
        self._request.release()


def open_input(
    chips: Chips,
    chip: str | None,
    line: str,
    *,
    active_low: bool,
    bias: Bias,
    debounce_seconds: float,
) -> InputLine:
    """Take a line as an input whose edges are reported.

    Args:
        chips: of this machine.
        chip: path, name or label; None for whichever chip has a line of that name.
        line: name, or number in its chip.
        active_low: whether a low voltage is the active level.
        bias: resistor inside the chip; a chip without takes no notice.
        debounce_seconds: changes shorter than this are left out, by the kernel where it can.

    Raises:
        GpioError: there is no such chip or line, or it cannot be taken.
    """
    opened, offset, label = _find(chips, chip, line)
    try:
        from gpiod import LineSettings
        from gpiod import line as of_lines

        biases = {
            "pull-up": of_lines.Bias.PULL_UP,
            "pull-down": of_lines.Bias.PULL_DOWN,
            "none": of_lines.Bias.DISABLED,
        }
        settings = LineSettings(
            direction=of_lines.Direction.INPUT,
            edge_detection=of_lines.Edge.BOTH,
            bias=biases[bias],
            active_low=active_low,
            debounce_period=timedelta(seconds=debounce_seconds),
        )
        try:
            request = opened.request_lines({offset: settings}, CONSUMER)
            debounced = True
        except OSError as exc:
            if exc.errno not in _CANNOT_DEBOUNCE:
                raise
            settings.debounce_period = timedelta()
            request = opened.request_lines({offset: settings}, CONSUMER)
            debounced = False
    except OSError as exc:
        raise _refused(label, exc) from exc
    finally:
        opened.close()
    return InputLine(request, offset, label, debounced=debounced)


def open_output(chips: Chips, chip: str | None, line: str, *, active_low: bool) -> OutputLine:
    """Take a line as an output, and switch it off.

    Args:
        chips: of this machine.
        chip: path, name or label; None for whichever chip has a line of that name.
        line: name, or number in its chip.
        active_low: whether a low voltage is the active level.

    Raises:
        GpioError: there is no such chip or line, or it cannot be taken.
    """
    opened, offset, label = _find(chips, chip, line)
    try:
        from gpiod import LineSettings
        from gpiod.line import Direction

        settings = LineSettings(direction=Direction.OUTPUT, active_low=active_low)
        request = opened.request_lines({offset: settings}, CONSUMER)
    except OSError as exc:
        raise _refused(label, exc) from exc
    finally:
        opened.close()
    return OutputLine(request, offset, label)


def _find(chips: Chips, wanted: str | None, line: str) -> tuple[Chip, int, str]:
    """Open the chip that has the line: with the line's number, and a label of both."""
    seen: list[str] = []
    refused: OSError | None = None
    searched = [wanted] if wanted is not None and "/" in wanted else chips.paths()
    for path in searched:
        try:
            chip = chips.open(path)
        except OSError as exc:
            refused = exc
            continue
        info = chip.get_info()
        name = f"{info.name} ({info.label})"
        if wanted in (None, path, info.name, info.label):
            try:
                return chip, chip.line_offset_from_id(line), f"line {line} of {name}"
            except (OSError, ValueError):
                pass  # another chip may have it
        chip.close()
        seen.append(name)
    raise GpioError(_not_found(wanted, line, seen, refused))


def _not_found(wanted: str | None, line: str, seen: Sequence[str], refused: OSError | None) -> str:
    what = f"no GPIO line {line!r} was found" + ("" if wanted is None else f" on chip {wanted!r}")
    if refused is not None:
        reason = refused.strerror or str(refused)
        return f"{what}: a chip cannot be opened ({reason}); is this user in the group gpio?"
    if not seen:
        return f"{what}: this machine shows no GPIO chip (/dev/gpiochip*)"
    return f"{what}; the chips are {', '.join(seen)}, and gpioinfo lists their lines"


def _refused(label: str, exc: OSError) -> GpioError:
    if exc.errno == errno.EBUSY:
        return GpioError(f"{label} is in use already; gpioinfo says by what")
    reason = os.strerror(exc.errno) if exc.errno else str(exc)
    return GpioError(f"{label} cannot be taken: {reason}; is it the right one? gpioinfo lists them")


def _lost(label: str, exc: OSError) -> GpioError:
    return GpioError(f"{label} does not answer: {exc.strerror or exc}")
