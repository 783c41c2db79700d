"""A GPIO chip that the kernel simulates (gpio-sim): a line for a button and one for a relay.

``python -m machines.simulated_chip`` makes it and leaves it there.
"""

from __future__ import annotations

from pathlib import Path

SIMULATORS = Path("/sys/kernel/config/gpio-sim")
BUTTON, RELAY = "DOORBELL-BUTTON", "DOORBELL-RELAY"
NAMES = (BUTTON, RELAY)


class SimulatedChip:
    """Two lines, set up as Documentation/admin-guide/gpio/gpio-sim.rst of the kernel says.

    Args:
        label: the chip's; the lines are named as in ``NAMES``.
    """

    def __init__(self, label: str) -> None:
        self._device = SIMULATORS / label
        self._bank = self._device / "bank0"
        if not self._bank.exists():
            self._set_up(label)
        device = (self._device / "dev_name").read_text().strip()
        self.chip_name = (self._bank / "chip_name").read_text().strip()
        self._lines = Path("/sys/devices/platform") / device / self.chip_name

    def _set_up(self, label: str) -> None:
        self._bank.mkdir(parents=True)
        (self._bank / "num_lines").write_text(str(len(NAMES)))
        (self._bank / "label").write_text(label)
        for offset, name in enumerate(NAMES):
            (self._bank / f"line{offset}").mkdir()
            (self._bank / f"line{offset}" / "name").write_text(name)
        (self._device / "live").write_text("1")

    def pull(self, name: str, *, up: bool) -> None:
        """Pull a line from outside, as a button does."""
        self._line(name, "pull").write_text("pull-up" if up else "pull-down")

    def is_high(self, name: str) -> bool:
        """What a line is at."""
        return self._line(name, "value").read_text().strip() == "1"

    def _line(self, name: str, attribute: str) -> Path:
        return self._lines / f"sim_gpio{NAMES.index(name)}" / attribute

    def close(self) -> None:
        """Take the chip away."""
        (self._device / "live").write_text("0")
        for offset in range(len(NAMES)):
            (self._bank / f"line{offset}").rmdir()
        self._bank.rmdir()
        self._device.rmdir()


if __name__ == "__main__":
    SimulatedChip("doorbell").pull(BUTTON, up=True)
