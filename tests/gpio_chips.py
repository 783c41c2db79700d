"""GPIO chips without hardware, as the kernel's documentation of its line ABI describes them."""

import errno
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from gpiod import EdgeEvent, LineSettings
from gpiod.line import Direction, Value


@dataclass
class Info:
    name: str
    label: str


@dataclass
class FakeRequest:
    """One taken line: ``drive`` is the wire from outside, ``level`` what an output drives."""

    chip: "FakeChip"
    offset: int
    settings: LineSettings
    level: Value = Value.INACTIVE
    switched: list[tuple[float, Value]] = field(default_factory=list)
    released: bool = False

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._events: deque[EdgeEvent] = deque()

    def drive(self, high: bool, at_seconds: float | None = None) -> None:
        """Change the voltage at the line."""
        at = time.monotonic() if at_seconds is None else at_seconds
        active = high != self.settings.active_low
        self.level = Value.ACTIVE if active else Value.INACTIVE
        kind = EdgeEvent.Type.RISING_EDGE if active else EdgeEvent.Type.FALLING_EDGE
        with self._changed:
            self._events.append(EdgeEvent(kind.value, round(at * 1e9), self.offset, 0, 0))
            self._changed.notify()

    def wait_edge_events(self, timeout: timedelta | float | None = None) -> bool:
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._events) or self.chip.gone, seconds)

    def read_edge_events(self, max_events: int | None = None) -> list[EdgeEvent]:
        assert max_events is None
        self.chip.check()
        with self._changed:
            events = list(self._events)
            self._events.clear()
        return events

    def get_value(self, line: int | str) -> Value:
        assert line == self.offset
        self.chip.check()
        return self.level

    def set_value(self, line: int | str, value: Value) -> None:
        assert line == self.offset
        assert self.settings.direction is Direction.OUTPUT
        self.chip.check()
        self.level = value
        self.switched.append((time.monotonic(), value))

    def wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def release(self) -> None:
        if not self.released:
            self.released = True
            self.chip.taken.pop(self.offset, None)


@dataclass
class FakeChip:
    """A chip with named lines; ``idle_high`` are those that a resistor pulls up."""

    name: str
    label: str
    lines: Sequence[str]
    debounces: bool = True
    idle_high: bool = True
    refuses: int = 0
    gone: bool = False
    taken: dict[int, FakeRequest] = field(default_factory=dict)
    requests: list[FakeRequest] = field(default_factory=list)
    opened: int = 0

    def check(self) -> None:
        if self.gone:
            raise OSError(errno.ENODEV, "No such device")

    def vanish(self) -> None:
        self.gone = True
        for request in list(self.taken.values()):
            request.wake()

    def get_info(self) -> Info:
        return Info(self.name, self.label)

    def line_offset_from_id(self, id: str | int) -> int:  # noqa: A002 - gpiod's own name for it
        name = str(id)
        if name in self.lines:
            return self.lines.index(name)
        if not name.isdecimal():
            raise OSError(errno.ENOENT, "No such file or directory")
        if int(name) >= len(self.lines):
            raise ValueError("line offset of out range")
        return int(name)

    def request_lines(
        self,
        config: dict[Iterable[int | str] | int | str, LineSettings | None],
        consumer: str | None = None,
    ) -> FakeRequest:
        assert consumer == "doorbell"
        [(offset, settings)] = config.items()
        assert isinstance(offset, int)
        assert settings is not None
        if offset in self.taken:
            raise OSError(errno.EBUSY, "Device or resource busy")
        if self.refuses:
            raise OSError(self.refuses, "refused")
        if settings.debounce_period and not self.debounces:
            raise OSError(errno.EINVAL, "Invalid argument")
        request = FakeRequest(self, offset, settings)
        if settings.direction is Direction.INPUT and self.idle_high != settings.active_low:
            request.level = Value.ACTIVE
        self.taken[offset] = request
        self.requests.append(request)
        return request

    def close(self) -> None:
        self.opened -= 1


class FakeChips:
    """The chips of a machine; those in ``forbidden`` are for another group."""

    def __init__(self, *chips: FakeChip, forbidden: Sequence[str] = ()) -> None:
        self._chips = {f"/dev/{chip.name}": chip for chip in chips}
        self._forbidden = forbidden

    def paths(self) -> list[str]:
        return list(self._chips)

    def open(self, path: str) -> FakeChip:
        if path in self._forbidden:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        if path not in self._chips or self._chips[path].gone:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        self._chips[path].opened += 1
        return self._chips[path]


def orin(*, debounces: bool = True, idle_high: bool = True) -> FakeChip:
    lines = ["PA.00", "PQ.05", "PQ.06"]
    return FakeChip("gpiochip0", "tegra234-gpio", lines, debounces, idle_high)
